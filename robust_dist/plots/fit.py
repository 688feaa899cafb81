"""The data against the fit."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from xarray import DataTree

from robust_dist._arguments import whole_number
from robust_dist._errors import InputError
from robust_dist._words.names import nearest
from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.plots._style import (
    BLUE,
    GREY,
    add_legend,
    add_weight_scale,
    as_label,
    draw_rows,
    name_points,
    new_axes,
)
from robust_dist.regression.design.functions import Functions
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.row_laws import constants, with_design

# more error bars than this are a smear
_BARS = 200


def plot_fit(
    dt: DataTree,
    ax: Axes | None = None,
    label: int = 5,
    predictor: str | None = None,
    *,
    functions: Functions | None = None,
) -> Axes:
    """Draw the data and the fit, each point coloured by its posterior-mean weight.

    With one predictor, the posterior-mean line, its 95% band, and a grey band of one robust sd to
    either side. With several, the response against its fitted value; or, for the one that
    is named, its line and the partial residuals: the response with everything else in the formula
    brought to its median by the posterior-mean coefficients (group-specific terms and offset to
    zero). With none, the response against the row. Where that differs from row to row without
    following the predictor, as by known measurement errors, each point has a bar of one robust sd.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    ax
        Where to draw; a new figure if None.
    label
        How many of the rows with the lowest weights to name at most.
    predictor
        The coefficient whose partial residuals to draw.
    functions
        As for ``Regression``, if the formula calls any and the fit does not hold its design.

    Raises
    ------
    InputError
        If there is no such predictor.
    """
    check_fit(dt)
    label = whole_number("label", label, 0)
    dt = with_design(dt, functions)
    names = [str(name) for name in dt["posterior"].dataset["coefficient"].values]
    slopes = [name for name in names if name != "Intercept"]
    if predictor is None and len(slopes) == 1:
        predictor = slopes[0]
    if predictor is not None and predictor not in slopes:
        raise InputError(
            f"no predictor '{predictor}'{nearest(str(predictor), slopes) or ';'} "
            f"there are: {', '.join(slopes) or 'none'}"
        )
    ax = ax or new_axes()
    rows = _read_rows(dt)
    if predictor is not None:
        x, y, fitted = _draw_partial(ax, dt, rows, names.index(predictor), alone=len(slopes) == 1)
    elif np.ptp(rows.fitted) == 0:
        x, y, fitted = _draw_level(ax, dt, rows)
    else:
        x, y, fitted = _draw_against_fitted(ax, dt, rows)
    add_weight_scale(ax, draw_rows(ax, x, y, rows.weights))
    ax.margins(0.08)  # room for the names
    order = np.argsort(rows.weights, kind="stable")
    lowest = [row for row in order[:label] if rows.weights[row] < 0.6]
    name_points(
        ax, [(str(rows.names[row]), x[row], y[row], y[row] > fitted[row]) for row in lowest]
    )
    if lowest:
        ax.set_title("numbers: rows with the lowest weights", fontsize=9, loc="left")
    add_legend(ax)
    return ax


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


def _read_rows(dt: DataTree) -> _Rows:
    y = dt["observed_data"].dataset["y"]
    columns = row_statistics(dt, "fitted", "spread", "weight")
    return _Rows(y["row"].values, y.values, *(column.values for column in columns.values()))


def _coefficients(dt: DataTree) -> np.ndarray:
    """Return the draws of the coefficients, shape (draws, p)."""
    draws = dt["posterior"].dataset["beta"].stack(sample=("chain", "draw"))
    return np.asarray(draws.transpose("sample", "coefficient").values)


Points = tuple[np.ndarray, np.ndarray, np.ndarray]


def _draw_partial(ax: Axes, dt: DataTree, rows: _Rows, column: int, alone: bool) -> Points:
    """Draw the line of one predictor, the rest of the formula at its median."""
    name = as_label(dt["posterior"].dataset["coefficient"].values[column])
    response = as_label(dt.attrs["response"])
    design = constants(dt)["x"].values
    x = design[:, column]
    middle = np.median(design, axis=0)
    grid = np.linspace(x.min(), x.max(), 101)
    beta = _coefficients(dt)

    def line(values: np.ndarray) -> np.ndarray:
        along = np.tile(middle, (values.size, 1))
        along[:, column] = values
        return along

    _draw_line(ax, grid, beta @ line(grid).T)
    fitted = line(x) @ beta.mean(axis=0)
    y = fitted + (rows.y - rows.fitted)
    if rows.alike:
        centre = line(grid) @ beta.mean(axis=0)
        _draw_band(ax, grid, centre, np.full(grid.size, rows.spread[0]))
    elif "measurement_error" in dt["constant_data"].dataset:
        _draw_bars(ax, x, y, rows.spread)
    else:
        order = np.argsort(x, kind="stable")
        _draw_band(ax, x[order], fitted[order], rows.spread[order])
    adjusted = not alone or not np.allclose(y, rows.y)
    ax.set(xlabel=name, ylabel=f"{response}, the rest at its median" if adjusted else response)
    return x, y, fitted


def _draw_level(ax: Axes, dt: DataTree, rows: _Rows) -> Points:
    """Draw the one level that all rows share, the rows in order."""
    x = np.arange(1.0, rows.y.size + 1)
    ends = x[[0, -1]]
    level = _coefficients(dt)[:, :1] @ constants(dt)["x"].values[:1, :1]
    _draw_line(ax, ends, np.tile(level, (1, 2)))
    if rows.alike:
        _draw_band(ax, ends, rows.fitted[[0, -1]], rows.spread[[0, -1]])
    else:
        _draw_bars(ax, x, rows.y, rows.spread)
    ax.set(xlabel="row", ylabel=as_label(dt.attrs["response"]))
    return x, rows.y, rows.fitted


def _draw_against_fitted(ax: Axes, dt: DataTree, rows: _Rows) -> Points:
    """Draw the diagonal on which a row lies that is fitted exactly."""
    response = as_label(dt.attrs["response"])
    ends = np.array([min(rows.fitted.min(), rows.y.min()), max(rows.fitted.max(), rows.y.max())])
    ax.plot(ends, ends, color=GREY, linewidth=1.5, linestyle="--", label="observed = fitted")
    if rows.alike:
        _draw_band(ax, ends, ends, rows.spread[[0, -1]])
    else:
        _draw_bars(ax, rows.fitted, rows.y, rows.spread)
    ax.set(xlabel=f"fitted {response} (posterior mean)", ylabel=f"observed {response}")
    return rows.fitted, rows.y, rows.fitted


def _draw_line(ax: Axes, grid: np.ndarray, lines: np.ndarray) -> None:
    """Draw the posterior mean of lines, shape (draws, grid), and their pointwise 95% interval."""
    low, high = np.quantile(lines, [0.025, 0.975], axis=0)
    ax.fill_between(grid, low, high, color=BLUE, alpha=0.3, linewidth=0, label="95% interval")
    ax.plot(grid, lines.mean(axis=0), color=BLUE, linewidth=1.8, label="posterior mean")


def _draw_band(ax: Axes, x: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> None:
    """Draw one robust sd to either side."""
    ax.fill_between(
        x,
        centre - spread,
        centre + spread,
        color=GREY,
        alpha=0.15,
        linewidth=0,
        zorder=0,
        label="± robust sd",
    )


def _draw_bars(ax: Axes, x: np.ndarray, y: np.ndarray, spread: np.ndarray) -> None:
    """Draw one robust sd to either side of each point."""
    if y.size > _BARS:
        return
    ax.vlines(
        x,
        y - spread,
        y + spread,
        color=GREY,
        linewidth=0.8,
        zorder=2,
        label="± robust sd",
    )
