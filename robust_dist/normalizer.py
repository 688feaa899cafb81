r"""The log-normalizer of the standardised law, log Z(alpha), from a generated quintic table.

.. math:: Z(\alpha) = \int_{-\infty}^{\infty} e^{-\rho(x, \alpha, 1)}\,dx

log Z is smooth in alpha except at 2, where its derivative diverges logarithmically:

    log Z = log(2 pi)/2 + s b (log(b)/4 + c0 + G(v)),   b = abs(alpha - 2),  s = sign(alpha - 2),

with c0 = (gamma + log 2 - 1)/4 and G smooth in v = b^(1/4). Four regions, each with a coordinate of
its own in [0, 1], are tabulated: log Z on [0, 1], G on (1, 2) and (2, 3), log Z on [3, inf].
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from robust_dist._precision import gap_floor, promote_inexact
from robust_dist._spline import evaluate, gather, hermite_coefficients
from robust_dist._tables import log_normalizer as _table

__all__ = ["log_normalizer"]

_LOG_Z_AT_2 = 0.5 * math.log(2 * math.pi)
_C0 = (np.euler_gamma + math.log(2) - 1) / 4
_RATE = math.log(11)  # of the low region: u = log(1 + 10 alpha)/log 11

_NODES = [np.array(part) for part in (_table.low, _table.below, _table.above, _table.high)]
_CELLS = [len(part) - 1 for part in _NODES]
_STARTS = [sum(_CELLS[:region]) for region in range(len(_CELLS))]


@functools.cache
def _columns() -> np.ndarray:
    return np.concatenate(
        [hermite_coefficients([*part[:-1].T], [*part[1:].T]) for part in _NODES], axis=1
    )


class _Place(NamedTuple):
    """Where alpha lies: its cell, its region and the region's coordinate u."""

    coefficients: list[Array]
    t: Array
    cells: Array
    """how many the region has"""
    u: Array
    low: Array
    near: Array
    b: Array
    s: Array

    def spline(self, order: int = 0) -> Array:
        """Return a derivative of the spline in u."""
        return self.cells**order * evaluate(self.coefficients, self.t, order)

    def choose(self, low: Array, near: Array, high: Array) -> Array:
        """Return what belongs to alpha <= 1, to 1 < alpha < 3 and to alpha >= 3."""
        return jnp.where(self.near, near, jnp.where(self.low, low, high))


def _locate(alpha: Array) -> _Place:
    dtype = alpha.dtype
    low, below, high = alpha <= 1, alpha < 2, alpha >= 3
    s = jnp.where(below, -1, 1).astype(dtype)
    b = jnp.clip(s * (alpha - 2), gap_floor(dtype), 1)
    u = jnp.where(
        low,
        jnp.log1p(10 * jnp.where(low, alpha, 0)) / _RATE,
        jnp.where(high, 3 / jnp.where(high, alpha, 3), jnp.sqrt(jnp.sqrt(b))),
    )

    def per_region(values: Sequence[int]) -> Array:
        of_low, of_below, of_above, of_high = values
        return jnp.where(
            low, of_low, jnp.where(below, of_below, jnp.where(high, of_high, of_above))
        ).astype(dtype)

    count = per_region(_CELLS)
    position = jnp.clip(u * count, 0, count)
    cell = jnp.minimum(jnp.floor(position), count - 1)
    row = (jnp.where(cell >= 0, cell, 0) + per_region(_STARTS)).astype(jnp.int32)  # nan: any row
    u, count, row, t = lax.optimization_barrier((u, count, row, position - cell))
    coefficients = gather([jnp.asarray(column, dtype) for column in _columns()], row)
    return _Place(coefficients, t, count, u, low, ~low & ~high, b, s)


def _defined(alpha: Array, value: Array) -> Array:
    """Return nan where there is no distribution on the line: alpha < 0, or nan."""
    return jnp.where(alpha >= 0, value, jnp.nan)


def _low_rate(at: _Place, alpha: Array) -> Array:
    """Return d u/d alpha on [0, 1]."""
    return 10 / ((1 + 10 * jnp.where(at.low, alpha, 0)) * _RATE)


def value_and_slope(alpha: Array) -> tuple[Array, Array]:
    """Return log Z and d log Z/d alpha; at 2, where that is infinite, that at the gap's floor."""
    at = _locate(alpha)
    f, first, log_b = at.spline(), at.spline(1), jnp.log(at.b) / 4
    value = at.choose(f, _LOG_Z_AT_2 + at.s * at.b * (log_b + _C0 + f), f)
    slope = at.choose(
        first * _low_rate(at, alpha),
        log_b + (_C0 + 0.25) + f + 0.25 * at.u * first,
        -first * at.u * (at.u / 3),
    )
    return _defined(alpha, value), _defined(alpha, slope)


def _curvature(alpha: Array) -> Array:
    """Return the second derivative of log Z."""
    at = _locate(alpha)
    first, second = at.spline(1), at.spline(2)
    rate = _low_rate(at, alpha)
    value = at.choose(
        (second - first * _RATE) * rate * rate,
        at.s * (1 + 1.25 * at.u * first + 0.25 * at.u**2 * second) / (4 * at.b),
        (at.u * second + 2 * first) * at.u * (at.u * (at.u / 9)),
    )
    return _defined(alpha, value)


@jax.custom_jvp
def _slope(alpha: Array) -> Array:
    return value_and_slope(alpha)[1]


@_slope.defjvp
def _slope_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (alpha,), (d_alpha,) = primals, tangents
    return _slope(alpha), _curvature(alpha) * d_alpha


@jax.custom_jvp
def _log_normalizer(alpha: Array) -> Array:
    return value_and_slope(alpha)[0]


@_log_normalizer.defjvp
def _log_normalizer_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (alpha,), (d_alpha,) = primals, tangents
    return _log_normalizer(alpha), _slope(alpha) * d_alpha


def log_normalizer_and_slope(alpha: Array) -> tuple[Array, Array]:
    """Return log Z and its derivative, both differentiable once more."""
    return _log_normalizer(alpha), _slope(alpha)


@jax.jit
def log_normalizer(alpha: ArrayLike) -> Array:
    r"""Return log Z(alpha), the log-normalizer of the standardised law.

    .. math::

        Z(\alpha) = \int_{-\infty}^{\infty} e^{-\rho(x, \alpha, 1)}\,dx

    The density of x with location m and scale c is exp(-rho(x - m, alpha, c))/(c Z(alpha)).
    log Z falls from log(pi sqrt 2) at alpha = 0 through log(2 pi)/2 at 2 to 0.70526 at inf. First
    and second derivatives are exact. At alpha = 2, where they are infinite, a finite convention
    stands for them: abs(alpha - 2) is taken as 1e-30 (in float32 as 1e-10), here and in
    :func:`robust_dist.rho`.

    Parameters
    ----------
    alpha
        Shape, in [0, inf].

    Returns
    -------
    Array
        log Z, of alpha's shape; nan for alpha < 0, where the integral diverges.

    References
    ----------
    J. T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, eq. 17 and appendix C; the
    expansion at alpha = 2 and the tables are this package's own.
    """
    return _log_normalizer(*promote_inexact(alpha))
