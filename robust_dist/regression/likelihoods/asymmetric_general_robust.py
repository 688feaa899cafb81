"""The general adaptive robust law with a scale, c of the paper, for either side of loc."""

from typing import Any

import numpy as np
from numpyro.distributions import Distribution

from robust_dist import AsymmetricGeneralRobust
from robust_dist.regression.likelihoods._alpha import ALPHA, irls_weight
from robust_dist.regression.likelihoods._alpha_kernel import prepare as _for_alpha
from robust_dist.regression.likelihoods._alpha_kernel import row, tables
from robust_dist.regression.likelihoods._base import Likelihood, Parameters
from robust_dist.regression.likelihoods._kernel import Kernel, logarithm


def _prepare(alpha: float, ratio: float, tables: Any) -> tuple[float, ...]:
    return *_for_alpha(alpha, False, tables), 1.0 / ratio, logarithm(0.5 + 0.5 * ratio)


def _row(u: float, shared: tuple[float, ...]) -> tuple[float, float, float, float]:
    inverse, log_mean = shared[12], shared[13]
    shrink = inverse if u >= 0 else 1.0
    value, slope, by_alpha, _ = row(u * shrink, shared[:12])
    # of log((1 + ratio)/2), and of u/ratio on the right
    by_mean = -1.0 / (1.0 + 1.0 / inverse)
    by_ratio = by_mean - (slope * u * inverse * inverse if u >= 0 else 0.0)
    return value - log_mean, slope * shrink, by_alpha, by_ratio


class _Asymmetric(Likelihood):
    name = "asymmetric_general_robust"
    title = "asymmetric general robust"
    shapes = (ALPHA,)
    scales = law_scales = ("scale_left", "scale_right")
    symmetric = False
    kernel = Kernel(_prepare, _row, tables)

    def row_law(self, **parameters: Any) -> Distribution:
        return AsymmetricGeneralRobust(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        # z is over the left scale, and law has the right one over that
        return irls_weight(np.where(z < 0, z, z / law["scale_right"]), law["alpha"])


LIKELIHOOD = _Asymmetric()
