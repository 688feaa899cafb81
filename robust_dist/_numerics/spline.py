"""Piecewise Hermite polynomials: how their cells are made, searched and evaluated.

A table is a row of nodes with what is known at each, values and derivatives along the last axis;
between two nodes lies a cell, where the position t runs from 0 to 1. Nothing here knows what is
interpolated.
"""

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


def _left_and_right[T: (np.ndarray, Array)](
    data: Sequence[T], width: T | float
) -> tuple[list[T], list[T]]:
    """Return what is known at the left and at the right node of each cell, in its position."""
    left, right = (
        [part[..., ends] * width**order for order, part in enumerate(data)]
        for ends in (slice(None, -1), slice(1, None))
    )
    return left, right


def quintic_cells[T: (np.ndarray, Array)](
    value: T, first: T, second: T, width: T | float = 1.0
) -> tuple[T, ...]:
    """Return each cell's ascending coefficients, from value and two derivatives at the nodes.

    ``width`` is that of the cells, in the unit in which the derivatives are taken.
    """
    return hermite_coefficients(*_left_and_right((value, first, second), width))


def cubic_cells[T: (np.ndarray, Array)](
    value: T, first: T, width: T | float = 1.0
) -> tuple[T, ...]:
    """Return the same from value and one derivative."""
    (f0, d0), (f1, d1) = _left_and_right((value, first), width)
    rise = f1 - f0
    return f0, d0, 3 * rise - 2 * d0 - d1, d0 + d1 - 2 * rise


def checked_nodes(nodes: np.ndarray, first: float, last: float) -> np.ndarray:
    """Return the nodes of a table, or raise a ValueError if no table can have them.

    They must be finite, rise, and run from the first to the last number.
    """
    if nodes.ndim != 1 or len(nodes) < 2 or not np.all(np.isfinite(nodes)):
        raise ValueError("a table's nodes must be two or more finite numbers")
    if not np.all(np.diff(nodes) > 0):
        raise ValueError("a table's nodes must rise")
    if not np.allclose(nodes[[0, -1]], (first, last), rtol=4e-16, atol=0):
        raise ValueError(f"a table must run from {first} to {last}, not {nodes[0]} to {nodes[-1]}")
    return nodes


def search(nodes: Array, first_node: Array, cells: int, x: Array) -> Array:
    """Return the cell of x: the last one whose left node is no larger, or the first.

    ``nodes`` is a flat array of any number of tables with so many cells each; ``first_node`` tells
    for each x where its table starts.
    """
    cell = jnp.zeros(jnp.broadcast_shapes(first_node.shape, x.shape), jnp.int32)
    candidates = cells  # from ``cell`` on
    while candidates > 1:
        half = candidates // 2
        middle = nodes.at[first_node + cell + half].get(mode="promise_in_bounds")
        cell = jnp.where(middle <= x, cell + half, cell)
        candidates -= half
    return cell


def gather(columns: Sequence[Array], row: Array) -> list[Array]:
    """Return each power's coefficient in the cells ``row``; ``columns`` are one array per power.

    A cell's coefficients lie side by side in memory.
    """
    # Searched once: XLA would search anew for every coefficient. Without it the cdf by table
    # (benchmarks/cdf.py) takes 408 ns a point for 91.
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
    highest, *lower = reversed(columns)
    value = highest.at[row].get(mode="promise_in_bounds")
    slope = jnp.zeros_like(t)
    for column in lower:
        slope = slope * t + value
        value = value * t + column.at[row].get(mode="promise_in_bounds")
        # without it 84 bytes a point for 60, in the gradient with one alpha per point
        value, slope, row, t = lax.optimization_barrier((value, slope, row, t))
    return value, slope
