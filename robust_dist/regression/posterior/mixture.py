"""A posterior of several modes, each sampled by itself, and put together by their masses.

No chain finds its way between modes that are far apart, so that how many chains are in which says
nothing. Each mode has chains of its own; the draws of all belong to the mode that they lie nearest
to, and its region's mass is found by bridge sampling. Of each region as many draws are kept as its
mass is worth, for nobody downstream knows draws with weights.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from robust_dist.optimize.explore import LocalMode, shares
from robust_dist.optimize.log_density import LogDensity
from robust_dist.regression.posterior.bridge import log_mass

Draws = Mapping[str, np.ndarray]

LEAST = 0.01
"""the share of the mass from which on a mode is reported"""
# Laplace's approximation of a mode's mass may be wrong by some nats: modes that have less than the
# least share by more than that are left out, without a chain to look
_NATS = np.log(1 / LEAST) + 3.0
_FEWEST, _FOR_EACH = 100, 10
"""draws from which a region's mass can be told, in all and for each parameter"""


class Mixture(NamedTuple):
    """Draws of a posterior, and of which mode each is."""

    sites: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]
    """with ``mode``, the number of each draw's, if there are several"""
    modes: tuple[LocalMode, ...]
    weights: np.ndarray
    """the share of the mass of each mode's region"""


def likely(modes: Sequence[LocalMode]) -> tuple[LocalMode, ...]:
    """Return the modes that may have a share that is worth a word."""
    return tuple(m for m in modes if m.log_evidence > modes[0].log_evidence - _NATS)


def starts_near(
    density: LogDensity, mode: LocalMode, chains: int, generator: np.random.Generator
) -> np.ndarray:
    """Return where chains start, shape (chains, size): apart by about the width of the mode."""
    factor = np.eye(density.size) if mode.factor is None else mode.factor
    starts = []
    for _ in range(chains):
        step = factor @ generator.uniform(-1.0, 1.0, density.size)
        while not np.isfinite(density.slope(mode.position + step)[0]) and np.abs(step).max() > 1e-3:
            step = step / 2
        starts.append(mode.position + step)
    return np.array(starts)


def sample_mixture(
    density: LogDensity,
    modes: Sequence[LocalMode],
    sample: Callable[[LocalMode, int], tuple[Draws, Draws]],
    generator: np.random.Generator,
) -> Mixture:
    """Return draws of a posterior of one mode or several.

    Parameters
    ----------
    density
        Of the posterior.
    modes
        That of the most mass first.
    sample
        Runs chains near a mode, of which it is told the number, and returns their draws and
        statistics.
    generator
        Of what is drawn of the draws.
    """
    modes = tuple(modes)
    # without a width there is no telling which draw is whose
    several = [mode for mode in modes if mode.factor is not None]
    if len(several) < 2 or len(several) < len(modes):
        sites, statistics = sample(modes[0], 0)
        return Mixture(dict(sites), dict(statistics), modes[:1], np.ones(1))
    runs = [sample(mode, number) for number, mode in enumerate(modes)]
    chains, count = next(iter(runs[0][0].values())).shape[:2]
    flat = [
        density.positions({name: v.reshape(-1, *v.shape[2:]) for name, v in sites.items()})
        for sites, _ in runs
    ]
    nearest = _nearest(modes)
    # (runs, chains, draws)
    labels = np.array([nearest(positions) for positions in flat]).reshape(-1, chains, count)
    positions = np.reshape(flat, (len(runs), chains, count, -1))
    masses = np.full(len(modes), -np.inf)

    def height(position: np.ndarray) -> float:
        return density.slope(position)[0]

    enough = max(_FEWEST, _FOR_EACH * density.size)
    for number, peak in enumerate(modes):
        draws = positions[labels == number]
        if len(draws) >= enough:
            masses[number] = log_mass(height, partial(_is, nearest, number), draws, generator)
        elif len(draws) >= chains * count / 2:  # too short a run, not a mode that chains leave
            masses[number] = peak.log_evidence
    weights = shares(masses)
    kept = np.flatnonzero(weights >= LEAST)
    weights = weights[kept] / weights[kept].sum()
    if kept.size == 1 and (labels[kept[0]] == kept[0]).all():
        sites, statistics = runs[kept[0]]
        return Mixture(dict(sites), dict(statistics), (modes[kept[0]],), np.ones(1))
    chosen, mode = _choose(labels, kept, weights, generator)

    def gathered(values: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(values)[chosen]

    names = runs[0][0], runs[0][1]
    sites, statistics = (
        {name: gathered([run[part][name] for run in runs]) for name in names[part]}
        for part in (0, 1)
    )
    if kept.size > 1:
        statistics["mode"] = mode
    return Mixture(sites, statistics, tuple(modes[number] for number in kept), weights)


def _nearest(modes: Sequence[LocalMode]) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that tells of positions which mode they belong to.

    That whose Normal is the densest there.
    """
    inverses, logs = [], []
    for mode in modes:
        assert mode.factor is not None
        # sites that are held have no width: they do not count
        free = np.abs(mode.factor).max(axis=1) > 0
        part = mode.factor[np.ix_(free, free)] if not free.all() else mode.factor
        inverse = np.zeros_like(mode.factor)
        inverse[np.ix_(free, free)] = np.linalg.inv(part)
        inverses.append(inverse)
        logs.append(-np.linalg.slogdet(part)[1])

    def nearest(positions: np.ndarray) -> np.ndarray:
        heights = [
            log - 0.5 * (((positions - mode.position) @ inverse.T) ** 2).sum(axis=-1)
            for mode, inverse, log in zip(modes, inverses, logs, strict=True)
        ]
        return np.argmax(heights, axis=0)

    return nearest


def _is(
    nearest: Callable[[np.ndarray], np.ndarray], number: int, positions: np.ndarray
) -> np.ndarray:
    return np.asarray(nearest(positions) == number)


def allotted(weights: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return which component each of so many draws is of, in no order.

    Of each they are as many as its weight says, to one draw: so counts vary least.
    """
    ends = np.round(np.cumsum(weights) * count).astype(int)
    return generator.permutation(np.repeat(np.arange(len(weights)), np.diff([0, *ends])))


def _choose(
    labels: np.ndarray, kept: np.ndarray, weights: np.ndarray, generator: np.random.Generator
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return which run, chain and draw to take for each draw of the mixture, and its mode.

    The draws of a mode stay in their chain and order, so that R-hat can be computed within modes.
    """
    _, chains, count = labels.shape
    mode = allotted(weights, chains * count, generator).reshape(chains, count)
    run, chain, draw = (np.zeros((chains, count), int) for _ in range(3))
    for number, label in enumerate(kept):
        everywhere = np.argwhere(labels == label)
        for c in range(chains):
            wanted = np.flatnonzero(mode[c] == number)
            own = everywhere[everywhere[:, 1] == c]
            pool = own if len(own) >= wanted.size else everywhere
            places = pool[np.arange(wanted.size) * len(pool) // max(wanted.size, 1)]
            run[c, wanted], chain[c, wanted], draw[c, wanted] = places.T
    return (run, chain, draw), mode
