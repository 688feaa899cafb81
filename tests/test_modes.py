"""The mode is the highest point, and what is none says so."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from robust_dist._errors import InputError
from robust_dist.regression import Regression
from robust_dist.regression.posterior import approximate as approximations
from robust_dist.regression.posterior import normals
from robust_dist.regression.posterior.modes import Target, find_mode, sampler_target, starts


def table(shift=0.0, rows=60):
    rng = np.random.default_rng(3)
    x = np.resize(np.linspace(-10, 10, 20), rows)
    return pd.DataFrame(
        {
            "x": x + shift,
            "z": rng.normal(size=rows),
            "g": np.resize(list("abc"), rows),
            "y": 5 + 0.3 * x**2 + rng.standard_t(3, rows),
        }
    )


CASES = [
    ("y ~ x + I(x**2)", "general_robust", 2010.0),
    ("y ~ x + z", "laplace", 0.0),
    ("y ~ x * z", "student_t", 60.0),
    ("y ~ x + I(x**2)", "asymmetric_general_robust", 0.0),
    ({"y": "y ~ x + z", "sigma": "~ z", "alpha": "~ x"}, "general_robust", 0.0),
]


@pytest.mark.parametrize(("formula", "likelihood", "shift"), CASES, ids=str)
def test_no_other_optimiser_finds_a_higher_point(formula, likelihood, shift):
    """Nelder and Mead's simplex after BFGS, from random starts, on the same axes."""
    regression = Regression(formula, table(shift), likelihood)
    with jax.enable_x64(True):
        target = sampler_target(*regression.parts, regression.data)
        mode = find_mode(target, starts(target.size))

        def descent(vector):
            value, gradient = target.slope(jnp.asarray(vector))
            return -float(value), -np.asarray(gradient)

        generator = np.random.default_rng(1)
        best = -np.inf
        for start in generator.uniform(-2, 2, (8, target.size)):
            end = optimize.minimize(descent, start, jac=True, method="BFGS")
            simplex = {"method": "Nelder-Mead", "options": {"maxiter": 400}}
            end = optimize.minimize(lambda vector: descent(vector)[0], end.x, **simplex)
            best = max(best, -end.fun)
    assert mode.density > best - 0.01
    assert mode.problems == ()


def plane(density):
    """Return a target of two coordinates with this log density."""
    slope, sites = jax.jit(jax.value_and_grad(density)), lambda z: {"z": z}
    return Target(density, slope, 2, sites, jax.vmap(density), sites)


def test_the_highest_of_several_modes_is_found():
    """Two hills, the lower of which the first start is on."""

    def density(z):
        low, high = ((z - 0.0) ** 2).sum(), ((z - 3.0) ** 2).sum()
        return jnp.logaddexp(-low, 2.0 - high)

    with jax.enable_x64(True):
        mode = find_mode(plane(density), starts(2))
    np.testing.assert_allclose(mode.vector, 3.0, atol=1e-3)


@pytest.mark.parametrize(
    ("density", "complaint"),
    [
        (lambda z: (z**2).sum(), "not finite|stopped before the mode|no peak"),
        (lambda z: z.sum(), "stopped before the mode|no peak"),
        (lambda z: -(z[0] ** 2), "no peak"),
        (lambda z: jnp.nan * z.sum(), "not finite"),
    ],
)
def test_what_is_no_mode_is_said(density, complaint):
    import re

    with jax.enable_x64(True):
        mode = find_mode(plane(density), starts(2))
    assert len(mode.problems) == 1
    assert re.search(complaint, mode.problems[0])


@pytest.mark.parametrize("method", ["map", "laplace"])
def test_effects_of_groups_have_no_mode(method):
    with pytest.raises(InputError, match=r"'\(1\|g\)' and their standard deviation has none"):
        Regression("y ~ x + (1 | g)", table()).fit(method=method)


def test_map_is_that_mode_in_the_users_units():
    """Of Normal noise and flat priors, least squares; shifted by 2010 the curve is the same."""
    curves = []
    for shift in (0.0, 2010.0):
        data = table(shift)
        dt = Regression("y ~ x + I(x**2)", data, "normal").fit(method="map")
        assert dt["posterior"].sizes["draw"] == 1
        assert json.loads(dt.attrs["fit_problems"]) == []
        beta = dt["posterior"]["beta"].values.ravel()
        curves.append(beta @ np.vander(data["x"], 3, increasing=True).T)
    least_squares = np.polyval(np.polyfit(table()["x"], table()["y"], 2), table()["x"])
    np.testing.assert_allclose(curves[0], least_squares, atol=0.05)
    np.testing.assert_allclose(curves[1], curves[0], atol=2e-3)


def test_an_approximation_that_is_none_says_so(monkeypatch):
    """A Normal beside the posterior has importance ratios without a variance."""
    regression = Regression("y ~ x + z", table())
    dt = regression.fit(method="laplace", draws=500, chains=2)
    assert json.loads(dt.attrs["fit_problems"]) == []

    def beside(*arguments):
        mode = find_mode(*arguments)
        return mode._replace(vector=mode.vector + 1.0)

    curvature = normals.inverse_curvature
    monkeypatch.setattr(approximations, "find_mode", beside)
    monkeypatch.setattr(
        normals,
        "inverse_curvature",
        lambda slope, center: curvature(slope, center - 1.0),
    )
    dt = regression.fit(method="laplace", draws=500, chains=2)
    (problem,) = json.loads(dt.attrs["fit_problems"])
    assert "Pareto k of its importance ratios" in problem
