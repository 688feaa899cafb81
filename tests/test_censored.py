"""Censored outcomes: far in either tail, for every law that qualifies, and as NumPyro's wrappers.

References are the stored tails of ``tests/reference`` and, for Normal laws, mpmath at the exact
inputs.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from mpmath import mp
from numpyro.distributions.transforms import AffineTransform, ExpTransform

from robust_dist import (
    GeneralRobust,
    IntervalCensored,
    LeftCensored,
    RightCensored,
    TruncatedGeneralRobust,
    scale_from_orthogonal,
)

# relative, of value and gradient; the bars of the tail itself
RTOL = {"float64": 1e-11, "float32": 1e-5}


def mp_sf(x):
    return mp.erfc(x / mp.sqrt(2)) / 2


def relative(value, truth):
    truth = np.array([mp.mpf(t) for t in truth])
    exact = np.array([mp.mpf(float(v)) for v in np.asarray(value)])
    return float(np.max(np.abs((exact - truth) / truth)))


@pytest.mark.slow
def test_both_tails_against_reference(dtype, reference, errors, assert_below):
    """Value and gradients of right and left censoring, down to 1e-280 (float32 1e-35)."""
    table = reference("tail")
    exact = (table["x"] == table["x"].astype(dtype)) & (
        table["alpha"] == table["alpha"].astype(dtype)
    )
    shown = table["log_tail"] > (-645 if dtype == np.float64 else -80)
    keep = exact & shown & (table["x"] > 0)
    table = {name: column[keep] for name, column in table.items()}
    assert keep.sum() > (50 if dtype == np.float64 else 20)
    x, alpha = (jnp.asarray(table[name], dtype) for name in ("x", "alpha"))

    def right(x, alpha, loc, scale):
        return RightCensored(GeneralRobust(alpha, loc, scale), True).log_prob(x)

    def left(x, alpha, loc, scale):
        return LeftCensored(GeneralRobust(alpha, loc, scale), True).log_prob(-x)

    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    for censored in (right, left):
        value, (d_x, d_alpha, d_loc, d_scale) = jax.jit(
            jax.vmap(jax.value_and_grad(censored, (0, 1, 2, 3)))
        )(x, alpha, zero, one)
        where = {name: table[name] for name in ("x", "alpha")}
        assert_below(errors(value, table["log_tail"]).relative, RTOL[str(dtype)], **where)
        # the log density holds to some places of its own, which it shares with the tail
        size = np.maximum(1, np.abs(table["log_tail"].astype(float)))
        log_pdf = GeneralRobust(alpha).log_prob(x)
        hazard = np.array([mp.exp(mp.mpf(float(v))) for v in log_pdf]) / table["tail"]
        places = 20 * size * np.finfo(dtype).eps
        assert_below(errors(d_x, -hazard).relative, RTOL[str(dtype)] + places, **where)
        side = 1 if censored is right else -1
        assert_below(errors(side * d_loc, hazard).relative, RTOL[str(dtype)] + places, **where)
        moment = hazard * np.array([mp.mpf(v) for v in table["x"]])
        assert_below(errors(d_scale, moment).relative, RTOL[str(dtype)] + places, **where)
        slope = -table["dcdf_dalpha"] / table["tail"]
        finite = (table["alpha"] < 1e6) & (np.abs(table["alpha"] - 2) > 1e-6)  # limits have none
        bound = (1e-9 if dtype == np.float64 else 1e-4) * (1 + np.abs(slope[finite].astype(float)))
        at = {name: column[finite] for name, column in where.items()}
        assert_below(errors(d_alpha[finite], slope[finite]).absolute, bound, **at)


def normals(dtype):
    """Return laws whose tails are Normal's, and the map from z to their values."""
    one = jnp.ones((), dtype)
    return {
        "Normal": (dist.Normal(0 * one, one), lambda z: z),
        "expanded": (dist.Normal(0 * one, one).expand((2,)), lambda z: z),
        "GeneralRobust": (GeneralRobust(2 * one), lambda z: z),
        "orthogonal": (GeneralRobust.with_orthogonal_scale(2 * one, 0, one), lambda z: z),
        "shifted": (
            dist.TransformedDistribution(GeneralRobust(2 * one), AffineTransform(1.0, 2.0)),
            lambda z: 1 + 2 * z,
        ),
        "mirrored": (
            dist.TransformedDistribution(dist.Normal(0 * one, one), AffineTransform(0.0, -1.0)),
            lambda z: z,
        ),
        "expanded and transformed": (
            dist.TransformedDistribution(
                dist.Normal(0 * one, one).expand((2,)), [AffineTransform(0.0, -2.0)]
            ),
            lambda z: 2 * z,
        ),
        "wide window": (
            TruncatedGeneralRobust(2 * one, low=-64.0, high=64.0),
            lambda z: z,
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "wide window" else ())
        for name in normals(np.float32)
    ],
)
def test_every_kind_of_law(name, dtype):
    """Normal tails at 1e-250 (float32 1e-30), through whatever wraps the law."""
    z = 33.5 if dtype == np.float64 else 11.5
    law, place = normals(dtype)[name]
    truth = mp.log(mp_sf(mp.mpf(z)))
    hazard = mp.npdf(z) / mp_sf(mp.mpf(z))
    for wrapper, side in ((RightCensored, 1), (LeftCensored, -1)):
        at = jnp.full((2,), place(side * z), dtype)
        value, pull = jax.vjp(lambda v, w=wrapper: w(law, jnp.array([True, False])).log_prob(v), at)
        assert value.shape == (2,)
        assert relative(value[:1], [truth]) < RTOL[str(dtype)]
        np.testing.assert_allclose(value[1], law.expand((2,)).log_prob(at)[1], 1e-6)
        slope = pull(jnp.array([1, 0], dtype))[0]
        unit = float(abs(place(1.0) - place(0.0)))
        assert relative(slope[:1] * side * unit, [-hazard]) < 10 * RTOL[str(dtype)]
        assert slope[1] == 0


