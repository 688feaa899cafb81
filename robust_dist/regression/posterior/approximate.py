"""Approximations of the posterior: a Normal on the sampler's axes, by optimisation.

``map`` is the mode (``modes``) alone; ``laplace`` is the Normal with the mode's place and the
curvature there; ``svi`` is as near to the posterior as the evidence lower bound can tell. Where the
posterior has several modes, each has a Normal of its own, and its share of the draws is that of its
mass: Laplace's approximation of the evidence, or the evidence lower bound.

If there are many rows, ``svi`` looks at parts of them at a time, which finds the mean well, but the
covariance only roughly, so noisy are such parts; the covariance is then the inverse curvature of
all rows at this mean. Curvatures are those over a standard deviation to either side, since Laplace
noise has none at a point.

What a Normal is worth as an approximation is told by importance sampling: where the ratios of the
posterior's density and its own have a tail that is too heavy (Pareto k above 0.7: Yao, Vehtari,
Simpson and Gelman, Yes, but did it work?, ICML 2018), it is none.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpyro.infer import SVI, Trace_ELBO, init_to_uniform
from numpyro.infer.autoguide import AutoDiagonalNormal, AutoMultivariateNormal
from numpyro.optim import Adam

from robust_dist.many_rows import mean_log_density
from robust_dist.optimize.explore import shares
from robust_dist.regression.model import STRUCTURES, Constants
from robust_dist.regression.posterior.mixture import allotted
from robust_dist.regression.posterior.modes import Target, find_mode, sampler_target, starts
from robust_dist.regression.posterior.normals import (
    Normal,
    evidence_bound,
    log_density_of,
    log_evidence,
    normal_about,
)
from robust_dist.regression.posterior.padding import fill, padded, spaced
from robust_dist.regression.posterior.pointwise import MANY
from robust_dist.regression.posterior.sites import Model, size, unconstrained

_PILOT = 20_000
"""rows by which starts are judged, and that tell the mean log density of all"""
BATCH = 4096
"""rows that a step of SVI looks at"""
_STEPS = 10_000
_BLOCKS = 20
# beyond, a full covariance has more numbers than a Normal without correlations is wrong
_CORRELATED = 100
_K = 0.7
"""Pareto k beyond which importance sampling, and so the approximation, is not to be trusted"""
_EVALUATIONS = 2e8
"""draws times rows whose densities are compared with the approximation's, within 200 to 4,000"""


class Approximation(NamedTuple):
    """What an optimiser found."""

    draws: dict[str, np.ndarray]
    """of the sampled sites, shape (chains, draws, ...)"""
    problems: tuple[str, ...]
    """why it is not to be trusted, one sentence each"""


def batch_size(method: str, rows: int) -> int | None:
    """Return how many rows a step looks at, None for all."""
    return BATCH if method == "svi" and rows > BATCH else None


