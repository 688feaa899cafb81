"""A formula may say what is listed and nothing else, and is checked before it is evaluated."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from fits import made_up
from hypothesis import example, given, settings
from hypothesis import strategies as st

from robust_dist import plots
from robust_dist._errors import InputError
from robust_dist.regression import Regression, predict, training_data
from robust_dist.regression.design.formula import evaluate, evaluate_new, make_design
from robust_dist.regression.design.functions import (
    BASES,
    CATEGORICAL,
    ELEMENTWISE,
    LISTED,
    REMEMBERING,
)
from robust_dist.regression.design.grammar import read_formula


def table(n=24, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.uniform(0.1, 0.9, n),
            "z": rng.uniform(0.1, 0.9, n),
            "g": np.resize(["a", "b", "c"], n),
            "k": np.repeat(["p", "q"], n // 2),
        }
    )


def refused(formula, data=None, **options):
    """Return the one line with which a formula is refused."""
    with pytest.raises(InputError) as error:
        make_design(formula, table() if data is None else data, **options)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 1100
    return message


# --- what runs ----------------------------------------------------------------------------------

HOSTILE = [
    "np.f2py.os.system('touch {marker}')",
    "numpy.f2py.os.system('touch {marker}')",
    "np.load('{marker}')",
    "np.savetxt('{marker}', x)",
    "x.to_csv('{marker}')",
    "x.values.tofile('{marker}')",
    "open('{marker}', 'w')",
    "exec('open(0)')",
    "I(np.f2py.os.system('touch {marker}') + x)",
    "bs(x, df=np.f2py.os.system('touch {marker}'))",
    "C(g, Treatment(np.f2py.os.system('touch {marker}')))",
    "C(g, np.f2py.os.system('touch {marker}'))",
    "log(x, out=np.f2py.os.system('touch {marker}'))",
    "log(np.savetxt('{marker}', x))",
    "minimum(x, x.to_csv('{marker}'))",
    "(x | np.savetxt('{marker}', g))",
    "np.log.__class__('touch')",
    "np.log.__init__.__globals__.get('os')(x)",
    "center.__init__(x)",
    "log(x)(x)",
    "(log)(x)",
    "`np.savetxt`('{marker}', x)",
    "'np.log'(x)",
]


@pytest.mark.parametrize("term", HOSTILE)
@pytest.mark.parametrize("side", ["y ~ {}", "y ~ x - {}", "{} ~ x", "y ~ (1 | {})", "y ~ z:{}"])
def test_no_formula_runs_what_is_not_listed(term, side, tmp_path):
    marker = tmp_path / "marker"
    refused(side.format(term.format(marker=marker)))
    assert not marker.exists()


@pytest.mark.parametrize("term", HOSTILE[:4])
def test_no_formula_of_a_file_runs_what_is_not_listed(term, tmp_path):
    """Neither in prediction nor where a picture or a diagnostic makes the design anew."""
    marker = tmp_path / "marker"
    dt = saved_fit(f"y ~ x + {term.format(marker=marker)}")
    with pytest.raises(InputError, match="there is no function"):
        predict(dt, {"x": [0.0]})
    dt["constant_data"] = dt["constant_data"].to_dataset().drop_vars("x")
    for reader in (plots.plot_fit, plots.plot_weights, predict):
        with pytest.raises(InputError, match="there is no function"):
            reader(dt)
    assert not marker.exists()


def saved_fit(formula):
    """Return a DataTree as a fit of ``y ~ x`` would be, that says it is of this formula."""
    dt = made_up()
    frame = {"y": dt["observed_data"]["y"].values, "x": dt["constant_data"]["x"].values[:, 1]}
    columns = pd.DataFrame(frame)
    columns.attrs["since"] = {}
    training_data.save(dt, {"": formula}, columns)
    return dt


WORDS = [
    *("y", "x", "~", "+", "-", "*", "/", ":", "**", "|", "(", ")", "{", "}", "[", "]", ",", "="),
    *("==", "<", ">=", "!=", "0", "1", "2", "1.5", "True", "None", "'a'", '"', "`x`", "`", "."),
    *("log", "np.log", "np.f2py.os.system", "x.mean", "__import__", "I", "C", "T", "bs", "scale"),
    *("Treatment", "where", "minimum", "round", "g", "\x1b", "\n", "é", "²", "\ud800"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
@example("x ** 99999999")
@example("score | cens(sex) ~ x")
def test_any_text_is_a_formula_or_refused_in_one_line(text):
    """And no text that is evaluated fails with anything but a line."""
    data = table()
    with warnings.catch_warnings(action="error"):
        try:
            make_design(text, data)
        except InputError as error:
            lines = str(error).splitlines()
        else:
            lines = ["a formula"]
    assert len(lines) == 1
    pd.testing.assert_frame_equal(data, table())  # which no formula writes into


NAME = st.one_of(
    st.sampled_from(["np.f2py.os.system", "np.random.normal", "x.mean", "__import__", "eval"]),
    st.from_regex(r"[a-z][a-z_0-9]{0,8}(\.[a-z_]{1,9}){0,3}", fullmatch=True),
)


@settings(max_examples=50, deadline=None)
@given(NAME, st.sampled_from(["{}(x)", "log({}(x))", "I(x + {}(x))", "T(g, {}(x))", "{}(x) * z"]))
def test_only_listed_names_are_called(name, place):
    bare = name.removeprefix("np.").removeprefix("numpy.")
    if name in LISTED or (name != bare and bare in ELEMENTWISE):
        return
    with pytest.raises(InputError):
        read_formula(f"y ~ {place.format(name)}")


# --- what is listed -----------------------------------------------------------------------------


def call(name):
    """Return a call with as many columns as the function takes."""
    arguments = ["x", "z", "x"][: ELEMENTWISE[name].arguments[0]]
    first = "x > z" if name == "where" else arguments[0]
    return f"{name}({', '.join([first, *arguments[1:]])})"


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_listed_function_takes_each_row_alone(name):
    """So that new rows mean what they meant in the fit; under NumPy's prefixes too."""
    data = table()
    rows = np.random.default_rng(1).permutation(len(data))[:7]
    formula = f"y ~ 0 + {call(name)} + np.{call(name)} + numpy.{call(name)}"
    whole, part = (
        np.asarray(evaluate({"": formula}, frame).location.common.design_matrix, float)
        for frame in (data, data.iloc[rows])
    )
    np.testing.assert_array_equal(whole[rows], part)
    np.testing.assert_array_equal(whole, whole[:, [0, 0, 0]])


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_no_function_is_given_an_array_to_write_into(name):
    """A ufunc takes one more argument than it needs as its output."""
    data = table()
    more = call(name)[:-1] + ", z" * (1 + len(ELEMENTWISE[name].arguments))
    for extra in (f"{more})", f"{call(name)[:-1]}, out=z)", f"{call(name)[:-1]}, where=z)"):
        assert "argument" in refused(f"y ~ {extra}", data)
    pd.testing.assert_frame_equal(data, table())


