"""Posteriors are calibrated: simulation-based calibration, smaller than the benchmarks'.

    pytest -o addopts= -s tests/slow/test_calibration.py

Runs ``benchmarks/calibration.py`` and three cells of ``benchmarks/default_priors.py``, which say
what they do and exit with status 1 if ranks are not uniform or intervals do not cover, with 500
simulations and another seed; 200 under ``ROBUST_DIST_SLOW=reduced``. Takes fifteen minutes on one
core, seven when reduced, most of them of rounded responses.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COUNT = 200 if os.environ.get("ROBUST_DIST_SLOW") == "reduced" else 500


def run(script: str, *options: str) -> str:
    """Return what a benchmark prints, that meets its bars."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, "--simulations", str(COUNT), "--seed", "2", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_calibration():
    # one row each for beta[0], beta[1], alpha, sigma and the log likelihood, with three verdicts
    assert run("calibration.py").count(" met") == 15


def test_default_priors_use_the_data_once():
    """Ranks of truths that the defaults do not know are uniform, and sigma's intervals cover.

    In cells where a prior of the scale that held to the residuals covered 89 and 70 %.
    """
    printed = run("default_priors.py", "--cells", "plain, 8 rows", "asymmetric, 8 rows")
    # of each cell both slopes and alpha, and of three scales the coverage
    assert printed.count(" met") == 9


def test_rounded_responses_are_calibrated():
    """Of whole numbers with sigma of LogNormal(0, 1), so that of some all noise is rounding."""
    printed = run("default_priors.py", "--cells", "rounded, 30 rows")
    assert printed.count(" met") == 4