@pytest.mark.slow
def test_lognormal_at_its_limits(dtype):
    """A log-scale limit of detection; values at the end of the support are no trouble."""
    law = dist.LogNormal(jnp.asarray(0.5, dtype), 2.0)
    x = jnp.asarray([1e-9, 0.0, 3.0], dtype)
    flags = jnp.array([True, True, False])

    def total(loc, scale):
        return LeftCensored(dist.LogNormal(loc, scale), flags).log_prob(x)

    value = total(law.loc, law.scale)
    z = (mp.log(mp.mpf(float(x[0]))) - mp.mpf(0.5)) / 2
    assert relative(value[:1], [mp.log(mp_sf(-z))]) < RTOL[str(dtype)]
    assert value[1] == -jnp.inf
    np.testing.assert_allclose(value[2], law.log_prob(x[2]), 1e-6)
    jacobian = jax.jacrev(total, (0, 1))(law.loc, jnp.asarray(2.0, dtype))
    assert jnp.isfinite(jnp.stack(jacobian)).all()
    interval = IntervalCensored(law, False, False)
    bounds = jnp.stack([jnp.zeros(3, dtype), x], -1)[jnp.array([0, 2])]
    expected = [mp.log(mp_sf(-z)), mp.log(mp_sf(-(mp.log(3) - mp.mpf(0.5)) / 2))]
    assert relative(interval.log_prob(bounds), expected) < RTOL[str(dtype)]


def test_truncated_law(dtype):
    """Both tails of a window that reach its ends, against Normal integrals."""
    law = TruncatedGeneralRobust(jnp.asarray(2, dtype), low=1.0, high=8.0)
    x = np.array([1 + 2.0**-20, 1.5, 7.5, 8 - 2.0**-18])
    wide = [mp.mpf(v) for v in x]
    total = mp_sf(mp.mpf(1)) - mp_sf(mp.mpf(8))
    below = [mp.log((mp_sf(mp.mpf(1)) - mp_sf(v)) / total) for v in wide]
    above = [mp.log((mp_sf(v) - mp_sf(mp.mpf(8))) / total) for v in wide]
    left, right = jax.jit(
        lambda law, x: [side(law, True).log_prob(x) for side in (LeftCensored, RightCensored)]
    )(law, jnp.asarray(x, dtype))
    assert relative(left[:2], below[:2]) < RTOL[str(dtype)]
    assert relative(right, above) < RTOL[str(dtype)]


@jax.jit
@jax.vmap
def interval(alpha, low, high):
    """Return log P(low < X < high) and its slopes in both: one program for all tests of them."""

    def value(low, high):
        law = IntervalCensored(GeneralRobust(alpha), False, False, validate_args=False)
        return law.log_prob(jnp.stack([low, high]))

    probability, slopes = jax.value_and_grad(value, (0, 1))(low, high)
    return probability, *slopes


