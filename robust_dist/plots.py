"""Pictures of a fit: DataTree in, matplotlib axes out.

Each function draws on the axes it is given, or on those of a new figure, which it makes without
pyplot: no backend is chosen and no global state touched.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from xarray import DataTree

from robust_dist.diagnostics import observation_weights

__all__ = ["plot_alpha", "plot_fit"]

# from the palette of Okabe and Ito, told apart by people with any colour vision
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#666666"
_LANDMARKS = {0.0: "Cauchy", 1.0: "hyperbolic", 2.0: "Normal"}
# dark is ignored, light counted in full; its lightness alone carries the order
_COLORS = "cividis"


def plot_alpha(dt: DataTree, ax: Axes | None = None) -> Axes:
    """Draw the posterior of alpha against its prior, with the landmarks 0, 1 and 2.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    ax
        Where to draw; a new figure if None.
    """
    ax = ax or _new_axes()
    alpha, prior = (dt[group].dataset["alpha"].values.ravel() for group in ("posterior", "prior"))
    low = min(0.0, alpha.min())
    high = max(2.0, np.quantile(alpha, 0.999), np.quantile(prior, 0.99))
    posterior_bins = np.linspace(low, high, 41)
    # the prior is a smooth law of which only draws are kept: fewer bins, less noise
    prior_bins = np.linspace(low, high, 11)
    ax.hist(
        alpha, posterior_bins.tolist(), density=True, color=_BLUE, alpha=0.75, label="posterior"
    )
    height, _ = np.histogram(prior, prior_bins, density=True)
    ax.stairs(height, prior_bins, color=_GREY, linestyle="--", linewidth=1.5, label="prior")
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
        ax.axvline(value, color=_ORANGE, linewidth=1.2, linestyle=":")
        ax.annotate(
            name,
            (value, 1.01),
            xycoords=("data", "axes fraction"),
            ha="center",
            color=_ORANGE,
        )
    ax.set(xlabel="shape α of the noise: heavy tails ← → light tails", ylabel="density")
    ax.margins(x=0.03)
    ax.set_ylim(bottom=0)
    _add_legend(ax)
    return ax


def plot_fit(dt: DataTree, ax: Axes | None = None, label: int = 5) -> Axes:
    """Draw the data and the fit, each point coloured by its posterior-mean weight.

    With one predictor, the posterior-mean line and its 95% band; with several, the response against
    its fitted value; with none, against the row.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    ax
        Where to draw; a new figure if None.
    label
        How many of the rows with the lowest weights to name at most.
    """
    ax = ax or _new_axes()
    design = dt["constant_data"].dataset["x"]
    names = [str(name) for name in design["coefficient"].values]
    slopes = [name for name in names if name != "Intercept"]
    y = dt["observed_data"].dataset["y"].values
    fitted = design.values @ _coefficients(dt).mean(axis=0)
    response = dt.attrs["response"]
    if len(slopes) == 1:
        at = design.sel(coefficient=slopes[0]).values
        _draw_line(ax, dt, at, names.index(slopes[0]))
        ax.set(xlabel=slopes[0], ylabel=response)
    elif not slopes:
        at = np.arange(1, y.size + 1)
        _draw_line(ax, dt, at, None)
        ax.set(xlabel="row", ylabel=response)
    else:
        at = fitted
        ends = [min(at.min(), y.min()), max(at.max(), y.max())]
        ax.plot(ends, ends, color=_GREY, linewidth=1.5, linestyle="--", label="observed = fitted")
        ax.set(xlabel=f"fitted {response} (posterior mean)", ylabel=f"observed {response}")
    weights = observation_weights(dt)
    _draw_points(ax, at, y, weights.values)
    ax.margins(0.08)  # room for the names
    lowest = [row for row in np.argsort(weights.values)[:label] if weights[row] < 0.6]
    for row in lowest:
        _name_point(
            ax, str(weights["row"].values[row]), at[row], y[row], above=y[row] > fitted[row]
        )
    if lowest:
        ax.set_title("numbers: rows with the lowest weights", fontsize=9, loc="left")
    _add_legend(ax)
    return ax


def _new_axes() -> Axes:
    return Figure(figsize=(7.0, 4.6), layout="constrained").add_subplot()


def _add_legend(ax: Axes) -> None:
    ax.legend(edgecolor="none", framealpha=0.9)


def _coefficients(dt: DataTree) -> np.ndarray:
    """Return the draws of the coefficients, shape (draws, p)."""
    draws = dt["posterior"].dataset["beta"].stack(sample=("chain", "draw"))
    return np.asarray(draws.transpose("sample", "coefficient").values)


def _draw_line(ax: Axes, dt: DataTree, at: np.ndarray, column: int | None) -> None:
    """Draw the posterior mean of the line and its pointwise 95% interval."""
    grid = np.linspace(at.min(), at.max(), 101)
    x = np.ones((grid.size, dt["posterior"].sizes["coefficient"]))
    if column is not None:
        x[:, column] = grid
    lines = _coefficients(dt) @ x.T
    low, high = np.quantile(lines, [0.025, 0.975], axis=0)
    ax.fill_between(grid, low, high, color=_BLUE, alpha=0.25, linewidth=0, label="95% interval")
    ax.plot(grid, lines.mean(axis=0), color=_BLUE, linewidth=1.8, label="posterior mean")


def _draw_points(ax: Axes, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> None:
    """Draw the rows, those with the lowest weight on top."""
    order = np.argsort(-weights)
    points = ax.scatter(
        x[order],
        y[order],
        c=weights[order],
        cmap=_COLORS,
        norm=Normalize(0, 1),
        s=36 if y.size <= 200 else 18,
        edgecolors="black",
        linewidths=0.6,
        zorder=3,
    )
    figure = ax.get_figure()
    assert figure is not None
    figure.colorbar(points, ax=ax, label="weight (0 ignored, 1 counted in full)")


def _name_point(ax: Axes, name: str, x: float, y: float, above: bool) -> None:
    """Write a point's name beside it, away from the fit and inside the axes."""
    left, right = ax.get_xlim()
    leftwards = x > left + 0.9 * (right - left)
    ax.annotate(
        name,
        (x, y),
        xytext=(-6 if leftwards else 6, 5 if above else -5),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        va="bottom" if above else "top",
        fontsize=9,
        zorder=4,
    )
