"""The loss and its derivatives are right to the last digits, for every alpha and x.

Accuracy is measured on exact binary inputs against 25-digit values (``tests/reference``, made by
``robust_dist._precompute.reference_values``), at points where the result is a normal number.
"""

from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from robust_dist._numerics.loss import psi, rho, weight

# A value is a handful of roundings plus exp and log1p of a few ulp each; 2e-13 (900 ulp) leaves
# room for e^w at |w| up to 700, whose relative error is |w| ulp. In float32, 5e-6 (42 ulp) has room
# for the |w| of rho < 80 but not for the largest, so those points are left out.
VALUE_BOUND = {"float64": 2e-13, "float32": 5e-6}
FLOAT32_LARGEST_RHO = 80
# d rho/d alpha is a difference of larger terms; its stable forms cost about another decade.
SLOPE_BOUND = {"float64": 5e-13, "float32": 5e-5}

INFINITY = math.inf


@jax.jit
@jax.vmap
def everything(x, alpha, scale):
    """Return (rho, psi, weight), the gradient (3) and the Hessian (3, 3) in (x, alpha, scale)."""

    def first(point):
        value, gradient = jax.value_and_grad(lambda p: rho(*p))(point)
        return gradient, (value, gradient)

    point = jnp.stack([x, alpha, scale])
    hessian, (value, gradient) = jax.jacfwd(first, has_aux=True)(point)
    return jnp.stack([value, psi(*point), weight(*point)]), gradient, hessian


@pytest.fixture(scope="module")
def evaluate(in_chunks):
    return lambda *axes: in_chunks(everything, *axes)


@pytest.fixture(scope="module")
def table(reference):
    cache = {name: reference(f"loss_{name}") for name in ("float32", "float64")}
    return lambda dtype: cache[str(dtype)]


def comparable(truth, rows, dtype):
    """Select the points with a stored value and, in float32, a moderate loss."""
    stored = np.array([mpmath.isfinite(value) for value in truth])
    if dtype == np.float32:
        stored &= np.array([0 <= value < FLOAT32_LARGEST_RHO for value in rows["rho"]])
    return stored


def points(rows, keep, dtype):
    return tuple(jnp.asarray(rows[name][keep], dtype) for name in ("x", "alpha", "scale"))


def inputs(rows, keep):
    return {name: rows[name][keep] for name in ("x", "alpha", "scale")}


@pytest.mark.parametrize("function", [rho, psi, weight], ids=lambda f: f.__name__)
def test_matches_reference(function, dtype, table, errors, assert_below):
    rows = table(dtype)
    truth = {
        "rho": rows["rho"],
        "weight": rows["weight"],
        "psi": rows["weight"] * np.array([mpmath.mpf(x) for x in rows["x"]]),
    }[function.__name__]
    tiny = np.finfo(dtype).tiny
    normal = np.array([value == 0 or abs(value) >= tiny for value in truth])
    keep = comparable(truth, rows, dtype) & normal
    computed = jax.jit(function)(*points(rows, keep, dtype))
    assert computed.dtype == dtype
    assert_below(
        errors(computed, truth[keep]).relative, VALUE_BOUND[str(dtype)], **inputs(rows, keep)
    )


def test_slope_in_alpha_matches_reference(dtype, table, errors, assert_below):
    rows = table(dtype)
    truth = rows["drho_dalpha"]  # infinite, hence not stored, at alpha = 2
    keep = comparable(truth, rows, dtype)
    computed = jax.jit(jax.vmap(jax.grad(rho, 1)))(*points(rows, keep, dtype))
    assert_below(
        errors(computed, truth[keep]).relative, SLOPE_BOUND[str(dtype)], **inputs(rows, keep)
    )


@pytest.mark.parametrize("argument", [0, 2], ids=["x", "scale"])
def test_slopes_in_x_and_scale_match_reference(argument, dtype, table, errors, assert_below):
    """The slopes are psi and -x psi / scale."""
    rows = table(dtype)
    x, scale = (np.array([mpmath.mpf(v) for v in rows[name]]) for name in ("x", "scale"))
    truth = rows["weight"] * x if argument == 0 else -rows["weight"] * x * x / scale
    info = np.finfo(dtype)
    in_range = np.array([v == 0 or info.tiny <= abs(v) <= float(info.max) for v in truth])
    keep = comparable(truth, rows, dtype) & in_range
    computed = jax.jit(jax.vmap(jax.grad(rho, argument)))(*points(rows, keep, dtype))
    assert_below(
        errors(computed, truth[keep]).relative, VALUE_BOUND[str(dtype)], **inputs(rows, keep)
    )


