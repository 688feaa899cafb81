"""The posterior by NumPyro's NUTS, compiled once for each structure of a model.

A program runs up to a hundred steps of all chains, whatever becomes of them: it serves warm-up and
draws, however many, and all data of one shape; and between two calls one can tell how far it is.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, PartitionSpec
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from robust_dist._errors import InputError
from robust_dist.regression.model import STRUCTURES
from robust_dist.regression.posterior.run import NOWHERE, Run
from robust_dist.regression.posterior.sites import Model, constrained, potential, unconstrained

STATISTICS: dict[str, Callable[[Any], Array]] = {
    "diverging": lambda state: state.diverging,
    "num_steps": lambda state: state.num_steps,
    "accept_prob": lambda state: state.accept_prob,
    "energy": lambda state: state.energy,
    "potential_energy": lambda state: state.potential_energy,
    "adapt_state.step_size": lambda state: state.adapt_state.step_size,
}
"""what becomes sample_stats, by its name in HMCState"""
_STEPS = 100
"""that a program takes at most"""
_ATTEMPTS = 100
"""to find a start where the density is finite"""
_RADIUS = 0.1
"""about a start where it is not"""


def sample(
    model: Model,
    constants: Any,
    data: Mapping[str, Any],
    key: Array,
    run: Run,
    starts: Mapping[str, np.ndarray] | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return draws of every site and the sampler's statistics, chains and draws leading.

    Chains run in parallel if there is a device for each, else vectorised on one, or in turns.

    Parameters
    ----------
    model, constants, data
        A model of ``regression.model.model_of``, and its arguments.
    key
        Of JAX.
    run
        How to sample.
    starts
        Unconstrained values of each site, chains leading; by default within 1 of the origin.

    Raises
    ------
    InputError
        If no start has a finite density.
    """
    keys = jax.random.split(key, run.chains)
    shapes = unconstrained(model, constants, data)
    if starts is None:
        centers = {name: jnp.zeros((run.chains, *shape)) for name, shape in shapes.items()}
        radius = 1.0  # the standardised origin is a robust fit: chains start apart, but near
    else:
        centers, radius = {name: jnp.asarray(starts[name], float) for name in shapes}, 0.0
    chains = (keys, centers, jnp.full(run.chains, radius))
    parts = [chains]
    if run.in_turns:
        parts = [jax.tree.map(lambda v, i=i: v[i : i + 1], chains) for i in range(run.chains)]
    steps = len(parts) * (run.warmup + run.draws)
    with _Bar(steps, run.progress) as bar:
        results = [_chains(model, constants, data, part, run, bar) for part in parts]
    return jax.tree.map(lambda *values: np.concatenate(values), *results)


