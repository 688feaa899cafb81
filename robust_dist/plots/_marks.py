"""The marks of a fit: lines with their intervals, bands and bars of a robust sd."""

import numpy as np
from matplotlib.axes import Axes

from robust_dist.plots._style import BLUE, GREY

# more error bars than this are a smear
_BARS = 200
# of the levels of a category, where interval and rows stand beside each other
_INTERVAL, _ROWS = -0.2, (-0.08, 0.36)
# (sqrt(5) - 1) / 2, whose multiples fill the interval from 0 to 1 evenly
_GOLDEN = 0.6180339887498949


def interval(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95% interval of draws, which are the first axis."""
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return low, high


def draw_line(ax: Axes, grid: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Draw the posterior mean of lines, shape (draws, grid), and their pointwise 95% interval.

    Returns what is to be seen whole of it.
    """
    low, high = interval(lines)
    ax.fill_between(grid, low, high, color=BLUE, alpha=0.3, linewidth=0, label="95% interval")
    ax.plot(grid, lines.mean(axis=0), color=BLUE, linewidth=1.8, label="posterior mean")
    return np.concatenate([low, high])


def draw_band(ax: Axes, x: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Draw one robust sd to either side of a line, and return what is to be seen of it."""
    low, high = centre - spread, centre + spread
    ax.fill_between(
        x, low, high, color=GREY, alpha=0.15, linewidth=0, zorder=0, label="± robust sd"
    )
    return np.concatenate([low, high])


def draw_bars(ax: Axes, x: np.ndarray, y: np.ndarray, spread: np.ndarray) -> None:
    """Draw one robust sd to either side of each point, unless there are very many."""
    if y.size <= _BARS:
        ax.vlines(
            x,
            y - spread,
            y + spread,
            color=GREY,
            linewidth=0.8,
            zorder=2,
            label="± robust sd",
        )


def draw_levels(ax: Axes, draws: np.ndarray) -> np.ndarray:
    """Draw the posterior mean and 95% interval of each level, shape (draws, levels)."""
    low, high = interval(draws)
    places = np.arange(draws.shape[1]) + _INTERVAL
    mean = draws.mean(axis=0)
    ax.errorbar(
        places,
        mean,
        yerr=np.abs([low - mean, high - mean]),
        fmt="D",
        color=BLUE,
        markersize=5,
        elinewidth=2.5,
        zorder=3,
        label="posterior mean and 95% interval",
    )
    return np.concatenate([low, high])


def evenly(count: int) -> np.ndarray:
    """Return numbers from 0 to 1 that fill this interval evenly, however many of them are taken."""
    return (np.arange(count) * _GOLDEN) % 1.0


def beside_levels(codes: np.ndarray) -> np.ndarray:
    """Return where rows stand beside the intervals of their levels, evenly and not at random."""
    order = np.argsort(codes, kind="stable")
    share = np.empty(codes.size)
    share[order] = evenly(codes.size)
    low, high = _ROWS
    return np.asarray(codes + low + (high - low) * share, float)
