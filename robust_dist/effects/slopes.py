"""How steeply a prediction rises with a predictor."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist._errors import InputError
from robust_dist.effects.grid import Conditional, make_grid
from robust_dist.effects.result import AverageBy, Result, make_result
from robust_dist.effects.surface import MEAN, Surface
from robust_dist.regression.design.functions import Functions

SLOPES: Mapping[str, Callable[[Any, Any, Any], Any]] = {
    "dydx": lambda slope, x, y: slope,
    "eyex": lambda slope, x, y: slope * x / y,
    "eydx": lambda slope, x, y: slope / y,
    "dyex": lambda slope, x, y: slope * x,
}
# of the range of the predictor, as marginaleffects takes it
_STEP = 1e-4


def slopes(
    dt: DataTree,
    wrt: str | Mapping[str, Any],
    conditional: Conditional = None,
    average_by: AverageBy = None,
    *,
    slope: str = "dydx",
    target: str = MEAN,
    groups: str = "fitted",
    prob: float = 0.95,
    use_hdi: bool = False,
    functions: Functions | None = None,
) -> Result:
    """Return the derivative of the prediction with respect to (wrt) one predictor.

    It is the central difference over a step of 1e-4 of the predictor's range, in double precision,
    at the ends of the range that to the inside. The slope of a linear term is its coefficient,
    exactly.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``, as it came or read back from a file.
    wrt
        The predictor, a number; of a date the slope is per day. In a grid it is held at its mean
        unless ``conditional`` names it too; in observed rows it is that of each. A dictionary
        gives values of one's own, as ``{"x": [0, 10]}``.
    conditional, average_by
        As for ``predictions``: where to differentiate. None for each observed row.
    slope
        ``"dydx"``, units of the response for a unit of the predictor; ``"eyex"``, the elasticity,
        percent for a percent; ``"eydx"``, the relative change for a unit; ``"dyex"``, units for a
        relative change. Those of a relative change of the response are for positive ones.
    target, groups, prob, use_hdi, functions
        As for ``predictions``.

    Returns
    -------
    Result
        ``summary``, a table with the predictor as ``term``, the kind of slope as ``contrast``, the
        predictors' values, ``estimate`` (the posterior mean), ``lower`` and ``upper``; and
        ``draws``.

    Raises
    ------
    InputError
        If there is no such predictor, level or target, the predictor is no number, or the grid is
        empty or too large.
    """
    if slope not in SLOPES:
        raise InputError(f"no slope '{slope}'; there are: {', '.join(SLOPES)}")
    surface = Surface(dt, target, groups, functions)
    own = wrt if isinstance(wrt, Mapping) else {}
    if isinstance(wrt, Mapping) and len(wrt) != 1:
        raise InputError(f"wrt must hold the values of one predictor, not {len(wrt)}")
    name = surface.check_column(next(iter(own), wrt))
    column = surface.data[name]
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == bool:
        raise InputError(f"'{name}' is no number and has no slope; compare its levels instead")
    grid = make_grid(surface, conditional, own)
    least, most = float(column.min()), float(column.max())
    half = 0.5 * _STEP * ((most - least) or abs(most) or 1.0)

    def differentiated(frame: pd.DataFrame, start: int) -> np.ndarray:
        x = frame[name].to_numpy(float)
        inside = (least <= x) & (x <= most)
        # a logarithm or a spline may end where the data do
        low = np.where(inside, np.maximum(x - half, least), x - half)
        high = np.where(inside, np.minimum(x + half, most), x + half)
        start_point, end_point = (
            surface.point(frame.assign(**{name: end}), grid.stated) for end in (low, high)
        )
        steep = surface.slopes(start_point, end_point, high - low)
        if slope == "dydx":
            return steep[None]
        y = surface.values(surface.point(frame, grid.stated))
        return SLOPES[slope](steep, x, y)[None]

    kinds = [{"term": name, "contrast": slope}]
    return make_result(surface, grid, differentiated, kinds, average_by, prob, use_hdi)
