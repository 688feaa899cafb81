"""What the pictures share: colours, new axes, labels, legends."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from robust_dist._words.text import printable, shortened

# from the palette of Okabe and Ito, told apart by people with any colour vision
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
# dark is ignored, light counted in full; its lightness alone carries the order
COLORS = "cividis"
# rows of which edges alone would be seen, and a vector file would be of no use
MANY = 5000
# letters of a name, of which more leave no room for the picture
_LONGEST = 60
# of a line beside an axis
_LINE = 48
_WEIGHT = "weight (0 ignored, 1 counted in full)"


def as_label(name: object, longest: int = _LONGEST) -> str:
    """Return a name as matplotlib writes it: printable, not too long, dollars no mathematics."""
    return shortened(printable(name), longest).replace("$", r"\$")


def axis_label(name: object, *words: str) -> str:
    """Return the label of an axis: a name, and what is said of it, on as many lines as needed."""
    lines = wrap(shortened(printable(name), _LONGEST), _LINE) or [""]
    for part in words:
        together = f"{lines[-1]}{part}"
        lines = [*lines[:-1], together] if len(together) <= _LINE else [*lines, part.lstrip()]
    return "\n".join(lines).replace("$", r"\$")


def new_axes() -> Axes:
    """Return the axes of a new figure."""
    return Figure(figsize=(7.0, 4.6), layout="constrained").add_subplot()


def add_legend(ax: Axes, notes: Sequence[str] = (), gap: float = 2.0) -> None:
    """Add a legend above the axes, where it covers nothing, in as many columns as there is room.

    Parameters
    ----------
    ax
        The axes.
    notes
        Sentences that are written above it.
    gap
        Room between axes and legend, in points.
    """
    handles, labels = ax.get_legend_handles_labels()
    if not handles and not notes:
        return
    raised = ScaledTranslation(0, gap / 72, ax.figure.dpi_scale_trans)
    for columns in range(max(1, len(handles)), 0, -1):
        legend = ax.legend(
            handles,
            labels,
            title="\n".join(notes) or None,
            title_fontsize=9,
            fontsize=9,
            alignment="left",
            loc="lower left",
            bbox_to_anchor=(0, 1),
            bbox_transform=ax.transAxes + raised,
            borderaxespad=0,
            borderpad=0.2,
            handlelength=1.6,
            columnspacing=1.4,
            ncols=columns,
            frameon=False,
        )
        if legend.get_window_extent().width <= ax.get_window_extent().width:
            return


def weight_colors(weights: np.ndarray) -> dict[str, Any]:
    """Return what colours markers by weight."""
    return {"c": weights, "cmap": COLORS, "norm": Normalize(0, 1)}


def draw_rows(ax: Axes, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> PathCollection:
    """Draw the rows coloured by weight, those with the lowest on top."""
    order = np.argsort(-weights, kind="stable")
    return ax.scatter(
        x[order],
        y[order],
        **weight_colors(weights[order]),
        s=36 if y.size <= 200 else 18,
        edgecolors="black",
        linewidths=0.6 if y.size <= MANY else 0,
        zorder=3,
        rasterized=y.size > MANY,
    )


def add_weight_scale(ax: Axes, points: PathCollection) -> None:
    """Add the scale that says what the colours of rows mean, unless the figure has it already."""
    figure = ax.figure
    if not any(other.get_label() == _WEIGHT for other in figure.axes):
        scale = figure.colorbar(points, ax=figure.axes, label=_WEIGHT)
        scale.ax.set_label(_WEIGHT)
