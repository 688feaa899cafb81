"""How heavy the tails are: alpha against its landmarks, and what that means for rows."""

import numpy as np
import pandas as pd
from scipy import stats
from xarray import DataTree

from robust_dist.diagnostics._noise import differs, log_tails, robust_sd
from robust_dist.diagnostics.row_statistics import (
    noise_parameters,
    noise_spread,
    once,
    row_statistics,
)
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.likelihoods import Parameters, Shape, likelihood_of

# robust standard deviations of which a person asks
_DISTANCES = (3, 5)


@once
def tail_summary(dt: DataTree) -> pd.DataFrame:
    r"""Return what the posterior says of the tails: alpha at its landmarks, and far rows.

    Beyond k robust standard deviations s the law expects, of the rows to come, the proportion
    :math:`P(|y - \mathrm{loc}| > k s)`. s is the standard deviation of the Normal law with the
    noise's quartiles, which 1.4826 times the median absolute residual estimates, so that the
    proportions compare the tails alone.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    Returns
    -------
    DataFrame
        Lines ``P(alpha < 1)``, ``P(alpha < 2)`` (for Student's t ``P(nu < 2)``, ``P(nu < 30)``;
        none where the shape is fixed), ``beyond 3 robust sd`` and ``beyond 5 robust sd``. Columns
        ``posterior``; ``lower`` and ``upper``, the 95% interval of a proportion; ``observed``, that
        of the rows of the data (by ``standardized_residuals``); ``prior``, the same under the
        prior, if the fit holds its draws; ``normal``, the same of Normal noise.
        Where a formula makes alpha differ from row to row, everything is averaged over the rows.
    """
    check_fit(dt)
    parameters = noise_parameters(dt)
    prior = _prior_shapes(dt, parameters)
    lines = {}
    for shape in likelihood_of(dt).shapes:
        draws = parameters[shape.name]
        # fixed, at infinity maybe, whose range is no number
        if draws.min() == draws.max():
            continue
        drawn = _draws(dt, "prior", shape)
        for value in shape.landmarks:
            lines[_below_line(shape.name, value)] = {
                "posterior": np.mean(draws < value),
                "prior": np.nan if drawn is None else np.mean(drawn < value),
            }
    far = np.abs(row_statistics(dt, "residual")["residual"].values)
    shares = _beyond(dt, parameters, noise_spread(dt))
    prior_shares = None if prior is None else _beyond(dt, prior, robust_sd(dt, _centred(prior)))
    for k in _DISTANCES:
        share = shares[k].mean(axis=1)
        lower, upper = np.quantile(share, [0.025, 0.975])
        lines[_beyond_line(k)] = {
            "posterior": share.mean(),
            "lower": lower,
            "upper": upper,
            "observed": np.mean(far > k),
            "prior": np.nan if prior_shares is None else prior_shares[k].mean(),
            "normal": 2 * stats.norm.sf(k),
        }
    columns = ["posterior", "lower", "upper", "observed", "prior", "normal"]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns).astype(float)


def read_tails(dt: DataTree) -> str:
    """Return in a few sentences what the posterior says about the tails.

    The landmarks of alpha are 0 (Cauchy), 1 (hyperbolic, as the smooth Huber loss) and 2 (Normal).
    Then come the proportions of ``tail_summary``, those that the law expects beside those observed.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    """
    return tails_in_words(dt, tail_summary(dt))


def tails_in_words(dt: DataTree, table: pd.DataFrame) -> str:
    """Return the same, of a fit whose ``tail_summary`` is known."""
    near, far = (expected_and_observed(dt, table, k) for k in _DISTANCES)
    normal = " and ".join(_percent(beyond(table, k, "normal")) for k in _DISTANCES)
    return f"{_read_shapes(dt, table)}. The law expects {near}, and {far} (Normal noise: {normal})."


def _below_line(name: str, value: float) -> str:
    """Return the name of the line about a shape below a landmark."""
    return f"P({name} < {value})"


