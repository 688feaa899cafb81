"""Whether the data contradict a prior."""

from typing import NamedTuple

import numpy as np
from xarray import DataTree

from robust_dist._words.numbers import to_precision
from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.optimize.frequencies import SD
from robust_dist.regression.coordinates import least_absolute
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.likelihoods import likelihood_of
from robust_dist.regression.row_laws import bounds_of, constants

# fewer draws of a prior do not reach into its tails
_FEWEST = 400
# how far the estimates of the data alone are held to be off at most
_STANDARD_ERRORS = 3.0
# Of Normal noise: the standard error of least absolute deviations over that of least squares, and
# sqrt(n) times that of the logarithm of the median absolute residual.
_LOCATION_ERROR, _LOG_SCALE_ERROR = 1.2533, 1.17


def prior_problems(dt: DataTree) -> list[str]:
    """Return a sentence for each coefficient and scale whose prior the data contradict.

    The data speak alone in a fit by least absolute deviations, in which priors have no part: it
    gives coefficients, the scale of the residuals, and their standard errors. A prior is
    contradicted if none of its draws comes within three standard errors of that; the posterior is
    then squeezed between the two, wherever it lies. (Scaling the prior's power, by
    ``arviz_stats.psense_summary``, does not tell a contradiction from a prior that says something:
    with few rows any prior of sigma does.) Group-specific effects are taken as they were fitted.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``. Nothing is said of one with fewer than 400
        draws of the prior, as of very many rows, where priors count for little, and of censored
        and truncated responses, which least absolute deviations would take at their word.
    """
    check_fit(dt)
    few = "prior" not in dt.children or dt["prior"].sizes["draw"] < _FEWEST
    if few or bounds_of(dt):
        return []
    prior, posterior = dt["prior"].dataset, dt["posterior"].dataset
    data = _data_alone(dt)
    problems = []
    if "beta" in prior:
        for number, name in enumerate(prior["coefficient"].values):
            problems += _contradiction(
                str(name),
                prior["beta"].isel(coefficient=number).values,
                posterior["beta"].isel(coefficient=number).values,
                data.low[number],
                data.high[number],
            )
    for name in likelihood_of(dt).scales:
        if name in prior:
            fitted = posterior[name].values
            low, high = fitted.mean() * np.asarray(data.ratio)
            problems += _contradiction(name, prior[name].values, fitted, low, high)
    return problems


class _DataAlone(NamedTuple):
    """Intervals that need no prior."""

    low: np.ndarray
    high: np.ndarray
    """of the coefficients, shape (p,)"""
    ratio: tuple[float, float]
    """of the scale over that of the posterior"""


def _data_alone(dt: DataTree) -> _DataAlone:
    """Return what least absolute deviations say of rows in units of their own spread."""
    constant = constants(dt)
    x = constant["x"].values
    rows, columns = x.shape
    beta = dt["posterior"].dataset["beta"].mean(("chain", "draw")).values
    laws = row_statistics(dt, "fitted", "spread")
    unit = laws["spread"].values
    if "weights" in constant:
        unit = unit / np.sqrt(constant["weights"].values)
    # without offset and group-specific effects
    response = dt["observed_data"].dataset["y"].values - (laws["fitted"].values - x @ beta)
    largest = np.abs(x).max(axis=0)
    size = np.where(largest > 0, largest, 1.0)
    basis, singular, turn = np.linalg.svd(x / size / unit[:, None], full_matrices=False)
    # a direction that the rows do not tell has an estimate with an enormous error
    back = turn.T / np.maximum(singular, 1e-12 * singular[0]) / size[:, None]
    along = least_absolute(basis, response / unit)
    residual = np.sort(np.abs(response / unit - basis @ along))
    # least absolute deviations pass through as many points as there are coefficients
    middle = np.median(residual[min(columns, rows - 1) :]) or residual.mean()
    scale = SD * float(middle)
    error = _STANDARD_ERRORS * _LOCATION_ERROR * scale * np.linalg.norm(back, axis=1)
    factor = np.exp(_STANDARD_ERRORS * _LOG_SCALE_ERROR / np.sqrt(rows))
    estimate = back @ along
    return _DataAlone(estimate - error, estimate + error, (scale / factor, scale * factor))


def _contradiction(
    name: str, prior: np.ndarray, posterior: np.ndarray, low: float, high: float
) -> list[str]:
    """Return a sentence if no draw of the prior lies between low and high, or beyond."""
    if prior.min() <= high and prior.max() >= low:
        return []
    sd = (high - low) / (2 * _STANDARD_ERRORS)
    estimate, fitted = to_precision((low + high) / 2, sd), to_precision(posterior.mean(), sd)
    first, last = (f"{edge:.3g}" for edge in (prior.min(), prior.max()))
    return [
        f"the data contradict the prior of '{name}', which reaches from {first} to {last}: a "
        f"robust fit to the data alone gives {estimate} +- {to_precision(sd, sd)}, and the "
        f"posterior mean is {fitted}; widen that prior, or check the units"
    ]
