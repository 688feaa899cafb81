"""The law on a window of the line as functions of its parameters, arrays of one floating dtype.

Each is compiled as a whole. ``Parameters`` broadcast against the values.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_dist._numerics.window import quantile as quantiles
from robust_dist._numerics.window.mass import Bounds, excess, expectations, log_mass, settle
from robust_dist._numerics.window.quantile import Point, signed_quantile

# alpha below which the moments of an open side are not computed: the mass that matters lies where
# the distance overflows
_LEAST_ALPHA = {np.dtype(np.float32): 0.03, np.dtype(np.float64): 0.01}


class Parameters(NamedTuple):
    """The parameters of TruncatedGeneralRobust."""

    alpha: Array
    loc: Array
    scale: Array
    low: Array
    high: Array


class _Law(NamedTuple):
    """The law in units of the scale."""

    alpha: Array
    """nan where there is no distribution"""
    scale: Array
    bounds: Bounds
    origin: Array
    """where on the line the anchor lies"""


def _law(p: Parameters) -> _Law:
    alpha, loc, scale, low, high = p
    proper = (alpha >= 0) | (jnp.isfinite(low) & jnp.isfinite(high))
    proper = proper & (low < high) & (low < jnp.inf) & (high > -jnp.inf)
    alpha = jnp.where(proper & jnp.isfinite(loc) & (scale > 0), alpha, jnp.nan)
    scale = jnp.where(scale > 0, scale, jnp.nan)
    above, below = low > loc, high < loc
    # an open end must not reach a derivative, where it would make inf * 0
    low_closed, high_closed = jnp.isfinite(low), jnp.isfinite(high)
    low, high = jnp.where(low_closed, low, loc), jnp.where(high_closed, high, loc)
    width = jnp.where(low_closed & high_closed, (high - low) / scale, jnp.inf)
    right = jnp.where(high_closed, (high - loc) / scale, jnp.inf)
    left = jnp.where(low_closed, (loc - low) / scale, jnp.inf)
    bounds = Bounds(
        jnp.where(above, (low - loc) / scale, jnp.where(below, (loc - high) / scale, 0)),
        jnp.where(above, width, jnp.where(below, 0, right)),
        jnp.where(below, width, jnp.where(above, 0, left)),
    )
    return _Law(alpha, scale, bounds, jnp.where(above, low, jnp.where(below, high, loc)))


def _point(value: Array, law: _Law, high: Array) -> Point:
    """Return where a value inside the window lies."""
    z = (value - law.origin) / law.scale
    right = (z > 0) | ((z == 0) & (law.origin < high))
    return Point(jnp.where(right, z, -z), right)


@jax.jit
def log_density(value: Array, p: Parameters) -> Array:
    """Return the log density at value, -inf outside of the window."""
    law = _law(p)
    outside = (value < p.low) | (value > p.high)
    point = _point(jnp.where(outside, law.origin, value), law, p.high)
    density = -excess(point.distance, law.bounds.anchor, law.alpha) - log_mass(
        law.bounds, law.alpha
    )
    # nan where there is no distribution, outside of what were its ends as well
    return jnp.where(outside & ~jnp.isnan(law.alpha), -jnp.inf, density - jnp.log(law.scale))


@jax.jit
def log_tails(value: Array, p: Parameters) -> tuple[Array, Array]:
    """Return log P(X <= value) and log P(X > value)."""
    law = _law(p)
    under, over = value <= p.low, value >= p.high
    value = jnp.where(under | over, law.origin, value)
    point = _point(value, law, p.high)
    end = jnp.where(point.right, p.high, p.low)
    closed = jnp.isfinite(end)
    far = jnp.where(closed, jnp.abs(jnp.where(closed, end, 0) - value) / law.scale, jnp.inf)
    nearer, beyond = quantiles.log_parts(point, far, law.bounds, law.alpha)
    cdf, sf = (jnp.where(point.right, *pair) for pair in ((nearer, beyond), (beyond, nearer)))
    # nan where there is no distribution
    nothing, everything = jnp.full_like(cdf, -jnp.inf), jnp.zeros_like(cdf)
    invalid = jnp.isnan(law.alpha)
    cdf = jnp.where(under & ~invalid, nothing, jnp.where(over & ~invalid, everything, cdf))
    sf = jnp.where(over & ~invalid, nothing, jnp.where(under & ~invalid, everything, sf))
    return cdf, sf


@jax.jit
def quantile(q: Array, p: Parameters) -> Array:
    """Return the quantile at q, nan outside of [0, 1]."""
    law = _law(p)
    inside = (q > 0) & (q < 1)
    window = settle(law.bounds, law.alpha)
    distance = signed_quantile(
        jnp.where(inside, q, 0.5), *jnp.broadcast_arrays(*window.bounds, window.alpha)
    )
    value = law.origin + law.scale * (jnp.exp(window.log_unit) * distance)
    # rounding may lead out of the window
    value = jnp.where(value < p.low, p.low, jnp.where(value > p.high, p.high, value))
    end = jnp.where(q == 0, p.low, jnp.where(q == 1, p.high, jnp.nan))
    return jnp.where(inside | jnp.isnan(value), value, end)


@jax.jit
def mode(p: Parameters) -> Array:
    """Return the point of the window nearest to loc."""
    law = _law(p)
    return jnp.where(jnp.isnan(law.alpha), jnp.nan, law.origin)


@jax.jit
def mean_and_variance(p: Parameters) -> tuple[Array, Array]:
    """Return both; infinite or nan at alpha = 0 with an open side, nan at alpha near 0 there."""
    law = _law(p)
    # far out x^2 outgrows the density for long when alpha is near 0
    least = _LEAST_ALPHA[np.dtype(law.alpha.dtype)]
    cut = 80 + 24 / jnp.maximum(jnp.where(law.alpha > 0, law.alpha, 1), least)
    window = settle(law.bounds, law.alpha)
    _, mean, square = expectations(
        lambda x, *_: (x, x * x), window.bounds, window.alpha, cut[..., None, None], panels=32
    )
    # nothing cancels: the anchor is the mode, and a unimodal law's lies within sqrt(3) standard
    # deviations of the mean
    variance = square - mean * mean
    right, left = jnp.isinf(law.bounds.right), jnp.isinf(law.bounds.left)
    cauchy = law.alpha == 0
    mean = jnp.where(cauchy & right, jnp.inf, jnp.where(cauchy & left, -jnp.inf, mean))
    variance = jnp.where(cauchy & (right | left), jnp.inf, variance)
    unknown = cauchy & right & left
    unknown = unknown | ((right | left) & (law.alpha > 0) & (law.alpha < least))
    mean, variance = (jnp.where(unknown, jnp.nan, part) for part in (mean, variance))
    unit = law.scale * jnp.exp(window.log_unit)
    return law.origin + unit * mean, unit**2 * variance


@jax.jit
def entropy(p: Parameters) -> Array:
    """Return the differential entropy in nats."""
    law = _law(p)
    window = settle(law.bounds, law.alpha)
    size, loss = expectations(lambda _, excess, *_rest: (excess,), window.bounds, window.alpha)
    return jnp.log(law.scale) + window.log_unit + size + loss
