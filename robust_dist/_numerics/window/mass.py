r"""Probability on a window of the line, for any alpha in [-inf, inf], by fixed quadrature.

The window is seen from its anchor, the point u0 >= 0 of it that is nearest to loc, in units of the
scale: it reaches ``right`` and ``left`` from there. With q = t (t + 2 u0)/(b + u0^2) the loss
exceeds that at the anchor by

    D(t) = rho(u0 + t) - rho(u0) = ((b + u0^2) exp(w0)/alpha) ((1 + q)^(alpha/2) - 1),

which is evaluated without subtracting one loss from another, so that a window far out in a tail
keeps its digits. The mass is the integral of exp(-D), with Gauss-Legendre panels of equal width in
v, t = sigma sinh(v): even steps near the anchor, even steps of log t further out.

Where alpha and the anchor are so large that exp(w0) leaves the format, the law is a spike at the
anchor: D = psi(u0) t to the last place, an exponential law whose mean 1/psi(u0) may be too small
for the format though its logarithm is not. :func:`settle` sees every such law in a unit of its own.
"""

import functools
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from robust_dist._numerics.formats import alpha_bound, gap_floor, log_largest
from robust_dist._numerics.power_series import exp_excess

# Where a side is cut off: D, beyond which exp(-D) t is below the last place for every alpha >= 0.
_CUT = 80.0
_NODES_PER_PANEL = {np.dtype(np.float32): 10, np.dtype(np.float64): 32}
# parameters whose integrals are worked out together, to bound the memory
AT_ONCE = 2048
# the log of psi^2/psi' at the anchor from which on D bends too little to matter before exp(-D) = 0
_SPIKE = 45.0
# Seen from here, alpha = 2 is the exponential law, D = u0 t (1 + t/(2 u0)), t being some 1/u0; and
# within 1/_FAR of 0 it is the uniform law.
_FAR = {np.dtype(np.float32): 2.0**24, np.dtype(np.float64): 2.0**40}
# the D below which a law is uniform
_FLAT = 1e-20
# the D beyond which nothing is left
_NOTHING_BEYOND = 1e6


class Bounds(NamedTuple):
    """A window in units of the scale, seen from its point nearest to loc."""

    anchor: Array
    right: Array
    left: Array


class _Excess(NamedTuple):
    """What D needs of the parameters alone."""

    s: Array
    k: Array
    """alpha/2"""
    b: Array
    span: Array
    """b + u0^2"""
    exponent: Array
    """w0"""


def _largest(dtype: DTypeLike) -> float:
    """Return a distance whose square is a number, with room to spare."""
    return float(np.sqrt(np.finfo(dtype).max)) / 8


@jax.custom_jvp
def _log_growth(rise: Array, span: Array) -> Array:
    """Return log(1 + rise/span); of its derivatives no square of 1/span is an intermediate."""
    quotient = rise / span
    return jnp.where(jnp.isinf(quotient), jnp.log(rise) - jnp.log(span), jnp.log1p(quotient))


@_log_growth.defjvp
def _log_growth_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (rise, span), (d_rise, d_span) = primals, tangents
    inverse = 1 / (span + rise)
    return _log_growth(rise, span), d_rise * inverse - d_span * (rise * inverse / span)


def _gap(alpha: Array, bound: float) -> Array:
    """Return abs(alpha - 2), never 0, for an alpha that is taken for the bound beyond it."""
    gap = jnp.abs(jnp.clip(alpha, -bound, bound) - 2)
    # the floor is added, not chosen, so that the derivative in alpha stays that of the gap
    return gap + jnp.where(gap < gap_floor(alpha.dtype), gap_floor(alpha.dtype), 0)


def _bent(rise: Array, span: Array) -> Array:
    """Return span log(1 + rise/span), which is rise where the quotient might underflow."""
    straight = rise < jnp.finfo(rise.dtype).eps * span
    return jnp.where(straight, rise, span * _log_growth(rise, span))


