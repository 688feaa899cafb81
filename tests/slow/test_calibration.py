"""Posteriors are calibrated: simulation-based calibration, smaller than the benchmark's.

    pytest -o addopts= -s tests/slow/test_calibration.py

Runs ``benchmarks/calibration.py``, which says what it does and exits with status 1 if ranks are not
uniform or intervals do not cover, with 500 simulations and another seed; 200 under
``ROBUST_DIST_SLOW=reduced``. Takes two minutes on one core, a minute and a half when reduced, most
of it to compile.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "calibration.py"
COUNT = 200 if os.environ.get("ROBUST_DIST_SLOW") == "reduced" else 500


def test_calibration():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--simulations", str(COUNT), "--seed", "2"],
        stdout=subprocess.PIPE,
        text=True,
    )
    print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout
    # one row each for beta[0], beta[1], alpha, sigma and the log likelihood, with three verdicts
    assert done.stdout.count(" met") == 15
