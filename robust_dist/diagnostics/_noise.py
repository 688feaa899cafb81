"""What the law of the noise says of a residual: its weight, tail probabilities and robust sd.

Everything is computed for the residual over the row's scale, taken in double precision: a response
of 1e6 with noise of 0.01 would leave nothing of it in single precision.
"""

import numpy as np
from xarray import DataTree

from robust_dist.regression.likelihoods import Parameters, Shape, likelihood_of


def irls_weight(dt: DataTree, y: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the weights, of shape (samples, rows), 1 where the residual is zero."""
    likelihood = likelihood_of(dt)
    z, _, law = likelihood.reduced(y, parameters)
    return likelihood.irls_weight(z, law)


def outlier_probability(dt: DataTree, y: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the probabilities of the background, of shape (samples, rows)."""
    likelihood = likelihood_of(dt)
    z, _, law = likelihood.reduced(y, parameters)
    return likelihood.outlier_probability(z, law)


def log_tails(dt: DataTree, y: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Return log P(Y <= y) and log P(Y > y) of each row, of shape (samples, rows)."""
    likelihood = likelihood_of(dt)
    z, _, law = likelihood.reduced(y, parameters)
    return likelihood.log_tails(z, law)


def robust_sd(dt: DataTree, parameters: Parameters) -> np.ndarray:
    """Return the sd of the Normal law with the quartiles of the noise, as 1.4826 MAD estimates."""
    return likelihood_of(dt).robust_sd(parameters)


def differs(dt: DataTree, shape: Shape) -> bool:
    """Whether a formula makes the shape differ from row to row."""
    return f"beta_{shape.name}" in dt["posterior"].dataset