def _excess_constants(anchor: Array, alpha: Array) -> _Excess:
    bound = alpha_bound(anchor.dtype)
    s = jnp.where(alpha < 2, -1, 1).astype(alpha.dtype)
    b, square = _gap(alpha, bound), anchor * anchor
    # far out the bound would show
    exponent = 0.5 * s * _bent(square, _gap(alpha, float(jnp.finfo(alpha.dtype).max) / 16))
    return _Excess(s, 0.5 * jnp.clip(alpha, -bound, bound), b, b + square, exponent)


def _amplify(value: Array, exponent: Array) -> Array:
    """Return value * exp(exponent), also where the exponential alone overflows, and 0 for 0."""
    root = jnp.exp(jnp.minimum(0.5 * exponent, log_largest(value.dtype)))
    return (root * value) * root


def _excess(t: Array, anchor: Array, alpha: Array) -> Array:
    largest = _largest(t.dtype)
    anchor = jnp.minimum(anchor, largest)
    c = _excess_constants(anchor, alpha)
    inside = t <= largest
    near_t = jnp.where(inside, t, largest)
    far_t = jnp.minimum(jnp.where(inside, largest, t), jnp.finfo(t.dtype).max)
    rise = near_t * (near_t + 2 * anchor)
    # beyond, where the square would overflow, q grows as t^2
    beyond = 2 * jnp.log(far_t / largest)
    log = _log_growth(rise, c.span) + beyond
    # q and (1 + q)^k apart, because b may vanish next to alpha = 2
    close = inside & (jnp.abs(c.k - 1) < 0.5)
    k, w = jnp.where(close, c.k, 1), jnp.where(close, (c.k - 1) * log, 0)
    near = (rise * jnp.exp(w) + c.span * jnp.expm1(w)) / (2 * k)
    z = c.k * log
    small = jnp.abs(z) < 0.5
    inner, outer = jnp.where(small, z, 0), jnp.where(small | close, 1, z)
    exprel = jnp.where(small, 1 + inner * exp_excess(inner), jnp.expm1(outer) / outer)
    far = 0.5 * (_bent(rise, c.span) + c.span * beyond) * exprel
    return _amplify(jnp.where(close, near, far), c.exponent)


def _guarded(
    f: Callable[..., Array], orders: int, infinity: Callable[[DTypeLike], float]
) -> Callable[..., Array]:
    """Return a function whose derivatives of the first orders are finite numbers.

    Then 0 times a derivative is 0. Where one is no number, though the arguments are, terms of it
    have overflowed; of D they are positive. Infinity is a number of the order of the largest to the
    first order, and of its root to the second, which still is one times a parameter's derivative.
    """
    guarded = jax.custom_jvp(f)

    def partial(index: int) -> Callable[..., Array]:
        def slope(*primals: Array) -> Array:
            def along(x: Array) -> Array:
                return f(*primals[:index], x, *primals[index + 1 :])

            x = primals[index]
            value = jax.jvp(along, (x,), (jnp.ones_like(x),))[1]
            numbers = ~functools.reduce(operator.or_, map(jnp.isnan, primals))
            value = jnp.where(jnp.isnan(value) & numbers, jnp.inf, value)
            return jnp.where(jnp.isinf(value), jnp.sign(value) * infinity(value.dtype), value)

        return _guarded(slope, orders - 1, _largest) if orders > 1 else slope

    def jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
        terms = (partial(i)(*primals) * tangent for i, tangent in enumerate(tangents))
        return guarded(*primals), functools.reduce(operator.add, terms)

    guarded.defjvp(jvp)
    return guarded


_guarded_excess = _guarded(_excess, 2, lambda dtype: float(jnp.finfo(dtype).max) / 16)


def excess(t: Array, anchor: Array, alpha: Array) -> Array:
    """Return D at a distance t >= 0 from the anchor; where it overflows, so do its derivatives."""
    return _guarded_excess(t, anchor, alpha)


