"""The posterior of alpha."""

import numpy as np
from matplotlib.axes import Axes
from xarray import DataTree

from robust_dist._errors import InputError
from robust_dist.plots._style import BLUE, GREY, ORANGE, add_legend, new_axes
from robust_dist.regression.fitted import check_fit

_LANDMARKS = {0.0: "Cauchy", 1.0: "hyperbolic", 2.0: "Normal"}


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
    if "alpha" not in dt["posterior"].dataset:
        raise InputError("this fit infers no single alpha to draw; see its summary")
    if "prior" not in dt.children or "alpha" not in dt["prior"].dataset:
        raise InputError("the fit has no draws of the prior of alpha; fit anew")
    ax = ax or new_axes()
    alpha, prior = (dt[group].dataset["alpha"].values.ravel() for group in ("posterior", "prior"))
    # the far end of a prior that runs to infinity must not squeeze the picture
    high = max(2.0, np.quantile(alpha, 0.999), min(np.quantile(prior, 0.99), 4.0))
    low = 0.0
    posterior_bins = np.linspace(low, high, 41)
    # the prior is a smooth law of which only draws are kept: fewer bins, less noise
    prior_bins = np.linspace(low, high, 8)
    ax.hist(alpha, posterior_bins.tolist(), density=True, color=BLUE, alpha=0.75, label="posterior")
    height = np.histogram(prior, prior_bins)[0] / (prior.size * np.diff(prior_bins))
    ax.stairs(height, prior_bins, color=GREY, linestyle="--", linewidth=1.5, label="prior")
    ends = np.quantile(alpha, [0.025, 0.975])
    ax.plot(ends, [0, 0], color="black", linewidth=5, solid_capstyle="butt", clip_on=False)
    ax.plot(
        alpha.mean(),
        0,
        "o",
        color="white",
        markeredgecolor="black",
        clip_on=False,
        zorder=5,
        label="posterior mean and 95% interval",
    )
    for value, name in _LANDMARKS.items():
        ax.axvline(value, color=ORANGE, linewidth=1.2, linestyle=":")
        ax.annotate(
            name,
            (value, 1.01),
            xycoords=("data", "axes fraction"),
            ha="center",
            color=ORANGE,
        )
    ax.set(xlabel="shape α of the noise: heavy tails ← → light tails", ylabel="density")
    ax.margins(x=0.03)
    ax.set_ylim(bottom=0)
    add_legend(ax)
    return ax
