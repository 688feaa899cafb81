"""Barron's general adaptive robust loss as a proper NumPyro distribution.

Names are resolved on first use, so that ``robust-dist --help`` answers before JAX is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robust_dist._numerics.log_normalizer import log_normalizer
    from robust_dist._numerics.loss import psi, rho, weight
    from robust_dist._numerics.orthogonal_scale import orthogonal_scale, scale_from_orthogonal
    from robust_dist.distributions.asymmetric import AsymmetricGeneralRobust
    from robust_dist.distributions.censored import IntervalCensored, LeftCensored, RightCensored
    from robust_dist.distributions.contaminated import ContaminatedGeneralRobust
    from robust_dist.distributions.general_robust import GeneralRobust
    from robust_dist.distributions.log_pareto_tailed import LogParetoTailed
    from robust_dist.distributions.multivariate import MultivariateGeneralRobust
    from robust_dist.distributions.reference_alpha import ReferenceAlpha
    from robust_dist.distributions.rounded import Rounded
    from robust_dist.distributions.truncated import TruncatedGeneralRobust

__all__ = [
    "AsymmetricGeneralRobust",
    "ContaminatedGeneralRobust",
    "GeneralRobust",
    "IntervalCensored",
    "LeftCensored",
    "LogParetoTailed",
    "MultivariateGeneralRobust",
    "ReferenceAlpha",
    "RightCensored",
    "Rounded",
    "TruncatedGeneralRobust",
    "log_normalizer",
    "orthogonal_scale",
    "psi",
    "rho",
    "scale_from_orthogonal",
    "weight",
]

__version__ = "0.2.0"

_HOMES = {
    "AsymmetricGeneralRobust": "robust_dist.distributions.asymmetric",
    "ContaminatedGeneralRobust": "robust_dist.distributions.contaminated",
    "GeneralRobust": "robust_dist.distributions.general_robust",
    "IntervalCensored": "robust_dist.distributions.censored",
    "LeftCensored": "robust_dist.distributions.censored",
    "LogParetoTailed": "robust_dist.distributions.log_pareto_tailed",
    "MultivariateGeneralRobust": "robust_dist.distributions.multivariate",
    "ReferenceAlpha": "robust_dist.distributions.reference_alpha",
    "RightCensored": "robust_dist.distributions.censored",
    "Rounded": "robust_dist.distributions.rounded",
    "TruncatedGeneralRobust": "robust_dist.distributions.truncated",
    "log_normalizer": "robust_dist._numerics.log_normalizer",
    "orthogonal_scale": "robust_dist._numerics.orthogonal_scale",
    "psi": "robust_dist._numerics.loss",
    "rho": "robust_dist._numerics.loss",
    "scale_from_orthogonal": "robust_dist._numerics.orthogonal_scale",
    "weight": "robust_dist._numerics.loss",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
