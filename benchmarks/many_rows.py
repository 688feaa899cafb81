"""Measure a hand-written regression on up to 1e7 rows in float32, one machine.

    python benchmarks/many_rows.py [errors] [time] [memory] [parts] [--rows N]

errors: differences of energy between eight points of the posterior at N rows, against float64, by
NumPyro's sum and by ``robust_dist.many_rows.compensated``. time: milliseconds per gradient of the
potential from 1e4 rows to N, in turns, by likelihood. memory: what the peak of a process with a few
steps of NUTS grows by from N/10 rows to N, over what the data grow by: x and y in float32 and a
model by hand, or a data frame in float64 and ``Regression.fit``. parts: HMCECS and minibatch
SVI on 1e5 rows, against NUTS on all of them. Without a word all four.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from _regression import regression_model
from _report import Row, against, header, peak_memory, seconds_in_turns, table
from numpyro.infer import HMCECS, MCMC, NUTS, SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoMultivariateNormal
from numpyro.infer.util import log_density
from numpyro.optim import Adam

from robust_dist import GeneralRobust
from robust_dist.many_rows import compensated, mean_log_density
from robust_dist.optimize import init_to_robust

COEFFICIENTS, BETA = 5, (1.0, -2.0, 0.5, 0.0, 3.0)
ERROR_BAR, MEMORY_BAR, STUDENT_BAR, NORMAL_BAR = 0.05, 3.0, 1.1, 4.0
ROBUST, STUDENT, NORMAL = "GeneralRobust", "StudentT", "Normal"
LAWS: dict[str, Callable[..., dist.Distribution]] = {
    ROBUST: GeneralRobust.with_orthogonal_scale,
    STUDENT: dist.StudentT,
    NORMAL: lambda shape, loc, scale: dist.Normal(loc, scale),
}
STARTS = {ROBUST: (0.85, 1.6), STUDENT: (3.0, 1.0), NORMAL: (1.0, 1.73)}


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a design with a constant, and a response with t(3) noise, in float32."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, COEFFICIENTS), np.float32)
    x[:, 0] = 1
    y = x @ np.float32(BETA)
    # in parts, or making the data would take the most memory
    for part in np.array_split(y, -(-rows // 100_000)):
        part += rng.standard_t(3, part.size)
    return x, y


def make_model(name: str, part: int | None = None) -> Callable[..., None]:
    """Return a regression; with ``part`` it looks at so many rows at a time."""
    priors = {ROBUST: lambda: dist.Uniform(0, 2), STUDENT: lambda: dist.Gamma(2, 0.1)}
    return regression_model("shape", priors.get(name), LAWS[name], part)


def parameters(flat: Any, name: str) -> dict[str, Any]:
    """Return the sites of (shape, scale, beta)."""
    sites = {"scale": flat[1], "beta": flat[2:]}
    return sites if name == NORMAL else sites | {"shape": flat[0]}


def density(model: Callable[..., None], name: str) -> Callable[..., jax.Array]:
    """Return the log density of (shape, scale, beta)."""
    return lambda flat, x, y: log_density(model, (x, y), {}, parameters(flat, name))[0]


def _start(name: str) -> np.ndarray:
    return np.array([*STARTS[name], *BETA])


def _in_float64(function: Callable[..., Any], flat: Any, x: np.ndarray, y: np.ndarray) -> Any:
    """Return the sum of the function's values over parts of the rows."""
    total: Any = 0.0
    with jax.enable_x64(True):
        for start in range(0, len(y), 500_000):
            some = slice(start, start + 500_000)
            parts = (part.astype(float) for part in (flat, x[some], y[some]))
            total += np.asarray(function(*parts))
    return total


