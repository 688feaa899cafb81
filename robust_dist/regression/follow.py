"""What follows from the draws, compiled as one: pointwise densities, predictions and the prior."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.handlers import seed, substitute, trace

PRIOR_DRAWS = 1000
_AT_ONCE = 6_000_000
"""draws times rows that are in memory at a time"""
_KEPT = 20_000_000
"""draws times rows that a group may hold"""


class Following(NamedTuple):
    """In the sampler's units; samples lead every shape."""

    log_likelihood: Array
    predictive: Array
    log_prior: dict[str, Array]
    prior: dict[str, Array]
    prior_predictive: Array


def thinning(draws: int, rows: int) -> int:
    """Return of how many draws one is kept where there is a number for each row."""
    return -(-draws * rows // _KEPT)


def follow(
    model: Callable[..., None],
    data: Mapping[str, Any],
    key: Array,
    latent: Mapping[str, ArrayLike],
    thin: int,
) -> Following:
    """Return what follows from draws of the sampled sites.

    Parameters
    ----------
    model, data
        The model and its arguments.
    key
        Of JAX.
    latent
        Draws by site, a single leading dimension.
    thin
        Of so many draws of the prior one is kept.
    """
    at_once = max(1, _AT_ONCE // len(data["y"]))
    before = -(-PRIOR_DRAWS // thin)

    def prior(key: Array, data: Mapping[str, Any]) -> Any:
        sites = trace(seed(model, key)).get_trace(**data)
        return {name: sites[name]["value"] for name in latent}

    def pointwise(draw: tuple[Array, Mapping[str, Array]], data: Mapping[str, Any]) -> Any:
        key, values = draw
        sites = trace(substitute(model, values)).get_trace(**data)
        log_prior = {name: sites[name]["fn"].log_prob(values[name]) for name in values}
        law = sites["y"]["fn"]
        return law.log_prob(data["y"]), law.sample(key), log_prior

    @jax.jit
    def run(key: Array, latent: Mapping[str, Array], data: Mapping[str, Any]) -> Any:
        keys = jax.random.split(key)
        draws = jax.vmap(lambda key: prior(key, data))(jax.random.split(keys[1], before))
        # one pass over both: what a law compiles to is most of the time
        both = jax.tree.map(lambda *parts: jnp.concatenate(parts), dict(latent), draws)
        count = both["beta_z"].shape[0]
        values = (jax.random.split(keys[0], count), both)
        return draws, _map(lambda draw: pointwise(draw, data), values, at_once)

    draws, (log_likelihood, predictive, log_prior) = run(key, dict(latent), dict(data))
    size = len(log_likelihood) - before
    return Following(
        log_likelihood[:size],
        predictive[:size],
        {name: values[:size] for name, values in log_prior.items()},
        draws,
        predictive[size:],
    )


def _map(function: Callable[[Any], Any], values: Any, at_once: int) -> Any:
    """Return the function's values, all at once if there is memory for that."""
    size = len(jax.tree.leaves(values)[0])
    if size <= at_once:
        return jax.vmap(function)(values)
    return lax.map(function, values, batch_size=at_once)
