"""What follows from the draws, compiled as one: pointwise densities, predictions and the prior."""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.handlers import seed, substitute, trace

PRIOR_DRAWS = 1000
_AT_ONCE = 1_000_000
"""draws times rows that are in memory at a time"""
_ALPHAS = 4096
"""draws times alphas that are in memory at a time: each brings a table of its quantiles"""
_KEPT = 20_000_000
"""draws times rows that a group may hold"""
MANY = 200_000
"""rows from which on the data themselves take up the memory, so that this falls"""


class Following(NamedTuple):
    """In the sampler's units; samples lead every shape."""

    log_likelihood: np.ndarray
    predictive: np.ndarray
    log_prior: dict[str, np.ndarray]
    prior: dict[str, np.ndarray]
    prior_predictive: np.ndarray


def thinning(draws: int, rows: int) -> int:
    """Return of how many draws one is kept where there is a number for each row."""
    return math.ceil(draws * rows / _numbers(rows))


def _numbers(rows: int) -> float:
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
    one, alphas = _shapes(prior, data)
    rows = len(data["y"])
    at_once = max(1, min(_AT_ONCE // rows, _ALPHAS // alphas))
    before = max(1, min(-(-PRIOR_DRAWS // thin), int(_numbers(rows) / rows)))

    def pointwise(draw: tuple[Array, Mapping[str, Array]], data: Mapping[str, Any]) -> Any:
        key, values = draw
        traced = trace(substitute(model, values)).get_trace(**data)
        log_prior = {name: traced[name]["fn"].log_prob(values[name]) for name in values}
        law = traced["y"]["fn"]
        return law.log_prob(data["y"]), law.sample(key), log_prior

    @jax.jit
    def run(key: Array, latent: Mapping[str, Array], data: Mapping[str, Any]) -> Any:
        keys = jax.random.split(key)
        draws = jax.vmap(lambda key: prior(key, data)[0])(jax.random.split(keys[1], before))
        # one pass over both: what a law compiles to is most of the time
        both = jax.tree.map(lambda *parts: jnp.concatenate(parts), dict(latent), draws)
        values = (jax.random.split(keys[0], count + before), both)
        return draws, _map(lambda draw: pointwise(draw, data), values, at_once)

    shapes = {name: jax.ShapeDtypeStruct((count, *v.shape), v.dtype) for name, v in one.items()}
    lowered = run.lower(jax.random.key(0), shapes, dict(data))
    executor = ThreadPoolExecutor(1)
    compiled = executor.submit(lowered.compile)
    executor.shutdown(wait=False)

    def follow(key: Array, latent: Mapping[str, ArrayLike]) -> Following:
        found = compiled.result()(key, dict(latent), dict(data))
        draws, (log_likelihood, predictive, log_prior) = jax.tree.map(np.asarray, found)
        return Following(
            log_likelihood[:count],
            predictive[:count],
            {name: values[:count] for name, values in log_prior.items()},
            draws,
            predictive[count:],
        )

    return follow


def _prior(model: Callable[..., None], sites: Sequence[str]) -> Callable[..., Any]:
    """Return the function of a key and data that draws from the prior, with the rows' alpha."""

    def prior(key: Array, data: Mapping[str, Any]) -> Any:
        traced = trace(seed(model, key)).get_trace(**data)
        alpha = getattr(traced["y"]["fn"], "alpha", 0.0)
        return {name: traced[name]["value"] for name in sites}, alpha

    return prior


def _shapes(prior: Callable[..., Any], data: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the shape of each site, and how many alphas the rows of one draw have."""
    one, alpha = jax.eval_shape(lambda key: prior(key, data), jax.random.key(0))
    return one, math.prod(alpha.shape)


def _map(function: Callable[[Any], Any], values: Any, at_once: int) -> Any:
    """Return the function's values, all at once if there is memory for that."""
    size = len(jax.tree.leaves(values)[0])
    if size <= at_once:
        return jax.vmap(function)(values)
    return lax.map(function, values, batch_size=at_once)