@pytest.mark.parametrize(
    ("alpha", "law"),
    [
        (2.0, lambda x: x**2 / 2),
        (1.0, lambda x: x**2 / (np.sqrt(x**2 + 1) + 1)),  # Charbonnier, without cancellation
        (0.0, lambda x: np.log1p(x**2 / 2)),  # Cauchy
        (-2.0, lambda x: 2 * x**2 / (x**2 + 4)),  # Geman-McClure
        (-INFINITY, lambda x: -np.expm1(-(x**2) / 2)),  # Welsch
        (INFINITY, lambda x: np.expm1(x**2 / 2)),
    ],
)
def test_named_members(alpha, law, x64):
    x = np.linspace(-9, 9, 181)
    # 30 ulp: x^2/2 = 40 in the exponent of the last law magnifies its rounding 40-fold.
    np.testing.assert_allclose(rho(x, alpha), law(x), rtol=40 * 2.2e-16, atol=0)


@pytest.mark.parametrize("alpha", [0.0, 2.0, INFINITY, -INFINITY])
def test_limits_are_reached_continuously(alpha, x64):
    """The special members are not islands: next to them the loss is next to theirs."""
    x = np.logspace(-6, 1, 50)
    near = {
        0.0: (-1e-17, 1e-17),
        2.0: (np.nextafter(2, 0), np.nextafter(2, 3)),
        INFINITY: (1e17,),
        -INFINITY: (-1e17,),
    }[alpha]
    for neighbour in near:
        # |d rho/d alpha| / rho is below 60 on these x, and d rho/d(1/alpha) / rho below 2,000.
        np.testing.assert_allclose(rho(x, neighbour), rho(x, alpha), rtol=3e-14)


def test_at_two_every_derivative_is_finite(dtype, evaluate):
    """The slope in alpha diverges at 2: whatever convention replaces it must stay a number."""
    x = np.array([0.0, 1e-3, 1.0, -7.0, 1e3], dtype)
    for array in evaluate(x, np.full_like(x, 2.0), np.full_like(x, 1.5)):
        assert np.isfinite(array).all()


def test_second_derivatives_agree_with_differences_of_first(x64, evaluate):
    """Central differences of the gradients, which are themselves checked against truth."""
    grid = np.meshgrid(
        [-3.0, 0.3, 1.0, 20.0], [-2.0, -0.3, 0.0, 0.7, 1.4, 2.3, 5.0], [0.5, 1.0], indexing="ij"
    )
    point = np.stack([axis.ravel() for axis in grid])
    _, gradient, hessian = evaluate(*point)
    h = 1e-5
    for k in range(3):
        shift = h * np.eye(3)[:, [k]]
        _, above, _ = evaluate(*(point + shift))
        _, below, _ = evaluate(*(point - shift))
        difference = (above - below) / (2 * h)
        # Truncation is h^2/6 times a third derivative; the size of the terms is that of the first.
        size = np.abs(difference) + np.abs(gradient)
        assert np.all(np.abs(hessian[:, k] - difference) <= 1e-7 * size)
    np.testing.assert_allclose(hessian, np.swapaxes(hessian, 1, 2), rtol=1e-10)


def test_broadcasts_and_keeps_the_dtype(x64):
    x = jnp.linspace(-1, 1, 3, dtype=jnp.float32)[:, None]
    alpha = jnp.asarray([0.0, 2.0], jnp.float32)
    for function in (rho, psi, weight):
        assert function(x, alpha).shape == (3, 2)
        assert function(x, alpha).dtype == jnp.float32
        assert function(x, alpha, 2.0).dtype == jnp.float32  # a Python number is weakly typed
        assert function(2, 1, 3) == function(2.0, 1.0, 3.0)


# Properties


def floats(low, high, dtype):
    """Strategy for every float of the dtype in [low, high] that the hardware does not flush."""
    width = np.dtype(dtype).itemsize * 8
    return st.floats(low, high, width=width, allow_nan=False, allow_subnormal=False)


def strategy(dtype):
    info = np.finfo(dtype)
    largest, tiny = float(info.max), float(info.tiny)
    special = [0.0, 2.0, 1.0, INFINITY, -INFINITY, -2.0, tiny, -tiny]
    special += [float(np.nextafter(dtype.type(2), dtype.type(k))) for k in (0, 3)]
    return st.tuples(
        st.one_of(floats(-largest, largest, dtype), floats(-10, 10, dtype)),
        st.one_of(
            st.sampled_from(special), floats(-INFINITY, INFINITY, dtype), floats(-4, 4, dtype)
        ),
        st.one_of(st.just(1.0), floats(tiny, largest, dtype), floats(0.125, 8, dtype)),
    )


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_properties_of_the_loss(name, evaluate):
    dtype = np.dtype(name)

    # 400 points a run; the grid of test_no_nan_on_a_grid_of_extremes is the systematic part.
    @hypothesis.settings(max_examples=400, deadline=None)
    @hypothesis.given(strategy(dtype))
    def check(point):
        x, alpha, scale = (np.full(2, value, dtype) for value in point)
        x[1] = -x[0]
        values, gradient, hessian = evaluate(x, alpha, scale)
        value, slope, w = values[0]
        assert value >= 0
        assert not np.isnan(w)
        if np.isfinite(value):
            assert not np.isnan(slope)
            assert not np.isnan(gradient).any()
            assert not np.isnan(hessian).any()
            assert gradient[0, 1] >= 0  # rho increases in alpha
        np.testing.assert_array_equal(values[1], values[0] * np.array([1, -1, 1]))

    with jax.enable_x64(name == "float64"):
        check()


