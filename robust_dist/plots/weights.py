"""How much each row counts, by how far it lies off the fit."""

import numpy as np
from matplotlib.axes import Axes
from xarray import DataTree

from robust_dist._arguments import whole_number
from robust_dist.diagnostics import observation_weights, standardized_residuals
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
    residual = standardized_residuals(dt)
    weights = observation_weights(dt)
    mean = weights["mean"].values
    if residual.size <= _INTERVALS:
        ax.vlines(
            residual.values,
            weights["lower"].values,
            weights["upper"].values,
            color=GREY,
            linewidth=0.8,
            alpha=0.6,
            label="95% interval",
        )
    draw_rows(ax, residual.values, mean, mean)
    widest = max(3.5, 1.15 * float(np.abs(residual).max()))
    ax.set(
        xlabel="residual / robust sd (posterior mean)",
        ylabel="weight (0 ignored, 1 counted in full)",
        xlim=(-widest, widest),
        ylim=(-0.04, 1.08),
    )
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    ax.grid(color="0.92", zorder=0)
    z, names = residual.values, residual["row"].values
    far = [row for row in np.argsort(-np.abs(z), kind="stable")[:label] if abs(z[row]) > 1]
    name_points(
        ax,
        [(str(names[row]), z[row], mean[row], True) for row in far],
    )
    if far:
        ax.set_title("numbers: rows farthest off the fit", fontsize=9, loc="left")
    return ax
