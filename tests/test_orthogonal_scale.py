"""The orthogonal scale is what the Fisher information of the law says it is.

Stored values (``tests/reference/information.csv``) come from ball arithmetic; the information is
integrated here as well, from the scores of the code under test.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from robust_dist import GeneralRobust, orthogonal_scale, scale_from_orthogonal
from robust_dist._numerics.orthogonal_scale import log_ratio

value = jax.jit(log_ratio)
slope = jax.jit(jax.vmap(jax.grad(log_ratio)))
curvature = jax.jit(jax.vmap(jax.grad(jax.grad(log_ratio))))


@pytest.fixture(scope="module")
def table(reference):
    return reference("information")


def select(rows, column, dtype):
    """Return alphas exact in the dtype, and truth where it has a normal representation."""
    alpha, truth = rows["alpha"], rows[column]
    keep = alpha.astype(dtype) == alpha
    keep &= np.array([bool(abs(v) >= np.finfo(dtype).tiny) for v in truth])
    return alpha[keep], truth[keep]


def test_values(dtype, table, errors, assert_below):
    """Half an ulp of abs(H) <= 1.15 is 1.1e-16 (6e-8); the table adds 2e-15 at alpha = 1+."""
    alpha, truth = select(table, "h", dtype)
    bound = {"float64": 5e-15, "float32": 3e-7}[str(dtype)]
    computed = value(jnp.asarray(alpha, dtype))
    assert computed.dtype == dtype
    assert_below(errors(computed, truth).absolute, bound, alpha=alpha)


@pytest.mark.parametrize(
    ("column", "f", "bounds"),
    [
        # H' is to carry I_alpha,sigma = I_ac - H' I_cc to 1e-8, gradients to a relative 1e-10
        ("d_h", slope, {"float64": 4e-11, "float32": 1e-5}),
        # the table's error, times the density of its cells once more
        ("d_d_h", curvature, {"float64": 1e-6, "float32": 1e-3}),
    ],
)
def test_derivatives(column, f, bounds, dtype, table, errors, assert_below):
    alpha, truth = select(table, column, dtype)
    if column == "d_d_h":  # next to 2, where it is 1/(4 (alpha - 2)), alpha itself is too coarse
        far = np.abs(alpha - 2) >= (1e-3 if dtype == np.float32 else 0)
        alpha, truth = alpha[far], truth[far]
    computed = f(jnp.asarray(alpha, dtype))
    assert_below(errors(computed, truth).relative, bounds[str(dtype)], alpha=alpha)


def test_known_values(x64, errors):
    """It is c at alpha = 2; next to it H = t (log b + gamma + log 2 - 2)/4, t = alpha - 2."""
    assert orthogonal_scale(2.0, 3.0) == 3.0
    gap = 2.0 ** -np.arange(20.0, 46.0)
    for side in (-1, 1):
        expected = side * gap * (np.log(gap) + np.euler_gamma + math.log(2) - 2) / 4
        # the next term is of the order b^2 log(b)^2
        np.testing.assert_allclose(value(2 + side * gap), expected, rtol=2e-5)
    # at alpha = 0, a Cauchy law, the integrals are elementary: I_ac = -log 2 - 1/8 and I_cc = 1/2
    truth = np.array([-2 * mpmath.log(2) - mpmath.mpf(1) / 4])
    assert errors(slope(jnp.zeros(1)), truth).relative[0] < 4e-11


def test_infinite_alpha(dtype):
    """H has a limit, reached like 1/alpha, and derivatives that vanish."""
    far = jnp.asarray([1e6, math.inf], dtype)
    assert value(far)[1] == pytest.approx(-0.362002446923, abs=2e-7)
    # dH/d(1/alpha) at 0 is 0.2161
    assert float(value(far)[0] - value(far)[1]) == pytest.approx(2.161e-7, abs=2e-7)
    assert slope(far)[1] == 0
    assert curvature(far)[1] == 0


ALPHAS = np.concatenate(
    [
        [0.0, 1e-9, 0.03, 1.0, 2.0, 3.0, 50.0, 1e4, math.inf],
        np.linspace(0.01, 5, 60),
        *(2 + s * 10.0 ** -np.arange(1, 16) for s in (-1, 1)),
    ]
)


def test_round_trip(dtype):
    bound = {"float64": 1e-14, "float32": 3e-7}[str(dtype)]
    scale = np.logspace(-6, 6, 13).astype(dtype)[:, None]
    alpha = ALPHAS.astype(dtype)
    back = scale_from_orthogonal(alpha, orthogonal_scale(alpha, scale))
    assert back.dtype == dtype
    assert back.shape == (13, ALPHAS.size)
    assert np.abs(back / scale - 1).max() <= bound


def test_falls_without_steps(x64):
    """H decreases, over the borders of cells and the seams at 1, 2 and 3 too."""
    alpha = np.concatenate([np.linspace(0, 4, 20_001), np.logspace(0.7, 6, 2_000)])
    assert np.all(np.diff(value(alpha)) < 0)
    seams = np.array([1.0, 3.0])
    for f, atol in ((value, 1e-15), (slope, 1e-10), (curvature, 1e-6)):
        below, above = f(np.nextafter(seams, 0)), f(np.nextafter(seams, 4))
        np.testing.assert_allclose(below, above, rtol=0, atol=atol)


# The trapezoid rule in t, spectrally accurate, with x = 1e-3 sinh(sinh(t)): the branch points of
# the loss at x = +-i sqrt|alpha - 2|, 1e-3 for the alphas next to 2, stay far from the axis of t,
# and abs(x) reaches 1e130, enough for Cauchy tails.
STEP = 2.0**-8
T = np.arange(STEP / 2, 6.5, STEP)
X = 1e-3 * np.sinh(np.sinh(T))
WIDTH = 2 * STEP * 1e-3 * np.cosh(np.sinh(T)) * np.cosh(T)


@jax.jit
@jax.vmap
def total_and_mixed_information(alpha):
    """Return the mass and I_alpha,sigma at sigma = 1, by quadrature of the scores' product."""

    def log_p(alpha, sigma, x):
        return GeneralRobust.with_orthogonal_scale(alpha, 0.0, sigma).log_prob(x)

    x = jnp.asarray(X)
    scores = jax.vmap(jax.grad(log_p, (0, 1)), (None, None, 0))(alpha, 1.0, x)
    mass = WIDTH * jnp.exp(log_p(alpha, 1.0, x))
    # where there is no mass, scores may overflow
    product = jnp.where(mass > 0, scores[0], 0) * jnp.where(mass > 0, scores[1], 0)
    return jnp.sum(mass), jnp.sum(mass * product)


