"""What the benchmarks share: date and machine, timing in turns, tables, both precisions."""

from __future__ import annotations

import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

Row = Sequence[str]
PRECISIONS = ("float32", "float64")


def _processor() -> str:
    """Return the processor's model name, as far as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory() -> int:
    """Return the most bytes that this process has had in memory."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    # elsewhere; on Linux it counts what the parent had
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def header(title: str) -> str:
    """Return title, date, machine, load and versions, as the lines above a table."""
    packages = " ".join(f"{name} {version(name)}" for name in ("jax", "numpyro", "numpy"))
    load = " ".join(f"{average:.1f}" for average in os.getloadavg())
    return (
        f"{title}\n"
        f"{datetime.date.today()}, {_processor()}, {os.cpu_count()} cores, load before {load}\n"
        f"python {platform.python_version()} {packages}"
    )


def table(columns: Row, rows: Iterable[Row]) -> str:
    """Return rows of text as aligned columns, numbers to the right."""
    lines = [tuple(columns), *(tuple(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def against(value: float, bar: float | None) -> tuple[str, str]:
    """Return a bar, and whether the value keeps under it."""
    if bar is None:
        return "-", "-"
    return f"<= {bar:g}", "met" if value <= bar else "MISSED"


def at_least(value: float, bar: float | None) -> tuple[str, str]:
    """Return a bar, and whether the value reaches it."""
    if bar is None:
        return "-", "-"
    return f">= {bar:g}", "met" if value >= bar else "MISSED"


def seconds_in_turns(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each call, taken in turns so that all meet the same machine.

    Each is called twice before, to compile and to warm up.
    """
    for call in calls.values():
        call()
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        names = list(calls)
        # another one goes first each time
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            calls[name]()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def in_each_precision(
    script: str, arguments: Sequence[str], environment: dict[str, str] | None = None
) -> list[Row]:
    """Run the script once a precision, each in a process of its own, and return the rows it found.

    The process is told its precision by ``--precision`` and returns its rows by :func:`hand_back`.
    """
    rows: list[Row] = []
    for precision in PRECISIONS:
        done = subprocess.run(
            [sys.executable, script, "--precision", precision, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=os.environ
            | {"JAX_ENABLE_X64": str(int(precision == "float64"))}
            | (environment or {}),
        )
        rows += json.loads(done.stdout.splitlines()[-1])
    return rows


def hand_back(rows: Iterable[Row]) -> None:
    """Print the rows for the parent process."""
    print(json.dumps([list(row) for row in rows]))
