"""Normal noise, to which every row counts in full."""

import math
from typing import Any

import numpy as np
from numpyro import distributions as dist

from robust_dist.regression.likelihoods._base import Parameters
from robust_dist.regression.likelihoods._kernel import Kernel, Row
from robust_dist.regression.likelihoods._of_scipy import OfSciPy

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def _prepare(shape: float, ratio: float, tables: Any) -> tuple[float, ...]:
    return (_HALF_LOG_TWO_PI,)


def _row(u: float, shared: tuple[float, ...]) -> Row:
    return -0.5 * u * u - shared[0], -u, 0.0, u * u - 1.0, 0.0


class _Normal(OfSciPy):
    name = "normal"
    title = "Normal"
    kernel = Kernel("normal", _prepare, _row)

    def row_law(self, **parameters: Any) -> dist.Distribution:
        return dist.Normal(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        return np.ones_like(z)

    def scipy_law(self, law: Parameters) -> Any:
        from scipy import stats

        return stats.norm()


LIKELIHOOD = _Normal()
