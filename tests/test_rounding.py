"""Responses that were rounded: the grid is found, said, and taken into account all the way."""

import json
import warnings

import arviz_stats
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from robust_dist import diagnostics
from robust_dist._errors import FormulaWarning, InputError
from robust_dist.cli import main
from robust_dist.datasets import DATASETS, load
from robust_dist.regression import Regression, compare, predict
from robust_dist.regression.loo import _density
from robust_dist.regression.rounding import grid_step

STEPS = [1.0, 0.5, 0.1, 0.05, 5.0, 2.54, 0.45359237, 1e-3, 1e-8, 7e5]


def rounded(seed=0, rows=50, sd=0.7, slope=2.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return {"x": x, "y": np.round(1 + slope * x + sd * rng.normal(size=rows))}


# --- which grid it is ---------------------------------------------------------------------------


@given(
    st.sampled_from(STEPS),
    st.floats(-1e3, 1e3),
    st.lists(st.integers(-500, 500), min_size=2, max_size=60),
    st.sampled_from(["float64", "float32"]),
)
@settings(max_examples=200, deadline=None)
def test_the_step_of_a_grid_is_found(step, start, multiples, kind):
    """Wherever it starts, to the last digits; of float32 with three digits or more it may not be.

    Then it is not told, but never a wrong one. Three numbers of float32 with two digits are on some
    grid by chance, too.
    """
    multiples = np.array(multiples)
    common = np.gcd.reduce(multiples - multiples[0])
    assume(common > 0)
    # as they are written down, that is, with all digits of the step and of the start
    values = (step * (start + multiples)).astype(kind).astype(float)
    size = np.abs(values).max() / (step * common)
    if kind == "float64":
        assert grid_step(values) == pytest.approx(step * common, rel=1e-11 * (1 + size))
    elif size < 1e4:
        found = grid_step(values)
        assert found is not None or size > (10 if len(set(multiples)) == 3 else 100)
        assert found is None or found == pytest.approx(step * common, rel=1e-6 * (1 + size))


def test_a_step_that_few_numbers_share_by_chance_is_none():
    """Three numbers of float32 lie on the grids of many steps, within their precision."""
    assert grid_step((2.54 * np.array([774, 891, 1012])).astype(np.float32).astype(float)) is None
    rng = np.random.default_rng(1)
    for kind in (np.float32, np.float64):
        for rows in (3, 4, 5):
            numbers = rng.normal(size=(2000, rows)).astype(kind).astype(float)
            assert sum(grid_step(row) is not None for row in numbers) <= 4


@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_decimal_step_is_named_as_it_is_written(step):
    assert grid_step(step * np.array([3, 4, 8, 15, -2, 400])) == step


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_numbers_of_no_grid_have_no_step(kind):
    rng = np.random.default_rng(0)
    for rows in (3, 10, 1000):
        for _ in range(20):
            assert grid_step(rng.normal(size=rows).astype(kind).astype(float)) is None
    assert grid_step(np.full(5, 3.0)) is None


# --- whether that is said -----------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_shipped_data_are_not_called_coarse(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Regression(DATASETS[name].formula, load(name))


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_noise_of_many_steps_is_not_called_coarse(digits):
    rng = np.random.default_rng(digits)
    for _ in range(20):
        x = rng.normal(size=20)
        y = np.round(3 + x + 0.5 * rng.standard_t(3, 20), digits)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert Regression("y ~ x", {"x": x, "y": y}).design.problems == ()


@pytest.mark.parametrize("unit", [1.0, 0.1, 1e3])
def test_coarse_rounding_is_said_with_its_step(unit):
    data = {name: values * (unit if name == "y" else 1) for name, values in rounded().items()}
    with pytest.warns(FormulaWarning, match=f"rounded to {unit:g}, .*resolution={unit:g} "):
        regression = Regression("y ~ x", data)
    assert len(regression.design.problems) == 1
    assert Regression("y ~ x", data, resolution=unit).design.problems == ()


@pytest.mark.parametrize("resolution", [0, -1.0, np.inf, np.nan, "1", True])
def test_a_resolution_is_a_positive_number(resolution):
    with pytest.raises(InputError, match="resolution must be a positive number"):
        Regression("y ~ x", rounded(), resolution=resolution)


def test_a_resolution_that_the_response_does_not_have_is_refused():
    with pytest.raises(InputError, match=r"not rounded to 0.3: .*share the step 1$"):
        Regression("y ~ x", rounded(), resolution=0.3)
    data = rounded()
    data["y"] = np.log(20 + data["y"])
    with pytest.raises(InputError, match="share no step"):
        Regression("y ~ x", data, resolution=1)
    # a finer one than the data happen to need
    assert Regression("y ~ x", rounded(), resolution=0.5).design.resolution == 0.5


# --- the model ----------------------------------------------------------------------------------


def test_rows_on_one_line_have_noise_of_which_the_grid_says_how_little():
    """Exact data are refused; data that the grid hides the noise of are not, nor is it zero."""
    data = {"x": np.arange(20.0), "y": 3 * np.arange(20.0)}
    with pytest.raises(InputError, match=r"exactly: .* resolution=3$"):
        Regression("y ~ x", data)
    regression = Regression("y ~ x", data, resolution=1)
    assert regression.coordinates.scale == 0.25
    assert regression.priors["sigma"].rate == pytest.approx(0.025)
    errors = Regression("y ~ x", data, resolution=1, measurement_error=np.full(20, 4.0))
    assert errors.coordinates.noise == pytest.approx(0.25 / 4)


def test_ties_do_not_attract_the_fit():
    """Of integers with noise of 0.7, and three values of x, so that lines meet half of the rows."""
    rng = np.random.default_rng(6)
    x = rng.integers(0, 3, 60).astype(float)
    y = np.round(2 * x + 0.7 * rng.normal(size=60))
    with pytest.warns(FormulaWarning, match="resolution=1 "):
        exact = Regression("y ~ x", {"x": x, "y": y}).fit(seed=1)
    assert np.quantile(exact["posterior"]["sigma"], 0.975) < 0.05
    dt = Regression("y ~ x", {"x": x, "y": y}, resolution=1).fit(seed=1)
    posterior = dt["posterior"].dataset[["beta", "sigma", "alpha"]]
    assert float(arviz_stats.rhat(posterior).to_array().max()) < 1.01
    assert float(arviz_stats.ess(posterior).to_array().min()) > 400
    low, high = np.quantile(dt["posterior"]["sigma"], [0.025, 0.975])
    assert 0.3 < low < 0.7 < high < 1.5
    assert diagnostics.divergences(dt) == 0


@pytest.fixture(scope="module")
def fit():
    """Return a regression and its fit, with an outlier, weights, an offset and a level of noise."""
    data = rounded(rows=40)
    data["y"][3] += 25
    data["w"] = np.resize([0.5, 1.5], 40)
    regression = Regression("y ~ x", data, "student_t", resolution=1, weights="w")
    return regression, regression.fit(draws=400, warmup=400, chains=2, seed=1)


def test_it_is_written_down(fit, tmp_path):
    dt = fit[1]
    assert dt.attrs["resolution"] == 1
    assert json.loads(dt.attrs["notes"]) == ["'y' is rounded to 1"]
    dt.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    read = xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf")
    xr.testing.assert_equal(
        predict(read, {"x": [0.5]}, "response"), predict(dt, {"x": [0.5]}, "response")
    )
    damaged = dt.copy()
    damaged.attrs["resolution"] = "fine"
    with pytest.raises(InputError, match="resolution"):
        diagnostics.outliers(damaged)


def test_predictions_are_rounded_as_the_data_are(fit):
    dt = fit[1]
    for draws in (dt["posterior_predictive"]["y"], dt["prior_predictive"]["y"]):
        np.testing.assert_array_equal(draws, np.rint(draws))
    new = {"x": [0.5, -1.0]}
    response = predict(dt, new, "response", seed=1)
    np.testing.assert_array_equal(response, np.rint(response))
    # the mean is that of the outcome before it is rounded
    assert np.ptp(predict(dt, new).values % 1) > 0.1


def test_an_offset_grid_is_kept():
    data = rounded(rows=30)
    data["y"] = 0.5 * data["y"] + 0.125
    regression = Regression("y ~ x", data, "cauchy", resolution=0.5)
    dt = regression.fit(draws=50, warmup=100, chains=2, seed=1)
    steps = (dt["posterior_predictive"]["y"].values - 0.125) / 0.5
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    steps = (predict(dt, None, "response").values - 0.125) / 0.5
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)


