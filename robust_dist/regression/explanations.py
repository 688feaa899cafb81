"""What else the data may say: the modes of a posterior, and fits that trust rows less.

Rows far out in the predictors can own a fit, so that the law of the noise never gets to doubt them,
and then the right fit may not even be a mode of the posterior. So the fit is held against two
others: one that gives such rows less weight, and one whose law expects some rows to be from
elsewhere. Where one of them lies elsewhere, further off than both are wide, the data have two
explanations.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.special import chdtri
from xarray import Dataset

from robust_dist.optimize.distances import Distances
from robust_dist.optimize.explore import LocalMode, shares
from robust_dist.optimize.log_density import LogDensity
from robust_dist.regression.datatree import Setting
from robust_dist.regression.likelihoods import CONTAMINATED, LIKELIHOODS
from robust_dist.regression.model import background_data
from robust_dist.regression.own_priors import choose
from robust_dist.regression.posterior.choice import choose_sampler
from robust_dist.regression.posterior.draw import draw_near
from robust_dist.regression.posterior.mixture import LEAST, Mixture
from robust_dist.regression.posterior.run import Run
from robust_dist.regression.posterior.search import Search, search
from robust_dist.regression.priors import choose_priors, coefficient_places, joined

# of two fits that say the same, one pair in two hundred is further apart
_RARE = 0.005

DOWNWEIGHTED = "downweighted"
"""with less weight for rows far out in the predictors"""
FULL = "full weights"
"""with none less, where such rows were downweighted"""


class Coefficients(NamedTuple):
    """What an explanation says of the coefficients of the location, in the sampler's units."""

    mean: np.ndarray
    """shape (p,)"""
    covariance: np.ndarray
    """shape (p, p)"""
    weight: float = np.nan
    """of a mode of the posterior, its share of the mass"""


class Other(NamedTuple):
    """A fit to compare with."""

    name: str
    setting: Setting
    data: Mapping[str, Any]


class Doubts(NamedTuple):
    """What is known of rows far out in the predictors, and what was made of it."""

    distances: Distances | None
    weights: np.ndarray | None
    """the rows' weights without what the distances leave of them"""
    leverage: str
    """``"report"``, or ``"downweight"`` where the fit has less weight for such rows"""


def other_fits(
    setting: Setting, data: Mapping[str, Any], doubts: Doubts, given: Mapping[str, Any]
) -> list[Other]:
    """Return what a fit is to be compared with.

    Parameters
    ----------
    setting, data
        What was fitted.
    doubts
        Of its rows.
    given
        The user's own priors.
    """
    others = []
    distances = doubts.distances
    if distances is not None and distances.far.size:
        full = np.ones(len(setting.design.y)) if doubts.weights is None else doubts.weights
        if doubts.leverage == "downweight":
            others.append(Other(FULL, setting, {**data, "weights": full}))
        else:
            less = full * distances.weight
            others.append(Other(DOWNWEIGHTED, setting, {**data, "weights": less}))
    likelihood = LIKELIHOODS[CONTAMINATED]
    if setting.likelihood is not likelihood:
        # of its own parameters those that have another name keep their default priors
        foreign = {*setting.likelihood.parameters} - {*likelihood.parameters}
        own = {name: prior for name, prior in given.items() if name not in foreign}
        chosen = choose(setting.design, likelihood, own)
        priors = choose_priors(setting.design, setting.coordinates, likelihood, chosen)
        contaminated = Setting(setting.design, setting.coordinates, likelihood, priors)
        arguments = {**data, **background_data(setting.design, setting.coordinates, priors)}
        others.append(Other(CONTAMINATED, contaminated, arguments))
    return others


def of_draws(setting: Setting, mixture: Mixture) -> list[Coefficients]:
    """Return what the draws of each mode of a posterior say."""
    z = _joined(setting, mixture.sites)
    labels = mixture.statistics.get("mode", np.zeros(z.shape[:2], int))
    return [_moments(z[labels == number], weight) for number, weight in enumerate(mixture.weights)]


def of_modes(setting: Setting, result: Search) -> list[Coefficients]:
    """Return what the modes of a posterior say, by Laplace's approximation of each."""
    weights = shares([mode.log_evidence for mode in result.modes])
    each = [_by_laplace(result.density, mode, setting) for mode in result.modes]
    return [
        one._replace(weight=float(weight))
        for one, weight in zip(each, weights, strict=True)
        if one is not None and weight >= LEAST
    ]


