"""What leaving rows out would do, by ArviZ."""

import warnings

import arviz_stats
import numpy as np
from xarray import DataArray, DataTree

from robust_dist.regression.loo import FEWEST


def log_likelihood(dt: DataTree) -> DataArray | None:
    """Return the rows' log-likelihood, without their names, if the fit holds enough draws of it."""
    if "log_likelihood" not in dt.children:
        return None
    found = dt["log_likelihood"].dataset["y"]
    # the fit of very many rows keeps fewer
    if found.sizes["chain"] * found.sizes["draw"] < FEWEST:
        return None
    # several rows may have the same name, by which ArviZ would find them
    return found.drop_vars("row", errors="ignore")


def pareto_k(dt: DataTree) -> np.ndarray | float:
    """Return the Pareto-k of leaving each row out, nan if that cannot be told."""
    rows = log_likelihood(dt)
    if rows is None:
        return np.nan
    tree = DataTree.from_dict(
        {"posterior": dt["posterior"].to_dataset(), "log_likelihood": rows.to_dataset(name="y")}
    )
    with warnings.catch_warnings():
        # that some are high is what the column says
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(arviz_stats.loo(tree, pointwise=True, var_name="y").pareto_k.values)


def pareto_k_together(dt: DataTree, rows: np.ndarray) -> float:
    """Return the Pareto-k of leaving rows out all at once, nan if that cannot be told."""
    found = log_likelihood(dt)
    if found is None:
        return np.nan
    _, k = found.isel(row=rows).sum("row").azstats.psislw()
    return float(k)
