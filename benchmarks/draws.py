"""Time a million draws with scalar parameters against NumPyro's StudentT and Normal.

    python benchmarks/draws.py [--rounds N] [--count N]

For each precision (a process of its own) and several alpha: median milliseconds of one compiled
``sample``, the laws taking turns with StudentT(3), and the ratio to StudentT's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
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

BAR = 0.35  # time / StudentT.sample's
ALPHAS = (0.0, 0.5, 1.0, 1.5, 2.0, 4.0)


def one(law: Callable[..., dist.Distribution], count: int, *parameters: float) -> Callable:
    """Return a call that draws; parameters are arguments, so that nothing is folded away."""
    values = tuple(jnp.asarray(value) for value in parameters)
    compiled = jax.jit(lambda key, values: law(*values).sample(key, (count,)))
    key = jax.random.key(0)
    return lambda: jax.block_until_ready(compiled(key, values))


def rows(precision: str, count: int, rounds: int) -> Iterator[Row]:
    """Time everything in this process's precision."""
    calls: dict[str, Callable[[], Any]] = {
        "StudentT(3)": one(dist.StudentT, count, 3.0, 0.0, 1.0),
        "Normal": one(dist.Normal, count, 0.0, 1.0),
        **{f"GeneralRobust({a:g})": one(GeneralRobust, count, a, 0.0, 1.0) for a in ALPHAS},
    }
    seconds = seconds_in_turns(calls, rounds)
    for name, value in seconds.items():
        ratio = value / seconds["StudentT(3)"]
        bar = BAR if name.startswith("GeneralRobust") else None
        yield name, precision, f"{value * 1e3:.1f}", f"{ratio:.3f}", *against(ratio, bar)


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
    print(header(f"{arguments.count:,} draws, scalar parameters"))
    options = ["--rounds", str(arguments.rounds), "--count", str(arguments.count)]
    columns = ("law", "dtype", "ms", "/ StudentT", "bar", "verdict")
    print(table(columns, in_each_precision(__file__, options)))


if __name__ == "__main__":
    main()
