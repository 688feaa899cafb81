"""What leaving rows out would do, by ArviZ."""

import warnings

import arviz_stats
import numpy as np
from xarray import DataArray, DataTree

from robust_dist.regression.loo import FEWEST

# draws x rows, of which more add time but little to a probability
_NUMBERS = 4_000_000


def log_likelihood(dt: DataTree) -> DataArray | None:
    """Return the rows' log-likelihood, without their names, if the fit holds enough draws of it."""
    if "log_likelihood" not in dt.children:
        return None
    density = dt["log_likelihood"].dataset["y"]
    # the fit of very many rows keeps fewer
    if density.sizes["chain"] * density.sizes["draw"] < FEWEST:
        return None
    # several rows may have the same name, by which ArviZ would find them
    return density.drop_vars("row", errors="ignore")


def density_to_weigh(dt: DataTree) -> DataArray | None:
    """Return as many draws of the same as a probability needs."""
    density = log_likelihood(dt)
    if density is None:
        return None
    draws = density.sizes["chain"] * density.sizes["draw"]
    step = max(1, min(draws // FEWEST, draws * density.sizes["row"] // _NUMBERS))
    return density.isel(draw=slice(None, None, step))


def pareto_k(dt: DataTree) -> np.ndarray | float:
    """Return the Pareto-k of leaving each row out, nan if that cannot be told."""
    density = log_likelihood(dt)
    if density is None:
        return np.nan
    tree = DataTree.from_dict(
        {"posterior": dt["posterior"].to_dataset(), "log_likelihood": density.to_dataset(name="y")}
    )
    with warnings.catch_warnings():
        # that some are high is what the column says
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(arviz_stats.loo(tree, pointwise=True, var_name="y").pareto_k.values)