def test_alpha_and_sigma_are_orthogonal(x64):
    """The point of it all: alpha and sigma share no information, for alpha in [0, 50]."""
    near = 2 + np.outer([-1, 1], 10.0 ** -np.arange(1, 7)).ravel()
    alpha = np.concatenate([np.linspace(0, 1.99, 40), near, np.linspace(2.01, 6, 30), [10, 20, 50]])
    total, mixed = total_and_mixed_information(jnp.asarray(alpha))
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-12)
    assert np.abs(mixed).max() <= 1e-8


@pytest.mark.parametrize("f", [orthogonal_scale, scale_from_orthogonal])
def test_bad_arguments_are_not_clamped(f, dtype):
    assert np.isnan(f(dtype.type(-0.1), dtype.type(1)))
    assert np.isnan(f(dtype.type(math.nan), dtype.type(1)))
    assert np.isnan(f(dtype.type(1), dtype.type(math.nan)))


def test_derivatives_are_finite_everywhere(dtype):
    alpha = jnp.asarray(ALPHAS, dtype)
    with jax.debug_nans(True):
        for f in (orthogonal_scale, scale_from_orthogonal):
            gradients = jax.vmap(jax.grad(f, (0, 1)), (0, None))(alpha, jnp.asarray(1.5, dtype))
            assert all(np.isfinite(g).all() for g in gradients)


def test_shapes_and_dtypes(x64):
    for f in (orthogonal_scale, scale_from_orthogonal):
        assert f(jnp.ones((2, 1), jnp.float32), jnp.ones(3, jnp.float32)).shape == (2, 3)
        assert f(np.float32(1), 2).dtype == jnp.float32
        assert f(1, 2) == f(1.0, 2.0)
