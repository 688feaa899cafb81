"""`GeneralRobust.log_prob` is the log of a density, right to the last digits with its derivatives.

Reference values are those of ``tests/reference/log_prob.csv`` (exact in float32, so that one file
serves both precisions); laws the family contains are taken from NumPyro; integrals and finite
differences are computed here.
"""

from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import numpyro.distributions as dist
import pytest

from robust_dist import GeneralRobust, orthogonal_scale
from robust_dist._precompute import exact

NAMES = ("x", "loc", "alpha", "scale")


def log_prob(x, loc, alpha, scale):
    return GeneralRobust(alpha, loc, scale).log_prob(x)


@jax.jit
@jax.vmap
def everything(x, loc, alpha, scale):
    """Return the value, the gradient (4) and the Hessian (4, 4) in (x, loc, alpha, scale)."""

    def first(point):
        value, gradient = jax.value_and_grad(lambda p: log_prob(*p))(point)
        return gradient, (value, gradient)

    hessian, (value, gradient) = jax.jacfwd(first, has_aux=True)(jnp.stack([x, loc, alpha, scale]))
    return value, gradient, hessian


@pytest.fixture(scope="module")
def evaluate(in_chunks):
    return lambda *axes: in_chunks(everything, *axes)


@pytest.fixture(scope="module")
def table(reference):
    return reference("log_prob")


@pytest.fixture(scope="module")
def results(table, evaluate):
    """Return a function from dtype to what the code under test says at the table's points."""
    cache = {}

    def compute(dtype):
        if dtype not in cache:
            cache[dtype] = evaluate(*(table[name].astype(dtype) for name in NAMES))
        return cache[dtype]

    return compute


def inputs(table, keep=slice(None)):
    return {name: table[name][keep] for name in NAMES}


def test_values(dtype, table, results, errors, assert_below):
    value, _, _ = results(dtype)
    assert value.dtype == dtype
    # rho is right to 2e-13 (5e-6) relative; log Z and log c add rounding at the size of the sum.
    bound = {"float64": 2e-13, "float32": 5e-6}[str(dtype)]
    size = 1 + np.abs(value)
    assert_below(errors(value, table["log_prob"]).absolute / size, bound, **inputs(table))


def alpha_slope_bound(truth, alpha, dtype):
    """Return the absolute error allowed to d log p/d alpha.

    It is minus the sum of d rho/d alpha, allowed 1e-13 (1 + size) (float32: its relative 5e-5), and
    of d log Z/d alpha, allowed its own relative bound; they may cancel.
    """
    of_rho, of_normalizer = {"float64": (1e-13, 5e-12), "float32": (5e-5, 1e-5)}[str(dtype)]
    slopes = [float(exact.log_normalizer_derivatives(a, digits=10)[1]) for a in alpha.tolist()]
    return of_rho * (1 + np.abs(truth.astype(float))) + of_normalizer * np.abs(slopes)


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        # psi's own bounds.
        ("d_x", {"float64": 2e-13, "float32": 5e-6}),
        # x psi/c - 1/c may cancel, so the error is measured against the terms (see below).
        ("d_scale", {"float64": 2e-13, "float32": 5e-6}),
        # The two slopes in alpha may cancel: see alpha_slope_bound.
        ("d_alpha", {"float64": 1, "float32": 1}),
    ],
)
def test_gradient(name, bounds, dtype, table, results, errors, assert_below):
    _, gradient, _ = results(dtype)
    column = NAMES.index(name.removeprefix("d_"))
    truth = table[name]
    as_float = truth.astype(float)
    size = {
        "d_x": np.where(as_float == 0, 1, np.abs(as_float)),
        "d_scale": np.abs(as_float) + 1 / table["scale"],
        "d_alpha": alpha_slope_bound(truth, table["alpha"], dtype),
    }[name]
    error = errors(gradient[:, column], truth).absolute / size
    assert_below(error, bounds[str(dtype)], **inputs(table))


