"""`likelihood="contaminated"`: its background and outliers, and what the plain law shares."""

from __future__ import annotations

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
import xarray

from robust_dist import ContaminatedGeneralRobust, LogParetoTailed, diagnostics
from robust_dist._errors import InputError
from robust_dist.regression import Regression, predict
from robust_dist.regression.likelihoods import find_likelihood
from robust_dist.regression.posterior import engine
from robust_dist.regression.row_laws import row_parameters

ROWS, BAD = 40, 4


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    y = 1 + 2 * x + rng.normal(size=ROWS)
    y[:BAD] += [12, 15, -20, 1e6]
    return pd.DataFrame({"x": x, "y": y, "o": rng.normal(size=ROWS), "e": rng.uniform(1, 2, ROWS)})


@pytest.fixture(scope="module")
def fit(data):
    regression = Regression("y ~ x", data, "contaminated", offset="o", measurement_error="e")
    return regression.fit(draws=300, warmup=300, chains=2, progress=False)


def test_outlier_probabilities_are_those_of_the_mixture(fit, data):
    """Posterior means, by the law itself in the user's units."""
    table = diagnostics.outliers(fit).loc[data.index]
    parameters = row_parameters(fit)
    background = LogParetoTailed(
        parameters["loc"] + parameters["background_loc"], parameters["background_scale"]
    )
    with jax.enable_x64(True):
        law = ContaminatedGeneralRobust(
            *(parameters[name] for name in ("alpha", "loc", "scale", "contamination")), background
        )
        probability = law.outlier_probability(data["y"].to_numpy()).mean(axis=0)
    np.testing.assert_allclose(table["probability"], probability, rtol=1e-9)
    assert np.all(table["probability"][:BAD] > 0.95)
    assert np.all(table["probability"][BAD:] < 0.5)
    # the background lies about the median of what the offset leaves, whatever the parameters
    middle = np.median(data["y"] - data["o"])
    np.testing.assert_allclose(background.loc, np.broadcast_to(middle + data["o"], (600, ROWS)))
    # one that is surely an outlier counts for nothing
    assert np.all(table["weight"][:BAD] < 0.1)
    assert "an outlier with probability 1, weight" in diagnostics.name_outliers(table)


def test_only_a_contaminated_fit_has_outlier_probabilities(data):
    dt = Regression("y ~ x", data, "cauchy").fit(method="map", progress=False)
    assert "probability" not in diagnostics.outliers(dt)


def test_residuals_are_measured_by_the_law_alone(fit):
    """Whatever share of the rows is bad."""
    parameters = row_parameters(fit)
    plain = find_likelihood("general_robust")
    law = {name: parameters[name] for name in ("alpha", "loc", "scale")}
    z, unit, law = plain.reduced(fit["observed_data"]["y"].values, law)
    spread = unit * plain.quartile(law) / 0.6744897501960817
    np.testing.assert_allclose(
        diagnostics.standardized_residuals(fit), (z * unit / spread).mean(axis=0), rtol=1e-9
    )


def test_predictions_are_of_the_mixture_and_its_centre(fit, data):
    response = predict(fit, data, "response", seed=3)
    assert np.all(np.isfinite(response))
    mean = predict(fit, data)
    np.testing.assert_allclose(mean, predict(fit, data, "linear") + data["o"].to_numpy())
    # farther off than the law reaches; loc is near to the background's, beside its scale
    share = float(np.mean(np.abs(response - mean) > 60))
    scale = fit.attrs["background_scale_fixed"]
    far = float(fit["posterior"]["contamination"].mean() * 2 * LogParetoTailed().cdf(-60 / scale))
    assert share == pytest.approx(far, rel=0.2)


def test_a_file_holds_the_background(fit, data, tmp_path):
    fit.to_netcdf(tmp_path / "fit.nc")
    with xarray.open_datatree(tmp_path / "fit.nc") as read:
        pd.testing.assert_frame_equal(diagnostics.outliers(read), diagnostics.outliers(fit))
        damaged = read.copy()
        del damaged.attrs["background_scale_fixed"]
        with pytest.raises(InputError, match="no number 'background_scale_fixed'"):
            diagnostics.outliers(damaged)


def test_tails_and_weights_are_told(fit):
    text = diagnostics.read_tails(fit)
    assert "contamination is " in text
    assert "% of rows" in text
    assert np.isfinite(diagnostics.tail_summary(fit)["posterior"]).all()
    assert not diagnostics.prior_problems(fit)


# --- the background, and what may be said of it --------------------------------------------------


