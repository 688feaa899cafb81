"""Draws from a posterior by NUTS, whichever sampler it is, in chains that start in its modes."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from robust_dist.many_rows import compensated
from robust_dist.optimize.explore import LocalMode
from robust_dist.optimize.log_density import LogDensity
from robust_dist.regression.datatree import Setting
from robust_dist.regression.model import in_mode, make_constants, make_structure, model_of
from robust_dist.regression.posterior import engine, nuts
from robust_dist.regression.posterior.approximate import mean_density
from robust_dist.regression.posterior.log_density import log_density
from robust_dist.regression.posterior.mixture import Mixture, sample_mixture, starts_near
from robust_dist.regression.posterior.padding import fill, padded
from robust_dist.regression.posterior.pointwise import MANY
from robust_dist.regression.posterior.run import Run
from robust_dist.regression.posterior.search import Search
from robust_dist.regression.posterior.shard import shard

type Chains = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def draw(
    setting: Setting,
    data: Mapping[str, Any],
    result: Search,
    seed: tuple[int, ...],
    run: Run,
    sampler: str,
    mesh: Mesh | None = None,
) -> Mixture:
    """Return draws of a posterior, of all its modes by their masses.

    Parameters
    ----------
    setting, data
        The model and its arguments.
    result
        Its modes, which may be those of a few rows more or less.
    seed
        Numbers, all of which count.
    run
        How to sample.
    sampler
        ``"nutpie"``, of a model that it knows, or ``"numpyro"``.
    mesh
        Devices over which NumPyro's NUTS spreads the rows.
    """
    density, modes = result
    if not modes:
        return Mixture(*_chains(setting, data, seed, run, sampler, None, mesh), (), np.ones(1))
    if len(modes) > 1 and len(data["y"]) < MANY:
        density = log_density(setting, data)
    else:
        modes = modes[:1]
    generator = np.random.default_rng([number % 2**64 for number in (*seed, 1)])

    def near(mode: LocalMode, number: int) -> Chains:
        starts = starts_near(density, mode, run.chains, generator)
        apart = (*seed, number) if number else seed
        return _chains(setting, data, apart, run, sampler, (density, starts), mesh)

    return sample_mixture(density, modes, near, generator)


def draw_near(
    setting: Setting,
    data: Mapping[str, Any],
    density: LogDensity,
    mode: LocalMode,
    seed: tuple[int, ...],
    run: Run,
    sampler: str,
) -> Chains:
    """Return draws of chains that start near one mode, and the sampler's statistics."""
    generator = np.random.default_rng([number % 2**64 for number in (*seed, 1)])
    starts = starts_near(density, mode, run.chains, generator)
    return _chains(setting, data, seed, run, sampler, (density, starts), None)


def _chains(
    setting: Setting,
    data: Mapping[str, Any],
    seed: tuple[int, ...],
    run: Run,
    sampler: str,
    starts: tuple[LogDensity, np.ndarray] | None,
    mesh: Mesh | None,
) -> Chains:
    """Return draws of chains that start at these positions of a density."""
    if sampler == "nutpie":
        return engine.sample(setting, data, seed, run, None if starts is None else starts[1])
    model, constants = model_of(make_structure(*setting)), in_mode(make_constants(*setting))
    rows = len(data["y"])
    many = rows >= MANY
    if many:
        # chains go in turns, to save memory, and float32's rounding of the total counts
        centre = mean_density(model, constants, data)
        model = compensated(model, centre, sharded=mesh is not None)
    if mesh is not None:
        data = shard(data, mesh)
    elif not many:
        data = fill(data, padded(rows))
    key = jax.random.key(seed[0])
    for number in seed[1:]:
        key = jax.random.fold_in(key, number)
    run = run._replace(in_turns=many or mesh is not None)
    sites = None if starts is None else starts[0].unraveled(starts[1])
    return nuts.sample(model, constants, data, key, run, sites)
