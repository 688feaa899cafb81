"""Piecewise quintic Hermite polynomials on unit cells; knows nothing of what they interpolate."""

import jax.numpy as jnp
import numpy as np
from jax import Array


def hermite_coefficients(nodes: np.ndarray) -> np.ndarray:
    """Return the power coefficients of each cell's quintic.

    Parameters
    ----------
    nodes
        Shape (cells + 1, 3): value, first and second derivative at the cells' ends, the derivatives
        with respect to a coordinate that grows by 1 from node to node.

    Returns
    -------
    numpy.ndarray
        Shape (cells, 6), ascending powers of the position in the cell, in [0, 1].
    """
    (f0, d0, s0), (f1, d1, s1) = nodes[:-1].T, nodes[1:].T
    rise = (f1 - f0) - d0 - 0.5 * s0
    tilt = (d1 - d0) - s0
    bend = s1 - s0
    return np.stack(
        [
            f0,
            d0,
            0.5 * s0,
            10 * rise - 4 * tilt + 0.5 * bend,
            -15 * rise + 7 * tilt - bend,
            6 * rise - 3 * tilt + 0.5 * bend,
        ],
        axis=-1,
    )


def polynomial(coefficients: Array, t: Array, order: int = 0) -> Array:
    """Return the derivative of the given order at t; the coefficients lie along the last axis."""
    degree = coefficients.shape[-1] - 1
    total = jnp.zeros_like(t)
    for n in range(degree, order - 1, -1):
        factor = float(np.prod(np.arange(n - order + 1, n + 1))) if order else 1.0
        total = total * t + factor * coefficients[..., n]
    return total
