"""Fits of published data agree with what their authors found."""

import numpy as np
import pytest

from robust_dist.datasets import load
from robust_dist.regression import Regression


def slope(likelihood, priors):
    """Return the 95% interval of the slope of Hogg et al., with their known errors."""
    data = load("hogg2010")
    regression = Regression("y ~ x", data, likelihood, priors, measurement_error="sigma_y")
    draws = regression.fit(draws=1000, warmup=500, seed=1)["posterior"]["beta"]
    return np.quantile(draws.sel(coefficient="x"), [0.025, 0.975])


@pytest.mark.parametrize("priors", [{}, {"sigma": 1.0}], ids=["errors scale", "errors are it"])
def test_known_errors_of_hogg_give_the_slope_of_the_inliers(priors):
    """2.24 +- 0.11 is the slope once the outliers are removed by hand (Hogg et al., figure 2)."""
    low, high = slope("general_robust", priors)
    assert low < 2.24 < high


def test_known_errors_of_hogg_mislead_the_normal_law():
    low, high = slope("normal", {})
    assert not low < 2.24 < high
