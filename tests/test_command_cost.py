"""The command loads, compiles and draws what it needs, when it needs it, and each of it once."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A mistake first, then the command from after sampling on, of a fit that was made up.
PROGRAM = """
import json, sys
from collections import Counter
from types import SimpleNamespace

from robust_dist.cli import _fit, main

mistake = main(["fit", "stackloss", "--formula", "stack_loss ~ water", "--quiet"])
early = sorted(sys.modules)

import jax
import arviz_stats
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
import numpy as np
from fits import normal_fit
from xarray import DataTree

from robust_dist.diagnostics import tails

counts = Counter()

def count(owner, name):
    function = getattr(owner, name)

    def counted(*arguments, **options):
        counts[name] += 1
        return function(*arguments, **options)

    setattr(owner, name, counted)

count(arviz_stats, "summary")
count(tails, "_prior_shapes")
count(Figure, "savefig")
count(ConstrainedLayoutEngine, "execute")

def compiled(event, seconds, **facts):
    counts["programs"] += event == "/jax/core/compile/backend_compile_duration"

def fitted(options, data, formula):
    jax.monitoring.register_event_duration_secs_listener(compiled)
    return dt, None, SimpleNamespace(in_words=dict)

x = np.random.default_rng(0).normal(size=(21, 2))
dt = normal_fit(x, x @ [1.0, 2.0], 0.5, prior=(np.zeros(3), np.full(3, 9.0)))
# so many draws, rows and draws of the prior that no two arrays have a shape in common
for group, chains in (("prior", 1), ("posterior", 2)):
    draws = np.linspace(0, 2, 1000 * chains**2).reshape(chains, -1)
    dt[group] = DataTree(dt[group].to_dataset().assign(alpha=(("chain", "draw"), draws)))
dt.attrs.update(seed=17, warmup=10, method="nuts")
_fit._fitted = fitted
status = main(["fit", "stackloss", "--quiet", "--out", sys.argv[1]])
print(json.dumps([mistake, early, status, sorted(sys.modules), counts]), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return what the program found, and the folder it wrote."""
    out = tmp_path_factory.mktemp("command") / "out"
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(out)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT / "tests",
    )
    mistake, early, status, late, counts = json.loads(process.stderr.splitlines()[-1])
    assert (mistake, status) == (2, 0), process.stderr
    return early, late, counts, out


@pytest.mark.parametrize(
    "module",
    ["arviz", "arviz_plots", "bokeh", "IPython", "matplotlib.pyplot", "narwhals", "plotly"],
)
def test_the_command_does_not_load(module, ran):
    assert module not in ran[1]


@pytest.mark.parametrize(
    "module", ["h5netcdf", "matplotlib", "narwhals", "robust_dist.diagnostics"]
)
def test_a_mistake_in_the_formula_is_told_before_loading(module, ran):
    assert module not in ran[0]


def test_what_follows_sampling_compiles_one_program_each_of_scale_quartile_weight_and_tail(ran):
    """Whatever draws, rows and draws of the prior there are; such a program takes a second."""
    assert ran[2]["programs"] <= 4


def test_summaries_are_computed_once(ran):
    assert ran[2]["summary"] == ran[2]["_prior_shapes"] == 1


def test_pictures_are_laid_out_and_drawn_once_for_files_and_report(ran):
    _, _, counts, out = ran
    report = (out / "report.html").read_text()
    assert report.count("data:image/png;base64,") == counts["savefig"] == counts["execute"] == 6
    for name in ("alpha.png", "fit.png"):
        assert base64.b64encode((out / name).read_bytes()).decode() in report
