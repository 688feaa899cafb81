"""How much each row counts, by how far it lies off the fit."""

import numpy as np
from matplotlib.axes import Axes
from xarray import DataTree

from robust_dist._arguments import whole_number
from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.plots._limits import response_limits, trusted
from robust_dist.plots._rim import draw_within, name_rows
from robust_dist.plots._style import GREY, ORANGE, add_legend, new_axes

# more intervals than this are a smear
_INTERVALS = 500
# robust sds that are always seen
_LEAST = 3.5


def plot_weights(dt: DataTree, ax: Axes | None = None, label: int = 5) -> Axes:
    """Draw each row's weight and its 95% interval against its standardised residual.

    The axes reach as far as the rows that carry weight, and some way beyond; a row farther off is
    an arrow at the rim. Of a contaminated law, crosses are the rows' posterior probabilities of
    being outliers.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    ax
        Where to draw; a new figure if None.
    label
        How many of the rows with the largest residuals to name at most, those beyond the axes with
        their residuals; fewer if there is no room.
    """
    label = whole_number("label", label, 0)
    ax = ax or new_axes()
    rows = row_statistics(dt, "residual", "weight", "weight_lower", "weight_upper", "probability")
    residual, weight = rows["residual"].values, rows["weight"].values
    ends = response_limits(
        residual, trusted(weight, np.ones(weight.size)), 1.0, np.array([-_LEAST, _LEAST])
    )
    widest = max(-ends[0], ends[1])
    seen = np.abs(residual) <= widest
    if residual.size <= _INTERVALS:
        ax.vlines(
            residual[seen],
            rows["weight_lower"].values[seen],
            rows["weight_upper"].values[seen],
            color=GREY,
            linewidth=0.8,
            alpha=0.6,
            label="95% interval",
        )
    placed = draw_within(
        ax, residual, weight, weight, (-widest, widest), (-0.04, 1.08), margin=False
    )
    probabilities = "probability" in rows
    if probabilities:
        ax.scatter(
            placed.x,
            rows["probability"].values,
            s=18,
            marker="x",
            color=ORANGE,
            linewidths=0.9,
            zorder=3,
            label="probability of being an outlier",
        )
    ax.set(
        xlabel="residual / robust sd (posterior mean)",
        ylabel="weight, probability" if probabilities else "weight (0 ignored, 1 counted in full)",
    )
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    ax.grid(color="0.92", zorder=0)
    order = np.argsort(-np.abs(residual), kind="stable")
    named = order[:label][np.abs(residual[order[:label]]) > 1]
    name_rows(ax, rows["row"].values, named, placed)
    notes = [] if placed.beyond[named].all() else ["named: rows farthest off the fit"]
    add_legend(ax, notes)
    return ax
