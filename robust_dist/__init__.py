"""Barron's general adaptive robust loss as a proper NumPyro distribution.

Names are resolved on first use, so that ``robust-dist --help`` answers before JAX is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robust_dist.distributions.general_robust import GeneralRobust
    from robust_dist.loss import psi, rho, weight
    from robust_dist.normalizer import log_normalizer

__all__ = ["GeneralRobust", "log_normalizer", "psi", "rho", "weight"]

__version__ = "0.1.0"

_HOMES = {
    "GeneralRobust": "robust_dist.distributions.general_robust",
    "log_normalizer": "robust_dist.normalizer",
    "psi": "robust_dist.loss",
    "rho": "robust_dist.loss",
    "weight": "robust_dist.loss",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
