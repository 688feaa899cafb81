r"""Kullback-Leibler divergence of two members of the family, by fixed quadrature.

    KL(p || q) = integral p t,    t = log p - log q,

on three pieces of the axis of tau, with rho_p(x) = tau^2/2 (see ``tau``), split
where p and q have their centres: nodes crowd there, so that one law may be far narrower than the
other. How far p's tail matters follows from a look at the integrand along it. Next to p = q, where
t is small and its mean cancels, the same integral is

    KL(p || q) = integral p (e^-t - 1 + t),

whose integrand is positive. Nodes are held fixed in the derivatives, which therefore are exact
expectations too, and those of second order as well.

It is infinite exactly where q's tail is too light for p's: for alpha_p = 0 unless alpha_q < 1; and
for alpha_q = inf unless alpha_p > 2, or alpha_p = 2 and p has the smaller scale.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from robust_dist._numerics.formats import alpha_bound
from robust_dist._numerics.log_density import log_density
from robust_dist._numerics.log_normalizer import log_normalizer
from robust_dist._numerics.loss import rho
from robust_dist._numerics.tau import curve, log_radius

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_UNIT, _UNIT_WEIGHTS = 0.5 * (1 + _NODES), 0.5 * _WEIGHTS
# where the integrand's end is looked for, each 6 per cent beyond the last
_PROBES = np.geomspace(1e-2, 1e4, 240)
# by how much the log integrand falls to there: exp(-45) is 3e-20
_DROP = 45.0
# below it the two laws are alike enough for p's nodes to serve q
_NEAR = {np.dtype(np.float32): 0.03, np.dtype(np.float64): 1e-3}


def _log_loss(log_x: Array, alpha: Array) -> Array:
    """Return log rho(x, alpha, 1), of an x that may be too large for the format."""
    alpha = jnp.minimum(alpha, alpha_bound(alpha.dtype))
    b = jnp.maximum(jnp.abs(alpha - 2), 1e-10)
    log_y = 2 * log_x - jnp.log(b)
    # b L is x^2 where y is small
    log_log = jnp.where(log_y < -20, log_y, jnp.log(jnp.logaddexp(0.0, jnp.maximum(log_y, -20))))
    log_b_log = jnp.log(b) + log_log
    z = 0.5 * alpha * jnp.exp(log_log)
    large = z > 1
    # log of expm1(z)/z
    exprel = jnp.where(
        large,
        z + jnp.log(-jnp.expm1(-z) / jnp.where(large, z, 1)),
        jnp.log(jnp.expm1(jnp.where(large, 1, z) + 1e-30) / (jnp.where(large, 1, z) + 1e-30)),
    )
    return log_b_log - math.log(2) + exprel


def _end(alpha_p: Array, alpha_q: Array, offset: Array, scale: Array) -> Array:
    """Return the tau beyond which neither p nor p rho_q matters.

    Scale is that of p and offset the centres' distance, both in units of q's scale.
    """
    tau = jnp.asarray(_PROBES, alpha_p.dtype)
    point = curve(tau, alpha_p[..., None])
    log_x = log_radius(point)
    reach = jnp.logaddexp(log_x + jnp.log(scale)[..., None], jnp.log(offset)[..., None])
    log_mass = jnp.log(point.factor) + point.growth - 0.5 * tau * tau + jnp.log(tau)
    height = log_mass + jnp.logaddexp(0.0, _log_loss(reach, alpha_q[..., None]))
    height = jnp.where(jnp.isnan(height), -jnp.inf, height)
    alive = height > jnp.max(height, -1, keepdims=True) - _DROP
    last = jnp.max(jnp.where(alive, jnp.arange(tau.size), 0), -1)
    return tau[jnp.minimum(last + 1, tau.size - 1)]


def _axis(start: Array, stop: Array, both_ends: bool) -> tuple[Array, Array]:
    """Return nodes between two points and their weights, crowding at the first or at both."""
    v, w = _UNIT, _UNIT_WEIGHTS
    if both_ends:
        position, width = v**3 * (10 - 15 * v + 6 * v * v), 30 * (v * (1 - v)) ** 2
    else:
        position, width = v**3, 3 * v * v
    dtype = start.dtype
    length = (stop - start)[..., None]
    return start[..., None] + length * jnp.asarray(position, dtype), length * jnp.asarray(
        width * w, dtype
    )


def _log_far(log_r: Array, alpha: Array, scale: Array) -> Array:
    """Return log density so far out that location is lost and x may be too large for the format."""
    # from alpha = 1.1 or so on the loss, and with it the divergence, overflows here
    alpha = jnp.minimum(alpha, alpha_bound(alpha.dtype))
    b = jnp.maximum(jnp.abs(alpha - 2), 1e-10)
    log = 2 * (log_r - jnp.log(scale)) - jnp.log(b)
    z = 0.5 * alpha * log
    small = jnp.abs(z) < 1e-4
    safe = jnp.where(small, 1, z)
    exprel = jnp.where(small, 1 + z / 2 * (1 + z / 3), jnp.expm1(safe) / safe)
    return -0.5 * b * log * exprel - jnp.log(scale) - log_normalizer(alpha)


@jax.jit
def divergence(
    alpha_p: Array, loc_p: Array, scale_p: Array, alpha_q: Array, loc_q: Array, scale_q: Array
) -> Array:
    """Return KL(p || q), of the arguments' broadcast shape, all being of one dtype."""
    alpha_p, loc_p, scale_p, alpha_q, loc_q, scale_q = jnp.broadcast_arrays(
        alpha_p, loc_p, scale_p, alpha_q, loc_q, scale_q
    )
    dtype = alpha_p.dtype
    shift = loc_q - loc_p

    # Whether it is a finite number is known from the parameters alone. Where it is not, the nodes
    # and integrands below are those of two equal Normal laws, so that nothing there can overflow
    # into the derivatives of the others; the answer is put in at the end.
    bound = alpha_bound(dtype)
    finite = jnp.where(
        alpha_q >= bound,
        (alpha_p > 2) | ((alpha_p == 2) & (scale_p < scale_q)),
        (alpha_p > 0) | (alpha_q < 1),
    )
    valid = (alpha_p >= 0) & (alpha_q >= 0) & (scale_p > 0) & (scale_q > 0) & jnp.isfinite(shift)
    usable = finite & valid
    alpha_p, scale_p, alpha_q, scale_q, shift = (
        jnp.where(usable, part, stand_in)
        for part, stand_in in (
            (alpha_p, 2.0),
            (scale_p, 1.0),
            (alpha_q, 2.0),
            (scale_q, 1.0),
            (shift, 0.0),
        )
    )

    # The nodes, in p's tau: they crowd at p's centre and at q's, and reach no further out than the
    # integrand does. To the derivatives they are constants, because the integral does not depend on
    # them, and what they would add is rounding.
    fixed_p, fixed_q, unit_p, unit_q, offset = map(
        lax.stop_gradient, (alpha_p, alpha_q, scale_p, scale_q, shift)
    )
    largest = jnp.finfo(dtype).max
    end = _end(fixed_p, fixed_q, jnp.abs(offset) / unit_q, unit_p / unit_q)
    # where q's centre lies
    distance = jnp.minimum(jnp.abs(offset) / unit_p, 0.1 * largest)
    centre = jnp.minimum(
        jnp.sqrt(2 * jnp.minimum(rho(distance, fixed_p), 0.1 * largest)), end
    ) * jnp.sign(offset)
    low, high = jnp.minimum(centre, 0), jnp.maximum(centre, 0)
    pieces = [_axis(low, -end, False), _axis(low, high, True), _axis(high, end, False)]
    tau = jnp.concatenate([piece[0] for piece in pieces], -1)
    weight = jnp.abs(jnp.concatenate([piece[1] for piece in pieces], -1))

    # x at the nodes and dx/d tau. In a heavy tail x may be too large for the format where log x is
    # not: there both densities are taken from log r, with location lost.
    size = jnp.abs(tau)
    point = curve(size, fixed_p[..., None])
    log_jacobian = jnp.log(weight * point.factor) + point.growth
    log_r = log_radius(point) + jnp.log(unit_p)[..., None]
    far = log_r > 0.95 * math.log(float(largest))
    r = jnp.where(far, 1, unit_p[..., None] * point.x) * jnp.sign(tau)

    def log_densities(alpha: Array, loc: Array, scale: Array, excluded: Array) -> Array:
        alpha, loc, scale = (part[..., None] for part in (alpha, loc, scale))
        # no derivative comes from a branch not taken
        beyond = far & ~excluded
        distant = _log_far(
            jnp.where(beyond, log_r, 1), jnp.where(beyond, alpha, 0.5), jnp.where(beyond, scale, 1)
        )
        near = log_density(jnp.where(excluded, loc, r), alpha, loc, scale)
        return jnp.where(beyond, distant, near)

    # p's mass at each node, from tau itself, which is right however far out. The difference that is
    # added is 0, and has the derivative that nodes held fixed take from the mass: that of log p.
    nowhere = jnp.zeros_like(far)
    log_p = log_densities(alpha_p, jnp.zeros_like(shift), scale_p, nowhere)
    log_mass = log_jacobian - 0.5 * tau * tau - log_normalizer(fixed_p)[..., None]
    log_mass = log_mass + (log_p - lax.stop_gradient(log_p))
    mass = jnp.exp(log_mass)

    # The integrand p (log p - log q). Where q's loss overflows, its product with the mass may not:
    # there that product is formed from logarithms, and the other terms are nothing next to it.
    over = log_densities(fixed_q, offset, unit_q, nowhere) < -1e-3 * largest
    log_q = log_densities(alpha_q, shift, scale_q, over)
    excess = jnp.where(over, 0, log_p - log_q)
    distance = jnp.where(over & ~far, jnp.abs(r - shift[..., None]), 1)
    log_x = jnp.where(far, log_r, jnp.log(distance)) - jnp.log(scale_q)[..., None]
    log_loss = _log_loss(jnp.where(over, log_x, 1), jnp.where(over, alpha_q[..., None], 1))
    product = jnp.exp(jnp.where(over, log_mass + log_loss, -jnp.inf))

    # Of two sums the one that loses fewer digits: the plain one, or, where the laws are so alike
    # that its terms cancel, that of p (e^-t - 1 + t), which are all positive.
    apart = jnp.sum(mass * excess + product, -1)
    alike = jnp.clip(excess, -30, 30)
    near = jnp.sum(mass * (jnp.expm1(-alike) + alike), -1)
    value = jnp.where(apart < _NEAR[np.dtype(dtype)], near, apart)
    return jnp.where(usable, value, jnp.where(valid, jnp.inf, jnp.nan))
