"""Pictures of the study of robustness: kinds of noise, and shares of bad leverage rows."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _noisy_lines import NOISES, SHARES, Cell
from matplotlib.axes import Axes

# ours are filled, others' hollow
STYLES = {
    "general_robust": ("C0", "o", True),
    "downweighted": ("C2", "v", True),
    "contaminated": ("C1", "s", True),
    "student_t": ("C4", "D", True),
    "normal": ("C7", "P", True),
    "least squares": ("C7", "x", False),
    "Huber": ("C8", "^", False),
    "bisquare": ("C5", "<", False),
    "MM": ("C3", "*", False),
}


def draw(whole: pd.DataFrame, folder: Path) -> None:
    """Draw ``robustness_noise.png`` and ``robustness_leverage.png``, of cells of 50 rows.

    Parameters
    ----------
    whole
        What ``robustness.summary`` returns.
    folder
        Where to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in (("noise", _noise), ("leverage", _leverage)):
        figure = picture(whole)
        figure.savefig(folder / f"robustness_{name}.png", dpi=130)
        plt.close(figure)


def _noise(whole: pd.DataFrame) -> plt.Figure:
    """Errors and coverage under each kind of noise."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 6), sharey=True, layout="constrained")
    cells = [str(Cell(noise, 0, 50)) for noise in NOISES]
    best = whole["error", "mean"].unstack("fit").reindex(cells).min(axis=1).to_numpy()
    # without rows far out there is nothing to downweight
    fits = [fit for fit in STYLES if fit not in ("normal", "downweighted")]
    for place, fit in enumerate(fits):
        one = _of(whole, fit, cells)
        at = np.arange(len(cells)) + 0.7 * (place / (len(fits) - 1) - 0.5)
        _points(axes[0], fit, one["error", "mean"] / best, at, one["error", "error"] / best)
        for axis, what in zip(axes[1:], ("covered", "predicted"), strict=True):
            _points(axis, fit, 100 * one[what, "mean"], at, 100 * one[what, "error"])
    axes[0].set(xscale="log", xlabel="MSE of the slopes, over that of the best")
    axes[0].set_yticks(range(len(cells)), NOISES)
    axes[0].set_ylim(len(cells) - 0.5, -0.5)
    for axis, of in zip(axes[1:], ("slopes", "new rows"), strict=True):
        axis.axvline(95, color="0.6", lw=1, zorder=0)
        axis.set(xlabel=f"95 % intervals of the {of} cover, %")
    for axis in axes:
        for line in np.arange(0.5, len(cells) - 1):
            axis.axhline(line, color="0.9", lw=0.8, zorder=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _leverage(whole: pd.DataFrame) -> plt.Figure:
    """Errors, failures and what is reported, by the share of bad leverage rows."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.5), layout="constrained")
    cells = [str(Cell("Normal", share, 50)) for share in SHARES]
    titles = {
        "error": "MSE of the slopes",
        "failed": "slope of x1 more than 1 off, %",
        "right": "slope of x1 within 3 sd, or that of\na reported explanation, %",
    }
    fits = [fit for fit in STYLES if fit != "normal"]
    for axis, (what, title) in zip(axes, titles.items(), strict=True):
        unit = 1 if what == "error" else 100
        for place, fit in enumerate(fits):
            one = _of(whole, fit, cells)
            x = np.array(SHARES) + 2.0 * (place / (len(fits) - 1) - 0.5)
            color, marker, full = STYLES[fit]
            y = unit * one[what, "mean"]
            axis.errorbar(
                x,
                y,
                unit * one[what, "error"],
                color=color,
                marker=marker,
                mfc=color if full else "white",
                ls="-" if full else ":",
                lw=1,
                label=fit,
            )
        axis.set(xlabel="bad leverage rows, %", title=title, xticks=SHARES)
    axes[0].set_yscale("log")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _of(whole: pd.DataFrame, fit: str, cells: list[str]) -> pd.DataFrame:
    """Return the figures of a fit, nan where it was not run."""
    return whole.reindex([(cell, fit) for cell in cells])


def _points(axis: Axes, fit: str, x: pd.Series, at: np.ndarray, error: pd.Series) -> None:
    color, marker, full = STYLES[fit]
    style = {"mfc": color if full else "white", "ms": 5, "lw": 1}
    axis.errorbar(
        x.to_numpy(), at, xerr=error.to_numpy(), color=color, fmt=marker, label=fit, **style
    )
