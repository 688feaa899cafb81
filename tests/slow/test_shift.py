"""Fits of the same curve, by NUTS, wherever its predictor is zero.

    pytest -o addopts= -s tests/slow/test_shift.py

The fitted mean of shifted predictors lies within 0.1 posterior standard deviations of that of the
data as they are, its standard deviation within 5 %, and a draw takes at most 1.5 times the steps.
Monte Carlo error is part of these figures: heavy tails of a coefficient make a standard deviation
of 4,000 draws uncertain by 2 to 4 % where the curve ends; 40,000 leave 1 %.
``ROBUST_DIST_SLOW=reduced`` fits one formula and one shift.
"""

import os

import numpy as np
import pandas as pd
import pytest

from robust_dist.regression import Regression

REDUCED = os.environ.get("ROBUST_DIST_SLOW") == "reduced"
FORMULAS = ["y ~ x + I(x**2)", "y ~ x * z", "y ~ x * C(k)", "y ~ bs(x, df=5)"]
SHIFTS = [60.0, 100.0, 2010.0, 1e5]


def fitted(formula, shift):
    """Return the mean and sd of the fitted values, and the steps of a draw."""
    rng = np.random.default_rng(0)
    x, z = np.linspace(-10, 10, 41), rng.normal(size=41)
    k = np.resize([1, 2, 5], 41)
    y = 5 + 0.2 * x**2 + x * z + k + rng.standard_t(3, 41)
    data = pd.DataFrame({"x": x + shift, "z": z, "k": k, "y": y})
    regression = Regression(formula, data)
    dt = regression.fit(seed=1, warmup=500, draws=10_000, progress=False)
    lines = regression.predict(dt, kind="linear").stack(sample=("chain", "draw"))
    steps = float(dt["sample_stats"]["n_steps"].mean())
    return lines.mean("sample").values, lines.std("sample").values, steps


@pytest.mark.parametrize("formula", FORMULAS[:2] if REDUCED else FORMULAS)
def test_the_fitted_curve_does_not_depend_on_where_x_is_zero(formula, record_property):
    mean, sd, steps = fitted(formula, 0.0)
    for shift in SHIFTS[-1:] if REDUCED else SHIFTS:
        shifted_mean, shifted_sd, shifted_steps = fitted(formula, shift)
        off = np.abs(shifted_mean - mean) / sd
        ratio = shifted_sd / sd
        figures = f"off by {off.max():.3f} sd, sd x {ratio.min():.3f} to {ratio.max():.3f}"
        record_property(f"{shift:g}", figures)
        print(f"{formula}, shift {shift:g}: {figures}, {shifted_steps:.1f} steps for {steps:.1f}")
        assert off.max() < 0.1
        assert np.abs(ratio - 1).max() < 0.05
        assert shifted_steps < 1.5 * steps
