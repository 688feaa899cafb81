"""Time the log density and its gradient against NumPyro's StudentT and Normal.

    python benchmarks/log_prob.py [--rounds N] [--points N ...]

For each precision (a process of its own) and number of points: the sum of ``log_prob`` with its
gradient in the parameters, and the sum alone, with scalar parameters and with one shape (alpha, nu)
per point. The laws take turns in one process; printed are median milliseconds and the ratio to
StudentT's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from _report import (
    PRECISIONS,
    Row,
    against,
    hand_back,
    header,
    in_each_precision,
    seconds_in_turns,
    table,
)

from robust_dist import GeneralRobust

# time / StudentT's at 1e6 points; at fewer, the same within 0.1
BARS = {
    ("gradient", "scalar", "float64"): 0.9,
    ("gradient", "scalar", "float32"): 1.0,
    ("gradient", "per point", "float64"): 0.6,
    ("gradient", "per point", "float32"): 0.6,
}
LAWS: dict[str, Callable[..., dist.Distribution]] = {
    "GeneralRobust": GeneralRobust,
    "StudentT": dist.StudentT,
    "Normal": lambda shape, loc, scale: dist.Normal(loc, scale),
}


def calls(points: int, shapes: str, what: str) -> dict[str, Callable[[], Any]]:
    """Return for each law the call to be timed."""
    rng = np.random.default_rng(0)
    dtype = jnp.result_type(float)
    x = jnp.asarray(rng.standard_t(3, points), dtype)
    first: dict[str, Any] = {"GeneralRobust": 1.3, "StudentT": 3.0, "Normal": 0.0}
    if shapes == "per point":
        first["GeneralRobust"] = rng.uniform(0, 2, points)
        first["StudentT"] = rng.uniform(1, 10, points)

    def one(name: str) -> Callable[[], Any]:
        law = LAWS[name]
        parameters = tuple(jnp.asarray(p, dtype) for p in (first[name], 0.1, 1.2))

        def total(parameters: tuple, x: jax.Array) -> jax.Array:
            return law(*parameters).log_prob(x).sum()

        compiled = jax.jit(jax.value_and_grad(total) if what == "gradient" else total)
        return lambda: jax.block_until_ready(compiled(parameters, x))

    # Normal has no shape to vary
    return {name: one(name) for name in LAWS if not (name == "Normal" and shapes == "per point")}


def rows(precision: str, points: list[int], rounds: int) -> Iterator[Row]:
    """Time everything in this process's precision."""
    for what in ("gradient", "forward"):
        for shapes in ("scalar", "per point"):
            for count in points:
                many = max(rounds, rounds * 300_000 // count)
                seconds = seconds_in_turns(calls(count, shapes, what), many)
                for name, value in seconds.items():
                    ratio = value / seconds["StudentT"]
                    ours = name == "GeneralRobust"
                    bar = BARS.get((what, shapes, precision)) if ours else None
                    if bar is not None and shapes == "scalar" and count < 1_000_000:
                        bar += 0.1
                    yield (
                        f"{what}, {shapes}", precision, f"{count:.0e}", name,
                        f"{value * 1e3:.2f}", f"{ratio:.2f}", *against(ratio, bar),
                    )  # fmt: skip


def main() -> None:
    """Print the table, or be the process of one precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31, help="timings each (default 31)")
    parser.add_argument("--points", type=int, nargs="+", default=[1_000_000, 100_000])
    parser.add_argument("--precision", choices=PRECISIONS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.precision:
        hand_back(rows(arguments.precision, arguments.points, arguments.rounds))
        return
    print(header("sum of log_prob, and its gradient in (alpha or nu, loc, scale)"))
    options = ["--rounds", str(arguments.rounds), "--points", *map(str, arguments.points)]
    columns = ("what, parameters", "dtype", "points", "law", "ms", "/ StudentT", "bar", "verdict")
    print(table(columns, in_each_precision(__file__, options)))


if __name__ == "__main__":
    main()
