"""Laplace noise."""

from typing import Any

import numpy as np
from numpyro import distributions as dist

from robust_dist.regression.likelihoods._base import Parameters
from robust_dist.regression.likelihoods._of_scipy import OfSciPy


class _Laplace(OfSciPy):
    name = "laplace"
    title = "Laplace"

    def row_law(self, **parameters: Any) -> dist.Distribution:
        return dist.Laplace(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        # psi(z)/z is infinite at zero: held at that of one scale, which makes it Huber's weight
        return 1 / np.maximum(np.abs(z), 1.0)

    def scipy_law(self, law: Parameters) -> Any:
        from scipy import stats

        return stats.laplace()


LIKELIHOOD = _Laplace()
