r"""Functions of alpha as generated quintic tables: where alpha lies, and what the table says there.

A function of this family is smooth in alpha except at 2. With b = abs(alpha - 2), s = sign(alpha -
2), four regions, each with a coordinate u of its own in [0, 1], are tabulated:

    alpha <= 1: u = log(1 + 10 alpha)/log 11;    1 < alpha < 2 and 2 < alpha < 3: u = v = b^(1/4);
    alpha >= 3: u = 3/alpha, alpha = inf included.

log Z and H have the same singularity at 2, where their derivatives diverge logarithmically:

    f = f(2) + s b (log(b)/4 + c + G(v)),

and what is tabulated next to 2 is G. That logarithm, log b next to 2 and 0 elsewhere, is called the
*lift*: the derivative of f is lift/4 plus a number that stays finite.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from robust_dist._numerics.formats import gap_floor
from robust_dist._numerics.spline import evaluate, evaluate_with_slope, gather, quintic_cells

RATE = math.log(11)


# In float32 the powers above the third lie below the last place of the value and of the slope.
_POWERS = {np.dtype(np.float32): 4, np.dtype(np.float64): 6}


# by how much regions of a table may miss each other: some last places of its numbers, 2 at most
_JOIN = 4e-15


@dataclass(frozen=True)
class Cell:
    """Where alpha lies: its cell, its region and the region's coordinate u."""

    columns: Sequence[Array]
    row: Array
    t: Array
    cells: Array
    """how many the region has"""
    u: Array
    low: Array
    near: Array
    b: Array
    s: Array
    low_rate: Array
    """d u/d alpha on [0, 1]"""

    @functools.cached_property
    def coefficients(self) -> list[Array]:
        """Those of the cell."""
        return gather(self.columns, self.row)

    def spline(self, order: int = 0) -> Array:
        """Return a derivative of the spline in u."""
        return self.cells**order * evaluate(self.coefficients, self.t, order)

    def spline_and_slope(self) -> tuple[Array, Array]:
        """Return the spline and its derivative in u, in the least memory."""
        powers = _POWERS[np.dtype(self.t.dtype)]
        value, slope = evaluate_with_slope(self.columns[:powers], self.row, self.t)
        return value, self.cells * slope

    def choose(self, low: Array, near: Array, high: Array) -> Array:
        """Return what belongs to alpha <= 1, to 1 < alpha < 3 and to alpha >= 3."""
        return jnp.where(self.near, near, jnp.where(self.low, low, high))


class AlphaTable:
    """The nodes of the four regions, in NumPy; told apart by identity."""

    def __init__(self, source: ModuleType) -> None:
        self.nodes = [
            np.array(part) for part in (source.low, source.below, source.above, source.high)
        ]
        for part in self.nodes:
            if part.ndim != 2 or len(part) < 2 or part.shape[1] != 3:
                raise ValueError("a region needs value and two derivatives at two or more nodes")
            if not np.all(np.isfinite(part)):
                raise ValueError("a table's numbers must be finite")
        self.cells = [len(part) - 1 for part in self.nodes]
        self.starts = [sum(self.cells[:region]) for region in range(len(self.cells))]

    @functools.cached_property
    def columns(self) -> np.ndarray:
        """The cells' ascending coefficients, of shape (6, cells)."""
        return np.concatenate([quintic_cells(*part.T) for part in self.nodes], axis=1)

    def locate(self, alpha: Array) -> Cell:
        """Return the cell of alpha; any for nan and alpha < 0."""
        dtype = alpha.dtype
        low, below, high = alpha <= 1, alpha < 2, alpha >= 3
        s = jnp.where(below, -1, 1).astype(dtype)
        b = jnp.clip(s * (alpha - 2), gap_floor(dtype), 1)
        small = jnp.where(low, alpha, 0)
        u = jnp.where(
            low,
            jnp.log1p(10 * small) / RATE,
            jnp.where(high, 3 / jnp.where(high, alpha, 3), jnp.sqrt(jnp.sqrt(b))),
        )

        def per_region(values: Sequence[float]) -> Array:
            of_low, of_below, of_above, of_high = values
            return jnp.where(
                low, of_low, jnp.where(below, of_below, jnp.where(high, of_high, of_above))
            ).astype(dtype)

        count, start = per_region(self.cells), per_region(self.starts)
        position = jnp.clip(u * count, 0, count)
        cell = jnp.minimum(jnp.floor(position), count - 1)
        row = (jnp.where(cell >= 0, cell, 0) + start).astype(jnp.int32)
        # Found once: without it the gradient of benchmarks/log_prob.py with one alpha per point
        # takes 447 operations a point for 386, and 76 bytes for 60.
        row, t = lax.optimization_barrier((row, position - cell))
        # from what is held, and without a division, whose result would be: one array fewer
        u = ((row.astype(dtype) - start) + t) * per_region([1 / cells for cells in self.cells])
        columns = [jnp.asarray(column, dtype) for column in self.columns]
        rate = 10 / ((1 + 10 * small) * RATE)
        return Cell(columns, row, t, count, u, low, ~low & ~high, b, s, rate)


