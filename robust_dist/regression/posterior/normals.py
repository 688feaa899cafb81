"""Normals about the modes of a posterior, and the mixture of them by their masses."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from robust_dist._errors import InputError
from robust_dist.optimize.curvature import inverse_curvature
from robust_dist.regression.posterior.modes import Target

_BOUND = 1000
"""draws whose mean the evidence lower bound is"""


class Normal(NamedTuple):
    """A Normal about a mode."""

    center: np.ndarray
    factor: np.ndarray
    """L, with L L^T the covariance"""

    @property
    def volume(self) -> float:
        """The logarithm of the mass of a peak of height 1, as wide as this."""
        size = len(self.center)
        return float(np.linalg.slogdet(self.factor)[1]) + 0.5 * size * np.log(2 * np.pi)


def normal_about(target: Target, center: np.ndarray, factor: np.ndarray | None) -> Normal:
    """Return the Normal of a center and a factor, that of the curvature if none is given."""
    if factor is None:
        factor = inverse_curvature(
            lambda vector: -np.asarray(target.slope(jnp.asarray(vector))[1]), center
        )
    # rounded to a single number, draws would be no approximation
    if factor is None or not np.isfinite(factor).all() or not np.diag(factor).all():
        raise InputError(
            "the posterior has no peak with a curvature at its mode, so there is no Laplace "
            "approximation; use method 'nuts'"
        )
    return Normal(center, np.asarray(factor, float))


def log_evidence(target: Target, normal: Normal) -> float:
    """Return the logarithm of the mass that a Normal stands for, by Laplace's approximation."""
    return float(target.slope(jnp.asarray(normal.center))[0]) + normal.volume


def evidence_bound(target: Target, normal: Normal, noise: np.ndarray) -> float:
    """Return the evidence lower bound of a Normal, E[log p - log q]."""
    noise = noise[:_BOUND]
    heights = np.asarray(target.densities(jnp.asarray(normal.center + noise @ normal.factor.T)))
    return float(np.mean(heights + 0.5 * (noise**2).sum(axis=1))) + normal.volume


def log_density_of(
    normals: Sequence[Normal], weights: np.ndarray, vectors: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Return the log density of a mixture of Normals at its draws, but for a constant."""
    if len(normals) == 1:
        return -0.5 * (noise**2).sum(axis=1)
    parts = [
        np.log(weight)
        - np.linalg.slogdet(normal.factor)[1]
        - 0.5 * (np.linalg.solve(normal.factor, (vectors - normal.center).T) ** 2).sum(axis=0)
        for normal, weight in zip(normals, weights, strict=True)
    ]
    return np.logaddexp.reduce(parts, axis=0)
