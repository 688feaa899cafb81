"""Predictions of new rows from a DataTree, also one that was read back from a file."""

from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from xarray import DataArray, DataTree

from robust_dist._arguments import check_type, probability, seed_number
from robust_dist._errors import InputError
from robust_dist.regression import training_data
from robust_dist.regression.datatree import row_labels
from robust_dist.regression.design.formula import evaluate
from robust_dist.regression.design.frame import to_frame
from robust_dist.regression.design.functions import Functions, check_functions
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.likelihoods import likelihood_of
from robust_dist.regression.new_rows import (
    FITTED,
    GROUPS,
    MIXED,
    NEW,
    POPULATION,
    UNSEEN,
    met_groups,
    new_rows,
    whole_rows,
)
from robust_dist.regression.rounding import round_to_grid
from robust_dist.regression.row_laws import (
    Rows,
    blocks,
    check_coefficients,
    evaluate_rows,
    resolution_of,
    row_law,
    rows_of,
    thinned,
    with_design,
)

MEAN, RESPONSE, LINEAR = KINDS = ("mean", "response", "linear")


def predict(
    dt: DataTree,
    new_data: Any = None,
    kind: str = MEAN,
    *,
    groups: str = FITTED,
    unseen: str = MIXED,
    offset: Any = None,
    measurement_error: Any = None,
    drop_missing: bool = False,
    functions: Functions | None = None,
    seed: int = 0,
) -> DataArray:
    """Return draws of what the fit says of new rows.

    Parameters
    ----------
    dt
        A fit, as it came or read back from netCDF.
    new_data
        A table with the columns that predict; None for the rows of the fit.
    kind
        ``"mean"``, the mean of the response, which for symmetric noise is its centre even where
        tails are so heavy that there is no mean; ``"response"``, draws of the response itself,
        rounded as the data's are if the fit has a ``resolution`` (the mean is that before); or
        ``"linear"``, the linear predictor without the offset.
    groups
        Which effects the groups of rows have: ``"fitted"``, those of their levels;
        ``"population"``, none, so that the prediction is that of a group whose effects are zero,
        and new data need not name the group; or ``"new"``, those of a level yet to come, drawn from
        the Normal of the group's standard deviation for each level of the new data, be it one of
        the fit or not, and each posterior draw.
    unseen
        What to do by ``groups="fitted"`` with levels of a group that the fit has not seen:
        ``"draw"`` their effects from the Normal of the group's standard deviation, one effect per
        level and posterior draw; ``"refuse"`` them; or ``"mixed"``, draw them if some other row has
        a level of the fit, and refuse new data of which no row has any, as where another column
        was meant.
    offset, measurement_error
        As for ``Regression``: needed here only if arrays were given there; columns are looked for
        in the new data under the name they had.
    drop_missing
        Leave new rows with missing values out, instead of refusing them.
    functions
        As for ``Regression``, if the formula calls any.
    seed
        Of what is drawn.

    Returns
    -------
    DataArray
        Of dimensions chain, draw and row, in the response's units.

    Raises
    ------
    InputError
        If the new data lack a column, miss a value or hold a category that the fit has not seen.
    """
    target = _target(
        dt,
        new_data,
        kind,
        groups,
        unseen,
        {"offset": offset, "measurement_error": measurement_error},
        drop_missing,
        functions,
        seed,
    )
    posterior = dt["posterior"].dataset
    values = _draws(dt, _parameters(dt, target), kind, seed)
    shape = (posterior.sizes["chain"], posterior.sizes["draw"], len(target.labels))
    return DataArray(
        np.broadcast_to(values, (shape[0] * shape[1], shape[2])).reshape(shape),
        dims=("chain", "draw", "row"),
        coords={"chain": posterior["chain"], "draw": posterior["draw"], "row": target.labels},
        name=dt.attrs["response"],
    )


