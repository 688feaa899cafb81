"""From a matrix to coefficients and the law of the noise: by the posterior's mode, or its draws."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from xarray import DataTree

from robust_dist._errors import ExactFitError, InputError
from robust_dist.optimize.distances import robust_distances
from robust_dist.regression.coordinates import standardize
from robust_dist.regression.datatree import Setting, parameters
from robust_dist.regression.design.design import Design
from robust_dist.regression.design.matrix import Directions, dependent, directions, matrix_design
from robust_dist.regression.fit import Regression
from robust_dist.regression.likelihoods import Likelihood
from robust_dist.regression.model import make_data
from robust_dist.regression.own_priors import choose
from robust_dist.regression.posterior.log_density import log_density
from robust_dist.regression.posterior.modes import find_mode
from robust_dist.regression.posterior.search import search
from robust_dist.regression.priors import Priors, choose_priors


class Problem(NamedTuple):
    """What is to be fitted."""

    x: np.ndarray
    """shape (n, p)"""
    y: np.ndarray
    names: tuple[str, ...]
    """of the columns"""
    rows: np.ndarray
    """their positions in X"""
    weights: np.ndarray | None
    """how many rows each row stands for, none of them 0"""
    intercept: bool
    likelihood: Likelihood
    priors: Mapping[str, Any]
    """the user's own"""
    leverage: str

    @property
    def response(self) -> str:
        """A name for y that no column has."""
        name = "y"
        while name in self.names:
            name += "_"
        return name


class Fit(NamedTuple):
    """What came of it, one line for each draw."""

    coefficients: np.ndarray
    """shape (draws, p)"""
    intercept: np.ndarray
    """shape (draws,)"""
    noise: dict[str, float]
    """the means of the parameters of the law of the noise"""
    posterior: DataTree | None = None


def at_mode(problem: Problem) -> Fit:
    """Return the fit at the mode of the posterior on the sampler's axes.

    Raises
    ------
    ExactFitError
        If the columns fit all rows.
    """
    # rows that are alike are one row that counts more: so a weight is exactly so many rows
    problem = _merged(problem)
    design, span = _design(problem)
    if problem.leverage == "downweight":
        distances = robust_distances(list(problem.x.T), problem.weights)
        if distances is not None:
            design = replace(design, leverage_weight=distances.weight)
    chosen = choose(design, problem.likelihood, problem.priors)
    coordinates = standardize(design, chosen.own)
    priors = choose_priors(design, coordinates, problem.likelihood, chosen)
    setting = Setting(design, coordinates, problem.likelihood, priors)
    with jax.enable_x64(True):
        data = make_data(design, coordinates, priors, float)
    modes = search(setting, data).modes
    density = log_density(setting, data)
    starts = [mode.position for mode in modes] or [np.zeros(density.size)]
    mode = find_mode(density, np.array(starts))
    _warn(mode.problems)
    sites = density.sites(mode.vector[None])
    draws = parameters(setting, {name: np.asarray(value)[None] for name, value in sites.items()})
    one = {name: values[0] for name, values in draws.items()}
    return _fit(one["beta"], one, priors, problem, span)


def by_draws(problem: Problem, method: str, **options: Any) -> Fit:
    """Return the fit of draws of the posterior.

    Parameters
    ----------
    problem
        What is to be fitted.
    method
        Of ``Regression.fit``, but for ``"map"``.
    options
        Of ``Regression.fit``.

    Raises
    ------
    ExactFitError
        If the columns fit all rows.
    """
    merged = _merged(problem)
    design, span = _design(merged)
    x = problem.x if span is None else span.columns(problem.x)
    slopes = design.coefficients[int(problem.intercept) :]
    frame = pd.DataFrame(x, index=problem.rows, columns=slopes)
    frame[problem.response] = problem.y
    terms = " + ".join([str(int(problem.intercept)), *map(_quoted, slopes)])
    regression = Regression(
        f"{_quoted(problem.response)} ~ {terms}",
        frame,
        problem.likelihood.name,
        problem.priors,
        weights=problem.weights,
        leverage=problem.leverage,
    )
    dt = regression.fit(method=method, progress=False, **options)
    _warn(json.loads(dt.attrs["fit_problems"]))
    posterior = dt["posterior"].dataset
    draws = {
        str(name): values.transpose("chain", "draw", ...).values.reshape(-1, *values.shape[2:])
        for name, values in posterior.data_vars.items()
    }
    places = posterior.get_index("coefficient").get_indexer(pd.Index(design.coefficients))
    beta = draws["beta"][:, places]
    return _fit(beta, draws, regression.priors, problem, span)._replace(posterior=dt)


