"""The posterior of alpha."""

import numpy as np
from arviz_stats.base import array_stats
from matplotlib.axes import Axes
from xarray import DataTree

from robust_dist._errors import InputError
from robust_dist.plots._style import BLUE, GREY, ORANGE, add_legend, new_axes
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.likelihoods import Shape, likelihood_of


def drawn_shape(dt: DataTree) -> Shape | None:
    """Return the shape of which there is a picture, if the fit infers one that all rows share."""
    shapes = [shape for shape in likelihood_of(dt).shapes if shape.members]
    inferred = [shape for shape in shapes if shape.name in dt["posterior"].dataset]
    return inferred[0] if inferred else None


def plot_alpha(dt: DataTree, ax: Axes | None = None) -> Axes:
    """Draw the posterior of alpha against its prior, with the landmarks 0, 1 and 2.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    ax
        Where to draw; a new figure if None.

    Raises
    ------
    InputError
        If the fit has no alpha that all rows share: it is fixed, follows a formula, or belongs to
        another likelihood.
    """
    check_fit(dt)
    shape = drawn_shape(dt)
    if shape is None:
        raise InputError("this fit infers no single alpha to draw; see its summary")
    if "prior" not in dt.children or shape.name not in dt["prior"].dataset:
        raise InputError(f"the fit has no draws of the prior of {shape.name}; fit anew")
    ax = ax or new_axes()
    draws, prior = (
        dt[group].dataset[shape.name].values.ravel() for group in ("posterior", "prior")
    )
    # the far end of a prior that runs to infinity must not squeeze the picture
    last = max(shape.members)
    high = max(last, np.quantile(draws, 0.999), min(np.quantile(prior, 0.99), 2 * last))
    low = 0.0
    bins = np.linspace(low, high, 41)
    ax.hist(draws, bins.tolist(), density=True, color=BLUE, alpha=0.75, label="posterior")
    ax.plot(*_density(prior, high), color=GREY, linestyle="--", linewidth=1.5, label="prior")
    ends = np.quantile(draws, [0.025, 0.975])
    ax.plot(ends, [0, 0], color="black", linewidth=5, solid_capstyle="butt", clip_on=False)
    ax.plot(
        draws.mean(),
        0,
        "o",
        color="white",
        markeredgecolor="black",
        clip_on=False,
        zorder=5,
        label="posterior mean and 95% interval",
    )
    for value, name in shape.members.items():
        ax.axvline(value, color=ORANGE, linewidth=1.2, linestyle=":")
        ax.annotate(
            name,
            (value, 1.01),
            xycoords=("data", "axes fraction"),
            ha="center",
            color=ORANGE,
        )
    ax.set(
        xlabel=f"shape {shape.symbol} of the noise: heavy tails ← → light tails", ylabel="density"
    )
    ax.margins(x=0.03)
    ax.set_ylim(bottom=0)
    # above the names of the landmarks
    add_legend(ax, gap=18.0)
    return ax


def _density(draws: np.ndarray, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the density of draws of a prior up to a number, which is smooth, but at its ends."""
    part = draws[draws <= high]
    if part.size < 2 or np.ptp(part) == 0:
        return np.empty(0), np.empty(0)
    # twice the usual bandwidth: of a prior only draws are kept, but it is smooth
    grid, density, _ = array_stats.kde(part, bw_fct=2.0, grid_len=200)
    density *= part.size / draws.size
    # down to zero where the law ends, as a uniform one does, but not where only the picture does
    grid, density = np.append(grid[0], grid), np.append(0.0, density)
    if part.size == draws.size:
        grid, density = np.append(grid, grid[-1]), np.append(density, 0.0)
    return grid, density