def _beyond_line(k: int) -> str:
    """Return the name of the line about rows beyond k robust standard deviations."""
    return f"beyond {k} robust sd"


def beyond(table: pd.DataFrame, k: int, column: str) -> float:
    """Return the proportion of rows beyond k robust standard deviations, of ``tail_summary``."""
    return float(table[column][_beyond_line(k)])


def expected_and_observed(dt: DataTree, table: pd.DataFrame, k: int) -> str:
    """Return how many rows the law expects to lie so far off, and how many of the data do."""
    expected, observed = (beyond(table, k, column) for column in ("posterior", "observed"))
    rows = dt["observed_data"].sizes["row"]
    return (
        f"{_percent(expected)} of rows beyond {k} robust sd, where {round(observed * rows)} of "
        f"{rows} ({_percent(observed)}) lie"
    )


def _draws(dt: DataTree, group: str, shape: Shape) -> np.ndarray | None:
    """Return the draws of a shape that all rows share, if the fit has them."""
    known = group in dt.children and shape.name in dt[group].dataset
    return dt[group].dataset[shape.name].values.ravel() if known else None


def _prior_shapes(dt: DataTree, parameters: Parameters) -> Parameters | None:
    """Return the parameters of the noise under the prior, if the fit has its draws.

    Not of a contaminated law, whose tails depend on where the row lies.
    """
    if "prior" not in dt.children:
        return None
    prior = dt["prior"].dataset
    scales = likelihood_of(dt).law_scales
    # of several scales their ratios matter, of one nothing does
    unit = {scales[0]: np.ones((1, 1))} if len(scales) == 1 else {}
    needed = parameters.keys() - unit.keys()
    if not needed <= {*prior.data_vars}:
        return None
    return {name: prior[name].values.reshape(-1, 1) for name in needed} | unit


def _centred(parameters: Parameters) -> Parameters:
    """Return the parameters of the law of the noise alone."""
    return {**parameters, "loc": np.zeros((1, 1))}


def _beyond(dt: DataTree, parameters: Parameters, unit: np.ndarray) -> dict[int, np.ndarray]:
    """Return P(abs(Y - loc) > k robust sd) by k, each of shape (samples, rows)."""
    law = _centred(parameters)
    size = max(value.shape[0] for value in parameters.values())
    symmetric = likelihood_of(dt).symmetric
    shares = {}
    for k in _DISTANCES:
        lower, _ = log_tails(dt, -k * unit, law)
        upper = lower if symmetric else log_tails(dt, k * unit, law)[1]
        share = np.exp(lower) + np.exp(upper)
        shares[k] = np.broadcast_to(share, (size, share.shape[1]))
    return shares


def _percent(share: float) -> str:
    """Return a proportion in percent, to two digits."""
    percent = 100 * share
    return f"{percent:.2g}%" if percent >= 0.01 or percent == 0 else "less than 0.01%"


def _read_shapes(dt: DataTree, table: pd.DataFrame) -> str:
    """Return what is known of the shapes, without a full stop."""
    likelihood = likelihood_of(dt)
    if not likelihood.shapes:
        return f"the tails are {likelihood.title} by assumption"
    return "; ".join(_read_shape(dt, table, shape) for shape in likelihood.shapes)


def _read_shape(dt: DataTree, table: pd.DataFrame, shape: Shape) -> str:
    """Return what is known of one shape."""
    name = shape.name
    if f"{name}_fixed" in dt.attrs:
        return f"{name} is fixed at {float(dt.attrs[f'{name}_fixed']):g}"
    if differs(dt, shape):
        mean = noise_parameters(dt)[name].mean(axis=0)
        line = _below_line(name, shape.landmarks[0])
        return (
            f"{name} differs from row to row, from {mean.min():.2f} to {mean.max():.2f} "
            f"(posterior means); {line} is {float(table['posterior'][line]):.2f} on average"
        )
    draws, prior = (_draws(dt, group, shape) for group in ("posterior", "prior"))
    assert draws is not None
    return shape.read(draws, prior, dt["observed_data"].dataset["y"].size)
