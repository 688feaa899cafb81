"""The law of each row's response, for each draw of the posterior."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from numpyro.distributions import Distribution
from xarray import Dataset, DataTree

from robust_dist import Rounded
from robust_dist._errors import InputError
from robust_dist.regression import training_data
from robust_dist.regression.datatree import FORMULA, safe
from robust_dist.regression.design.design import (
    BOUNDS,
    ENDS,
    WEIGHTS,
    Bounds,
    correlated_effects,
)
from robust_dist.regression.design.formula import Evaluated, evaluate, to_columns
from robust_dist.regression.design.functions import Functions, check_functions
from robust_dist.regression.likelihoods import (
    BACKGROUND_LOC,
    BACKGROUND_SCALE,
    FORMULAS,
    likelihood_of,
)
from robust_dist.regression.observation import bounded, kinds_of

# draws x rows of one block, of which a handful of arrays exist at a time
_BLOCK = 4_000_000
# draws x rows in all; of more rows evenly spaced draws are read
_TOTAL = 100_000_000
# fewer draws than this say too little, however many rows there are
_FEWEST = 100
# how the columns of a curve are called
_CURVE = f"){WEIGHTS}_x"


class Effect(NamedTuple):
    """What a group-specific term meets in each row."""

    name: str
    x: np.ndarray
    """shape (n, k)"""
    level: np.ndarray | None
    """its number in each row, shape (n,); None of a curve, whose weights are those of all rows"""
    formula: str = ""
    """whose linear predictor it is part of; that of the location by default"""


class Rows(NamedTuple):
    """What the parameters meet in each row."""

    x: np.ndarray
    distributional: dict[str, np.ndarray]
    """the designs besides that of the location, by the name of their formula"""
    offset: np.ndarray | None
    measurement_error: np.ndarray | None
    effects: tuple[Effect, ...]

    @property
    def curves(self) -> tuple[Effect, ...]:
        """The effects that are curves, which are no group's."""
        return tuple(effect for effect in self.effects if effect.level is None)

    def part(self, rows: slice) -> "Rows":
        """Return some of the rows."""

        def of(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return Rows(
            self.x[rows],
            {name: x[rows] for name, x in self.distributional.items()},
            of(self.offset),
            of(self.measurement_error),
            tuple(
                effect._replace(x=effect.x[rows], level=of(effect.level)) for effect in self.effects
            ),
        )


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
        ``"scale_left"`` and ``"scale_right"``; of a contaminated fit also ``"contamination"``, and
        ``"background_loc"``, the distance of the background from loc, with its
        ``"background_scale"``; each broadcasts against the shape (draws of all
        chains, rows). Offset, group-specific effects and measurement errors are included.
    """
    return evaluate_rows(dt, rows_of(constants(dt), rows))


def parameters_in_blocks(
    dt: DataTree, rows: np.ndarray
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yield some of these positions at a time, with :func:`row_parameters` of them."""
    data = constants(dt)
    for block in blocks(dt, rows.size):
        yield rows[block], evaluate_rows(dt, rows_of(data, rows[block]))


def blocks(dt: DataTree, rows: int) -> Iterator[slice]:
    """Yield so many rows in parts, each of which fits into memory for all draws."""
    length = max(1, _BLOCK // samples(dt))
    for start in range(0, rows, length):
        yield slice(start, start + length)


def thinned(posterior: Dataset, rows: int) -> Dataset:
    """Return as many draws of a posterior as a walk over so many rows can take."""
    most = max(_FEWEST, _TOTAL // rows)
    step = -(-posterior.sizes["chain"] * posterior.sizes["draw"] // most)
    return posterior.isel(draw=slice(None, None, step)) if step > 1 else posterior


def samples(dt: DataTree) -> int:
    """Return the number of draws in all chains."""
    sizes = dt["posterior"].sizes
    return int(sizes["chain"] * sizes["draw"])


def row_law(dt: DataTree, parameters: dict[str, np.ndarray]) -> Distribution:
    """Return the law with these parameters, of the fit's likelihood, before any rounding."""
    return likelihood_of(dt).row_law(**parameters)


def observed_law(dt: DataTree, parameters: dict[str, np.ndarray], rows: Any) -> Distribution:
    """Return the law of responses of rows of the data as they are observed.

    Rounded, censored or truncated, if the fit takes them so.
    """
    law, step = row_law(dt, parameters), resolution_of(dt)
    for what, bounds in bounds_of(dt, rows).items():
        return bounded(law, what, bounds.low, bounds.high, kinds_of(bounds))
    return law if step is None else Rounded(law, step)


def bounds_of(dt: DataTree, rows: Any = slice(None)) -> dict[str, Bounds]:
    """Return the bounds of some rows' responses, by what they do, if there are any."""
    data = dt["constant_data"].dataset
    return {
        what: Bounds(*(data[f"{what}_{end}"].values[rows] for end in ENDS))
        for what in BOUNDS
        if f"{what}_{ENDS[0]}" in data
    }


def resolution_of(dt: DataTree) -> float | None:
    """Return the step to which the responses of a fit are rounded, None if they count as exact."""
    step = dt.attrs.get("resolution")
    return None if step is None else float(step)


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
    terms = evaluated.groups(evaluated.data)
    for term in terms:
        name = safe(term.name)
        if name not in posterior or posterior[name].shape[-1] != len(term.levels):
            raise InputError(f"the posterior of the fit has no effects '({term.name})'; fit anew")
        if f"{name}_sigma" not in posterior and f"{term.name}_sigma_fixed" not in dt.attrs:
            raise InputError(f"the posterior of the fit has no '{name}_sigma'; fit anew")
    for curve in evaluated.curves:
        if safe(curve.name + WEIGHTS) not in posterior:
            raise InputError(f"the posterior of the fit has no weights of {curve.name}; fit anew")
    for block in correlated_effects(terms):
        name = safe(block.correlation)
        pairs = len(block.pairs)
        if name not in posterior or posterior[name].shape[2:] != (pairs,):
            raise InputError(
                f"the posterior of the fit has no correlations '{name}'; fit anew, or write "
                "'||' in place of '|', which until version 0.1 meant the same"
            )


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
            values = values[:, None] if values.ndim == 1 else values
            formula = str(data[key].attrs.get(FORMULA, ""))
            effects.append(Effect(name, values, data[key].values[rows], formula))
        elif key.endswith(_CURVE):
            effects.append(Effect(key.removesuffix("_x"), data[key].values[rows], None))
    designs = {formula: of(f"x_{formula}") for formula in FORMULAS}
    distributional = {formula: x for formula, x in designs.items() if x is not None}
    return Rows(x, distributional, of("offset"), of("measurement_error"), tuple(effects))


def has_curves(dt: DataTree) -> bool:
    """Return whether the formula has terms such as ``hsgp(x)``."""
    return any(str(name).endswith(_CURVE) for name in dt["constant_data"].data_vars)


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
    loc = location(dt, rows, effects)
    sampled = sampled_parameters(dt, rows, effects)
    with jax.enable_x64(True):
        parameters = {"loc": loc, **likelihood.law_parameters(sampled)}
    if likelihood.background_width is not None:
        away = float(dt.attrs[f"{BACKGROUND_LOC}_fixed"]) - loc
        parameters[BACKGROUND_LOC] = away if rows.offset is None else away + rows.offset
        parameters[BACKGROUND_SCALE] = _shared(dt, BACKGROUND_SCALE)
    return parameters


def location(dt: DataTree, rows: Rows, effects: dict[str, np.ndarray] | None = None) -> np.ndarray:
    """Return loc of these rows, shape (draws, rows); it is linear in what the rows hold."""
    loc = _linear(dt, "", rows, effects)
    if rows.offset is not None:
        loc += rows.offset
    return loc


def sampled_parameters(
    dt: DataTree, rows: Rows, effects: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Return what is sampled of the noise of these rows, by the names of the likelihood."""
    likelihood = likelihood_of(dt)
    shared = {name: _shared(dt, name) for name in likelihood.shared(rows.distributional)}
    linear = {name: _linear(dt, name, rows, effects) for name in rows.distributional}
    return likelihood.row_parameters(shared, linear, rows.measurement_error)


def _linear(
    dt: DataTree, formula: str, rows: Rows, effects: dict[str, np.ndarray] | None
) -> np.ndarray:
    """Return a linear predictor, shape (draws, rows)."""
    beta = stacked(dt, f"beta_{formula}" if formula else "beta")
    assert beta is not None
    linear = beta @ (rows.distributional[formula] if formula else rows.x).T
    for effect in rows.effects:
        if effect.formula != formula:
            continue
        if effect.level is None:
            weights = stacked(dt, effect.name)
            assert weights is not None
            linear += weights @ effect.x.T
            continue
        drawn = effects[effect.name] if effects else group_effects(dt, effect.name)
        for column in range(effect.x.shape[1]):
            linear += drawn[:, column][:, effect.level] * effect.x[:, column]
    return linear


def _shared(dt: DataTree, name: str) -> np.ndarray:
    """Return the draws of a parameter that all rows share, or what it is fixed at, as a column."""
    draws = stacked(dt, name)
    return np.full((1, 1), float(dt.attrs[f"{name}_fixed"])) if draws is None else draws[:, None]


def group_effects(dt: DataTree, name: str) -> np.ndarray:
    """Return the draws of the effects of a group-specific term, shape (draws, k, levels)."""
    drawn = stacked(dt, name)
    assert drawn is not None
    return drawn[:, None] if drawn.ndim == 2 else drawn
