"""Compare networks trained on outliers whose activations bend as alpha falls with others.

    python3 -m uv run --group bench python benchmarks/coupled_activation.py [--seeds N] [--steps N]

A network that is linear where the loss is quadratic has a convex problem to start from; as alpha is
annealed, one may bend its activations along with it. The activation is f(x, t), with

    tanh:      f(x, t) = tanh(t x)/t,                              x at t = 0, tanh(x) at t = 1
    softplus:  f(x, t) = (1 - t) x + t (log(1 + exp(x)) - log 2),  x at t = 0, softplus at t = 1

and t = (2 - alpha)/(2 - target), so that t goes from 0 to 1 as alpha goes from 2 to its target
(`robust_dist.optimize.alpha_schedule`, over the first 60 % of the steps). Four ways to train:

    coupled    alpha annealed, t by alpha       uncoupled  alpha annealed, t = 1
    bending    alpha at its target, t by the    plain      alpha at its target, t = 1
               schedule alpha would have had

Data: diabetes (scikit-learn), engel (this package) and friedman1 (scikit-learn's simulation, 300
rows): a third each to train, to validate and to test. 20 % of the responses of the first two are
raised by 3 to 10 standard deviations. Networks of two hidden layers of 16, Adam with full batches;
c is 0.5 in units of the training responses' robust spread. The L2 penalty is, for each way and
seed, that of (1e-3, 3e-3, 1e-2, 3e-2) with the least median absolute error on the validation rows;
with --penalty it is one for all. The figure is the root mean squared error on clean test rows, in
that unit; "linear" is the annealed robust linear fit. All seeds (split, outliers, weights) are
trained at once by vmap; differences are paired by seed, with 95 % t intervals.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from _intervals import interval
from _report import header, table
from jax import Array
from numpyro.optim import Adam
from sklearn.datasets import load_diabetes, make_friedman1

from robust_dist import datasets, rho
from robust_dist.optimize import alpha_schedule, anneal

HIDDEN = 16
SCALE = 0.5
ANNEALED = 0.6  # the share of the steps in which alpha falls
PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2)
WAYS = {  # whether alpha, and whether t, follow the schedule
    "coupled": (True, True),
    "uncoupled": (True, False),
    "bending": (False, True),
    "plain": (False, False),
}


def bent_tanh(x: Array, t: Array) -> Array:
    """Return tanh(t x)/t, x at t = 0."""
    return jnp.where(t > 0, jnp.tanh(t * x) / jnp.where(t > 0, t, 1), x)


def bent_softplus(x: Array, t: Array) -> Array:
    """Return the mixture of x and softplus less its value at 0."""
    return (1 - t) * x + t * (jax.nn.softplus(x) - jnp.log(2.0))


ACTIVATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "tanh": bent_tanh,
    "softplus": bent_softplus,
}


def read() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return predictors and response of each data set."""
    engel = datasets.load("engel").to_numpy(float)
    return {
        "diabetes": load_diabetes(return_X_y=True),
        "engel": (engel[:, :1], engel[:, 1]),
        "friedman1": make_friedman1(300, noise=1.0, random_state=0),
    }


