"""Absolute moments of the standardised law, by fixed quadrature in tau (see ``_draw``)."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_dist._draw import curve
from robust_dist._standard import alpha_bound
from robust_dist.normalizer import log_normalizer

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


def absolute_moment(order: int, alpha: Array) -> Array:
    """Return E abs(x)^order, inf where it overflows and at alpha = 0, where it diverges."""
    alpha = alpha[..., None]
    positive = alpha > 0
    shape = jnp.where(positive, jnp.minimum(alpha, alpha_bound(alpha.dtype)), 1)
    # the integrand peaks at r = tau^2/2 = (order - 1)/alpha and is below the last place by here
    end = jnp.sqrt(2 * (45 + 8 * (order + 1) / shape))
    tau = 0.5 * end * jnp.asarray(1 + _NODES, alpha.dtype)
    at = curve(tau, shape)
    # x and J overflow where their product with the density does not
    log_x = 0.5 * (jnp.log(at.b) + at.log + jnp.log(-jnp.expm1(-at.log)))
    log_jacobian = jnp.log(tau) - log_x + (1 - 0.5 * shape) * at.log
    exponent = -0.5 * tau * tau + order * log_x + log_jacobian - log_normalizer(shape)
    total = jnp.sum(jnp.exp(exponent) * jnp.asarray(_WEIGHTS, alpha.dtype), -1) * end[..., 0]
    return jnp.where(positive[..., 0], total, jnp.where(alpha[..., 0] == 0, jnp.inf, jnp.nan))
