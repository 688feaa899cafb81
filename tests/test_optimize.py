"""IRLS finds the minimum of the loss, and a robust start is near the truth under gross outliers."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from scipy.optimize import linprog

from robust_dist import GeneralRobust, ReferenceAlpha, orthogonal_scale, psi
from robust_dist.optimize import init_to_robust, irls, least_absolute

ROWS = 120
TRUTH = np.array([1.0, -2.0, 0.5])
ALPHAS = np.array([-math.inf, -2.0, 0.0, 0.5, 1.0, 1.5, 2.0])


def data(dtype, *, share=0.1, far=6.0, seed=0):
    """Return a design with a column of ones, and a response of which a share is too high."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(ROWS), rng.standard_normal((ROWS, 2))])
    y = x @ TRUTH + rng.standard_normal(ROWS) + far * (np.arange(ROWS) < share * ROWS)
    return x.astype(dtype), y.astype(dtype)


def test_irls_solves_the_estimating_equations(dtype):
    """Sum x psi(residual) vanishes, for every alpha at once.

    Iterations stop when a step moves the fit by sqrt(eps) of a residual; what is left is that over
    the rate of convergence, and a factor of 100 is allowed for it.
    """
    x, y = data(dtype)
    start = least_absolute(x, y)
    alpha = jnp.asarray(ALPHAS, dtype)
    found = jax.vmap(lambda a: irls(x, y, a, 1.0, start=start))(alpha)
    assert found.dtype == dtype
    score = np.asarray(psi(y - found @ x.T, alpha[:, None])) @ x / ROWS
    assert np.abs(score).max() < 100 * np.sqrt(np.finfo(dtype).eps) / np.sqrt(ROWS)
    # at 2 it is least squares; below, the outliers count less and less
    np.testing.assert_allclose(found[-1], np.linalg.lstsq(x, y)[0], rtol=0, atol=1e-5)
    assert np.all(np.diff(found[:, 0]) > 0)
    np.testing.assert_allclose(irls(x, y, 0.5, 1.0, start=start), found[3], rtol=1e-4)


def test_least_absolute_is_the_linear_program(dtype):
    """The sum is that of the linear program's optimum, to the thousandth promised, squared."""
    x, y = data(dtype)
    columns = x.shape[1]
    slack = np.eye(ROWS)
    exact = linprog(
        np.concatenate([np.zeros(columns), np.ones(2 * ROWS)]),
        A_eq=np.hstack([x, slack, -slack]),
        b_eq=y,
        bounds=[(None, None)] * columns + [(0, None)] * (2 * ROWS),
    )
    total = np.abs(y - x @ np.asarray(least_absolute(x, y))).sum()
    assert exact.fun * (1 - 1e-5) <= total <= exact.fun * (1 + 1e-4)


def test_units_do_not_matter(dtype):
    """Columns and response in units twelve orders apart, as they come."""
    x, y = data(dtype)
    units, unit = np.array([1.0, 1e-6, 1e6], dtype), dtype.type(1e-3)
    expected = irls(x, y, 0.5, 1.0, start=least_absolute(x, y))
    start = least_absolute(x * units, y * unit)
    found = irls(x * units, y * unit, 0.5, unit, start=start)
    np.testing.assert_allclose(found * units / unit, expected, rtol=1e-2)


def test_rows_on_a_line(dtype):
    """More than half of the rows fit exactly: nothing is divided by zero."""
    x, _ = data(dtype)
    y = (x @ TRUTH).astype(dtype)
    y[:40] += 100
    np.testing.assert_allclose(least_absolute(x, y), TRUTH, rtol=0, atol=2e-2)
    np.testing.assert_allclose(least_absolute(x, x @ TRUTH.astype(dtype)), TRUTH, rtol=1e-4)


@pytest.mark.parametrize(("x", "y"), [(np.ones(4), np.ones(4)), (np.ones((4, 1)), np.ones(3))])
@pytest.mark.parametrize("f", [least_absolute, lambda x, y: irls(x, y, 1.0, 1.0), init_to_robust])
def test_shapes_that_do_not_fit(f, x, y):
    with pytest.raises(ValueError, match=r"x must be of shape \(rows, columns\)"):
        f(x, y)


def grouped(x, y):
    """Give each row a group's alpha and c."""
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([3]).to_event(1))
    with numpyro.plate("group", 2):
        alpha = numpyro.sample("alpha", dist.HalfNormal(2))
        scale = numpyro.sample("scale", dist.HalfNormal(5))
    numpyro.sample("nuisance", dist.Normal(0, 1))
    group = np.arange(ROWS) % 2
    numpyro.sample("y", GeneralRobust(alpha[group], x @ beta, scale[group]), obs=y)


def started(model, strategy, x, y):
    """Return the values at which NumPyro would start."""
    seeded = handlers.substitute(handlers.seed(model, 0), substitute_fn=strategy)
    trace = handlers.trace(seeded).get_trace(x, y)
    return {name: site["value"] for name, site in trace.items() if not site.get("is_observed")}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
def test_robust_start(share, dtype):
    """Outliers of 1e6 scales move the start by a scale or so, whatever their share up to 0.4."""
    x, y = data(dtype, share=share, far=1e6)
    found = started(grouped, init_to_robust(x, y), x, y)
    assert all(found[name].dtype == dtype for name in ("beta", "alpha", "scale"))
    assert np.abs(found["beta"] - TRUTH).max() < (0.6 if share < 0.4 else 3)
    assert found["scale"].shape == found["alpha"].shape == (2,)
    np.testing.assert_allclose(found["alpha"], 1, rtol=1e-6)
    assert 0.5 < found["scale"][0] < (1.3 if share < 0.4 else 3)


def orthogonal(x, y):
    """Regress with the defaults of this package's pages."""
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([3]).to_event(1))
    alpha = numpyro.sample("alpha", ReferenceAlpha())
    sigma = numpyro.sample("sigma", dist.HalfNormal(5))
    numpyro.sample("y", GeneralRobust.with_orthogonal_scale(alpha, x @ beta, sigma), obs=y)


def test_names_of_sites(dtype):
    """Sigma starts at the orthogonal scale of c; a name of None leaves its site to NumPyro."""
    x, y = data(dtype)
    c = started(grouped, init_to_robust(x, y), x, y)["scale"][0]
    found = started(orthogonal, init_to_robust(x, y, alpha=None), x, y)
    np.testing.assert_allclose(found["sigma"], orthogonal_scale(1.0, c), rtol=1e-6)
    assert abs(found["alpha"] - 1) > 1e-3
