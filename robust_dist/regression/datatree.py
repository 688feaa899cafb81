"""From draws to an ArviZ DataTree in the user's units."""

import json
import math
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import arviz_base
import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist.regression import curves
from robust_dist.regression.coordinates import Axes, Standardization
from robust_dist.regression.design.design import (
    BOUNDS,
    ENDS,
    Columns,
    CurveTerm,
    Design,
    GroupTerm,
    center_owners,
    correlated_effects,
)
from robust_dist.regression.likelihoods import FORMULAS, LIKELIHOODS, Likelihood
from robust_dist.regression.model import below_diagonal, correlated, uncentered
from robust_dist.regression.posterior.pointwise import MANY, Following, numbers
from robust_dist.regression.priors import Priors, joined
from robust_dist.regression.rounding import round_to_grid

# NumPyro's names for what ArviZ calls otherwise, as in arviz_base.from_numpyro
_STATISTICS = {
    "num_steps": "n_steps",
    "accept_prob": "acceptance_rate",
    "adapt_state.step_size": "step_size",
}


FORMULA = "formula"
"""the attribute of a group's levels that names the formula, if it is not that of the location"""
_GIVEN = ("weights", "offset", "measurement_error")
# what the bounds of responses are called
_ENDS = tuple(f"{what}_{end}" for what in BOUNDS for end in ENDS)
# no group's dimension may be called as a variable or another dimension
_TAKEN = {
    *("chain", "draw", "row", "coefficient", "beta", "x", "y"),
    *(f"{what}_{formula}" for what in ("coefficient", "beta", "x") for formula in FORMULAS),
    *(name for law in LIKELIHOODS.values() for name in (*law.parameters, *law.law_scales)),
    *_GIVEN,
    *_ENDS,
}


class Setting(NamedTuple):
    """What was fitted."""

    design: Design
    coordinates: Standardization
    likelihood: Likelihood
    priors: Priors


class Draws(NamedTuple):
    """What came of it, in the sampler's units; chain and draw lead the shapes of the first two."""

    posterior: Mapping[str, Any]
    statistics: Mapping[str, Any]
    following: Following
    thin: int


def make_datatree(setting: Setting, draws: Draws, attributes: Mapping[str, Any]) -> DataTree:
    """Return the DataTree of a fit.

    Parameters
    ----------
    setting
        The data, and the map from the sampler's units.
    draws
        The draws of what the model samples and what follows from them.
    attributes
        What to record of the run, besides the model and the versions.
    """
    design, coordinates = setting.design, setting.coordinates
    following = draws.following
    chains = len(next(iter(draws.posterior.values())))
    rows = len(design.y)
    small = _precision(rows)

    def by_chain(values: np.ndarray) -> np.ndarray:
        return values.reshape(chains, -1, *values.shape[1:])

    # density in the user's units: y = fitted + scale * z; in place, since rows may be many
    log_likelihood = following.log_likelihood.astype(small, copy=False)
    censored = design.censored
    # a probability has no unit
    exact = True if censored is None else censored.low == censored.high
    log_likelihood -= np.where(exact, np.log(coordinates.scale), 0.0).astype(small)
    if design.likelihood_weights is not None:
        log_likelihood *= design.likelihood_weights
    groups = {
        "posterior": parameters(setting, draws.posterior),
        "log_likelihood": {"y": by_chain(log_likelihood)},
        "posterior_predictive": {"y": by_chain(_response(setting, following.predictive))},
        **_before_fitting(setting, following.prior, following.prior_predictive),
    }
    if draws.statistics:
        groups["sample_stats"] = _statistics(draws.statistics)
    dt = _datatree(setting, groups, attributes)
    # by itself: one number each, whatever the parameters' dimensions are
    log_prior = {"log_prior": _log_prior(setting, following.log_prior, by_chain)}
    dt["log_prior"] = arviz_base.from_dict(log_prior)["log_prior"]
    if draws.thin > 1:
        for name in ("log_likelihood", "log_prior", "posterior_predictive"):
            count = dt[name].sizes["draw"]
            kept = dt[name].to_dataset().assign_coords(draw=np.arange(count) * draws.thin)
            dt[name] = DataTree(kept)
    return dt


