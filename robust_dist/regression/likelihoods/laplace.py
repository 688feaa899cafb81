"""Laplace noise."""

import math
from typing import Any

import numpy as np
from numpyro import distributions as dist

from robust_dist.regression.likelihoods._base import Parameters
from robust_dist.regression.likelihoods._kernel import Kernel, Row
from robust_dist.regression.likelihoods._of_scipy import OfSciPy

_LOG_TWO = math.log(2)


def _prepare(shape: float, ratio: float, tables: Any) -> tuple[float, ...]:
    return (_LOG_TWO,)


def _row(u: float, shared: tuple[float, ...]) -> Row:
    sign = (1.0 if u > 0 else 0.0) - (1.0 if u < 0 else 0.0)
    return -abs(u) - shared[0], -sign, 0.0, abs(u) - 1.0, 0.0


class _Laplace(OfSciPy):
    name = "laplace"
    title = "Laplace"
    kernel = Kernel("laplace", _prepare, _row)

    def row_law(self, **parameters: Any) -> dist.Distribution:
        return dist.Laplace(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        # psi(z)/z is infinite at zero: held at that of one scale, which makes it Huber's weight
        return 1 / np.maximum(np.abs(z), 1.0)

    def scipy_law(self, law: Parameters) -> Any:
        from scipy import stats

        return stats.laplace()


LIKELIHOOD = _Laplace()