def extremes(dtype):
    """Return (x, alpha, scale) over the whole range of the precision, as one grid."""
    info = np.finfo(dtype)
    tiny, largest = float(info.tiny), float(info.max)
    powers = np.logspace(np.log10(tiny) + 0.1, np.log10(largest) - 0.1, 31)
    x = [0.0, tiny, largest, *powers, *np.logspace(-3, 3, 13)]
    gaps = [tiny, 1e-30, 1e-16, 1e-8, 1e-4, 0.1, 0.5, 1.0, 2.0]
    near_two = [float(np.nextafter(dtype.type(2), dtype.type(k))) for k in (0, 3)]
    alpha = [0.0, 2.0, *near_two, INFINITY, largest, 1e30, 1e10, 1e4, 30.0, 4.0, 3.0, 2.5, 1.999]
    alpha = sorted({*alpha, *gaps, *(2 - gap for gap in gaps), *(2 + gap for gap in gaps)})
    alpha = [*alpha, *(-a for a in alpha)]
    scale = [1.0, tiny, 1e-30, 1e-10, 1e-3, 0.37, 50.0, 1e10, 1e30, largest]
    grid = np.meshgrid(np.array([*x, -1.0]), np.array(alpha), np.array(scale), indexing="ij")
    return [axis.ravel().astype(dtype) for axis in grid]


def first(bad, grid):
    """Describe where `bad` first holds."""
    at = int(np.argmax(bad))
    return f"{int(bad.sum())} of {bad.size}, first at {[float(axis[at]) for axis in grid]}"


def test_no_nan_on_a_grid_of_extremes(dtype, evaluate):
    grid = extremes(dtype)
    values, gradient, hessian = evaluate(*grid)
    hessian = hessian.reshape(-1, 9)
    bad = np.isnan(values[:, [0, 2]]).any(1)
    assert not bad.any(), f"value or weight: {first(bad, grid)}"
    finite = np.isfinite(values[:, 0])
    for what, array in (("psi", values[:, 1:2]), ("gradient", gradient), ("Hessian", hessian)):
        bad = np.isnan(array).any(1) & finite
        assert not bad.any(), f"{what}: {first(bad, grid)}"


def test_no_intermediate_nan():
    """`jax_debug_nans` inspects every intermediate of unjitted code: none may be NaN.

    In float32 alone, whose range ends sooner; the density is tested so in both precisions.
    """
    with jax.enable_x64(False):
        grid = extremes(np.dtype("float32"))
        finite = np.isfinite(rho(*grid))
        some = [jnp.asarray(axis[finite]) for axis in grid]
        with jax.debug_nans(True):
            jax.vmap(jax.hessian(rho, (0, 1, 2)))(*some)


@pytest.mark.parametrize(("alpha", "x"), [(1e8, 38.0), (-1e8, 38.0), (1e6, 37.8), (1e12, 38.5)])
def test_slope_in_alpha_where_the_loss_overflows(alpha, x, x64):
    """The loss is no number there, but its derivative in alpha may be one; mpmath's quadrature."""
    with mpmath.workdps(40):
        b, k = abs(mpmath.mpf(alpha) - 2), mpmath.mpf(alpha) / 2
        end = mpmath.log1p(mpmath.mpf(x) ** 2 / b)

        def excess(u):
            return mpmath.exp(k * u) * (u + mpmath.expm1(-u))

        truth = b / 4 * mpmath.quad(excess, mpmath.linspace(0, end, 40))
    assert jnp.isinf(rho(x, alpha)) == (alpha > 0)
    np.testing.assert_allclose(jax.grad(rho, 1)(x, alpha), float(truth), 1e-9)


def test_slope_in_alpha_is_never_nan_nor_negative(dtype):
    """D rho/d alpha is the integral of a positive function; it overflows to inf."""
    far = {"float32": [12.0, 13.5, 14.0], "float64": [36.0, 37.7, 38.0, 39.0]}[str(dtype)]
    x = np.asarray([0.0, 1.0, *far, 1e3, 1e10, 1e18], dtype)[:, None]
    alpha = np.asarray([3.0, 100.0, 1e4, 1e6, 1e8, 1e12, 1e18, 1e30, math.inf], dtype)
    slope = jnp.vectorize(jax.grad(rho, 1))(x, alpha)
    assert (slope >= 0).all()