def test_intervals(dtype, in_chunks):
    """Of any width, centred or in a tail, with gradients; a third of them cross the mode."""
    centres = np.array([-8.0, -3.0, -0.25, 0.0, 0.5, 4.0, 9.0])
    if dtype == np.float64:
        centres = np.concatenate([centres, [-30.0, 30.0]])
    widths = np.array([2.0**-14, 2.0**-6, 0.25, 2.0, 8.0])
    low, high = (
        (centres[:, None] + side * widths / 2).ravel().astype(dtype).astype(float)
        for side in (-1, 1)
    )
    wide = [(mp.mpf(a), mp.mpf(b)) for a, b in zip(low, high, strict=True)]
    with mp.workdps(400):
        mass = [mp_sf(a) - mp_sf(b) for a, b in wide]
        truth = [mp.log(m) for m in mass]
        slopes = [(-mp.npdf(a) / m, mp.npdf(b) / m) for (a, b), m in zip(wide, mass, strict=True)]
    alpha = np.full(low.shape, 2, dtype)
    value, *gradient = in_chunks(interval, alpha, low.astype(dtype), high.astype(dtype))
    size = np.abs(np.array(truth, float))
    error = np.abs(
        np.array([mp.mpf(float(v)) - t for v, t in zip(value, truth, strict=True)])
    ).astype(float)
    # of a log near 0 the absolute error counts
    assert np.all(error < RTOL[str(dtype)] * np.maximum(1, size)), (error, low, high)
    slope = np.array(slopes, dtype=object)
    error = np.abs(np.stack(gradient, -1).astype(float) - slope.astype(float))
    assert np.all(
        error <= (1e-9 if dtype == np.float64 else 1e-4) * (1 + np.abs(slope.astype(float)))
    )


@pytest.mark.slow
def test_each_kind_of_row(dtype):
    """Interval, left, right, outside, point and open rows, in one batch, with finite gradients."""
    low = jnp.asarray([-1.0, -9.0, 9.5, -8.0, 0.5, -jnp.inf, 9.5, -jnp.inf, 2.0], dtype)
    high = jnp.asarray([2.0, -9.5, jnp.inf, 9.0, 0.5, -9.5, jnp.inf, jnp.inf, 1.0], dtype)
    left = jnp.array([0, 1, 0, 1, 0, 0, 0, 0, 0], bool)
    right = jnp.array([0, 0, 1, 1, 0, 0, 0, 0, 0], bool)
    f = {name: mp_sf(mp.mpf(z)) for name, z in (("9.5", 9.5), ("9", 9), ("8", 8))}
    truth = [
        mp.log(mp.ncdf(2) - mp.ncdf(-1)),
        *(mp.log(f["9.5"]), mp.log(f["9.5"]), mp.log(f["8"] + f["9"])),
        *(mp.log(mp.npdf(0.5)), mp.log(f["9.5"]), mp.log(f["9.5"])),
    ]

    @jax.jit
    def rows(loc, scale):
        law = IntervalCensored(GeneralRobust(2.0, loc, scale), left, right, validate_args=False)
        return law.log_prob(jnp.stack([low, high], -1))

    arguments = jnp.zeros((), dtype), jnp.ones((), dtype)
    value = rows(*arguments)
    assert relative(value[:7], truth) < RTOL[str(dtype)]
    assert value[7] == 0
    assert jnp.isnan(value[8])  # in the wrong order
    for jacobian in jax.jacrev(rows, (0, 1))(*arguments):
        assert jnp.isfinite(jacobian[:8]).all()


def test_numpyros_left_censoring_reaches_the_lower_tail(dtype):
    """NumPyro's own wrapper clips at the least normal number, far below 1e-250 (float32 1e-30)."""
    x = jnp.asarray(-33.5 if dtype == np.float64 else -11.5, dtype)
    law = dist.LeftCensoredDistribution(GeneralRobust(jnp.asarray(2, dtype)), True)
    value, slope = jax.value_and_grad(law.log_prob)(x)
    at = mp.mpf(float(-x))
    assert relative([value], [mp.log(mp_sf(at))]) < RTOL[str(dtype)]
    assert relative([slope], [mp.npdf(at) / mp_sf(at)]) < 10 * RTOL[str(dtype)]


