"""Approximations of the posterior: a Normal on the sampler's axes, by optimisation.

``map`` is the mode (``modes``) alone; ``laplace`` is the Normal with the mode's place and the
curvature there; ``svi`` is as near to the posterior as the evidence lower bound can tell. If there
are many rows, ``svi`` looks at parts of them at a time, which finds the mean well, but the
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

from robust_dist._errors import InputError
from robust_dist.many_rows import mean_log_density
from robust_dist.regression.model import STRUCTURES, Constants
from robust_dist.regression.posterior.modes import Target, find_mode, sampler_target, starts
from robust_dist.regression.posterior.padding import fill, padded
from robust_dist.regression.posterior.pointwise import MANY
from robust_dist.regression.posterior.sites import Model, size, unconstrained

_PILOT = 20_000
"""rows by which starts are judged, and that tell the mean log density of all"""
BATCH = 4096
"""rows that a step of SVI looks at"""
_STEPS = 10_000
_BLOCKS = 20
# of the width over which curvature is taken, each of which may shrink or widen it tenfold
_SECANT_STEPS = 8
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

    Raises
    ------
    InputError
        If the posterior has no curvature at its mode.
    """
    optimise, draw = jax.random.split(key)
    svi = None
    if method == "svi":
        svi = _variational(model, constants, optimise, data, progress)
    with jax.enable_x64(True):
        rows = len(data["y"])
        target = sampler_target(model, constants, fill(data, padded(rows)) if rows < MANY else data)
        if svi is None:
            mode = find_mode(target, _starts(model, constants, data, target.size))
            center, problems = jnp.asarray(mode.vector), mode.problems
        else:
            center, problems = jnp.asarray(svi[0], float), ()
        if method == "map":
            return Approximation(_as_numpy(target.constrain(center), 2), problems)
        factor = None if svi is None else svi[1]
        if factor is None:
            factor = _inverse_curvature(lambda vector: -target.slope(vector)[1], center)
        noise = jax.random.normal(draw, (shape[0] * shape[1], target.size), float)
        # rounded to a single number, draws would be no approximation
        if not bool(jnp.isfinite(factor).all() & (jnp.diag(factor) != 0).all()):
            raise InputError(
                "the posterior has no peak with a curvature at its mode, so there is no Laplace "
                "approximation; use method 'nuts'"
            )
        vectors = center + noise @ jnp.asarray(factor, float).T
        draws = target.constrain_all(vectors)
        problems += _mismatch(target, vectors, noise, rows, method)
        return Approximation(
            {name: v.reshape(*shape, *v.shape[1:]) for name, v in _as_numpy(draws, 0).items()},
            problems,
        )


def _as_numpy(draws: Mapping[str, Array], axes: int) -> dict[str, np.ndarray]:
    """Return draws in single precision, as a sampler's, with so many axes in front."""
    lead = (None,) * axes
    return {name: np.asarray(value, np.float32)[lead] for name, value in draws.items()}


def _starts(model: Model, constants: Constants, data: Mapping[str, Any], size: int) -> np.ndarray:
    """Return where to climb from: of many rows the mode of some of them alone."""
    rows = len(data["y"])
    if rows <= _PILOT:
        return starts(size)
    part = _pilot(data)
    pilot = sampler_target(model, constants._replace(copies=rows / len(part["y"])), part)
    return find_mode(pilot, starts(size)).vector[None]


def _pilot(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return some of the rows."""
    step = -(-len(data["y"]) // _PILOT)
    return jax.tree.map(lambda values: values[::step], dict(data))


def _mismatch(
    target: Target, vectors: Array, noise: Array, rows: int, method: str
) -> tuple[str, ...]:
    """Return a sentence if the draws are not of the posterior, by Pareto-smoothed weights."""
    from arviz_stats.base import array_stats

    count = int(np.clip(_EVALUATIONS / rows, 200, 4000))
    density = target.densities(vectors[:count])
    ratios = np.asarray(density + 0.5 * (noise[:count] ** 2).sum(axis=1))
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
    part = _pilot(data)
    with jax.enable_x64(True):
        target = sampler_target(model, constants, part)
        # one start: of a mode elsewhere the mean would do as well
        mode = find_mode(target, np.zeros((1, target.size)))
        values = _as_numpy(target.constrain(jnp.asarray(mode.vector)), 0)
    return mean_log_density(partial(model, constants), values, **part)


def _variational(
    model: Model, constants: Constants, key: Array, data: Mapping[str, Any], progress: bool
) -> tuple[Array, Array | None]:
    """Return the mean of the nearest Normal, and its covariance's factor where all rows tell it."""
    start, optimise = jax.random.split(key)
    rows = len(data["y"])
    batch = batch_size("svi", rows)
    constants = constants._replace(copies=jnp.asarray(rows / (batch or rows)))
    arrays = jax.tree.map(jnp.asarray, dict(data))
    correlated = size(unconstrained(model, constants, arrays)) <= _CORRELATED
    first, block, law_of = _steps(model, correlated, min(0.1, 3 / rows**0.5), batch)
    state = first(start, constants, arrays)
    for keys in _with_bar(jax.random.split(optimise, (_BLOCKS, _STEPS // _BLOCKS)), progress):
        state = block(state, keys, constants, arrays)
    mean, factor = law_of(state)
    return mean, None if batch is not None and correlated else factor


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

    def first(key: Array, constants: Constants, data: Mapping[str, Any]) -> Any:
        return svi.init(key, constants=constants, **part(key, data))

    @jax.jit
    def block(state: Any, keys: Array, constants: Constants, data: Mapping[str, Any]) -> Any:
        def step(state: Any, key: Array) -> tuple[Any, None]:
            return svi.update(state, constants=constants, **part(key, data))[0], None

        return lax.scan(step, state, keys)[0]

    def law_of(state: Any) -> tuple[Array, Array]:
        law = guide.get_posterior(svi.get_params(state))
        return law.mean, law.scale_tril if correlated else jnp.diag(law.variance**0.5)

    return first, block, law_of


def _inverse_curvature(slope: Callable[[Array], Array], center: Array) -> Array:
    r"""Return L, with L L^T the inverse of H, the curvature over a standard deviation.

    With H^-1 = L L^T, the slope g of the potential and the unit vectors e_k,

    .. math:: L^T H L e_k = L^T \bigl(g(\mu + L e_k) - g(\mu - L e_k)\bigr) / 2 = e_k .

    It is the mean curvature under that Normal as far as a cubature of 2 d points can tell, which
    a variational Normal has, and the Hessian where that is constant. Zeros if there is no peak.
    """

    def seen(factor: Array) -> Array:
        # one after the other: all together would hold the data as often as there are parameters
        rises = [0.5 * (slope(center + step) - slope(center - step)) for step in factor.T]
        product = jnp.stack(rises) @ factor
        return 0.5 * (product + product.T)

    factor = jnp.eye(center.size, dtype=center.dtype) * 1e-2
    for _ in range(_SECANT_STEPS):
        values, axes = jnp.linalg.eigh(seen(factor))
        factor = factor @ (axes / jnp.sqrt(jnp.clip(values, 1e-2, 1e2)))
    if not bool((jnp.linalg.eigvalsh(seen(factor)) > 0.1).all()):
        return jnp.zeros_like(factor)  # no peak, however far one looks
    return factor


def _with_bar(blocks: Any, progress: bool) -> Any:
    """Return the blocks, counted by a bar on stderr."""
    if not progress:
        return blocks
    from tqdm import tqdm

    return tqdm(blocks, desc="optimising")
