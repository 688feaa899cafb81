"""A table of estimates, and the draws that it summarises."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import arviz_stats
import numpy as np
import pandas as pd
from xarray import DataArray, Dataset

from robust_dist._arguments import probability
from robust_dist._errors import InputError
from robust_dist.effects.grid import Grid, shown
from robust_dist.effects.surface import Surface
from robust_dist.regression.row_laws import samples

AverageBy = str | Sequence[str] | bool | None
Estimand = Callable[[pd.DataFrame, int], np.ndarray]
"""from some rows, and the number of the first, to draws of shape (kinds, draws, rows)"""

_COLUMNS = ("estimate", "lower", "upper")
# numbers that are computed, and kept, at a time
_BLOCK, _LARGEST = 4_000_000, 100_000_000


class Result(NamedTuple):
    """Estimates of a fit, as Bambi returns them."""

    summary: pd.DataFrame
    """one line for each, with the predictors' values, the posterior mean ``estimate``, and the ends
    ``lower`` and ``upper`` of its interval"""
    draws: DataArray
    """of dimensions chain, draw and row, which counts the lines"""


def make_result(
    surface: Surface,
    grid: Grid,
    estimand: Estimand,
    kinds: Sequence[dict[str, str]],
    average_by: AverageBy,
    prob: float,
    use_hdi: bool,
) -> Result:
    """Return what an estimand comes to in the rows of a grid, or on average over some of them.

    The draws are averaged, so that an average has an interval of its own.

    Parameters
    ----------
    surface
        The fit.
    grid
        The rows.
    estimand
        What to compute of them.
    kinds
        What the table says of each kind of estimate, by column.
    average_by
        Columns of the grid, for each combination of whose values to average; True or ``"all"`` for
        the average over all rows.
    prob, use_hdi
        The probability of the intervals, and whether they are those of highest density.
    """
    prob = probability("prob", prob)
    cells, place = _cells(surface, grid, average_by)
    taken = {*kinds[0], *_COLUMNS} & {*cells.columns}
    if taken:
        raise InputError(
            f"a predictor is called '{min(taken)}', as a column of the table is; rename it"
        )
    count = samples(surface.dt)
    size = len(kinds) * count * len(cells)
    if size > _LARGEST:
        raise InputError(
            f"{len(kinds) * len(cells):,} estimates of {count:,} draws are more than "
            f"{_LARGEST:,} numbers; average over some by average_by, or give fewer values"
        )
    totals = np.zeros((len(kinds), count, len(cells)))
    # one cell after the other, so that the rows of a block are summed in one go
    order = np.argsort(place, kind="stable")
    step = max(1, _BLOCK // (count * len(kinds)))
    for start in range(0, len(order), step):
        block = order[start : start + step]
        numbers, first = np.unique(place[block], return_index=True)
        with np.errstate(divide="ignore", invalid="ignore"):  # of ratios to zero
            values = estimand(grid.frame.iloc[block].reset_index(drop=True), start)
            totals[:, :, numbers] += np.add.reduceat(values, first, axis=2)
    totals /= np.bincount(place)
    table = shown(cells, surface.data.attrs["since"])
    lines = np.tile(np.arange(len(table)), len(kinds))
    summary = table.take(lines).reset_index(drop=True)
    if grid.labels is not None and not average_by:
        summary.index = grid.labels.take(lines)
    for column in reversed(kinds[0]):
        summary.insert(0, column, np.repeat([kind[column] for kind in kinds], len(table)))
    draws = by_chain(surface.dt["posterior"].dataset, np.concatenate(totals, axis=1))
    return summarise(summary, draws, prob, use_hdi)


def _cells(surface: Surface, grid: Grid, average_by: AverageBy) -> tuple[pd.DataFrame, np.ndarray]:
    """Return what tells the lines of the table apart, and the line of each row of the grid."""
    rows = len(grid.frame)
    if average_by is None or average_by is False:
        return grid.frame[list(grid.columns)], np.arange(rows)
    if average_by is True or average_by == "all":
        return pd.DataFrame(index=[0]), np.zeros(rows, int)
    names = [average_by] if isinstance(average_by, str) else list(average_by)
    if not names:
        raise InputError("average_by names no predictor; give True for the average over all rows")
    for name in names:
        surface.check_column(name)
    groups = grid.frame.groupby(names, observed=True)
    first = np.unique(groups.ngroup(), return_index=True)[1]
    return grid.frame[names].take(first).reset_index(drop=True), groups.ngroup().to_numpy()


def by_chain(like: Dataset | DataArray, values: np.ndarray) -> DataArray:
    """Return draws of all chains, shape (draws, lines), by chain and draw like these."""
    shape = (like.sizes["chain"], like.sizes["draw"])
    return DataArray(
        values.reshape(*shape, -1),
        dims=("chain", "draw", "row"),
        coords={"chain": like["chain"], "draw": like["draw"]},
        name="estimate",
    )


def summarise(table: pd.DataFrame, draws: DataArray, prob: float, use_hdi: bool) -> Result:
    """Return a table with the posterior mean and the interval of each of its lines."""
    interval = arviz_stats.hdi if use_hdi else arviz_stats.eti
    with np.errstate(invalid="ignore"):  # of infinite ratios
        ends = interval(draws, prob=prob, dim=["chain", "draw"])
        estimate = draws.mean(["chain", "draw"]).values
    lower, upper = (ends.sel(ci_bound=end).values for end in ("lower", "upper"))
    summary = table.assign(estimate=estimate, lower=lower, upper=upper)
    return Result(summary, draws.assign_coords(row=table.index))