def through_all_rows(problem: Problem) -> Fit:
    """Return the fit that passes through every row, where the law of the noise is nowhere.

    The limit of the mode as the scale goes to 0, along which the posterior grows where its priors
    allow it; of many such fits that of the shortest coefficients, in units of the columns' spreads.
    """
    span = directions(problem.x, problem.weights, problem.intercept)
    columns = span.columns(problem.x)
    if problem.intercept:
        columns = np.column_stack([np.ones(len(columns)), columns])
    root = 1.0 if problem.weights is None else np.sqrt(problem.weights)[:, None]
    beta = np.linalg.lstsq(columns * root, problem.y * np.ravel(root), rcond=None)[0]
    names = problem.likelihood.law_scales
    noise = dict.fromkeys((shape.name for shape in problem.likelihood.shapes), np.nan)
    slopes, intercept = _of_columns(beta[None], problem, span)
    return Fit(slopes, intercept, noise | dict.fromkeys(names, 0.0))


def _merged(problem: Problem) -> Problem:
    """Return the rows in the order of their numbers, those that are alike as one."""
    x, y, weights = problem.x, problem.y, problem.weights
    order = np.lexsort((*x.T, y))
    x, y = x[order], y[order]
    weights = np.ones(len(y)) if weights is None else weights[order]
    first = np.r_[True, (y[1:] != y[:-1]) | (x[1:] != x[:-1]).any(axis=1)]
    starts = np.flatnonzero(first)
    return problem._replace(x=x[starts], y=y[starts], weights=np.add.reduceat(weights, starts))


def _design(problem: Problem) -> tuple[Design, Directions | None]:
    """Return the design of a matrix, and the directions that stand for dependent columns."""
    x, y, weights, intercept = problem.x, problem.y, problem.weights, problem.intercept
    design, span = matrix_design(x, y, problem.names, problem.response, weights, intercept), None
    if dependent(design):
        span = directions(x, weights, intercept)
        columns = span.columns(x)
        names = tuple(f"direction_{number}" for number in range(columns.shape[1]))
        if not names and not intercept:
            raise InputError("all of X is 0 and there is no intercept: there is nothing to fit")
        if "beta" in problem.priors:
            raise InputError(
                "the columns of X determine each other, so that their coefficients cannot have "
                "priors of their own; drop the columns that are combinations of others"
            )
        design = matrix_design(columns, y, names, problem.response, weights, intercept)
    if len(y) <= len(design.values) or np.ptp(y) == 0:
        raise ExactFitError("the columns of X fit y exactly: there is no noise to learn from")
    return design, span


def _fit(
    beta: np.ndarray,
    draws: Mapping[str, np.ndarray],
    priors: Priors,
    problem: Problem,
    span: Directions | None,
) -> Fit:
    """Return the fit of draws of the parameters, which lead their shapes."""
    likelihood = problem.likelihood
    known = {
        name: np.asarray(draws[name] if name in draws else [priors[name]], float)
        for name in (*likelihood.parameters, *likelihood.given)
    }
    law = likelihood.law_parameters(known)
    noise = {name: float(np.mean(values)) for name, values in law.items()}
    return Fit(*_of_columns(beta, problem, span), noise)


def _of_columns(
    beta: np.ndarray, problem: Problem, span: Directions | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients of X and the intercept, of those of a design."""
    slopes = beta[:, int(problem.intercept) :]
    level = beta[:, 0] if problem.intercept else np.zeros(len(beta))
    if span is None:
        return slopes, level
    slopes = slopes @ span.vectors.T
    return slopes, level - slopes @ span.center


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


def _warn(problems: Any) -> None:
    for problem in problems:
        warnings.warn(problem, ConvergenceWarning, stacklevel=4)
