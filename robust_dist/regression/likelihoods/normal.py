"""Normal noise, to which every row counts in full."""

from typing import Any

import numpy as np
from numpyro import distributions as dist

from robust_dist.regression.likelihoods._base import Parameters
from robust_dist.regression.likelihoods._of_scipy import OfSciPy


class _Normal(OfSciPy):
    name = "normal"
    title = "Normal"

    def row_law(self, **parameters: Any) -> dist.Distribution:
        return dist.Normal(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        return np.ones_like(z)

    def scipy_law(self, law: Parameters) -> Any:
        from scipy import stats

        return stats.norm()


LIKELIHOOD = _Normal()
