"""The command line does the main job, and on a mistake says so in one line and loses nothing."""

import json
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fits import compare_made_up, compared, made_up, stackloss

from robust_dist._errors import InputError
from robust_dist.cli import _fit, _options, _report, main
from robust_dist.cli._likelihoods import COMPARED
from robust_dist.cli._priors import read_priors

OUTPUTS = {"posterior.nc", "rows.csv", "alpha.png", "fit.png", "report.html"}


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
    # drawn once: that they are right is for test_plots and test_report to say
    pictures = _pictures()
    monkeypatch.setattr(_report, "fit_pictures", lambda dt: pictures)


@cache
def _pictures():
    return _report.fit_pictures(stackloss())


def here():
    """Return the names of all files and folders, hidden ones too."""
    return {path.name for path in Path().iterdir()}


# --- the main job -----------------------------------------------------------------------------


@pytest.mark.slow
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
    for folder in ("robust-dist-stackloss", "robust-dist-stackloss-2"):
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


@pytest.mark.parametrize("options", [["--help"], ["--version"], ["fit", "--help"]])
def test_help_answers_without_loading_jax(options):
    """In a new process, because this one has loaded everything."""
    program = (
        "import sys; from robust_dist.cli import main\n"
        f"try: main({options!r})\n"
        "finally: print(sorted({'jax', 'numpyro', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(("usage: robust-dist", "robust-dist "))
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("_ready")
def test_json_is_one_document_without_other_words(capsys):
    assert main(["fit", "stackloss", "--quiet", "--json", "--seed", "1"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == ""
    assert document["rows"] == 21
    assert document["summary"]["air_flow"]["mean"] == pytest.approx(
        stackloss()["posterior"]["beta"].sel(coefficient="air_flow").mean().item()
    )
    assert document["tails"]["P(alpha < 1)"]["lower"] is None  # nan is no JSON
    assert document["versions"]["robust-dist"]
    assert set(document["priors"]) >= {"alpha", "sigma", "beta[Intercept]"}
    assert all(abs(row["residual"]) > 3 for row in document["outliers"])
    assert {Path(name).name for name in document["files"]} == OUTPUTS
    assert all(Path(name).exists() for name in document["files"])


@pytest.mark.usefixtures("_ready")
def test_outliers_and_leverage_are_told(capsys, monkeypatch):
    from robust_dist import diagnostics

    monkeypatch.setattr(diagnostics, "problems", lambda dt: ["row 7 lies far out"])
    assert main(["fit", "stackloss", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert "robust sd off the fit" in out
    assert err == "robust-dist: warning: row 7 lies far out\n"
    assert "row 7 lies far out" in Path("robust-dist-stackloss/report.html").read_text()


def test_every_flag_reaches_the_regression(monkeypatch):
    """And the sampler; what is not given is left to the defaults."""
    from robust_dist import regression

    class Recorder(regression.Regression):
        def __init__(self, *places, **named):
            made.append((places[0], *places[2:], named))
            super().__init__(*places, **named)

        def fit(self, **options):
            sampled.update(options)
            raise InputError("that is enough")

    made, sampled = [], {}
    monkeypatch.setattr(regression, "Regression", Recorder)
    Path("good.csv").write_text("x,y,w,e,o\n1,2,1,1,0\n2,3,1,1,0\n3,,1,1,0\n4,4,1,1,0\n5,7,2,1,0")
    words = (
        "fit good.csv --formula 'y ~ x' --sigma-formula x --likelihood student_t --weights w "
        "--offset o --measurement-error e --drop-missing --leverage downweight "
        "--resolution 1 --prior 'nu=Gamma(2, rate=0.1)' "
        "--method svi --target-accept 0.9 --draws 7 --warmup 8 --chains 2 --seed 5 --quiet"
    )
    assert main(shlex.split(words)) == 2
    ((formulas, likelihood, priors, named),) = made
    assert formulas == {"y": "y ~ x", "sigma": "~ x"}
    assert likelihood == "student_t"
    assert float(priors["nu"].rate) == pytest.approx(0.1)
    assert named == {
        "weights": "w",
        "offset": "o",
        "measurement_error": "e",
        "drop_missing": True,
        "leverage": "downweight",
        "resolution": 1.0,
    }
    expected = {"method": "svi", "target_accept": 0.9, "draws": 7, "warmup": 8, "chains": 2}
    assert expected.items() <= sampled.items()
    assert sampled["seed"] == 5
    made.clear()
    assert main(["fit", "stackloss", "--alpha", "1.5", "--quiet"]) == 2
    assert made[0][1:3] == ("general_robust", {"alpha": 1.5})


def test_the_heading_says_what_was_fitted():
    dt = made_up()
    dt.attrs.update(formulas='{"y": "y ~ x", "sigma": "~ x"}', likelihood="student_t", dropped=2)
    assert _fit._heading(dt) == (
        "y ~ x, sigma ~ x   (40 rows, 2 left out, student_t, 2 chains of 500 draws)"
    )
    dt.attrs["method"] = "svi"
    assert _fit._heading(dt).endswith("student_t, 1000 draws by svi)")


def test_choices_are_those_of_the_regression():
    from robust_dist.regression.comparison import METHODS as OF_COMPARISONS
    from robust_dist.regression.comparison_models import DEFAULT
    from robust_dist.regression.fit import LEVERAGE, METHODS
    from robust_dist.regression.likelihoods import LIKELIHOODS
    from robust_dist.regression.new_rows import GROUPS, UNSEEN
    from robust_dist.regression.posterior.choice import SAMPLERS
    from robust_dist.regression.predict import KINDS

    assert (KINDS, GROUPS, UNSEEN) == (_options.KINDS, _options.GROUPS, _options.UNSEEN)
    assert tuple(LIKELIHOODS) == _options.LIKELIHOODS
    assert SAMPLERS == _options.SAMPLERS
    assert METHODS == _options.METHODS
    assert LEVERAGE == _options.LEVERAGE
    assert _options.METHODS[:-1] == OF_COMPARISONS
    assert _options.LIKELIHOODS[:4] == DEFAULT


@pytest.mark.parametrize(
    ("text", "mean"),
    [
        ("alpha=Beta(2, 2)", 0.5),
        ("alpha = Uniform(0, high=1.5)", 0.75),
        ("beta=Normal(-3, 1e-2)", -3.0),
        ("alpha=TruncatedNormal(1, 1, low=0, high=2)", 1.0),
    ],
)
def test_priors_are_read_as_they_are_written(text, mean):
    (law,) = read_priors([text]).values()
    assert float(law.mean) == pytest.approx(mean)


@pytest.mark.parametrize(
    "name",
    ["air_flow", "`net weight`", "C(k)[T.b]", "bs(x, df=4)[0]", "I(x == 2)[True]", "a=b", "y=f(x)"],
)
@pytest.mark.parametrize(
    ("law", "kind"),
    [("Normal(0, scale=2)", "Normal"), ("HalfNormal()", "HalfNormal"), ("-1e2", "float")],
)
def test_a_prior_is_for_whatever_is_left_of_it(name, law, kind):
    """Whatever signs a coefficient's name is made of."""
    ((read, prior),) = read_priors([f" {name} = {law} "]).items()
    assert read == name
    assert type(prior).__name__ == kind


def test_a_number_fixes_a_parameter():
    assert read_priors(["sigma=1", "alpha=0.5"]) == {"sigma": 1.0, "alpha": 0.5}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("alpha=Betta(2, 2)", "did you mean 'Beta'"),
        ("alpha=Beta(2)", "is no distribution"),
        ("sigma=HalfNormal(-1)", "is no distribution"),
        ("alpha=Beta(2, x)", "cannot read the prior's 'x' as a number"),
        ("alpha=__import__('os').getcwd()", "cannot read the prior"),
        ("alpha=Beta(2,", "cannot read the prior"),
        ("alpha=Uniform(low=0, low=1)", "two values for 'low'"),
        ("beta=Normal(0, 1e300)", "out of the reach of single precision"),
        ("alpha=TruncatedDistribution(1)", "no distribution of numbers"),
        ("alpha=" + "(" * 50_000, "cannot read the prior"),
        ("=" * 50_000, "cannot read the prior"),
    ],
)
def test_priors_that_are_none(text, complaint):
    with pytest.raises(InputError, match=re.escape(complaint)):
        read_priors([text])


@pytest.fixture
def _compared(monkeypatch):
    """Give back a comparison made up before instead of sampling."""
    from robust_dist import regression

    monkeypatch.setattr(regression, "compare", compare_made_up)


@pytest.mark.usefixtures("_compared")
def test_compare_prints_the_verdict_and_writes_each_posterior(capsys):
    command = ["compare", "stackloss", "--likelihood", "laplace", "--likelihood", "normal"]
    assert main([*command, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "normal predicts worse than laplace" in out
    names = {"comparison.png", "report.html", "posterior-laplace.nc", "posterior-normal.nc"}
    assert {path.name for path in Path("robust-dist-compare-stackloss").iterdir()} == names
    report = Path("robust-dist-compare-stackloss/report.html").read_text()
    assert "normal predicts worse than laplace" in report
    assert main([*command, "--quiet", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["comparison"]["laplace"]["weight"] == 0.9
    assert document["coefficients"]["x"]["normal"]["mean"] == 1.0
    assert set(document) >= {"verdict", "notes", "seed", "versions", "files"}


@pytest.mark.usefixtures("_compared")
def test_compare_without_likelihoods_takes_the_first_four(capsys):
    assert main(["compare", "stackloss", "--quiet"]) == 0
    written = {path.name for path in Path("robust-dist-compare-stackloss").glob("*.nc")}
    assert written == {f"posterior-{name}.nc" for name in COMPARED}


@pytest.mark.usefixtures("_compared")
def test_compare_takes_several_formulas(capsys):
    """Their posteriors are numbered, and a line says which is whose."""
    formulas = ["stack_loss ~ air_flow", "stack_loss ~ air_flow + water_temperature"]
    command = ["compare", "stackloss", "--formula", formulas[0], "--formula", formulas[1]]
    assert main([*command, "--quiet"]) == 0
    printed = capsys.readouterr().out
    for number, formula in enumerate(formulas, 1):
        assert f"posterior-{number}.nc: {formula}" in printed
        assert Path(f"robust-dist-compare-stackloss/posterior-{number}.nc").exists()
    assert main([*command, "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["formula"] == formulas


def test_what_is_wrong_with_all_fits_of_a_comparison_is_said_once(capsys, monkeypatch):
    """As a term that misses in the formula; what one of them has comes with its name."""
    from robust_dist import regression

    comparison = compared(("laplace", "normal"))
    for dt in comparison.fits.values():
        dt.attrs["design_problems"] = json.dumps(["no intercept"])
    comparison.fits["normal"].attrs["fit_problems"] = json.dumps(["no mode"])
    monkeypatch.setattr(regression, "compare", lambda *given, **named: comparison)
    command = ["compare", "stackloss", "--likelihood", "laplace", "--likelihood", "normal"]
    assert main([*command, "--quiet", "--json"]) == 0
    out, err = capsys.readouterr()
    warnings = json.loads(out)["warnings"]
    assert [warning for warning in warnings if " no " in f" {warning}"] == [
        "no intercept",
        "normal: no mode",
    ]
    assert err.splitlines() == [f"robust-dist: warning: {warning}" for warning in warnings]
    report = Path("robust-dist-compare-stackloss/report.html").read_text()
    assert report.count("no intercept") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("_compared")
def test_fit_compares_if_asked(capsys):
    assert main(["fit", "stackloss", "--compare", "normal", "--quiet"]) == 0
    assert "normal predicts worse than general_robust" in capsys.readouterr().out
    assert "Models compared" in Path("robust-dist-stackloss/report.html").read_text()


def test_plot_draws_from_a_file_and_replaces_nothing(capsys):
    made_up().to_netcdf("posterior.nc", engine="h5netcdf")
    for kind in ("fit", "alpha", "weights", "tails"):
        assert main(["plot", "posterior.nc", "--kind", kind]) == 0
        assert f"written: {kind}.png" in capsys.readouterr().out
        assert Path(f"{kind}.png").read_bytes().startswith(b"\x89PNG")
    assert main(["plot", "posterior.nc", "--out", "x.svg", "--predictor", "x"]) == 0
    assert "<svg" in Path("x.svg").read_text()
    assert main(["plot", "posterior.nc"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["plot", "posterior.nc", "--force"]) == 0
    assert main(["plot", "posterior.nc", "--out", "a.png", "--predictor", "z"]) == 2
    assert "no predictor 'z'" in capsys.readouterr().err


def test_plot_takes_the_folder_that_fit_wrote(capsys):
    Path("results").mkdir()
    assert main(["plot", "results"]) == 2
    assert "the folder 'results' holds no posterior.nc" in capsys.readouterr().err
    made_up().to_netcdf("results/posterior.nc", engine="h5netcdf")
    assert main(["plot", "results"]) == 0
    assert Path("fit.png").read_bytes().startswith(b"\x89PNG")


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
        (bad_fit("good.csv", "--draws", "0"), "'0' is not a whole number from 1 to"),
        (bad_fit("good.csv", "--chains", "-1"), "'-1' is not a whole number from 1 to"),
        (bad_fit("good.csv", "--warmup", "many"), "'many' is not a whole number"),
        (bad_fit("good.csv", "--draws", "1_0"), "'1_0' is not a whole number"),
        (bad_fit("good.csv", "--draws", "\u0663"), "'\u0663' is not a whole number"),
        (bad_fit("good.csv", "--seed", "4294967296"), "from 0 to 2147483647"),
        (bad_fit("good.csv", "--alpha", "1_0"), "'1_0' is not a number"),
        (bad_fit("good.csv", "--alpha", "1e400"), "'1e400' is not a number"),
        (bad_fit("good.csv", "--prior", "x=0"), "'x' is no parameter that a number can fix"),
        (bad_fit("good.csv", "--prior", "sigma=Gamma(2, 1_0)"), "'1_0' as a number"),
        (bad_fit("good.csv", "--prior", "alpha=-1"), "TruncatedGeneralRobust"),
        (bad_fit("good.csv", "--sigma-formula", "~ 0"), "leaves no coefficient"),
        (bad_fit("good.csv", "--seed", "-5"), "'-5' is not a whole number from 0 to"),
        (bad_fit("good.csv", "--alpha", "-1"), "'-1' is not a number of 0 or more; for a negative"),
        (bad_fit("good.csv", "--target-accept", "1"), "'1' is not a number between 0 and 1"),
        (bad_fit("good.csv", "--likelihood", "huber"), "invalid choice: 'huber'"),
        (bad_fit("good.csv", "--weights", "w"), "no column 'w'"),
        (bad_fit("good.csv", "--prior", "alpha"), "write it as 'alpha=Beta(2, 2)'"),
        (bad_fit("good.csv", "--prior", "alfa=1"), "no parameter 'alfa'"),
        (bad_fit("good.csv", "--prior", "alpha=1", "--alpha", "2"), "leave --prior alpha"),
        (bad_fit("good.csv", "--compare", "general_robust"), "name another"),
        (
            bad_fit("good.csv", "--compare", "normal", "--method", "map"),
            "needs draws, and the mode is one",
        ),
        (["compare", "good.csv", "--formula", "y ~ x", "--likelihood", "normal"], "at least two"),
        (["plot", "none.nc"], "no file 'none.nc'"),
        (["predict", "none.nc", "good.csv"], "no file 'none.nc'"),
        (["predict", ".", "good.csv"], "the folder '.' holds no posterior.nc"),
        (["predict", "good.csv", "good.csv"], "'good.csv' is not a posterior.nc"),
        (["predict", "good.csv", "good.csv", "--out", "a.xlsx"], "should end in .csv"),
        (["predict", "good.csv", "good.csv", "--out", "good.csv"], "'good.csv' exists"),
        (["predict", "good.csv", "good.csv", "--kind", "median"], "invalid choice: 'median'"),
        (["predict", "good.csv", "good.csv", "--prob", "95"], "'95' is not a number between"),
        (["plot", "good.csv"], "'good.csv' is not a posterior.nc"),
        (["plot", "good.csv", "--out", "a.doc"], "should end in .png, .svg, .pdf"),
        (["plot", "good.csv", "--kind", "tails", "--predictor", "x"], "goes with --kind fit"),
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


@pytest.mark.usefixtures("_ready")
def test_warnings_of_sampling_reach_the_user(capsys, monkeypatch):
    from robust_dist import diagnostics

    monkeypatch.setattr(diagnostics, "problems", lambda dt: ["the chains disagree"])
    assert main(["fit", "stackloss", "--quiet"]) == 0
    assert capsys.readouterr().err == "robust-dist: warning: the chains disagree\n"