def _chains(
    model: Model, constants: Any, data: Mapping[str, Any], chains: Any, run: Run, bar: "_Bar"
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the draws of chains that run together."""
    how = "together"
    if run.in_turns:
        how = "alone"
    elif jax.local_device_count() >= run.chains > 1:
        how = "devices"
    start, advance = _programs(model, run.warmup, run.target_accept, run.dense, how, run.chains)
    states = _started(start, chains, constants, data)
    kept = []
    for phase, total in (("warm-up", run.warmup), ("sampling", run.draws)):
        for done in range(0, total, _STEPS):
            count = min(_STEPS, total - done)
            states, values = advance(states, count, constants, data)
            if phase == "sampling":
                kept.append(jax.tree.map(lambda value, n=count: np.asarray(value)[:, :n], values))
            bar.advance(phase, count)
    return jax.tree.map(lambda *values: np.concatenate(values, axis=1), *kept)


def _started(
    start: Callable[..., Any], chains: Any, constants: Any, data: Mapping[str, Any]
) -> Any:
    """Return the chains' states where the density is finite."""
    attempts, centers, radius = chains
    for _ in range(_ATTEMPTS):
        states = start((attempts, centers, radius), constants, data)
        finite = jnp.isfinite(states.potential_energy)
        if bool(finite.all()):
            return states
        others = jax.vmap(lambda key: jax.random.fold_in(key, 1))(attempts)
        attempts = jnp.where(finite, attempts, others)
        radius = jnp.where(finite, radius, jnp.maximum(radius, _RADIUS))
    raise InputError(NOWHERE)


@lru_cache(maxsize=STRUCTURES)
def _programs(
    model: Model,
    warmup: int,
    target_accept: float,
    dense: bool,
    how: str,
    chains: int,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the programs that start chains, and that take some steps of them."""

    def kernel(z: Any, key: Array, constants: Any, data: Mapping[str, Any]) -> Any:
        """Return the first state, and the function of a state that returns the next."""

        def energy(constants: Any, **data: Any) -> Callable[[Any], Array]:
            return partial(potential, model, constants, data)

        first, step = hmc(potential_fn_gen=energy)
        state = first(
            z,
            warmup,
            target_accept_prob=target_accept,
            dense_mass=[tuple(sorted(z.z if isinstance(z, ParamInfo) else z))] if dense else [],
            model_args=(constants,),
            model_kwargs=dict(data),
            rng_key=key,
        )
        return state, step

    def start(chain: Any, constants: Any, data: Mapping[str, Any]) -> Any:
        key, centers, radius = chain
        key, start = jax.random.split(key)
        keys = jax.random.split(start, len(centers))
        z = {
            name: center + radius * jax.random.uniform(each, center.shape, minval=-1.0, maxval=1.0)
            for (name, center), each in zip(centers.items(), keys, strict=True)
        }
        return kernel(z, key, constants, data)[0]

    def advance(state: Any, count: Array, constants: Any, data: Mapping[str, Any]) -> Any:
        # the schedule of adaptation is made along with a first state, which nobody asks for here
        here = ParamInfo(state.z, state.potential_energy, state.z_grad)
        _, step = kernel(here, state.rng_key, constants, data)

        def values(state: Any) -> Any:
            return state.z, {name: field(state) for name, field in STATISTICS.items()}

        def body(number: Array, carry: Any) -> Any:
            state, kept = carry
            state = step(state, (constants,), dict(data))
            return state, jax.tree.map(
                lambda values, value: values.at[number].set(value), kept, values(state)
            )

        kept = jax.tree.map(
            lambda value: jnp.zeros((_STEPS, *jnp.shape(value)), jnp.result_type(value)),
            values(state),
        )
        state, (z, statistics) = lax.fori_loop(0, count, body, (state, kept))
        sites = jax.vmap(lambda z: constrained(model, constants, data, z))(z)
        return state, (sites, statistics)

    ways: dict[str, Callable[..., Any]] = {
        "together": jax.vmap,
        "alone": _alone,
        "devices": partial(_on_devices, chains=chains),
    }
    several = ways[how]
    return (
        jax.jit(several(start, in_axes=(0, None, None))),
        jax.jit(several(advance, in_axes=(0, None, None, None))),
    )


def _alone(function: Callable[..., Any], in_axes: Any) -> Callable[..., Any]:
    """Return the function of one chain, for a leading axis of one."""

    def call(chain: Any, *others: Any) -> Any:
        one = function(jax.tree.map(lambda value: value[0], chain), *others)
        return jax.tree.map(lambda value: value[None], one)

    return call


def _on_devices(function: Callable[..., Any], in_axes: Any, chains: int) -> Callable[..., Any]:
    """Return the function of a chain for each device."""
    mesh = Mesh(np.array(jax.local_devices()[:chains]), "chain")
    specs = tuple(PartitionSpec() if axis is None else PartitionSpec("chain") for axis in in_axes)
    return jax.shard_map(
        _alone(function, in_axes),
        mesh=mesh,
        in_specs=specs,
        out_specs=PartitionSpec("chain"),
        check_vma=False,
    )


class _Bar:
    """How far the sampler is, on stderr."""

    def __init__(self, steps: int, shown: bool) -> None:
        self._bar = None
        if shown:
            from tqdm import tqdm

            self._bar = tqdm(total=steps, desc="compiling")

    def advance(self, phase: str, steps: int) -> None:
        """Tell of steps taken."""
        if self._bar is not None:
            self._bar.set_description(phase, refresh=False)
            self._bar.update(steps)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
