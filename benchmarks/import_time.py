"""Time what `import robust_dist` adds to `import numpyro`.

    python benchmarks/import_time.py [--rounds N]

Each timing is a fresh interpreter that imports numpyro first and then, timed, robust_dist; the
median is printed beside the time of numpyro itself.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from _report import against, header, table

BAR = 0.1  # seconds
PROBE = """
import time
start = time.perf_counter()
import numpyro, numpyro.distributions
middle = time.perf_counter()
import robust_dist
robust_dist.GeneralRobust
print(middle - start, time.perf_counter() - middle)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="fresh interpreters (default 9)")
    rounds = parser.parse_args().rounds
    print(header("import time, seconds, median of fresh interpreters"))
    times = []
    for _ in range(rounds + 1):  # the first one may have to compile bytecode
        done = subprocess.run(
            [sys.executable, "-c", PROBE], stdout=subprocess.PIPE, text=True, check=True
        )
        times.append([float(value) for value in done.stdout.split()])
    base, added = (statistics.median(column) for column in zip(*times[1:], strict=True))
    rows = [
        ("numpyro", f"{base:.3f}", "-", "-"),
        ("robust_dist on top", f"{added:.3f}", *against(added, BAR)),
    ]
    print(table(("import", "s", "bar", "verdict"), rows))


if __name__ == "__main__":
    main()
