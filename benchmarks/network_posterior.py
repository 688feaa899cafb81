"""Compare the predictive intervals of a network's posterior with those of its best weights.

    python3 -m uv run python benchmarks/network_posterior.py [--seeds N] [--rows N]

One data set a seed: 60 rows of y = sin(3 x) + x/2 with Normal noise of sd 0.2 at x in [-2, 2], none
in (0.3, 1.1), of which 15 % are raised by 1 to 4; and 500 clean rows over all of [-2, 2] to test. A
network of one hidden layer of 8 tanh units with Normal priors, under GeneralRobust noise (alpha
Uniform(0, 2), scale HalfNormal(1)) and under Normal noise, is fitted

    MAP    by its posterior mode: AutoDelta, 3000 steps of Adam; predictions are the mode's own
    NUTS   by sampling, 500 draws after 500 of warm-up, started at that mode; predictions average
           over the draws

Printed are the share of clean test rows in the central 50 % and 90 % predictive intervals, the mean
width of the latter, and the root mean squared error of the predictive median, each the mean over
seeds with its 95 % t interval. "in the gap" counts test rows with x in (0.3, 1.1) only.
"""

from __future__ import annotations

import argparse
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from _intervals import interval
from _report import header, table
from jax import Array
from numpyro import distributions as dist
from numpyro import sample
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoDelta
from numpyro.optim import Adam

from robust_dist import GeneralRobust

HIDDEN = 8
GAP = (0.3, 1.1)
LEVELS = (0.5, 0.9)


def truth(x: np.ndarray) -> np.ndarray:
    """Return the function to learn."""
    return np.sin(3 * x) + x / 2


def simulate(seed: int, rows: int) -> tuple[np.ndarray, ...]:
    """Return training rows with outliers, and clean test rows."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, 4 * rows)
    x = x[(x < GAP[0]) | (x > GAP[1])][:rows]
    y = truth(x) + 0.2 * rng.standard_normal(rows)
    y[: round(0.15 * rows)] += rng.uniform(1, 4, round(0.15 * rows))
    x_test = rng.uniform(-2, 2, 500)
    return x, y, x_test, truth(x_test) + 0.2 * rng.standard_normal(500)


def network(x: Array) -> Array:
    """Return the network's values, its weights sampled."""
    w = sample("w", dist.Normal(0, 2).expand([HIDDEN]).to_event(1))
    b = sample("b", dist.Normal(0, 2).expand([HIDDEN]).to_event(1))
    out = sample("out", dist.Normal(0, 1).expand([HIDDEN]).to_event(1))
    return jnp.tanh(x[:, None] * w + b) @ out + sample("level", dist.Normal(0, 1))


def robust(x: Array, y: Array | None = None) -> None:
    """Model noise of free shape."""
    alpha = sample("alpha", dist.Uniform(0, 2))
    scale = sample("scale", dist.HalfNormal(1))
    sample("y", GeneralRobust(alpha, network(x), scale), obs=y)


def normal(x: Array, y: Array | None = None) -> None:
    """Model Normal noise."""
    sample("y", dist.Normal(network(x), sample("scale", dist.HalfNormal(1))), obs=y)


def best(model, key: Array, x: Array, y: Array) -> dict[str, Array]:  # type: ignore[no-untyped-def]
    """Return the posterior mode, the best of three starts."""
    svi = SVI(model, guide := AutoDelta(model), Adam(2e-2), Trace_ELBO())
    runs = [
        svi.run(k, 3000, x, y, progress_bar=False, stable_update=True)
        for k in jax.random.split(key, 3)
    ]
    end = min(runs, key=lambda run: float(run.losses[-1]))
    return guide.median(end.params)


def predictions(model, key: Array, found: dict[str, Array], x: Array) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return 4,000 predictive draws for each row, as the draws of the weights allow."""
    draws = next(iter(found.values())).shape[0]
    many = jax.tree.map(lambda v: jnp.repeat(v, 4000 // draws, axis=0), found)
    return np.asarray(Predictive(model, many)(key, x)["y"])


def figures(drawn: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return coverage at each level, that at the last in the gap, its width, and the error."""
    gap = (x > GAP[0]) & (x < GAP[1])
    found = []
    for level in LEVELS:
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
        inside = (y > low) & (y < high)
        found.append(inside.mean())
    error = np.sqrt(np.mean((y - np.median(drawn, axis=0)) ** 2))
    return [*found, inside[gap].mean(), (high - low).mean(), error]


def shown(values: np.ndarray, percent: bool) -> str:
    """Return the mean and half of its 95 % t interval, in words."""
    mean, half = interval(values)
    unit = 100 if percent else 1
    digits = 1 if percent else 2
    return f"{unit * mean:.{digits}f} ± {unit * half:.{digits}f}"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=60)
    arguments = parser.parse_args()
    print(header(f"Posterior of a network, {arguments.seeds} seeds, {arguments.rows} rows"))
    began = time.perf_counter()
    models = {"GeneralRobust": robust, "Normal": normal}
    found: dict[str, list[list[float]]] = {}
    diverging = 0
    for noise, model in models.items():
        for seed in range(arguments.seeds):
            x, y, x_test, y_test = (
                jnp.asarray(v, jnp.float32) for v in simulate(seed, arguments.rows)
            )
            keys = jax.random.split(jax.random.key(seed), 3)
            mode = best(model, keys[0], x, y)
            kernel = NUTS(model, max_tree_depth=7, init_strategy=init_to_value(values=mode))
            mcmc = MCMC(kernel, num_warmup=500, num_samples=500, progress_bar=False)
            mcmc.run(keys[1], x, y, extra_fields=("diverging",))
            diverging += int(mcmc.get_extra_fields()["diverging"].sum())
            ways = {"MAP": jax.tree.map(lambda v: v[None], mode), "NUTS": mcmc.get_samples()}
            for way, draws in ways.items():
                drawn = predictions(model, keys[2], draws, x_test)
                row = figures(drawn, np.asarray(x_test), np.asarray(y_test))
                found.setdefault(f"{way}, {noise}", []).append(row)
    titles = ("fit, noise", "50 % covers", "90 % covers", "90 %, gap", "90 % width", "error")
    rows = [
        (name, *(shown(v, i < 3) for i, v in enumerate(np.array(values).T)))
        for name, values in found.items()
    ]
    print(table(titles, rows))
    print(f"{diverging} divergences, {time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
