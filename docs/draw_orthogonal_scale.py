"""Draw the orthogonal scale, what it does to the slope in alpha, and the reference prior.

    python docs/draw_orthogonal_scale.py [FILE]

Writes docs/_static/orthogonal_scale.png unless told otherwise.
"""

import sys
from pathlib import Path

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robust_dist import GeneralRobust, ReferenceAlpha, orthogonal_scale

POINTS = 500


@jax.jit
@jax.vmap
def _slopes(alpha: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the slope in alpha of the log likelihood of Normal data, at fixed c and sigma."""
    x = np.random.default_rng(0).standard_normal(POINTS)

    def total(alpha: jax.Array, law: type[GeneralRobust]) -> jax.Array:
        return law(alpha, 0.0, 1.0).log_prob(x).sum()

    slope = jax.grad(total)
    return slope(alpha, GeneralRobust), slope(alpha, GeneralRobust.with_orthogonal_scale)


def draw() -> Figure:
    """Return the figure: three panels over alpha."""
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    ratio, slopes, prior = figure.subplots(1, 3)
    alpha = np.linspace(0, 5, 501)
    ratio.plot(alpha, orthogonal_scale(alpha, 1.0), color="C0")
    ratio.axhline(1, color="0.7", lw=0.8)
    ratio.set_ylim(0, 3.3)
    _finish(ratio, "orthogonal scale σ/c")

    gap = np.concatenate([np.linspace(1, 0.01, 200), np.logspace(-2, -7, 200)])
    near = np.concatenate([2 - gap, 2 + gap[::-1]])
    at_c, at_sigma = _slopes(near)
    slopes.plot(near, at_c, color="C3", label="c held fixed")
    slopes.plot(near, at_sigma, color="C0", label="σ held fixed")
    slopes.legend(frameon=False)
    _finish(slopes, f"slope of log likelihood, {POINTS} Normal points")

    fine = np.concatenate([alpha, 2 + np.array([-1, 1]) * 1e-6])
    fine.sort()
    prior.plot(fine, np.exp(ReferenceAlpha().log_prob(fine)), color="C0", label="ReferenceAlpha()")
    prior.plot([0, 2, 2, 5], [0.5, 0.5, 0, 0], color="0.6", ls="--", label="Uniform(0, 2)")
    prior.set_ylim(0, None)
    prior.legend(frameon=False)
    _finish(prior, "reference prior of α")
    return figure


def _finish(ax: Axes, title: str) -> None:
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("α")
    ax.axvline(2, color="0.85", lw=0.8, zorder=0)
    ax.grid(color="0.93")
    ax.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    here = Path(__file__).parent / "_static" / "orthogonal_scale.png"
    jax.config.update("jax_enable_x64", True)
    draw().savefig(sys.argv[1] if len(sys.argv) > 1 else here, dpi=130)
