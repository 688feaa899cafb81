"""Estimates along a predictor, others told by colour and by panels."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from robust_dist._errors import InputError
from robust_dist.plots._marks import evenly
from robust_dist.plots._style import BLUE, COLORS, GREY, ORANGE, as_label, new_axes

# of Okabe and Ito, as those of the style; of more values, and of numbers, from the colour map
_PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = "osD^vP"
# more values than this cannot be told apart; more letters of a legend or of ticks are too wide
_COLOURS, _PANELS, _LETTERS = 12, 12, 80
# rows of less weight do not stretch the axes; of so many rows each is a dot
_WEIGHT, _MANY = 0.5, 2000


class Panels:
    """A picture of a table of estimates.

    Parameters
    ----------
    table
        With ``estimate``, ``lower``, ``upper`` and the columns of the variables.
    variables
        The predictor along which to draw, and if there are any that of the colours and that of the
        panels.
    ax
        Where to draw; a new figure if None.
    interval
        What the intervals are, in words.
    """

    def __init__(
        self, table: pd.DataFrame, variables: Sequence[str], ax: Axes | None, interval: str
    ) -> None:
        if not 1 <= len(variables) <= 3:
            has = ", ".join(variables) or "none"
            raise InputError(
                "a picture shows one to three variables, by conditional= or average_by=, and here "
                f"are {len(variables)}: {has}"
            )
        self.table, self.interval = table, interval
        self.main, self.group, self.panel = (*variables, None, None)[:3]
        self.groups = _values(table, self.group, _COLOURS)
        self.panels = _values(table, self.panel, _PANELS)
        self.line = _is_number(table[self.main])
        self.levels = [] if self.line else list(table[self.main].unique())
        self.colours = _colours(self.groups)
        self.axes = _axes(ax, len(self.panels))
        self.handles: list[Any] = []
        low, high = table["lower"].min(), table["upper"].max()
        self.low, self.high = float(low), float(high)
        x = self._places(table[self.main], 0)
        margin = 0.02 * (x.max() - x.min())
        self.ends = x.min() - margin, x.max() + margin

    def draw_estimates(self) -> None:
        """Draw the posterior means and their intervals."""
        for ax, panel in zip(self.axes, self.panels, strict=True):
            for place, group in enumerate(self.groups):
                part = self.table[
                    _is(self.table, self.panel, panel) & _is(self.table, self.group, group)
                ]
                x = self._places(part[self.main], place)
                order = np.argsort(x, kind="stable")
                x = x[order]
                mean, lower, upper = (
                    part[name].to_numpy()[order] for name in ("estimate", "lower", "upper")
                )
                colour = self.colours[place]
                if self.line:
                    ax.fill_between(x, lower, upper, color=colour, alpha=0.25, linewidth=0)
                    ax.plot(x, mean, color=colour, linewidth=1.8, zorder=5)
                else:
                    ax.vlines(x, lower, upper, color=colour, linewidth=2.5, zorder=5)
                    ax.plot(
                        x,
                        mean,
                        _MARKERS[place % len(_MARKERS)],
                        color=colour,
                        markeredgecolor="white",
                        markersize=8,
                        zorder=6,
                    )
        self._explain_estimates()

    def draw_rows(self, data: pd.DataFrame, response: np.ndarray, weights: np.ndarray) -> None:
        """Draw the rows of the data, if the predictor along which to draw is one of its columns."""
        if self.main not in data:
            return
        good = weights > _WEIGHT
        if good.any():
            self.low = min(self.low, float(response[good].min()))
            self.high = max(self.high, float(response[good].max()))
        groups, panels = (
            _nearest(data, name, values)
            for name, values in ((self.group, self.groups), (self.panel, self.panels))
        )
        margin = 0.05 * (self.high - self.low)
        inside = (self.low - margin <= response) & (response <= self.high + margin)
        beyond = 0
        for panel, ax in enumerate(self.axes):
            for place, colour in enumerate(self.colours):
                rows = np.flatnonzero((groups == place) & (panels == panel))
                x = self._places(data[self.main].iloc[rows], place)
                if self.line:
                    within = inside[rows] & (self.ends[0] <= x) & (x <= self.ends[1])
                    beyond += int((~within).sum())
                else:
                    known = np.isfinite(x)
                    within = inside[rows] & known
                    beyond += int((known & ~within).sum())
                    x = x + (0.25 / len(self.groups)) * (2 * evenly(rows.size) - 1)
                rows = rows[within]
                colour = colour if self.group else GREY
                _scatter(ax, x[within], response[rows], weights[rows], colour, len(data) > _MANY)
        self._explain_rows(beyond)

    def draw_reference(self, value: float) -> None:
        """Draw the line of no change."""
        self.low, self.high = min(self.low, value), max(self.high, value)
        for ax in self.axes:
            ax.axhline(value, color=GREY, linewidth=1, linestyle="--", zorder=1)

    def draw_rug(self, data: pd.DataFrame) -> None:
        """Draw where along the predictor there are rows, if it is a number of the data."""
        if self.main not in data or not self.line:
            return
        x = self._places(data[self.main], 0)
        for ax in self.axes:
            ax.plot(
                x,
                np.full(x.size, 0.01),
                "|",
                color=GREY,
                markersize=6,
                markeredgewidth=0.6,
                alpha=0.5,
                transform=ax.get_xaxis_transform(),
                rasterized=x.size > _MANY,
            )

    def finish(self, ylabel: str) -> Axes:
        """Name axes and colours, and return the first axes."""
        margin = 0.05 * (self.high - self.low) or 0.5
        for ax, panel in zip(self.axes, self.panels, strict=True):
            if np.isfinite([self.low, self.high]).all():
                ax.set_ylim(self.low - margin, self.high + margin)
            if self.line:
                if self.ends[0] < self.ends[1]:
                    ax.set_xlim(*self.ends)
            else:
                self._name_levels(ax)
            if self.panel:
                ax.set_title(f"{as_label(self.panel)} = {_text(panel)}", fontsize=9)
            ax.set(xlabel=as_label(self.main), ylabel=ylabel)
            if len(self.axes) > 1:
                ax.label_outer()
        self._add_legend()
        return self.axes[0]

    def _places(self, column: pd.Series, place: int) -> np.ndarray:
        """Return where values lie along the axis; NaN for levels that are not drawn."""
        if self.line:
            return _as_axis(column)
        positions = {level: float(number) for number, level in enumerate(self.levels)}
        width = 0.6 / len(self.groups)
        shift = (place - (len(self.groups) - 1) / 2) * width
        return np.array([positions.get(level, np.nan) for level in column]) + shift

    def _name_levels(self, ax: Axes) -> None:
        names = [_text(level) for level in self.levels]
        slanted = sum(map(len, names)) > _LETTERS / math.sqrt(len(self.axes))
        ax.set_xticks(
            range(len(names)),
            names,
            rotation=30 if slanted else 0,
            ha="right" if slanted else "center",
        )
        ax.set_xlim(-0.6, len(names) - 0.4)

    def _explain_estimates(self) -> None:
        if self.group:
            names = [_text(value) for value in self.groups]
        else:
            names = [f"posterior mean, {self.interval}"]
        for place, (name, colour) in enumerate(zip(names, self.colours, strict=True)):
            if self.line:
                band = Patch(color=colour, alpha=0.25, linewidth=0)
                handle: Any = (band, Line2D([], [], color=colour, linewidth=1.8))
            else:
                marker = _MARKERS[place % len(_MARKERS)]
                handle = Line2D([], [], color=colour, marker=marker, linewidth=2.5)
            self.handles.append((handle, name))

    def _explain_rows(self, beyond: int) -> None:
        words = "hollow: ignored" + (f"; {beyond} outside" if beyond else "")
        marker = Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markerfacecolor=(0.4, 0.4, 0.4, 0.6),
            markeredgecolor=GREY,
            markersize=5,
        )
        self.handles.append((marker, f"rows ({words})"))

    def _add_legend(self) -> None:
        """Add the legend above the axes, where it covers nothing."""
        handles, names = zip(*self.handles, strict=True)
        wide = len(self.axes) > 1
        options: dict[str, Any] = {
            "ncols": _columns(names, 1.3 * _LETTERS if wide else _LETTERS),
            "frameon": False,
            "fontsize": 9,
            "title": as_label(self.group) if self.group else None,
            "alignment": "left",
        }
        if wide:
            figure: Any = self.axes[0].get_figure()
            figure.legend(handles, names, loc="outside upper left", **options)
        else:
            options |= {"bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
            self.axes[0].legend(handles, names, loc="lower left", **options)


def _scatter(
    ax: Axes, x: np.ndarray, y: np.ndarray, weights: np.ndarray, colour: Any, many: bool
) -> None:
    """Draw rows in a colour, filled as far as they count; of many each is a dot."""
    face = np.tile(to_rgba(colour), (x.size, 1))
    face[:, 3] = 0.6 * weights
    ax.scatter(
        x,
        y,
        s=4 if many else 18,
        c=face,
        edgecolors="none" if many else colour,
        linewidths=0.6,
        zorder=3,
        # a vector file of a million points would be of no use
        rasterized=many,
    )


def _columns(names: Sequence[str], most: float) -> int:
    """Return in how many columns, filled one after the other, a legend is no wider than this."""
    for lines in range(1, len(names)):
        columns = [names[start : start + lines] for start in range(0, len(names), lines)]
        # a column is as wide as its longest name and a sample of what it names
        if sum(max(map(len, column)) + 8 for column in columns) <= most:
            return len(columns)
    return 1


def _values(table: pd.DataFrame, name: str | None, most: int) -> list[Any]:
    """Return the values of a variable, None alone if there is no such variable."""
    if name is None:
        return [None]
    values = list(table[name].unique())
    if len(values) > most:
        raise InputError(
            f"{len(values)} values of '{name}' are more than the {most} that a picture can tell "
            "apart; give fewer, as conditional={'name': [1, 2]}"
        )
    return values


def _is_number(column: pd.Series) -> bool:
    """Whether a variable is drawn as a line: numbers, dates and durations are."""
    dtype = column.dtype
    return isinstance(dtype, np.dtype) and dtype.kind in "fiumM"


def _as_axis(column: pd.Series) -> np.ndarray:
    """Return numbers, dates or days, which matplotlib can draw."""
    values = column.to_numpy()
    return values / np.timedelta64(1, "D") if values.dtype.kind == "m" else values


def _axes(ax: Axes | None, count: int) -> list[Axes]:
    """Return the axes of the panels."""
    if ax is not None and count > 1:
        raise InputError(f"{count} panels take a figure of their own; leave ax out")
    if count == 1:
        return [ax or new_axes()]
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1.0 + 2.9 * columns, 1.4 + 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for unused in grid[count:]:
        unused.remove()
    return list(grid[:count])


def _colours(groups: Sequence[Any]) -> list[Any]:
    """Return a colour for each value; those of numbers are in their order."""
    number = all(isinstance(value, float) for value in groups)
    if number or len(groups) > len(_PALETTE):
        shades = matplotlib.colormaps[COLORS](np.linspace(0.0, 0.9, len(groups)))
        return list(map(tuple, shades))
    return list(_PALETTE[: len(groups)])


def _is(table: pd.DataFrame, name: str | None, value: Any) -> np.ndarray:
    """Return which lines have a value of a variable."""
    return np.ones(len(table), bool) if name is None else (table[name] == value).to_numpy()


def _nearest(data: pd.DataFrame, name: str | None, values: Sequence[Any]) -> np.ndarray:
    """Return the number of the value that each row has or is nearest to, -1 if it has another."""
    if name is None:
        return np.zeros(len(data), int)
    if name not in data:
        return np.full(len(data), -1)
    column = data[name]
    if _is_number(column):
        return np.argmin([np.abs(column - value).to_numpy() for value in values], axis=0)
    return pd.Index(values).get_indexer(pd.Index(column))


def _text(value: Any) -> str:
    """Return a value as a legend or an axis writes it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return as_label(value.date() if isinstance(value, pd.Timestamp) else value)
