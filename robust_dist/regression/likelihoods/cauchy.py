"""Cauchy noise."""

import math
from typing import Any

import numpy as np
from numpyro import distributions as dist

from robust_dist.regression.likelihoods._base import Parameters
from robust_dist.regression.likelihoods._kernel import Kernel, Row, log_sum
from robust_dist.regression.likelihoods._of_scipy import OfSciPy

_LOG_PI = math.log(math.pi)


def _prepare(shape: float, ratio: float, tables: Any) -> tuple[float, ...]:
    return (_LOG_PI,)


def _row(u: float, shared: tuple[float, ...]) -> Row:
    square = u * u
    pull = 2.0 / (1.0 + square)
    return -log_sum(1.0, square) - shared[0], -u * pull, 0.0, square * pull - 1.0, 0.0


class _Cauchy(OfSciPy):
    name = "cauchy"
    title = "Cauchy"
    kernel = Kernel("cauchy", _prepare, _row)

    def row_law(self, **parameters: Any) -> dist.Distribution:
        return dist.Cauchy(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        return 1 / (1 + z**2)

    def scipy_law(self, law: Parameters) -> Any:
        from scipy import stats

        return stats.cauchy()


LIKELIHOOD = _Cauchy()
