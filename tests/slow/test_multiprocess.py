"""Two processes that share the rows draw the same, and from the posterior of one."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/multiprocess.py"


@pytest.mark.slow
def test_two_processes_agree_bit_for_bit():
    """By Gloo on the loopback device; every process holds half of the rows."""
    command = [sys.executable, str(SCRIPT), "--rows", "2000", "--draws", "200"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=500)
    *_, two = done.stdout.splitlines()
    assert two.split()[:2] == ["2", "1000"]
    assert two.count(" met") == 2
