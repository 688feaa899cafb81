"""Walking over the rows of a fit in blocks, so that draws x rows need not fit into memory."""

from collections.abc import Callable, Mapping

import numpy as np
from xarray import DataArray, Dataset, DataTree

from robust_dist.regression.rows import row_parameters

# draws x rows of one block, of which a handful of arrays exist at a time
_BLOCK = 4_000_000
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
    y = dt["observed_data"].dataset["y"]
    dt = _thinned(dt, y.size)
    block = max(1, _BLOCK // samples(dt))
    parts = []
    for start in range(0, y.size, block):
        rows = slice(start, start + block)
        parts.append(statistic(y.values[rows], row_parameters(dt, rows)))
    return Dataset(
        {
            name: DataArray(np.concatenate([part[name] for part in parts]), y.coords, y.dims)
            for name in parts[0]
        }
    )


def samples(dt: DataTree) -> int:
    """Return the number of draws in all chains."""
    sizes = dt["posterior"].sizes
    return int(sizes["chain"] * sizes["draw"])


def _thinned(dt: DataTree, rows: int) -> DataTree:
    """Return the fit with as many of its draws as a walk over its rows can take."""
    most = max(_FEWEST, _TOTAL // rows)
    step = -(-samples(dt) // most)
    return dt.isel(draw=slice(None, None, step)) if step > 1 else dt
