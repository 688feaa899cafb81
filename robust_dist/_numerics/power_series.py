"""Short power series that replace a difference of nearly equal numbers."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_dist._tables import series

_ATANH_EXCESS = {
    np.dtype(np.float32): series.atanh_excess_float32,
    np.dtype(np.float64): series.atanh_excess_float64,
}


def horner(coefficients: Sequence[float], t: Array) -> Array:
    """Return the polynomial of the ascending coefficients at t."""
    *lower, highest = coefficients
    total = jnp.full_like(t, highest)
    for coefficient in reversed(lower):
        total = total * t + coefficient
    return total


def atanh_excess(s: Array) -> Array:
    """Return ``atanh(s)/s - 1`` for abs(s) < 0.172, to the last place of 1."""
    t = s * s
    return t * horner(_ATANH_EXCESS[np.dtype(t.dtype)], t)


_PHI = {
    np.dtype(np.float32): series.phi_float32,
    np.dtype(np.float64): series.phi_float64,
}


def exp_excess(z: Array) -> Array:
    """Return ``(exp(z) - 1 - z)/z**2`` for abs(z) <= 0.5."""
    return horner(_PHI[np.dtype(z.dtype)], z)
