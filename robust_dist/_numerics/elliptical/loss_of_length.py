r"""The loss of a vector's length, smooth through the origin, where a length has no derivative.

    d rho(abs(z), alpha) = e^w <z, dz> + (d rho/d alpha) d alpha,    e^w = psi(r)/r at r = abs(z),
    d e^w/dr = e^w (alpha - 2) r/(b + r^2),

so that no rule divides by r. The notation is that of ``loss``.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_dist._numerics import loss
from robust_dist._numerics.formats import alpha_bound, gap_floor


def length(z: Array) -> Array:
    """Return the Euclidean length along the last axis, without over- or underflow."""
    largest = jnp.max(jnp.abs(z), -1)
    unit = jnp.where((largest > 0) & (largest < jnp.inf), largest, 1)
    return unit * jnp.sqrt(jnp.sum(jnp.square(z / unit[..., None]), -1))


def _loss_by_alpha(r: Array, alpha: Array) -> Array:
    return loss.rho_and_partials(r, alpha, jnp.ones_like(r)).by_alpha


def _along(factor: Array, z: Array, dz: Array) -> Array:
    """Return factor <z, dz>; the factor first, as the product may overflow."""
    return jnp.sum((factor[..., None] * z) * dz, -1)


@jax.custom_jvp
def rho_of_length(z: Array, alpha: Array) -> Array:
    """Return rho(abs(z), alpha, 1) for alpha of the shape of z less its last axis."""
    return loss.rho(length(z), alpha)


@rho_of_length.defjvp
def _rho_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (z, alpha), (dz, d_alpha) = primals, tangents
    along = _along(_weight(z, alpha), z, dz)
    return rho_of_length(z, alpha), along + _rho_by_alpha(z, alpha) * d_alpha


@jax.custom_jvp
def _weight(z: Array, alpha: Array) -> Array:
    return loss.weight(length(z), alpha)


@_weight.defjvp
def _weight_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (z, alpha), (dz, d_alpha) = primals, tangents
    value, r = _weight(z, alpha), length(z)
    weight_by_alpha = jax.jvp(lambda a: loss.weight(r, a), (alpha,), (jnp.ones_like(alpha),))[1]
    gap = jnp.minimum(alpha, alpha_bound(z.dtype)) - 2
    b = jnp.maximum(jnp.abs(gap), gap_floor(z.dtype))
    bend = value * (gap / b) / (1 + r * (r / b))
    return value, _along(bend, z, dz) + weight_by_alpha * d_alpha


@jax.custom_jvp
def _rho_by_alpha(z: Array, alpha: Array) -> Array:
    return _loss_by_alpha(length(z), alpha)


@_rho_by_alpha.defjvp
def _rho_by_alpha_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (z, alpha), (dz, d_alpha) = primals, tangents
    r, one = length(z), jnp.ones_like(alpha)
    value, second = jax.jvp(lambda a: _loss_by_alpha(r, a), (alpha,), (one,))
    weight_by_alpha = jax.jvp(lambda a: loss.weight(r, a), (alpha,), (one,))[1]
    return value, _along(weight_by_alpha, z, dz) + second * d_alpha