def errors(rows: int) -> Iterator[Row]:
    """Compare differences of energy in the posterior."""
    x, y = data(rows)
    some = min(rows, 100_000)
    for name in LAWS:

        def of_rows(flat: Any, x: Any, y: Any, name: str = name) -> jax.Array:
            return LAWS[name](flat[0], x @ flat[2:], flat[1]).log_prob(y).sum()

        value, slope, curvature = map(jax.jit, (of_rows, jax.grad(of_rows), jax.hessian(of_rows)))
        free = np.arange(len(_start(name))) >= (name == NORMAL)
        mode = _start(name)
        # Newton's method, in the end on all rows
        for step in range(10):
            much = some if step < 8 else rows
            bend = _in_float64(curvature, mode, x[:some], y[:some])[np.ix_(free, free)]
            fall = _in_float64(slope, mode, x[:much], y[:much])[free] * (some / much)
            mode[free] -= np.clip(np.linalg.solve(bend, fall), -0.2, 0.2)
        deviation = np.zeros(len(mode))
        deviation[free] = np.sqrt(np.diag(np.linalg.inv(-bend)) * some / rows)
        rng = np.random.default_rng(1)
        points = np.float32(mode + deviation * rng.normal(size=(8, len(mode))))
        model = make_model(name)
        whole = jax.jit(density(model, name))
        # that of all rows, and of the priors
        truth = np.array(
            [
                _in_float64(value, point, x, y)
                + _in_float64(whole, point, x[:1], y[:1])
                - _in_float64(value, point, x[:1], y[:1])
                for point in points
            ]
        )
        centre = mean_log_density(model, parameters(np.float32(mode), name), x[:some], y[:some])
        for how, target in (("NumPyro", model), ("compensated", compensated(model, centre))):
            compiled = jax.jit(density(target, name))
            found = np.array([float(compiled(point, x, y)) for point in points])
            worst = float(np.abs(np.diff(found) - np.diff(truth)).max())
            # of squares of t(3) noise no part of the rows tells the mean well
            bar = ERROR_BAR if how == "compensated" and name != NORMAL else None
            yield name, f"{rows:.0e}", how, f"{worst:.3f}", *against(worst, bar)


def _call(function: Callable[..., Any], *arguments: Any) -> None:
    jax.block_until_ready(function(*arguments))


