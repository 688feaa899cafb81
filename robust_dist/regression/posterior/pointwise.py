"""What follows from the draws, compiled as one: pointwise densities, predictions and the prior.

Rows are evaluated in blocks, so that what is computed on the way takes little memory.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.handlers import seed, substitute, trace

from robust_dist.regression.likelihoods import alphas

PRIOR_DRAWS = 1000
_AT_ONCE = 1_000_000
"""draws times rows of a block that are in memory at a time"""
_ALPHAS = 4096
"""draws times alphas that are in memory at a time: each brings a table of its quantiles"""
_KEPT = 20_000_000
"""draws times rows that a group may hold"""
MANY = 200_000
"""rows from which on the data themselves take up the memory, so that this falls, and rows of a
block"""


class Following(NamedTuple):
    """In the sampler's units and single precision; samples lead every shape."""

    log_likelihood: np.ndarray
    predictive: np.ndarray
    log_prior: dict[str, np.ndarray]
    prior: dict[str, np.ndarray]
    prior_predictive: np.ndarray


def thinning(draws: int, rows: int) -> int:
    """Return of how many draws one is kept where there is a number for each row."""
    return math.ceil(draws * rows / numbers(rows))


def numbers(rows: int) -> float:
    """Return how many numbers a group with some for each row may hold."""
    return _KEPT * min(1.0, MANY / rows)


def prepare(
    model: Callable[..., None], data: Mapping[str, Any], sites: Sequence[str], count: int, thin: int
) -> Callable[[Array, Mapping[str, ArrayLike]], Following]:
    """Return the function of a key and draws that computes what follows from them.

    It is traced here and compiled in the background, while the sampler runs.

    Parameters
    ----------
    model, data
        The model and its arguments.
    sites
        What the model samples.
    count
        How many draws there will be.
    thin
        Of so many draws of the prior one is kept.
    """
    prior = _prior(model, sites)
    rows = len(data["y"])
    blocks = list(_blocks(rows))
    # in NumPy: each slice of a JAX array would be compiled
    host = jax.tree.map(np.asarray, dict(data))

    def part(block: slice) -> dict[str, Any]:
        return jax.tree.map(lambda values: values[block], host)

    one, tables = _shapes(prior, part(blocks[0]))
    at_once = max(1, min(_AT_ONCE // min(rows, MANY), _ALPHAS // tables))
    before = max(1, min(-(-PRIOR_DRAWS // thin), int(numbers(rows) / rows)))

    def pointwise(draw: tuple[Array, Mapping[str, Array]], data: Mapping[str, Any]) -> Any:
        key, values = draw
        traced = trace(substitute(model, values)).get_trace(**data)
        log_prior = {name: traced[name]["fn"].log_prob(values[name]) for name in values}
        law = traced["y"]["fn"]
        return law.log_prob(data["y"]), law.sample(key), log_prior

    @jax.jit
    def run(
        key: Array, block: ArrayLike, latent: Mapping[str, Array], data: Mapping[str, Any]
    ) -> Any:
        keys = jax.random.split(key)
        draws = jax.vmap(lambda key: prior(key, data)[0])(jax.random.split(keys[1], before))
        # one pass over both: what a law compiles to is most of the time
        both = jax.tree.map(lambda *parts: jnp.concatenate(parts), dict(latent), draws)
        each = jax.random.split(jax.random.fold_in(keys[0], block), count + before)
        return draws, _map(lambda draw: pointwise(draw, data), (each, both), at_once)

    shapes = {name: jax.ShapeDtypeStruct((count, *v.shape), v.dtype) for name, v in one.items()}
    lowered = run.lower(jax.random.key(0), 0, shapes, part(blocks[0]))
    executor = ThreadPoolExecutor(1)
    compiled = executor.submit(lowered.compile)
    executor.shutdown(wait=False)

    def follow(key: Array, latent: Mapping[str, ArrayLike]) -> Following:
        call = compiled.result()
        log_likelihood = np.empty((count, rows), np.float32)
        predictive = np.empty((count, rows), np.float32)
        prior_predictive = np.empty((before, rows), np.float32)
        for number, block in enumerate(blocks):
            draws, (density, response, log_prior) = call(key, number, dict(latent), part(block))
            log_likelihood[:, block] = density[:count]
            predictive[:, block], prior_predictive[:, block] = response[:count], response[count:]
        return Following(
            log_likelihood,
            predictive,
            {name: np.asarray(values[:count]) for name, values in log_prior.items()},
            jax.tree.map(np.asarray, draws),
            prior_predictive,
        )

    return follow


def _blocks(rows: int) -> Iterator[slice]:
    """Yield blocks of the same length, the last of which reaches back into the one before."""
    length = min(rows, MANY)
    for start in range(0, rows, length):
        last = min(start + length, rows)
        yield slice(last - length, last)


def _prior(model: Callable[..., None], sites: Sequence[str]) -> Callable[..., Any]:
    """Return the function of a key and data that draws from the prior, with the rows' alpha."""

    def prior(key: Array, data: Mapping[str, Any]) -> Any:
        traced = trace(seed(model, key)).get_trace(**data)
        return {name: traced[name]["value"] for name in sites}, alphas(traced["y"]["fn"])

    return prior


def _shapes(prior: Callable[..., Any], data: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the shape of each site, and how many alphas the rows of one draw have."""
    one, tables = jax.eval_shape(lambda key: prior(key, data), jax.random.key(0))
    return one, math.prod(tables.shape)


def _map(function: Callable[[Any], Any], values: Any, at_once: int) -> Any:
    """Return the function's values, all at once if there is memory for that."""
    size = len(jax.tree.leaves(values)[0])
    if size <= at_once:
        return jax.vmap(function)(values)
    return lax.map(function, values, batch_size=at_once)
