"""Where to look for modes: fits of the coefficients, of which several explain many rows.

Least absolute deviations, the origin of the sampler's axes, belongs to rows far out in the
predictors. So there are besides that fit of the rows that are not far out, and the best of the fits
through few rows drawn at random, as in the search for the least median of squares (Rousseeuw, JASA
79, 1984): of those that say different things.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpyro import distributions as dist

from robust_dist.optimize.frequencies import SD
from robust_dist.optimize.log_density import LogDensity
from robust_dist.regression.coordinates import least_absolute
from robust_dist.regression.datatree import Setting
from robust_dist.regression.priors import coefficient_places

_ROWS = 1_000
"""rows that are looked at"""
_SUBSETS = 64
_SUBSET_SIZE = 40
"""coefficients up to which some subset is likely to be free of outliers"""
_KEPT = 4
"""fits through few rows, of those that differ"""
_APART = 3.0
"""root mean square by which two fits differ, over the scale of the rows nearest to one"""
# shares of the rows that lie within a median absolute residual: half of those that belong to a fit
_SHARES = (0.5, 0.25)


def candidates(
    setting: Setting, data: Mapping[str, Any], density: LogDensity, near: np.ndarray | None
) -> np.ndarray:
    """Return positions, shape (count, size), the sampler's origin first.

    Parameters
    ----------
    setting, data
        The model and its arguments.
    density
        Of the same.
    near
        Which rows are not far out in the predictors, shape (n,); None if that is all of them.
    """
    origin = np.zeros(density.size)
    x, y, some = _rows(data)
    places = coefficient_places([block.layout for block in setting.priors.blocks["beta"]])
    fits = [np.zeros(x.shape[1])]
    if near is not None and near[some].sum() >= 2 * x.shape[1]:
        fits.append(least_absolute(x[near[some]], y[near[some]]))
    scales = [site for name in setting.likelihood.scales if (site := f"{name}_z") in density.shapes]
    basis = {name: values[0] for name, values in density.sites(origin[None]).items()}
    for shape in setting.likelihood.shapes:
        prior = setting.priors.get(shape.name)
        # half of the rows from elsewhere would be a start at the other end
        if isinstance(prior, dist.Distribution) and np.isfinite(shape.upper):
            basis[shape.name] = np.asarray(prior.mean, float)

    def position(fit: np.ndarray, share: float) -> np.ndarray:
        sites = {name: np.array(value, float) for name, value in basis.items()}
        for (site, place), coefficient in zip(places, fit, strict=True):
            sites[site].flat[place] = coefficient
        scale = SD * np.quantile(np.abs(y - x @ fit), share)
        for site in scales:
            sites[site] = np.asarray(max(float(scale), 1e-3))
        with np.errstate(invalid="ignore", divide="ignore"):  # where a prior's support ends
            return density.positions({name: value[None] for name, value in sites.items()})[0]

    starts = [origin, *(position(fit, _SHARES[0]) for fit in fits)]
    ranked = []
    for fit in _through_few(x, y):
        for share in _SHARES:
            start = position(fit, share)
            ranked.append((density.slope(start)[0], fit, start))
    ranked = [each for each in ranked if np.isfinite(each[0])]
    ranked.sort(key=lambda each: -each[0])
    known = list(fits)
    for _, fit, start in ranked:
        if len(known) >= len(fits) + _KEPT:
            break
        scale = SD * np.quantile(np.abs(y - x @ fit), _SHARES[-1])
        if all(np.sqrt(np.mean((x @ (fit - other)) ** 2)) > _APART * scale for other in known):
            known.append(fit)
            starts.append(start)
    return np.array([start for start in starts if np.isfinite(start).all()])


def _rows(data: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return design and response over their errors, of some of the rows, and which ones."""
    count = len(data["y"])
    keep = np.flatnonzero(np.asarray(data.get("keep", np.ones(count, bool))))
    some = keep[:: -(-keep.size // _ROWS)]
    x, y = (np.asarray(data[name], float)[some] for name in ("x", "y"))
    if data.get("error") is not None:
        error = np.asarray(data["error"], float)[some]
        x, y = x / error[:, None], y / error
    return x, y, some


def _through_few(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return coefficients of fits through as many rows as there are of them."""
    count = x.shape[1]
    if count > min(_SUBSET_SIZE, len(y) // 2):
        return np.zeros((0, count))
    generator = np.random.default_rng(0)
    subsets = np.argsort(generator.random((_SUBSETS, len(y))), axis=1)[:, :count]
    left = x[subsets]
    # rows that repeat each other determine nothing: a little of the identity keeps them finite
    normal = left.transpose(0, 2, 1) @ left + 1e-8 * np.eye(count)
    fits = np.linalg.solve(normal, (left.transpose(0, 2, 1) @ y[subsets][:, :, None]))[:, :, 0]
    return fits[np.isfinite(fits).all(axis=1)]
