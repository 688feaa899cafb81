r"""The log density with the orthogonal scale sigma = c exp(H(alpha)) held fixed.

With M = X d rho/dX and X = (x - loc)/c, its derivative in alpha at fixed sigma is

    -d rho/d alpha - d log Z/d alpha - H' (M - 1).

Next to 2 the three parts diverge like (M/4) log b, -(1/4) log b and -((M - 1)/4) log b, which
add to 0. Each is evaluated without its logarithm (the lift), so that nothing infinite is ever
subtracted and the derivative is continuous through alpha = 2.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from robust_dist._numerics import log_normalizer, loss, orthogonal_scale
from robust_dist._numerics.formats import promote_inexact
from robust_dist._numerics.log_density import density_alone, derivatives, fuse, residual
from robust_dist._numerics.log_normalizer import log_normalizer_and_slope


def _alone(x: Array, alpha: Array, loc: Array, sigma: Array) -> Array:
    log_z, _ = log_normalizer.TABLE.value_and_slope(alpha)
    h, _ = orthogonal_scale.TABLE.value_and_slope(alpha)
    # finished before the pass over x, as below
    inverse_scale, log_constant = lax.optimization_barrier(
        (jnp.exp(h) / sigma, jnp.log(sigma) - h + log_z)
    )
    return density_alone(x, alpha, loc, inverse_scale, log_constant)


def _one_pass(x: Array, alpha: Array, loc: Array, sigma: Array) -> tuple[Array, ...]:
    log_z, z_slope, lift = log_normalizer.TABLE.value_and_regular_slope(alpha)
    h, h_slope, _ = orthogonal_scale.TABLE.value_and_regular_slope(alpha)
    inverse = 1 / sigma
    # Finished before the pass over x. Without it the gradient with one alpha per point takes 137
    # bytes a point for 97.
    inverse, inverse_scale, log_constant, z_slope, h_slope, lift = lax.optimization_barrier(
        (inverse, jnp.exp(h) * inverse, jnp.log(sigma) - h + log_z, z_slope, h_slope, lift)
    )
    partials = derivatives(residual(x, loc) * inverse_scale, alpha, lift)
    excess = partials.moment - 1
    # where the loss is about to overflow, its derivatives may have done so, with either sign
    safe = partials.rho < 1e-4 * jnp.finfo(x.dtype).max
    return (
        -partials.rho - log_constant,
        -partials.slope * inverse_scale,
        -jnp.where(safe, partials.by_alpha + z_slope + h_slope * excess, partials.rho),
        excess * inverse,
    )


def _written_out(x: Array, alpha: Array, loc: Array, sigma: Array) -> tuple[Array, ...]:
    # Terms of the order 1/b cancel in the second derivative, which is continuous on either side of
    # 2: so nearer to 2 than this it is that a little way off.
    closest = float(jnp.finfo(alpha.dtype).eps) ** 0.5
    gap = jnp.abs(alpha - 2)
    aside = jnp.where(alpha < 2, 2 - closest, 2 + closest).astype(alpha.dtype)
    alpha = alpha + lax.stop_gradient(jnp.where(gap < closest, aside - alpha, 0))
    h, h_slope = orthogonal_scale.log_ratio(alpha), orthogonal_scale.log_ratio_slope(alpha)
    shrink = jnp.exp(-h)
    scale = sigma * shrink
    rho, psi, by_alpha, by_scale = loss.rho_and_partials(residual(x, loc), alpha, scale)
    log_z, slope = log_normalizer_and_slope(alpha)
    return (
        -rho - log_z + h,
        -psi,
        -by_alpha - slope + h_slope * (scale * by_scale + 1),
        -by_scale * shrink,
    )


_log_density = fuse(_alone, _one_pass, _written_out)


@jax.jit
def log_density(x: ArrayLike, alpha: ArrayLike, loc: ArrayLike, sigma: ArrayLike) -> Array:
    """Return log p(x | alpha, loc, c = sigma exp(-H)), fused with its derivatives."""
    x, alpha, loc, sigma = promote_inexact(x, alpha, loc, sigma)
    return _log_density(x, alpha, loc, sigma)