def approximate(
    model: Model,
    constants: Constants,
    method: str,
    key: Array,
    data: Mapping[str, Any],
    shape: tuple[int, int],
    progress: bool,
    modes: Mapping[str, np.ndarray] | None = None,
) -> Approximation:
    """Return draws of the sampled sites, and what is wrong with them.

    Parameters
    ----------
    model, constants, data
        A model of ``regression.model.model_of``, and its arguments, all rows.
    method
        ``"svi"``, ``"laplace"`` or ``"map"``.
    key
        Of JAX.
    shape
        Of the draws; of ``"map"`` there is one.
    progress
        Whether to show a progress bar on stderr.
    modes
        Unconstrained values of the sites where there are modes, which lead the shapes.
        ``"laplace"`` and ``"svi"`` are Normals about each of them, ``"map"`` is the highest.

    Raises
    ------
    InputError
        If the posterior has no curvature at its mode.
    """
    optimise, draw = jax.random.split(key)
    known = _vectors(model, constants, data, modes)
    rows = len(data["y"])
    points: list[np.ndarray | None] = [*known] or [None]
    svi = []
    if method == "svi":
        svi = [_variational(model, constants, optimise, data, progress, point) for point in points]
    with jax.enable_x64(True):
        target = sampler_target(model, constants, fill(data, padded(rows)) if rows < MANY else data)
        climb_from = partial(_starts, model, constants, data, target.size, known)
        if method == "map":
            mode = find_mode(target, climb_from())
            return Approximation(
                _as_numpy(target.constrain(jnp.asarray(mode.vector)), 2), mode.problems
            )
        normals: list[Normal] = []
        problems: tuple[str, ...] = ()
        for number, point in enumerate(points):
            if svi:
                center, factor = svi[number]
            else:
                mode = find_mode(target, climb_from() if point is None else point[None])
                center, factor = mode.vector, None
                problems += mode.problems
            normals.append(normal_about(target, center, factor))
        noise = np.asarray(jax.random.normal(draw, (shape[0] * shape[1], target.size), float))
        weights = np.ones(1)
        if len(normals) > 1:
            weights = shares(
                [
                    evidence_bound(target, normal, noise) if svi else log_evidence(target, normal)
                    for normal in normals
                ]
            )
        generator = np.random.default_rng(np.asarray(jax.random.key_data(draw)))
        owner = allotted(weights, len(noise), generator)
        vectors = np.empty_like(noise)
        for number, normal in enumerate(normals):
            own = owner == number
            vectors[own] = normal.center + noise[own] @ normal.factor.T
        draws = target.constrain_all(jnp.asarray(vectors))
        problems += _mismatch(
            target, vectors, log_density_of(normals, weights, vectors, noise), rows, method
        )
        return Approximation(
            {name: v.reshape(*shape, *v.shape[1:]) for name, v in _as_numpy(draws, 0).items()},
            tuple(dict.fromkeys(problems)),
        )


def _as_numpy(draws: Mapping[str, Array], axes: int) -> dict[str, np.ndarray]:
    """Return draws in single precision, as a sampler's, with so many axes in front."""
    lead = (None,) * axes
    return {name: np.asarray(value, np.float32)[lead] for name, value in draws.items()}


def _vectors(
    model: Model,
    constants: Constants,
    data: Mapping[str, Any],
    modes: Mapping[str, np.ndarray] | None,
) -> np.ndarray:
    """Return modes as vectors of the sites in the order of the model, shape (modes, size)."""
    shapes = unconstrained(model, constants, data)
    if modes is None:
        return np.zeros((0, size(shapes)))
    return np.concatenate([np.reshape(modes[n], (len(modes[n]), -1)) for n in shapes], axis=1)


def _starts(
    model: Model,
    constants: Constants,
    data: Mapping[str, Any],
    size: int,
    known: np.ndarray,
) -> np.ndarray:
    """Return where to climb from: of many rows the mode of some of them alone."""
    rows = len(data["y"])
    if rows <= _PILOT:
        return np.vstack([starts(size), known])
    if len(known):
        return known
    part = spaced(data, _PILOT)
    pilot = sampler_target(model, constants._replace(copies=rows / len(part["y"])), part)
    return find_mode(pilot, starts(size)).vector[None]


def _mismatch(
    target: Target, vectors: np.ndarray, log_density: np.ndarray, rows: int, method: str
) -> tuple[str, ...]:
    """Return a sentence if the draws are not of the posterior, by Pareto-smoothed weights."""
    from arviz_stats.base import array_stats

    count = int(np.clip(_EVALUATIONS / rows, 200, 4000))
    ratios = np.asarray(target.densities(jnp.asarray(vectors[:count]))) - log_density[:count]
    if not np.isfinite(ratios).all():
        k = np.inf
    elif len(ratios) < 100 or np.ptp(ratios) == 0:
        return ()  # too few for a tail
    else:
        k = float(array_stats.psislw(ratios - ratios.max())[1])
    if k <= _K:
        return ()
    return (
        f"the approximation by '{method}' is not the posterior: Pareto k of its importance ratios "
        f"is {k:.2f}, above {_K}; use method 'nuts'",
    )


