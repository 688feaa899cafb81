"""The shipped data are the published ones, and a user's CSV is read as its author meant it."""

import numpy as np
import pandas as pd
import pytest

from robust_dist._errors import InputError
from robust_dist.datasets import DATASETS, load, read_csv, row_names

# name: rows, a column, its sum; from the printed tables
SHAPES = {
    "stackloss": (21, "stack_loss", 368.0),
    "engel": (235, "income", 230881.2),
    "stars_cyg": (47, "log_light", 235.57),
    "hogg2010": (20, "y", 8389.0),
}


def test_every_dataset_is_listed_with_its_source():
    assert set(DATASETS) == set(SHAPES)
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert any(year in dataset.citation for year in ("1965", "1982", "1987", "2010"))


@pytest.mark.parametrize("name", SHAPES)
def test_data_are_complete_and_carry_the_formulas_columns(name):
    data = load(name)
    rows, column, total = SHAPES[name]
    assert len(data) == rows
    assert data[column].sum() == pytest.approx(total, rel=1e-4)  # totals above are rounded
    assert not data.isna().any(axis=None)
    assert DATASETS[name].formula.split(" ~ ")[0] in data


def test_hogg_has_the_measurement_errors():
    assert list(load("hogg2010")) == ["x", "y", "sigma_x", "sigma_y", "rho_xy"]


def test_unknown_dataset_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'stackloss'"):
        load("StackLos")


def test_rows_are_numbered_from_one_and_stray_blanks_dropped(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfx, y \r\n1, 2\r\n3, 4\r\n")  # as a spreadsheet may save it
    data = read_csv(path)
    pd.testing.assert_frame_equal(
        data,
        pd.DataFrame({"x": [1, 3], "y": [2, 4]}, index=pd.RangeIndex(1, 3, name="row")),
    )


def test_row_names_count_lines_as_an_editor_does(tmp_path):
    """A blank line and a line break inside quotes shift the lines after them."""
    path = tmp_path / "a.csv"
    path.write_text('g,y\na,1\n\n"b\nb",2\n,\nc,3\n')
    data = read_csv(path)
    assert row_names(data, np.arange(4)) == "rows 1, 2, 3, 4 (lines 2, 5, 6, 7 of the file)"
    assert row_names(data, np.array([1])) == "row 2 (line 5 of the file)"
    frame = pd.DataFrame({"y": np.zeros(12)}, index=[f"day{day}" for day in range(12)])
    assert row_names(frame, np.array([0])) == "row day0"
    assert row_names(frame, np.arange(12)).endswith("day8, day9 and 2 more")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"x,y\n", "has a header but no rows"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "is not a text file"),
        ("größe\n1\n".encode("latin-1"), "is not UTF-8"),
        (b"x;y\n1;2\n", "separated by semicolons"),
        (b"x\ty\n1\t2\n", "separated by tabs"),
        (b"x,y\n1,2,3\n3,4,5\n", "more fields than its header"),
        (b"x,y\n1,2\n1,2,3\n", "line 3"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content, complaint):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as error:
        read_csv(path)
    assert "bad.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_csv(tmp_path)
    with pytest.raises(InputError, match="no file"):
        read_csv(tmp_path / "none.csv")
