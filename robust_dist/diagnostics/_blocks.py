"""Walking over the rows of a fit in blocks, so that draws x rows need not fit into memory."""

from collections.abc import Callable, Mapping

import numpy as np
from xarray import DataArray, DataTree

from robust_dist.regression.likelihoods import Parameters
from robust_dist.regression.row_laws import parameters_in_blocks


def over_rows(
    dt: DataTree, statistics: Callable[[np.ndarray, Parameters], Mapping[str, np.ndarray]]
) -> dict[str, DataArray]:
    """Return statistics of each row, with the rows' names.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    statistics
        Called with the positions of a block of rows and the parameters of their laws, each
        broadcastable against (samples, rows); returns arrays with one element per row.
    """
    y = dt["observed_data"].dataset["y"]
    parts = [
        statistics(rows, parameters)
        for rows, parameters in parameters_in_blocks(dt, np.arange(y.size))
    ]
    return {
        name: DataArray(np.concatenate([part[name] for part in parts]), y.coords, y.dims, name)
        for name in parts[0]
    }
