"""What is shipped is small and complete, and importing it is cheap and changes nothing."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]


def run(program):
    """Run a program in a new process and return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()


def test_tables_are_small():
    sizes = [path.stat().st_size for path in (ROOT / "robust_dist/_tables").glob("*.py")]
    assert max(sizes) <= 100_000
    assert sum(sizes) <= 300_000


def test_wheel_holds_the_package_and_nothing_else(tmp_path):
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    with zipfile.ZipFile(built) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = ROOT / "robust_dist"
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    for needed in ("py.typed", "data/stackloss.csv", "_tables/log_normalizer.py"):
        assert f"robust_dist/{needed}" in names


# Importing names brings in what NumPyro brings in and nothing else.
NAMES = "from robust_dist import GeneralRobust, log_normalizer, psi, rho, weight"


def test_import_is_light():
    program = f"""
import sys, numpyro
before = set(sys.modules)
{NAMES}
print(sorted({{name.split(".")[0] for name in set(sys.modules) - before}} - {{"robust_dist"}}))
"""
    assert run(program) == "[]"


def test_import_makes_no_array_and_leaves_the_precision_alone():
    program = f"""
import jax
{NAMES}
print(len(jax.live_arrays()), jax.config.jax_enable_x64)
"""
    assert run(program) == "0 False"


def test_import_is_quick():
    """At most 0.1 s on top of NumPyro in one of five tries: a busy machine only adds to it.

    That is for a machine on which NumPyro takes 1.7 s; on a slower one both take longer.
    """
    program = f"""
import time
start = time.process_time()
import numpyro, numpyro.distributions
middle = time.process_time()
{NAMES}
print(middle - start, time.process_time() - middle)
"""
    tries = (map(float, run(program).split()) for _ in range(5))
    assert any(ours <= 0.1 * max(1, numpyros / 1.7) for numpyros, ours in tries)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["arviz_base", "numpyro", "arviz_base, numpyro.distributions"])
def test_import_order_does_not_matter(first):
    """ArviZ registers a lazy numpyro, which a careless import would load by halves."""
    program = f"""
import {first}
from robust_dist import GeneralRobust
import numpyro
print(numpyro.distributions.distribution.Distribution.__name__)
"""
    assert run(program) == "Distribution"


@pytest.mark.slow
@pytest.mark.parametrize("first", ["arviz", "robust_dist.regression"])
def test_arviz_leaves_numpyro_whole(first):
    """It loads numpyro lazily, and so would numpyro.factor be lost, which NUTS needs."""
    program = "numpyro.handlers.seed(lambda: numpyro.factor('f', 1.0), 0)()"
    assert run(f"import {first}, robust_dist.regression, numpyro; {program}; print(1)") == "1"
