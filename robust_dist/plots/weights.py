"""How much each row counts, by how far it lies off the fit."""

import numpy as np
from matplotlib.axes import Axes
from xarray import DataTree

from robust_dist._arguments import whole_number
from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.plots._style import GREY, draw_rows, name_points, new_axes

# more intervals than this are a smear
_INTERVALS = 500


def plot_weights(dt: DataTree, ax: Axes | None = None, label: int = 5) -> Axes:
    """Draw each row's weight and its 95% interval against its standardised residual.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    ax
        Where to draw; a new figure if None.
    label
        How many of the rows with the largest residuals to name at most.
    """
    label = whole_number("label", label, 0)
    ax = ax or new_axes()
    rows = row_statistics(dt, "residual", "weight", "weight_lower", "weight_upper")
    residual, weight = rows["residual"].values, rows["weight"].values
    if residual.size <= _INTERVALS:
        ax.vlines(
            residual,
            rows["weight_lower"].values,
            rows["weight_upper"].values,
            color=GREY,
            linewidth=0.8,
            alpha=0.6,
            label="95% interval",
        )
    draw_rows(ax, residual, weight, weight)
    widest = max(3.5, 1.15 * float(np.abs(residual).max()))
    ax.set(
        xlabel="residual / robust sd (posterior mean)",
        ylabel="weight (0 ignored, 1 counted in full)",
        xlim=(-widest, widest),
        ylim=(-0.04, 1.08),
    )
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    ax.grid(color="0.92", zorder=0)
    names, order = rows["row"].values, np.argsort(-np.abs(residual), kind="stable")
    far = [row for row in order[:label] if abs(residual[row]) > 1]
    name_points(ax, [(str(names[row]), residual[row], weight[row], True) for row in far])
    if far:
        ax.set_title("numbers: rows farthest off the fit", fontsize=9, loc="left")
    return ax
