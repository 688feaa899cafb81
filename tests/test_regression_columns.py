"""Columns of every type are the same numbers and the same levels, in fit and prediction alike."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xarray import DataTree, open_datatree

from robust_dist._errors import InputError
from robust_dist.regression import Regression, training_data
from robust_dist.regression.design.columns import notes
from robust_dist.regression.design.formula import (
    evaluate,
    evaluate_new,
    make_design,
    split_formulas,
)
from robust_dist.regression.design.frame import to_frame
from robust_dist.regression.design.levels import label

N = 30
RNG = np.random.default_rng(0)
Y = RNG.normal(size=N)
X = RNG.integers(20, 100, N)
Z = RNG.integers(20, 100, N)


def arrow(values, kind):
    """Return a pandas column in Arrow's memory."""
    return pd.array(values, dtype=pd.ArrowDtype(kind))


def decimals(values):
    return [Decimal(int(value)) for value in values]


# a column of whole numbers from 20 to 99, in a table of any library
NUMBERS = {
    **{
        kind: (lambda values, kind=kind: values.astype(kind))
        for kind in (
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
            *("float16", "float32", "float64", "longdouble", ">i2", ">f4", ">f8"),
        )
    },
    **{
        kind: (lambda values, kind=kind: pd.array(values, dtype=kind))
        for kind in ("Int8", "UInt8", "Int64", "Float32", "Float64", "Sparse[int8]")
    },
    **{
        f"arrow {kind}": (lambda values, kind=kind: arrow(values, kind))
        for kind in (pyarrow.int8(), pyarrow.uint8(), pyarrow.float32(), pyarrow.float64())
    },
    "arrow decimal": lambda values: arrow(decimals(values), pyarrow.decimal128(10, 2)),
    "decimals": decimals,
    "objects": lambda values: np.array(values.tolist(), object),
    "ints and floats": lambda values: [float(v) if i % 2 else int(v) for i, v in enumerate(values)],
    **{
        f"polars {kind}": (lambda values, kind=kind: polars.Series(values).cast(kind))
        for kind in (
            *(polars.Int8, polars.UInt8, polars.Int32, polars.Int128, polars.Float32),
            polars.Decimal(20, 2),
        )
    },
}
COMPUTED = "y ~ x*z + I(x**2) + {x**9} + scale(x):I(z**3)"


def reopened(formula, columns, tmp_path):
    """Return what prediction reads of a fit's file."""
    dt = DataTree()
    training_data.save(dt, split_formulas(formula), columns)
    dt.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as back:
        return evaluate(*training_data.load(back.load()))


def in_double_precision(formula, x, z):
    design, _ = make_design(formula, pd.DataFrame({"y": Y, "x": x, "z": z}).astype(float))
    return design.x


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("formula", [COMPUTED, "y ~ x + z", "y ~ I(x - z)"])
def test_numbers_of_every_type_give_the_design_of_double_precision(kind, formula, tmp_path):
    """No product, power or difference overflows or is rounded, in the fit or from its file."""
    convert = NUMBERS[kind]
    table = {"y": Y, "x": convert(X), "z": convert(Z)}
    design, columns = make_design(formula, to_frame(table))
    np.testing.assert_array_equal(design.x, in_double_precision(formula, X, Z))
    x, *_ = evaluate_new(reopened(formula, columns, tmp_path), to_frame(table))
    np.testing.assert_array_equal(x, design.x)


@pytest.mark.parametrize("make", [polars.DataFrame, pyarrow.table], ids=["polars", "pyarrow"])
def test_numbers_of_tables_do_not_overflow(make):
    table = make({"y": Y, "x": X.astype("int8"), "z": Z.astype("uint8")})
    formula = "y ~ x*z + I(x**2)"
    design, _ = make_design(formula, to_frame(table))
    np.testing.assert_array_equal(design.x, in_double_precision(formula, X, Z))


def test_group_effects_multiply_numbers_of_double_precision():
    data = pd.DataFrame({"y": Y, "x": X.astype("int8"), "z": Z.astype("int8"), "g": X % 3})
    design, _ = make_design("y ~ x + (x:z | g)", data)
    np.testing.assert_array_equal(design.groups[1].x[:, 0], X * Z)