def reach(level: Array | float, anchor: Array, alpha: Array) -> Array:
    """Return the distance at which D reaches a level, inf where it never does; roughly."""
    anchor = jnp.minimum(anchor, _largest(anchor.dtype))
    c = _excess_constants(anchor, alpha)
    step = 2 * level / (c.span * jnp.exp(c.exponent))  # q, to first order
    growth = c.k * step  # of (1 + q)^k = 1 + growth
    small = jnp.abs(growth) < 1e-4
    inside = growth > -1
    log = jnp.where(
        small, 1, jnp.log1p(jnp.where(inside & ~small, growth, 0)) / jnp.where(small, 1, growth)
    )
    rise = c.span * jnp.expm1(step * log)
    rise = jnp.where(jnp.isfinite(rise), rise, jnp.finfo(rise.dtype).max)
    t = rise / jnp.maximum(anchor + jnp.sqrt(anchor * anchor + rise), jnp.finfo(rise.dtype).tiny)
    return jnp.where(inside, t, jnp.inf)


class Settled(NamedTuple):
    """A window whose law has a scale that the format can hold, and the log of its unit."""

    log_unit: Array
    bounds: Bounds
    alpha: Array


def settle(bounds: Bounds, alpha: Array) -> Settled:
    """Return the window as it is, but in a unit of its own where its law is tiny.

    That is a spike, as the exponential law that it is, and the uniform law of a window hardly wider
    than the smallest number. The unit may underflow, its logarithm does not.
    """
    far = _FAR[np.dtype(alpha.dtype)]
    u0 = jnp.minimum(jnp.where(bounds.anchor > 0, bounds.anchor, 1), _largest(alpha.dtype))
    c = _excess_constants(u0, alpha)
    log_u0 = jnp.log(u0)
    log_rate = log_u0 + c.exponent
    # u0 psi'/psi is 1 + (alpha - 2) W
    bending = 1 + jnp.where(c.s > 0, c.b * (u0 * (u0 / c.span)), 0)
    spike = (bounds.anchor > 0) & (log_rate + log_u0 - jnp.log(bending) > _SPIKE)
    longest = jnp.where(bounds.right > bounds.left, bounds.right, bounds.left)
    flat = (longest > 0) & (longest < float(jnp.finfo(alpha.dtype).tiny) * far)
    flat = flat & (excess(longest, bounds.anchor, alpha) < _FLAT)
    log_unit = jnp.where(flat, jnp.log(jnp.where(flat, longest, 1)), -log_rate) + math.log(far)
    settled = spike | flat
    longest_kept = math.log(_NOTHING_BEYOND / far)

    def in_unit(length: Array) -> Array:
        positive = settled & (length > 0)
        log_length = jnp.log(jnp.where(positive, length, 1)) - log_unit
        return jnp.where(positive, jnp.exp(jnp.minimum(log_length, longest_kept)), length)

    anchor = jnp.where(spike, far, bounds.anchor)
    return Settled(
        jnp.where(settled, log_unit, 0),
        Bounds(jnp.where(flat, 0, anchor), in_unit(bounds.right), in_unit(bounds.left)),
        jnp.where(settled, 2, alpha),
    )


class Side(NamedTuple):
    """The map t = sigma sinh(v), v in [0, top], of one side."""

    sigma: Array
    top: Array

    def t(self, v: Array) -> Array:
        return self.sigma * jnp.sinh(v)

    def slope(self, v: Array) -> Array:
        return self.sigma * jnp.cosh(v)


def side(length: Array, anchor: Array, alpha: Array, cut: Array | float = _CUT) -> Side:
    """Return the map for a side of this length, which may be inf where alpha >= 0."""
    u0 = lax.stop_gradient(jnp.minimum(anchor, _largest(anchor.dtype)))
    fixed = (u0, lax.stop_gradient(alpha))
    c = _excess_constants(*fixed)
    # D reaches 1, or bends
    bend = jnp.where(u0 > 0, c.span / jnp.where(u0 > 0, c.b * u0, 1), jnp.inf)
    sigma = jnp.minimum(jnp.minimum(reach(1.0, *fixed), bend), jnp.maximum(u0, 1))
    sigma = jnp.maximum(sigma, jnp.finfo(sigma.dtype).tiny * 1e10)
    return Side(sigma, jnp.arcsinh(jnp.minimum(length, reach(cut, *fixed)) / sigma))