def spoil(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    """Return standardised thirds to train, to validate and to test, the last without outliers."""
    rng = np.random.default_rng(seed)
    third = y.size // 3
    train, check, test = rng.permutation(y.size)[: 3 * third].reshape(3, third)
    dirty = y + y[train].std() * rng.uniform(3, 10, y.size) * (rng.random(y.size) < 0.2)
    middle = np.median(dirty[train])
    spread = 1.4826 * np.median(np.abs(dirty[train] - middle))
    z = (x - x[train].mean(0)) / x[train].std(0)
    v, w = (y - middle) / spread, (dirty - middle) / spread
    return z[train], w[train], z[check], w[check], z[test], v[test]


def network(weights: list[Array], x: Array, f: Callable[[Array], Array]) -> Array:
    """Return the predictions."""
    for w in weights[:-1]:
        x = f(x @ w[:-1] + w[-1])
    return (x @ weights[-1][:-1] + weights[-1][-1])[:, 0]


def start(key: Array, columns: int) -> list[Array]:
    """Return weights, the bias in the last row, of variance 1/inputs."""
    sizes = (columns, HIDDEN, HIDDEN, 1)
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        jax.random.normal(k, (n + 1, m)) / np.sqrt(n) * (jnp.arange(n + 1) < n)[:, None]
        for k, n, m in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


@partial(jax.jit, static_argnames=("activation", "steps"))
def errors(
    keys: Array,
    data: tuple[Array, ...],
    target: float,
    way: Array,
    penalty: float,
    activation: str,
    steps: int,
) -> tuple[Array, Array]:
    """Return each seed's median absolute error on validation rows, and error on test rows."""
    annealed = alpha_schedule(target, int(ANNEALED * steps))
    path = jnp.concatenate([annealed, jnp.full(steps - annealed.size, target)])
    bend = (2 - path) / (2 - target)
    alphas = jnp.where(way[0], path, target)
    bends = jnp.where(way[1], bend, 1.0)
    f = ACTIVATIONS[activation]
    optimizer = Adam(1e-2)

    def train(
        key: Array, x: Array, y: Array, x_check: Array, y_check: Array, x_test: Array, y_test: Array
    ) -> tuple[Array, Array]:
        def loss(weights: list[Array], alpha: Array, t: Array) -> Array:
            residuals = y - network(weights, x, lambda v: f(v, t))
            size = sum(jnp.sum(w**2) for w in weights)
            return jnp.mean(rho(residuals, alpha, SCALE)) + penalty * size

        def step(state: object, now: tuple[Array, Array]) -> tuple[object, None]:
            gradient = jax.grad(loss)(optimizer.get_params(state), *now)
            return optimizer.update(gradient, state), None

        state, _ = jax.lax.scan(step, optimizer.init(start(key, x.shape[1])), (alphas, bends))
        weights = optimizer.get_params(state)
        of_check, of_test = (
            network(weights, v, lambda v: f(v, bends[-1])) for v in (x_check, x_test)
        )
        missed = jnp.median(jnp.abs(y_check - of_check))
        return missed, jnp.sqrt(jnp.mean((y_test - of_test) ** 2))

    return jax.vmap(train)(keys, *data)


@jax.jit
def linear_errors(data: tuple[Array, ...], target: float) -> Array:
    """Return each seed's error on clean test rows, of an annealed linear fit."""

    def fit(
        x: Array, y: Array, x_check: Array, y_check: Array, x_test: Array, y_test: Array
    ) -> Array:
        one, all_of = jnp.ones((x.shape[0], 1)), jnp.ones((x_test.shape[0], 1))
        beta = anneal(jnp.hstack([one, x]), y, target, SCALE).coefficients
        return jnp.sqrt(jnp.mean((y_test - jnp.hstack([all_of, x_test]) @ beta) ** 2))

    return jax.vmap(fit)(*data)


def shown(differences: np.ndarray) -> str:
    """Return the mean and its 95 % t interval, in words."""
    mean, half = interval(differences)
    return f"{mean:+.2f} ({mean - half:+.2f}, {mean + half:+.2f})"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--penalty", type=float, help="one penalty, in place of the best of four")
    arguments = parser.parse_args()
    penalties = PENALTIES if arguments.penalty is None else (arguments.penalty,)
    print(header(f"Coupled activation, {arguments.seeds} seeds, {arguments.steps} steps"))
    began = time.perf_counter()
    rows = []
    keys = jax.random.split(jax.random.key(0), arguments.seeds)
    for name, (x, y) in read().items():
        sets = [spoil(x, y, seed) for seed in range(arguments.seeds)]
        data = tuple(jnp.asarray(np.stack(each), jnp.float32) for each in zip(*sets, strict=True))
        for activation in ACTIVATIONS:
            for target in (0.0, -2.0):
                found = {}
                for way, flags in WAYS.items():
                    tried = [
                        errors(keys, data, target, jnp.array(flags), p, activation, arguments.steps)
                        for p in penalties
                    ]
                    missed, error = np.array(tried).swapaxes(0, 1)
                    found[way] = error[missed.argmin(0), np.arange(arguments.seeds)]
                rows.append(
                    (
                        f"{name}, {activation}, alpha -> {target:g}",
                        f"{linear_errors(data, target).mean():.2f}",
                        *(f"{each.mean():.2f}" for each in found.values()),
                        shown(found["coupled"] - found["uncoupled"]),
                        shown(found["bending"] - found["plain"]),
                    )
                )
    titles = ("data, activation, target", "linear", *WAYS, "coupled - uncoupled", "bending - plain")
    print(table(titles, rows))
    print(f"{time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
