r"""Probability on a window of the line, for any alpha in [-inf, inf], by fixed quadrature.

The window is seen from its anchor, the point u0 >= 0 of it that is nearest to loc, in units of the
scale: it reaches ``right`` and ``left`` from there. With q = t (t + 2 u0)/(b + u0^2) the loss
exceeds that at the anchor by

    D(t) = rho(u0 + t) - rho(u0) = ((b + u0^2) exp(w0)/alpha) ((1 + q)^(alpha/2) - 1),

which is evaluated without subtracting one loss from another, so that a window far out in a tail
keeps its digits. The mass is the integral of exp(-D), with Gauss-Legendre panels of equal width in
v, t = sigma sinh(v): even steps near the anchor, even steps of log t further out.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from robust_dist._precision import exp_excess, gap_floor
from robust_dist._standard import alpha_bound

# Where a side is cut off: D, beyond which exp(-D) t is below the last place for every alpha >= 0.
_CUT = 80.0
_NODES_PER_PANEL = {np.dtype(np.float32): 10, np.dtype(np.float64): 32}
# parameters whose integrals are worked out together, to bound the memory
AT_ONCE = 2048


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
    factor: Array
    """exp(w0)"""


def _largest(dtype: np.dtype) -> float:
    """Return a distance whose square is a number, with room to spare."""
    return float(np.sqrt(np.finfo(dtype).max)) / 8


@jax.custom_jvp
def _log_growth(rise: Array, span: Array) -> Array:
    """Return log(1 + rise/span); of its derivatives no square of 1/span is an intermediate."""
    return jnp.log1p(rise / span)


@_log_growth.defjvp
def _log_growth_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (rise, span), (d_rise, d_span) = primals, tangents
    inverse = 1 / (span + rise)
    return _log_growth(rise, span), d_rise * inverse - d_span * (rise * inverse / span)


def _excess_constants(anchor: Array, alpha: Array) -> _Excess:
    bound = alpha_bound(anchor.dtype)
    alpha = jnp.clip(alpha, -bound, bound)
    s = jnp.where(alpha < 2, -1, 1).astype(alpha.dtype)
    gap = s * (alpha - 2)
    # the floor is added, not chosen, so that the derivative of b in alpha stays s
    b = gap + jnp.where(gap < gap_floor(alpha.dtype), gap_floor(alpha.dtype), 0)
    square = anchor * anchor
    factor = jnp.exp(0.5 * s * b * _log_growth(square, b))
    return _Excess(s, 0.5 * alpha, b, b + square, factor)


def excess(t: Array, anchor: Array, alpha: Array) -> Array:
    """Return D at a distance t >= 0 from the anchor."""
    largest = _largest(t.dtype)
    anchor = jnp.minimum(anchor, largest)
    c = _excess_constants(anchor, alpha)
    inside = t <= largest
    near_t = jnp.where(inside, t, largest)
    far_t = jnp.minimum(jnp.where(inside, largest, t), jnp.finfo(t.dtype).max)
    rise = near_t * (near_t + 2 * anchor)
    # beyond, where the square would overflow, q grows as t^2
    log = _log_growth(rise, c.span) + 2 * jnp.log(far_t / largest)
    # q and (1 + q)^k apart, because b may vanish next to alpha = 2
    close = inside & (jnp.abs(c.k - 1) < 0.5)
    k, w = jnp.where(close, c.k, 1), jnp.where(close, (c.k - 1) * log, 0)
    near = (rise * jnp.exp(w) + c.span * jnp.expm1(w)) / (2 * k)
    z = c.k * log
    small = jnp.abs(z) < 0.5
    inner, outer = jnp.where(small, z, 0), jnp.where(small | close, 1, z)
    exprel = jnp.where(small, 1 + inner * exp_excess(inner), jnp.expm1(outer) / outer)
    return c.factor * jnp.where(close, near, 0.5 * c.span * log * exprel)


def reach(level: Array | float, anchor: Array, alpha: Array) -> Array:
    """Return the distance at which D reaches a level, inf where it never does; roughly."""
    anchor = jnp.minimum(anchor, _largest(anchor.dtype))
    c = _excess_constants(anchor, alpha)
    step = 2 * level / (c.span * c.factor)  # q, to first order
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
    """Return the mass, and the integrals of what g returns times exp(-D).

    ``g`` takes the signed distance from the anchor, D, the anchor and alpha, the parameters with
    two new last axes, for the side and the node.
    """
    anchor, shape = bounds.anchor[..., None, None], alpha[..., None, None]
    length = jnp.stack([bounds.right, bounds.left], -1)[..., None]
    nodes, weights = _rule(panels, alpha.dtype)
    at = side(length, anchor, shape, cut)
    v = at.top * nodes
    t = at.t(v)
    above = excess(t, anchor, shape)
    mass = weights * at.top * at.slope(v) * jnp.exp(-above)
    sign = jnp.asarray([1, -1], alpha.dtype)[:, None]
    # 0 * inf at nodes whose mass has vanished
    values = [jnp.where(mass == 0, 0, mass * part) for part in g(sign * t, above, anchor, shape)]
    return tuple(jnp.sum(part, (-2, -1)) for part in (mass, *values))


def in_batches[T](f: Callable[..., T], *args: Array) -> T:
    """Return f of arrays of one shape, some thousand elements at once, to bound the memory."""
    if args[0].size <= AT_ONCE:
        return f(*args)
    shape = args[0].shape
    done = lax.map(lambda row: f(*row), tuple(a.ravel() for a in args), batch_size=AT_ONCE)
    return jax.tree.map(lambda a: a.reshape(shape + a.shape[1:]), done)


def log_mass(bounds: Bounds, alpha: Array) -> Array:
    """Return the log of the integral of exp(-D) over the window."""
    arguments = jnp.broadcast_arrays(*bounds, alpha)
    return in_batches(_log_mass, *arguments)


@jax.custom_jvp
def _log_mass(anchor: Array, right: Array, left: Array, alpha: Array) -> Array:
    (mass,) = expectations(lambda *_: (), Bounds(anchor, right, left), alpha)
    return jnp.log(mass)


@_log_mass.defjvp
def _log_mass_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    anchor, right, left, alpha = primals
    d_anchor, d_right, d_left, d_alpha = tangents

    def slopes(t: Array, _: Array, u0: Array, a: Array) -> tuple[Array, ...]:
        t = jnp.abs(t)
        in_anchor = jax.jvp(lambda u: excess(t, u, a), (u0,), (jnp.ones_like(u0),))[1]
        in_alpha = jax.jvp(lambda a: excess(t, u0, a), (a,), (jnp.ones_like(a),))[1]
        return in_anchor, in_alpha

    mass, in_anchor, in_alpha = expectations(slopes, Bounds(anchor, right, left), alpha)

    def end(length: Array, tangent: Array) -> Array:
        within = length < reach(_CUT, *lax.stop_gradient((anchor, alpha)))
        at = jnp.where(within, length, 0)
        return jnp.where(within, jnp.exp(-excess(at, anchor, alpha)) * tangent, 0)

    moved = end(right, d_right) + end(left, d_left) - in_anchor * d_anchor - in_alpha * d_alpha
    return jnp.log(mass), moved / mass
