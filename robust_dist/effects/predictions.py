"""What a fit predicts, by the values of its predictors."""

import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist._arguments import seed_number
from robust_dist._errors import InputError
from robust_dist.effects.grid import Conditional, make_grid
from robust_dist.effects.result import AverageBy, Result, make_result
from robust_dist.effects.surface import MEAN, Surface
from robust_dist.regression.design.functions import Functions


def predictions(
    dt: DataTree,
    conditional: Conditional = None,
    average_by: AverageBy = None,
    *,
    target: str = MEAN,
    pps: bool = False,
    groups: str = "fitted",
    prob: float = 0.95,
    use_hdi: bool = False,
    functions: Functions | None = None,
    seed: int = 0,
) -> Result:
    """Return what the fit predicts where its predictors have these values.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``, as it came or read back from a file.
    conditional
        The predictors that vary, a name or a list of names, in a grid of all combinations: all
        levels of a category; 50 evenly spaced values of a number that is named first, and of
        others minimum, quartiles and maximum. A dictionary gives values of one's own. All other
        predictors are held at a typical value: numbers at their mean, categories at the most
        frequent level. None for the observed rows as they are.
    average_by
        The predictors for each combination of whose values to average over the rows; True for the
        average over all of them. Draws are averaged, so that each average has its own interval.
    target
        ``"mean"``, the mean of the response as ``predict`` has it, which for symmetric noise is its
        centre; or, of a fit with a formula for it, ``"sigma"`` or ``"alpha"``.
    pps
        Whether the intervals are those of new observations (the posterior predictive
        distribution), not of the mean; the estimate stays that of the mean.
    groups
        ``"fitted"``: group-specific effects are those of the groups that ``conditional`` names, or
        that the observed rows have, and zero for others; ``"population"``: zero everywhere.
    prob
        The probability of the intervals.
    use_hdi
        Whether they are those of highest density; else as much lies below as above.
    functions
        As for ``Regression``, if the formula calls any.
    seed
        Of new observations.

    Returns
    -------
    Result
        ``summary``, a table with ``estimate`` (the posterior mean), ``lower`` and ``upper``, in the
        response's units, and ``draws``.

    Raises
    ------
    InputError
        If there is no such predictor, level or target, or the grid is empty or too large.
    """
    seed = seed_number(seed)
    if pps and target != MEAN:
        raise InputError("pps=True predicts observations, so that the target must be 'mean'")
    if pps and average_by:
        raise InputError("pps=True predicts single observations; leave average_by out")
    surface = Surface(dt, target, groups, functions)
    grid = make_grid(surface, conditional)

    def means(frame: pd.DataFrame, start: int) -> np.ndarray:
        return surface.values(surface.point(frame, grid.stated))[None]

    def observations(frame: pd.DataFrame, start: int) -> np.ndarray:
        point = surface.point(frame, grid.stated)
        return surface.responses(point, (seed + start) % 2**32)[None]

    result = make_result(surface, grid, means, [{}], average_by, prob, use_hdi)
    if not pps:
        return result
    # the mean of new observations has no limit where tails are heavy
    new = make_result(surface, grid, observations, [{}], None, prob, use_hdi)
    summary = new.summary.assign(estimate=result.summary["estimate"])
    return Result(summary, new.draws)
