"""The fit along one column of the data, whatever terms it is in, the other columns typical."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist._errors import InputError
from robust_dist.effects.surface import MEAN, Surface
from robust_dist.regression import training_data
from robust_dist.regression.design.functions import Functions
from robust_dist.regression.design.grammar import read_formula
from robust_dist.regression.row_laws import Rows, evaluate_rows

_GRID = 101


class Along(NamedTuple):
    """What the posterior says along one column."""

    draws: np.ndarray
    """of the location, shape (draws, values)"""
    parameters: Mapping[str, np.ndarray]
    """of the law at each of the values"""


class Column:
    """A column of the data of a fit.

    Unlike the tables of ``effects``, other numbers are held at their median, which no outlier
    moves, and there is neither an offset nor an effect of a group.
    """

    def __init__(self, dt: DataTree, name: str, functions: Functions) -> None:
        self.dt, self.name = dt, name
        self._surface = Surface(dt, MEAN, "population", functions)
        self._data = self._surface.data
        dtype = self._data[name].dtype
        self.levels = dtype.categories if isinstance(dtype, pd.CategoricalDtype) else None
        """the levels of a category"""

    @property
    def values(self) -> np.ndarray:
        """The number of each row, or that of its level."""
        column = self._data[self.name]
        return np.asarray(column if self.levels is None else column.cat.codes, float)

    def along(self, values: np.ndarray) -> Along:
        """Return the posterior at these values."""
        parameters = evaluate_rows(self.dt, self._rows(values))
        return Along(parameters["loc"], parameters)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the posterior mean of the location at these values."""
        rows = self._rows(values)
        mean = self.dt["posterior"].dataset.mean(("chain", "draw"))
        curves = [effect.x @ mean[effect.name].values for effect in rows.effects]
        return np.asarray(rows.x @ mean["beta"].values + sum(curves))

    def grid(self, limits: tuple[float, float]) -> np.ndarray:
        """Return values to draw a line through: those that there can be."""
        if self.name in self._surface.stepped:
            return np.arange(self.values.min(), self.values.max() + 1)
        return np.linspace(*limits, _GRID)

    def held(self, names: Sequence[str]) -> str:
        """Return what other columns are held at, in words."""
        return ", ".join(f"{name} = {_words(self._data[name])}" for name in names)

    def _rows(self, values: np.ndarray) -> Rows:
        data = self._data
        frame = pd.DataFrame({name: _repeated(data[name], values.size) for name in data.columns})
        for name in self._surface.stepped & {*frame.columns}:
            if not isinstance(frame[name].dtype, pd.CategoricalDtype):
                frame[name] = frame[name].round()  # the median may lie between two steps
        frame[self.name] = values if self.levels is None else _levels(data[self.name], values)
        frame.attrs = data.attrs
        try:
            rows = self._surface.point(frame, {self.name}).rows
        except InputError as error:
            raise InputError(f"no line along '{self.name}' can be drawn: {error}") from None
        return rows._replace(offset=None, measurement_error=None, effects=rows.curves)


def companions(dt: DataTree, functions: Functions) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return the columns of the formula: in how many terms each is, and which others are in these.

    There are none if the fit does not hold its data, or calls functions that are not given.
    """
    if training_data.GROUP not in dt.children:
        return {}
    try:
        formulas, frame = training_data.load(dt)
        formula = read_formula(formulas[""], functions)
    except InputError:
        return {}
    together = [
        sorted(set(map(str, term.var_names)) & {*frame.columns})
        for term in formula.model.common_terms
    ]
    together += [[curve.column] for curve in formula.curves]
    columns = dict.fromkeys(name for names in together for name in names)
    return {
        column: (
            sum(column in names for names in together),
            tuple(
                dict.fromkeys(
                    name
                    for names in together
                    if column in names
                    for name in names
                    if name != column
                )
            ),
        )
        for column in columns
    }


def _usual(column: pd.Series) -> float:
    """Return the median of numbers, or the number of the most frequent level."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return float(np.bincount(column.cat.codes).argmax())
    middle = float(np.median(column.to_numpy(float)))
    return round(middle) if column.dtype == bool else middle


def _repeated(column: pd.Series, count: int) -> Any:
    usual = np.full(count, _usual(column))
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _levels(column, usual)
    return usual


def _levels(column: pd.Series, codes: np.ndarray) -> pd.Categorical:
    kind: Any = column.dtype
    return pd.Categorical.from_codes(codes.astype(int), dtype=kind)


def _words(column: pd.Series) -> str:
    usual = _usual(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return str(column.cat.categories[int(usual)])
    return f"{usual:.3g}"
