"""Time the log density and its gradient against NumPyro's StudentT and Normal.

    python benchmarks/log_prob.py [--rounds N] [--points N ...]

For each precision (a process of its own) and number of points: the sum of ``log_prob`` with its
gradient in the parameters, and the sum alone, with scalar parameters and with one shape (alpha, nu)
per point. The laws take turns in one process; printed are median milliseconds, the ratio to
StudentT's, and the pages that a call makes the system hand out.

Of many points the time is in good part that of fresh pages: an allocator that gives the memory of a
call back to the system gets it anew in the next, page by page. So everything is timed twice, with
the C library's allocator as it is (``fresh``) and with one that keeps its memory (``kept``); and
twice again, with the data as an argument and closed over, as in NumPyro's samplers, where they
become a constant of the program.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Iterator
from itertools import product
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

# the C library's allocator, told to keep what it has
KEEP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "500000000",
}
# time / StudentT's at 1e6 points, memory kept and data as arguments; at fewer, within 0.1
BARS = {
    ("gradient", "scalar", "float64"): 0.9,
    ("gradient", "scalar", "float32"): 1.0,
    ("gradient", "per point", "float64"): 0.6,
    ("gradient", "per point", "float32"): 0.6,
    ("forward", "scalar", "float32"): 1.0,
}
LAWS: dict[str, Callable[..., dist.Distribution]] = {
    "GeneralRobust": GeneralRobust,
    "StudentT": dist.StudentT,
    "Normal": lambda shape, loc, scale: dist.Normal(loc, scale),
}


def calls(points: int, shapes: str, what: str, data: str) -> dict[str, Callable[[], Any]]:
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

        function = jax.value_and_grad(total) if what == "gradient" else total
        if data == "closed over":
            closed = jax.jit(lambda parameters: function(parameters, x))
            return lambda: jax.block_until_ready(closed(parameters))
        compiled = jax.jit(function)
        return lambda: jax.block_until_ready(compiled(parameters, x))

    # Normal has no shape to vary
    return {name: one(name) for name in LAWS if not (name == "Normal" and shapes == "per point")}


def pages(call: Callable[[], Any], times: int = 5) -> float:
    """Return how many pages the system hands out in a call."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        call()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / times


def rows(precision: str, memory: str, points: list[int], rounds: int) -> Iterator[Row]:
    """Time everything in this process's precision."""
    for what, shapes, data, count in product(
        ("gradient", "forward"), ("scalar", "per point"), ("argument", "closed over"), points
    ):
        many = max(rounds, rounds * 300_000 // count)
        timed = calls(count, shapes, what, data)
        seconds = seconds_in_turns(timed, many)
        for name, value in seconds.items():
            ratio = value / seconds["StudentT"]
            judged = name == "GeneralRobust" and (memory, data) == ("kept", "argument")
            bar = BARS.get((what, shapes, precision)) if judged else None
            if bar is not None and shapes == "scalar" and count < 1_000_000:
                bar += 0.1
            yield (
                f"{what}, {shapes}", precision, memory, data, f"{count:.0e}", name,
                f"{value * 1e3:.2f}", f"{ratio:.2f}", f"{pages(timed[name]):.0f}",
                *against(ratio, bar),
            )  # fmt: skip


def main() -> None:
    """Print the table, or be the process of one precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31, help="timings each (default 31)")
    parser.add_argument("--points", type=int, nargs="+", default=[1_000_000, 100_000])
    parser.add_argument("--precision", choices=PRECISIONS, help=argparse.SUPPRESS)
    parser.add_argument("--memory", choices=("fresh", "kept"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.precision:
        hand_back(rows(arguments.precision, arguments.memory, arguments.points, arguments.rounds))
        return
    print(header("sum of log_prob, and its gradient in (alpha or nu, loc, scale)"))
    options = ["--rounds", str(arguments.rounds), "--points", *map(str, arguments.points)]
    columns = (
        *("what, parameters", "dtype", "memory", "data", "points", "law"),
        *("ms", "/ StudentT", "pages", "bar", "verdict"),
    )
    found = in_each_precision(__file__, [*options, "--memory", "fresh"])
    found += in_each_precision(__file__, [*options, "--memory", "kept"], KEEP)
    print(table(columns, found))


if __name__ == "__main__":
    main()