def test_true_counts_one_and_names_a_level():
    """Also where something is computed of it; NumPy's sum of bools would be a bool."""
    a, b = X > 60, Z > 60
    for kind in (bool, object, "boolean", "bool[pyarrow]"):
        data = pd.DataFrame({"y": Y, "a": a, "b": b}).astype({"a": kind, "b": kind})
        design, _ = make_design("y ~ a + I(a + b)", data)
        np.testing.assert_array_equal(design.x[:, 1:], np.column_stack([a, 1 * a + b]))
        design, _ = make_design("y ~ C(a) + (1 | b)", data)
        assert design.coefficients == ("Intercept", "C(a)[True]")
        assert design.groups[0].levels == ("False", "True")


# --- whole numbers that double precision cannot hold --------------------------------------------


@pytest.mark.parametrize("first", [2**60, 2**63 + 2**12, 10**20])
def test_whole_numbers_that_would_merge_are_refused_as_numbers_and_kept_as_labels(first):
    data = to_frame({"y": Y, "x": [first + i % 5 for i in range(N)]})
    with pytest.raises(InputError, match="column 'x' holds whole numbers such as"):
        make_design("y ~ x", data)
    design, _ = make_design("y ~ 1 + (1 | x)", data)
    assert design.groups[0].levels == tuple(str(first + i) for i in range(5))


def test_rounding_that_changes_nothing_is_noted():
    """Nanoseconds of dates days apart are rounded by some hundred."""
    x = 1_700_000_000_000_000_001 + np.arange(N) * 86_400 * 10**9
    regression = Regression("y ~ x", {"y": Y, "x": x})
    assert regression.notes == (
        "'x' holds whole numbers beyond 2^53, of which double precision keeps 16 digits",
    )


# --- levels ---------------------------------------------------------------------------------------

DAYS = pd.date_range("2024-01-01", periods=4, unit="ns")
LEVELS = {
    "intervals": pd.cut(X, [0, 40, 60, 80, 100]),
    "unordered intervals": pd.Series(pd.cut(X, [0, 40, 60, 80, 100])).astype(object),
    "dates": DAYS[X % 4],
    "categories of dates": pd.Categorical(DAYS[X % 4]),
    "dates of Python": [day.date() for day in DAYS[X % 4]],
    "moments": DAYS[X % 4] + pd.Timedelta(1, unit="ns"),
    "time zone": DAYS[X % 4].tz_localize("Europe/Berlin"),
    "periods": DAYS[X % 4].to_period("D"),
    "durations": DAYS[X % 4] - DAYS[0],
    "bools": X > 60,
    "categories of bools": pd.Categorical(X > 60),
    "ints": X % 11,
    "floats": (X % 11) / 4,
    "categories of ints": pd.Categorical(X % 11),
    "decimals": [Decimal(int(value)) / 4 for value in X % 11],
    "bytes": np.array([b"a", b"b", b"c"])[X % 3],
    "mixed": pd.Categorical([("a", 1, 2.5)[value] for value in X % 3]),
    "accents": [("e\u0301", "e", "a")[value] for value in X % 3],
    "arrow text": arrow([("b", "a")[value] for value in X % 2], pyarrow.string()),
    "arrow dates": arrow([day.date() for day in DAYS[X % 4]], pyarrow.date32()),
    "polars categories": polars.Series([("b", "a")[v] for v in X % 2], dtype=polars.Categorical),
    "polars Enum": polars.Series([("b", "a")[v] for v in X % 2], dtype=polars.Enum(["b", "a"])),
    "polars dates": polars.Series([day.date() for day in DAYS[X % 4]]),
}


@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | g)", "y ~ C(g)", "y ~ x + (x | g:k)"])
def test_the_very_table_of_the_fit_has_the_levels_of_the_fit(kind, formula, tmp_path):
    """Read back from the file, of every type; a single row has them too."""
    table = to_frame({"y": Y, "x": X, "k": Z % 2, "g": LEVELS[kind]})
    design, columns = make_design(formula, table)
    evaluated = reopened(formula, columns, tmp_path)
    for rows in (slice(None), slice(3, 4)):
        x, _, _, groups, _ = evaluate_new(evaluated, table.iloc[rows])
        np.testing.assert_array_equal(x, design.x[rows])
        for term, fitted in zip(groups, design.groups, strict=True):
            assert term.levels == fitted.levels
            np.testing.assert_array_equal(term.index, fitted.index[rows])


