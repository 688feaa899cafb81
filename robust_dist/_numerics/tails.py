r"""Tail probability and quantile of the standardised law, by fixed quadrature in tau.

With rho(x) = tau^2/2 (see ``tau``) the tail of every member is

    P(x) = (1/Z) integral_tau^inf exp(-t^2/2) J(t) dt,   J = dx/dt,

a smooth integrand of nearly the Normal's shape. From tau = 0.69 on it is integrated directly,
over the range outside of which the heaviest member, J ~ exp(t^2/4), is below the last place; its
logarithm is then right wherever it is finite. Nearer to 0 it is 1/2 minus the integral from 0,
whose nodes crowd at 0 (t = tau v^3), where J bends sharply when alpha is near 2. 32 Gauss-Legendre
nodes reach 5e-15. What is returned is log 2P, the log probability of abs(X) > x, which is exactly 0
at x = 0. The derivative in alpha at fixed x uses the same nodes:

    dP/d alpha = -(1/Z) integral_tau^inf exp(-t^2/2) J(t) (d rho/d alpha + d log Z/d alpha) dt.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from robust_dist._numerics.formats import alpha_bound, gap_floor
from robust_dist._numerics.log_density import derivatives
from robust_dist._numerics.log_normalizer import log_normalizer_and_slope
from robust_dist._numerics.loss import rho_and_partials
from robust_dist._numerics.mills_ratio import LOG_FLOOR, mills_ratio
from robust_dist._numerics.orthogonal_scale import log_ratio, log_ratio_slope
from robust_dist._numerics.pairs import Pair, divide, exp_pair, gap, log1p_pair, multiply, split
from robust_dist._numerics.tau import curve, curve_of_ratio

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_UNIT_NODES, _UNIT_WEIGHTS = 0.5 * (1 + _NODES), 0.5 * _WEIGHTS
# near the Normal's quartile, where 2P is 1/2 and neither P nor 1/2 - P is small
_CENTRE = 0.69
_NEWTON_STEPS = 6
# points per alpha from which on a table costs less than the quadrature of each
_MANY = 1000
# beyond this rho P is below 1e-303 at alpha = 0, and smaller still at others
_UNDERFLOW = 1400.0


class Tail(NamedTuple):
    """The two-sided tail beyond x, and its derivatives."""

    log_tail: Pair
    """log 2P"""
    slope: Array
    """-d log P/d tau"""
    hazard: Array
    """-d log P/dx"""
    by_alpha: Array
    """d log P/d alpha"""


def _sum(pair: Pair) -> Array:
    return pair.head + pair.tail


class _Logs(NamedTuple):
    """The logarithms at tau to a few bits beyond the format, which loses 8e-6 of a P of 1e-30."""

    rho: Pair
    """tau^2/2"""
    half_log: Pair
    """L/2, with L as in ``tau.Point``"""
    log_sum: Pair
    """alpha L/2 = log(1 + m)"""


def _logs(tau: Array, alpha: Array) -> _Logs:
    dtype = tau.dtype
    alpha = jnp.minimum(alpha, alpha_bound(dtype))
    b, short = gap(alpha), split(tau)
    rho = split(*multiply(Pair(0.5 * short.head, 0.5 * short.tail), short))
    # beyond this rho L is nothing next to it, and products might overflow
    inside = rho.head < (1e270 if jnp.finfo(dtype).bits == 64 else 1e27)
    bounded = Pair(*(jnp.where(inside, part, 0) for part in rho))
    over_b = split(*divide(bounded, b))
    m = split(*multiply(split(alpha), over_b))
    log_sum = log1p_pair(m, jnp.zeros((), jnp.int32))
    small = m.head < 1e-30
    safe = Pair(jnp.where(small, 1, m.head), jnp.where(small, 0, m.tail))
    ratio = divide(log_sum, safe)
    ratio = Pair(jnp.where(small, 1, ratio.head), jnp.where(small, 0, ratio.tail))
    return _Logs(rho, split(*multiply(over_b, ratio)), log_sum)


def _tail_of_tau(tau: Array, alpha: Array) -> Tail:
    dtype = tau.dtype
    log_z, z_slope = log_normalizer_and_slope(alpha)
    alpha = jnp.minimum(alpha, alpha_bound(dtype))

    # Where the integral runs: next to the centre from 0 to tau, for 1/2 less that keeps the digits
    # of P; elsewhere from tau outward, which keeps those of a small P.
    central = tau < _CENTRE
    inner = jnp.where(central, tau, 0)
    # how far: at alpha = 0, whose tail is heaviest, a node at tau + u has exp(-tau u/2 - u^2/4) of
    # the density at tau, here exp(-40)
    outer = 160 / (tau + jnp.sqrt(tau * tau + 160))
    start = jnp.where(central, 0, tau)

    # What all nodes share: everything is measured from the integral's start, so that the large
    # numbers of a far tail cancel on paper and not in the format.
    b = jnp.maximum(jnp.abs(alpha - 2), gap_floor(dtype))
    power = 1 + (0.5 * alpha / b) * start * start  # 1 + m at the start
    unit = 1 / (b * power)
    bend = 0.5 * alpha / b / power
    log = curve(start, alpha).log

    def add(total: tuple[Array, Array], node: tuple[Array, Array]) -> tuple[Any, None]:
        v, weight = node
        step = jnp.where(central, inner * v**3, outer * v)
        width = jnp.where(central, 3 * inner * v**2, outer)
        # by how much 2 rho and L exceed those at the start; rounded values lose the difference
        rise = step * (2 * start + step)
        m = bend * rise
        small = m < 1e-30
        ratio = jnp.where(small, 1, jnp.log1p(m) / jnp.where(small, 1, m))
        log_rise = unit * rise * ratio
        tau = jnp.where(central, 1, start + step)
        ratio = jnp.where(central, ratio, b * (log + log_rise) / (tau * tau))
        point = curve_of_ratio(start + step, alpha, b, ratio)
        growth = 0.5 * (1 - alpha) * log_rise
        term = weight * width * point.factor * jnp.exp(growth - 0.5 * rise)
        by_alpha = derivatives(point.x, alpha).by_alpha + z_slope
        return (total[0] + term, total[1] + term * by_alpha), None

    # One node after the other: as one array they would take 32 times the points' memory.
    zero = jnp.zeros(jnp.broadcast_shapes(tau.shape, alpha.shape), dtype)
    nodes = (jnp.asarray(_UNIT_NODES, dtype), jnp.asarray(_UNIT_WEIGHTS, dtype))
    (mass, moment), _ = lax.scan(add, (zero, zero), nodes)

    # log 2P. In the tail it is -rho + L/2 - log(1 + m) + log(integral) + log 2 - log Z, a sum of
    # numbers of which the first may be 1e100: they are added as pairs.
    normal = 2 * jnp.exp(-log_z)
    below = jnp.where(central, mass * normal, 0)
    mass = jnp.where(central, 1, mass)
    logs, point = _logs(tau, alpha), curve(tau, alpha)
    # the large part first, with so few digits that a difference from it is exact
    remainder = jnp.log(mass) + (np.log(2).item() - log_z) - logs.log_sum.head
    remainder += logs.half_log.tail - logs.rho.tail - logs.log_sum.tail
    log_tail = Pair(
        jnp.where(central, 0, logs.half_log.head - logs.rho.head),
        jnp.where(central, jnp.log1p(-below), remainder),
    )

    # The slopes are ratios of the density to the tail. exp(-rho), which both have as a factor, is
    # left out on paper: far out it underflows.
    rise = exp_pair(Pair(logs.half_log.head, logs.half_log.tail - _sum(logs.log_sum)))
    density = jnp.where(central, jnp.exp(-0.5 * tau * tau) * normal / (1 - below), 1 / mass)
    slope = point.factor * jnp.where(central, density * rise, density)
    hazard = jnp.where(central, density, density / rise)
    by_alpha = jnp.where(central, moment * normal / (1 - below), -moment / mass)
    return Tail(log_tail, slope, hazard, by_alpha)


def _tail(x: Array, alpha: Array) -> Tail:
    rho, psi, by_alpha, _ = rho_and_partials(x, alpha, jnp.ones_like(x))
    # from here on log 2P is -rho to the last place, and tau's powers are in danger
    far = rho > (1e100 if jnp.finfo(x.dtype).bits == 64 else 1e20)
    tail = _tail_of_tau(jnp.sqrt(2 * jnp.where(far, 1, rho)), alpha)
    head, remainder = tail.log_tail
    log_tail = Pair(jnp.where(far, -rho, head), jnp.where(far, 0, remainder))
    largest = jnp.finfo(x.dtype).max
    hazard = jnp.where(far, jnp.minimum(psi, largest), tail.hazard)
    by_alpha = jnp.where(far, jnp.clip(-by_alpha, -largest, largest), tail.by_alpha)
    return Tail(log_tail, tail.slope, hazard, by_alpha)


@functools.partial(jax.jit, static_argnames="underflows")
def log_two_sided_tail(x: Array, alpha: Array, *, underflows: bool = False) -> Array:
    """Return log P(abs(X) > x) for x >= 0; if it may, -inf or a rough value where P underflows."""
    return _log_two_sided_tail(x, alpha, underflows)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _log_two_sided_tail(x: Array, alpha: Array, underflows: bool) -> Array:
    if x.dtype == jnp.float32 or x.size < _MANY * alpha.size:
        return _sum(_tail(x, alpha).log_tail)
    # from P = R J exp(-rho)/Z and J = tau/psi
    rho, psi, *_ = derivatives(x, alpha)
    tau, origin = jnp.sqrt(2 * rho), psi == 0
    jacobian = jnp.where(origin, 1, tau / jnp.where(origin, 1, psi))
    log_density = jnp.log(mills_ratio(tau, alpha) * jacobian) - rho
    by_table = log_density + (np.log(2).item() - log_normalizer_and_slope(alpha)[0])
    by_table = jnp.where(rho < _UNDERFLOW, jnp.minimum(by_table, 0), -jnp.inf)
    if underflows:
        return by_table
    return lax.cond(
        jnp.all(log_density >= LOG_FLOOR),
        lambda: by_table,
        lambda: _sum(_tail(x, alpha).log_tail),
    )


@_log_two_sided_tail.defjvp
def _log_two_sided_tail_jvp(underflows: bool, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (x, alpha), (d_x, d_alpha) = primals, tangents
    tail = _tail(x, alpha)
    return _sum(tail.log_tail), tail.by_alpha * d_alpha - tail.hazard * d_x


@functools.partial(jax.jit, static_argnames="underflows")
def log_two_sided_tail_of_sigma(y: Array, alpha: Array, *, underflows: bool = False) -> Array:
    """Return the same of X/sigma and y = x/sigma, with the derivative in alpha at fixed sigma."""
    return _log_two_sided_tail_of_sigma(y, alpha, underflows)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _log_two_sided_tail_of_sigma(y: Array, alpha: Array, underflows: bool) -> Array:
    return _log_two_sided_tail(_times_ratio(y, alpha), alpha, underflows)


def _times_ratio(y: Array, alpha: Array) -> Array:
    """Return x = y sigma/c, finite."""
    return jnp.minimum(y * jnp.exp(log_ratio(alpha)), jnp.finfo(y.dtype).max)


@_log_two_sided_tail_of_sigma.defjvp
def _log_two_sided_tail_of_sigma_jvp(
    underflows: bool, primals: Any, tangents: Any
) -> tuple[Array, Array]:
    (y, alpha), (d_y, d_alpha) = primals, tangents
    x, largest = _times_ratio(y, alpha), jnp.finfo(y.dtype).max
    tail = _tail(x, alpha)
    value = _sum(tail.log_tail)
    by_alpha = tail.by_alpha - jnp.minimum(tail.hazard * x, largest) * log_ratio_slope(alpha)
    # where the tail's logarithm overflows, so do the parts, the first of which is the larger
    by_alpha = jnp.where(value == -jnp.inf, -largest, by_alpha)
    slope = jnp.minimum(tail.hazard * jnp.exp(log_ratio(alpha)), largest)
    return value, by_alpha * d_alpha - slope * d_y


@jax.jit
def two_sided_quantile(log_tail: Array, alpha: Array) -> Array:
    """Return the x >= 0 with log P(abs(X) > x) = log_tail <= 0."""
    return _two_sided_quantile(log_tail, alpha)


@jax.custom_jvp
def _two_sided_quantile(log_tail: Array, alpha: Array) -> Array:
    target = jnp.sqrt(1 - 2 * log_tail)  # sqrt(1 - 2 log 2P) is near to linear in tau

    def newton(_: int, quantile: tuple[Array, Array]) -> tuple[Array, Array]:
        tau, _x = quantile
        tail, point, logs = _tail_of_tau(tau, alpha), curve(tau, alpha), _logs(tau, alpha)
        step = ((tail.log_tail.head - log_tail) + tail.log_tail.tail) / tail.slope
        root = jnp.sqrt(1 - 2 * _sum(tail.log_tail))
        # tau is rounded, as x must not be: a step of its own, by d log x/d tau = J/x
        origin = tau == 0
        relative = point.factor**2 * jnp.exp(-_sum(logs.log_sum)) / jnp.where(origin, 1, tau)
        x = (tau / point.factor) * exp_pair(logs.half_log) * (1 + step * relative)
        return jnp.maximum(tau + step * (2 * root / (target + root)), 0), x

    start = -2 * log_tail / (1 + target)  # target - 1, without its cancellation
    start = jnp.broadcast_to(start, jnp.broadcast_shapes(target.shape, alpha.shape))
    return lax.fori_loop(0, _NEWTON_STEPS, newton, (start, start))[1]


@_two_sided_quantile.defjvp
def _two_sided_quantile_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (log_tail, alpha), (d_log_tail, d_alpha) = primals, tangents
    x = _two_sided_quantile(log_tail, alpha)
    tail = _tail(x, alpha)
    return x, (tail.by_alpha * d_alpha - d_log_tail) / tail.hazard
