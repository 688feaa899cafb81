"""The law of each row's response, for each draw of the posterior."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from numpyro.distributions import Distribution
from xarray import Dataset, DataTree

from robust_dist._errors import InputError
from robust_dist.regression import training_data
from robust_dist.regression.datatree import safe
from robust_dist.regression.design.formula import Evaluated, evaluate, to_columns
from robust_dist.regression.design.functions import Functions, check_functions
from robust_dist.regression.likelihoods import FORMULAS, likelihood_of

# draws x rows of one block, of which a handful of arrays exist at a time
_BLOCK = 4_000_000


class Effect(NamedTuple):
    """What a group-specific term meets in each row."""

    name: str
    x: np.ndarray
    """shape (n, k)"""
    level: np.ndarray
    """its number in each row, shape (n,)"""


class Rows(NamedTuple):
    """What the parameters meet in each row."""

    x: np.ndarray
    distributional: dict[str, np.ndarray]
    """the designs besides that of the location, by the name of their formula"""
    offset: np.ndarray | None
    measurement_error: np.ndarray | None
    effects: tuple[Effect, ...]


def row_parameters(dt: DataTree, rows: Any = slice(None)) -> dict[str, np.ndarray]:
    """Return the parameters of each row's law, for each draw of the posterior.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    rows
        Which rows of the data, as a slice or positions.

    Returns
    -------
    dict
        ``"loc"``, and what the likelihood has of ``"scale"``, ``"alpha"``, ``"nu"``,
        ``"scale_left"`` and ``"scale_right"``; each broadcasts against the shape (draws of all
        chains, rows). Offset, group-specific effects and measurement errors are included.
    """
    return evaluate_rows(dt, rows_of(constants(dt), rows))


def parameters_in_blocks(
    dt: DataTree, rows: np.ndarray
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yield some of these positions at a time, with :func:`row_parameters` of them."""
    block = max(1, _BLOCK // samples(dt))
    data = constants(dt)
    for start in range(0, rows.size, block):
        part = rows[start : start + block]
        yield part, evaluate_rows(dt, rows_of(data, part))


def samples(dt: DataTree) -> int:
    """Return the number of draws in all chains."""
    sizes = dt["posterior"].sizes
    return int(sizes["chain"] * sizes["draw"])


def row_law(dt: DataTree, parameters: dict[str, np.ndarray]) -> Distribution:
    """Return the law with these parameters, of the fit's likelihood."""
    return likelihood_of(dt).row_law(**parameters)


def constants(dt: DataTree) -> Dataset:
    """Return ``constant_data``, with the design matrices that a fit of many rows does without."""
    return with_design(dt)["constant_data"].dataset


def with_design(dt: DataTree, functions: Functions | None = None) -> DataTree:
    """Return the fit with the design matrices that a fit of many rows does without.

    They are made anew from the formulas and the columns in ``training_data``.

    Raises
    ------
    InputError
        If a formula calls a function that is neither listed nor among these, or does not make the
        coefficients of the posterior.
    """
    functions = check_functions(functions)
    data = dt["constant_data"].dataset
    if "x" in data:
        return dt
    evaluated = evaluate(*training_data.load(dt), functions)
    check_coefficients(dt, evaluated)
    designs = {name: to_columns(part.common) for name, part in evaluated.parts.items()}
    matrices = {
        f"x{name}": (("row", f"coefficient{name}"), columns.x) for name, columns in designs.items()
    }
    if len(matrices["x"][1]) != dt["observed_data"].sizes["row"]:
        raise InputError("'training_data' does not have the rows of the fit; fit anew")
    whole = dt.copy()
    whole["constant_data"] = DataTree(
        data.assign(matrices).assign_coords(
            {f"coefficient{name}": list(columns.coefficients) for name, columns in designs.items()}
        )
    )
    return whole


def check_coefficients(dt: DataTree, evaluated: Evaluated) -> None:
    """Refuse formulas that do not make the coefficients of the posterior."""
    posterior = dt["posterior"].dataset
    for name in ("", *(f"_{formula}" for formula in FORMULAS)):
        part = evaluated.parts.get(name)
        made = [] if part is None else list(to_columns(part.common).coefficients)
        drawn = posterior[f"coefficient{name}"].values if f"beta{name}" in posterior else []
        if made != list(map(str, drawn)):
            raise InputError(
                f"the formula of the fit makes the coefficients {', '.join(made)}, but its "
                f"posterior has {', '.join(map(str, drawn))}; fit anew"
            )
    for term in evaluated.location.group.terms.values() if evaluated.location.group else ():
        name = safe(term.name)
        if name not in posterior or posterior[name].shape[-1] != len(term.groups):
            raise InputError(f"the posterior of the fit has no effects '({term.name})'; fit anew")
        if f"{name}_sigma" not in posterior and f"{term.name}_sigma_fixed" not in dt.attrs:
            raise InputError(f"the posterior of the fit has no '{name}_sigma'; fit anew")


def rows_of(data: Dataset, rows: Any = slice(None)) -> Rows:
    """Return some rows of these constants."""

    def of(name: str) -> np.ndarray | None:
        return data[name].values[rows] if name in data else None

    x = of("x")
    assert x is not None
    effects = []
    for key in map(str, data.data_vars):
        if key.endswith("_index"):
            name = key.removesuffix("_index")
            values = data[f"{name}_x"].values[rows]
            effects.append(
                Effect(
                    name, values[:, None] if values.ndim == 1 else values, data[key].values[rows]
                )
            )
    designs = {formula: of(f"x_{formula}") for formula in FORMULAS}
    distributional = {formula: x for formula, x in designs.items() if x is not None}
    return Rows(x, distributional, of("offset"), of("measurement_error"), tuple(effects))


def stacked(dt: DataTree, name: str) -> np.ndarray | None:
    """Return the draws of a parameter, chains stacked, or None if it was not sampled."""
    posterior = dt["posterior"].dataset
    if name not in posterior:
        return None
    values = posterior[name].transpose("chain", "draw", ...).values
    return values.reshape(-1, *values.shape[2:])


def evaluate_rows(
    dt: DataTree, rows: Rows, effects: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Return the parameters of the law of these rows.

    Parameters
    ----------
    dt
        A fit.
    rows
        What the parameters meet.
    effects
        Draws of the effects of group-specific terms, shape (draws, k, levels); by default those of
        the posterior.
    """
    likelihood = likelihood_of(dt)
    loc = _linear(dt, "beta", rows.x)
    for effect in rows.effects:
        drawn = effects[effect.name] if effects else group_effects(dt, effect.name)
        for column in range(effect.x.shape[1]):
            loc += drawn[:, column][:, effect.level] * effect.x[:, column]
    if rows.offset is not None:
        loc += rows.offset
    shared = {name: _shared(dt, name) for name in likelihood.shared(rows.distributional)}
    linear = {name: _linear(dt, f"beta_{name}", x) for name, x in rows.distributional.items()}
    sampled = likelihood.row_parameters(shared, linear, rows.measurement_error)
    with jax.enable_x64(True):
        return {"loc": loc, **likelihood.law_parameters(sampled)}


def _linear(dt: DataTree, coefficients: str, x: np.ndarray) -> np.ndarray:
    """Return a linear predictor, shape (draws, rows)."""
    beta = stacked(dt, coefficients)
    assert beta is not None
    return beta @ x.T


def _shared(dt: DataTree, name: str) -> np.ndarray:
    """Return the draws of a parameter that all rows share, or what it is fixed at, as a column."""
    draws = stacked(dt, name)
    return np.full((1, 1), float(dt.attrs[f"{name}_fixed"])) if draws is None else draws[:, None]


def group_effects(dt: DataTree, name: str) -> np.ndarray:
    """Return the draws of the effects of a group-specific term, shape (draws, k, levels)."""
    drawn = stacked(dt, name)
    assert drawn is not None
    return drawn[:, None] if drawn.ndim == 2 else drawn
