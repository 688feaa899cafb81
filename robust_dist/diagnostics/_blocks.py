"""Walking over the rows of a fit in blocks, so that draws x rows need not fit into memory."""

from collections.abc import Callable, Mapping

import numpy as np
from xarray import DataArray, Dataset, DataTree

from robust_dist.regression.fitted import check_fit
from robust_dist.regression.row_laws import parameters_in_blocks, samples

# draws x rows in all; a fit of more rows is read at evenly spaced draws
_TOTAL = 100_000_000
# fewer draws than this say too little, however many rows there are
_FEWEST = 100

Parameters = Mapping[str, np.ndarray]


def over_rows(
    dt: DataTree, statistic: Callable[[np.ndarray, Parameters], Mapping[str, np.ndarray]]
) -> Dataset:
    """Return statistics of each row, with the rows' names.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    statistic
        Called with the responses of a block of rows and the parameters of their laws, each
        broadcastable against (samples, rows); returns arrays with one element per row.
    """
    check_fit(dt)
    y = dt["observed_data"].dataset["y"]
    dt = _thinned(dt, y.size)
    parts = [
        statistic(y.values[rows], parameters)
        for rows, parameters in parameters_in_blocks(dt, np.arange(y.size))
    ]
    return Dataset(
        {
            name: DataArray(np.concatenate([part[name] for part in parts]), y.coords, y.dims)
            for name in parts[0]
        }
    )


def _thinned(dt: DataTree, rows: int) -> DataTree:
    """Return the fit with as many of its draws as a walk over its rows can take."""
    most = max(_FEWEST, _TOTAL // rows)
    step = -(-samples(dt) // most)
    return dt.isel(draw=slice(None, None, step)) if step > 1 else dt
