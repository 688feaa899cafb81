"""Robust regression as an estimator of scikit-learn."""

from robust_dist.sklearn.regressor import RobustRegressor

__all__ = ["RobustRegressor"]
