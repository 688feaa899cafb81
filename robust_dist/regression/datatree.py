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

from robust_dist.regression.coordinates import Axes, Standardization
from robust_dist.regression.design.design import Columns, Design, GroupTerm, center_owners
from robust_dist.regression.likelihoods import FORMULAS, LIKELIHOODS, Likelihood
from robust_dist.regression.model import uncentered
from robust_dist.regression.posterior.pointwise import MANY, Following, numbers
from robust_dist.regression.priors import Priors, joined

# NumPyro's names for what ArviZ calls otherwise, as in arviz_base.from_numpyro
_STATISTICS = {
    "num_steps": "n_steps",
    "accept_prob": "acceptance_rate",
    "adapt_state.step_size": "step_size",
}


# no group's dimension may be called as a variable or another dimension
_TAKEN = {
    *("chain", "draw", "row", "coefficient", "beta", "x", "y"),
    *(f"{what}_{formula}" for what in ("coefficient", "beta", "x") for formula in FORMULAS),
    *(name for law in LIKELIHOODS.values() for name in (*law.parameters, *law.law_scales)),
    *("weights", "offset", "measurement_error"),
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
    # the sampler's precision is enough, and of many rows takes half the memory
    small = np.float32 if rows >= MANY else float
    kind = small if _single_resolves(design, coordinates) else float

    def by_chain(values: np.ndarray) -> np.ndarray:
        return values.reshape(chains, -1, *values.shape[1:])

    def response(z: np.ndarray) -> np.ndarray:
        return coordinates.response(z.astype(kind, copy=False), design)

    # density in the user's units: y = fitted + scale * z; in place, since rows may be many
    log_likelihood = following.log_likelihood.astype(small, copy=False)
    log_likelihood -= np.log(coordinates.scale)
    if design.weights is not None:
        log_likelihood *= design.weights
    groups = {
        "posterior": parameters(setting, draws.posterior),
        "log_likelihood": {"y": by_chain(log_likelihood)},
        "posterior_predictive": {"y": by_chain(response(following.predictive))},
        "prior": parameters(setting, {k: np.asarray(v)[None] for k, v in following.prior.items()}),
        "prior_predictive": {"y": response(following.prior_predictive)[None]},
        "observed_data": {"y": design.y},
        # the matrices can be made anew from a file, but for functions that it does not hold
        "constant_data": _constants(design, math.inf if design.own_functions else numbers(rows)),
    }
    if draws.statistics:
        groups["sample_stats"] = _statistics(draws.statistics)
    coords, dims = _names(design)
    with warnings.catch_warnings():
        # of fewer draws than chains, which ArviZ takes for a mistake
        warnings.simplefilter("ignore", UserWarning)
        dt = arviz_base.from_dict(
            groups,
            coords=coords,
            dims=dims,
            attrs={"/": {**_attributes(setting), **attributes}},
        )
    # by itself: one number each, whatever the parameters' dimensions are
    log_prior = {"log_prior": _log_prior(setting, following.log_prior, by_chain)}
    dt["log_prior"] = arviz_base.from_dict(log_prior)["log_prior"]
    if draws.thin > 1:
        for name in ("log_likelihood", "log_prior", "posterior_predictive"):
            count = dt[name].sizes["draw"]
            kept = dt[name].to_dataset().assign_coords(draw=np.arange(count) * draws.thin)
            dt[name] = DataTree(kept)
    return dt


def _single_resolves(design: Design, coordinates: Standardization) -> bool:
    """Return whether float32 holds the response, and a thousandth of its noise."""
    reach = max(np.abs(fitted).max() for _, fitted in coordinates.fitted(design))
    scale = coordinates.scale
    return 1e-20 < scale < 1e20 and reach * np.finfo(np.float32).eps <= 1e-3 * scale


def posterior_alone(setting: Setting, posterior: Mapping[str, Any]) -> DataTree:
    """Return a DataTree of the posterior and what it meets in each row, and nothing else."""
    coords, dims = _names(setting.design)
    return arviz_base.from_dict(
        {
            "posterior": parameters(setting, posterior),
            "constant_data": _constants(setting.design, math.inf),
        },
        coords=coords,
        dims=dims,
        attrs={"/": _attributes(setting)},
    )


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
    effects: dict[str, np.ndarray] = {}
    for term, unit, centering in zip(
        design.groups, coordinates.group_units, coordinates.centering, strict=True
    ):
        offset = draws[f"{term.name}_offset"]
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
    return posterior


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
    for name in ("weights", "offset", "measurement_error"):
        values = getattr(design, name)
        if values is not None:
            constants[name] = values
    for term in design.groups:
        constants[_name(term, "_x")] = _of_effects(term, term.x, -1)
        constants[_name(term, "_index")] = term.index
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
        **{name: ["row"] for name in ("weights", "offset", "measurement_error")},
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
    fixed = {f"{k}_fixed": p for k, p in setting.priors.items() if isinstance(p, float)}
    return {
        "response": setting.design.response,
        "likelihood": setting.likelihood.name,
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
