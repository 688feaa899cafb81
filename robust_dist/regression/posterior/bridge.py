r"""The mass of a part of a posterior, by bridge sampling.

With draws of the density p on a region, and draws of a Normal g with their mean and covariance,

.. math::

    Z = \int_R p = \frac{E_g[h\, p\, 1_R]}{E_{p/Z}[h\, g]}, \qquad
    h \propto \frac{1}{s_1\, p + s_2\, Z\, g},

which is the choice of h of the least error (Meng and Wong, Statistica Sinica 6, 1996), found by
iteration. Half of the draws tell the Normal, the other half are compared with it, and the other way
round: what fits the same draws would look too well (Overstall and Forster, 2010).
"""

from collections.abc import Callable

import numpy as np

_DRAWS = 2_000
"""that are looked at, half of them at a time"""
_PROPOSALS = 2_000
_STEPS = 200
_TOLERANCE = 1e-8


def log_mass(
    log_density: Callable[[np.ndarray], float],
    inside: Callable[[np.ndarray], np.ndarray],
    draws: np.ndarray,
    generator: np.random.Generator,
) -> float:
    """Return the logarithm of the integral of a density over a region.

    Parameters
    ----------
    log_density
        Of one position.
    inside
        Which of several positions lie in the region.
    draws
        Of the density on the region, in the order of a chain, shape (draws, size).
    generator
        Of the Normal's draws.
    """
    some = draws[:: -(-len(draws) // _DRAWS)]
    height = np.array([log_density(draw) for draw in some])
    halves = np.arange(len(some)) % 2 == 0
    masses = [
        _one_way(log_density, inside, some[half], some[~half], height[~half], generator)
        for half in (halves, ~halves)
    ]
    return float(np.logaddexp(masses[0], masses[1]) - np.log(2))


def _one_way(
    log_density: Callable[[np.ndarray], float],
    inside: Callable[[np.ndarray], np.ndarray],
    fitted: np.ndarray,
    draws: np.ndarray,
    height: np.ndarray,
    generator: np.random.Generator,
) -> float:
    """Return the mass by a Normal that is fitted to some draws and compared with others."""
    mean = fitted.mean(axis=0)
    factor = np.linalg.cholesky(np.atleast_2d(np.cov(fitted.T)) + 1e-12 * np.eye(mean.size))

    def log_normal(positions: np.ndarray) -> np.ndarray:
        z = np.linalg.solve(factor, (positions - mean).T)
        constant = np.log(np.diag(factor)).sum() + 0.5 * mean.size * np.log(2 * np.pi)
        return np.asarray(-0.5 * (z**2).sum(axis=0) - constant)

    proposals = mean + generator.normal(size=(_PROPOSALS // 2, mean.size)) @ factor.T
    kept = inside(proposals)
    at_draws = height - log_normal(draws)
    at_proposals = np.full(len(proposals), -np.inf)
    if kept.any():
        values = np.array([log_density(position) for position in proposals[kept]])
        at_proposals[kept] = values - log_normal(proposals[kept])
    at_proposals[np.isnan(at_proposals)] = -np.inf
    share = np.log(len(draws) / (len(draws) + len(proposals)))
    other = np.log1p(-np.exp(share))
    mass = float(np.median(at_draws))
    for _ in range(_STEPS):
        above = at_proposals - np.logaddexp(share + at_proposals, other + mass)
        below = -np.logaddexp(share + at_draws, other + mass)
        moved = _log_mean(above) - _log_mean(below)
        if abs(moved - mass) < _TOLERANCE:
            break
        mass = moved
    return mass


def _log_mean(values: np.ndarray) -> float:
    return float(np.logaddexp.reduce(values) - np.log(len(values)))
