"""The clustering benchmark: its fixed loss is Geman and McClure's, its runs go on where they were.

Its scripts are run as its page tells the reader to, in a process of their own, for the suite
imports no benchmark. ``--quick`` takes some ten seconds of one core.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robust_dist import weight

ROOT = Path(__file__).parents[1]


def run(file):
    command = [sys.executable, "benchmarks/clustering.py", "--quick", "--out", str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Return the quick run's results, what it printed, and its file."""
    file = tmp_path_factory.mktemp("clustering") / "results"
    done = run(file)
    return [json.loads(line) for line in file.read_text().split("\n") if line], done.stdout, file


def tables(printed):
    """Return what is printed between the header and the run's time."""
    return printed[printed.index("adjusted mutual") : printed.rindex("\n\n")]


def test_alpha_minus_two_is_the_fixed_loss():
    """Its weight, with mu = 4 c^2, is Geman and McClure's (mu / (mu + d^2))^2, to rounding."""
    distance, mu = np.linspace(0, 30, 100), 7.0
    scale = np.sqrt(mu) / 2
    expected = (mu / (mu + distance**2)) ** 2
    np.testing.assert_allclose(scale**2 * weight(distance, -2.0, scale), expected, rtol=1e-5)


def test_wines_are_found_among_outliers(quick):
    """Far above chance, which has 0, under every alpha, though the number of wines is not told.

    The least of the sixteen was 0.52 (alpha = 1) when this was written, most were above 0.69.
    """
    results, _, _ = quick
    found = [r for r in results if r["set"] == "wine, outliers" and "alpha" in r["method"]]
    assert len(found) == 2 * 8
    assert all(r["ami"] > 0.3 for r in found)


def test_annealing_alpha_ends_near_the_fixed_loss(quick):
    """Both end at one loss and one scale: no draw may differ by a tenth (0.05 were seen)."""
    results, _, _ = quick
    measure = {(r["set"], r["seed"], r["method"]): r["ami"] for r in results}
    for (name, seed, method), value in measure.items():
        if method == "annealed to -2":
            assert abs(value - measure[name, seed, "alpha = -2"]) < 0.1


def test_an_interrupted_run_goes_on(quick):
    """What was cut off is measured again, and no other draw; the tables are the same."""
    results, printed, file = quick
    short = file.with_name("short")
    text = file.read_text()
    # in the midst of the last line
    short.write_text(text[: len(text) - 40])
    again = run(short)
    assert tables(again.stdout) == tables(printed)
    assert re.findall(r"^\d of 4: .*, seed \d", again.stderr, re.M) == [
        "4 of 4: wine, outliers, seed 1"
    ]
    assert "cut off" in again.stderr
    lines = short.read_text().split("\n")
    assert len([line for line in lines if line]) == len(results) + 12
