"""Piecewise quintic Hermite polynomials on unit cells; knows nothing of what they interpolate."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax


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


def gather(columns: Sequence[Array], row: Array) -> list[Array]:
    """Return each power's coefficient in the cells ``row``; ``columns`` has shape (6, cells).

    They are held behind a barrier: XLA would repeat the gathers for every use of them.
    """
    taken = [column.at[row].get(mode="promise_in_bounds") for column in columns]
    return lax.optimization_barrier(taken)


def evaluate(coefficients: Sequence[Array], t: Array, order: int = 0) -> Array:
    """Return a derivative of the polynomial with ascending coefficients at t."""
    total = jnp.zeros_like(t)
    for power in range(len(coefficients) - 1, order - 1, -1):
        total = total * t + math.perm(power, order) * coefficients[power]
    return total
