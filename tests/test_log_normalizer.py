"""The log-normalizer is right to the last digit, and its derivatives are those of the function.

Truth is of three kinds: closed forms, the paper's Meijer G function, and stored 25-digit values
(``tests/reference``, made by ``robust_dist._precompute.reference_values``).
"""

from __future__ import annotations

import math
from fractions import Fraction

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from robust_dist._numerics.log_normalizer import log_normalizer

# |log Z| is below 1.5, half an ulp of which is 1.1e-16 (float32: 6e-8): the bounds are about 10 and
# 3 ulp, for the table's own error, the rounding of its argument and of the interpolation.
VALUE_BOUND = {"float64": 2e-15, "float32": 3e-7}
# The derivative multiplies the table's error by the density of its cells.
SLOPE_BOUND = {"float64": 5e-12, "float32": 1e-5}
CURVATURE_BOUND = {"float64": 1e-6, "float32": 1e-3}

value = jax.jit(log_normalizer)
slope = jax.jit(jax.vmap(jax.grad(log_normalizer)))
curvature = jax.jit(jax.vmap(jax.grad(jax.grad(log_normalizer))))


@pytest.fixture(scope="module")
def table(reference):
    return reference("log_normalizer")


def select(rows, column, dtype, nearest_to_two=0.0):
    """Return alphas exact in the dtype, and truth where it has a normal representation."""
    truth, alpha = rows[column], rows["alpha"]
    info = np.finfo(dtype)
    with np.errstate(over="ignore"):
        keep = (alpha.astype(dtype) == alpha) & (np.abs(alpha - 2) >= nearest_to_two)
    keep &= np.array([mpmath.isfinite(v) and (v == 0 or abs(v) >= info.tiny) for v in truth])
    return alpha[keep], truth[keep]


def test_values(dtype, table, errors, assert_below):
    alpha, truth = select(table, "log_z", dtype)
    computed = value(jnp.asarray(alpha, dtype))
    assert computed.dtype == dtype
    assert_below(errors(computed, truth).absolute, VALUE_BOUND[str(dtype)], alpha=alpha)


def test_slopes(dtype, table, errors, assert_below):
    # Nearer to 2 than 1e-14 the distance itself is down to a few ulp of alpha, still exactly known.
    alpha, truth = select(table, "d_alpha", dtype, nearest_to_two=4e-16)
    computed = slope(jnp.asarray(alpha, dtype))
    assert computed.dtype == dtype
    assert_below(errors(computed, truth).relative, SLOPE_BOUND[str(dtype)], alpha=alpha)


def test_curvatures(dtype, table, errors, assert_below):
    alpha, truth = select(table, "d_alpha_alpha", dtype, nearest_to_two=1e-3)
    computed = curvature(jnp.asarray(alpha, dtype))
    assert_below(errors(computed, truth).relative, CURVATURE_BOUND[str(dtype)], alpha=alpha)


@pytest.mark.parametrize(
    ("alpha", "z"),
    [
        (0.0, mpmath.pi * mpmath.sqrt(2)),  # Cauchy
        (1.0, 2 * mpmath.e * mpmath.besselk(1, 1)),  # hyperbolic
        (2.0, mpmath.sqrt(2 * mpmath.pi)),  # Normal
    ],
)
def test_closed_forms(alpha, z, dtype, errors):
    computed = value(jnp.asarray([alpha], dtype))
    truth = np.array([mpmath.log(z)])
    assert errors(computed, truth).absolute[0] <= VALUE_BOUND[str(dtype)]


def meijer_z(alpha: Fraction) -> mpmath.mpf:
    """Return Z(n/d) by equation 18 of Barron (2019)."""
    n, d = alpha.numerator, alpha.denominator
    b = [mpmath.mpf(2 * i - 1) / (2 * n) for i in range(n)]
    b += [mpmath.mpf(i) / (2 * d) for i in range(1, 2 * d)]
    a = [mpmath.mpf(i) / n for i in range(1, n)]
    argument = abs(mpmath.mpf(1) / n - mpmath.mpf(1) / (2 * d)) ** (2 * d)
    gap = abs(mpmath.mpf(2 * d) / n - 1)
    g = mpmath.meijerg([[], a], [b, []], argument)
    return mpmath.exp(gap) * mpmath.sqrt(gap) / (2 * mpmath.pi) ** (d - 1) * g


@pytest.mark.parametrize(
    "alpha", ["1/3", "1/2", "2/3", "3/4", "5/4", "3/2", "7/4", "7/3", "5/2", "4"]
)
def test_paper_formula(alpha, x64, errors):
    # The alpha handed over is the float nearest to n/d, which moves log Z by less than 2e-16.
    rational = Fraction(alpha)
    computed = value(jnp.asarray([float(rational)]))
    truth = np.array([mpmath.log(meijer_z(rational))])
    assert errors(computed, truth).absolute[0] <= 2.2e-15