@pytest.mark.parametrize(
    "term",
    [
        *(f"{name}(x)" for name in REMEMBERING),
        *(f"{name}(g)" for name in CATEGORICAL),
        *(f"{name}(x, df=4)" for name in BASES if name not in ("cc", "poly")),
        *(
            "cc(x, period=1, df=4)",
            "poly(x, 2)",
            "I(x**2)",
            "{x / z}",
            "C(g, Sum('a'))",
            "C(g, Treatment('b'))",
        ),
        *("T(g, 'b')", "bs(log(x), df=3, lower_bound=-9)", "I(g == 'b')", "I(2 * x - 1)"),
        *("where(g == 'a', x, 0)", "round(x, 1)", "scale(log(x)) : g", "log(center(x) + 2)"),
        *("(x + I(z**2)) * (g + k)", "0 + (g + x) * k"),
    ],
)
def test_new_rows_mean_what_they_meant_in_the_fit(term):
    """Some rows of the fit, given as new ones, have the design that they had."""
    data = table()
    rows = np.arange(3, 20, 4)
    _, frame = make_design(f"y ~ {term}", data)
    evaluated = evaluate({"": f"y ~ {term}"}, frame)
    new = evaluate_new(evaluated, data.iloc[rows])[0]
    whole = np.asarray(evaluated.location.common.design_matrix, float)
    np.testing.assert_allclose(new, whole[rows], rtol=1e-12, atol=1e-12)  # of matrix products


