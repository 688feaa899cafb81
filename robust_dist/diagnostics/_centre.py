"""Where each row's law lies and how wide it is, on average over the posterior."""

import numpy as np
from xarray import Dataset, DataTree

from robust_dist.diagnostics._blocks import Parameters, over_rows
from robust_dist.diagnostics._noise import robust_sd


def centre_and_spread(dt: DataTree) -> Dataset:
    """Return posterior means of each row's location ``fitted`` and robust sd ``spread``."""

    def statistic(y: np.ndarray, parameters: Parameters) -> dict[str, np.ndarray]:
        loc = parameters["loc"]
        spread = np.broadcast_to(robust_sd(dt, parameters), (len(loc), y.size))
        return {"fitted": loc.mean(axis=0), "spread": spread.mean(axis=0)}

    return over_rows(dt, statistic)