def times(rows: int) -> Iterator[Row]:
    """Time the gradient in turns."""
    count = 10_000
    while count <= rows:
        x, y = map(jnp.asarray, data(count))
        calls = {}
        for name in LAWS:
            model = make_model(name)
            targets = {name: model}
            if name == ROBUST:
                targets[f"{name}, compensated"] = compensated(model, -1.8)
            for key, target in targets.items():
                call = jax.jit(jax.value_and_grad(density(target, name)))
                point = np.float32(_start(name))
                calls[key] = functools.partial(_call, call, point, x, y)
        seconds = seconds_in_turns(calls, max(7, 1_000_000 // count))
        for name, value in seconds.items():
            student, normal = value / seconds[STUDENT], value / seconds[NORMAL]
            judged = name.startswith(ROBUST) and count == 10_000_000
            yield (
                name, f"{count:.0e}", f"{value * 1e3:.2f}", f"{value / count * 1e9:.2f}",
                f"{student:.2f}", *against(student, STUDENT_BAR if judged else None),
                f"{normal:.2f}", *against(normal, NORMAL_BAR if judged else None),
            )  # fmt: skip
        count *= 10


def sample_by_hand(rows: int) -> int:
    """Make the data, take two steps of NUTS, and return the size of the data."""
    x, y = map(jnp.asarray, data(rows))
    kernel = NUTS(compensated(make_model(ROBUST), -1.8), max_tree_depth=2)
    mcmc = MCMC(kernel, num_warmup=1, num_samples=1, progress_bar=False, jit_model_args=True)
    mcmc.run(jax.random.key(0), x, y)
    jax.block_until_ready(mcmc.get_samples())
    return x.nbytes + y.nbytes


def fit_a_frame(rows: int) -> int:
    """Make a data frame in float64, fit it by NUTS, and return its size."""
    import pandas as pd

    from robust_dist.regression import Regression

    x, y = data(rows)
    slopes = {f"x{i}": x[:, i] for i in range(1, COEFFICIENTS)}
    frame = pd.DataFrame({"y": y, **slopes}, dtype=float)
    del x, y, slopes
    regression = Regression("y ~ x1 + x2 + x3 + x4", frame)
    regression.fit(draws=2, warmup=2, chains=2, progress=False)
    return int(frame.memory_usage(index=False).sum())


MEMORY: dict[str, Callable[[int], int]] = {"by hand": sample_by_hand, "Regression.fit": fit_a_frame}


def memory(rows: int) -> Iterator[Row]:
    """Measure it in processes of their own; what they share is Python, JAX and compiling."""

    def peak(how: str, rows: int) -> list[int]:
        command = [sys.executable, __file__, "remember", how, "--rows", str(rows)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    for how in MEMORY:
        (less, small), (most, size) = peak(how, rows // 10), peak(how, rows)
        ratio = (most - less) / (size - small)
        yield (
            how, f"{rows:.0e}", f"{size / 1e6:.0f}", f"{most / 1e6:.0f}", f"{ratio:.2f}",
            *against(ratio, MEMORY_BAR),
        )  # fmt: skip


def parts(rows: int = 100_000, part: int = 2_000, steps: int = 6_000) -> Iterator[Row]:
    """Compare HMCECS and SVI with NUTS on all rows."""
    x, y = map(jnp.asarray, data(rows))
    key = jax.random.key(0)

    def summary(draws: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        names = sorted(parameters(_start(ROBUST), ROBUST))
        columns = np.column_stack([np.asarray(draws[name], float) for name in names])
        return columns.mean(0), columns.std(0)

    def nuts() -> dict[str, Any]:
        mcmc = MCMC(NUTS(make_model(ROBUST)), num_warmup=300, num_samples=500, progress_bar=False)
        mcmc.run(key, x, y)
        return mcmc.get_samples()

    def subsampled() -> dict[str, Any]:
        at = parameters(jnp.asarray(_start(ROBUST), jnp.float32), ROBUST)
        kernel = HMCECS(
            NUTS(make_model(ROBUST, part), init_strategy=numpyro.infer.init_to_value(values=at)),
            num_blocks=20,
            proxy=HMCECS.taylor_proxy(at),
        )
        mcmc = MCMC(kernel, num_warmup=1000, num_samples=2000, progress_bar=False)
        mcmc.run(key, x, y)
        return mcmc.get_samples()

    def variational() -> dict[str, Any]:
        model = make_model(ROBUST, part)
        start = init_to_robust(x[:part], y[:part], alpha="shape", scale=None, sigma="scale")
        guide = AutoMultivariateNormal(model, init_loc_fn=start, init_scale=2 / rows**0.5)

        def step_size(step: jax.Array) -> jax.Array:
            # as in docs/howto/minibatch_svi.md
            return 0.02 / (1 + 0.005 * part**0.5 * jnp.maximum(step - steps // 10, 0))

        svi = SVI(model, guide, Adam(step_size), Trace_ELBO())
        result = svi.run(key, steps, x, y, progress_bar=False)
        return guide.sample_posterior(key, result.params, sample_shape=(2000,))

    truth = None
    for name, fit in (("NUTS", nuts), ("HMCECS", subsampled), ("SVI", variational)):
        start = time.perf_counter()
        mean, deviation = summary(jax.block_until_ready(fit()))
        seconds = time.perf_counter() - start
        truth = truth or (mean, deviation)
        off = np.abs(mean - truth[0]) / truth[1]
        ratio = deviation / truth[1]
        yield (
            name, f"{rows if name == 'NUTS' else part}", f"{seconds:.0f}",
            f"{off.max():.2f}", f"{ratio.min():.2f} to {ratio.max():.2f}",
        )  # fmt: skip


TASKS: dict[str, tuple[Row, Callable[[int], Iterator[Row]]]] = {
    "errors": (("likelihood", "rows", "sum", "worst error", "bar", "verdict"), errors),
    "time": (
        (
            *("likelihood", "rows", "ms", "ns/row", "/ StudentT", "bar", "verdict"),
            *("/ Normal", "bar", "verdict"),
        ),
        times,
    ),
    "memory": (("NUTS", "rows", "data MB", "peak MB", "growth / data", "bar", "verdict"), memory),
    "parts": (
        ("method", "rows a step", "s", "mean off, in sd", "sd / that of NUTS"),
        lambda rows: parts(min(rows, 100_000)),
    ),
}


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=10_000_000)
    arguments = parser.parse_args()
    if arguments.tasks[:1] == ["remember"]:
        size = MEMORY[arguments.tasks[1]](arguments.rows)
        print(json.dumps([peak_memory(), size]))
        return
    print(header(f"regression with {COEFFICIENTS} coefficients, float32"), flush=True)
    for task in arguments.tasks or TASKS:
        columns, run = TASKS[task]
        print(f"\n{task}\n{table(columns, run(arguments.rows))}", flush=True)


if __name__ == "__main__":
    main()
