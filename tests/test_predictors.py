"""How far out a row lies in the predictors does not depend on their units, nor on such rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust_dist.optimize.distances import robust_distances
from robust_dist.regression import Regression


def columns(rows=60, size=3, key=0):
    return list(np.random.default_rng(key).normal(size=(size, rows)))


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3),
)
@settings(max_examples=20, deadline=None)
def test_shift_and_unit_of_a_predictor_do_not_matter(shifts, units):
    plain = columns()
    plain[0][:4] += 9.0
    moved = [s + u * c for s, u, c in zip(shifts, units, plain, strict=True)]
    # what a large shift leaves of a small unit
    lost = max(abs(s) / u for s, u in zip(shifts, units, strict=True)) * np.finfo(float).eps
    found, expected = robust_distances(moved), robust_distances(plain)
    np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-6 + 1e5 * lost)
    assert {*range(4)} <= {*found.far}


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_rows_far_out_do_not_move_what_they_are_measured_from(share):
    x = columns(100)
    bad = np.arange(int(100 * share))
    for column in x[:2]:
        column[bad] = 10 + 0.3 * np.random.default_rng(1).normal(size=bad.size)
    distances = robust_distances(x)
    assert (distances.weight[bad] < 1e-6).all()
    assert np.mean(distances.weight[bad.size :] > 0.5) > 0.9


def test_a_row_may_be_far_out_in_no_column_by_itself():
    x, e = np.random.default_rng(2).normal(size=(2, 100))
    z = x + 0.1 * e
    x[0], z[0] = 1.5, -1.5
    assert 0 in robust_distances([x, z]).far
    assert 0 not in robust_distances([x]).far


@pytest.mark.parametrize(
    "column",
    [
        np.arange(40) % 2,
        np.r_[np.zeros(37), np.ones(3)],
        np.arange(40) % 5,
        np.full(40, 3.0),
        np.arange(40) % 3 == 0,
    ],
    ids=["two values", "rare", "five values", "constant", "truth"],
)
def test_a_value_that_several_rows_share_is_not_far_out(column):
    assert robust_distances([column, *columns(40, 1)]).far.size <= 3
    assert robust_distances([column]).far.size == 0


def test_a_gross_outlier_is_seen_in_a_column_that_is_mostly_one_value():
    column = np.r_[np.zeros(30), np.random.default_rng(3).uniform(1, 3, 9), 1e6]
    assert robust_distances([column]).far.tolist() == [39]


def test_weights_fall_from_the_limit_to_twice_that():
    x = np.r_[np.linspace(-1, 1, 201), np.linspace(1, 20, 400)]
    distances = robust_distances([x])
    near = distances.distance <= 1
    np.testing.assert_array_equal(distances.weight[near], 1.0)
    assert (distances.weight[distances.distance >= 2] <= 1e-9).all()
    between = distances.weight[(distances.distance > 1) & (distances.distance < 2)]
    assert ((between > 0) & (between < 1)).all()
    assert (np.diff(distances.weight[200:]) <= 0).all()


def test_more_columns_than_rows_can_tell_are_looked_at_one_by_one():
    x = columns(12, 6)
    x[5][3] = 50.0
    assert 3 in robust_distances(x).far


def test_predictors_count_as_they_enter_the_formula():
    rng = np.random.default_rng(4)
    data = {
        "y": rng.normal(size=50),
        "x": rng.normal(size=50),
        "z": np.exp(rng.normal(size=50)),
        "w": rng.uniform(size=50),
        "k": list("ab") * 25,
    }

    def predictors(formula):
        return Regression(formula, data).design.predictors

    def same(found, expected):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other)

    same(predictors("y ~ x + I(x**2) + w + x:w"), [data["x"], data["w"]])
    same(predictors("y ~ log(z)"), [np.log(data["z"])])
    same(predictors("y ~ bs(w, df=4) + k"), [data["w"]])
    same(predictors("y ~ k"), [])
    assert Regression("y ~ k", data).distances is None
