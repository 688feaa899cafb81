"""The family: how alpha changes density, loss, influence and weight."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robust_dist import GeneralRobust, psi, rho, weight
from robust_dist._errors import InputError

_NAMES = {
    -np.inf: "-∞: Welsch",
    -2.0: "-2: Geman-McClure",
    0.0: "0: Cauchy",
    1.0: "1: hyperbolic",
    2.0: "2: Normal",
}


def _density(x: np.ndarray, alpha: float) -> np.ndarray:
    # below 0 there is a loss but no law
    if alpha < 0:
        return np.full_like(x, np.nan)
    return np.exp(np.asarray(GeneralRobust(alpha, 0.0, 1.0).log_prob(x), float))


def _curve(function: Callable) -> Callable[[np.ndarray, float], np.ndarray]:
    return lambda x, alpha: np.asarray(function(x, alpha, 1.0), float)


_KINDS: dict[str, tuple[str, tuple[float, float], Callable[[np.ndarray, float], np.ndarray]]] = {
    "density": ("density (logarithmic)", (1e-5, 1.0), _density),
    "loss": ("loss ρ", (0.0, 8.0), _curve(rho)),
    "influence": ("influence ψ: pull of a point on the fit", (-4.0, 4.0), _curve(psi)),
    "weight": ("weight ψ/x: how much a point counts", (0.0, 1.05), _curve(weight)),
}


def plot_family(
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    kinds: Sequence[str] = ("density", "loss", "influence", "weight"),
    alphas: Sequence[float] = (0.0, 0.5, 1.0, 1.5, 2.0),
) -> np.ndarray:
    """Draw members of the family side by side, as figures 1 and 2 of the paper do.

    Parameters
    ----------
    axes
        Where to draw, one for each kind; a new figure if None.
    kinds
        Any of "density", "loss", "influence" and "weight".
    alphas
        The members, from -inf to inf. Those below 0 have a loss but no density.

    Returns
    -------
    ndarray
        The axes, one for each kind.

    Raises
    ------
    InputError
        If a kind is unknown, or the axes are not as many as the kinds.

    References
    ----------
    Jonathan T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, figures 1 and 2.
    """
    for kind in kinds:
        if kind not in _KINDS:
            raise InputError(f"no kind '{kind}' to draw; there are: {', '.join(_KINDS)}")
    new = axes is None
    if new:
        figure = Figure(figsize=(3.5 * len(kinds), 3.9), layout="constrained")
        axes = figure.subplots(1, len(kinds), squeeze=False)[0]
    panels = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if panels.size != len(kinds):
        raise InputError(f"{panels.size} axes for {len(kinds)} kinds; give one for each kind")
    x = np.linspace(-8, 8, 801)
    colors = colormaps["viridis"](np.linspace(0, 0.85, len(alphas)))
    for panel, kind in zip(panels, kinds, strict=True):
        title, limits, curve = _KINDS[kind]
        for alpha, color in zip(alphas, colors, strict=True):
            name = f"α = {_NAMES.get(float(alpha), f'{alpha:g}')}"
            panel.plot(x, curve(x, float(alpha)), color=color, label=name)
        panel.set(ylim=limits, xlabel="residual / scale")
        if kind == "density":
            panel.set_yscale("log")
        panel.set_title(title, fontsize=10)
        panel.grid(color="0.9")
        panel.spines[["top", "right"]].set_visible(False)
    if new:
        handles, labels = panels[0].get_legend_handles_labels()
        columns = min(len(alphas), max(2, int(1.7 * len(kinds))))
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    else:
        panels[0].legend(frameon=False, fontsize=8)
    return panels
