"""The law of each row of a fit, draw by draw."""

from typing import Any

import numpy as np
from numpyro import distributions as dist
from xarray import DataTree

from robust_dist import GeneralRobust

_FIELDS = ("alpha", "nu", "scale", "scale_left", "scale_right")


def row_parameters(dt: DataTree, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    """Return the parameters of the rows' laws, each broadcastable against (samples, rows)."""
    draws = dt["posterior"].to_dataset().stack(sample=("chain", "draw"))
    beta = draws["beta"].transpose("sample", "coefficient").values
    x = dt["constant_data"].dataset["x"].values[rows]
    scalars = {name: draws[name].values[:, None] for name in _FIELDS if name in draws}
    if "alpha_fixed" in dt.attrs:
        scalars["alpha"] = np.full_like(scalars["scale"], dt.attrs["alpha_fixed"])
    return {"loc": beta @ x.T, **scalars}


def row_law(dt: DataTree, parameters: dict[str, Any]) -> dist.Distribution:
    """Return the law that such parameters name."""
    return GeneralRobust(parameters["alpha"], parameters["loc"], parameters["scale"])