def explain(
    setting: Setting,
    own: list[Coefficients],
    others: list[Other],
    near: np.ndarray | None,
    run: Run,
    seed: int,
) -> Dataset:
    """Return what the fit and others say of the coefficients, and whether they lie elsewhere.

    Parameters
    ----------
    setting
        What was fitted.
    own
        What each mode of its posterior says.
    others
        What to compare with: they have the same coordinates.
    near
        Which rows are not far out in the predictors.
    run, seed
        How to draw from another model, which is done only where it seems to lie elsewhere.

    Returns
    -------
    Dataset
        ``mean`` and ``sd`` of each coefficient, in the user's units, ``shift`` from the first
        explanation in its sds, ``weight`` of a mode of the posterior (nan of others), and
        ``elsewhere``, of dimensions ``explanation`` and ``coefficient``.
    """
    explained = list(own)
    names = ["posterior"]
    if len(own) > 1:
        names = [f"mode {number + 1}" for number in range(len(own))]
    elsewhere = [number > 0 for number in range(len(own))]
    for other in others:
        result = search(other.setting, other.data, near)
        coefficients = (
            _by_laplace(result.density, result.modes[0], other.setting) if result.modes else None
        )
        if coefficients is None:
            continue
        away = all(_apart(coefficients, each) for each in own)
        if away:
            # by Laplace it would be too narrow: judged, and shown, by draws
            sampler = choose_sampler("auto", other.setting, other.data)
            drawing = (result.density, result.modes[0], (seed, 2), run, sampler)
            sites, _ = draw_near(other.setting, other.data, *drawing)
            z = _joined(other.setting, sites)
            coefficients = _moments(z.reshape(-1, z.shape[-1]))
            away = all(_apart(coefficients, each) for each in own)
        explained.append(coefficients)
        names.append(other.name)
        elsewhere.append(away)
    return _table(setting, explained, names, elsewhere)


def _joined(setting: Setting, sites: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the sampler's coefficients of the location, along the last axis."""
    blocks = setting.priors.blocks["beta"]
    values = {block.layout.site: np.asarray(sites[block.layout.site], float) for block in blocks}
    return np.asarray(joined(values, [block.layout for block in blocks]))


def _moments(z: np.ndarray, weight: float = np.nan) -> Coefficients:
    covariance = np.atleast_2d(np.cov(z.T)) if len(z) > 1 else np.full((z.shape[1],) * 2, np.nan)
    return Coefficients(z.mean(axis=0), covariance, weight)


def _by_laplace(density: LogDensity, mode: LocalMode, setting: Setting) -> Coefficients | None:
    """Return what the Normal about a mode says; None if it has no width."""
    if mode.factor is None:
        return None
    layouts = [block.layout for block in setting.priors.blocks["beta"]]
    places = [density.places(site).start + n for site, n in coefficient_places(layouts)]
    factor = mode.factor[places]
    return Coefficients(mode.position[places], factor @ factor.T)


def _apart(one: Coefficients, other: Coefficients) -> bool:
    """Return whether two fits are further apart than both are wide."""
    difference = one.mean - other.mean
    covariance = one.covariance + other.covariance
    size = np.sqrt(np.diag(covariance))
    if not np.isfinite(size).all() or not size.all():
        return False
    scaled = covariance / np.outer(size, size)
    distance = (difference / size) @ np.linalg.lstsq(scaled, difference / size, rcond=1e-10)[0]
    return bool(distance > chdtri(difference.size, _RARE))


def _table(
    setting: Setting,
    explained: list[Coefficients],
    names: list[str],
    elsewhere: list[bool],
) -> Dataset:
    coordinates = setting.coordinates
    numbers = coordinates.constants
    moves = numbers.moves - np.outer(numbers.ones, numbers.center @ numbers.moves)
    mean = np.array([coordinates.coefficients(each.mean) for each in explained])
    sd = np.sqrt([np.diag(moves @ each.covariance @ moves.T) for each in explained])
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (mean - mean[0]) / sd[0]
    both = ("explanation", "coefficient")
    return Dataset(
        {
            "mean": (both, mean),
            "sd": (both, sd),
            "shift": (both, shift),
            "weight": ("explanation", [each.weight for each in explained]),
            "elsewhere": ("explanation", np.asarray(elsewhere, bool)),
        },
        coords={"explanation": names, "coefficient": list(setting.design.coefficients)},
    )
