"""Draw the picture of the README: density, influence and weight of GeneralRobust across alpha.

    python docs/draw_family.py [FILE]

Writes docs/_static/family.png unless told otherwise.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robust_dist import GeneralRobust, psi, weight

# alpha, and the name by which the member is known
MEMBERS = {
    0.0: "α = 0: Cauchy",
    0.5: "α = 0.5",
    1.0: "α = 1: hyperbolic",
    1.5: "α = 1.5",
    2.0: "α = 2: Normal",
}


def draw() -> Figure:
    """Return the figure: three panels that share one legend."""
    x = np.linspace(-8, 8, 801)
    colors = colormaps["viridis"](np.linspace(0, 0.88, len(MEMBERS)))
    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    density, influence, weights = figure.subplots(1, 3)
    for (alpha, name), color in zip(MEMBERS.items(), colors, strict=True):
        law = GeneralRobust(alpha, 0.0, 1.0)
        density.semilogy(x, np.exp(law.log_prob(x)), color=color, label=name)
        influence.plot(x, psi(x, alpha), color=color)
        weights.plot(x, weight(x, alpha), color=color)
    density.set_ylim(1e-5, 1)
    influence.set_ylim(-4, 4)
    _finish(density, "density (logarithmic)")
    _finish(influence, "influence ψ: pull of a point on the fit")
    _finish(weights, "weight ψ/x: how much a point counts")
    figure.legend(loc="outside lower center", ncols=len(MEMBERS), frameon=False)
    return figure


def _finish(ax: Axes, title: str) -> None:
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("residual / scale")
    ax.grid(color="0.9")
    ax.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "_static" / "family.png"
    draw().savefig(target, dpi=130)
