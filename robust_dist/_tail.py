r"""Tail probability and quantile of the standardised law, by fixed quadrature in tau.

With rho(x) = tau^2/2 (see :mod:`robust_dist._draw`) the tail of every member is

    P(x) = (1/Z) integral_tau^inf exp(-t^2/2) J(t) dt,   J = dx/dt,

a smooth integrand of nearly the Normal's shape. From tau = 0.69 on it is integrated directly,
over the range outside of which the heaviest member, J ~ exp(t^2/4), is below the last place; its
logarithm is then right wherever it is finite. Nearer to 0 it is 1/2 minus the integral from 0,
whose nodes crowd at 0 (t = tau v^3), where J bends sharply when alpha is near 2. 32 Gauss-Legendre
nodes reach 5e-15. What is returned is log 2P, the log probability of abs(X) > x, which is exactly 0
at x = 0. The derivative in alpha at fixed x uses the same nodes:

    dP/d alpha = -(1/Z) integral_tau^inf exp(-t^2/2) J(t) (d rho/d alpha + d log Z/d alpha) dt.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from robust_dist._draw import curve
from robust_dist._standard import derivatives
from robust_dist._tail_table import END, mills_ratio
from robust_dist.loss import rho_and_partials
from robust_dist.normalizer import log_normalizer_and_slope

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_UNIT_NODES, _UNIT_WEIGHTS = 0.5 * (1 + _NODES), 0.5 * _WEIGHTS
_CENTRE = 0.69
_NEWTON_STEPS = 7
# points per alpha from which on a table costs less than the quadrature of each
_MANY = 1000


class Tail(NamedTuple):
    """The two-sided tail beyond x, and its derivatives."""

    log_tail: Array
    """log 2P"""
    hazard: Array
    """-d log P/dx"""
    shape: Array
    """d log P/d alpha"""


def _tail_of_tau(tau: Array, alpha: Array) -> Tail:
    dtype = tau.dtype
    log_z, slope = log_normalizer_and_slope(alpha)
    central = tau < _CENTRE
    inner = jnp.where(central, tau, 0)
    # where -tau u/2 - u^2/4 = -40
    outer = 160 / (tau + jnp.sqrt(tau * tau + 160))
    start = jnp.where(central, 0, tau)
    growth = curve(start, alpha).growth

    def add(total: tuple[Array, Array], node: tuple[Array, Array]) -> tuple[Any, None]:
        v, weight = node
        step = jnp.where(central, inner * v**3, outer * v)
        width = jnp.where(central, 3 * inner * v**2, outer)
        at = curve(start + step, alpha)
        exponent = (at.growth - growth) - step * (start + 0.5 * step)
        term = weight * width * at.factor * jnp.exp(exponent)
        return (total[0] + term, total[1] + term * (derivatives(at.x, alpha).shape + slope)), None

    zero = jnp.zeros(jnp.broadcast_shapes(tau.shape, alpha.shape), dtype)
    nodes = (jnp.asarray(_UNIT_NODES, dtype), jnp.asarray(_UNIT_WEIGHTS, dtype))
    (mass, moment), _ = lax.scan(add, (zero, zero), nodes)
    normal = 2 * jnp.exp(-log_z)
    below = jnp.where(central, mass * normal, 0)
    log_density = np.log(2).item() - 0.5 * tau * tau - log_z
    log_tail = jnp.where(
        central, jnp.log1p(-below), jnp.log(jnp.where(central, 1, mass)) + growth + log_density
    )
    shape = jnp.where(central, moment * normal / (1 - below), -moment / jnp.where(central, 1, mass))
    return Tail(log_tail, jnp.exp(log_density - log_tail), shape)


def _tau(x: Array, alpha: Array) -> Array:
    """Return sqrt(2 rho), finite where rho overflows."""
    largest = 0.1 * jnp.finfo(x.dtype).max
    return jnp.sqrt(2 * jnp.minimum(rho_and_partials(x, alpha, jnp.ones_like(x))[0], largest))


@jax.jit
def log_two_sided_tail(x: Array, alpha: Array) -> Array:
    """Return log P(abs(X) > x) for x >= 0."""
    return _log_two_sided_tail(x, alpha)


def _by_table(rho: Array, psi: Array, alpha: Array) -> Array:
    """Return log 2P where tau <= END, from P = R J exp(-rho)/Z and J = tau/psi."""
    tau = jnp.sqrt(2 * rho)
    origin = psi == 0
    jacobian = jnp.where(origin, 1, tau / jnp.where(origin, 1, psi))
    log_density = np.log(2).item() - rho - log_normalizer_and_slope(alpha)[0]
    return jnp.minimum(jnp.log(mills_ratio(tau, alpha) * jacobian) + log_density, 0)


@jax.custom_jvp
def _log_two_sided_tail(x: Array, alpha: Array) -> Array:
    if x.dtype == jnp.float32 or x.size < _MANY * alpha.size:
        return _tail_of_tau(_tau(x, alpha), alpha).log_tail
    at = derivatives(x, alpha)
    return lax.cond(
        jnp.any(at.rho > 0.5 * END**2),
        lambda: _tail_of_tau(_tau(x, alpha), alpha).log_tail,
        lambda: _by_table(at.rho, at.slope, alpha),
    )


@_log_two_sided_tail.defjvp
def _log_two_sided_tail_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (x, alpha), (d_x, d_alpha) = primals, tangents
    tail = _tail_of_tau(_tau(x, alpha), alpha)
    return tail.log_tail, tail.shape * d_alpha - tail.hazard * d_x


@jax.jit
def two_sided_quantile(log_tail: Array, alpha: Array) -> Array:
    """Return the x >= 0 with log P(abs(X) > x) = log_tail <= 0."""
    return _two_sided_quantile(log_tail, alpha)


@jax.custom_jvp
def _two_sided_quantile(log_tail: Array, alpha: Array) -> Array:
    target = jnp.sqrt(1 - 2 * log_tail)  # sqrt(1 - 2 log 2P) is near to linear in tau

    def newton(_: int, tau: Array) -> Array:
        tail = _tail_of_tau(tau, alpha)
        root = jnp.sqrt(1 - 2 * tail.log_tail)
        slope = tail.hazard * curve(tau, alpha).jacobian / root
        return jnp.maximum(tau + (target - root) / slope, 0)

    start = jnp.broadcast_to(target - 1, jnp.broadcast_shapes(target.shape, alpha.shape))
    return curve(lax.fori_loop(0, _NEWTON_STEPS, newton, start), alpha).x


@_two_sided_quantile.defjvp
def _two_sided_quantile_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (log_tail, alpha), (d_log_tail, d_alpha) = primals, tangents
    x = _two_sided_quantile(log_tail, alpha)
    tail = _tail_of_tau(_tau(x, alpha), alpha)
    return x, (tail.shape * d_alpha - d_log_tail) / tail.hazard
