r"""Draws of the standardised law by its inverse cdf, with the pathwise derivative in alpha.

In the coordinate tau with rho(x) = tau^2/2 every member has a tail of nearly the Normal's shape,

    P(x) = (1/Z) integral_tau^inf exp(-t^2/2) J(t) dt,    J = dx/dt = t/psi(x(t)),

and x(tau) is closed. A table of P on even steps of tau is built for each alpha inside the compiled
function; a draw inverts it by quintic Hermite interpolation in s = sqrt(1 - 2 log 2P) - 1, which is
near to linear in tau in the centre and in the tails. The draw moves with alpha at a fixed P by

    dx/d alpha = G/p,    G = d P/d alpha at fixed x = -integral_x^inf p (d rho/d alpha - mean) dx',

where the mean of d rho/d alpha under the law is minus the slope of log Z (implicit function).
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from robust_dist._numerics.log_density import derivatives
from robust_dist._numerics.spline import cubic_cells, evaluate, gather, quintic_cells, search
from robust_dist._numerics.tau import curve, log_slope

_CELLS = 224
_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(4)
# P falls most slowly in tau at alpha = 0; there too it is below the smallest one drawn by then
_END = {np.dtype(np.float32): 11.0, np.dtype(np.float64): 16.0}
# a table has some 2,500 numbers: so many tables take 80 MB in float64, and more are met by turns
_MOST_TABLES = 4096


class _Table(NamedTuple):
    """Per alpha (first axis) and node or cell of tau (last axis)."""

    s: Array
    tau: Sequence[Array]
    """ascending coefficients of tau in the position within a cell of s"""
    shift: Sequence[Array]
    """ascending coefficients of dx/d alpha in the position within a cell of tau"""


def _table(alpha: Array) -> _Table:
    dtype = alpha.dtype
    step = _END[np.dtype(dtype)] / _CELLS
    alpha = alpha[:, None]

    def density(tau: Array) -> tuple[Array, Array]:
        point = curve(tau, alpha)
        weight = jnp.exp(-0.5 * tau * tau) * point.jacobian
        return weight, weight * derivatives(point.x, alpha).by_alpha

    inner = (np.arange(_CELLS)[:, None] + 0.5 * (1 + _GAUSS_NODES)) * step
    tau = jnp.asarray(inner.ravel(), dtype)[None]
    weights = jnp.asarray(0.5 * step * _GAUSS_WEIGHTS, dtype)
    parts = [part.reshape(alpha.shape[0], _CELLS, -1) for part in density(tau)]
    cells = [jnp.sum(part * weights, -1) for part in parts]
    tau = jnp.asarray(np.arange(_CELLS + 1) * step, dtype)[None]
    point = curve(tau, alpha)
    slope, by_alpha = log_slope(tau, alpha, point), derivatives(point.x, alpha).by_alpha
    # beyond the last node the integrand falls like an exponential
    end = (jnp.exp(-0.5 * tau * tau) * point.jacobian / (tau - slope))[:, -1:]
    ends = (end, end * by_alpha[:, -1:])
    tail, tail_by_alpha = (
        jnp.cumsum(jnp.concatenate([part, end], 1)[:, ::-1], 1)[:, ::-1]
        for part, end in zip(cells, ends, strict=True)
    )
    half = tail[:, :1]  # Z/2
    # s, and the derivatives of its inverse
    s = jnp.sqrt(1 - 2 * jnp.log(tail / half)) - 1
    hazard = jnp.exp(-0.5 * tau * tau) * point.jacobian / tail
    first = hazard / (s + 1)
    second = (hazard * (hazard + slope - tau) - first * first) / (s + 1)
    tau_of_s = quintic_cells(tau, 1 / first, -second / first**3, jnp.diff(s))
    # v = dx/d alpha, v' = tau v + J (d rho/d alpha - mean)
    mean = tail_by_alpha[:, :1] / half
    v = (tail * mean - tail_by_alpha) * jnp.exp(0.5 * tau * tau)
    v_of_tau = cubic_cells(v, tau * v + point.jacobian * (by_alpha - mean), step)
    return _Table(s, tau_of_s, v_of_tau)


class _Quantile(NamedTuple):
    """Its tau, its derivative in s, s itself and dx/d alpha."""

    tau: Array
    tau_slope: Array
    s: Array
    shift: Array


def _find(log_tail: Array, alpha: Array) -> _Quantile:
    dtype = log_tail.dtype
    table = _table(alpha.ravel())
    index = jnp.arange(alpha.size, dtype=jnp.int32).reshape(alpha.shape)
    cells = table.s.shape[-1] - 1
    node, cell = index * (cells + 1), index * cells
    nodes = table.s.ravel()
    s = jnp.minimum(jnp.sqrt(1 + 2 * log_tail) - 1, nodes[node + cells])
    below = search(nodes, node, cells, s)
    left, right = nodes[node + below], nodes[node + below + 1]
    t = (s - left) / (right - left)
    coefficients = gather([part.ravel() for part in table.tau], cell + below)
    tau = evaluate(coefficients, t)
    step = _END[np.dtype(dtype)] / cells
    shift = evaluate(
        gather([part.ravel() for part in table.shift], cell + below), tau / step - below
    )
    return _Quantile(tau, evaluate(coefficients, t, 1) / (right - left), s, shift)


@jax.custom_jvp
def _upper_quantile(log_tail: Array, alpha: Array) -> Array:
    return curve(_find(log_tail, alpha).tau, alpha).x


@_upper_quantile.defjvp
def _upper_quantile_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (log_tail, alpha), (d_log_tail, d_alpha) = primals, tangents
    quantile = _find(log_tail, alpha)
    point = curve(quantile.tau, alpha)
    slope = point.jacobian * quantile.tau_slope / (quantile.s + 1)
    return point.x, slope * d_log_tail + quantile.shift * d_alpha


def upper_quantile(log_tail: Array, alpha: Array) -> Array:
    """Return the x >= 0 with P(x) = exp(-log_tail)/2; ``log_tail`` has the broadcast shape."""
    if alpha.size <= _MOST_TABLES:
        return _upper_quantile(log_tail, alpha)
    alpha = jnp.broadcast_to(alpha, log_tail.shape)
    one = lambda pair: _upper_quantile(pair[0], pair[1][None])[0]  # noqa: E731
    flat = (log_tail.reshape(-1, 1), alpha.ravel())
    return lax.map(one, flat, batch_size=1024).reshape(log_tail.shape)


def uniform(key: Array, shape: tuple[int, ...], dtype: DTypeLike) -> tuple[Array, Array]:
    """Return whether a uniform number lies below 1/2, and twice its distance from 0 or 1, never 0.

    Either end is resolved as finely as the generator's bits allow: F is (bits + 1/2) 2^-width.
    """
    width, unsigned = (64, jnp.uint64) if dtype == jnp.float64 else (32, jnp.uint32)
    bits = jax.random.bits(key, shape, unsigned)
    # the top bit tells the side, the others the tail beyond
    below = bits >> (width - 1) == 0
    tail = jnp.where(below, bits, ~bits)
    return below, (tail.astype(dtype) + 0.5) * 2.0 ** (1 - width)


@functools.partial(jax.jit, static_argnames="shape")
def draw(key: Array, shape: tuple[int, ...], alpha: Array) -> Array:
    """Return draws of the standardised law; alpha broadcasts against the shape's last axes."""
    below, tail = uniform(key, shape, alpha.dtype)
    log_tail = jnp.maximum(-jnp.log(tail), 0)
    x = upper_quantile(log_tail, jnp.where(alpha >= 0, alpha, jnp.nan))
    return jnp.where(below, -x, x)


