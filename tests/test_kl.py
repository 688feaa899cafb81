"""Kullback-Leibler divergences of the family, as NumPyro's `kl_divergence` gives them."""

from __future__ import annotations

import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import kl_divergence
from numpyro.infer import SVI, TraceMeanField_ELBO

from robust_dist import GeneralRobust, log_normalizer, rho

ALPHAS = (0.0, 0.1, 0.5, 1.0, 1.9, 2.0, 2.1, 4.0, 10.0, math.inf)
# loc and scale of q, p being of loc 0 and scale 1
PLACES = ((0.0, 1.0), (0.7, 1.3), (0.0, 1e3), (0.0, 1e-3), (30.0, 0.5))


@jax.jit
def divergence(p, q):
    return kl_divergence(GeneralRobust(*p), GeneralRobust(*q))


def is_finite(alpha_p: float, alpha_q: float, scale_q: float) -> bool:
    """Tell by the tails whether E rho_q(x) exists, and is a number of the format."""
    if alpha_q == math.inf:
        return alpha_p > 2 or (alpha_p == 2 and scale_q > 1)
    return alpha_p > 0 or alpha_q < 1


def integrate(p: tuple, q: tuple) -> np.ndarray:
    """Return the divergence from its definition, by the trapezoid rule in arcsinh(1000 x).

    It converges exponentially in the total: to 1e-13 with steps of 5e-4 (the sum over every other
    node agrees), in float64 arithmetic.
    """
    t = np.linspace(-75, 75, 300_001)
    x = 1e-3 * np.sinh(t)
    (a, m, c), (b, n, d) = ([float(v) for v in law] for law in (p, q))
    z_p, z_q = (float(log_normalizer(shape)) for shape in (a, b))
    rho_p, rho_q = np.asarray(rho(x - m, a, c)), np.asarray(rho(x - n, b, d))
    mass = np.exp(-rho_p - z_p) / c * 1e-3 * np.cosh(t) * (t[1] - t[0])
    live = mass > 0
    excess = rho_q[live] - rho_p[live] + z_q - z_p + math.log(d / c)
    return np.sum(mass[live] * excess)


def table() -> list[tuple]:
    """Return some of all pairs, each alpha of p with each of q once at least."""
    pairs = [
        (a, b, PLACES[(i + 3 * j) % 5]) for i, a in enumerate(ALPHAS) for j, b in enumerate(ALPHAS)
    ]
    return [(a, b, *place) for a, b, place in pairs]


@pytest.fixture(scope="module")
def truths() -> dict[tuple, float]:
    """Return the divergences of the pairs that have one, in float64."""
    with jax.enable_x64(True):
        return {
            case: integrate((case[0], 0.0, 1.0), case[1:])
            for case in table()
            if case[0] != case[1] or case[2:] != (0.0, 1.0)
            if is_finite(case[0], case[1], case[3])
        }


@pytest.mark.slow
def test_against_the_definition(dtype, truths):
    """1e-10 relative in float64 and 1e-5 in float32, as far as the format holds it.

    float32 of alpha, 0.1 say, is another alpha: its truth moves by less than the bar.
    """
    cases = [c for c in truths if truths[c] < float(np.finfo(dtype).max)]
    a, b, m, c = (np.array(column, dtype) for column in zip(*cases, strict=True))
    computed = np.asarray(divergence((a, np.zeros_like(a), np.ones_like(a)), (b, m, c)), float)
    truth = np.array([truths[case] for case in cases])
    error = np.abs(computed / truth - 1)
    # rho_q = b X^alpha/alpha: a rounded alpha or X moves it by alpha log(X) roundings
    bound = {"float64": 1e-10, "float32": 1e-5}[str(dtype)]
    if dtype == np.float32:
        shaky = np.maximum(a, b) * np.log(1e3) * 20 * np.finfo(dtype).eps
        bound = np.maximum(bound, np.where(np.isfinite(shaky), shaky, 1e-3))
    worst = int(np.argmax(error / bound))
    assert (error <= bound).all(), (cases[worst], computed[worst], truth[worst], error[worst])
    assert len(cases) > 60


def test_infinite_exactly_where_it_is(dtype):
    """Cauchy needs alpha_q < 1; alpha_q = inf needs alpha_p > 2, or 2 and a smaller scale."""
    for alpha_p, alpha_q, scale_q in [
        (0.0, 0.99, 1.0),
        (0.0, 1.0, 1.0),
        (0.0, 2.0, 1.0),
        (0.0, math.inf, 1.0),
        (1.9, math.inf, 9.0),
        (2.0, math.inf, 1.01),
        (2.0, math.inf, 1.0),
        (2.0, math.inf, 0.9),
        (2.1, math.inf, 3.0),
        (math.inf, math.inf, 1.5),
        (math.inf, 0.0, 1.0),
    ]:
        p = tuple(np.asarray(v, dtype) for v in (alpha_p, 0, 1))
        q = tuple(np.asarray(v, dtype) for v in (alpha_q, 0.3, scale_q))
        value, slopes = jax.value_and_grad(divergence, (0, 1))(p, q)
        assert bool(jnp.isfinite(value)) == is_finite(alpha_p, alpha_q, scale_q)
        assert not jnp.isnan(value)
        assert not any(jnp.isnan(slope) for slope in jax.tree.leaves(slopes))


