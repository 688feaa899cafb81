"""How heavy the tails are: alpha against its landmarks, and what that means for rows."""

import numpy as np
import pandas as pd
from scipy import stats
from xarray import DataTree

from robust_dist.diagnostics._blocks import Parameters
from robust_dist.diagnostics._noise import likelihood, log_tails, robust_sd
from robust_dist.diagnostics.row_statistics import noise_parameters, row_statistics
from robust_dist.regression.fitted import check_fit

# robust standard deviations of which a person asks
_DISTANCES = (3, 5)
# Below alpha = 1 a far row's pull falls again, 2 is Normal. Student's t has no variance below 2,
# and from 30 on is Normal for every practical purpose.
_LANDMARKS = {"alpha": (1, 2), "nu": (2, 30)}
_NAMES = {"normal": "Normal", "laplace": "Laplace", "cauchy": "Cauchy"}


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
    for name, landmarks in _LANDMARKS.items():
        # fixed, at infinity maybe, whose range is no number
        if name not in parameters or parameters[name].min() == parameters[name].max():
            continue
        for value in landmarks:
            lines[f"P({name} < {value})"] = {
                "posterior": np.mean(parameters[name] < value),
                "prior": np.nan if prior is None else np.mean(prior[name] < value),
            }
    far = np.abs(row_statistics(dt, "residual")["residual"].values)
    for k in _DISTANCES:
        share = _beyond(dt, parameters, k).mean(axis=1)
        lower, upper = np.quantile(share, [0.025, 0.975])
        lines[_beyond_line(k)] = {
            "posterior": share.mean(),
            "lower": lower,
            "upper": upper,
            "observed": np.mean(far > k),
            "prior": np.nan if prior is None else _beyond(dt, prior, k).mean(),
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
    return f"{_read_shape(dt, table)}. The law expects {near}, and {far} (Normal noise: {normal})."


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


def _prior_shapes(dt: DataTree, parameters: Parameters) -> Parameters | None:
    """Return the parameters of the noise under the prior, if the fit has its draws."""
    if "prior" not in dt.children:
        return None
    prior = dt["prior"].dataset
    needed = [name for name in parameters if name != "scale"]
    if any(name not in prior for name in needed):
        return None
    draws = {name: prior[name].values.reshape(-1, 1) for name in needed}
    return {**draws, "scale": np.ones((1, 1))} if "scale" in parameters else draws


def _beyond(dt: DataTree, parameters: Parameters, k: float) -> np.ndarray:
    """Return P(abs(Y - loc) > k robust sd), of shape (samples, rows)."""
    law = {**parameters, "loc": np.zeros((1, 1))}
    distance = k * robust_sd(dt, law)
    lower, _ = log_tails(dt, -distance, law)
    _, upper = log_tails(dt, distance, law)
    size = max(value.shape[0] for value in parameters.values())
    beyond = np.exp(lower) + np.exp(upper)
    return np.broadcast_to(beyond, (size, beyond.shape[1]))


def _percent(share: float) -> str:
    """Return a proportion in percent, to two digits."""
    percent = 100 * share
    return f"{percent:.2g}%" if percent >= 0.01 or percent == 0 else "less than 0.01%"


def _read_shape(dt: DataTree, table: pd.DataFrame) -> str:
    """Return what is known of the shape, without a full stop."""
    law = likelihood(dt)
    posterior = dt["posterior"].dataset
    if law in _NAMES:
        return f"the tails are {_NAMES[law]} by assumption"
    if law == "student_t":
        nu = posterior["nu"].values.ravel()
        low, high = np.quantile(nu, [0.025, 0.975])
        return f"nu is {nu.mean():.2g} (95% interval {low:.2g} to {high:.2g})"
    if "alpha_fixed" in dt.attrs:
        return f"alpha is fixed at {float(dt.attrs['alpha_fixed']):g}"
    if "beta_alpha" in posterior:
        alpha = noise_parameters(dt)["alpha"].mean(axis=0)
        below = float(table["posterior"]["P(alpha < 1)"])
        return (
            f"alpha differs from row to row, from {alpha.min():.2f} to {alpha.max():.2f} "
            f"(posterior means); P(alpha < 1) is {below:.2f} on average"
        )
    return _read_alpha(dt)


def _read_alpha(dt: DataTree) -> str:
    """Return what the posterior of an alpha that all rows share says."""
    alpha = dt["posterior"].dataset["alpha"].values.ravel()
    low, high = np.quantile(alpha, [0.025, 0.975])
    below = float(np.mean(alpha < 1))
    figures = (
        f"alpha is {alpha.mean():.2f} (95% interval {low:.2f} to {high:.2f}), "
        f"P(alpha < 1) = {below:.2f}"
    )
    n = dt["observed_data"].dataset["y"].size
    if _says_little(dt, alpha):
        verdict = (
            f"{n} rows cannot tell heavy tails from Normal ones: "
            "the posterior of alpha is nearly as wide as its prior"
        )
    elif high < 1:
        verdict = (
            "the tails are heavy, between Cauchy (0) and hyperbolic (1): "
            "outlying rows count for little"
        )
    elif low > 2:
        verdict = "the tails are lighter than Normal (2)"
    elif low > 1:
        verdict = (
            "the tails are lighter than hyperbolic (1) and nearer to Normal (2): "
            "no row is set aside"
        )
    else:
        side = "heavier than hyperbolic (1), towards Cauchy (0)"
        other = "lighter than hyperbolic (1), towards Normal (2)"
        likely, unlikely = (side, other) if below > 0.5 else (other, side)
        sure = "probably" if max(below, 1 - below) > 0.8 else "perhaps"
        verdict = f"the tails are {sure} {likely}, but {n} rows do not rule out {unlikely}"
    return f"{figures}: {verdict}"


def _says_little(dt: DataTree, alpha: np.ndarray) -> bool:
    """Whether so much of the prior's spread is left that the data have hardly spoken."""
    if "prior" not in dt.children or "alpha" not in dt["prior"].dataset:
        return False
    prior = dt["prior"].dataset["alpha"].values.ravel()
    return bool(alpha.std() > 0.85 * prior.std())
