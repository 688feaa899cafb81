"""Barron's general adaptive robust loss as a proper NumPyro distribution."""

from robust_dist.distributions.general_robust import GeneralRobust
from robust_dist.loss import psi, rho, weight
from robust_dist.normalizer import log_normalizer

__all__ = ["GeneralRobust", "log_normalizer", "psi", "rho", "weight"]

__version__ = "0.1.0"
