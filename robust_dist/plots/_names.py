"""Names beside points: none on another, on a point, or across the rim of the axes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.transforms import IdentityTransform

from robust_dist.plots._style import GREY, as_label

# letters of a name; the place of a row needs no more to be told from others
_LONGEST = 24
# points between a marker's centre and its name, nearest first
_DISTANCES = (6.0, 11.0, 18.0, 28.0, 40.0, 54.0, 70.0, 90.0, 115.0)
# from here on a line leads from the name to its point
_LED = 18.0
_DIRECTIONS = (
    *((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1)),
    *((1, 0.4), (-1, 0.4), (1, -0.4), (-1, -0.4), (0.4, 1), (-0.4, 1), (0.4, -1), (-0.4, -1)),
)
# points that a marker reaches about its centre, and that names keep clear beside and above them
_MARKER = 4.5
_GAP = np.array([3.0, 1.0])
# a line of more vertices than this is no obstacle worth the search
_VERTICES = 5000


def name_points(ax: Axes, points: Sequence[tuple[str, str, float, float]]) -> None:
    """Write names beside points, in the order of their importance.

    They are placed whenever the axes are drawn, when their size is known: as near as there is room,
    clear of points first and of lines second. A name for which there is no room is left out.

    Parameters
    ----------
    ax
        Where the points are.
    points
        Name, value ("" for none), x and y.
    """
    texts = [
        ax.annotate(
            as_label(name, _LONGEST) + (f": {value}" if value else ""),
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize=9,
            zorder=4,
            # within the axes, so that no room has to be made for it
            in_layout=False,
        )
        for name, value, x, y in points
    ]
    if texts:
        ax.add_artist(_Placement(ax, texts))


class _Placement(Artist):
    """Places texts before anything is drawn, and draws the lines that lead to the farther ones."""

    zorder = -1000.0

    def __init__(self, ax: Axes, texts: Sequence[Annotation]) -> None:
        super().__init__()
        self._ax, self._texts = ax, texts
        self.set_in_layout(False)

    def draw(self, renderer: RendererBase) -> None:
        unit = float(np.asarray(renderer.points_to_pixels(1.0)))
        frame = np.array(self._ax.bbox.extents)
        points, lines = _obstacles(self._ax)
        boxes = np.empty((0, 4))
        for text in self._texts:
            anchor: np.ndarray = np.asarray(self._ax.transData.transform(text.xy), float)
            # matplotlib gives a hidden text the size of a pixel
            text.set_visible(True)
            extent = text.get_window_extent(renderer)
            size: np.ndarray = np.array([extent.width, extent.height])
            place = _place(anchor, size, unit, frame, boxes, points, lines)
            text.set_visible(place is not None)
            if place is None:
                continue
            distance, corner = place
            text.set_position(tuple((corner - anchor) / unit))
            boxes = np.vstack([boxes, [*corner, *(corner + size)]])
            if distance >= _LED:
                end = np.clip(anchor, corner, corner + size)
                Line2D(
                    *np.transpose([anchor, end]),
                    transform=IdentityTransform(),
                    color=GREY,
                    linewidth=0.6,
                ).draw(renderer)


def _place(
    anchor: np.ndarray,
    size: np.ndarray,
    unit: float,
    frame: np.ndarray,
    boxes: np.ndarray,
    points: np.ndarray,
    lines: np.ndarray,
) -> tuple[float, np.ndarray] | None:
    """Return the first distance, and lower left corner, where a name has room; None if nowhere."""
    reach = size + (_DISTANCES[-1] + _MARKER) * unit
    points, lines = (
        places[_inside(places, anchor - reach, anchor + reach)] for places in (points, lines)
    )
    second = None
    for distance in _DISTANCES:
        for direction in np.array(_DIRECTIONS):
            step = distance * unit * (0.7 if direction.all() else 1.0)
            corner = anchor + direction * step + (direction - 1) / 2 * size
            low, high = corner - _GAP * unit, corner + size + _GAP * unit
            if (low < frame[:2]).any() or (high > frame[2:]).any():
                continue
            if ((low < boxes[:, 2:]) & (high > boxes[:, :2])).all(axis=1).any():
                continue
            marker = np.maximum(_MARKER - _GAP, 0) * unit
            if _inside(points, low - marker, high + marker).any():
                continue
            if not _inside(lines, low, high).any():
                return distance, corner
            second = second or (distance, corner)
    return second


def _inside(places: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return which places lie in a box."""
    return ((places > low) & (places < high)).all(axis=1)


def _obstacles(ax: Axes) -> tuple[np.ndarray, np.ndarray]:
    """Return where points and lines are, in pixels."""
    points, lines = [np.empty((0, 2))], [np.empty((0, 2))]
    for drawn in ax.collections:
        if isinstance(drawn, PathCollection):
            offsets = np.ma.getdata(drawn.get_offsets())
            points.append(drawn.get_offset_transform().transform(offsets))
        elif isinstance(drawn, LineCollection):
            for segment in drawn.get_segments():
                lines.append(drawn.get_transform().transform(_filled(np.asarray(segment))))
    for line in ax.lines:
        path = np.asarray(line.get_path().vertices, float)
        if line.get_marker() not in ("None", "", " ", None):
            points.append(line.get_transform().transform(path))
        if line.get_linestyle() != "None" and 1 < len(path) <= _VERTICES:
            lines.append(line.get_transform().transform(_filled(path)))
    return np.concatenate(points), np.concatenate(lines)


def _filled(vertices: np.ndarray) -> np.ndarray:
    """Return places on the line through a few vertices, so close that no name fits between."""
    count = max(2, 200 // max(1, len(vertices) - 1))
    share = np.linspace(0, 1, count)[:, None, None]
    return ((1 - share) * vertices[:-1] + share * vertices[1:]).reshape(-1, 2)