@pytest.mark.parametrize(
    "call",
    ["np.mean(x)", "x.mean()", "np.max(x)", "x.std()", "x.rank()", "np.cumsum(x)", "np.sort(x)"],
)
def test_a_function_over_rows_is_refused_with_its_mend(call):
    """It would be taken anew from the rows of a prediction."""
    assert "write center(x) or scale(x)" in refused(f"y ~ I(x - {call})")


@pytest.mark.parametrize("call", ["np.random.normal(x)", "np.random.rand(24)", "random.random()"])
def test_a_function_that_draws_is_refused(call):
    assert "draws at random" in refused(f"y ~ x + {call}")


@pytest.mark.parametrize(
    ("formula", "mend"),
    [
        ("y ~ 1/x", "as I(1 / x)"),
        ("y ~ x/2", "as I(x / 2)"),
        ("y ~ x**1.5", "write I(x**2)"),
        ("y ~ x**2", "write I(x**2)"),
        ("y ~ x**z", "write I(x**2)"),
        ("y ~ x*x", "write I(x**2)"),
        ("y ~ x:x", "write I(x**2)"),
        ("y ~ x > 0", "'>'"),
        ("y ~ (x > 0)", "write I(x > 0)"),
        ("y ~ -x", "write I(-x)"),
        ("y ~ 'x'", "has none, or backticks"),
        ("y ~ True", "write 0 or 1"),
        ("y ~ g['a']", "write I(x == 'a')"),
        ("y ~ (0 | g)", "write (1 | g)"),
        ("y ~ (-1 | g)", "write (1 | g)"),
        ("y ~ (1 | g | k)", "write (x | g) + (x | h)"),
        ("y ~ (1 | C(g))", "any column makes groups"),
        ("score | cens(sex) ~ x", "one column"),
        ("y + x ~ x", "one column"),
        ("1 ~ x", "one column"),
        ("y ~ x - nosuch", "'nosuch' away, which is not there"),
        ("y ~ x - z", "'z' away, which is not there"),
        ("y ~ I(2)", "names no column"),
        ("y ~ log(2)", "names no column"),
        ("y ~ binary(g)", "write I(x == 'a')"),
        ("y ~ offset(x)", "give the offset beside the formula"),
        ("y ~ lgo(x)", "did you mean 'log'"),
        ("y ~ I(x * 'a')", "'a' is no number"),
        ("y ~ I(x : z)", "no meaning"),
        ("y ~ I(bs(x, df=3) * x)", "a term of its own"),
        ("y ~ I((-8)**(1/3) * x)", "complex"),
        ("y ~ I((x + 1)**2) + I(x + 1**2)", "two terms"),
        ("y ~ x - x", "adds 'x' and takes it away again"),
        ("y ~ z + log(x) - log(x)", "adds 'x' and takes it away again"),
        ("y ~ (1 | g) - (1 | g)", "adds 'g' and takes it away again"),
        ("y ~ (x | x)", "write (1 | x)"),
        ("y ~ (g | g:k)", "write (1 | g)"),
        ("y ~ x + y", "both sides"),
        ("log(y) ~ sqrt(y)", "both sides"),
        ("y ~ (1 | y)", "both sides"),
        ("y ~ (y | g)", "both sides"),
    ],
)
def test_a_formula_that_says_nothing_is_refused_with_its_mend(formula, mend):
    assert mend in refused(formula)


@pytest.mark.parametrize("formula", ["y ~ x*z - z", "I(y - x) ~ x", "y ~ (x | floor(x))"])
def test_a_column_may_stand_where_it_says_something(formula):
    """Part of a product whose own term is taken away; a change, predicted by where it began."""
    assert read_formula(formula).model.common_terms


def test_a_product_shares_no_coding_among_its_terms():
    """A factor is coded in full in one term and against a reference in another."""
    formula = "y ~ 0 + (g + x) * k"
    design, frame = make_design(formula, table())
    again = evaluate_new(evaluate({"": formula}, frame), frame)[0]
    np.testing.assert_array_equal(again, design.x)


