"""Robust Bayesian regression from a formula."""

from importlib import import_module
from typing import TYPE_CHECKING

from robust_dist.regression.compilation_cache import use_compilation_cache
from robust_dist.regression.fit import Regression
from robust_dist.regression.predict import predict, prediction_table
from robust_dist.regression.responses import fit_responses

if TYPE_CHECKING:
    from robust_dist.regression.comparison import Comparison, compare

__all__ = [
    "Comparison",
    "Regression",
    "compare",
    "fit_responses",
    "predict",
    "prediction_table",
    "use_compilation_cache",
]


def __getattr__(name: str) -> object:
    # on first use: to compare loads ArviZ's statistics, two seconds that a fit can do without
    if name in ("Comparison", "compare"):
        return getattr(import_module("robust_dist.regression.comparison"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