def test_equal_and_almost_equal_laws(dtype):
    """0 with zero slope at p = q; next to it half the Fisher information times the square."""
    eps = float(np.finfo(dtype).eps)
    for alpha in ALPHAS:
        p = tuple(np.asarray(v, dtype) for v in (alpha, 0.3, 2.0))
        value, slopes = jax.value_and_grad(divergence, (0, 1))(p, p)
        assert abs(value) < eps
        if alpha != 2:
            np.testing.assert_allclose(jax.tree.leaves(slopes), 0, atol=20 * eps)
    # I_{log c, log c} = 1.244894 at alpha = 1 (tests/reference/information.csv)
    shift = 2.0**-10
    near = divergence((1.0, 0.0, 1.0), (1.0, 0.0, math.exp(shift)))
    np.testing.assert_allclose(near, 1.244894 / 2 * shift**2, rtol=5e-3)


@pytest.mark.slow
def test_derivatives(x64):
    """In all six parameters, by differences, of first and second order."""

    def f(theta):
        return divergence(tuple(theta[:3]), tuple(theta[3:]))

    gradient, hessian = jax.jit(jax.grad(f)), jax.jit(jax.hessian(f))
    step = 1e-5
    for theta in ([0.7, 0.2, 1.4, 1.3, -0.5, 2.0], [1.2, 0.2, 1.4, 1.25, 0.25, 1.41]):
        theta = jnp.array(theta)
        for g, exact in ((f, gradient), (gradient, hessian)):
            moved = [(g(theta + e) - g(theta - e)) / (2 * step) for e in step * np.eye(6)]
            np.testing.assert_allclose(exact(theta), jnp.stack(moved), rtol=1e-5, atol=1e-7)


def test_normal_and_subclass(dtype):
    """Two Normals have the closed form; the orthogonal scale is converted; wrappers pass."""
    m, s = dtype.type(0.5), dtype.type(1.5)
    normal, other = dist.Normal(m, s), GeneralRobust(dtype.type(2), 0.0, 2.0)
    exact = kl_divergence(normal, dist.Normal(0.0, 2.0))
    np.testing.assert_allclose(kl_divergence(normal, other), exact, rtol=1e-5)
    reverse = kl_divergence(dist.Normal(0.0, 2.0), normal)
    np.testing.assert_allclose(kl_divergence(other, normal), reverse, rtol=1e-5)
    orthogonal = GeneralRobust.with_orthogonal_scale(dtype.type(1.2), 0.0, 2.0)
    plain = GeneralRobust(orthogonal.alpha, orthogonal.loc, orthogonal.scale)
    q = GeneralRobust(dtype.type(0.7), 1.0, 1.0)
    value = kl_divergence(orthogonal, q)
    np.testing.assert_allclose(value, kl_divergence(plain, q), rtol=1e-5)
    assert value.dtype == dtype
    batch = kl_divergence(
        GeneralRobust(np.full((3, 1), 1.2, dtype)).expand((3, 2)).to_event(1),
        GeneralRobust(np.full(2, 0.7, dtype)).expand((3, 2)).to_event(1),
    )
    assert batch.shape == (3,)
    bad = kl_divergence(GeneralRobust(dtype.type(-1.0), validate_args=False), q)
    assert jnp.isnan(bad)


@pytest.mark.slow
def test_registered_by_the_import_of_any_member():
    """Nothing else need be imported."""
    code = (
        "from robust_dist import GeneralRobust; from numpyro.distributions import kl_divergence; "
        "assert kl_divergence(GeneralRobust(1.0), GeneralRobust(1.5)) > 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_mean_field_elbo():
    """A guide of the family against a prior of it: its KL is used, and the fit is the prior's."""

    def model():
        numpyro.sample("z", GeneralRobust(1.5, 3.0, 0.5))

    def guide():
        loc = numpyro.param("loc", 0.0)
        scale = numpyro.param("scale", 1.0, constraint=dist.constraints.positive)
        numpyro.sample("z", GeneralRobust(1.5, loc, scale))

    svi = SVI(model, guide, numpyro.optim.Adam(0.05), TraceMeanField_ELBO())
    result = svi.run(jax.random.key(0), 400, progress_bar=False)
    # the divergence is deterministic: it falls to 0
    assert result.losses[-1] < 1e-3
    np.testing.assert_allclose([result.params["loc"], result.params["scale"]], [3, 0.5], rtol=0.02)
