"""Tables of any library become the same design; missing values are dropped only on demand."""

import numpy as np
import pandas as pd
import polars
import pytest

from robust_dist._errors import InputError
from robust_dist.regression import Regression
from robust_dist.regression.datatree import row_labels
from robust_dist.regression.design.formula import make_design
from robust_dist.regression.design.frame import to_frame

DATA = {
    "y": np.array([1.0, 3.0, 2.0, 5.0, 4.0, 7.0]),
    "n": np.array([1, 2, 3, 4, 5, 6]),
    "g": np.array(["a", "b", "a", "b", "a", "b"]),
    "flag": np.array([True, False, False, True, True, False]),
}


@pytest.mark.parametrize(
    "data",
    [DATA, pd.DataFrame(DATA), polars.DataFrame(DATA), polars.LazyFrame(DATA)],
    ids=["dict", "pandas", "polars", "lazy polars"],
)
def test_every_table_gives_the_same_design(data):
    design, _ = make_design("y ~ n + g + flag", to_frame(data))
    assert design.coefficients == ("Intercept", "n", "g[b]", "flag")
    np.testing.assert_array_equal(design.x[:, 1], DATA["n"])
    np.testing.assert_array_equal(design.x[:, 2], DATA["g"] == "b")
    np.testing.assert_array_equal(design.y, DATA["y"])


def test_what_is_written_into_the_frame_later_is_not_fitted():
    """The fit shares the frame's memory, but not its changes."""
    data = pd.DataFrame(DATA)
    regression = Regression("y ~ n", data)
    data.loc[:, "n"] = -1
    np.testing.assert_array_equal(regression._frame["n"], DATA["n"])


@pytest.mark.parametrize(
    ("index", "labels"),
    [
        (pd.RangeIndex(1, 7), [1, 2, 3, 4, 5, 6]),
        (pd.Index([3, 1, 2, 9, 8, 7], dtype="Int64"), [3, 1, 2, 9, 8, 7]),
        (pd.Index(list("pqrstu")), list("pqrstu")),
        (pd.Index([0.5, 1, 2, 3, 4, 5]), ["0.5", "1.0", "2.0", "3.0", "4.0", "5.0"]),
        (pd.Index(["a", 1, 2, 3, 4, 5], dtype=object), ["a", "1", "2", "3", "4", "5"]),
    ],
    ids=["range", "nullable", "text", "numbers", "mixed"],
)
def test_rows_are_named_by_whole_numbers_or_text(index, labels):
    """As a file can hold them."""
    assert list(row_labels(index)) == labels


def test_missing_values_of_polars_are_missing():
    data = polars.DataFrame({**DATA, "n": [1, None, 3, 4, 5, 6]})
    with pytest.raises(InputError, match="column 'n' has no value \\(NaN\\) in row 1;"):
        Regression("y ~ n", data)
    with pytest.raises(InputError, match="column 'g' has no value \\(NaN\\) in row 2;"):
        Regression("y ~ g", polars.DataFrame({**DATA, "g": ["a", "b", None, "b", "a", "b"]}))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"y": [1, 2, 3], "n": [1, 2]}, "the columns make no table"),
        ([1, 2, 3], "the data are a list, which is no table"),
    ],
)
def test_what_is_no_table_is_refused(data, complaint):
    with pytest.raises(InputError, match=complaint):
        Regression("y ~ n", data)


def test_rows_with_missing_values_are_dropped_on_demand_and_counted():
    """Also what belongs to them, and only for columns that the formula uses."""
    data = pd.DataFrame({**DATA, "other": np.nan}, index=list("pqrstu"))
    data.loc["q", "n"] = np.nan
    offset = np.arange(6.0)
    offset[3] = np.nan
    regression = Regression("y ~ n", data, offset=offset, drop_missing=True)
    assert regression.dropped == 2
    assert regression.design.rows.tolist() == ["p", "r", "t", "u"]
    np.testing.assert_array_equal(regression.design.offset, [0, 2, 4, 5])
    with pytest.raises(InputError, match="row q; fill it in"):
        Regression("y ~ n", data)
    with pytest.raises(InputError, match="nothing is left"):
        Regression("y ~ other", data, drop_missing=True)


def test_a_dropped_row_does_not_shift_the_lines_of_the_file(tmp_path):
    from robust_dist.datasets import read_csv

    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n,3\n4,5\n6,inf\n8,9\n")
    with pytest.raises(InputError, match="row 4 \\(line 5 of the file\\)"):
        Regression("y ~ x", read_csv(path), drop_missing=True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"weights": "zz"}, "no column 'zz'"),
        ({"weights": [1.0, 2.0]}, r"weights have the shape \(2,\); give one number"),
        ({"weights": "g"}, "the weights must be numbers; there are others in column 'g'"),
        ({"weights": [1, 1, 0, 1, 1, 1]}, "weights must be positive and finite, not 0 in row 2"),
        ({"measurement_error": [1, 1, 1, -1, 1, 1]}, "measurement error must be positive"),
        ({"offset": [0, 0, np.inf, 0, 0, 0]}, "offset must be finite, not inf in row 2"),
        # single precision, of the sampler, would make zeros and infinities of them
        ({"weights": np.full(6, 1e-300)}, "weights hold 1e-300, beyond single precision, in rows"),
        ({"weights": [1, 1, 1, 1e40, 1, 1]}, "weights hold 1e.40, beyond single precision, in row"),
        ({"measurement_error": np.full(6, 1e-40)}, "measurement error hold 1e-40, beyond"),
        ({"offset": [0, 0, 0, 0, 0, -1e200]}, "offset hold -1e.200, beyond single precision"),
    ],
)
def test_what_belongs_to_rows_is_checked(arguments, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        Regression("y ~ n", DATA, **arguments)
    assert "\n" not in str(error.value)


def test_levels_of_groups_may_be_numbers_as_text():
    """They only name; as a predictor such a column is a mistake."""
    data = {**DATA, "id": np.array(["01", "02", "03", "01", "02", "03"])}
    (term,) = Regression("y ~ n + (1 | id)", data).design.groups
    assert term.levels == ("01", "02", "03")
    with pytest.raises(InputError, match="numbers as text"):
        Regression("y ~ id", data)
