"""The log joint density of a model on the sampler's axes, whoever computes it."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.util import unconstrain_fn

from robust_dist.optimize.log_density import LogDensity, Sites
from robust_dist.regression.datatree import Setting
from robust_dist.regression.model import (
    STRUCTURES,
    Constants,
    in_mode,
    make_constants,
    make_structure,
    model_of,
)
from robust_dist.regression.posterior import engine
from robust_dist.regression.posterior.modes import sampler_target
from robust_dist.regression.posterior.padding import fill, padded, spaced
from robust_dist.regression.posterior.sites import Model, unconstrained


def log_density(setting: Setting, data: Mapping[str, Any]) -> LogDensity:
    """Return the log density of a model: the engine's, where that supports it, else JAX'."""
    if engine.unsupported(setting, data) is None and engine.ready(setting) is None:
        return compiled_log_density(setting, data)
    model, constants = model_of(make_structure(*setting)), make_constants(*setting)
    with jax.enable_x64(True):
        return traced_log_density(model, in_mode(constants), data)


def compiled_log_density(setting: Setting, data: Mapping[str, Any]) -> LogDensity:
    """Return the engine's, of a model that it supports."""
    slope = engine.log_density(setting, data)
    layout = slope.layout
    return LogDensity(
        shapes={site.name: site.shape for site in layout.sites},
        slope=slope,
        sites=layout.constrained,
        positions=layout.positions,
    )


def traced_log_density(model: Model, constants: Constants, data: Mapping[str, Any]) -> LogDensity:
    """Return JAX', of any model."""
    # weights always, so that one program serves fits with other weights
    weights = data.get("weights", np.ones(len(data["y"]), np.float32))
    data = fill({**data, "weights": weights}, padded(len(data["y"])))
    with jax.enable_x64(True):
        target = sampler_target(model, constants, data)
        shapes = unconstrained(model, constants, data)

    def slope(position: np.ndarray) -> tuple[float, np.ndarray]:
        with jax.enable_x64(True):
            value, gradient = target.slope(jnp.asarray(position))
        return float(value), np.asarray(gradient)

    def sites(positions: np.ndarray) -> Sites:
        with jax.enable_x64(True):
            flat = jnp.asarray(positions.reshape(-1, positions.shape[-1]))
            draws = target.constrain_all(flat)
        lead = positions.shape[:-1]
        return {name: np.asarray(v).reshape(*lead, *v.shape[1:]) for name, v in draws.items()}

    def positions(sites: Sites) -> np.ndarray:
        with jax.enable_x64(True):
            doubles = {name: jnp.asarray(sites[name], float) for name in shapes}
            return np.asarray(_unconstrain(model)(doubles, constants, data))

    return LogDensity(shapes, slope, sites, positions)


def standing_for_all(data: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return some of the rows, evenly spaced, each of which counts for those left out."""
    part = spaced(data, most)
    count, rows = len(data["y"]), len(part["y"])
    if rows == count:
        return part
    return {**part, "weights": np.asarray(part.get("weights", np.ones(rows))) * (count / rows)}


@lru_cache(maxsize=STRUCTURES)
def _unconstrain(model: Model) -> Callable[..., Any]:
    """Return the program from draws of the sites to positions."""

    def one(sites: Any, constants: Any, data: Any) -> Any:
        free = unconstrain_fn(model, (constants,), data, sites)
        # in the model's order: JAX gives a dictionary back in that of the alphabet
        names = unconstrained(model, constants, data)
        return jnp.concatenate([jnp.ravel(free[name]) for name in names])

    return jax.jit(jax.vmap(one, in_axes=(0, None, None)))
