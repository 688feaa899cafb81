"""Whether the tails of the fitted law are those of the data."""

import numpy as np
from matplotlib.axes import Axes
from scipy import stats
from xarray import DataTree

from robust_dist._arguments import whole_number
from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.plots._style import BLUE, GREY, add_legend, draw_rows, name_points, new_axes


def plot_tails(dt: DataTree, ax: Axes | None = None, label: int = 3) -> Axes:
    """Draw a quantile-quantile plot of the rows through the exact cdf of the fitted law.

    Each row's probability integral transform, as a Normal quantile (``pit_residuals``), against
    what is expected of its rank. On the diagonal the law fits; steeper ends say that the data's
    tails are heavier than the law's, flatter ones that they are lighter. The band holds 95% of each
    rank.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    ax
        Where to draw; a new figure if None.
    label
        How many rows to name at either end, if they lie outside of the band.
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
    draw_rows(ax, expected, quantile, rows["weight"].values)
    ax.margins(0.08)
    outside = np.flatnonzero((quantile < low) | (quantile > high))
    named = [k for k in outside if k < label or k >= n - label]
    names = rows["row"].values
    name_points(
        ax, [(str(names[k]), expected[k], quantile[k], quantile[k] > expected[k]) for k in named]
    )
    ax.set(
        xlabel="expected Normal quantile of the rank",
        ylabel="Normal quantile of the row's probability",
    )
    ax.grid(color="0.92", zorder=0)
    add_legend(ax)
    return ax