# --- how far a formula may reach ------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ " + "(" * 10_000 + "x" + ")" * 10_000,
        "y ~ " + "(" * 60 + "x" + ")" * 60,
        "y ~ " + "abs(" * 1_000 + "x" + ")" * 1_000,
        "y ~ " + "{" * 1_000 + "x" + "}" * 1_000,
        "y ~ I(" + "-" * 5_000 + "x)",
        "y ~ " + "+" * 5_000 + "x",
        "y ~ I(" + "+".join(["x"] * 3_000) + ")",
        "y ~ " + " + ".join(["x"] * 3_000),
        "y ~ " + " * ".join(f"c{i}" for i in range(40)),
        "y ~ (" + " + ".join(f"c{i}" for i in range(30)) + ")**20",
        "y ~ ((x + z)**2 + g)**99999999",
        "y ~ " + "x + " * 300_000 + "z",
        "y ~ " + "x" * 10_000,
        "y ~ `" + "x" * 10_000 + "`",
        "y ~ I(x * " + "9" * 5_000 + ")",
        "y ~ I(x * " + "9" * 400 + ")",
        "y ~ I(9**9**9**9)",
        "y ~ I(x + 9**(9**(9**9)))",
        "y ~ I(x + power(9**300, 9**300))",
        "y ~ I('a' * 1000000000)",
        "y ~ I(g * 1000000000)",
        "y ~ I(I(g) * 1000000000)",
        "y ~ bs(x, df=1000000000)",
        "y ~ poly(x, 1000000000)",
        "y ~ tp(x, max_knots=1000000000)",
    ],
    ids=lambda formula: formula[:30],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_formula_out_of_reach_is_refused_before_it_is_expanded(formula):
    """In one line and at once: most of these would take all memory, or run for ever."""
    refused(formula)


def test_a_formula_may_be_long():
    """Formulae itself runs out of stack at some 490 terms."""
    names = [f"c{i}" for i in range(600)]
    assert len(read_formula(f"y ~ {' + '.join(names)}").model.common_terms) == 601


@pytest.mark.parametrize(
    "formula", ["y ~ log(g)", "y ~ I(x * g)", "y ~ poly(g, 2)", "y ~ scale(g)"]
)
def test_labels_are_not_computed_with(formula):
    assert "column 'g' holds labels" in refused(formula)


def test_numbers_in_a_formula_are_floats_and_keep_their_names():
    """A truth value times whole numbers would wrap around at 2**63."""
    design, _ = make_design("y ~ I((x > 0.5) * 10**18 * 100)", table())
    assert design.coefficients[1] == "I(x > 0.5 * 10 ** 18 * 100)"
    assert design.x[:, 1].max() == 1e20


# --- functions of the user ------------------------------------------------------------------------


def logit(p, shift=0.0):
    return np.log(p / (1 - p)) + shift


def test_a_user_adds_functions():
    """Positional and named arguments, text and columns reach them as they are."""

    def pick(labels, wanted):
        return np.where(labels == wanted, 1.0, 0.0)

    design, _ = make_design(
        "y ~ logit(x, shift=2) + pick(g, 'b')", table(), functions={"logit": logit, "pick": pick}
    )
    np.testing.assert_array_equal(design.x[:, 1], logit(table()["x"], 2))
    np.testing.assert_array_equal(design.x[:, 2], table()["g"] == "b")


def test_a_function_that_was_not_passed_is_named_with_its_mend():
    assert "functions={'logit': logit}" in refused("y ~ logit(x)")


@pytest.mark.parametrize(
    ("functions", "complaint"),
    [
        (5, "functions must map names"),
        ([logit], "functions must map names"),
        ({"log": logit}, "have a function 'log' already"),
        ({"C": logit}, "have a function 'C' already"),
        ({"f": 5}, "functions\\['f'\\] is a int"),
        ({"np.f": logit}, "cannot call 'np.f'"),
        ({1: logit}, "cannot call 1"),
        ({"_f": logit}, "cannot call '_f'"),
    ],
)
def test_functions_that_are_none_are_refused(functions, complaint):
    with pytest.raises(InputError, match=complaint):
        make_design("y ~ x", table(), functions=functions)


def test_a_failing_function_is_told_in_one_line():
    def fails(x):
        raise RuntimeError("first line\nsecond line")

    assert "first line second line" in refused("y ~ fails(x)", functions={"fails": fails})