def make_prior_datatree(
    setting: Setting,
    prior: Mapping[str, Any],
    prior_predictive: np.ndarray,
    attributes: Mapping[str, Any],
) -> DataTree:
    """Return the DataTree of what is known before a fit.

    Parameters
    ----------
    setting
        The data, and the map from the sampler's units.
    prior, prior_predictive
        Draws of what the model samples, and of the responses, in the sampler's units; samples lead.
    attributes
        What to record besides the model and the versions.
    """
    return _datatree(setting, _before_fitting(setting, prior, prior_predictive), attributes)


def _datatree(
    setting: Setting, groups: Mapping[str, Mapping[str, Any]], attributes: Mapping[str, Any]
) -> DataTree:
    """Return groups of arrays as a DataTree, with names, dimensions and attributes."""
    coords, dims = _names(setting.design)
    with warnings.catch_warnings():
        # of fewer draws than chains, which ArviZ takes for a mistake
        warnings.simplefilter("ignore", UserWarning)
        dt = arviz_base.from_dict(
            groups,
            coords=coords,
            dims=dims,
            attrs={"/": {**_attributes(setting), **attributes}},
        )
    for term in setting.design.groups:
        if term.formula:
            dt["constant_data"][_name(term, "_index")].attrs[FORMULA] = term.formula
    return dt


