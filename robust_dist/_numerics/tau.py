"""The coordinate tau, in which every member of the family has nearly a Normal tail."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from robust_dist._numerics.formats import alpha_bound, gap_floor


class Point(NamedTuple):
    """The x that belongs to a tau; the Jacobian J = dx/d tau is factor * exp(growth)."""

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


def curve(tau: Array, alpha: Array) -> Point:
    """Return the x >= 0 with rho(x, alpha, 1) = tau^2/2, and what belongs to it."""
    dtype = tau.dtype
    alpha = jnp.minimum(alpha, alpha_bound(dtype))
    b = jnp.maximum(jnp.abs(alpha - 2), gap_floor(dtype))
    m = 0.5 * alpha * tau * tau / b
    small = m < 1e-30
    ratio = jnp.where(small, 1, jnp.log1p(m) / jnp.where(small, 1, m))
    return curve_of_ratio(tau, alpha, b, ratio)


def curve_of_ratio(tau: Array, alpha: Array, b: Array, ratio: Array) -> Point:
    """Return the point at tau, given log(1 + m)/m with m = alpha tau^2/(2 b)."""
    log = (tau * tau / b) * ratio  # of (1 + y)^(alpha/2) = 1 + m
    # x = sqrt(b W) exp(L/2), where x^2 may overflow; tau^2/b may underflow
    tiny = log < 1e-30
    shrink = jnp.where(tiny, 1, -jnp.expm1(-log) / jnp.where(tiny, 1, log))  # W/L
    root = jnp.sqrt(ratio * shrink)
    return Point(b, log, tau * root * jnp.exp(0.5 * log), 1 / root, 0.5 * (1 - alpha) * log)


def log_slope(tau: Array, alpha: Array, point: Point) -> Array:
    """Return d log J/d tau = 1/tau - J psi'/psi, with psi'/psi = (1 + (alpha - 2) W)/x."""
    origin = tau == 0
    bending = 1 - (jnp.minimum(alpha, alpha_bound(tau.dtype)) - 2) * jnp.expm1(-point.log)
    tau = jnp.where(origin, 1, tau)
    # tau J/x, where x^2 may overflow
    relative = point.factor**2 * jnp.exp(point.growth - 0.5 * point.log)
    return jnp.where(origin, 0, (1 - bending * relative) / tau)


def log_radius(point: Point) -> Array:
    """Return log x, which may overflow where its logarithm does not."""
    tiny = point.log < 1e-30
    log = jnp.where(tiny, 1, point.log)
    near = jnp.log(jnp.where(tiny, point.x, 1))
    return jnp.where(tiny, near, 0.5 * (jnp.log(-point.b * jnp.expm1(-log)) + log))
