"""Run NUTS with the rows spread over processes of ``jax.distributed``, and over one.

    python benchmarks/multiprocess.py [--processes N] [--rows N] [--draws N]

Each process holds its part of the rows and nothing else, and computes with it; the processes add up
the log density and its gradient by Gloo over the loopback device. NUTS then does the same in each.
Printed are seconds, whether the draws of all ranks agree bit for bit, and how far the posterior's
means are from those of one process, in posterior standard deviations.

On a cluster the same model runs with ``jax.distributed.initialize()`` alone, which finds its peers
from Slurm, Open MPI, Kubernetes or a cloud TPU; on GPUs JAX talks NCCL instead of Gloo.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import subprocess
import sys
import time
from typing import Any

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
from _report import against, header, table
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpyro.infer import MCMC, NUTS

from robust_dist import GeneralRobust
from robust_dist.many_rows import compensated

BETA = np.float32([1.0, -2.0, 0.5])
DISTANCE_BAR = 0.3  # standard deviations, of means of --draws draws


def rows_of(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Return some of the rows, as a process would read its part of a file."""
    design, noise = (np.random.default_rng(seed) for seed in (0, 1))
    x = design.standard_normal((last, 3), np.float32)[first:]
    return x, x @ BETA + noise.standard_t(3, last)[first:].astype(np.float32)


def model(x: Any, y: Any) -> None:
    """Regress; nothing tells it that the rows are spread."""
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([3]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(5))
    alpha = numpyro.sample("alpha", dist.Uniform(0.0, 2.0))
    with numpyro.plate("row", len(y)):
        numpyro.sample("y", GeneralRobust.with_orthogonal_scale(alpha, x @ beta, sigma), obs=y)


def rank(number: int, count: int, port: int, rows: int, draws: int) -> None:
    """Be one process, and print what it found."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", count, number)
    mesh = Mesh(np.array(jax.devices()), "row")
    spread = NamedSharding(mesh, PartitionSpec("row"))
    each = rows // count
    mine = rows_of(number * each, (number + 1) * each)
    x, y = (jax.make_array_from_process_local_data(spread, part) for part in mine)
    mcmc = MCMC(
        NUTS(compensated(model, -1.8, sharded=True)),
        num_warmup=draws,
        num_samples=draws,
        progress_bar=False,
        # else NumPyro would close over arrays of which this process has a part only
        jit_model_args=True,
    )
    start = time.perf_counter()
    mcmc.run(jax.random.key(0), x, y)
    found = {name: np.asarray(values) for name, values in mcmc.get_samples().items()}
    columns = np.column_stack([found["beta"], found["sigma"], found["alpha"]])
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - start,
                "digest": hashlib.sha256(columns.tobytes()).hexdigest(),
                "mean": columns.mean(0).tolist(),
                "sd": columns.std(0).tolist(),
                "held": sum(part.data.shape[0] for part in y.addressable_shards),
            }
        ),
        flush=True,
    )
    jax.distributed.shutdown()


def run(count: int, rows: int, draws: int) -> list[dict[str, Any]]:
    """Return what each of so many processes found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [str(count), str(port), str(rows), str(draws)]
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, "rank", str(number), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    answers = [process.communicate()[0] for process in ranks]
    if any(process.returncode for process in ranks):
        raise SystemExit("a process failed; its message is above")
    return [json.loads(answer.splitlines()[-1]) for answer in answers]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    if options.rows % options.processes:
        parser.error(f"--rows must be a multiple of {options.processes}")
    print(header(f"NUTS, {options.rows} rows, {options.draws} + {options.draws} draws"), flush=True)
    alone = run(1, options.rows, options.draws)[0]
    ranks = run(options.processes, options.rows, options.draws)
    different = len({found["digest"] for found in ranks}) - 1
    apart = np.abs(np.subtract(ranks[0]["mean"], alone["mean"])) / alone["sd"]
    rows = [("1", str(alone["held"]), f"{alone['seconds']:.1f}", *["-"] * 6)]
    rows.append(
        (
            str(options.processes),
            str(ranks[0]["held"]),
            f"{ranks[0]['seconds']:.1f}",
            str(different),
            *against(different, 0),
            f"{apart.max():.2f}",
            *against(float(apart.max()), DISTANCE_BAR),
        )
    )
    columns = ("processes", "rows each", "s", "ranks that differ", "bar", "verdict")
    print(table((*columns, "mean off, in sd", "bar", "verdict"), rows))
    if different:
        raise SystemExit(1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["rank"]:
        rank(*map(int, sys.argv[2:]))
    else:
        main()
