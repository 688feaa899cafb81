"""Quantiles on a window: a table of the mass of small cells, and Newton's steps inside of one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from robust_dist._numerics.spline import search
from robust_dist._numerics.window.mass import AT_ONCE, Bounds, Side, excess, log_mass, reach, side

_CELLS = 1024
_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(8)
_NEWTON_STEPS = 6
# An open side is cut off where exp(-D), times the distance in sigma, is the smallest probability of
# the format.
_CUT = {np.dtype(np.float32): 86.0, np.dtype(np.float64): 700.0}
# added to the log of the table's masses, so that those of cells in the far tail are normal numbers
_LIFT = 20.0


class Point(NamedTuple):
    """A point of a window: its distance from the anchor, and to which side."""

    distance: Array
    right: Array


def _edges(axis: Side, anchor: Array, alpha: Array) -> Array:
    """Return the edges of the cells in v, on a new last axis of length 1.

    Half of them lie at even steps of v, half at even steps of D, so that exp(-D) is all but a
    polynomial in every cell, however fast it falls.
    """
    share = jnp.arange(_CELLS // 2 + 1, dtype=axis.top.dtype) / (_CELLS // 2)
    level = share[1:] * excess(axis.t(axis.top), anchor, alpha)
    falls = jnp.arcsinh(reach(level, anchor, alpha) / axis.sigma)
    return jnp.sort(jnp.concatenate([axis.top * share, jnp.minimum(falls, axis.top)], -1), -1)


def _density(v: Array, axis: Side, anchor: Array, alpha: Array) -> Array:
    # in one exponential, because either factor may leave the format's range
    return jnp.exp(jnp.log(axis.slope(v)) + _LIFT - excess(axis.t(v), anchor, alpha))


def _mass_between(start: Array, stop: Array, axis: Side, anchor: Array, alpha: Array) -> Array:
    """Return the mass between two v, by Gauss-Legendre."""
    width = (stop - start)[..., None]
    v = start[..., None] + width * jnp.asarray(0.5 * (1 + _GAUSS_NODES), width.dtype)
    axis = Side(*(part[..., None] for part in axis))
    density = _density(v, axis, anchor[..., None], alpha[..., None])
    return jnp.sum(width * jnp.asarray(0.5 * _GAUSS_WEIGHTS, width.dtype) * density, -1)


def quantile(q: Array, bounds: Bounds, alpha: Array) -> Point:
    """Return where the fraction q of the mass lies below; parameters broadcast against q."""
    parameters = jnp.broadcast_arrays(*bounds, alpha)
    shape, size = parameters[0].shape, parameters[0].size
    if size <= AT_ONCE // 2:
        return _quantile(q, *parameters)
    # a table each takes memory, so that of many parameters only some are met at once
    q = jnp.broadcast_to(q, jnp.broadcast_shapes(q.shape, shape))
    sample_shape = q.shape[: q.ndim - len(shape)]
    columns = jnp.moveaxis(q.reshape(*sample_shape, size), -1, 0)
    rows = (columns, *(part.ravel() for part in parameters))
    points = lax.map(lambda row: _quantile(*row), rows, batch_size=AT_ONCE // 2)
    return jax.tree.map(lambda part: jnp.moveaxis(part, 0, -1).reshape(q.shape), points)


def _quantile(q: Array, *parameters: Array) -> Point:
    dtype = q.dtype

    # The axis of either side, one line of the tables each. Cut off where what lies beyond is below
    # the smallest probability of the format: first where exp(-D) is, then, as the side's length in
    # sigma multiplies it, where exp(-D) is smaller by that length, log(2 t/sigma) = top.
    anchor, right, left, alpha = (part.ravel()[:, None, None] for part in parameters)
    lengths = jnp.concatenate([right, left], 1)
    cut = _CUT[np.dtype(dtype)]
    first = side(lengths, anchor, alpha, cut)
    maps = side(lengths, anchor, alpha, cut + first.top)
    maps = Side(*jnp.broadcast_arrays(*maps))  # one line of numbers per row and side

    # The tables: the mass of the cells, summed from the anchor outward and from the end inward. The
    # smaller of the two has the digits.
    v = _edges(maps, anchor, alpha)
    cells = _mass_between(v[..., :-1], v[..., 1:], maps, anchor, alpha)
    zero = jnp.zeros_like(cells[..., :1])
    inner = jnp.concatenate([zero, jnp.cumsum(cells, -1)], -1)
    outer = jnp.concatenate([jnp.cumsum(cells[..., ::-1], -1)[..., ::-1], zero], -1)

    # The side of the anchor on which the quantile lies, the mass between the two and that beyond.
    row = jnp.arange(parameters[0].size, dtype=jnp.int32).reshape(parameters[0].shape)
    on_right, on_left = outer[:, 0, 0][row], outer[:, 1, 0][row]
    total = on_right + on_left
    to_right = q * total >= on_left
    line = 2 * row + jnp.where(to_right, 0, 1)
    beyond = total * jnp.where(to_right, 1 - q, q)
    within = jnp.where(to_right, q * total - on_left, (1 - q) * total - on_right)
    by_inner = within < beyond
    inner, outer = inner.ravel(), outer.ravel()

    # The cell, by the smaller mass: one search in both tables, the second negated so that it rises.
    count = cells.shape[-1]
    first_edge = line * (count + 1)
    edge = first_edge + search(
        jnp.concatenate([inner, -outer]),
        first_edge + jnp.where(by_inner, 0, inner.size),
        count,
        jnp.where(by_inner, within, -beyond),
    )

    # Newton's steps inside of the cell, on the mass from the edge on that side. They begin in the
    # middle and cannot leave it; the density in a cell is all but a polynomial.
    axis = Side(maps.sigma.ravel()[line], maps.top.ravel()[line])
    u0, alpha = parameters[0].ravel()[row], parameters[3].ravel()[row]
    start, stop = v.ravel()[edge], v.ravel()[edge + 1]
    target = jnp.where(by_inner, within - inner[edge], beyond - outer[edge + 1])

    def newton(_: int, v: Array) -> Array:
        low, high = jnp.where(by_inner, start, v), jnp.where(by_inner, v, stop)
        remainder = target - _mass_between(low, high, axis, u0, alpha)
        density = jnp.maximum(_density(v, axis, u0, alpha), jnp.finfo(dtype).tiny)
        return jnp.clip(v + jnp.where(by_inner, remainder, -remainder) / density, start, stop)

    v = lax.fori_loop(0, _NEWTON_STEPS, newton, 0.5 * (start + stop))
    return Point(axis.t(v), to_right)


def log_parts(point: Point, far: Array, bounds: Bounds, alpha: Array) -> tuple[Array, Array]:
    """Return the log probabilities nearer to the other end than a point, and beyond the point.

    ``far`` is what the point's side reaches beyond it.
    """
    total = log_mass(bounds, alpha)
    anchor, distance = bounds.anchor, point.distance
    other = jnp.where(point.right, bounds.left, bounds.right)
    nearer = log_mass(Bounds(anchor, distance, other), alpha) - total
    remainder = Bounds(anchor + distance, far, jnp.zeros_like(far))
    beyond = log_mass(remainder, alpha) - excess(distance, anchor, alpha) - total
    # of a probability near 1 the other one has the digits
    return _log_complement(nearer, beyond), _log_complement(beyond, nearer)


def _log_complement(log_p: Array, log_q: Array) -> Array:
    """Return log_p, or log(1 - q) where that is larger than log(1/2)."""
    likely = log_q < log_p
    return jnp.where(likely, jnp.log1p(-jnp.exp(jnp.where(likely, log_q, -1))), log_p)


@jax.custom_jvp
def signed_quantile(q: Array, anchor: Array, right: Array, left: Array, alpha: Array) -> Array:
    """Return the quantile's distance from the anchor, negative to the left."""
    point = quantile(q, Bounds(anchor, right, left), alpha)
    return jnp.where(point.right, point.distance, -point.distance)


@signed_quantile.defjvp
def _signed_quantile_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    _, *parameters = primals
    d_q, *d_parameters = tangents
    quantile = signed_quantile(*primals)
    point = Point(jnp.abs(quantile), quantile >= 0)

    def parts(anchor: Array, right: Array, left: Array, alpha: Array) -> tuple[Array, ...]:
        bounds = Bounds(anchor, right, left)
        length = jnp.where(point.right, right, left)
        far = jnp.where(jnp.isinf(length), length, length - point.distance)
        return *log_parts(point, far, bounds, alpha), log_mass(bounds, alpha)

    (nearer, beyond, total), (d_nearer, d_beyond, _) = jax.jvp(
        parts, tuple(parameters), tuple(d_parameters)
    )
    # implicit function; the derivative of the smaller part keeps its digits
    d_mass = jnp.where(nearer < beyond, jnp.exp(nearer) * d_nearer, -jnp.exp(beyond) * d_beyond)
    density = jnp.exp(-excess(point.distance, parameters[0], parameters[3]) - total)
    sign = jnp.where(point.right, 1, -1)
    return quantile, (d_q - sign * d_mass) / density
