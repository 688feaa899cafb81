"""The modes of a posterior: where they are, how much of it each of them has, as far as one sees."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from robust_dist.optimize.curvature import inverse_curvature
from robust_dist.optimize.log_density import LogDensity

type Descent = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""minus a log density, and its gradient"""

_EVALUATIONS = 400
"""of the density in one climb"""
_CURVED = 300
"""parameters up to which modes have a width"""
_SAME = 2.0
"""nats that a path between two modes may fall below the lower one, and they are one"""
_PATH = 24
"""points on the way"""
_INFINITE = 1e300
"""what stands for the descent where the log density is not finite"""


class LocalMode(NamedTuple):
    """A peak of the log density on the sampler's axes."""

    position: np.ndarray
    density: float
    factor: np.ndarray | None
    """L, with L L^T the covariance of a Normal that is as wide; None of many parameters, or where
    there is none"""
    log_evidence: float
    """the logarithm of the mass about it, by Laplace's approximation, or its density where there
    is no width"""


def shares(log_masses: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return masses over their sum, of their logarithms; none of none."""
    logs = np.asarray(log_masses, float)
    masses = np.exp(logs - logs.max(initial=-np.inf))
    return masses / masses.sum()


def explore(
    density: LogDensity, starts: np.ndarray, held: Sequence[str] = ()
) -> tuple[LocalMode, ...]:
    """Return the modes that can be climbed to, that of the most mass first.

    Parameters
    ----------
    density
        The log density.
    starts
        Positions to climb from, shape (starts, size).
    held
        Sites that stay where they start, as the sds of groups, with which the density of effects
        has no mode.
    """
    free = np.ones(density.size, bool)
    for name in held:
        free[density.places(name)] = False

    def descent_from(start: np.ndarray) -> Descent:
        """Return minus the log density of what is free, the rest as at the start."""

        def descent(vector: np.ndarray) -> tuple[float, np.ndarray]:
            position = start.copy()
            position[free] = vector
            value, gradient = density.slope(position)
            if not np.isfinite(value):  # beyond the reach of doubles: turn back
                return _INFINITE, np.zeros_like(vector)
            return -value, -gradient[free]

        return descent

    ends: list[tuple[float, np.ndarray]] = []
    for start in starts:
        descent = descent_from(start)
        if descent(start[free])[0] >= _INFINITE:
            continue
        end = _climb(descent, start[free])
        position = start.copy()
        position[free] = end.x
        ends.append((-float(end.fun), position))
    modes: list[LocalMode] = []
    # from the highest on, so that what is no more than its slope is not taken for it
    for height, position in sorted(ends, key=lambda end: -end[0]):
        if any(_is_one(density, position, height, mode) for mode in modes):
            continue
        factor = None
        if free.sum() <= _CURVED:
            gradient = partial(_gradient, descent_from(position))
            factor = inverse_curvature(gradient, position[free])
        modes.append(_with_evidence(density, position, height, factor, free))
    # a density is no mass: an end without a width, as a plateau's, is none where others have one
    peaks = [mode for mode in modes if mode.factor is not None]
    return tuple(sorted(peaks or modes, key=lambda mode: -mode.log_evidence))


def _gradient(descent: Descent, vector: np.ndarray) -> np.ndarray:
    return descent(vector)[1]


def _climb(descent: Descent, start: np.ndarray) -> Any:
    """Return where the descent ends."""
    from scipy import optimize  # not before somebody looks for modes

    if start.size > _CURVED:
        options = {"maxfun": _EVALUATIONS, "maxcor": 20, "ftol": 1e-10, "gtol": 1e-4}
        return optimize.minimize(descent, start, jac=True, method="L-BFGS-B", options=options)
    # of few parameters with a matrix of them all, which costs less than the threads of L-BFGS-B
    with np.errstate(all="ignore"):  # where a step leads out of the density's reach
        options = {"maxiter": _EVALUATIONS, "gtol": 1e-4}
        return optimize.minimize(descent, start, jac=True, method="BFGS", options=options)


def _with_evidence(
    density: LogDensity,
    position: np.ndarray,
    height: float,
    factor: np.ndarray | None,
    free: np.ndarray,
) -> LocalMode:
    if factor is None:
        return LocalMode(position, height, None, height)
    evidence = height + np.linalg.slogdet(factor)[1] + 0.5 * len(factor) * np.log(2 * np.pi)
    if free.all():
        return LocalMode(position, height, factor, float(evidence))
    whole = np.zeros((density.size, density.size))
    whole[np.ix_(free, free)] = factor
    return LocalMode(position, height, whole, float(evidence))


def _is_one(density: LogDensity, position: np.ndarray, height: float, mode: LocalMode) -> bool:
    """Return whether the straight way from a position to a mode crosses no valley."""
    shares = (np.arange(_PATH) + 1) / (_PATH + 1)
    lowest = min(height, mode.density) - _SAME
    # from the middle outwards, where a valley is
    for share in shares[np.argsort(np.abs(shares - 0.5), kind="stable")]:
        value = density.slope(position + share * (mode.position - position))[0]
        if not value > lowest:
            return False
    return True