def test_a_column_may_be_called_as_a_function_is():
    data = table().rename(columns={"x": "log", "z": "np"})
    design, _ = make_design("y ~ log(log) + np + np.exp(np)", data)
    np.testing.assert_array_equal(design.x[:, 1], np.log(data["log"]))
    np.testing.assert_array_equal(design.x[:, 3], np.exp(data["np"]))


def test_a_file_needs_the_functions_again():
    """Its own regression knows them; anybody else is told their name."""
    double = {"double": lambda x: 2 * x}
    dt = saved_fit("y ~ double(x)")
    names = ["Intercept", "double(x)"]
    for group in ("posterior", "constant_data"):
        dt[group] = dt[group].to_dataset().assign_coords(coefficient=names)
    new = {"x": [0.5, 1.0]}
    with pytest.raises(InputError, match=r"no function 'double'.*functions=\{'double': double\}"):
        predict(dt, new)
    beta = dt["posterior"]["beta"].values
    expected = beta @ np.array([[1.0, 1.0], [1.0, 2.0]])
    np.testing.assert_allclose(predict(dt, new, functions=double).values, expected, rtol=1e-12)
    data = {"y": dt["observed_data"]["y"].values, "x": np.linspace(-1, 1, 40)}
    regression = Regression("y ~ double(x)", data, functions=double)
    np.testing.assert_allclose(regression.predict(dt, new).values, expected, rtol=1e-12)
    dt["constant_data"] = dt["constant_data"].to_dataset().drop_vars("x")
    with pytest.raises(InputError, match="no function 'double'"):
        plots.plot_fit(dt)
    plots.plot_fit(dt, functions=double)


def test_a_file_cannot_name_what_is_no_column():
    """Else formulae would look the name up among functions."""
    with pytest.raises(InputError, match="no column 'np'"):
        predict(saved_fit("y ~ x + I(np)"), {"x": [0.0]})


def test_a_file_of_another_formula_is_refused():
    """Its coefficients would be taken for others."""
    with pytest.raises(InputError, match=r"makes the coefficients Intercept, I\(x \*\* 2\)"):
        predict(saved_fit("y ~ I(x**2)"), {"x": [0.0]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "5",
        "null",
        "[" * 100_000,
        '{"formulas": {}, "columns": []}',
        '{"formulas": [], "columns": []}',
        '{"formulas": {"": 5}, "columns": []}',
        '{"formulas": {"": "y ~ x", "nu": "x"}, "columns": []}',
        '{"formulas": {"": "y ~ x"}, "columns": []}',
        '{"formulas": {"": "y ~ x"}, "columns": 5}',
        '{"formulas": {"": "y ~ x"}, "columns": [{"name": "x"}]}',
        '{"formulas": {"": "y ~ x"}, "columns": [{"name": ["x"], "kind": "number"}]}',
        '{"formulas": {"": "y ~ x"}, "columns": [{"name": "x", "kind": "text"}]}',
        '{"formulas": {"": "y ~ x"}, "columns": [{"name": "x", "kind": "pickle"}]}',
    ],
    ids=lambda text: text[:40],
)
def test_a_state_that_cannot_be_read_is_told_in_one_line(text):
    dt = saved_fit("y ~ x")
    dt.attrs["design_state"] = text
    with pytest.raises(InputError) as error:
        predict(dt, {"x": [0.0]})
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "values",
    [np.full(40, -1), np.full(40, 7), np.zeros(40), np.zeros((40, 2), int), np.full(40, "a")],
    ids=["negative", "too large", "float", "matrix", "text"],
)
def test_levels_that_are_no_numbers_of_levels_are_refused(values):
    """Python would take -1 for the last of them."""
    dt = saved_fit("y ~ x")
    held = json.loads(dt.attrs["design_state"])
    held["columns"][1]["kind"] = "text"
    dt.attrs["design_state"] = json.dumps(held)
    dims = ("row", "column")[: values.ndim]
    data = dt[training_data.GROUP].to_dataset().drop_vars("column_1")
    dt[training_data.GROUP] = data.assign(column_1=(dims, values), levels_1=("level", ["a", "b"]))
    with pytest.raises(InputError, match=r"cannot be read|coefficients"):
        predict(dt, {"x": [0.0]})
