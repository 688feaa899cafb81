"""The rows at which a fit is evaluated: the observed ones, or a grid of some predictors' values.

In a grid the predictors that are not named keep typical values, as in Bambi and marginaleffects:
numbers their mean, categories and truth values what is most frequent.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robust_dist._errors import InputError
from robust_dist._words.names import listed, nearest
from robust_dist.effects.surface import Surface
from robust_dist.regression.design.columns import like_those_of_the_fit
from robust_dist.regression.design.levels import label

Conditional = str | Sequence[str] | Mapping[str, Any] | None

# values of the first number, and rows of a grid
_POINTS, _LARGEST = 50, 1_000_000
_FIVE_NUMBERS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


class Grid(NamedTuple):
    """Rows at which to evaluate a fit."""

    frame: pd.DataFrame
    """every predictor, as numbers and levels"""
    columns: tuple[str, ...]
    """those to tell, the ones that were named first"""
    stated: frozenset[str]
    """those whose values are meant, not typical ones"""
    labels: pd.Index | None = None
    """the names of observed rows"""


def make_grid(
    surface: Surface, conditional: Conditional, own: Mapping[str, Any] | None = None
) -> Grid:
    """Return the rows that ``conditional`` asks for.

    Parameters
    ----------
    surface
        The fit.
    conditional
        Names of predictors, or their values by name; None for the observed rows.
    own
        Further predictors and their values, which the observed rows get too.
    """
    own = own or {}
    given: dict[str, Any]
    if isinstance(conditional, Mapping):
        given = dict(conditional)
    elif isinstance(conditional, str):
        given = {conditional: None}
    else:
        given = dict.fromkeys(conditional or ())
    if conditional is not None and not given:
        raise InputError("conditional names no predictor; give None for the observed rows")
    for name in own:
        if name in given:
            raise InputError(f"'{name}' has its values twice; take it out of conditional")
    named = {**given, **own}
    values = {
        surface.check_column(name): values_of(surface, name, wanted, main=place == 0)
        for place, (name, wanted) in enumerate(named.items())
    }
    data = surface.data
    if conditional is None:
        others = [name for name in data.columns if name not in values]
        frame, places = _crossed(data, values)
        names = pd.Index(surface.dt["observed_data"].dataset["row"].values)
        return Grid(frame, (*values, *others), frozenset(data.columns), names.take(places))
    typical = {
        name: _typical(data[name], name in surface.stepped)
        for name in data.columns
        if name not in values
    }
    frame, _ = _crossed(pd.DataFrame(typical, index=[0]), values)
    frame.attrs = data.attrs
    common = surface.common_columns()
    others = [name for name in typical if name in common]
    return Grid(frame, (*values, *others), frozenset(values))


def _crossed(
    frame: pd.DataFrame, values: Mapping[str, pd.Series]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows of a frame with every combination of these values, the first slowest.

    And which row of the frame each of them is.
    """
    sizes = (*(len(series) for series in values.values()), len(frame))
    if math.prod(sizes) > _LARGEST:
        raise InputError(
            f"the grid would have {math.prod(sizes):,} rows, more than {_LARGEST:,}; give fewer "
            "values, as conditional={'name': [1, 2]}"
        )
    *places, rows = np.indices(sizes).reshape(len(sizes), -1)
    crossed = frame.take(rows).reset_index(drop=True)
    for (name, series), place in zip(values.items(), places, strict=True):
        crossed[name] = series.array.take(place)
    return crossed, rows


def values_of(surface: Surface, name: str, wanted: Any, main: bool = True) -> pd.Series:
    """Return the values that a predictor takes, as numbers or levels.

    Parameters
    ----------
    surface
        The fit.
    name
        The predictor.
    wanted
        Its values, or None: all levels of a category, both truth values, and of a number evenly
        spaced values if it is the main one, else minimum, quartiles and maximum.
    main
        Whether it is.
    """
    column = surface.data[surface.check_column(name)]
    if wanted is not None:
        return _given(surface.data, name, wanted)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Series(column.cat.categories.astype(column.dtype))
    if column.dtype == bool:
        return pd.Series([False, True])
    if main:
        return pd.Series(np.linspace(float(column.min()), float(column.max()), _POINTS))
    return pd.Series(np.unique(np.quantile(column.to_numpy(float), _FIVE_NUMBERS)))


def _given(data: pd.DataFrame, name: str, wanted: Any) -> pd.Series:
    """Return a user's values of a predictor as those of the fit."""
    single = np.ndim(wanted) == 0
    cells = [wanted] if single else list(wanted)
    if not cells:
        raise InputError(f"no values of '{name}' are given; name at least one")
    column = data[name]
    values = like_those_of_the_fit(pd.DataFrame({name: cells}), data, [name])[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = column.cat.categories
        for level in values.cat.categories:
            if level not in known:
                names = list(map(label, known))
                raise InputError(
                    f"no level '{level}' of '{name}'{nearest(str(level), names) or ';'} "
                    f"there are: {listed(names)}"
                )
        return pd.Series(pd.Categorical(values, dtype=column.dtype))
    if not np.isfinite(values).all():
        raise InputError(f"the values of '{name}' must be finite")
    if column.dtype == bool:
        if not values.isin([0, 1]).all():
            raise InputError(f"'{name}' is true or false; its values must be too")
        return values.astype(bool)
    return values


def _typical(column: pd.Series, stepped: bool) -> Any:
    """Return the value of a predictor that is not named."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        # of levels as frequent as each other the first
        place = int(np.bincount(column.cat.codes).argmax())
        return pd.Categorical.from_codes([place], dtype=column.dtype)
    if column.dtype == bool:
        return bool(column.mean() >= 0.5)
    middle = float(column.mean())
    return float(np.rint(middle)) if stepped else middle


def shown(frame: pd.DataFrame, since: Mapping[str, str]) -> pd.DataFrame:
    """Return columns as a reader knows them: days since the first as dates."""
    table = frame.copy()
    table.attrs = {}
    for name in table.columns.intersection([*since]):
        elapsed = pd.to_timedelta(table[name], unit="D")
        table[name] = pd.Timestamp(since[name]) + elapsed if since[name] else elapsed
    return table
