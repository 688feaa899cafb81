"""The general adaptive robust law, sampled in its orthogonal scale."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import numpy as np
from jax import Array
from numpyro.distributions import Distribution

from robust_dist import GeneralRobust, scale_from_orthogonal
from robust_dist.regression.likelihoods._alpha import ALPHA, irls_weight
from robust_dist.regression.likelihoods._alpha_kernel import prepare as _for_alpha
from robust_dist.regression.likelihoods._alpha_kernel import row, tables
from robust_dist.regression.likelihoods._base import Likelihood, Parameters, Shape
from robust_dist.regression.likelihoods._kernel import Kernel
from robust_dist.regression.likelihoods._tiles import over_tiles


def _prepare(alpha: float, ratio: float, tables: Any) -> tuple[float, ...]:
    return _for_alpha(alpha, True, tables)


class OfGeneralRobust(Likelihood):
    """What the law's likelihoods in the orthogonal scale share."""

    shapes: ClassVar[tuple[Shape, ...]] = (ALPHA,)
    scales = ("sigma",)
    kernel = Kernel("general_robust", _prepare, row, tables)

    def derived(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return c of the paper."""
        sigma, alpha = parameters["sigma"], parameters["alpha"]
        if isinstance(sigma, np.ndarray | float):
            return {"scale": sigma * over_tiles(_scale_over_sigma, {"alpha": alpha})[0]}
        return {"scale": sigma * scale_from_orthogonal(alpha, 1.0)}

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        """Return the loss's weights."""
        return irls_weight(z, law["alpha"])


class _GeneralRobust(OfGeneralRobust):
    name = "general_robust"
    title = "general robust"

    def row_law(self, **parameters: Any) -> Distribution:
        return GeneralRobust(**parameters)

    def sampled_law(self, **parameters: Any) -> Distribution:
        return GeneralRobust.with_orthogonal_scale(**parameters)


@jax.jit
def _scale_over_sigma(tile: Mapping[str, Array]) -> tuple[Array]:
    return (scale_from_orthogonal(tile["alpha"], 1.0),)


LIKELIHOOD = _GeneralRobust()
