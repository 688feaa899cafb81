"""The shipped data are the published ones, and rows have names that their user knows."""

import numpy as np
import pandas as pd
import pytest

from robust_dist._errors import InputError
from robust_dist.datasets import DATASETS, load, row_names

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


def test_rows_are_named_as_their_user_knows_them_and_ten_at_most():
    frame = pd.DataFrame({"y": np.zeros(12)}, index=[f"day{day}" for day in range(12)])
    assert row_names(frame, np.array([0])) == "row day0"
    assert row_names(frame, np.arange(12)).endswith("day8, day9 and 2 more")
