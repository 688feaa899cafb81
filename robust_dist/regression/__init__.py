"""Robust Bayesian regression from a formula."""

from robust_dist.regression.compare import Comparison, compare
from robust_dist.regression.fit import Regression
from robust_dist.regression.predict import predict

__all__ = ["Comparison", "Regression", "compare", "predict"]
