"""The coordinate tau, in which every member of the family has nearly a Normal tail."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from robust_dist._numerics.formats import gap_floor
from robust_dist._numerics.log_density import alpha_bound


class Curve(NamedTuple):
    """What belongs to a tau; the Jacobian J = dx/d tau is factor * exp(growth)."""

    b: Array
    log: Array
    """L"""
    x: Array
    factor: Array
    growth: Array

    @property
    def jacobian(self) -> Array:
        """J."""
        return self.factor * jnp.exp(self.growth)


def curve(tau: Array, alpha: Array) -> Curve:
    """Return the x >= 0 with rho(x, alpha, 1) = tau^2/2, and what belongs to it."""
    dtype = tau.dtype
    alpha = jnp.minimum(alpha, alpha_bound(dtype))
    b = jnp.maximum(jnp.abs(alpha - 2), gap_floor(dtype))
    m = 0.5 * alpha * tau * tau / b
    small = m < 1e-30
    ratio = jnp.where(small, 1, jnp.log1p(m) / jnp.where(small, 1, m))
    return curve_of_ratio(tau, alpha, b, ratio)


def curve_of_ratio(tau: Array, alpha: Array, b: Array, ratio: Array) -> Curve:
    """Return the curve at tau, given log(1 + m)/m with m = alpha tau^2/(2 b)."""
    log = (tau * tau / b) * ratio  # of (1 + y)^(alpha/2) = 1 + m
    # x = sqrt(b W) exp(L/2), where x^2 may overflow; tau^2/b may underflow
    tiny = log < 1e-30
    shrink = jnp.where(tiny, 1, -jnp.expm1(-log) / jnp.where(tiny, 1, log))  # W/L
    root = jnp.sqrt(ratio * shrink)
    return Curve(b, log, tau * root * jnp.exp(0.5 * log), 1 / root, 0.5 * (1 - alpha) * log)


def log_slope(tau: Array, at: Curve, alpha: Array) -> Array:
    """Return d log J/d tau = 1/tau - J psi'/psi, with psi'/psi = (1 + (alpha - 2) W)/x."""
    origin = tau == 0
    bending = 1 - (jnp.minimum(alpha, alpha_bound(tau.dtype)) - 2) * jnp.expm1(-at.log)
    tau = jnp.where(origin, 1, tau)
    relative = at.factor**2 * jnp.exp(at.growth - 0.5 * at.log)  # tau J/x, where x^2 may overflow
    return jnp.where(origin, 0, (1 - bending * relative) / tau)


def log_radius(at: Curve) -> Array:
    """Return log x, which may overflow where its logarithm does not."""
    tiny = at.log < 1e-30
    log = jnp.where(tiny, 1, at.log)
    return jnp.where(
        tiny, jnp.log(jnp.where(tiny, at.x, 1)), 0.5 * (jnp.log(-at.b * jnp.expm1(-log)) + log)
    )
