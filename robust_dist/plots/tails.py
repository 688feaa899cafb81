"""Whether the tails of the fitted law are those of the data."""

import numpy as np
from matplotlib.axes import Axes
from scipy import stats
from xarray import DataTree

from robust_dist._arguments import whole_number
from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.plots._limits import response_limits
from robust_dist.plots._rim import draw_within, name_rows
from robust_dist.plots._style import BLUE, GREY, add_legend, add_weight_scale, new_axes


def plot_tails(dt: DataTree, ax: Axes | None = None, label: int = 3) -> Axes:
    """Draw a quantile-quantile plot of the rows through the exact cdf of the fitted law.

    Each row's probability integral transform, as a Normal quantile (``pit_residuals``), against
    what is expected of its rank. On the diagonal the law fits; steeper ends say that the data's
    tails are heavier than the law's, flatter ones that they are lighter. The band holds 95% of each
    rank. A row far beyond it is an arrow at the rim.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    ax
        Where to draw; a new figure if None.
    label
        How many rows to name at either end, if they lie outside of the band; fewer if there is no
        room.
    """
    label = whole_number("label", label, 0)
    ax = ax or new_axes()
    statistics = row_statistics(dt, "quantile", "weight")
    order = np.argsort(statistics["quantile"].values, kind="stable")
    rows = statistics.isel(row=order)
    n = order.size
    rank = np.arange(1, n + 1)
    expected = stats.norm.ppf((rank - 0.5) / n)
    # the k-th smallest of n uniform numbers is Beta(k, n - k + 1)
    low, high = (stats.norm.ppf(stats.beta.ppf(q, rank, n - rank + 1)) for q in (0.025, 0.975))
    quantile = rows["quantile"].values
    ax.fill_between(expected, low, high, color=BLUE, alpha=0.2, linewidth=0, label="95% band")
    ends = [expected[0], expected[-1]]
    ax.plot(ends, ends, color=GREY, linestyle="--", linewidth=1.2, label="the law as fitted")
    outside = (quantile < low) | (quantile > high)
    limits = response_limits(quantile, ~outside, 1.0, np.append(low, high))
    placed = draw_within(
        ax, expected, quantile, rows["weight"].values, (expected[0], expected[-1]), limits
    )
    add_weight_scale(ax, placed.points)
    # the farthest of either end first
    ranks = np.arange(n)
    farthest = np.argsort(np.minimum(ranks, n - 1 - ranks), kind="stable")
    named = [k for k in farthest if outside[k] and (k < label or k >= n - label)]
    name_rows(ax, rows["row"].values, np.array(named, int), placed)
    ax.set(
        xlabel="expected Normal quantile of the rank",
        ylabel="Normal quantile of the row's probability",
    )
    ax.grid(color="0.92", zorder=0)
    add_legend(ax)
    return ax
