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
    program = _Program(model, constants, data, count)

    def follow(key: Array, latent: Mapping[str, ArrayLike]) -> Following:
        keys = jax.random.split(key, 3)
        prior, prior_predictive = program.prior(keys[1], keys[2], -(-PRIOR_DRAWS // thin))
        log_likelihood = np.empty((count, rows), np.float32)
        predictive = np.empty((count, rows), np.float32)
        log_prior: dict[str, list[np.ndarray]] = {name: [] for name in program.sites}
        draws = program.shaped(latent)
        for chosen, within, values in program.evaluate(keys[0], draws):
            log_likelihood[chosen, within], predictive[chosen, within], of_prior = values
            if within.start == 0:
                for name, value in of_prior.items():
                    log_prior[name].append(value)
        joined = {name: np.concatenate(values) for name, values in log_prior.items()}
        return Following(log_likelihood, predictive, joined, prior, prior_predictive)

    return follow


def draw_prior(
    model: Model, constants: Any, data: Mapping[str, Any], count: int, key: Array
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return draws of what the model samples, from the prior, and a response of each row.

    Parameters
    ----------
    model, constants, data
        As for :func:`prepare`.
    count
        How many draws; fewer if draws times rows would take too much memory.
    key
        Of the draws.
    """
    prior_key, response_key = jax.random.split(key)
    return _Program(model, constants, data, count).prior(prior_key, response_key, count)


class _Program:
    """The program that evaluates some draws on a block of rows, and what it is called with."""

    def __init__(self, model: Model, constants: Any, data: Mapping[str, Any], count: int) -> None:
        self._rows = len(data["y"])
        host = jax.tree.map(np.asarray, dict(data))
        if self._rows < MANY:
            host = fill(host, padded(self._rows))
            host.pop("keep")  # what becomes of the last rows is not looked at
        self._blocks = list(_blocks(len(host["y"])))
        self._host, self._constants = host, constants
        first = self._part(self._blocks[0])
        one, tables = _shapes(model, constants, first)
        at_once = min(_AT_ONCE // len(first["y"]), _ALPHAS // tables, _DRAWS, padded(count))
        self._at_once = max(1, at_once)
        self.sites = {name: shape.shape for name, shape in one.items()}
        self._shapes = {
            name: jax.ShapeDtypeStruct((self._at_once, *v.shape), v.dtype)
            for name, v in one.items()
        }
        self._from_prior = _drawing(model)
        keys = jax.random.split(jax.random.key(0), self._at_once)
        self._call = _evaluating(model, _avals((keys, self._shapes, constants, first)))

    def shaped(self, latent: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
        """Return draws as the program takes them."""
        return {
            name: np.asarray(value, self._shapes[name].dtype).reshape(-1, *self.sites[name])
            for name, value in latent.items()
        }

    def evaluate(self, key: Array, latent: Mapping[str, np.ndarray]) -> Iterator[Any]:
        """Yield some draws and rows at a time: which of both, and what follows from them.

        That is the rows' log density, a response of each, and the sites' log density.
        """
        call, total = self._call.result(), len(next(iter(latent.values())))
        for place, block in enumerate(self._blocks):
            of_block = jax.random.fold_in(key, place)
            rows_of_block = self._part(block)
            within = slice(block.start, min(block.stop, self._rows))
            for number, start in enumerate(range(0, total, self._at_once)):
                # the last are filled up with draws that were there before
                chosen = np.arange(start, start + self._at_once) % total
                draws = {name: value[chosen] for name, value in latent.items()}
                each = jax.random.split(jax.random.fold_in(of_block, number), self._at_once)
                kept = min(self._at_once, total - start)
                density, response, of_prior = jax.tree.map(
                    lambda value, kept=kept: np.asarray(value)[:kept],
                    call(each, draws, self._constants, rows_of_block),
                )
                width = within.stop - within.start
                values = (density[:, :width], response[:, :width], of_prior)
                yield slice(start, start + kept), within, values

    def prior(
        self, key: Array, response_key: Array, count: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return draws of the sites from the prior, and of the responses.

        Of many rows they are fewer than asked for.
        """
        count = max(1, min(count, int(numbers(self._rows) / self._rows)))
        first = self._part(self._blocks[0])
        draws = _prior_draws(self._from_prior, key, count, self._at_once, self._constants, first)
        predictive = np.empty((count, self._rows), np.float32)
        for chosen, within, values in self.evaluate(response_key, draws):
            predictive[chosen, within] = values[1]
        return draws, predictive

    def _part(self, block: slice) -> dict[str, Any]:
        return jax.tree.map(lambda values: values[block], self._host)


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