@pytest.mark.parametrize(
    ("fitted", "new"),
    [
        ([1, 2, 10], ["1", "2", "10"]),
        (["1", "2", "10"], [1.0, 2.0, 10.0]),
        ([1, 2, 10], np.array([1, 2, 10], "uint8")),
        ([1, 2, 10], decimals([1, 2, 10])),
        ([True, False, True], ["True", "False", "True"]),
        (DAYS[:3], ["2024-01-01", "2024-01-02", "2024-01-03"]),
        ([day.date() for day in DAYS[:3]], DAYS[:3]),
        (DAYS[:3].to_period("D"), DAYS[:3]),
        (list("abc"), pd.Categorical(list("abc"), list("cba"))),
        (list("abc"), polars.Series(list("abc"), dtype=polars.Enum(list("xcba")))),
        (list("abc"), pyarrow.array(list("abc")).dictionary_encode()),
        (["e\u0301", "b", "c"], ["\u00e9", "b", "c"]),
        (pd.IntervalIndex.from_breaks([0, 1, 2, 3]), pd.IntervalIndex.from_breaks([0.0, 1, 2, 3])),
        # as a file has them
        (pd.IntervalIndex.from_breaks([0.0, 1, 2, 3]), ["(0.0, 1.0]", "(1.0, 2.0]", "(2.0, 3.0]"]),
        (["(0.0, 1.0]", "(1.0, 2.0]", "(2, x]"], ["(0, 1]", "(1.0, 2.0]", "(2, x]"]),
    ],
    ids=str,
)
def test_levels_are_found_by_how_they_are_written(fitted, new):
    """Whatever the types of either table."""

    def table(values):
        column = (
            pyarrow.table({"g": values}).to_pandas()["g"]
            if hasattr(values, "to_pylist")
            else values
        )
        return (
            to_frame({"y": Y[:3], "x": X[:3], "g": column})
            .loc[[0, 1, 2] * 3]
            .reset_index(drop=True)
        )

    data = table(fitted).assign(y=Y[:9], x=X[:9])
    for formula in ("y ~ x + (1 | g)", "y ~ C(g)"):
        design, columns = make_design(formula, data)
        new_rows = table(new).assign(x=X[:9])
        x, _, _, groups, _ = evaluate_new(evaluate({"": formula}, columns), new_rows)
        np.testing.assert_array_equal(x, design.x)
        for term, group in zip(groups, design.groups, strict=True):
            np.testing.assert_array_equal(term.index, group.index)


@given(st.integers(-(2**80), 2**80))
def test_equal_whole_numbers_are_written_alike(value):
    kinds = [int, Decimal, str]
    if float(value) == value:
        kinds += [float, np.float64]
    if abs(value) < 2**63:
        kinds += [np.int64]
    assert {label(kind(value)) for kind in kinds} == {str(value)}


SIZES = ("low", "mid", "high")


@pytest.mark.parametrize(
    ("column", "levels"),
    [
        ([10, 9, 2], ("2", "9", "10")),
        (pd.Categorical(SIZES, [*SIZES, "none"], ordered=True), SIZES),
        (polars.Series(SIZES, dtype=polars.Enum(["none", *SIZES])), SIZES),
        (pd.Categorical(SIZES, SIZES), ("high", "low", "mid")),
        (pd.IntervalIndex.from_breaks([0, 9, 10, 100]), ("(0, 9]", "(9, 10]", "(10, 100]")),
        ([Decimal("10.5"), Decimal("9.5"), Decimal("2.5")], ("2.5", "9.5", "10.5")),
    ],
    ids=["ints", "ordered", "Enum", "unordered", "intervals", "decimals"],
)
def test_levels_have_the_order_of_their_values_or_their_own(column, levels):
    """Those that do not occur are no levels."""
    data = to_frame({"g": column}).loc[[0, 1, 2] * 3].assign(y=Y[:9])
    design, _ = make_design("y ~ 1 + (1 | g)", data)
    assert design.groups[0].levels == levels
    design, _ = make_design("y ~ C(g)", data)
    assert design.coefficients[1:] == tuple(f"C(g)[{level}]" for level in levels[1:])


def test_a_number_may_be_a_trend_and_a_group():
    """The group's levels are still written as whole numbers."""
    design, _ = make_design("y ~ t + (1 | t)", pd.DataFrame({"y": Y, "t": 2001 + X % 5}))
    np.testing.assert_array_equal(design.x[:, 1], 2001 + X % 5)
    assert design.groups[0].levels == ("2001", "2002", "2003", "2004", "2005")