def defined(alpha: Array, value: Array) -> Array:
    """Return nan where there is no distribution on the line: alpha < 0, or nan."""
    return jnp.where(alpha >= 0, value, jnp.nan)


class SingularTable(AlphaTable):
    """A function f(2) + s b (log(b)/4 + c + G) next to 2, and f itself elsewhere."""

    def __init__(self, source: ModuleType, at_two: float, c: float) -> None:
        super().__init__(source)
        self.at_two, self.c = at_two, c
        low, below, above, high = (part[:, 0] for part in self.nodes)
        # log b is 0 at 1 and 3, where regions meet, and G is 0 at 2
        ends = [below[0], above[0], low[-1] + (c + below[-1]), high[-1] - (c + above[-1])]
        if not np.allclose(ends, [0, 0, at_two, at_two], rtol=0, atol=_JOIN):
            raise ValueError("a table's regions must meet at alpha = 1, 2 and 3")

    def value_and_regular_slope(self, alpha: Array) -> tuple[Array, Array, Array]:
        """Return f, f' less a quarter of the lift, and the lift."""
        cell = self.locate(alpha)
        f, first = cell.spline_and_slope()
        lift = jnp.where(cell.near, jnp.log(cell.b), 0)
        value = cell.choose(f, self.at_two + cell.s * cell.b * (lift / 4 + self.c + f), f)
        slope = cell.choose(
            first * cell.low_rate,
            (self.c + 0.25) + f + 0.25 * cell.u * first,
            -first * cell.u * (cell.u / 3),
        )
        return defined(alpha, value), defined(alpha, slope), lift

    def value_and_slope(self, alpha: Array) -> tuple[Array, Array]:
        """Return f and f'; at 2, where that is infinite, that at the gap's floor."""
        value, slope, lift = self.value_and_regular_slope(alpha)
        return value, slope + lift / 4

    def curvature(self, alpha: Array) -> Array:
        """Return f''."""
        cell = self.locate(alpha)
        first, second = cell.spline(1), cell.spline(2)
        value = cell.choose(
            (second - first * RATE) * cell.low_rate * cell.low_rate,
            cell.s * (1 + 1.25 * cell.u * first + 0.25 * cell.u**2 * second) / (4 * cell.b),
            (cell.u * second + 2 * first) * cell.u * (cell.u * (cell.u / 9)),
        )
        return defined(alpha, value)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def slope(table: SingularTable, alpha: Array) -> Array:
    """Return f', differentiable once."""
    return table.value_and_slope(alpha)[1]


@slope.defjvp
def _slope_jvp(table: SingularTable, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (alpha,), (d_alpha,) = primals, tangents
    return slope(table, alpha), table.curvature(alpha) * d_alpha


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def value(table: SingularTable, alpha: Array) -> Array:
    """Return f, differentiable twice."""
    return table.value_and_slope(alpha)[0]


@value.defjvp
def _value_jvp(table: SingularTable, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (alpha,), (d_alpha,) = primals, tangents
    return value(table, alpha), slope(table, alpha) * d_alpha