@pytest.mark.parametrize(
    "name", ["x_x", "x_alpha", "x_scale", "alpha_alpha", "alpha_scale", "scale_scale"]
)
def test_hessian(name, dtype, table, results, errors, assert_below):
    """Relative error of every entry, for |alpha - 2| >= 1e-3."""
    _, _, hessian = results(dtype)
    row, column = (NAMES.index(part) for part in name.split("_"))
    truth = table[f"d_{name}"]
    tiny = np.finfo(dtype).tiny
    keep = np.array([mpmath.isfinite(v) and (v == 0 or abs(v) >= tiny) for v in truth])
    keep &= np.abs(table["alpha"] - 2) >= 0.99e-3  # 2 +- 1e-3 rounded to float32 are meant
    bound = {"float64": 1e-6, "float32": 1e-3}[str(dtype)]
    error = errors(hessian[keep, row, column], truth[keep]).relative
    assert_below(error, bound, **inputs(table, keep))


def test_loc_enters_as_minus_x(dtype, results):
    _, gradient, hessian = results(dtype)
    np.testing.assert_array_equal(gradient[:, 1], -gradient[:, 0])
    # The Hessian's rows come by different routes: equal up to their last few bits.
    rtol = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(hessian[:, 1, :], -hessian[:, 0, :], rtol=rtol)
    np.testing.assert_allclose(hessian, np.swapaxes(hessian, 1, 2), rtol=100 * rtol)


def hyperbolic_log_prob(x, loc, scale):
    """Return the hyperbolic log density exp(1 - sqrt(1 + u^2)) / (2 e K_1(1) c)."""
    u = (x - loc) / scale
    log_k1 = float(mpmath.log(mpmath.besselk(1, 1)))
    return -np.sqrt(1 + u * u) - np.log(2 * scale) - log_k1


@pytest.mark.parametrize(
    ("alpha", "law"),
    [
        (2.0, lambda x, m, c: dist.Normal(m, c).log_prob(x)),
        (1.0, hyperbolic_log_prob),
        (0.0, lambda x, m, c: dist.Cauchy(m, math.sqrt(2) * c).log_prob(x)),
    ],
    ids=["Normal", "hyperbolic", "Cauchy"],
)
def test_laws_it_contains(alpha, law, dtype):
    x = jnp.linspace(-12, 12, 97, dtype=dtype)
    loc, scale = jnp.asarray(0.25, dtype), jnp.asarray(1.5, dtype)
    # The other law rounds too: 16 eps relative to 1 + |log p|.
    eps = 16 * np.finfo(dtype).eps
    expected = law(x, loc, scale)
    np.testing.assert_allclose(log_prob(x, loc, alpha, scale), expected, rtol=eps, atol=eps)


ALPHAS = (
    0.0,
    1e-6,
    0.2,
    0.7,
    1.0,
    1.4,
    1.9,
    2 - 1e-6,
    2.0,
    2 + 1e-6,
    2.2,
    2.9,
    3.0,
    7.0,
    80.0,
    math.inf,
)


@pytest.fixture(scope="module")
def expectation(evaluate):
    """Return E over the law of f(x) for each alpha of ALPHAS, f mapping (alpha, x) to values.

    The trapezoid rule in t, spectrally accurate, with u = 1e-3 sinh(sinh(t)): the branch points of
    the loss at u = +-i sqrt|alpha - 2|, 1e-3 for the alphas next to 2, stay far from the axis of t,
    and |u| reaches 1e130, enough for Cauchy tails.
    """
    loc, scale, h = 0.3, 1.7, 2.0**-8
    t = np.arange(-6.5, 6.5, h)
    u = 1e-3 * np.sinh(np.sinh(t))
    jacobian = 1e-3 * np.cosh(np.sinh(t)) * np.cosh(t)

    def integrate(f):
        totals = []
        for alpha in ALPHAS:
            x, a, c = loc + scale * u, np.full_like(u, alpha), np.full_like(u, scale)
            value, gradient, _ = evaluate(x, np.full_like(u, loc), a, c)
            density = np.exp(value) * jacobian * scale * h
            kept = density > 0
            totals.append(
                np.sum(np.asarray(f(value, gradient))[..., kept] * density[kept], axis=-1)
            )
        return np.array(totals)

    return integrate


def test_integrates_to_one(x64, expectation):
    # Rounding of 3,300 terms, and of x where the density is steep.
    np.testing.assert_allclose(expectation(lambda value, _: np.ones_like(value)), 1, rtol=1e-13)