@pytest.mark.slow
@pytest.mark.parametrize("wrapper", [LeftCensored, RightCensored])
def test_is_numpyros_wrapper_in_all_else(wrapper):
    """Shapes, pytrees, jit, vmap, expand, draws and the refusal of a law without tails."""
    numpyros = wrapper.__mro__[2]
    base = GeneralRobust(jnp.array([1.0, 2.0]), 0.3)
    flags = jnp.array([[1, 0], [0, 1], [1, 1]])
    ours, theirs = wrapper(base, flags), numpyros(base, flags)
    assert isinstance(ours, numpyros)
    assert ours.batch_shape == theirs.batch_shape == (3, 2)
    key = jax.random.key(0)
    np.testing.assert_array_equal(ours.sample(key, (4,)), theirs.sample(key, (4,)))
    x = jnp.linspace(-2, 2, 6).reshape(3, 2)
    value = ours.log_prob(x)
    np.testing.assert_allclose(value, theirs.log_prob(x), 2e-5)
    again = jax.tree.unflatten(jax.tree.structure(ours), jax.tree.leaves(ours))
    np.testing.assert_array_equal(again.log_prob(x), value)
    np.testing.assert_allclose(jax.jit(lambda d, x: d.log_prob(x))(ours, x), value, 1e-6)
    rows = jax.vmap(lambda f, x: wrapper(base, f).log_prob(x))(flags, x)
    np.testing.assert_allclose(rows, value, 1e-6)
    assert ours.expand((5, 3, 2)).log_prob(x).shape == (5, 3, 2)
    assert ours.to_event(1).log_prob(x).shape == (3,)
    with pytest.raises(TypeError, match="Gamma lacks log_cdf"):
        wrapper(dist.Gamma(1.0), True)


@pytest.mark.slow
def test_interval_is_numpyros_wrapper_in_all_else():
    base = GeneralRobust(jnp.array([1.0, 2.0]), 0.3)
    bounds = jnp.array([[[-1.0, 0.5], [0.1, 2.0]], [[-3.0, 0.2], [0.4, 0.9]]])
    left, right = jnp.array([[0, 0], [1, 1]]), jnp.array([[0, 1], [0, 1]])
    ours = IntervalCensored(base, left, right)
    theirs = dist.IntervalCensoredDistribution(base, left, right)
    assert (ours.batch_shape, ours.event_shape) == (theirs.batch_shape, theirs.event_shape)
    value = ours.log_prob(bounds)
    np.testing.assert_allclose(value, theirs.log_prob(bounds), 2e-5)
    np.testing.assert_allclose(jax.jit(lambda d, x: d.log_prob(x))(ours, bounds), value, 1e-6)
    falling = dist.TransformedDistribution(base, [AffineTransform(0.0, -1.0), ExpTransform()])
    turned = jnp.exp(-bounds[..., ::-1])
    np.testing.assert_allclose(
        IntervalCensored(falling, right, left).log_prob(turned), value, rtol=2e-5, atol=1e-6
    )
    with pytest.raises(TypeError, match="Gamma lacks log_cdf"):
        IntervalCensored(dist.Gamma(1.0), True, False)


def test_orthogonal_scale_carries_over(x64):
    """The gradient is in sigma, and the value that of the plain law of the same scale."""
    at = jnp.asarray(200.0)

    def value(sigma):
        law = GeneralRobust.with_orthogonal_scale(1.2, 0.0, sigma)
        return RightCensored(law, True).log_prob(at)

    def plain(sigma):
        law = GeneralRobust(1.2, 0.0, scale_from_orthogonal(1.2, sigma))
        return RightCensored(law, True).log_prob(at)

    for a, b in zip(*(jax.jit(jax.value_and_grad(f))(2.0) for f in (value, plain)), strict=True):
        np.testing.assert_allclose(a, b, 1e-12)


@pytest.mark.parametrize("alpha", [0.0, 2.0, 10.0, np.inf])
def test_interval_bounds_in_the_wrong_order_give_nan(alpha, dtype):
    """Infinite ones as well; a bound that a flag leaves out of account has no order."""
    law = GeneralRobust(np.asarray(alpha, dtype))
    ends = np.array([-np.inf, -1e10, -40, 0, 1e-8, 5, 1e3, np.inf], dtype)
    low, high = (axis.ravel() for axis in np.meshgrid(ends, ends))
    bounds = np.stack([low, high], -1)
    value = IntervalCensored(law, False, False).log_prob(bounds)
    np.testing.assert_array_equal(np.isnan(value), low > high)
    assert not np.isnan(IntervalCensored(law, True, False).log_prob(bounds)).any()


def test_gradient_of_an_interval_is_a_number_where_the_density_overflows(dtype, in_chunks):
    """The branch that integrates the density is not taken, and must not be heard of."""
    low, high = np.array([[-1e10, 5.0], [-1e3, 1e-8], [-40.0, 0.0], [0.0, 1e3]], dtype).T
    _, *slopes = in_chunks(interval, np.full(low.shape, np.inf, dtype), low, high)
    assert not np.isnan(slopes).any()
