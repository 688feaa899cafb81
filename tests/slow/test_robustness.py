"""The study of robustness runs, finds bad rows, and goes on where it was stopped.

    pytest -o addopts= -s tests/slow/test_robustness.py

Needs statsmodels (group ``bench``). Two sets of three cells, then one fit of them anew. Takes a
minute and a half on one core.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("statsmodels")
ROOT = Path(__file__).parents[2]
CELL = "Normal, 10 % leverage, 50 rows"


def run(folder: Path, *options: str) -> None:
    """Run the quick version."""
    command = [sys.executable, "benchmarks/robustness.py", "--quick", "--out", str(folder)]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return where the results are."""
    folder = tmp_path_factory.mktemp("study")
    run(folder, "--pictures", str(folder))
    return folder


def test_bad_leverage_rows_ruin_least_squares_and_not_the_default_fit(folder):
    """Five of fifty rows far out; least squares has a negative slope where the truth is 2."""
    slope = pd.read_csv(folder / f"{CELL}.csv").groupby("fit")["x1"].mean()
    assert slope["least squares"] < 0
    for fit in ("general_robust", "downweighted", "contaminated", "MM"):
        assert abs(slope[fit] - 2) < 0.7, fit
    for name in ("noise", "leverage"):
        assert (folder / f"robustness_{name}.png").stat().st_size > 10_000


def test_a_stopped_study_goes_on_with_the_same_figures(folder):
    """A line that is missing comes back as it was, and no other is made anew."""
    file = folder / f"{CELL}.csv"
    before = pd.read_csv(file)
    lost = (before["set"] == 1) & (before["fit"] == "contaminated")
    # one that would differ if it were run again
    kept = before[~lost].assign(width=before["width"] + 1)
    kept.to_csv(file, index=False)
    run(folder, "--cells", CELL)
    after = pd.read_csv(file)
    pd.testing.assert_frame_equal(after[:-1], kept.reset_index(drop=True))
    pd.testing.assert_frame_equal(
        after[-1:].reset_index(drop=True), before[lost].reset_index(drop=True)
    )
