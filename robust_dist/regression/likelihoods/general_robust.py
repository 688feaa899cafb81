"""The general adaptive robust law, sampled in its orthogonal scale."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpyro.distributions import Distribution

from robust_dist import GeneralRobust, scale_from_orthogonal
from robust_dist.regression.likelihoods._alpha import ALPHA, irls_weight
from robust_dist.regression.likelihoods._alpha_kernel import prepare as _for_alpha
from robust_dist.regression.likelihoods._alpha_kernel import row, tables
from robust_dist.regression.likelihoods._base import Likelihood, Parameters
from robust_dist.regression.likelihoods._kernel import Kernel


def _prepare(alpha: float, ratio: float, tables: Any) -> tuple[float, ...]:
    return _for_alpha(alpha, True, tables)


class _GeneralRobust(Likelihood):
    name = "general_robust"
    title = "general robust"
    shapes = (ALPHA,)
    scales = ("sigma",)
    kernel = Kernel(_prepare, row, tables)

    def derived(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return c of the paper."""
        sigma = parameters["sigma"]
        ratio = scale_from_orthogonal(parameters["alpha"], 1.0)
        return {"scale": sigma * (np.asarray(ratio, float) if _is_numpy(sigma) else ratio)}

    def row_law(self, **parameters: Any) -> Distribution:
        return GeneralRobust(**parameters)

    def sampled_law(self, **parameters: Any) -> Distribution:
        return GeneralRobust.with_orthogonal_scale(**parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        return irls_weight(z, law["alpha"])


def _is_numpy(value: Any) -> bool:
    return isinstance(value, np.ndarray | float)


LIKELIHOOD = _GeneralRobust()
