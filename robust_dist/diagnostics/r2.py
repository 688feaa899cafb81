"""How much of the response's spread the fit explains."""

import arviz_stats
import numpy as np
import pandas as pd
from scipy.optimize import elementwise
from xarray import DataArray, Dataset, DataTree

from robust_dist._errors import InputError
from robust_dist.diagnostics._noise import log_tails
from robust_dist.diagnostics.row_statistics import once
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.likelihoods import Parameters, likelihood_of
from robust_dist.regression.row_laws import row_law, row_parameters

VARIANCE, QUARTILES = KINDS = ("variance", "quartiles")
# of each kind, the most rows, and draws times rows, that are read: evenly spaced ones
_ROWS = {VARIANCE: 10_000, QUARTILES: 500}
_NUMBERS = {VARIANCE: 4_000_000, QUARTILES: 20_000}


def r2(dt: DataTree, kind: str | None = None) -> DataArray:
    r"""Return draws of R-squared, the share of the response's spread that the fit explains.

    Of each draw of the posterior, with :math:`\mu_i` the location of row i and :math:`V_i` the
    variance of its noise, by ``"variance"`` (Gelman, Goodrich, Gabry and Vehtari)

    .. math::

        R^2 = \frac{\operatorname{Var}_i \mu_i}{\operatorname{Var}_i \mu_i + \frac1n \sum_i V_i},

    and by ``"quartiles"``, for noise that has no variance or an enormous one,

    .. math::

        R^2 = 1 - \left(\frac{Q(Y - \mu)}{Q(Y)}\right)^2,

    with Q the distance between the quartiles of the law that the posterior draw gives to the
    response Y of a row picked at random, and to its distance from the row's location: the robust
    R-squared of Rousseeuw and Leroy, in which these laws stand for the data's median absolute
    deviations. If locations and noise are Normal, both are the same. For noise that is symmetric
    about its only mode :math:`Q(Y - \mu) \le Q(Y)`, so that the share lies between 0 and 1. It is
    one of the middle half of responses: a predictor that only a few rows differ in hardly counts.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    kind
        ``"variance"`` or ``"quartiles"``; by default the latter, but of likelihoods all of whose
        noise has a variance (``"normal"``, ``"laplace"``) the former.

    Returns
    -------
    DataArray
        Of dimensions chain and draw, its kind in ``attrs``. Of many rows and draws evenly spaced
        ones are read: at most 10,000 rows and 4e6 draws times rows, by quartiles 500 and 2e4.

    Raises
    ------
    InputError
        If the noise has no variance under some draw, and it is asked for.

    References
    ----------
    A. Gelman, B. Goodrich, J. Gabry and A. Vehtari, R-squared for Bayesian regression models, The
    American Statistician 73 (2019), 307-309. P. J. Rousseeuw and A. M. Leroy, Robust Regression and
    Outlier Detection, Wiley 1987, chapter 2.
    """
    check_fit(dt)
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, not '{kind}'")
    if kind is None:
        kind = QUARTILES if likelihood_of(dt).shapes else VARIANCE
        if kind == VARIANCE and not np.isfinite(_variance(dt, _read(dt, VARIANCE)[1])).all():
            kind = QUARTILES
    posterior, parameters = _read(dt, kind)
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    explained = _by_variance if kind == VARIANCE else _by_quartiles
    return DataArray(
        explained(dt, parameters, shape),
        dims=("chain", "draw"),
        coords={"chain": posterior["chain"], "draw": posterior["draw"]},
        name="r2",
        attrs={"kind": kind},
    )


def r2_in_words(dt: DataTree) -> str:
    """Return a line with the posterior mean and the 95% interval of R-squared.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    """
    ((kind, figures),) = r2_summary(dt).iterrows()
    mean, lower, upper = (f"{value:.3f}" for value in figures)
    return f"R^2 by {kind}: {mean} (95% interval {lower} to {upper})"


@once
def r2_summary(dt: DataTree) -> pd.DataFrame:
    """Return the same as numbers, in a line under the kind."""
    draws = r2(dt)
    lower, upper = np.quantile(draws, [0.025, 0.975])
    figures = {"mean": float(draws.mean()), "lower": lower, "upper": upper}
    return pd.DataFrame(figures, index=[draws.attrs["kind"]])


def _read(dt: DataTree, kind: str) -> tuple[Dataset, Parameters]:
    """Return the draws that are read, and the parameters of the rows that are."""
    rows = dt["observed_data"].sizes["row"]
    step = -(-rows // _ROWS[kind])
    posterior = dt["posterior"].to_dataset()
    most = max(1, _NUMBERS[kind] // -(-rows // step))
    every = -(-posterior.sizes["chain"] * posterior.sizes["draw"] // most)
    tree = dt.copy()
    tree["posterior"] = DataTree(posterior.isel(draw=slice(None, None, every)))
    return tree["posterior"].to_dataset(), row_parameters(tree, slice(None, None, step))


def _variance(dt: DataTree, parameters: Parameters) -> np.ndarray:
    """Return the variance of the noise, which may be none or infinite."""
    import jax

    with jax.enable_x64(True):
        return np.asarray(row_law(dt, dict(parameters)).variance)


def _by_variance(dt: DataTree, parameters: Parameters, shape: tuple[int, int]) -> np.ndarray:
    """Return ArviZ's Bayesian R-squared, the mean of the rows' variances that of the noise."""
    variance = _variance(dt, parameters)
    if not np.isfinite(variance).all():
        raise InputError(
            f"the noise of some draws has no variance; ask for kind='{QUARTILES}', which needs none"
        )
    loc = parameters["loc"]
    residual = np.broadcast_to(variance, loc.shape).mean(axis=1)
    posterior = {
        "fitted": (("chain", "draw", "row"), loc.reshape(*shape, -1)),
        "residual": (("chain", "draw"), residual.reshape(shape)),
    }
    tree = DataTree.from_dict({"posterior": Dataset(posterior)})
    values = arviz_stats.bayesian_r2(
        tree, pred_mean="fitted", scale="residual", scale_kind="var", summary=False
    )
    return np.reshape(values, shape)


def _by_quartiles(dt: DataTree, parameters: Parameters, shape: tuple[int, int]) -> np.ndarray:
    """Return what is explained of the distance between quartiles, squared."""
    noise = {**parameters, "loc": np.zeros((len(parameters["loc"]), 1))}
    inner, outer = (_distance_of_quartiles(dt, laws) for laws in (noise, parameters))
    return (1 - (inner / outer) ** 2).reshape(shape)


def _distance_of_quartiles(dt: DataTree, parameters: Parameters) -> np.ndarray:
    """Return that of the mixture of the rows' laws, for each draw."""
    loc = parameters["loc"]
    unit = parameters[likelihood_of(dt).law_scales[0]]
    low, high = (loc - unit).min(axis=1), (loc + unit).max(axis=1)

    def excess(value: np.ndarray, draw: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Return how much more than a share lies below a value."""
        chosen = draw.astype(int)
        own = {name: x[chosen] if len(x) > 1 else x for name, x in parameters.items()}
        lower, _ = log_tails(dt, value[:, None], own)
        return np.exp(lower).mean(axis=1) - share

    def quartile(share: float) -> np.ndarray:
        arguments = (np.arange(len(loc)), share)
        bracket = elementwise.bracket_root(excess, low, high, args=arguments).bracket
        tolerances = {"fatol": 1e-6, "frtol": 0.0}
        return np.asarray(
            elementwise.find_root(excess, bracket, args=arguments, tolerances=tolerances).x
        )

    return quartile(0.75) - quartile(0.25)
