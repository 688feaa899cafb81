"""Cauchy noise."""

from typing import Any

import numpy as np
from numpyro import distributions as dist

from robust_dist.regression.likelihoods._base import Parameters
from robust_dist.regression.likelihoods._of_scipy import OfSciPy


class _Cauchy(OfSciPy):
    name = "cauchy"
    title = "Cauchy"

    def row_law(self, **parameters: Any) -> dist.Distribution:
        return dist.Cauchy(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        return 1 / (1 + z**2)

    def scipy_law(self, law: Parameters) -> Any:
        from scipy import stats

        return stats.cauchy()


LIKELIHOOD = _Cauchy()
