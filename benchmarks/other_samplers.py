"""Run ``Regression.model`` under NUTS of NumPyro, of blackjax and of nutpie, and compare.

    python3 -m uv run --group bench python benchmarks/other_samplers.py

The model is a plain NumPyro function: NumPyro's NUTS takes it as it is, the others its potential,
from ``initialize_model``. Printed are posterior means and standard deviations of stackloss's
air_flow and of alpha, and the largest distance from NumPyro's in Monte Carlo standard errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import blackjax
import jax
import numpy as np
import nutpie
from _report import against, header, table
from arviz_base import from_dict
from arviz_stats import mcse
from jax.flatten_util import ravel_pytree
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import initialize_model

from robust_dist.datasets import DATASETS, load
from robust_dist.regression import Regression

DRAWS, WARMUP, CHAINS = 2000, 1000, 4
BAR = 5.0  # standard errors: what follows is the same posterior

Draws = dict[str, np.ndarray]


def with_numpyro(regression: Regression) -> Draws:
    """Return draws of the model's sites, chains leading."""
    mcmc = MCMC(
        NUTS(regression.model),
        num_warmup=WARMUP,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(jax.random.key(0), **regression.data)
    return {name: np.asarray(v) for name, v in mcmc.get_samples(group_by_chain=True).items()}


def potential(regression: Regression) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
    """Return an unconstrained start, the potential, and the way to the model's sites."""
    info = initialize_model(jax.random.key(1), regression.model, model_kwargs=regression.data)
    return info.param_info.z, info.potential_fn, info.postprocess_fn


def with_blackjax(regression: Regression) -> Draws:
    """Return the same by blackjax."""
    start, energy, to_sites = potential(regression)

    def density(position: Any) -> jax.Array:
        return -energy(position)

    def chain(key: jax.Array) -> Any:
        adapt, sample = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, density)
        (state, parameters), _ = adaptation.run(adapt, start, num_steps=WARMUP)
        kernel = blackjax.nuts(density, **parameters)

        def step(state: Any, key: jax.Array) -> Any:
            state, _ = kernel.step(key, state)
            return state, state.position

        return jax.lax.scan(step, state, jax.random.split(sample, DRAWS))[1]

    positions = jax.jit(jax.vmap(chain))(jax.random.split(jax.random.key(2), CHAINS))
    sites = jax.vmap(jax.vmap(to_sites))(positions)
    return {name: np.asarray(values) for name, values in sites.items()}


def with_nutpie(regression: Regression) -> Draws:
    """Return the same by nutpie, which is written in Rust and calls back for the density."""
    start, energy, to_sites = potential(regression)
    flat, unravel = ravel_pytree(start)
    gradient = jax.jit(jax.value_and_grad(lambda position: -energy(unravel(position))))
    expand = jax.jit(lambda position: to_sites(unravel(position)))

    def make_density() -> Callable[..., Any]:
        def density(position: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = gradient(position.astype(np.float32))
            return float(value), np.asarray(slope, np.float64)

        return density

    def make_expand(*_seeds: int) -> Callable[..., Any]:
        def of_position(position: np.ndarray) -> Draws:
            sites = expand(position.astype(np.float32))
            return {name: np.asarray(values, np.float64) for name, values in sites.items()}

        return of_position

    sites = expand(flat)
    model = nutpie.compiled_pyfunc.from_pyfunc(
        flat.size,
        make_density,
        make_expand,
        [np.dtype("float64")] * len(sites),
        [np.shape(values) for values in sites.values()],
        list(sites),
    )
    trace = nutpie.sample(
        model, draws=DRAWS, tune=WARMUP, chains=CHAINS, seed=3, progress_bar=False
    )
    posterior = trace["posterior"].dataset
    return {str(name): posterior[name].values for name in posterior.data_vars}


SAMPLERS = {"numpyro": with_numpyro, "blackjax": with_blackjax, "nutpie": with_nutpie}


def main() -> None:
    """Run all and print."""
    regression = Regression(DATASETS["stackloss"].formula, load("stackloss"))
    found, errors = {}, {}
    for name, sample in SAMPLERS.items():
        draws = sample(regression)
        found[name] = np.stack([draws["beta"][..., 1], draws["alpha"]])
        tree = from_dict({"posterior": dict(zip("ab", found[name], strict=True))})
        error = mcse(tree)["posterior"].dataset
        errors[name] = np.array([float(error["a"]), float(error["b"])])
    print(header(f"stackloss, {CHAINS} chains of {DRAWS} draws"))
    rows = []
    for name, draws in found.items():
        mean, sd = draws.mean((1, 2)), draws.std((1, 2))
        apart = np.abs(mean - found["numpyro"].mean((1, 2)))
        distance = float((apart / np.hypot(errors[name], errors["numpyro"])).max())
        cells = [f"{m:.3f} +- {s:.3f}" for m, s in zip(mean, sd, strict=True)]
        rows.append((name, *cells, f"{distance:.1f}", *against(distance, BAR)))
    print(table(("sampler", "air_flow", "alpha", "distance", "bar", "verdict"), rows))


if __name__ == "__main__":
    main()
