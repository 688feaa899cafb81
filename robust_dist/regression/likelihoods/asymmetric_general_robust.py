"""The general adaptive robust law with a scale, c of the paper, for either side of loc."""

from typing import Any

import numpy as np
from numpyro.distributions import Distribution

from robust_dist import AsymmetricGeneralRobust
from robust_dist.regression.likelihoods._alpha import ALPHA, irls_weight
from robust_dist.regression.likelihoods._base import Likelihood, Parameters


class _Asymmetric(Likelihood):
    name = "asymmetric_general_robust"
    title = "asymmetric general robust"
    shapes = (ALPHA,)
    scales = law_scales = ("scale_left", "scale_right")
    symmetric = False

    def row_law(self, **parameters: Any) -> Distribution:
        return AsymmetricGeneralRobust(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        # z is over the left scale, and law has the right one over that
        return irls_weight(np.where(z < 0, z, z / law["scale_right"]), law["alpha"])


LIKELIHOOD = _Asymmetric()
