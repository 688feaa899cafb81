"""The posterior of alpha."""

import numpy as np
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
    posterior_bins = np.linspace(low, high, 41)
    # the prior is a smooth law of which only draws are kept: fewer bins, less noise
    prior_bins = np.linspace(low, high, 8)
    ax.hist(draws, posterior_bins.tolist(), density=True, color=BLUE, alpha=0.75, label="posterior")
    height = np.histogram(prior, prior_bins)[0] / (prior.size * np.diff(prior_bins))
    ax.stairs(height, prior_bins, color=GREY, linestyle="--", linewidth=1.5, label="prior")
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
    add_legend(ax)
    return ax
