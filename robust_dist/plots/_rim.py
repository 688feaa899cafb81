"""Rows within the axes, and at their rim an arrow for each that lies beyond."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from robust_dist.plots._limits import Limits, with_margin
from robust_dist.plots._names import name_points
from robust_dist.plots._style import MANY, draw_rows, weight_colors

# of the room between the last row and the rim, how far out an arrow stands
_RIM = 0.045


class Placed(NamedTuple):
    """Where rows are drawn."""

    points: PathCollection
    x: np.ndarray
    y: np.ndarray
    beyond: np.ndarray
    """which of them stand at the rim instead of where they are"""
    values: list[str]
    """what those at the rim are beyond the axes, empty for others"""
    side: np.ndarray
    """a number for each side of the axes that rows are beyond"""

    def farthest(self, order: np.ndarray) -> np.ndarray:
        """Return the rows beyond the axes in this order, but the first of every side first."""
        rows = order[self.beyond[order]]
        turns = np.empty(rows.size, int)
        for side in np.unique(self.side[rows]):
            same = self.side[rows] == side
            turns[same] = np.arange(same.sum())
        return rows[np.argsort(turns, kind="stable")]


def draw_within(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    x_limits: Limits,
    y_limits: Limits,
    margin: bool = True,
) -> Placed:
    """Draw rows coloured by weight, those beyond the limits as arrows at the rim.

    Parameters
    ----------
    ax
        Where to draw; its limits are set, with a margin that holds no row.
    x, y
        Where rows lie.
    weights
        From 0 to 1.
    x_limits, y_limits
        The ends of what is to be seen.
    margin
        Whether the axis of y has a margin, too; of a proportion it has none.
    """
    sides = [_side(values, limits) for values, limits in ((x, x_limits), (y, y_limits))]
    beyond = (sides[0] != 0) | (sides[1] != 0)
    placed_x, placed_y = (
        np.clip(values, *with_margin(limits, _RIM))
        for values, limits in ((x, x_limits), (y, y_limits))
    )
    points = draw_rows(ax, x[~beyond], y[~beyond], weights[~beyond])
    label = counted(int(beyond.sum()))
    for across, up in sorted({*zip(*(side[beyond].tolist() for side in sides), strict=True)}):
        chosen = (sides[0] == across) & (sides[1] == up)
        ax.scatter(
            placed_x[chosen],
            placed_y[chosen],
            s=60,
            marker=(3, 0, np.degrees(np.arctan2(up, across)) - 90),
            **weight_colors(weights[chosen]),
            edgecolors="black",
            linewidths=0.6,
            zorder=3,
            rasterized=chosen.sum() > MANY,
            label=label,
        )
        label = "_nolegend_"
    ax.set_xlim(with_margin(x_limits))
    ax.set_ylim(with_margin(y_limits) if margin else y_limits)
    values = [
        _value(*row) if any(row[2:]) else ""
        for row in zip(x, y, *(side.tolist() for side in sides), strict=True)
    ]
    return Placed(points, placed_x, placed_y, beyond, values, 3 * sides[0] + sides[1])


def counted(count: int) -> str:
    """Return what the legend says of so many rows beyond the axes."""
    return f"{count} {'row' if count == 1 else 'rows'} beyond the axes"


def name_rows(ax: Axes, names: np.ndarray, rows: np.ndarray, placed: Placed) -> None:
    """Write the names of rows beside them, of those at the rim with their values."""
    name_points(
        ax,
        [
            (f"{names[row]}", placed.values[row], placed.x[row], placed.y[row])
            for row in rows.tolist()
        ],
    )


def _side(values: np.ndarray, limits: Limits) -> np.ndarray:
    """Return -1 below the limits, 1 above them, and 0 between them."""
    return np.where(values > limits[1], 1, np.where(values >= limits[0], 0, -1))


def _value(x: float, y: float, across: int, up: int) -> str:
    """Return where a row lies that the axes do not reach."""
    if across and up:
        return f"({_number(x)}, {_number(y)})"
    return _number(x if across else y)


def _number(value: float) -> str:
    """Return a number to three digits, or to a whole if that is short too."""
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
