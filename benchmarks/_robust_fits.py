"""Robust fits of a line, ours and others', and what each says of slopes, new rows and outliers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import statsmodels.api as sm
from _noisy_lines import SLOPES, Lines
from scipy.stats import norm
from statsmodels.robust.resistant_linear_model import RLMDetSMM

from robust_dist.diagnostics import explanations
from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.regression import Regression

DRAWS, WARMUP, CHAINS = 500, 500, 4
NAMES = ["x1", "x2", "x3"]
_FAR = 3.0
"""robust sds beyond which a row is called an outlier"""
_WIDE = 3.0
"""sds within which a slope is right"""


class Said(NamedTuple):
    """What a fit says of a data set, held against the truth: one line of the results."""

    x1: float
    """the slope that bad leverage rows are out to change"""
    sd_x1: float
    error: float
    """mean squared error of the slopes"""
    covered: float
    """share of slopes within their 95 % intervals"""
    width: float
    """mean width of these"""
    predicted: float
    """share of new rows within their 95 % intervals"""
    found: float
    """share of bad rows that are called outliers; nan if there are none"""
    false: float
    """share of good rows that are"""
    warned: float
    """whether another explanation is reported; nan of fits that report none"""
    right: float
    """whether the slope of x1, or that of a reported explanation, is within 3 sds of the truth"""


def _held_against_truth(
    lines: Lines,
    slopes: np.ndarray,
    sds: np.ndarray,
    interval: np.ndarray,
    predictive: np.ndarray,
    outlier: np.ndarray,
    reported: tuple[np.ndarray, np.ndarray] | None = None,
) -> Said:
    """Return the line of the results.

    Parameters
    ----------
    lines
        What was fitted.
    slopes, sds
        Shape (3,).
    interval, predictive
        Lower and upper ends, of slopes and of new rows, shapes (2, 3) and (2, m).
    outlier
        Which rows are called one, shape (n,).
    reported
        Mean and sd of the slope of x1 under each other explanation.
    """
    mean, sd = reported or (np.zeros(0), np.zeros(0))
    mean, sd = np.append(slopes[0], mean), np.append(sds[0], sd)
    inside = (interval[0] <= SLOPES) & (interval[1] >= SLOPES)
    expected = (predictive[0] <= lines.new_y) & (lines.new_y <= predictive[1])
    return Said(
        x1=float(slopes[0]),
        sd_x1=float(sds[0]),
        error=float(np.mean((slopes - SLOPES) ** 2)),
        covered=float(inside.mean()),
        width=float(np.mean(interval[1] - interval[0])),
        predicted=float(expected.mean()),
        found=float(outlier[lines.bad].mean()) if lines.bad.any() else np.nan,
        false=float(outlier[~lines.bad].mean()),
        warned=np.nan if reported is None else float(mean.size > 1),
        right=float(np.any(np.abs(mean - SLOPES[0]) <= _WIDE * sd)),
    )


def bayesian(law: str, leverage: str, lines: Lines, seed: int) -> Said:
    """Return what ``Regression.fit`` says by default, but for fewer draws."""
    frame = pd.DataFrame({"y": lines.y, **dict(zip(NAMES, lines.x.T, strict=True))})
    regression = Regression("y ~ x1 + x2 + x3", frame, law, leverage=leverage)
    dt = regression.fit(draws=DRAWS, warmup=WARMUP, chains=CHAINS, seed=seed, progress=False)
    beta = dt["posterior"]["beta"].sel(coefficient=NAMES).values.reshape(-1, 3)
    new = pd.DataFrame(lines.new_x, columns=NAMES)
    response = regression.predict(dt, new, kind="response", seed=seed).values
    rows = row_statistics(dt, "residual", "probability")
    outlier = np.abs(rows["residual"].values) > _FAR
    if "probability" in rows:
        outlier = rows["probability"].values > 0.5
    table = explanations(dt).xs("x1", level="coefficient")
    other = table["elsewhere"].to_numpy(bool, copy=True)
    # modes are elsewhere of the first: then the first is an explanation too, not the mixture
    other[0] = np.isfinite(table["weight"]).sum() > 1
    reported = table["mean"].to_numpy()[other], table["sd"].to_numpy()[other]
    return _held_against_truth(
        lines,
        beta.mean(axis=0),
        beta.std(axis=0),
        np.quantile(beta, [0.025, 0.975], axis=0),
        np.quantile(response.reshape(-1, response.shape[-1]), [0.025, 0.975], axis=0),
        outlier,
        reported,
    )


def classical(fit: Callable[[np.ndarray, np.ndarray], Any], lines: Lines, seed: int) -> Said:
    """Return what an estimate and its standard errors say, taken for Normal."""
    design = sm.add_constant(lines.x, has_constant="add")
    with warnings.catch_warnings():
        # some data sets take more iterations than statsmodels gives them
        warnings.simplefilter("ignore")
        found = fit(lines.y, design)
    new = sm.add_constant(lines.new_x, has_constant="add")
    scale = np.sqrt(found.scale) if isinstance(found.model, sm.OLS) else found.scale
    sd = np.sqrt(scale**2 + np.einsum("ij,jk,ik->i", new, found.cov_params(), new))
    reach = norm.ppf(0.975) * np.array([[-1.0], [1.0]])
    return _held_against_truth(
        lines,
        found.params[1:],
        found.bse[1:],
        found.conf_int()[1:].T,
        new @ found.params + reach * sd,
        np.abs(lines.y - design @ found.params) > _FAR * scale,
    )


def _m_estimate(norm_of_residuals: Any) -> Callable[[np.ndarray, np.ndarray], Any]:
    return lambda y, x: sm.RLM(y, x, norm_of_residuals).fit()


FITS: dict[str, Callable[[Lines, int], Said]] = {
    "general_robust": partial(bayesian, "general_robust", "report"),
    "downweighted": partial(bayesian, "general_robust", "downweight"),
    "contaminated": partial(bayesian, "contaminated", "report"),
    "student_t": partial(bayesian, "student_t", "report"),
    "normal": partial(bayesian, "normal", "report"),
    "least squares": partial(classical, lambda y, x: sm.OLS(y, x).fit()),
    "Huber": partial(classical, _m_estimate(sm.robust.norms.HuberT())),
    "bisquare": partial(classical, _m_estimate(sm.robust.norms.TukeyBiweight())),
    "MM": partial(classical, lambda y, x: RLMDetSMM(y, x).fit(len(y) // 2 + 1)),
}
