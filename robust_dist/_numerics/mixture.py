"""The log of a mixture of two densities, whose derivatives hold at either end of the shares."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_dist._numerics.formats import log_largest, promote_inexact


@jax.custom_jvp
def _log_mixture(f: Array, g: Array, share: Array) -> Array:
    return jnp.logaddexp(jnp.log1p(-share) + f, jnp.log(share) + g)


def log_mixture(f: Any, g: Any, share: Any) -> Array:
    r"""Return log((1 - share) e^f + share e^g), the share from 0 to 1.

    Its derivatives are the shares of the sum, and :math:`(e^g - e^f)/(\dots)` in the share.
    """
    return _log_mixture(*jnp.broadcast_arrays(*promote_inexact(f, g, share)))


def ratios(f: Array, g: Array, share: Array) -> tuple[Array, Array]:
    """Return e^f and e^g over the mixture, bounded where they would overflow."""
    total = _log_mixture(f, g, share)
    # where nothing has any density, nothing has a slope
    total = jnp.where(total == -jnp.inf, 0, total)
    largest = log_largest(total.dtype)
    return jnp.exp(jnp.minimum(f - total, largest)), jnp.exp(jnp.minimum(g - total, largest))


@_log_mixture.defjvp
def _log_mixture_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    f, g, share = primals
    f_dot, g_dot, share_dot = tangents
    of_f, of_g = ratios(f, g, share)
    f_share, g_share = (1 - share) * of_f, share * of_g
    # a part that does not count may have no slope
    slope = jnp.where(f_share > 0, f_share * jnp.where(f_share > 0, f_dot, 0), 0)
    slope += jnp.where(g_share > 0, g_share * jnp.where(g_share > 0, g_dot, 0), 0)
    return _log_mixture(f, g, share), slope + (of_g - of_f) * share_dot