def mean_density(model: Model, constants: Constants, data: Mapping[str, Any]) -> float:
    """Return about the mean log density of a row, at the mode of some of the rows."""
    part = spaced(data, _PILOT)
    with jax.enable_x64(True):
        target = sampler_target(model, constants, part)
        # one start: of a mode elsewhere the mean would do as well
        mode = find_mode(target, np.zeros((1, target.size)))
        values = _as_numpy(target.constrain(jnp.asarray(mode.vector)), 0)
    return mean_log_density(partial(model, constants), values, **part)


def _variational(
    model: Model,
    constants: Constants,
    key: Array,
    data: Mapping[str, Any],
    progress: bool,
    point: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the mean of the nearest Normal about a point, and its covariance's factor.

    The latter where all rows tell it.
    """
    start, optimise = jax.random.split(key)
    rows = len(data["y"])
    batch = batch_size("svi", rows)
    constants = constants._replace(copies=jnp.asarray(rows / (batch or rows)))
    arrays = jax.tree.map(jnp.asarray, dict(data))
    correlated = size(unconstrained(model, constants, arrays)) <= _CORRELATED
    first, block, law_of = _steps(model, correlated, min(0.1, 3 / rows**0.5), batch)
    center = np.zeros(size(unconstrained(model, constants, arrays))) if point is None else point
    state = first(start, jnp.asarray(center, float), constants, arrays)
    for keys in _with_bar(jax.random.split(optimise, (_BLOCKS, _STEPS // _BLOCKS)), progress):
        state = block(state, keys, constants, arrays)
    mean, factor = law_of(state)
    known = batch is None or not correlated
    return np.asarray(mean, float), np.asarray(factor, float) if known else None


@lru_cache(maxsize=STRUCTURES)
def _steps(
    model: Model, correlated: bool, width: float, batch: int | None
) -> tuple[Callable[..., Any], ...]:
    """Return the programs of SVI: its first state, some steps, and the Normal it has come to.

    Parameters
    ----------
    model
        Of ``regression.model.model_of``.
    correlated
        Whether the Normal has correlations.
    width
        Of the Normal at first, around the robust fit.
    batch
        How many rows a step looks at, None for all.
    """
    kind = AutoMultivariateNormal if correlated else AutoDiagonalNormal
    guide = kind(model, init_loc_fn=init_to_uniform(radius=0.01), init_scale=width)
    # from steps as wide as the axes are to a hundredth of the posterior's width and less
    optimizer = Adam(lambda step: 0.03 * 10 ** (-3.5 * step / _STEPS))
    svi = SVI(model, guide, optimizer, Trace_ELBO())

    def part(key: Array, data: Mapping[str, Any]) -> dict[str, Any]:
        if batch is None:
            return dict(data)
        chosen = jax.random.randint(key, (batch,), 0, len(data["y"]))
        return jax.tree.map(lambda values: values[chosen], dict(data))

    def first(key: Array, center: Array, constants: Constants, data: Mapping[str, Any]) -> Any:
        state = svi.init(key, constants=constants, **part(key, data))
        values = svi.optim.get_params(state.optim_state)
        # about the mode; the other parameters of the guide are its widths
        values = {name: v + center if name.endswith("_loc") else v for name, v in values.items()}
        return state._replace(optim_state=svi.optim.init(values))

    @jax.jit
    def block(state: Any, keys: Array, constants: Constants, data: Mapping[str, Any]) -> Any:
        def step(state: Any, key: Array) -> tuple[Any, None]:
            return svi.update(state, constants=constants, **part(key, data))[0], None

        return lax.scan(step, state, keys)[0]

    def law_of(state: Any) -> tuple[Array, Array]:
        law = guide.get_posterior(svi.get_params(state))
        return law.mean, law.scale_tril if correlated else jnp.diag(law.variance**0.5)

    return first, block, law_of


def _with_bar(blocks: Any, progress: bool) -> Any:
    """Return the blocks, counted by a bar on stderr."""
    if not progress:
        return blocks
    from tqdm import tqdm

    return tqdm(blocks, desc="optimising")
