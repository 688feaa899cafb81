"""The general adaptive robust law with a scale, c of the paper, for either side of loc."""

from typing import Any

import numpy as np
from numpyro.distributions import Distribution

from robust_dist import AsymmetricGeneralRobust
from robust_dist.regression.likelihoods._alpha import ALPHA, irls_weight
from robust_dist.regression.likelihoods._alpha_kernel import prepare as _for_alpha
from robust_dist.regression.likelihoods._alpha_kernel import row, tables
from robust_dist.regression.likelihoods._base import Likelihood, Parameters
from robust_dist.regression.likelihoods._kernel import Kernel, Row, logarithm


def _prepare(alpha: float, ratio: float, tables: Any) -> tuple[float, ...]:
    log_mean = logarithm(0.5 + 0.5 * ratio)
    return *_for_alpha(alpha, False, tables), 1.0 / ratio, log_mean, 1.0 / (1.0 + ratio)


def _row(u: float, shared: tuple[float, ...]) -> Row:
    inverse, log_mean, share = shared[12], shared[13], shared[14]
    right = u >= 0
    shrink = inverse if right else 1.0
    value, slope, by_alpha, by_scale, _ = row(u * shrink, shared[:12])
    moment = by_scale + 1.0
    by_left = (0.0 if right else moment) - share
    by_right = (moment if right else 0.0) - (1.0 - share)
    return value - log_mean, slope * shrink, by_alpha, by_left, by_right


class _Asymmetric(Likelihood):
    name = "asymmetric_general_robust"
    title = "asymmetric general robust"
    shapes = (ALPHA,)
    scales = law_scales = ("scale_left", "scale_right")
    symmetric = False
    kernel = Kernel("asymmetric_general_robust", _prepare, _row, tables)

    def row_law(self, **parameters: Any) -> Distribution:
        return AsymmetricGeneralRobust(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        # z is over the left scale, and law has the right one over that
        return irls_weight(np.where(z < 0, z, z / law["scale_right"]), law["alpha"])


LIKELIHOOD = _Asymmetric()
