"""Time a million evaluations of GeneralRobust's cdf against the Normal's.

    python benchmarks/cdf.py [--rounds N] [--count N]

Scalar parameters, float32 and float64 in processes of their own, taken in turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.stats
import numpy as np
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

BAR = 5.0  # time / jax.scipy.stats.norm.cdf's, float64
ALPHAS = (0.0, 0.5, 1.0, 2.0, 4.0, 10.0, 100.0)


def rows(precision: str, count: int, rounds: int) -> Iterator[Row]:
    """Time everything in this process's precision."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=count) * 3)

    def one(cdf: Callable[..., jax.Array], *parameters: float) -> Callable[[], Any]:
        compiled = jax.jit(cdf)
        values = tuple(jnp.asarray(value) for value in parameters)
        return lambda: jax.block_until_ready(compiled(x, *values))

    calls = {
        "norm.cdf": one(jax.scipy.stats.norm.cdf, 0.0, 1.0),
        **{
            f"GeneralRobust({a:g})": one(lambda x, *p: GeneralRobust(*p).cdf(x), a, 0.0, 1.0)
            for a in ALPHAS
        },
    }
    seconds = seconds_in_turns(calls, rounds)
    for name, value in seconds.items():
        ratio = value / seconds["norm.cdf"]
        bar = BAR if name.startswith("General") and precision == "float64" else None
        yield name, precision, f"{value * 1e3:.1f}", f"{ratio:.2f}", *against(ratio, bar)


def main() -> None:
    """Print the table, or be the process of one precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="timings each (default 9)")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--precision", choices=PRECISIONS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.precision:
        hand_back(rows(arguments.precision, arguments.count, arguments.rounds))
        return
    print(header(f"{arguments.count:,} values of the cdf, scalar parameters"))
    options = ["--rounds", str(arguments.rounds), "--count", str(arguments.count)]
    columns = ("law", "dtype", "ms", "/ norm.cdf", "bar", "verdict")
    print(table(columns, in_each_precision(__file__, options)))


if __name__ == "__main__":
    main()
