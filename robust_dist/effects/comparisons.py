"""How much a prediction changes between values of a predictor."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist._errors import InputError
from robust_dist.effects.grid import Conditional, make_grid, shown, values_of
from robust_dist.effects.result import AverageBy, Result, make_result
from robust_dist.effects.surface import MEAN, Surface
from robust_dist.regression.design.functions import Functions

COMPARISONS: Mapping[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "diff": ("{high} - {low}", lambda low, high: high - low),
    "ratio": ("{high} / {low}", lambda low, high: high / low),
    "lift": ("({high} - {low}) / {low}", lambda low, high: (high - low) / low),
}
"""how the table writes it, and what is computed"""


def comparisons(
    dt: DataTree,
    contrast: str | Mapping[str, Any],
    conditional: Conditional = None,
    average_by: AverageBy = None,
    *,
    comparison: str = "diff",
    target: str = MEAN,
    groups: str = "fitted",
    prob: float = 0.95,
    use_hdi: bool = False,
    functions: Functions | None = None,
) -> Result:
    """Return how much the prediction changes between values of one predictor, all else equal.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``, as it came or read back from a file.
    contrast
        The predictor: each pair of levels of a category, or half a unit below and above the mean of
        a number. A dictionary gives values of one's own, as ``{"x": [0, 10]}``; of each pair the
        earlier is the reference.
    conditional, average_by
        As for ``predictions``: where to compare. None compares in each observed row.
    comparison
        ``"diff"``, the difference; ``"ratio"``; or ``"lift"``, the difference over the reference.
        The last two are for responses that are positive throughout. An average is that of
        the rows' comparisons.
    target, groups, prob, use_hdi, functions
        As for ``predictions``; the contrasted predictor counts as named.

    Returns
    -------
    Result
        ``summary``, a table with the predictor as ``term``, the pair as ``contrast``, the values of
        the others, ``estimate`` (the posterior mean), ``lower`` and ``upper``; and ``draws``.

    Raises
    ------
    InputError
        If there is no such predictor, level or target, fewer than two values are to be compared, or
        the grid is empty or too large.
    """
    if comparison not in COMPARISONS:
        raise InputError(f"no comparison '{comparison}'; there are: {', '.join(COMPARISONS)}")
    text, compare = COMPARISONS[comparison]
    surface = Surface(dt, target, groups, functions)
    name, values = _contrasted(surface, contrast)
    if conditional is not None and name in _names(conditional):
        raise InputError(f"'{name}' is contrasted; take it out of conditional")
    grid = make_grid(surface, conditional)
    grid = grid._replace(
        columns=tuple(column for column in grid.columns if column != name),
        stated=grid.stated | {name},
    )
    pairs = list(combinations(range(len(values)), 2))
    names = _written(shown(values.to_frame(name), surface.data.attrs["since"])[name])
    kinds = [
        {"term": name, "contrast": text.format(low=names[low], high=names[high])}
        for low, high in pairs
    ]

    def compared(frame: pd.DataFrame, start: int) -> np.ndarray:
        level = [
            surface.values(surface.point(_with(frame, name, values, place), grid.stated))
            for place in range(len(values))
        ]
        return np.stack([compare(level[low], level[high]) for low, high in pairs])

    return make_result(surface, grid, compared, kinds, average_by, prob, use_hdi)


def _contrasted(surface: Surface, contrast: str | Mapping[str, Any]) -> tuple[str, pd.Series]:
    """Return the predictor and the values to compare."""
    if isinstance(contrast, Mapping):
        if len(contrast) != 1:
            raise InputError(f"contrast must hold the values of one predictor, not {len(contrast)}")
        ((name, wanted),) = contrast.items()
        values = values_of(surface, name, wanted)
    else:
        name = surface.check_column(contrast)
        column = surface.data[name]
        if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == bool:
            values = values_of(surface, name, None)
        else:
            values = column.mean() + pd.Series([-0.5, 0.5])
    values = values.drop_duplicates(ignore_index=True)
    if len(values) < 2:
        raise InputError(f"a comparison takes two values of '{name}' or more, not {len(values)}")
    return name, values


def _names(conditional: str | Sequence[str] | Mapping[str, Any]) -> list[str]:
    return [conditional] if isinstance(conditional, str) else [*conditional]


def _with(frame: pd.DataFrame, name: str, values: pd.Series, place: int) -> pd.DataFrame:
    """Return rows in which a predictor has one of its values."""
    return frame.assign(**{name: values.take([place] * len(frame)).array})


def _written(values: pd.Series) -> list[str]:
    """Return values in a few digits, unless more are needed to tell them apart."""
    short = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return short if len({*short}) == len(short) else list(map(str, values))
