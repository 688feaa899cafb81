"""Piecewise quintic Hermite polynomials on unit cells; knows nothing of what they interpolate."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax


def hermite_coefficients[T: (np.ndarray, Array)](
    left: Sequence[T], right: Sequence[T]
) -> tuple[T, ...]:
    """Return the ascending coefficients of the quintics that meet both ends' data.

    ``left`` and ``right`` hold value, first and second derivative at position 0 and 1 of the cells,
    the derivatives with respect to that position.
    """
    f0, d0, s0 = left
    f1, d1, s1 = right
    rise = (f1 - f0) - d0 - 0.5 * s0
    tilt = (d1 - d0) - s0
    bend = s1 - s0
    return (
        f0,
        d0,
        0.5 * s0,
        10 * rise - 4 * tilt + 0.5 * bend,
        -15 * rise + 7 * tilt - bend,
        6 * rise - 3 * tilt + 0.5 * bend,
    )


def gather(columns: Sequence[Array], row: Array) -> list[Array]:
    """Return each power's coefficient in the cells ``row``; ``columns`` are one array per power.

    A cell's coefficients lie side by side in memory, and the row is held behind a barrier: XLA
    would find it anew for every coefficient.
    """
    row = lax.optimization_barrier(row)
    cells = jnp.stack(columns, -1).at[row].get(mode="promise_in_bounds")
    return [cells[..., power] for power in range(len(columns))]


def evaluate(coefficients: Sequence[Array], t: Array, order: int = 0) -> Array:
    """Return a derivative of the polynomial with ascending coefficients at t."""
    total = jnp.zeros_like(t)
    for power in range(len(coefficients) - 1, order - 1, -1):
        total = total * t + math.perm(power, order) * coefficients[power]
    return total


def evaluate_with_slope(columns: Sequence[Array], row: Array, t: Array) -> tuple[Array, Array]:
    """Return the polynomial of the cells ``row`` and its derivative at t.

    Coefficients are fetched one power at a time, so that few arrays of t's size live at once.
    """
    highest, *rest = reversed(columns)
    value = highest.at[row].get(mode="promise_in_bounds")
    slope = jnp.zeros_like(t)
    for column in rest:
        slope = slope * t + value
        value = value * t + column.at[row].get(mode="promise_in_bounds")
        value, slope, row, t = lax.optimization_barrier((value, slope, row, t))
    return value, slope