def test_a_reference_level_is_named_by_its_number():
    for kind in ("int8", float, "Int64"):
        data = pd.DataFrame({"y": Y, "g": X % 3}).astype({"g": kind})
        design, _ = make_design("y ~ T(g, ref=1)", data)
        assert design.coefficients == ("Intercept", "T(g, ref=1)[0]", "T(g, ref=1)[2]")


# --- dates ----------------------------------------------------------------------------------------

ORDER = RNG.permutation(N)
DATES = pd.date_range("2023-12-25", periods=N, unit="s")[ORDER]
PYTHON_DATES = [date.date() for date in DATES]
WAYS = {
    **{unit: DATES.astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")},
    "Python's": PYTHON_DATES,
    "text": DATES.strftime("%Y-%m-%d"),
    "periods": DATES.to_period("D"),
    "time zone": DATES.tz_localize("UTC"),
    "arrow date": arrow(PYTHON_DATES, pyarrow.date32()),
    "arrow moment": arrow(DATES.to_pydatetime(), pyarrow.timestamp("us", "UTC")),
    "polars date": polars.Series(PYTHON_DATES),
    "polars moment": polars.Series(list(DATES.to_pydatetime())).dt.replace_time_zone("UTC"),
    "numpy days": DATES.to_numpy("datetime64[D]"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_date_is_a_number_of_days_since_the_first_of_the_fit(way, tmp_path):
    """In new data too, also before it; and the object says so."""
    table = to_frame({"y": Y, "d": WAYS[way]})
    regression = Regression("y ~ d + I(d**2)", table.iloc[ORDER.argsort()[2:]])
    np.testing.assert_array_equal(regression.design.x[:, 1], np.arange(N - 2))
    zone = "T00:00:00+00:00" if "zone" in way or "moment" in way else ""
    assert regression.notes == (f"'d' counts days since 2023-12-27{zone}",)
    x, *_ = evaluate_new(reopened("y ~ d + I(d**2)", regression._frame, tmp_path), table)
    np.testing.assert_array_equal(x[:, 1], ORDER - 2.0)
    np.testing.assert_array_equal(x[:, 2], (ORDER - 2.0) ** 2)


def test_time_stamps_keep_their_precision():
    """A nanosecond in a day of the year 2024 is 1e-14, of which 16 digits are left."""
    nanoseconds = np.arange(N)
    data = pd.DataFrame(
        {
            "y": Y,
            "d": pd.Timestamp("2024-05-01 12:34:56").as_unit("ns") + pd.to_timedelta(nanoseconds),
        }
    )
    design, _ = make_design("y ~ d", data)
    np.testing.assert_allclose(design.x[:, 1] * 86_400e9, nanoseconds, rtol=1e-15)


@pytest.mark.parametrize(
    "column",
    [
        pd.to_timedelta(X, unit="h"),
        [datetime.timedelta(hours=int(hours)) for hours in X],
        polars.Series([datetime.timedelta(hours=int(hours)) for hours in X]),
        arrow([datetime.timedelta(hours=int(hours)) for hours in X], pyarrow.duration("s")),
    ],
    ids=["pandas", "Python", "polars", "arrow"],
)
def test_a_duration_is_a_number_of_days(column, tmp_path):
    table = to_frame({"y": Y, "d": column})
    design, columns = make_design("y ~ d", table)
    np.testing.assert_allclose(design.x[:, 1], X / 24, rtol=1e-15)
    assert notes(columns) == ("'d' counts days",)
    x, *_ = evaluate_new(reopened("y ~ d", columns, tmp_path), table.iloc[3:5])
    np.testing.assert_array_equal(x, design.x[3:5])


def test_a_time_of_day_is_a_part_of_a_day():
    times = [datetime.time(int(hour) % 24, 30) for hour in X]
    for column in (times, polars.Series(times), arrow(times, pyarrow.time64("us"))):
        design, _ = make_design("y ~ d", to_frame({"y": Y, "d": column}))
        np.testing.assert_allclose(design.x[:, 1], (X % 24 + 0.5) / 24, rtol=1e-15)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "columns", "complaint"),
    [
        ("y ~ x", {"x": X + 1j}, "column 'x' holds complex numbers"),
        ("x ~ z", {"x": X + 1j}, "column 'x' holds complex numbers"),
        ("y ~ x", {"x": [[1, 2]] * N}, "cells of type list"),
        ("y ~ x", {"x": [*X[1:], "?"]}, "'x' holds '\\?', which is no number, in row 29"),
        ("y ~ x", {"x": [*DATES.astype(str)[1:], "?"]}, "holds '\\?', which is no date, in row 29"),
        ("y ~ x", {"x": ["2024-02-30", *DATES.astype(str)[1:]]}, "'2024-02-30', which is no date"),
        ("y ~ x", {"x": ["01.02.2024", "02.02.2024"] * 15}, "write dates as YYYY-MM-DD"),
        ("y ~ x", {"x": ["0,5", "1,0"] * 15}, "'0,5'; convert it to numbers first, or write C"),
        ("y ~ x", {"x": ["$1,000.50", "$3"] * 15}, "convert it to numbers first"),
        ("y ~ x", {"x": ["10%", "20 %"] * 15}, "convert it to numbers first"),
        ("x ~ z", {"x": DATES}, "response 'x' holds dates or durations"),
        (
            "y ~ x",
            {"x": pd.Series(X, index=range(1, N + 1)), "y": pd.Series(Y)},
            "different indexes",
        ),
        ("y ~ x", {"y": [], "x": [], "z": []}, "the data have no rows"),
    ],
)
def test_what_no_formula_can_use_is_refused_in_one_line(formula, columns, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        make_design(formula, to_frame({"y": Y, "z": Z, **columns}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        ({"x": DATES}, "column 'x' holds dates in the new data .*, where the fit has numbers"),
        ({"x": X.astype(str)}, "column 'x' holds numbers as text"),
        ({"x": ["a"] * N}, "column 'x' holds labels in the new data"),
        ({"d": X}, "column 'd' holds numbers in the new data .*, where the fit has dates"),
        ({"d": DATES.tz_localize("UTC")}, "column 'd' has a time zone in one"),
        ({"k": ["c"] * N}, "column 'k' holds 'c', which the fit has not seen"),
    ],
)
def test_new_data_of_another_kind_are_refused_in_one_line(new, complaint):
    table = {"y": Y, "x": X, "d": DATES, "k": ["a", "b"] * 15}
    _, columns = make_design("y ~ x + d + k", to_frame(table))
    with pytest.raises(InputError, match=complaint) as error:
        evaluate_new(evaluate({"": "y ~ x + d + k"}, columns), to_frame({**table, **new}))
    assert "\n" not in str(error.value)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "formula"),
    [
        ((0, 1), "`0` ~ `1`"),
        (("y", "Gro\u0308\u00dfe"), "y ~ Gr\u00f6\u00dfe"),
        (("y", "Gr\u00f6\u00dfe"), "y ~ Gro\u0308\u00dfe"),
        (("u\u0308", "x"), {"\u00fc": "~ x"}),
    ],
    ids=["numbers", "decomposed column", "decomposed formula", "decomposed response"],
)
def test_columns_are_found_by_their_text_and_composed_accents(names, formula):
    for make in (pd.DataFrame, dict):
        table = make({names[0]: Y, names[1]: X})
        design, columns = make_design(formula, to_frame(table))
        np.testing.assert_array_equal(design.x[:, 1], X)
        x, *_ = evaluate_new(evaluate(split_formulas(formula), columns), to_frame(table))
        np.testing.assert_array_equal(x, design.x)