def test_the_log_likelihood_is_that_of_the_cell_over_its_width(fit):
    """In double precision, from SciPy's tails; and that of leaving a row out."""
    from scipy import stats

    regression, dt = fit
    posterior = dt["posterior"].dataset
    nu, scale = (posterior[name].values[..., None] for name in ("nu", "scale"))
    loc = posterior["beta"].values @ dt["constant_data"]["x"].values.T
    y, w = dt["observed_data"]["y"].values, dt["constant_data"]["weights"].values
    low, high = (stats.t.cdf(-np.abs(y - loc) + side, nu, scale=scale) for side in (-0.5, 0.5))
    # of the mirrored cell, whose probability is the same
    expected = w * np.log(high - low)
    found = dt["log_likelihood"]["y"].values
    near = expected > -30
    np.testing.assert_allclose(found[near], expected[near], rtol=1e-4, atol=2e-5)
    rows = np.array([0, 3])
    np.testing.assert_allclose(
        _density(regression, dt, rows).values, expected[..., rows], rtol=1e-7
    )


def test_tails_lie_within_the_cell(fit):
    """The PIT of a row is one of its cell's, and of all rows together uniform."""
    dt = fit[1]
    pit = diagnostics.pit_residuals(dt)
    exact = dt.copy()
    del exact.attrs["resolution"]
    ends = []
    for side in (-0.5, 0.5):
        moved = exact.copy()
        moved["observed_data"] = xr.DataTree(
            dt["observed_data"].to_dataset().assign(y=dt["observed_data"]["y"] + side)
        )
        ends.append(diagnostics.pit_residuals(moved)["pit"].values)
    assert np.all((ends[0] < pit["pit"]) & (pit["pit"] < ends[1]))
    # ties of the response are none of it
    assert np.unique(pit["pit"]).size == 40
    assert not diagnostics.misfit_problems(dt)
    assert diagnostics.outliers(dt).index[0] == 3
    assert diagnostics.outliers(dt)["weight"].iloc[0] < 0.1