@functools.partial(jax.jit, static_argnames="shape")
def draw_two_piece(key: Array, shape: tuple[int, ...], alpha: Array, share: Array) -> Array:
    """Return draws of the standardised law of which a given share is made to lie below 0.

    Side and distance both come from one quantile, so that a draw moves with the share.
    """
    below, tail = uniform(key, shape, alpha.dtype)
    left, other = 0.5 * tail, 1 - 0.5 * tail
    left, right = jnp.where(below, left, other), jnp.where(below, other, left)
    log_tail, below = log_tail_of_side(left, right, share)
    x = upper_quantile(jnp.maximum(-log_tail, 0), jnp.where(alpha >= 0, alpha, jnp.nan))
    return jnp.where(below, -x, x)


def log_tail_of_side(left: Array, right: Array, share: Array) -> tuple[Array, Array]:
    """Return the log probability beyond a quantile, given its side of 0, and whether it is below.

    The quantile has ``left`` below it and ``right`` above, of a law with ``share`` below 0.
    """
    below = left < share
    tail, mass = jnp.where(below, left, right), jnp.where(below, share, 1 - share)
    # near 0 the distance of the quantile from the share is known better than their ratio
    excess = jnp.where(below, share - left, left - share) / mass
    near = excess < 0.5
    return (
        jnp.where(
            near,
            jnp.log1p(-jnp.where(near, excess, 0)),
            # apart, for the derivative of a quotient overflows where that of its logarithm does not
            jnp.log(jnp.where(near, 1, tail)) - jnp.log(jnp.where(near, 1, mass)),
        ),
        below,
    )
