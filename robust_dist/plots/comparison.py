"""How well likelihoods predict, beside each other."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from robust_dist._arguments import check_type
from robust_dist._errors import InputError
from robust_dist.plots._style import BLUE, GREY, as_label, new_axes
from robust_dist.regression import Comparison

# below it differences, and their standard errors, are not to be trusted (Sivula et al. 2020)
_SMALL = 4.0


def plot_comparison(comparison: Comparison | pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how much worse each likelihood predicts than the best, with two standard errors.

    The difference is that of the elpd, the expected log density of new rows. Within the grey band,
    up to 4, the data cannot tell a likelihood from the best; where the bar reaches zero, a larger
    difference rests on a few rows. Beside each name stands its stacking weight.

    Parameters
    ----------
    comparison
        What ``robust_dist.regression.compare`` returned, or its table.
    ax
        Where to draw; a new figure if None.
    """
    table = comparison.table if isinstance(comparison, Comparison) else comparison
    check_type("comparison", table, pd.DataFrame, "what compare() returns, or its table")
    missing = {"elpd_diff", "dse", "weight"} - {*table.columns}
    if missing:
        raise InputError(f"the table of the comparison has no column '{min(missing)}'")
    ax = ax or new_axes()
    # ArviZ gives the difference as a loss, of whichever sign; the best is first
    difference = -np.abs(table["elpd_diff"].to_numpy(float))
    place = np.arange(len(table))[::-1]
    ax.axvspan(-_SMALL, 0, color=GREY, alpha=0.15, linewidth=0, label="too small to tell")
    ax.axvline(0, color=GREY, linewidth=1)
    ax.errorbar(
        difference,
        place,
        xerr=2 * table["dse"].to_numpy(float),
        fmt="o",
        color=BLUE,
        capsize=3,
        label="± 2 standard errors",
    )
    names = [
        f"{as_label(name)}\nstacking {weight:.2f}"
        for name, weight in zip(table.index, table["weight"], strict=True)
    ]
    ax.set_yticks(place, names)
    ax.set(
        xlabel="elpd minus that of the best (right is better)",
        ylim=(-0.6, len(table) - 0.4),
    )
    ax.margins(x=0.08)
    # below the axes, where no bar can lie under it
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0)
    return ax
