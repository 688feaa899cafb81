"""What follows from the draws: pointwise densities, predictions and the prior.

One program evaluates some draws on a block of rows, whatever their numbers in all, and serves draws
of the prior, too: what a law compiles to is most of the time. It takes little memory on the way.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpyro.handlers import seed, substitute, trace

from robust_dist.regression.likelihoods import alphas
from robust_dist.regression.model import STRUCTURES
from robust_dist.regression.posterior.padding import fill, padded
from robust_dist.regression.posterior.sites import Model, sampled

PRIOR_DRAWS = 1000
_AT_ONCE = 1_000_000
"""draws times rows of a block that are in memory at a time"""
_ALPHAS = 4096
"""draws times alphas that are in memory at a time: each brings a table of its quantiles"""
_DRAWS = 1024
"""that are evaluated at a time, at most"""
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
    model: Model, constants: Any, data: Mapping[str, Any], count: int, thin: int
) -> Callable[[Array, Mapping[str, ArrayLike]], Following]:
    """Return the function of a key and draws that computes what follows from them.

    Unless there is such a program already, it is compiled in the background, meanwhile.

    Parameters
    ----------
    model, constants, data
        A model of ``regression.model.model_of``, and its arguments.
    count
        How many draws there will be.
    thin
        Of so many draws of the prior one is kept.
    """
    rows = len(data["y"])
    host = jax.tree.map(np.asarray, dict(data))
    if rows < MANY:
        host = fill(host, padded(rows))
        host.pop("keep")  # what becomes of the last rows is not looked at
    blocks = list(_blocks(len(host["y"])))

    def part(block: slice) -> dict[str, Any]:
        return jax.tree.map(lambda values: values[block], host)

    first = part(blocks[0])
    one, tables = _shapes(model, constants, first)
    at_once = max(1, min(_AT_ONCE // len(first["y"]), _ALPHAS // tables, _DRAWS, padded(count)))
    before = max(1, min(-(-PRIOR_DRAWS // thin), int(numbers(rows) / rows)))
    from_prior = _drawing(model)
    shapes = {name: jax.ShapeDtypeStruct((at_once, *v.shape), v.dtype) for name, v in one.items()}
    keys = jax.random.split(jax.random.key(0), at_once)
    evaluating = _evaluating(model, _avals((keys, shapes, constants, first)))

    def evaluate(key: Array, latent: Mapping[str, np.ndarray], block: slice) -> Any:
        """Yield some draws at a time: which, and what follows from them."""
        call, total = evaluating.result(), len(next(iter(latent.values())))
        rows_of_block = part(block)
        for number, start in enumerate(range(0, total, at_once)):
            # the last are filled up with draws that were there before
            chosen = np.arange(start, start + at_once) % total
            draws = {name: value[chosen] for name, value in latent.items()}
            each = jax.random.split(jax.random.fold_in(key, number), at_once)
            kept = min(at_once, total - start)
            following = call(each, draws, constants, rows_of_block)
            yield (
                slice(start, start + kept),
                jax.tree.map(lambda v, n=kept: np.asarray(v)[:n], following),
            )

    def follow(key: Array, latent: Mapping[str, ArrayLike]) -> Following:
        keys = jax.random.split(key, 3)
        draws = {
            name: np.asarray(value, shapes[name].dtype).reshape(-1, *one[name].shape)
            for name, value in latent.items()
        }
        prior = _prior_draws(from_prior, keys[1], before, at_once, constants, first)
        log_likelihood = np.empty((count, rows), np.float32)
        predictive = np.empty((count, rows), np.float32)
        prior_predictive = np.empty((before, rows), np.float32)
        log_prior: dict[str, list[np.ndarray]] = {name: [] for name in one}
        for number, block in enumerate(blocks):
            within = slice(block.start, min(block.stop, rows))
            width = within.stop - within.start
            for chosen, values in evaluate(jax.random.fold_in(keys[0], number), draws, block):
                density, response, of_prior = values
                log_likelihood[chosen, within] = density[:, :width]
                predictive[chosen, within] = response[:, :width]
                if number == 0:
                    for name, value in of_prior.items():
                        log_prior[name].append(value)
            for chosen, values in evaluate(jax.random.fold_in(keys[2], number), prior, block):
                prior_predictive[chosen, within] = values[1][:, :width]
        joined = {name: np.concatenate(values) for name, values in log_prior.items()}
        return Following(log_likelihood, predictive, joined, prior, prior_predictive)

    return follow


def _prior_draws(
    call: Callable[..., Any], key: Array, count: int, at_once: int, constants: Any, data: Any
) -> dict[str, np.ndarray]:
    """Return draws of what the model samples, from the prior."""
    keys = jax.random.split(key, -(-count // at_once))
    parts = [call(jax.random.split(one, at_once), constants, data) for one in keys]
    return jax.tree.map(lambda *values: np.concatenate(values)[:count], *parts)


def _avals(arguments: Any) -> tuple[Any, ...]:
    """Return what a program is compiled for: the tree of its arguments, their shapes and types."""
    leaves, tree = jax.tree.flatten(arguments)
    return tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


@lru_cache(maxsize=STRUCTURES)
def _evaluating(model: Model, avals: tuple[Any, ...]) -> Future[jax.stages.Compiled]:
    """Return the program that evaluates draws on rows, soon."""
    tree, shapes = avals

    def pointwise(
        key: Array, values: Mapping[str, Array], constants: Any, data: Mapping[str, Any]
    ) -> Any:
        traced = trace(substitute(model, values)).get_trace(constants, **data)
        log_prior = {name: traced[name]["fn"].log_prob(values[name]) for name in values}
        law = traced["y"]["fn"]
        return law.log_prob(data["y"]), law.sample(key), log_prior

    program = jax.jit(jax.vmap(pointwise, in_axes=(0, 0, None, None)))
    leaves = [jax.ShapeDtypeStruct(shape, kind) for shape, kind in shapes]
    lowered = program.lower(*jax.tree.unflatten(tree, leaves))
    executor = ThreadPoolExecutor(1)
    compiled = executor.submit(lowered.compile)
    executor.shutdown(wait=False)
    return compiled


@lru_cache(maxsize=STRUCTURES)
def _drawing(model: Model) -> Callable[..., Any]:
    """Return the program that draws from the prior."""
    return jax.jit(
        jax.vmap(
            lambda key, constants, data: _prior(model, key, constants, data)[0],
            in_axes=(0, None, None),
        )
    )


def _blocks(rows: int) -> Iterator[slice]:
    """Yield blocks of the same length, the last of which reaches back into the one before."""
    length = min(rows, MANY)
    for start in range(0, rows, length):
        last = min(start + length, rows)
        yield slice(last - length, last)


def _prior(model: Model, key: Array, constants: Any, data: Mapping[str, Any]) -> Any:
    """Return a draw of what the model samples, from the prior, and the rows' alpha."""
    traced = trace(seed(model, key)).get_trace(constants, **data)
    values = {name: site["value"] for name, site in sampled(traced).items()}
    return values, alphas(traced["y"]["fn"])


def _shapes(model: Model, constants: Any, data: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the shape of each site, and how many alphas the rows of one draw have."""
    one, tables = jax.eval_shape(lambda key: _prior(model, key, constants, data), jax.random.key(0))
    return one, math.prod(tables.shape)
