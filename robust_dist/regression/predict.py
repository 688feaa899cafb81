"""Predictions of new rows from a DataTree, also one that was read back from a file."""

import json
from typing import Any

import jax
import numpy as np
import pandas as pd
from xarray import DataArray, DataTree

from robust_dist._arguments import seed_number
from robust_dist._errors import InputError
from robust_dist.datasets import row_names
from robust_dist.regression import training_data
from robust_dist.regression.datatree import row_labels, safe
from robust_dist.regression.design.design import center_owners
from robust_dist.regression.design.formula import Evaluated, evaluate, evaluate_new
from robust_dist.regression.design.frame import check_row_values, row_values, to_frame
from robust_dist.regression.design.functions import Functions, check_functions
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.likelihoods import FORMULAS, likelihood_of
from robust_dist.regression.model import uncentered
from robust_dist.regression.row_laws import (
    Effect,
    Rows,
    check_coefficients,
    evaluate_rows,
    group_effects,
    row_law,
    rows_of,
    stacked,
    with_design,
)

KINDS = ("mean", "response", "linear")
UNSEEN = ("mixed", "draw", "refuse")


def predict(
    dt: DataTree,
    new_data: Any = None,
    kind: str = "mean",
    *,
    unseen: str = "mixed",
    offset: Any = None,
    measurement_error: Any = None,
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
        tails are so heavy that there is no mean; ``"response"``, draws of the response itself; or
        ``"linear"``, the linear predictor without the offset.
    unseen
        What to do with levels of a group that the fit has not seen: ``"draw"`` their effects from
        the Normal of the group's standard deviation, one effect per level and posterior draw;
        ``"refuse"`` them; or ``"mixed"``, draw them if some other row has a level of the fit, and
        refuse new data of which no row has any, as where another column was meant.
    offset, measurement_error
        As for ``Regression``: needed here only if arrays were given there; columns are looked for
        in the new data under the name they had.
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
    check_fit(dt)
    functions = check_functions(functions)
    seed = seed_number(seed)
    if kind not in KINDS:
        raise InputError(f"no kind '{kind}' of prediction; there are: {', '.join(KINDS)}")
    if unseen not in UNSEEN:
        raise InputError(f"unseen must be one of {', '.join(UNSEEN)}, not '{unseen}'")
    generator = np.random.default_rng(seed)
    effects: dict[str, np.ndarray] | None = None
    if new_data is None:
        rows = rows_of(with_design(dt, functions)["constant_data"].dataset)
        labels = dt["observed_data"].dataset["row"].values
    else:
        frame = to_frame(new_data)
        labels = row_labels(frame.index)
        evaluated = evaluate(*training_data.load(dt), functions)
        check_coefficients(dt, evaluated)
        rows, effects = _new_rows(
            dt, evaluated, frame, unseen, generator, offset, measurement_error
        )
    if kind == "linear":
        rows = rows._replace(offset=None)
    parameters = evaluate_rows(dt, rows, effects)
    values = parameters["loc"]
    if kind == "response":
        values = _draw(dt, parameters, seed)
    elif kind == "mean" and not likelihood_of(dt).symmetric:
        with jax.enable_x64(True):
            values = np.asarray(row_law(dt, parameters).mean)
    posterior = dt["posterior"].dataset
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    return DataArray(
        np.broadcast_to(values, (shape[0] * shape[1], len(labels))).reshape(*shape, -1),
        dims=("chain", "draw", "row"),
        coords={"chain": posterior["chain"], "draw": posterior["draw"], "row": labels},
        name=dt.attrs["response"],
    )


def _draw(dt: DataTree, parameters: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Return a response for each draw and row: the noise in single precision, loc in double."""
    scales = likelihood_of(dt).law_scales
    size = np.maximum.reduce([parameters[name] for name in scales])
    standard = {
        name: np.asarray(values / size if name in scales else values, np.float32)
        for name, values in parameters.items()
    }
    standard["loc"] = np.zeros_like(parameters["loc"], np.float32)
    noise = row_law(dt, standard).sample(jax.random.key(seed))
    return parameters["loc"] + size * np.asarray(noise, float)


def _new_rows(
    dt: DataTree,
    evaluated: Evaluated,
    frame: pd.DataFrame,
    unseen: str,
    generator: np.random.Generator,
    offset: Any,
    measurement_error: Any,
) -> tuple[Rows, dict[str, np.ndarray]]:
    """Return what the parameters meet in new rows, and the effects of their groups."""
    location, alpha, sigma, groups = evaluate_new(evaluated, frame)
    terms = []
    effects: dict[str, np.ndarray] = {}
    drawn: dict[str, np.ndarray] = {}
    for term in groups:
        name = safe(term.name)
        known = group_effects(dt, name)
        extra = int(term.index.max()) + 1 - known.shape[-1]
        new = term.index >= known.shape[-1]
        if unseen == "refuse" and new.any():
            raise InputError(
                f"the group '{term.group}' has a level that the fit has not seen in "
                f"{row_names(frame, np.flatnonzero(new))}; unseen='draw' would draw its effect"
            )
        if unseen == "mixed" and new.all():
            raise InputError(
                f"no row of the new data has a level of the group '{term.group}' that the fit has "
                f"seen, such as '{term.levels[0]}'; unseen='draw' would draw their effects"
            )
        sd = stacked(dt, f"{name}_sigma")
        if sd is None:
            sd = np.full(known.shape[:1], float(dt.attrs[f"{term.name}_sigma_fixed"]))
        noise = generator.normal(size=(*known.shape[:2], max(extra, 0)))
        drawn[term.name] = sd.reshape(len(sd), -1, 1) * noise
        terms.append(Effect(name, term.x, term.index))
    # their law is that of effects at the centers of x
    stored = json.loads(dt.attrs.get("group_centers", "{}"))
    owners = center_owners(groups)
    drawn = uncentered(drawn, owners, {name: stored.get(name, 0.0) for name in owners})
    for term in groups:
        known = group_effects(dt, safe(term.name))
        effects[safe(term.name)] = np.concatenate([known, drawn[term.name]], axis=-1)
    given = {"offset": offset, "measurement_error": measurement_error}
    extras = {what: _extra(dt, what, value, frame) for what, value in given.items()}
    designs = dict(zip(FORMULAS, (alpha, sigma), strict=True))
    distributional = {name: x for name, x in designs.items() if x is not None}
    return Rows(location, distributional, effects=tuple(terms), **extras), effects


def _extra(dt: DataTree, what: str, given: Any, frame: pd.DataFrame) -> np.ndarray | None:
    """Return the offset or the measurement error of new rows, which the fit may call for."""
    name = what.replace("_", " ")
    given = dt.attrs.get(f"{what}_column") if given is None else given
    if given is None and what in dt["constant_data"].dataset:
        raise InputError(f"the fit has the {name} of each row; give that of the new rows")
    if given is not None and what not in dt["constant_data"].dataset:
        raise InputError(f"the fit was given no {name}, so the prediction cannot take one")
    values = row_values(name, given, frame)
    check_row_values(name, values, frame)
    return values