def _rule(panels: int, dtype: np.dtype) -> tuple[Array, Array]:
    """Return nodes and weights on [0, 1]."""
    node, weight = np.polynomial.legendre.leggauss(_NODES_PER_PANEL[np.dtype(dtype)])
    nodes = (np.arange(panels)[:, None] + 0.5 * (1 + node)).ravel() / panels
    return jnp.asarray(nodes, dtype), jnp.asarray(np.tile(0.5 * weight, panels) / panels, dtype)


def expectations(
    g: Callable[[Array, Array, Array, Array], tuple[Array, ...]],
    bounds: Bounds,
    alpha: Array,
    cut: Array | float = _CUT,
    panels: int = 8,
) -> tuple[Array, ...]:
    """Return the log of the mass, and the means of what g returns, under a settled window's law.

    ``g`` takes the signed distance from the anchor, D, the anchor and alpha, the parameters with
    two new last axes, for the side and the node.
    """
    anchor, alpha = bounds.anchor[..., None, None], alpha[..., None, None]
    length = jnp.stack([bounds.right, bounds.left], -1)[..., None]
    nodes, weights = _rule(panels, alpha.dtype)
    axis = side(length, anchor, alpha, cut)
    v = axis.top * nodes
    t = axis.t(v)
    above = excess(t, anchor, alpha)
    mass = weights * jnp.cosh(v) * jnp.exp(-above)
    sign = jnp.asarray([1, -1], alpha.dtype)[:, None]
    # 0 * inf at nodes whose mass has vanished
    values = [jnp.where(mass == 0, 0, mass * part) for part in g(sign * t, above, anchor, alpha)]
    # The sides' lengths in v come last, relative to the longer: products with a tiny one underflow.
    reached = (axis.sigma * axis.top)[..., 0]
    longer = jnp.max(reached, -1, keepdims=True)
    share = reached / jnp.where(longer > 0, longer, 1)
    total, *sums = (jnp.sum(share * jnp.sum(part, -1), -1) for part in (mass, *values))
    return jnp.log(longer[..., 0]) + jnp.log(total), *(part / total for part in sums)


def in_batches[T](f: Callable[..., T], *args: Array) -> T:
    """Return f of arrays of one shape, some thousand elements at once, to bound the memory."""
    if args[0].size <= AT_ONCE:
        return f(*args)
    shape = args[0].shape
    results = lax.map(lambda row: f(*row), tuple(a.ravel() for a in args), batch_size=AT_ONCE)
    return jax.tree.map(lambda a: a.reshape(shape + a.shape[1:]), results)


def log_mass(bounds: Bounds, alpha: Array) -> Array:
    """Return the log of the integral of exp(-D) over the window."""
    window = settle(bounds, alpha)
    arguments = jnp.broadcast_arrays(*window.bounds, window.alpha)
    return window.log_unit + in_batches(_log_mass, *arguments)


@jax.custom_jvp
def _log_mass(anchor: Array, right: Array, left: Array, alpha: Array) -> Array:
    return expectations(lambda *_: (), Bounds(anchor, right, left), alpha)[0]


@_log_mass.defjvp
def _log_mass_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    anchor, right, left, alpha = primals
    d_anchor, d_right, d_left, d_alpha = tangents

    def slopes(t: Array, _: Array, u0: Array, a: Array) -> tuple[Array, ...]:
        t = jnp.abs(t)
        in_anchor = jax.jvp(lambda u: excess(t, u, a), (u0,), (jnp.ones_like(u0),))[1]
        in_alpha = jax.jvp(lambda a: excess(t, u0, a), (a,), (jnp.ones_like(a),))[1]
        return in_anchor, in_alpha

    value, in_anchor, in_alpha = expectations(slopes, Bounds(anchor, right, left), alpha)

    def end(length: Array, tangent: Array) -> Array:
        within = length < reach(_CUT, *lax.stop_gradient((anchor, alpha)))
        bounded = jnp.where(within, length, 0)
        return jnp.where(within, jnp.exp(-excess(bounded, anchor, alpha) - value) * tangent, 0)

    ends = end(right, d_right) + end(left, d_left)
    return value, ends - in_anchor * d_anchor - in_alpha * d_alpha
