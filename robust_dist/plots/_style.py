"""What the pictures share: colours, new axes, names beside points."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from robust_dist._words.text import printable, shortened

# from the palette of Okabe and Ito, told apart by people with any colour vision
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
# dark is ignored, light counted in full; its lightness alone carries the order
COLORS = "cividis"
_MANY = 5000
# letters of a name, of which more leave no room for the picture
_LONGEST = 60


def as_label(name: object) -> str:
    """Return a name as matplotlib writes it: printable, not too long, dollars no mathematics."""
    return shortened(printable(name), _LONGEST).replace("$", r"\$")


def new_axes() -> Axes:
    """Return the axes of a new figure."""
    return Figure(figsize=(7.0, 4.6), layout="constrained").add_subplot()


def add_legend(ax: Axes) -> None:
    """Add a legend where there is room."""
    rows = sum(len(np.asarray(drawn.get_offsets())) for drawn in ax.collections)
    # to look for the emptiest corner takes long if there is much to look at
    ax.legend(edgecolor="none", framealpha=0.9, loc="best" if rows <= _MANY else "upper left")


def draw_rows(ax: Axes, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> PathCollection:
    """Draw the rows coloured by weight, those with the lowest on top."""
    order = np.argsort(-weights, kind="stable")
    return ax.scatter(
        x[order],
        y[order],
        c=weights[order],
        cmap=COLORS,
        norm=Normalize(0, 1),
        s=36 if y.size <= 200 else 18,
        edgecolors="black",
        # of so many that they cover each other, edges alone would be seen
        linewidths=0.6 if y.size <= _MANY else 0,
        zorder=3,
        # a vector file of a million points would be of no use
        rasterized=y.size > _MANY,
    )


def add_weight_scale(ax: Axes, points: PathCollection) -> None:
    """Add the scale that says what the colours of rows mean."""
    figure = ax.get_figure()
    assert figure is not None
    figure.colorbar(points, ax=ax, label="weight (0 ignored, 1 counted in full)")


def name_points(ax: Axes, points: Iterable[tuple[str, float, float, bool]]) -> None:
    """Write names beside points (name, x, y, whether above), inside the axes."""
    left, right = ax.get_xlim()
    for name, x, y, above in points:
        leftwards = x > left + 0.9 * (right - left)
        ax.annotate(
            as_label(name),
            (x, y),
            xytext=(-6 if leftwards else 6, 5 if above else -5),
            textcoords="offset points",
            ha="right" if leftwards else "left",
            va="bottom" if above else "top",
            fontsize=9,
            zorder=4,
        )