def test_score_has_mean_zero(x64, expectation):
    """E d log p/d theta = 0 in every parameter: the normalizer's slope belongs to its values."""
    means = expectation(lambda _, gradient: gradient.T)[:, 1:]
    # At alpha = 2 exactly the alpha-slope is a convention; its mean is still 0 if the convention
    # is the same in rho and log Z, but only to the accuracy of log|alpha - 2| at its floor.
    np.testing.assert_allclose(np.delete(means, ALPHAS.index(2.0), axis=0), 0, atol=2e-12)
    np.testing.assert_allclose(means[ALPHAS.index(2.0)], 0, atol=1e-6)


def test_finite_differences_in_alpha(x64, evaluate):
    alpha = np.array([0.05, 0.5, 0.99, 1.0, 1.01, 1.6, 2.4, 2.99, 3.0, 3.01, 6.0])
    x = np.array([0.0, 0.4, -1.3, 6.0])
    xs, alphas = (axis.ravel() for axis in np.meshgrid(x, alpha))
    h = 1e-5
    above, below = (log_prob(xs, 0.0, alphas + s * h, 1.0) for s in (1, -1))
    _, gradient, _ = evaluate(xs, 0 * xs, alphas, 1 + 0 * xs)
    # Truncation h^2/6 |third derivative| and rounding eps |log p|/h, both relative to log p here.
    scale = 1 + np.abs(above)
    assert np.all(np.abs((above - below) / (2 * h) - gradient[:, 2]) <= 3e-9 * scale**1.5)


def test_slope_at_two_where_the_singularity_cancels(x64, evaluate):
    """At |x - loc| = scale, the score has a limit at 2.

    rho and log Z must floor |alpha - 2| alike to reach it.
    """
    x = np.array([1.0, -1.0])
    _, gradient, _ = evaluate(x, 0 * x, np.full(2, 2.0), np.ones(2))
    nearby = mpmath.mpf(2) - mpmath.mpf(10) ** -25
    limit = float(exact.log_density_derivatives(1.0, 0.0, nearby, 1.0)[1][2])
    np.testing.assert_allclose(gradient[:, 2], limit, rtol=0, atol=1e-12)


def test_alpha_slope_stays_right_up_to_two(x64, evaluate, errors, assert_below):
    """The slope grows like log(1/|alpha-2|) there, where clamped or float32 shortcuts go wrong."""
    gaps = 2.0 ** -np.array([20, 40, 46])
    grid = np.meshgrid([0.0, 0.5, 1.0, 3.0], np.concatenate([2 - gaps, 2 + gaps]))
    x, alpha = (axis.ravel() for axis in grid)
    _, gradient, _ = evaluate(x, 0 * x, alpha, np.ones_like(x))
    points = zip(x.tolist(), alpha.tolist(), strict=True)
    truth = np.array([exact.log_density_derivatives(v, 0.0, a, 1.0)[1][2] for v, a in points])
    error = errors(gradient[:, 2], truth).absolute
    assert_below(error, alpha_slope_bound(truth, alpha, np.float64().dtype), x=x, alpha=alpha)


# No NaN


def extremes(dtype):
    """Return (x, loc, alpha, scale) over the whole range of the precision, as one grid."""
    info = np.finfo(dtype)
    tiny, largest = float(info.tiny), float(info.max)
    x = np.array([0.0, tiny, 1e-300, 1e-30, 1e-12, 1e-3, 0.3, 1.0, 7.0, 1e3, 1e12, 1e30, 1e300])
    x = np.concatenate([x[x >= tiny], [largest]]) if tiny > 1e-300 else np.append(x, largest)
    gaps = [float(info.eps) * 2, 1e-12, 1e-6, 1e-3, 0.1]
    alpha = [0.0, tiny, 1e-30, 1e-16, 1e-8, 1e-3, 0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 30.0]
    alpha += [1e4, 1e10, 1e30, largest, math.inf, *(2 - g for g in gaps), *(2 + g for g in gaps)]
    scale = [tiny, 1e-300, 1e-30, 1e-10, 0.37, 1.0, 50.0, 1e10, 1e30, 1e300, largest]
    scale = [c for c in scale if tiny <= c <= largest]
    x = x[x <= largest]
    grid = np.meshgrid(x, [0.0, 1.0, -1e20], alpha, scale, indexing="ij")
    return [axis.ravel().astype(dtype) for axis in grid]


