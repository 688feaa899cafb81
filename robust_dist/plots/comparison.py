"""How well models predict, beside each other."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from robust_dist._arguments import check_type
from robust_dist._errors import InputError
from robust_dist.plots._style import BLUE, GREY, add_legend, as_label, new_axes
from robust_dist.regression import Comparison

# below it differences, and their standard errors, are not to be trusted (Sivula et al. 2020)
_SMALL = 4.0
# times what is seen already that the next likelihood may widen the axis
_FARTHER = 10.0


def plot_comparison(comparison: Comparison | pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how much worse each model predicts than the best, with two standard errors.

    The difference is that of the elpd, the expected log density of new rows. Within the grey band,
    up to 4, the data cannot tell a model from the best; where the bar reaches zero, a larger
    difference rests on a few rows. Beside each name stands its stacking weight. A model so
    much worse that no others could be told apart is an arrow at the rim, with its difference.

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
    error = 2 * table["dse"].to_numpy(float)
    beyond = _beyond(error - difference)
    ax.errorbar(
        difference[~beyond],
        place[~beyond],
        xerr=error[~beyond],
        fmt="o",
        color=BLUE,
        capsize=3,
        label="± 2 standard errors",
    )
    names = [
        f"{as_label(name, 30)}\nstacking {weight:.2f}"
        for name, weight in zip(table.index, table["weight"], strict=True)
    ]
    ax.set_yticks(place, names)
    ax.set(
        xlabel="elpd minus that of the best (right is better)",
        ylim=(-0.6, len(table) - 0.4),
    )
    ax.margins(x=0.08)
    _draw_beyond(ax, difference[beyond], error[beyond], place[beyond])
    add_legend(ax)
    return ax


def _beyond(reach: np.ndarray) -> np.ndarray:
    """Return which likelihoods lie so far off that no other could be seen beside them."""
    seen = 2 * _SMALL
    for distance in np.sort(reach):
        if distance > _FARTHER * seen:
            break
        seen = max(seen, distance)
    return np.asarray(reach > seen)


def _draw_beyond(ax: Axes, difference: np.ndarray, error: np.ndarray, place: np.ndarray) -> None:
    """Draw an arrow at the left rim for each likelihood beyond it, and its difference."""
    if not place.size:
        return
    ax.scatter(
        np.full(place.size, 0.02),
        place,
        s=60,
        marker=(3, 0, 90),
        color=BLUE,
        transform=ax.get_yaxis_transform(),
        label="beyond the axes",
    )
    for height, value, width in zip(place, difference, error, strict=True):
        ax.annotate(
            f"{value:.3g} ± {width:.2g}",
            (0.02, height),
            xycoords=ax.get_yaxis_transform(),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
