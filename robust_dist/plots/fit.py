"""The data against the fit."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from xarray import DataTree

from robust_dist._arguments import whole_number
from robust_dist._errors import InputError
from robust_dist._words.names import nearest
from robust_dist.diagnostics._noise import robust_sd
from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.plots._column import Column, companions
from robust_dist.plots._limits import (
    Limits,
    predictor_limits,
    response_limits,
    trusted,
    with_margin,
)
from robust_dist.plots._marks import (
    beside_levels,
    draw_band,
    draw_bars,
    draw_levels,
    draw_line,
)
from robust_dist.plots._rim import draw_within, name_rows
from robust_dist.plots._style import (
    GREY,
    add_legend,
    add_weight_scale,
    as_label,
    axis_label,
    new_axes,
)
from robust_dist.regression.design.functions import Functions, check_functions
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.row_laws import constants, has_curves, stacked, with_design

_GRID = 101
# a row of more weight is no outlier to be named
_LOW = 0.6
# times its range that a spread may rise and fall along a predictor that it follows
_TURNS = 3.0
# of more levels only some are named, and of long names fewer stand upright
_TICKS, _UPRIGHT = 30, 60


def plot_fit(
    dt: DataTree,
    ax: Axes | None = None,
    label: int = 5,
    predictor: str | None = None,
    *,
    colorbar: bool = True,
    functions: Functions | None = None,
) -> Axes:
    """Draw the data and the fit, each point coloured by its posterior-mean weight.

    With one predictor, the posterior-mean line, its 95% band, and a grey band of one robust sd to
    either side. With several, the response against its fitted value; or, for the one that
    is named, its line and the partial residuals: the response with everything else in the formula
    brought to its median by the posterior-mean coefficients (group-specific terms and offset to
    zero). A column of the data can be named too, whatever terms it is in, such as ``I(x**2)``,
    ``bs(x)``, ``hsgp(x)`` or ``x:z``: then other columns are at their median, or their most
    frequent level. Of one that holds levels, each level's mean and 95% interval are drawn, its
    partial residuals beside. With no predictor, the response against the row. Where the robust sd
    differs from row to row without following the predictor, as by known measurement errors, each
    point has a bar of it.

    The axes reach as far as the fit and the rows that carry weight. Each row beyond is an arrow at
    the rim; if it is named, then with its value. A legend stands above the axes; for a heading use
    the figure's ``suptitle``.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    ax
        Where to draw; a new figure if None.
    label
        How many rows to name at most: those beyond the axes, then those with the lowest weights;
        fewer if there is no room.
    predictor
        The coefficient, or the column of the data, whose partial residuals to draw.
    colorbar
        Whether to add the scale of the colours; a figure has one at most.
    functions
        As for ``Regression``, if the formula calls any and the fit does not hold its design.

    Raises
    ------
    InputError
        If there is no such predictor.
    """
    check_fit(dt)
    label = whole_number("label", label, 0)
    functions = check_functions(functions)
    dt = with_design(dt, functions)
    names = [str(name) for name in dt["posterior"].dataset["coefficient"].values]
    slopes = [name for name in names if name != "Intercept"]
    columns = companions(dt, functions)
    if predictor is None:
        # one column may have several coefficients, as a category has
        single = len(slopes) == 1 and not has_curves(dt)
        alone = list(columns) if len(columns) == 1 else slopes if single else [None]
        predictor = alone[0]
    elif predictor not in (*slopes, *columns):
        known = list(dict.fromkeys([*slopes, *columns]))
        raise InputError(
            f"no predictor '{predictor}'{nearest(str(predictor), known) or ';'} "
            f"there are: {', '.join(known) or 'none'}"
        )
    ax = ax or new_axes()
    rows = _read_rows(dt)
    notes: list[str] = []
    if predictor is None:
        draw = _draw_level if np.ptp(rows.fitted) == 0 else _draw_against_fitted
        drawn = draw(ax, dt, rows)
    elif predictor in slopes and columns.get(predictor, (1, ()))[0] == 1:
        drawn = _draw_coefficient(ax, dt, rows, names.index(predictor))
    else:
        column = Column(dt, predictor, functions)
        draw_column = _draw_numbers if column.levels is None else _draw_categories
        drawn = draw_column(ax, column, rows)
        others = column.held(columns[predictor][1])
        notes += [f"at {as_label(others, 80)}"] if others else []
    low, high = drawn.x_limits
    within = (drawn.x >= low) & (drawn.x <= high)
    counted = trusted(rows.weights, rows.spread) & within
    y_limits = response_limits(drawn.y, counted, float(np.median(rows.spread)), drawn.fit)
    placed = draw_within(ax, drawn.x, drawn.y, rows.weights, drawn.x_limits, y_limits)
    if colorbar:
        add_weight_scale(ax, placed.points)
    order = np.argsort(rows.weights, kind="stable")
    low_weight = order[~placed.beyond[order] & (rows.weights[order] < _LOW)]
    named = np.r_[placed.farthest(order), low_weight][:label]
    name_rows(ax, rows.names, named, placed)
    if not placed.beyond[named].all():
        notes.append("named: rows with the lowest weights")
    add_legend(ax, notes)
    return ax


def drawn_predictors(dt: DataTree, functions: Functions | None = None) -> list[str]:
    """Return the predictors of which there are pictures: columns, or else coefficients."""
    columns = list(companions(dt, check_functions(functions)))
    names = map(str, dt["posterior"].dataset["coefficient"].values)
    return columns or [name for name in names if name != "Intercept"]


class _Rows(NamedTuple):
    """What is drawn of each row: name, response, posterior means of loc, robust sd and weight."""

    names: np.ndarray
    y: np.ndarray
    fitted: np.ndarray
    spread: np.ndarray
    weights: np.ndarray

    @property
    def alike(self) -> bool:
        """Whether all rows have the same robust sd."""
        return bool(np.ptp(self.spread) <= 1e-6 * self.spread.max())


class _Drawn(NamedTuple):
    """Where rows lie in a picture, and what its axes have to show."""

    x: np.ndarray
    y: np.ndarray
    x_limits: Limits
    fit: np.ndarray


def _read_rows(dt: DataTree) -> _Rows:
    y = dt["observed_data"].dataset["y"]
    columns = row_statistics(dt, "fitted", "spread", "weight")
    return _Rows(y["row"].values, y.values, *(column.values for column in columns.values()))


def _coefficients(dt: DataTree) -> np.ndarray:
    """Return the draws of the coefficients, shape (draws, p)."""
    beta = stacked(dt, "beta")
    assert beta is not None
    return beta


def _draw_coefficient(ax: Axes, dt: DataTree, rows: _Rows, column: int) -> _Drawn:
    """Draw the line of one coefficient, the rest of the formula at its median."""
    design = constants(dt)["x"].values
    x = design[:, column]
    limits = predictor_limits(x)
    middle = np.median(design, axis=0)
    grid = np.linspace(*limits, _GRID)
    beta = _coefficients(dt)

    def line(values: np.ndarray) -> np.ndarray:
        along = np.tile(middle, (values.size, 1))
        along[:, column] = values
        return along

    mean = beta.mean(axis=0)
    seen = draw_line(ax, grid, beta @ line(grid).T)
    fitted = line(x) @ mean
    y = fitted + (rows.y - rows.fitted)
    if rows.alike:
        spread = np.full(grid.size, rows.spread[0])
        seen = np.append(seen, draw_band(ax, grid, line(grid) @ mean, spread))
    else:
        order = np.argsort(x, kind="stable")
        order = order[(x[order] >= limits[0]) & (x[order] <= limits[1])]
        if _follows(dt, rows.spread[order]):
            band = draw_band(ax, x[order], fitted[order], rows.spread[order])
        else:
            band = _draw_bars(ax, x, y, rows)
        seen = np.append(seen, band)
    name = dt["posterior"].dataset["coefficient"].values[column]
    _label(ax, dt, rows, y, str(name))
    return _Drawn(x, y, limits, seen)


def _draw_numbers(ax: Axes, column: Column, rows: _Rows) -> _Drawn:
    """Draw the line along a column of numbers."""
    x = column.values
    limits = predictor_limits(x)
    grid = column.grid(limits)
    along = column.along(grid)
    seen = draw_line(ax, grid, along.draws)
    y = column.mean(x) + (rows.y - rows.fitted)
    if "measurement_error" in column.dt["constant_data"].dataset:
        band = _draw_bars(ax, x, y, rows)
    else:
        spread = np.broadcast_to(robust_sd(column.dt, along.parameters), along.draws.shape)
        band = draw_band(ax, grid, along.draws.mean(axis=0), spread.mean(axis=0))
    _label(ax, column.dt, rows, y, column.name)
    return _Drawn(x, y, limits, np.append(seen, band))


def _draw_categories(ax: Axes, column: Column, rows: _Rows) -> _Drawn:
    """Draw the means of the levels of a category, the rows beside them."""
    assert column.levels is not None
    codes = column.values
    along = column.along(np.arange(len(column.levels)))
    seen = draw_levels(ax, along.draws)
    y = along.draws.mean(axis=0)[codes.astype(int)] + (rows.y - rows.fitted)
    _label(ax, column.dt, rows, y, column.name)
    every = -(-len(column.levels) // _TICKS)
    names = [as_label(level, 20) for level in column.levels[::every]]
    upright = len(names) * max(map(len, names)) <= _UPRIGHT
    slanted: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    places = np.arange(0, len(column.levels), every)
    ax.set_xticks(places, names, **({} if upright else slanted))
    return _Drawn(beside_levels(codes), y, (-0.4, len(column.levels) - 0.6), seen)


def _draw_level(ax: Axes, dt: DataTree, rows: _Rows) -> _Drawn:
    """Draw the one level that all rows share, the rows in order."""
    x = np.arange(1.0, rows.y.size + 1)
    ends = x[[0, -1]]
    level = _coefficients(dt)[:, :1] @ constants(dt)["x"].values[:1, :1]
    seen = draw_line(ax, ends, np.tile(level, (1, 2)))
    if rows.alike:
        band = draw_band(ax, ends, rows.fitted[[0, -1]], rows.spread[[0, -1]])
    else:
        band = _draw_bars(ax, x, rows.y, rows)
    ax.set(xlabel="row", ylabel=axis_label(dt.attrs["response"]))
    return _Drawn(x, rows.y, (1.0, float(rows.y.size)), np.append(seen, band))


def _draw_against_fitted(ax: Axes, dt: DataTree, rows: _Rows) -> _Drawn:
    """Draw the diagonal on which a row lies that is fitted exactly."""
    limits = predictor_limits(rows.fitted)
    ends = np.array(with_margin(limits))
    ax.plot(ends, ends, color=GREY, linewidth=1.5, linestyle="--", label="observed = fitted")
    if rows.alike:
        draw_band(ax, ends, ends, rows.spread[[0, -1]])
        seen = np.array([limits[0] - rows.spread[0], limits[1] + rows.spread[0]])
    else:
        seen = np.append(limits, _draw_bars(ax, rows.fitted, rows.y, rows))
    response = dt.attrs["response"]
    ax.set(
        xlabel=axis_label(f"fitted {response}", " (posterior mean)"),
        ylabel=axis_label(f"observed {response}"),
    )
    return _Drawn(rows.fitted, rows.y, limits, seen)


def _draw_bars(ax: Axes, x: np.ndarray, y: np.ndarray, rows: _Rows) -> np.ndarray:
    """Draw a bar for each row, and return what is to be seen of them: those of rows that count."""
    draw_bars(ax, x, y, rows.spread)
    counted = trusted(rows.weights, rows.spread)
    y, spread = y[counted], rows.spread[counted]
    return np.concatenate([y - spread, y + spread])


def _follows(dt: DataTree, spread: np.ndarray) -> bool:
    """Whether robust sds, in the order of a predictor, are a line along it and no cloud."""
    if "measurement_error" in dt["constant_data"].dataset:
        return False
    return bool(np.abs(np.diff(spread)).sum() <= _TURNS * np.ptp(spread))


def _label(ax: Axes, dt: DataTree, rows: _Rows, y: np.ndarray, name: str) -> None:
    """Name the axes, and say where the response is no longer that of the data."""
    adjusted = not np.allclose(y, rows.y)
    words = [", the rest at its median"] if adjusted else []
    ax.set(xlabel=axis_label(name), ylabel=axis_label(dt.attrs["response"], *words))
