"""Robust Bayesian linear regression from a formula."""

from robust_dist.regression.fit import Regression

__all__ = ["Regression"]
