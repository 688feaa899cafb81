"""The posterior of the contaminated law forgets outliers, as docs/contamination.md proves.

    pytest -o addopts= -s tests/slow/test_contamination.py

A fifth of the rows at 1e12 sds of the noise, in the engine's double precision, against the limit:
the other rows, with the prior of the contamination updated. Takes half a minute, reduced or not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_fifth_of_the_rows_at_1e12_sds_is_forgotten(record_property):
    """Means within 0.05 sd and sds within 5 % of the limit, and no divergence; see the script."""
    command = [sys.executable, "benchmarks/contamination.py", "--draws", "5000", "--sets", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout)
    record_property("limit", done.stdout)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("contaminated, 8 of 40")]
    # they do move it where nobody can tell them from the tails of the law
    assert float(lines[0].split()[8]) > 0.1
    assert float(lines[-1].split()[8]) <= 0.05