def test_integral_of_the_definition(x64, errors):
    """Quadrature of exp(-rho), written out here, by another rule than the reference values use."""

    def z(alpha):
        a = mpmath.mpf(alpha)
        b = abs(a - 2)
        density = lambda x: mpmath.exp(-b / a * ((x * x / b + 1) ** (a / 2) - 1))  # noqa: E731
        return 2 * mpmath.quad(density, [0, 1, 2, 4, 8, 16, 64, mpmath.inf])

    alphas = np.array([0.6, 1.3, 1.97, 2.02, 2.8, 6.0])
    with mpmath.workdps(20):
        truth = np.array([mpmath.log(z(alpha)) for alpha in alphas])
    assert errors(value(alphas), truth).absolute.max() <= VALUE_BOUND["float64"]


def test_infinite_alpha(dtype):
    alpha = jnp.asarray([math.inf], dtype)
    # The constant is the stored value to 25 digits; the paper's spline ends 9.3e-12 above it.
    np.testing.assert_allclose(
        value(alpha), 0.7052602544175696882693644, atol=VALUE_BOUND[str(dtype)], rtol=0
    )
    assert slope(alpha)[0] == 0
    assert curvature(alpha)[0] == 0


def test_slope_changes_like_a_logarithm_at_two(x64):
    """There log Z = log(2 pi)/2 + ((a-2)/4)(log|a-2| + gamma + log 2 - 1) + o(a-2)."""
    gap = 2.0 ** -np.arange(30.0, 46.0)
    for side in (-1, 1):
        expected = (np.log(gap) + np.euler_gamma + math.log(2)) / 4
        # The next term is of the order gap log(gap)^2 / 16, 2.5e-8 at 2^-30.
        np.testing.assert_allclose(slope(2 + side * gap), expected, atol=3e-8)


def test_slope_at_two_is_a_finite_convention(dtype):
    two = jnp.asarray([2.0], dtype)
    assert np.isfinite(slope(two)).all()
    assert np.isfinite(curvature(two)).all()
    assert slope(two)[0] < 0  # of the sign of its one-sided limits


def test_decreases_and_has_no_steps(x64):
    """Cell borders and the seams at 1, 2 and 3 show neither as jumps nor as kinks."""
    alpha = np.concatenate([np.linspace(0, 4, 20_001), np.logspace(0.7, 6, 2_000)])
    assert np.all(np.diff(value(alpha)) < 0)
    seams = np.array([1.0, 3.0])
    for f, atol in ((value, 5e-16), (slope, 1e-12), (curvature, 1e-7)):
        below, above = f(np.nextafter(seams, 0)), f(np.nextafter(seams, 4))
        np.testing.assert_allclose(below, above, rtol=0, atol=atol)


def test_not_normalizable_is_not_a_number_one_could_use(dtype):
    """For alpha < 0 the integral diverges; nothing may be clamped into a plausible value."""
    alpha = jnp.asarray([-1e-6, -0.5, -math.inf], dtype)
    assert not np.isfinite(value(alpha)).any()
    assert np.isnan(value(jnp.asarray([math.nan], dtype))).all()


def test_shapes_and_dtypes(x64):
    assert log_normalizer(jnp.ones((2, 3), jnp.float32)).shape == (2, 3)
    assert log_normalizer(jnp.ones((2, 3), jnp.float32)).dtype == jnp.float32
    assert log_normalizer(1) == log_normalizer(1.0)
    assert jax.vmap(log_normalizer)(jnp.linspace(0.0, 5.0, 4)).shape == (4,)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_finite_everywhere(name):
    dtype = np.dtype(name)
    width = dtype.itemsize * 8
    any_alpha = st.floats(0, math.inf, width=width, allow_nan=False, allow_subnormal=False)

    # One batch of floats a run, so that 100 runs see 6,400 of them.
    @hypothesis.settings(max_examples=100, deadline=None)
    @hypothesis.given(st.lists(any_alpha | st.floats(0, 4, width=width), min_size=64, max_size=64))
    def check(alphas):
        alpha = jnp.asarray(alphas, dtype)
        assert np.all((value(alpha) > 0.7052) & (value(alpha) < 1.4914))
        assert np.isfinite(slope(alpha)).all()
        assert np.all(slope(alpha) <= 0)
        assert np.isfinite(curvature(alpha)).all()

    with jax.enable_x64(name == "float64"), jax.debug_nans(True):
        check()