def _before_fitting(
    setting: Setting, prior: Mapping[str, Any], prior_predictive: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """Return the groups of a DataTree that no fit takes part in."""
    design = setting.design
    # the matrices can be made anew from a file, but for functions that it does not hold
    most = math.inf if design.own_functions else numbers(len(design.y))
    return {
        "prior": parameters(setting, {k: np.asarray(v)[None] for k, v in prior.items()}),
        "prior_predictive": {"y": _response(setting, prior_predictive)[None]},
        "observed_data": {"y": design.y},
        "constant_data": _constants(design, most),
    }


def _precision(rows: int) -> Any:
    """Return the type of numbers for each row: of many, the sampler's, in half the memory."""
    return np.float32 if rows >= MANY else float


def _response(setting: Setting, z: np.ndarray) -> np.ndarray:
    """Return responses in the user's units, rounded as they are."""
    design, coordinates = setting.design, setting.coordinates
    kind = _precision(len(design.y)) if _single_resolves(design, coordinates) else float
    values = coordinates.response(z.astype(kind, copy=False), design)
    if design.resolution is not None:
        round_to_grid(values, design.y[0], design.resolution)
    return values


def _single_resolves(design: Design, coordinates: Standardization) -> bool:
    """Return whether float32 holds the response, and a thousandth of its noise."""
    reach = max(np.abs(fitted).max() for _, fitted in coordinates.fitted(design))
    scale = coordinates.scale
    return 1e-20 < scale < 1e20 and reach * np.finfo(np.float32).eps <= 1e-3 * scale


def posterior_alone(setting: Setting, posterior: Mapping[str, Any]) -> DataTree:
    """Return a DataTree of the posterior and what it meets in each row, and nothing else."""
    groups = {
        "posterior": parameters(setting, posterior),
        "constant_data": _constants(setting.design, math.inf),
    }
    return _datatree(setting, groups, {})


def parameters(setting: Setting, draws: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the parameters in the user's units and double precision."""
    design, coordinates, likelihood, _ = setting
    draws = {name: np.asarray(values, float) for name, values in draws.items()}
    posterior = {
        part: coordinates.predictors[part].coefficients(
            joined(draws, [block.layout for block in blocks])
        )
        for part, blocks in setting.priors.blocks.items()
    }
    for name in likelihood.scales:
        if f"{name}_z" in draws:
            posterior[name] = coordinates.noise * draws[f"{name}_z"]
    posterior |= {
        shape.name: draws[shape.name] for shape in likelihood.shapes if shape.name in draws
    }
    posterior |= _derived(setting, posterior)
    blocks = correlated_effects(design.groups)
    factors = {block.name: draws[f"{block.correlation}_z"] for block in blocks}
    for block in blocks:
        posterior[safe(block.correlation)] = below_diagonal(factors[block.name])
    offsets = {term.name: draws[f"{term.name}_offset"] for term in design.groups}
    offsets = correlated(offsets, blocks, factors)
    effects: dict[str, np.ndarray] = {}
    for term, unit, centering in zip(
        design.groups, coordinates.group_units, coordinates.centering, strict=True
    ):
        offset = offsets[term.name]
        if f"{term.name}_sigma_z" in draws:
            sd = draws[f"{term.name}_sigma_z"]
            posterior[_name(term, "_sigma")] = _of_effects(term, unit * sd, -1)
        else:
            sd = np.full(offset.shape[:-1], setting.priors[f"{term.name}_sigma"]) / unit
        effects[term.name] = unit[:, None] * sd[..., None] ** (1 - centering) * offset
    names = [term.name for term in design.groups]
    centers = dict(zip(names, coordinates.group_centers, strict=True))
    effects = uncentered(effects, center_owners(design.groups), centers)
    for term in design.groups:
        posterior[_name(term)] = _of_effects(term, effects[term.name], -2)
    for curve in design.curves:
        posterior |= _of_curve(setting, curve, draws)
    return posterior


def _of_curve(
    setting: Setting, curve: CurveTerm, draws: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the parameters and the weights of a curve."""
    layout, scale = curves.layout_of(curve), setting.coordinates.scale
    units = curves.units(curve, scale)
    fixed = {
        name: float(prior) / units[name]
        for name in units
        if isinstance(prior := setting.priors[name], float)
    }
    weights = curves.drawn_weights(layout, draws, fixed)
    values = {
        safe(name): unit * draws[f"{name}_z"]
        for name, unit in units.items()
        if f"{name}_z" in draws
    }
    return {**values, safe(curve.weights): scale * weights}


def _derived(setting: Setting, draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the scales that follow from what was drawn, unless rows differ in them."""
    names = setting.likelihood.parameters
    if setting.coordinates.distributional or not draws.keys() & {*names}:
        return {}
    return setting.likelihood.derived({n: draws.get(n, setting.priors.get(n)) for n in names})


def _log_prior(setting: Setting, values: Mapping[str, Any], by_chain: Any) -> dict[str, np.ndarray]:
    """Return the log density of each prior, of all its elements together, in the user's units.

    Without that of group-specific effects, which is part of the model and not of what is assumed.
    """
    coordinates = setting.coordinates
    # the logarithm of what a unit of the sampler's is in the user's
    volumes = {
        **dict.fromkeys(setting.likelihood.scales, np.log(coordinates.noise)),
        **{
            f"{term.name}_sigma": np.log(unit).sum()
            for term, unit in zip(setting.design.groups, coordinates.group_units, strict=True)
        },
    }
    for curve in setting.design.curves:
        units = curves.units(curve, coordinates.scale)
        volumes |= {name: np.log(unit) for name, unit in units.items()}
    for part, blocks in setting.priors.blocks.items():
        axes = coordinates.predictors[part]
        for block in blocks:
            volumes[block.name] = _log_volume(axes, list(block.columns))
    densities = {}
    for site, density in values.items():
        name = site.removesuffix("_z")
        if name.endswith("_offset"):
            continue
        joint = np.asarray(density, float).reshape(len(density), -1).sum(axis=1)
        densities[safe(name)] = by_chain(joint) - volumes.get(name, 0.0)
    return densities


def _log_volume(axes: Axes, columns: list[int]) -> float:
    """Return the logarithm of the determinant of the map from the sampler's coefficients."""
    matrix = axes.transform[np.ix_(columns, columns)]
    size = np.linalg.norm(matrix, axis=1)
    volume = np.linalg.slogdet(matrix / size[:, None])[1] + np.log(size * axes.scale).sum()
    return float(volume)


def _statistics(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    statistics = {_STATISTICS.get(name, name): np.asarray(v) for name, v in values.items()}
    statistics["lp"] = -statistics.pop("potential_energy")
    return statistics


def _constants(design: Design, most: float) -> dict[str, np.ndarray]:
    """Return what the parameters meet in each row; no matrices if that takes more numbers."""
    matrices: dict[str, Columns] = {"x": design}
    matrices |= {f"x_{formula}": columns for formula, columns in design.distributional.items()}
    size = len(design.y) * sum(len(columns.values) for columns in matrices.values())
    constants = {name: columns.x for name, columns in matrices.items() if size <= most}
    for name in _GIVEN:
        values = design.likelihood_weights if name == "weights" else getattr(design, name)
        if values is not None:
            constants[name] = values
    for what, bounds in design.bounds.items():
        constants |= {f"{what}_{end}": getattr(bounds, end) for end in ENDS}
    for term in design.groups:
        constants[_name(term, "_x")] = _of_effects(term, term.x, -1)
        constants[_name(term, "_index")] = term.index
    for curve in design.curves:
        constants[safe(f"{curve.weights}_x")] = curve.x
    return constants


def _names(design: Design) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return coordinates and dimensions."""
    coords: dict[str, Any] = {
        "coefficient": list(design.coefficients),
        "row": row_labels(design.rows),
    }
    dims = {
        "beta": ["coefficient"],
        "y": ["row"],
        "x": ["row", "coefficient"],
        **{name: ["row"] for name in (*_GIVEN, *_ENDS)},
    }
    for formula, columns in design.distributional.items():
        coords[f"coefficient_{formula}"] = list(columns.coefficients)
        dims[f"beta_{formula}"] = [f"coefficient_{formula}"]
        dims[f"x_{formula}"] = ["row", f"coefficient_{formula}"]
    for term in design.groups:
        level, effect = dimension(term.group), f"{_name(term)}_effect"
        coords[level] = list(term.levels)
        effects = [] if len(term.effects) == 1 else [effect]
        if effects:
            coords[effect] = list(term.effects)
            dims[_name(term, "_sigma")] = effects
        dims[_name(term)] = [*effects, level]
        dims[_name(term, "_x")] = ["row", *effects]
        dims[_name(term, "_index")] = ["row"]
    for curve in design.curves:
        layout = curves.layout_of(curve)
        part = f"{safe(curve.name)}_part"
        coords[part] = list(curve.parts)
        dims[safe(curve.weights)] = [part]
        dims[safe(f"{curve.weights}_x")] = ["row", part]
        if layout.simplex is not None:
            dims[safe(layout.simplex)] = [part]
    for block in correlated_effects(design.groups):
        pair = f"{safe(block.name)}_pair"
        coords[pair] = block.pairs
        dims[safe(block.correlation)] = [pair]
    return coords, dims


def row_labels(rows: pd.Index) -> pd.Index | np.ndarray | list[str]:
    """Return the names of rows as a file can hold them: all whole numbers, or all text."""
    if isinstance(rows, pd.RangeIndex):
        return rows  # written out, it would be copied for each group
    if pd.api.types.is_integer_dtype(rows.dtype):
        return rows.to_numpy(int)
    labels = rows.tolist()
    if all(isinstance(row, int) for row in labels):
        return np.array(labels)
    return [str(row) for row in labels]


def _attributes(setting: Setting) -> dict[str, Any]:
    resolution = setting.design.resolution
    fixed = {f"{k}_fixed": p for k, p in setting.priors.items() if isinstance(p, float)}
    return {
        "response": setting.design.response,
        "likelihood": setting.likelihood.name,
        **({} if resolution is None else {"resolution": resolution}),
        "numpyro_version": version("numpyro"),
        "robust_dist_version": version("robust-dist"),
        **fixed,
        "group_centers": json.dumps(
            {
                term.name: center
                for term, center in zip(
                    setting.design.groups, setting.coordinates.group_centers, strict=True
                )
            }
        ),
    }


def _of_effects(term: GroupTerm, values: np.ndarray, axis: int) -> np.ndarray:
    """Drop the axis of the effects if there is only one."""
    return values.squeeze(axis) if len(term.effects) == 1 else values


def safe(name: str) -> str:
    """Return the name without what a DataTree takes for a path."""
    return name.replace("/", ":")


def _name(term: GroupTerm, suffix: str = "") -> str:
    return safe(f"{term.name}{suffix}")


def dimension(group: str) -> str:
    """Return the dimension of a group's levels."""
    return f"{group}_level" if group in _TAKEN else safe(group)
