"""Expectations under the standardised law, by fixed quadrature in tau (see ``tau``)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_dist._numerics.formats import alpha_bound
from robust_dist._numerics.log_normalizer import log_normalizer
from robust_dist._numerics.tau import Point, curve

# below it rounding of the exponent, some 1/sqrt(alpha), costs more than the limit at 0 does
_LEAST_ALPHA = {np.dtype(np.float32): 1e-7, np.dtype(np.float64): 1e-15}

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


def _nodes(end: Array, alpha: Array) -> tuple[Array, Point, Array]:
    """Return tau in [0, end], what belongs to it and the weights, along a new last axis."""
    tau = 0.5 * end[..., None] * jnp.asarray(1 + _NODES, alpha.dtype)
    return tau, curve(tau, alpha[..., None]), end[..., None] * jnp.asarray(_WEIGHTS, alpha.dtype)


@functools.partial(jax.jit, static_argnames="order")
def absolute_moment(order: int, alpha: Array) -> Array:
    """Return E abs(x)^order, inf where it overflows and at alpha = 0, where it diverges."""
    positive, least = alpha > 0, _LEAST_ALPHA[np.dtype(alpha.dtype)]
    bounded = jnp.where(positive, jnp.clip(alpha, least, alpha_bound(alpha.dtype)), 1)
    # The integrand peaks at r = tau^2/2 = (order - 1)/alpha and is below the last place by here;
    # that of order 1 falls like exp(-alpha r^2/4) when alpha is near 0.
    reach = 16 / jnp.sqrt(bounded) if order == 1 else 8 * (order + 1) / bounded
    tau, point, weights = _nodes(jnp.sqrt(2 * (45 + reach)), bounded)
    # x^order overflows where its product with the density does not
    log_x = 0.5 * (jnp.log(-point.b * jnp.expm1(-point.log)) + point.log)
    exponent = -0.5 * tau * tau + order * log_x + point.growth - log_normalizer(bounded)[..., None]
    total = jnp.sum(weights * point.factor * jnp.exp(exponent), -1)
    # of the second and higher orders that at the least alpha has overflowed long since; the first
    # grows like 1/sqrt(alpha)
    total *= jnp.sqrt(bounded / jnp.where(positive & (alpha < least), alpha, bounded))
    return jnp.where(positive, total, jnp.where(alpha == 0, jnp.inf, jnp.nan))


@jax.jit
def mean_loss(alpha: Array) -> Array:
    """Return E rho(x, alpha, 1); nan for alpha < 0."""
    bounded = jnp.where(alpha >= 0, jnp.minimum(alpha, alpha_bound(alpha.dtype)), 1)
    # at alpha = 0, where tails are heaviest, the integrand falls like exp(-tau^2/4)
    tau, point, weights = _nodes(jnp.full(alpha.shape, 14, alpha.dtype), bounded)
    half_square = 0.5 * tau * tau
    exponent = point.growth - half_square - log_normalizer(bounded)[..., None]
    total = jnp.sum(weights * half_square * point.factor * jnp.exp(exponent), -1)
    return jnp.where(alpha >= 0, total, jnp.nan)