def test_background_is_of_the_response_and_can_be_given(data):
    regression = Regression("y ~ x", data, "contaminated")
    y = data["y"]
    assert regression.priors["background_loc"] == np.median(y)
    width = find_likelihood("contaminated").background_width
    spread = 1.4826 * np.median(np.abs(y - np.median(y)))
    assert regression.priors["background_scale"] == pytest.approx(width * spread)
    assert "background_scale  fixed at" in str(regression.priors)
    given = {"background_loc": -3.0, "background_scale": 50}
    assert Regression("y ~ x", data, "contaminated", given).priors["background_loc"] == -3


def test_background_of_a_response_that_mostly_agrees():
    """As of counts, where half of the rows are 0."""
    y = np.r_[np.zeros(20), 1, 2, 3, 4, 5, 6, 1e9]
    table = {"y": y, "x": np.random.default_rng(0).normal(size=y.size)}
    regression = Regression("y ~ x", table, "contaminated")
    assert 1 < regression.priors["background_scale"] < 100


@pytest.mark.parametrize(
    ("priors", "told"),
    [
        ({"background_scale": dist.HalfNormal(1.0)}, "'background_scale' is fixed beforehand"),
        ({"background_scale": 0.0}, "'background_scale' cannot be fixed at 0"),
        ({"background_loc": np.inf}, "'background_loc' cannot be fixed at inf"),
        ({"contamination": 1.5}, "'contamination' cannot be fixed at 1.5; it must be from 0 to 1"),
        ({"contamination": dist.HalfNormal(1.0)}, "'contamination', which is at most 1, reaches"),
        ({"contamination": dist.Uniform(0.0, 1.01)}, "'contamination', which is at most 1, reac"),
    ],
)
def test_what_it_cannot_be_is_refused_in_a_line(priors, told, data):
    with pytest.raises(InputError, match=told) as error:
        Regression("y ~ x", data, "contaminated", priors)
    assert "\n" not in str(error.value)


def test_other_likelihoods_have_no_background(data):
    with pytest.raises(InputError, match="no parameter 'background_loc'"):
        Regression("y ~ x", data, "student_t", {"background_loc": 0.0})


# --- the engine ---------------------------------------------------------------------------------


def test_it_is_the_same_machine_code_as_the_plain_law(data):
    assert find_likelihood("contaminated").kernel is find_likelihood("general_robust").kernel


def test_without_contamination_it_is_the_plain_law(data):
    plain = Regression("y ~ x", data)
    alpha = plain.priors["alpha"]
    none = Regression("y ~ x", data, "contaminated", {"contamination": 0.0}, alpha=alpha)
    assert none.sites == plain.sites
    q = np.array([0.3, -0.2, 0.5, 0.1])
    (value, slope), (expected, expected_slope) = (
        engine.log_density(each.setting, each.data)(q) for each in (none, plain)
    )
    assert value == expected
    np.testing.assert_array_equal(slope, expected_slope)


def test_a_row_that_goes_to_infinity_leaves_the_density_alone(data):
    """Its slope is that of the share, which one outlier raises, and nothing else moves."""
    given = {"background_loc": 0.0, "background_scale": 5.0}
    q = np.array([0.3, -0.2, 0.5, -1.0, 0.1])
    slopes = []
    for far in (1e8, 1e12):
        table = data.assign(y=np.r_[data["y"][:-1], far])
        # in the sampler's units of the same robust fit
        regression = Regression("y ~ x", data, "contaminated", given)
        moved = {**regression.data, "y": regression.data["y"].at[-1].set(far)}
        slopes.append(engine.log_density(regression.setting, moved)(q)[1])
        assert np.isfinite(slopes[-1]).all()
        assert Regression("y ~ x", table, "contaminated").coordinates.scale < 10
    kept = {**regression.data, "keep": np.arange(ROWS) < ROWS - 1}
    without = engine.log_density(regression.setting, kept)(q)[1]
    share = 1 / (1 + np.exp(-q[3]))
    without[3] += 1 - share
    np.testing.assert_allclose(slopes[0], without, rtol=1e-6)
    np.testing.assert_allclose(slopes[1], without, rtol=1e-9)


@pytest.mark.parametrize("far", [1e9, 1e12, 1e25])
def test_the_robust_fit_that_chains_start_at_forgets_outliers_of_any_size(far, data):
    """Neither its digits nor the unit of its residuals are lost to them."""
    clean = Regression("y ~ x", data.iloc[BAD:]).coordinates
    moved = data.assign(y=np.r_[far * np.array([1, -2, 3, 4]), data["y"][BAD:]])
    found = Regression("y ~ x", moved).coordinates
    np.testing.assert_allclose(found.fit, clean.fit, atol=0.5 * clean.scale)
    assert found.scale == pytest.approx(clean.scale, rel=0.3)