def test_no_nan_on_a_grid_of_extremes(dtype, evaluate):
    grid = extremes(dtype)
    value, gradient, hessian = evaluate(*grid)
    finite = np.isfinite(value)
    assert not np.isnan(value).any()
    for what, array in (("gradient", gradient), ("Hessian", hessian.reshape(-1, 16))):
        bad = np.isnan(array).any(1) & finite
        at = [float(axis[np.argmax(bad)]) for axis in grid]
        assert not bad.any(), f"{what}: {bad.sum()} of {bad.size}, first at {at}"


def test_no_intermediate_nan(dtype):
    """`jax_debug_nans` inspects every intermediate of unjitted code: none may be NaN."""
    grid = extremes(dtype)
    finite = np.isfinite(log_prob(*grid))
    some = [jnp.asarray(axis[finite]) for axis in grid]
    with jax.debug_nans(True):
        jax.vmap(jax.hessian(log_prob, (0, 1, 2, 3)))(*some)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_no_nan_anywhere(name, evaluate):
    dtype = np.dtype(name)
    info = np.finfo(dtype)
    width, tiny, largest = dtype.itemsize * 8, float(info.tiny), float(info.max)

    def floats(low, high):
        return st.floats(low, high, width=width, allow_nan=False, allow_subnormal=False)

    anything, moderate = floats(-largest, largest), floats(-8, 8)
    point = st.tuples(
        anything | moderate,
        st.just(0.0) | moderate | anything,
        floats(0, 4) | floats(0, math.inf) | st.sampled_from([0.0, 2.0, math.inf]),
        st.just(1.0) | floats(0.125, 8) | floats(tiny, largest),
    )

    @hypothesis.settings(max_examples=400, deadline=None)
    @hypothesis.given(point)
    def check(point):
        value, gradient, hessian = evaluate(*(np.array([v], dtype) for v in point))
        assert not np.isnan(value).any()
        if np.isfinite(value).all():
            assert not np.isnan(gradient).any()
            assert not np.isnan(hessian).any()

    with jax.enable_x64(name == "float64"):
        check()


def test_the_logarithm_changes_its_exponent_without_a_step(dtype):
    """Where 1 + X^2/b passes sqrt(2) times a power of two; XLA evaluates that more than once."""
    alpha = np.array(0.5255, dtype)
    steps = np.arange(-4000, 4000) * np.finfo(dtype).eps
    edges = np.sqrt((2.0 ** np.arange(0.5, 8) - 1) * (2 - float(alpha)))
    x = (edges[:, None] * (1 + steps)).astype(dtype)

    @jax.jit
    def density(x, alpha, slope):
        law = GeneralRobust.with_orthogonal_scale(alpha, slope * x, orthogonal_scale(alpha, 1.0))
        return law.log_prob(x + slope * x)

    value = np.asarray(density(x, alpha, np.array(0.3, dtype)), float)
    # a step would be that of log 2; along the grid the density changes by 0.006 and less
    assert np.ptp(value, axis=1).max() < 0.01


def test_slope_in_alpha_is_minus_infinity_where_the_loss_overflows(dtype):
    """Of either kind of scale; where it does not, it is a number."""
    alpha = np.asarray([1e4, 1e6, 1e12, 1e30, np.finfo(dtype).max, math.inf], dtype)
    x = np.asarray([0.0, 1.0, 3.0, 1e3, 1e10, 1e18], dtype)[:, None]
    for law in (GeneralRobust, GeneralRobust.with_orthogonal_scale):
        slope = jnp.vectorize(jax.grad(lambda a, x, law=law: law(a).log_prob(x)))(alpha, x)
        assert jnp.isfinite(slope[:3]).all()
        np.testing.assert_array_equal(slope[3:], -math.inf)


def test_a_density_near_overflow_is_a_number(x64):
    """Nothing in between overflows where log p does not."""
    for alpha in (1e6, 1e10, 1e30, math.inf):
        x = 37.5
        with mpmath.workdps(30):
            half = mpmath.mpf(x) ** 2 / 2
            b = mpmath.mpf(alpha) - 2
            expected = (
                -mpmath.exp(half)
                if alpha == math.inf
                else -b / alpha * mpmath.expm1(mpmath.mpf(alpha) / 2 * mpmath.log1p(2 * half / b))
            )
        np.testing.assert_allclose(GeneralRobust(alpha).log_prob(x), float(expected), 1e-11)
