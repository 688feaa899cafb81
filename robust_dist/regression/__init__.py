"""Robust Bayesian regression from a formula."""

import sys

import numpyro.distributions

from robust_dist.regression.compare import Comparison, compare
from robust_dist.regression.fit import Regression
from robust_dist.regression.predict import predict

__all__ = ["Comparison", "Regression", "compare", "predict"]

# ArviZ leaves numpyro to be loaded lazily, and, loaded so, this package has lost a module that
# numpyro.factor looks for in it, and with it NUTS where data are arguments
numpyro.distributions.distribution = sys.modules["numpyro.distributions.distribution"]
