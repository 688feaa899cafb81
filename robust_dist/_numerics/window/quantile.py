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


class Place(NamedTuple):
    """A point of a window: its distance from the anchor, and to which side."""

    distance: Array
    right: Array


def _edges(at: Side, anchor: Array, alpha: Array) -> Array:
    """Return the edges of the cells in v, on a new last axis of length 1.

    Half of them lie at even steps of v, half at even steps of D, so that exp(-D) is all but a
    polynomial in every cell, however fast it falls.
    """
    share = jnp.arange(_CELLS // 2 + 1, dtype=at.top.dtype) / (_CELLS // 2)
    level = share[1:] * excess(at.t(at.top), anchor, alpha)
    falls = jnp.arcsinh(reach(level, anchor, alpha) / at.sigma)
    return jnp.sort(jnp.concatenate([at.top * share, jnp.minimum(falls, at.top)], -1), -1)


def _density(v: Array, at: Side, anchor: Array, alpha: Array) -> Array:
    # in one exponential, because either factor may leave the format's range
    return jnp.exp(jnp.log(at.slope(v)) + _LIFT - excess(at.t(v), anchor, alpha))


def _mass_between(start: Array, stop: Array, at: Side, anchor: Array, alpha: Array) -> Array:
    """Return the mass between two v, by Gauss-Legendre."""
    width = (stop - start)[..., None]
    v = start[..., None] + width * jnp.asarray(0.5 * (1 + _GAUSS_NODES), width.dtype)
    at = Side(*(part[..., None] for part in at))
    density = _density(v, at, anchor[..., None], alpha[..., None])
    return jnp.sum(width * jnp.asarray(0.5 * _GAUSS_WEIGHTS, width.dtype) * density, -1)


def quantile(q: Array, bounds: Bounds, alpha: Array) -> Place:
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
    place = lax.map(lambda row: _quantile(*row), rows, batch_size=AT_ONCE // 2)
    return jax.tree.map(lambda part: jnp.moveaxis(part, 0, -1).reshape(q.shape), place)


def _quantile(q: Array, *parameters: Array) -> Place:
    dtype = q.dtype
    anchor, right, left, alpha = (part.ravel()[:, None, None] for part in parameters)
    lengths = jnp.concatenate([right, left], 1)
    cut = _CUT[np.dtype(dtype)]
    first = side(lengths, anchor, alpha, cut)
    # log(2 t/sigma) = top
    maps = side(lengths, anchor, alpha, cut + first.top)
    maps = Side(*jnp.broadcast_arrays(*maps))  # one line of numbers per row and side
    v = _edges(maps, anchor, alpha)
    cells = _mass_between(v[..., :-1], v[..., 1:], maps, anchor, alpha)
    # the mass up to each edge, and that beyond it
    zero = jnp.zeros_like(cells[..., :1])
    inner = jnp.concatenate([zero, jnp.cumsum(cells, -1)], -1)
    outer = jnp.concatenate([jnp.cumsum(cells[..., ::-1], -1)[..., ::-1], zero], -1)
    # the same numbers for each q
    row = jnp.arange(parameters[0].size, dtype=jnp.int32).reshape(parameters[0].shape)
    on_right, on_left = outer[:, 0, 0][row], outer[:, 1, 0][row]
    total = on_right + on_left
    to_right = q * total >= on_left
    line = 2 * row + jnp.where(to_right, 0, 1)
    beyond = total * jnp.where(to_right, 1 - q, q)
    within = jnp.where(to_right, q * total - on_left, (1 - q) * total - on_right)
    by_inner = within < beyond
    inner, outer = inner.ravel(), outer.ravel()
    # one search in both tables, the second turned round so that it rises
    count = cells.shape[-1]
    first_edge = line * (count + 1)
    edge = first_edge + search(
        jnp.concatenate([inner, -outer]),
        first_edge + jnp.where(by_inner, 0, inner.size),
        count,
        jnp.where(by_inner, within, -beyond),
    )
    at = Side(maps.sigma.ravel()[line], maps.top.ravel()[line])
    u0, shape = parameters[0].ravel()[row], parameters[3].ravel()[row]
    start, stop = v.ravel()[edge], v.ravel()[edge + 1]
    target = jnp.where(by_inner, within - inner[edge], beyond - outer[edge + 1])

    def newton(_: int, v: Array) -> Array:
        low, high = jnp.where(by_inner, start, v), jnp.where(by_inner, v, stop)
        rest = target - _mass_between(low, high, at, u0, shape)
        density = jnp.maximum(_density(v, at, u0, shape), jnp.finfo(dtype).tiny)
        return jnp.clip(v + jnp.where(by_inner, rest, -rest) / density, start, stop)

    v = lax.fori_loop(0, _NEWTON_STEPS, newton, 0.5 * (start + stop))
    return Place(at.t(v), to_right)


def log_parts(place: Place, far: Array, bounds: Bounds, alpha: Array) -> tuple[Array, Array]:
    """Return the log probabilities nearer to the other end than a point, and beyond the point.

    ``far`` is what the point's side reaches beyond it.
    """
    total = log_mass(bounds, alpha)
    anchor, distance = bounds.anchor, place.distance
    other = jnp.where(place.right, bounds.left, bounds.right)
    nearer = log_mass(Bounds(anchor, distance, other), alpha) - total
    rest = Bounds(anchor + distance, far, jnp.zeros_like(far))
    beyond = log_mass(rest, alpha) - excess(distance, anchor, alpha) - total
    # of a probability near 1 the other one has the digits
    return _log_complement(nearer, beyond), _log_complement(beyond, nearer)


def _log_complement(log_p: Array, log_q: Array) -> Array:
    """Return log_p, or log(1 - q) where that is larger than log(1/2)."""
    likely = log_q < log_p
    return jnp.where(likely, jnp.log1p(-jnp.exp(jnp.where(likely, log_q, -1))), log_p)


@jax.custom_jvp
def signed_quantile(q: Array, anchor: Array, right: Array, left: Array, alpha: Array) -> Array:
    """Return the quantile's distance from the anchor, negative to the left."""
    place = quantile(q, Bounds(anchor, right, left), alpha)
    return jnp.where(place.right, place.distance, -place.distance)


@signed_quantile.defjvp
def _signed_quantile_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    rest = primals[1:]
    d_q, *d_rest = tangents
    at = signed_quantile(*primals)
    place = Place(jnp.abs(at), at >= 0)

    def parts(anchor: Array, right: Array, left: Array, alpha: Array) -> tuple[Array, ...]:
        bounds = Bounds(anchor, right, left)
        length = jnp.where(place.right, right, left)
        far = jnp.where(jnp.isinf(length), length, length - place.distance)
        return *log_parts(place, far, bounds, alpha), log_mass(bounds, alpha)

    (nearer, beyond, total), (d_nearer, d_beyond, _) = jax.jvp(parts, tuple(rest), tuple(d_rest))
    # implicit function; the derivative of the smaller part keeps its digits
    moved = jnp.where(nearer < beyond, jnp.exp(nearer) * d_nearer, -jnp.exp(beyond) * d_beyond)
    density = jnp.exp(-excess(place.distance, rest[0], rest[3]) - total)
    sign = jnp.where(place.right, 1, -1)
    return at, (d_q - sign * moved) / density