def test_it_goes_with_every_part_of_a_model():
    """Groups, a formula of the scale, known errors, an offset: NumPyro's sampler takes a step."""
    rng = np.random.default_rng(1)
    data = rounded(rows=30) | {
        "g": np.resize(["a", "b", "c"], 30),
        "o": rng.normal(size=30),
        "e": rng.uniform(0.5, 2, 30),
    }
    regression = Regression(
        {"y": "y ~ x + (1 | g)", "sigma": "~ x"},
        data,
        "laplace",
        resolution=1,
        offset="o",
        measurement_error="e",
    )
    dt = regression.fit(draws=5, warmup=5, chains=1, sampler="numpyro")
    assert np.isfinite(dt["log_likelihood"]["y"]).all()


def test_comparison_and_the_mode_take_it():
    data = rounded(rows=30)
    found = compare(
        "y ~ x", data, ["normal", "laplace"], resolution=1, draws=200, warmup=200, chains=2
    )
    assert "'y' is rounded to 1" in found.notes
    # a probability of a cell of width 1
    assert (found.table["elpd"] < 0).all()
    mode = Regression("y ~ x", data, "normal", resolution=1).fit(method="map")
    assert 0.3 < float(mode["posterior"]["scale"].values.squeeze()) < 1.5


def test_the_command_takes_it(tmp_path, capsys):
    data = rounded(rows=30)
    path = tmp_path / "data.csv"
    np.savetxt(path, np.c_[data["x"], data["y"]], delimiter=",", header="x,y", comments="")
    common = ["fit", str(path), "--formula", "y ~ x", "--likelihood", "normal", "--draws", "200"]
    common += ["--warmup", "200", "--chains", "2", "--no-cache"]
    assert main([*common, "--out", str(tmp_path / "a"), "--resolution", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["resolution"] == 1
    assert "'y' is rounded to 1" in document["notes"]
    assert "rounded to 1" in (tmp_path / "a/report.html").read_text()
    assert main([*common, "--out", str(tmp_path / "b")]) == 0
    assert "resolution=1 " in capsys.readouterr().err
    assert main([*common, "--out", str(tmp_path / "c"), "--resolution", "0"]) != 0


def test_an_own_prior_of_the_scale_may_be_anything():
    """With one that is flat down to zero the likelihood is bounded, and chains end nowhere."""
    regression = Regression(
        "y ~ x", rounded(rows=30), "normal", {"scale": dist.HalfNormal(2.0)}, resolution=1
    )
    dt = regression.fit(draws=300, warmup=300, chains=2)
    assert float(arviz_stats.rhat(dt)["scale"]) < 1.05