@pytest.mark.parametrize(
    ("formula", "names", "complaint"),
    [
        ("y ~ x", ["y", "x", "x"], "several columns named 'x'"),
        ("y ~ x + a:x + `a:x`", ["y", "x", "a", "a:x"], "two terms .* are called 'a:x'"),
        ("y ~ 0 + Intercept + x", ["y", "x", "Intercept"], "have the name 'Intercept'"),
        ("y ~ Intercept", ["y", "Intercept"], "are called 'Intercept'"),
        ("y ~ C(a) + `C(a)[1]`", ["y", "a", "C(a)[1]"], "2 coefficients have the name"),
    ],
)
def test_two_things_of_one_name_are_refused(formula, names, complaint):
    """Formulae would keep one of them without a word."""
    values = np.column_stack([Y, X, X % 3, Z])[:, : len(names)]
    if "C(a)" in formula:
        values[:, 1] = X % 2
    with pytest.raises(InputError, match=complaint):
        make_design(formula, pd.DataFrame(values, columns=names))


# --- terms that add nothing -----------------------------------------------------------------------

TERMS = pd.DataFrame({"y": Y, "x": X, "z": Z, "g": X % 3, "k": ["a", "b"] * 15, "one": "only"})


@pytest.mark.parametrize(
    ("formula", "complaint"),
    [
        ("y ~ x**2", "write I\\(x\\*\\*2\\)"),
        ("y ~ z + (x)**3", "write I"),
        ("y ~ x*x", "write I\\(x\\*\\*2\\)"),
        ("y ~ z + x:x", "write I\\(x\\*\\*2\\)"),
        ("y ~ z + (x**2 | g)", "write I\\(x\\*\\*2\\)"),
        ("y ~ x - nosuch", "takes 'nosuch' away, which is not there"),
        ("y ~ x - z", "takes 'z' away"),
        ("y ~ x*z - z:x", "takes 'z:x' away"),
        ("y ~ x + one", "'one' has the single level 'only', so that 'one' .* adds nothing"),
        ("y ~ x*one", "'one' has the single level 'only'"),
        ("y ~ 0 + x + C(one)", "'one' has the single level 'only', so that 'C\\(one\\)'"),
        ("y ~ x + (one | g)", "'one' has the single level 'only'"),
        ("y ~ x + C(z > 0)", "'C\\(z > 0\\)' .* has a single level and adds nothing"),
    ],
)
def test_a_term_that_adds_nothing_is_refused(formula, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        make_design(formula, TERMS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("formula", "coefficients"),
    [
        ("y ~ (x + z)**2", ("Intercept", "x", "z", "x:z")),
        ("y ~ x*z - x:z", ("Intercept", "x", "z")),
        ("y ~ x - 1", ("x",)),
        ("y ~ x + I(x**2) - 1", ("x", "I(x ** 2)")),
        ("y ~ x + {x - z}", ("Intercept", "x", "I(x - z)")),
    ],
)
def test_terms_that_add_something_are_not(formula, coefficients):
    assert make_design(formula, TERMS)[0].coefficients == coefficients


# --- what belongs to rows -------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["weights", "offset", "measurement_error"])
def test_a_series_belongs_to_the_rows_of_its_labels(what):
    data = pd.DataFrame({"y": Y, "x": X}, index=RNG.permutation(N))
    whole = pd.Series(1.0 + np.arange(N), index=data.index)
    for series in (whole, whole.sample(frac=1, random_state=1), whole.astype("Float64")):
        design, _ = make_design("y ~ x", data, **{what: series})
        np.testing.assert_array_equal(getattr(design, what), whole)
        design, _ = make_design("y ~ x", data.iloc[3:], **{what: series})
        np.testing.assert_array_equal(getattr(design, what), whole[3:])
    design, _ = make_design("y ~ x", data, **{what: whole.to_numpy()})
    np.testing.assert_array_equal(getattr(design, what), whole)
    for index in (range(1, N + 1), [0] * N, list(map(str, range(N)))):
        with pytest.raises(InputError, match="Series with another index than the data"):
            make_design("y ~ x", data, **{what: whole.set_axis(index)})


@pytest.mark.parametrize("values", [X + 1j, DATES, ["a"] * N], ids=["complex", "dates", "text"])
def test_what_belongs_to_rows_is_numbers(values):
    with pytest.raises(InputError, match="the weights must be numbers"):
        make_design("y ~ x", pd.DataFrame({"y": Y, "x": X}), weights=values)


@pytest.mark.parametrize("kind", ["Int64", "double[pyarrow]", "Float32"])
def test_rows_without_a_value_of_any_type_are_dropped(kind):
    """Also NaN where the type tells it from a missing value."""
    table = pd.DataFrame({"y": Y, "x": pd.array([None, *X[1:]], dtype=kind)})
    design, _ = make_design("y ~ I(x**2)", table, weights="x", drop_missing=True)
    np.testing.assert_array_equal(design.x[:, 1], X[1:] ** 2.0)
    np.testing.assert_array_equal(design.weights, X[1:])
    table = pyarrow.table({"y": Y, "x": np.r_[np.nan, X[1:]]})
    assert len(make_design("y ~ x", to_frame(table), drop_missing=True)[1]) == N - 1
