"""The command line does the main job, and on a mistake says so in one line and loses nothing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fits import stackloss

from robust_dist import cli
from robust_dist.cli import main

OUTPUTS = {"posterior.nc", "alpha.png", "fit.png"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Run in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _ready(monkeypatch):
    """Give back a fit made before instead of sampling."""
    from robust_dist.regression import Regression

    fit = stackloss()  # made before its maker is replaced
    monkeypatch.setattr(Regression, "fit", lambda self, **options: fit.copy())


def here():
    """Return the names of all files and folders, hidden ones too."""
    return {path.name for path in Path().iterdir()}


# --- the main job -----------------------------------------------------------------------------


def test_fit_of_a_users_file_end_to_end(capsys):
    """From a file with awkward names, units and blank lines to words, pictures and draws.

    With y of 1e6, noise of 0.01 and x of 1e-3, single precision alone would see no noise.
    """
    rng = np.random.default_rng(0)
    lines = ["net weight,kind,y", ""]
    for row in range(100):
        x, kind = 1e-3 * rng.normal(), "ab"[row % 2]
        lines.append(f"{x},{kind},{1e6 + 1e3 * x + (kind == 'b') + 0.01 * rng.standard_t(3)}")
    Path("my.csv").write_text("\n".join(lines))
    command = ["fit", "my.csv", "--formula", "y ~ `net weight` + kind", "--out", "a/b"]
    assert (
        main([*command, "--draws", "200", "--warmup", "300", "--chains", "2", "--seed", "3"]) == 0
    )
    out, err = capsys.readouterr()
    for word in ("net weight", "kind[b]", "alpha", "R-hat", "divergences", "P(alpha < 1)", "a/b"):
        assert word in out
    assert "compiling" in err
    assert "it/s" not in err  # no progress bar where there is no terminal
    assert {path.name for path in Path("a/b").iterdir()} == OUTPUTS
    assert Path("a/b/fit.png").read_bytes().startswith(b"\x89PNG")
    with xr.open_datatree("a/b/posterior.nc", engine="h5netcdf") as dt:
        assert dt.attrs["formula"] == "y ~ `net weight` + kind"
        assert dt.attrs["data"] == "my.csv"
        assert dt["posterior"].sizes == {"chain": 2, "draw": 200, "coefficient": 3}
        beta = dt["posterior"]["beta"]
        for name, truth in {"Intercept": 1e6, "net weight": 1e3, "kind[b]": 1.0}.items():
            draws = beta.sel(coefficient=name)
            assert abs(float(draws.mean()) - truth) < 4 * float(draws.std())
        # noise of 0.01 and 50 rows of each kind: near 0.01/sqrt(50), far above rounding
        assert float(beta.sel(coefficient="Intercept").std()) == pytest.approx(0.0016, rel=0.5)


@pytest.mark.usefixtures("_ready")
def test_each_run_gets_a_new_folder_and_names_it(capsys):
    for folder in ("robust-dist-stackloss", "robust-dist-stackloss-2", "robust-dist-stackloss-3"):
        assert main(["fit", "stackloss", "--quiet"]) == 0
        out, err = capsys.readouterr()
        assert f"written to {folder}:" in out
        assert err == ""
        assert {path.name for path in Path(folder).iterdir()} == OUTPUTS


@pytest.mark.usefixtures("_ready")
def test_outputs_are_replaced_only_by_force(capsys):
    Path("out").mkdir()
    Path("out/notes.txt").write_text("mine")
    assert main(["fit", "stackloss", "--out", "out"]) == 0
    Path("out/fit.png").write_text("old")
    assert main(["fit", "stackloss", "--out", "out"]) == 2
    assert "--force" in capsys.readouterr().err
    assert Path("out/fit.png").read_text() == "old"
    assert main(["fit", "stackloss", "--out", "out", "--force"]) == 0
    assert Path("out/fit.png").read_bytes().startswith(b"\x89PNG")
    assert Path("out/notes.txt").read_text() == "mine"
    assert {path.name for path in Path("out").iterdir()} == OUTPUTS | {"notes.txt"}


def test_datasets_are_listed_with_source_and_formula(capsys):
    assert main(["datasets"]) == 0
    out = capsys.readouterr().out
    for word in ("stackloss", "Brownlee", "engel", "Koenker", "Rousseeuw", "1008.4686", "y ~ x"):
        assert word in out


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_answers_without_loading_jax(option):
    """In a new process, because this one has loaded everything."""
    program = (
        "import sys; from robust_dist.cli import main\n"
        f"try: main([{option!r}])\n"
        "finally: print(sorted({'jax', 'numpyro', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(("usage: robust-dist", "robust-dist "))
    assert done.stdout.splitlines()[-1] == "[]"


# --- mistakes ---------------------------------------------------------------------------------

FILES = {
    "good.csv": "x,y\n1,2\n2,3\n3,5\n4,4\n",
    "empty.csv": "",
    "header.csv": "x,y\n",
    "gap.csv": "x,y\n1,2\n2,\n3,5\n4,4\n",
    "inf.csv": "x,y\n1,2\n2,3\n3,inf\n4,4\n",
    "words.csv": "x,y\n1,a\n2,b\n3,c\n4,d\n",
    "short.csv": "x,y\n1,2\n",
    "flat.csv": "x,y\n1,2\n2,2\n3,2\n4,2\n",
    "line.csv": "x,y\n1,2\n2,4\n3,6\n4,8\n",
}


def bad_fit(name, *options):
    return ["fit", name, "--formula", "y ~ x", *options]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["fit", "stacklos"], "did you mean 'stackloss'?"),
        (["fit", "none/my.csv"], "no file and no shipped data set 'none/my.csv'"),
        (["fit", "."], "is a folder"),
        (["fit", "good.csv"], "no formula for 'good.csv'; give one by --formula 'y ~ x'"),
        (bad_fit("empty.csv"), "'empty.csv' is empty"),
        (bad_fit("header.csv"), "has a header but no rows"),
        (bad_fit("gap.csv"), "column 'y' has no value (NaN) in row 2 (line 3 of the file)"),
        (bad_fit("inf.csv"), "'y' is an infinite value in row 3 (line 4 of the file)"),
        (bad_fit("words.csv"), "the response 'y' is not numeric (it holds 'a')"),
        (bad_fit("short.csv"), "fewer rows (1) than coefficients (2)"),
        (bad_fit("flat.csv"), "the response 'y' is constant"),
        (bad_fit("line.csv"), "exactly"),
        (["fit", "good.csv", "--formula", "y ~ z"], "no column 'z'"),
        (["fit", "good.csv", "--formula", "y ~ (x"], "cannot read the formula"),
        (bad_fit("good.csv", "--out", "good.csv"), "cannot write to 'good.csv'"),
        (bad_fit("good.csv", "--out", "good.csv/deep"), "cannot write to 'good.csv/deep'"),
        (bad_fit("good.csv", "--draws", "0"), "'0' is not a whole number of 1 or more"),
        (bad_fit("good.csv", "--chains", "-1"), "'-1' is not a whole number of 1 or more"),
        (bad_fit("good.csv", "--warmup", "many"), "'many' is not a whole number"),
        (bad_fit("good.csv", "--seed", "-5"), "'-5' is not a whole number of 0 or more"),
        (["fit"], "DATA"),
        (["fti"], "invalid choice"),
        ([], "COMMAND"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(command, complaint, capsys, monkeypatch):
    from robust_dist.regression import Regression

    def never(self, **options):
        raise AssertionError("sampling started")

    monkeypatch.setattr(Regression, "fit", never)
    for name, content in FILES.items():
        Path(name).write_text(content)
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *stages, last = err.splitlines()
    assert last.startswith("robust-dist: error: ")
    assert complaint in last
    assert all(stage.endswith("...") for stage in stages)
    assert here() == set(FILES)


@pytest.mark.parametrize(
    ("failure", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
    ],
)
@pytest.mark.usefixtures("_ready")
def test_a_run_cut_short_leaves_no_half_file(failure, status, words, capsys, monkeypatch):
    """The pictures come after posterior.nc, which by then is on disk under another name."""
    from robust_dist import plots

    def fail(*arguments):
        raise failure

    monkeypatch.setattr(plots, "plot_fit", fail)
    assert main(["fit", "stackloss", "--quiet"]) == status
    assert capsys.readouterr().err.count("\n") == 1
    assert here() == set()
    Path("out").mkdir()
    Path("out/fit.png").write_text("old")
    assert main(["fit", "stackloss", "--quiet", "--out", "out", "--force"]) == status
    assert words in capsys.readouterr().err
    assert {path.name for path in Path("out").iterdir()} == {"fit.png"}
    assert Path("out/fit.png").read_text() == "old"


def test_a_folder_that_cannot_be_written_is_found_before_sampling(capsys, monkeypatch):
    """Whatever the reason; permission bits do not stop the superuser, under whom tests may run."""

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cli.tempfile, "TemporaryDirectory", refuse)
    monkeypatch.setattr(cli, "_fit_into", lambda *arguments: pytest.fail("sampling started"))
    assert main(["fit", "stackloss", "--out", "out"]) == 2
    assert "cannot write to 'out': Permission denied" in capsys.readouterr().err
    assert here() == set()


def test_warnings_of_sampling_reach_the_user(capsys, monkeypatch):
    from robust_dist import diagnostics
    from robust_dist.regression import Regression

    fit = stackloss()  # made before its maker is replaced
    monkeypatch.setattr(Regression, "fit", lambda self, **options: fit.copy())
    monkeypatch.setattr(diagnostics, "sampling_problems", lambda dt: ["the chains disagree"])
    assert main(["fit", "stackloss", "--quiet"]) == 0
    assert capsys.readouterr().err == "robust-dist: warning: the chains disagree\n"
