"""What follows from the draws, compiled as one: pointwise densities, predictions and the prior."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.handlers import seed, substitute, trace

PRIOR_DRAWS = 1000
_AT_ONCE = 4_000_000
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
    rows = {name: value for name, value in data.items() if name != "y"}
    at_once = max(1, _AT_ONCE // len(data["y"]))

    def density(latent: Mapping[str, Array], data: Mapping[str, Any]) -> tuple[Any, Any]:
        sites = trace(substitute(model, latent)).get_trace(**data)
        log_prior = {name: sites[name]["fn"].log_prob(latent[name]) for name in latent}
        return sites["y"]["fn"], log_prior

    def pointwise(draw: tuple[Array, Mapping[str, Array]], data: Mapping[str, Any]) -> Any:
        key, latent = draw
        law, log_prior = density(latent, data)
        return law.log_prob(data["y"]), law.sample(key), log_prior

    def prior(key: Array, data: Mapping[str, Any]) -> Any:
        sites = trace(seed(model, key)).get_trace(**data)
        return {name: sites[name]["value"] for name in latent}, sites["y"]["value"]

    @jax.jit
    def run(
        key: Array, latent: Mapping[str, Array], data: Mapping[str, Any], rows: Mapping[str, Any]
    ) -> Any:
        keys = jax.random.split(key)
        size = latent["beta_z"].shape[0]
        after = _map(
            lambda draw: pointwise(draw, data), (jax.random.split(keys[0], size), latent), at_once
        )
        before = _map(
            lambda key: prior(key, rows),
            jax.random.split(keys[1], -(-PRIOR_DRAWS // thin)),
            at_once,
        )
        return after, before

    (log_likelihood, predictive, log_prior), (draws, prior_predictive) = run(
        key, dict(latent), dict(data), rows
    )
    return Following(log_likelihood, predictive, log_prior, draws, prior_predictive)


def _map(function: Callable[[Any], Any], values: Any, at_once: int) -> Any:
    """Return the function's values, all at once if there is memory for that."""
    size = len(jax.tree.leaves(values)[0])
    if size <= at_once:
        return jax.vmap(function)(values)
    return lax.map(function, values, batch_size=at_once)
