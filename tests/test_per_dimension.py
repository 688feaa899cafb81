"""The idiom of docs/howto/per_dimension.md: each output with its own alpha and scale by SVI."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.module import eqx_module
from numpyro.distributions import constraints
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.optim import Adam

from robust_dist import GeneralRobust

ROWS, BATCH, STEPS = 4000, 400, 800
ALPHA, SIGMA = np.array([0.2, 1.0, 1.9]), np.array([0.1, 1.0, 3.0])
LOW, HIGH = 0.001, 1.999


@pytest.fixture
def data(dtype):
    """Return a predictor, and three responses of other noise, in the precision of the test."""
    key_x, key_noise = jax.random.split(jax.random.key(0))
    x = jax.random.uniform(key_x, (ROWS, 1), dtype, minval=-1)
    parameters = jnp.asarray(ALPHA, dtype), 0, jnp.asarray(SIGMA, dtype)
    law = GeneralRobust.with_orthogonal_scale(*parameters)
    return x, x * jnp.array([1, -1, 2], dtype) + law.sample(key_noise, (ROWS,))


def network(dtype):
    """Return a straight line for each of three outputs."""
    return eqx.nn.Linear(1, 3, key=jax.random.key(1), dtype=dtype)


def as_parameters(dtype):
    """Return alpha and sigma as parameters with bounds."""
    one = jnp.ones(3, dtype)
    alpha = numpyro.param("alpha", one, constraint=constraints.interval(LOW, HIGH))
    return alpha, numpyro.param("sigma", one, constraint=constraints.positive)


def as_variables(dtype):
    """Return alpha and sigma as random variables."""
    low, zero = jnp.array(LOW, dtype), jnp.array(0, dtype)
    with numpyro.plate("output", 3):
        alpha = numpyro.sample("alpha", dist.Uniform(low, jnp.array(HIGH, dtype)))
        return alpha, numpyro.sample("sigma", dist.LogNormal(zero, zero + 2))


def model(x, y, noise):
    net = eqx_module("net", network(x.dtype))
    alpha, sigma = noise(x.dtype)
    with numpyro.plate("row", ROWS, subsample_size=BATCH) as rows:
        law = GeneralRobust.with_orthogonal_scale(alpha, jax.vmap(net)(x[rows]), sigma)
        numpyro.sample("y", law.to_event(1), obs=y[rows])


def run(guide, x, y, noise):
    """Return the parameters after the last step."""
    # b2 lets go of the first, large gradients within the few steps there are
    adam = Adam(lambda step: 0.05 * 0.5 * (1 + jnp.cos(jnp.pi * step / STEPS)), b2=0.99)
    svi = SVI(model, guide, adam, Trace_ELBO())
    result = svi.run(jax.random.key(2), STEPS, x, y, noise, progress_bar=False)
    assert np.isfinite(np.asarray(result.losses)).all()
    assert {leaf.dtype for leaf in jax.tree.leaves(result.params)} == {x.dtype}
    return result.params


def check(alpha, sigma, params):
    """Allow four standard errors of 4,000 rows, 0.08 for an alpha of 1.9."""
    np.testing.assert_allclose(alpha, ALPHA, atol=0.32)
    np.testing.assert_allclose(sigma, SIGMA, rtol=0.1)
    assert (alpha >= LOW).all()
    assert (alpha <= HIGH).all()
    slopes = params["net$params"].weight[:, 0]
    np.testing.assert_allclose(slopes, [1, -1, 2], atol=0.4)


@pytest.mark.slow
def test_parameters(data):
    """Minibatches recover each output's alpha, sigma and line; alpha stays inside its bounds."""
    params = run(lambda *_: None, *data, as_parameters)
    check(params["alpha"], params["sigma"], params)


@pytest.mark.slow
def test_random_variables(data):
    """Minibatches do so with a prior and a guide."""
    guide = AutoNormal(model, init_scale=0.01)
    params = run(guide, *data, as_variables)
    median = guide.median(params)
    check(median["alpha"], median["sigma"], params)


def test_gaussian_noise_ends_at_the_bound():
    """Lighter tails than the family's at 1.999 push alpha to the bound, and not beyond it."""
    y = jax.random.uniform(jax.random.key(0), (ROWS, 3), minval=-1)
    params = run(lambda *_: None, jnp.zeros((ROWS, 1)), y, as_parameters)
    assert (params["alpha"] > 1.9).all()
    assert (params["alpha"] <= HIGH).all()