def prediction_table(
    dt: DataTree,
    new_data: Any = None,
    kind: str = MEAN,
    *,
    prob: float = 0.95,
    groups: str = FITTED,
    unseen: str = MIXED,
    offset: Any = None,
    measurement_error: Any = None,
    drop_missing: bool = False,
    functions: Functions | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the mean, the median and an interval of what the fit says of new rows.

    Rows are taken in blocks, so that a million of them fit into memory.

    Parameters
    ----------
    dt, new_data, kind, groups, unseen, offset, measurement_error, drop_missing, functions, seed
        As for :func:`predict`, whose draws are summarised.
    prob
        The probability of the interval, of which equal parts lie on either side.

    Returns
    -------
    DataFrame
        One line per row, under its name: ``mean``, ``median``, ``lower`` and ``upper``. The mean of
        a response is that of its means: the average of draws from heavy tails has no meaning. Of
        more than 1e8 draws times rows evenly spaced draws are read.

    Raises
    ------
    InputError
        As ``predict``.
    """
    check_fit(dt)
    prob = probability("prob", prob)
    given = {"offset": offset, "measurement_error": measurement_error}
    frame = None if new_data is None else to_frame(new_data)
    count = dt["observed_data"].sizes["row"] if frame is None else max(len(frame), 1)
    dt = dt.copy()
    dt["posterior"] = DataTree(thinned(dt["posterior"].to_dataset(), count))
    target = _target(dt, frame, kind, groups, unseen, given, drop_missing, functions, seed)
    levels = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
    parts = []
    for number, part in enumerate(blocks(dt, len(target.labels))):
        parameters = _parameters(dt, target, part)
        draws = _draws(dt, parameters, kind, seed, number)
        means = _draws(dt, parameters, MEAN, seed) if kind == RESPONSE else draws
        lower, median, upper = np.quantile(draws, levels, axis=0)
        parts.append(np.stack([means.mean(axis=0), median, lower, upper]))
    return pd.DataFrame(
        np.concatenate(parts, axis=1).T,
        columns=["mean", "median", "lower", "upper"],
        index=pd.Index(target.labels, name="row"),
    )


class _Target(NamedTuple):
    """What to predict."""

    rows: Rows
    effects: dict[str, np.ndarray]
    """of the groups, levels last"""
    labels: Any


def _target(
    dt: DataTree,
    new_data: Any,
    kind: str,
    groups: str,
    unseen: str,
    given: dict[str, Any],
    drop_missing: bool,
    functions: Functions | None,
    seed: int,
) -> _Target:
    """Return what to predict, of arguments that have been checked here."""
    check_fit(dt)
    functions = check_functions(functions)
    generator = np.random.default_rng(seed_number(seed))
    for name, value, known in (
        ("kind", kind, KINDS),
        ("groups", groups, GROUPS),
        ("unseen", unseen, UNSEEN),
    ):
        if value not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}, not '{value}'")
    check_type("drop_missing", drop_missing, (bool, np.bool_), "True or False")
    effects: dict[str, np.ndarray] = {}
    if new_data is None:
        rows = rows_of(with_design(dt, functions)["constant_data"].dataset)
        labels = dt["observed_data"].dataset["row"].values
        if groups == POPULATION:
            rows = rows._replace(effects=rows.curves)
        elif groups == NEW and rows.effects:
            evaluated = evaluate(*training_data.load(dt), functions)
            met, effects = met_groups(dt, evaluated.groups(evaluated.data), generator, groups)
            rows = rows._replace(effects=(*met, *rows.curves))
    else:
        frame = to_frame(new_data)
        evaluated = evaluate(*training_data.load(dt), functions)
        check_coefficients(dt, evaluated)
        if drop_missing:
            names = evaluated.names(groups != POPULATION)
            frame, given = whole_rows(dt, names, frame, given)
        labels = row_labels(frame.index)
        rows, effects = new_rows(dt, evaluated, frame, unseen, generator, **given, groups=groups)
    return _Target(rows._replace(offset=None) if kind == LINEAR else rows, effects, labels)


def _parameters(dt: DataTree, target: _Target, part: slice = slice(None)) -> dict[str, np.ndarray]:
    """Return the parameters of the law of some of the rows."""
    return evaluate_rows(dt, target.rows.part(part), target.effects)


def _draws(
    dt: DataTree, parameters: dict[str, np.ndarray], kind: str, seed: int, block: int = 0
) -> np.ndarray:
    """Return a prediction for each draw and row, of shape (draws, rows) or one like it."""
    if kind == RESPONSE:
        return draw_response(dt, parameters, seed, block)
    return likelihood_of(dt).mean(parameters) if kind == MEAN else parameters["loc"]


def draw_response(
    dt: DataTree, parameters: dict[str, np.ndarray], seed: int, block: int = 0
) -> np.ndarray:
    """Return a response for each draw and row: the noise in single precision, loc in double.

    It is rounded as the data's are, if the fit has a resolution.

    Parameters
    ----------
    dt
        A fit.
    parameters
        Of the law of the rows.
    seed, block
        Numbers, both of which count.
    """
    likelihood = likelihood_of(dt)
    size = np.maximum.reduce([parameters[name] for name in likelihood.law_scales])
    standard = {
        name: np.asarray(values, np.float32)
        for name, values in likelihood.noise(parameters, size).items()
    }
    standard["loc"] = np.zeros_like(parameters["loc"], np.float32)
    key = jax.random.fold_in(jax.random.key(seed), block)
    values = parameters["loc"] + size * np.asarray(row_law(dt, standard).sample(key), float)
    step = resolution_of(dt)
    if step is not None:
        round_to_grid(values, float(dt["observed_data"].dataset["y"].values[0]), step)
    return values
