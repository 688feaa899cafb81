"""Fits of known and published data, and what is predicted from them, also from a file."""

import jax
import numpy as np
import pytest
import xarray as xr
from fits import grouped, grouped_data, stackloss

from robust_dist import diagnostics
from robust_dist._errors import InputError
from robust_dist.datasets import load
from robust_dist.regression import Regression, predict
from robust_dist.regression.loo import _density
from robust_dist.regression.posterior.pointwise import thinning
from robust_dist.regression.row_laws import row_law, row_parameters

# --- groups -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_groups_are_told_apart():
    """Their effects are found to a third of what they differ by, and spread as drawn.

    Not to standard deviations: the Cauchy law is the wrong one for noise of t(3), and too sure.
    """
    dt = grouped()
    _, truth = grouped_data()
    effects = dt["posterior"]["beta"].sel(coefficient="Intercept") + dt["posterior"]["1|g"]
    error = effects.mean(("chain", "draw")) - truth
    assert float(np.abs(error).max()) < 1  # they were drawn with a standard deviation of 3
    covered = np.abs(error) < 2 * effects.std(("chain", "draw"))
    assert int(covered.sum()) >= 6  # of ten
    low, high = dt["posterior"]["1|g_sigma"].quantile([0.025, 0.975])
    assert low < 3 < high
    assert diagnostics.divergences(dt) <= 1


# --- prediction -------------------------------------------------------------------------------


def test_prediction_of_the_fitted_rows_is_the_fit():
    dt = stackloss()
    data = load("stackloss")
    fitted = predict(dt, data)
    beta = dt["posterior"]["beta"].transpose("chain", "draw", "coefficient").values
    np.testing.assert_allclose(fitted, beta @ dt["constant_data"]["x"].values.T, rtol=1e-12)
    np.testing.assert_array_equal(fitted, predict(dt))
    assert fitted.dims == ("chain", "draw", "row")
    assert fitted.name == "stack_loss"


def test_responses_are_the_centre_and_the_noise():
    """Draws about the fit have the quantiles of the posterior predictive."""
    dt = stackloss()
    draws = predict(dt, load("stackloss"), "response", seed=3).values.ravel()
    expected = dt["posterior_predictive"]["y"].values.ravel()
    q = [0.1, 0.25, 0.5, 0.75, 0.9]
    # 42,000 draws of a spread of 10: standard error about 0.1
    np.testing.assert_allclose(np.quantile(draws, q), np.quantile(expected, q), atol=0.5)


def test_prediction_from_a_file_is_the_same(tmp_path):
    """Groups, splines and categories are made anew from what the file holds."""
    dt = grouped()
    data, _ = grouped_data()
    dt.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as back:
        new = data.drop(columns="y").iloc[[3, 40, 77]].assign(x=[0.1, 0.2, 0.3])
        assert dict(back.attrs)["likelihood"] == "cauchy"
        for kind in ("mean", "linear", "response"):
            np.testing.assert_allclose(
                predict(back, new, kind, seed=1), predict(dt, new, kind, seed=1), rtol=1e-12
            )
    np.testing.assert_array_equal(predict(dt, new)["row"], new.index)


def test_the_offset_is_part_of_the_mean_and_not_of_the_linear_predictor():
    dt = grouped()
    data, _ = grouped_data()
    new = data.iloc[:5]
    difference = predict(dt, new, "mean") - predict(dt, new, "linear")
    np.testing.assert_allclose(
        difference, np.broadcast_to(new["o"], difference.shape), rtol=1e-9, atol=1e-9
    )


def test_unseen_groups_are_drawn_or_refused():
    """Their effects spread as the groups do; rows of one level share it."""
    dt = grouped()
    data, _ = grouped_data()
    new = data.iloc[[0, 0, 1, 2]].assign(g=["new", "new", "other", data["g"].iloc[2]], x=0.0, o=0.0)
    lines = predict(dt, new, "linear").values.reshape(-1, 4)
    np.testing.assert_array_equal(lines[:, 0], lines[:, 1])
    assert np.abs(np.corrcoef(lines[:, 0] - lines[:, 2], lines[:, 3])[0, 1]) < 0.2
    spread = np.sqrt((dt["posterior"]["1|g_sigma"].values ** 2).mean() * 2)
    # a difference of two unseen groups; 500 draws: 4%, and the intercept cancels
    assert (lines[:, 0] - lines[:, 2]).std() == pytest.approx(spread, rel=0.15)
    with pytest.raises(InputError, match="group 'g' has a level that the fit has not seen in row"):
        predict(dt, new, unseen="refuse")


def test_new_data_with_no_level_of_the_fit_are_refused_unless_draws_are_asked_for():
    """That is mostly another column, or labels of another type; the message says what to do."""
    dt = grouped()
    data, _ = grouped_data()
    new = data.iloc[:3].assign(g=["a", "b", "c"])
    with pytest.raises(InputError, match="no row of the new data has a level of the group 'g'"):
        predict(dt, new)
    assert predict(dt, new, unseen="draw").sizes["row"] == 3


@pytest.mark.parametrize(
    ("change", "options", "complaint"),
    [
        ({"drop": "x"}, {}, "no column 'x' in the data"),
        ({"x": np.nan}, {}, "column 'x' has no value"),
        ({"k": "zz"}, {}, r"column 'k' holds 'zz', which the fit has not seen \(it has u and v\)"),
        ({"drop": "o"}, {}, "no column 'o'"),
        ({}, {"measurement_error": 1.0}, "was given no measurement error"),
        ({}, {"kind": "median"}, "kind must be one of mean, response, linear, not 'median'"),
        ({}, {"unseen": "zero"}, "unseen must be one of mixed, draw, refuse"),
        ({}, {"groups": "all"}, "groups must be one of fitted, population, new"),
        ({}, {"drop_missing": 1}, "drop_missing must be True or False"),
    ],
)
def test_what_cannot_be_predicted_is_refused_in_one_line(change, options, complaint):
    data, _ = grouped_data()
    new = data.iloc[:3]
    new = new.drop(columns=change["drop"]) if "drop" in change else new.assign(**change)
    with pytest.raises(InputError, match=complaint) as error:
        predict(grouped(), new, **options)
    assert "\n" not in str(error.value)


def test_what_is_no_fit_cannot_predict():
    with pytest.raises(InputError, match="no fit of Regression"):
        predict(xr.DataTree(), load("stackloss"))


# --- approximations ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def line():
    """Return a regression of many rows, whose posterior is all but Normal, and the truth."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=6000)
    y = 1 + 2 * x + 0.5 * rng.standard_cauchy(6000)
    return Regression("y ~ x", {"x": x, "y": y}, "cauchy")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["svi", "laplace", "map"])
def test_approximations_find_the_posterior(line, method, monkeypatch):
    """Of Cauchy noise: the information per row is 1/(2 scale^2), for loc and for scale alike."""
    from robust_dist.regression.posterior import approximate

    monkeypatch.setattr(approximate, "_STEPS", 1500)  # a simple posterior
    monkeypatch.setattr(approximate, "BATCH", 1024)
    dt = line.fit(method=method, draws=500, chains=2)
    assert dt.attrs["method"] == method
    assert "sample_stats" not in dt.children
    sd = 0.5 * np.sqrt(2 / 6000)
    posterior = dt["posterior"].dataset
    draws = np.stack([posterior["beta"].values[..., 1], posterior["scale"].values])
    # 4 standard deviations of the estimate, and as much again for minibatches
    assert np.abs(draws.mean((1, 2)) - [2, 0.5]).max() < 5 * sd
    if method == "map":
        assert posterior.sizes == {"chain": 1, "draw": 1, "coefficient": 2}
    else:
        # the Fisher information is the expected one, the data's 5% off
        np.testing.assert_allclose(draws.std((1, 2)), sd, rtol=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["svi", "laplace"])
def test_approximations_know_the_width_where_the_density_has_a_kink(method, monkeypatch):
    """Laplace noise has no second derivative: the information per row is 1/scale^2 all the same."""
    from robust_dist.regression.posterior import approximate

    monkeypatch.setattr(approximate, "_STEPS", 1500)
    monkeypatch.setattr(approximate, "BATCH", 1024)
    rng = np.random.default_rng(3)
    x = rng.normal(size=6000)
    data = {"x": x, "y": 1 + 2 * x + rng.laplace(0, 0.5, 6000)}
    dt = Regression("y ~ x", data, "laplace").fit(method=method, draws=500, chains=2)
    draws = dt["posterior"].dataset["beta"].values
    sd = 0.5 / np.sqrt(6000)
    assert np.abs(draws.mean((0, 1)) - [1, 2]).max() < 5 * sd
    np.testing.assert_allclose(draws.std((0, 1)), sd, rtol=0.25)


@pytest.mark.slow
def test_many_rows_thin_what_has_a_number_for_each(line, monkeypatch):
    from robust_dist.regression.posterior import pointwise

    monkeypatch.setattr(pointwise, "_KEPT", 6000 * 100)
    said = []
    dt = line.fit(method="laplace", draws=100, chains=2, stage=said.append)
    assert dt.attrs["thinned"] == 2
    assert any("one draw in 2" in words for words in said)
    assert dt["posterior"].sizes["draw"] == 100
    for group in ("log_likelihood", "posterior_predictive", "log_prior"):
        np.testing.assert_array_equal(dt[group]["draw"], np.arange(0, 100, 2))


@pytest.mark.parametrize(
    ("rows", "kept"), [(5_000, 4000), (50_000, 400), (200_000, 100), (1_000_000, 4)]
)
def test_draws_that_are_kept_by_row_take_bounded_memory(rows, kept):
    """At most 2e7 numbers, and fewer where the data themselves are large."""
    assert 4000 // thinning(4000, rows) == kept


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"method": "em"}, "no method 'em'; there are: nuts, svi"),
        ({"target_accept": 1.5}, "target_accept must lie between 0 and 1"),
    ],
)
def test_options_of_fits_are_checked(line, options, complaint):
    with pytest.raises(InputError, match=complaint):
        line.fit(**options)


def test_an_approximation_may_be_narrower_than_single_precision_in_the_users_units():
    """Neighbours of 3e6 are 0.25 apart there."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=100)
    data = {"x": x, "y": 3e6 + x + rng.normal(0, 0.1, 100)}
    dt = Regression("y ~ x", data, "normal").fit(method="laplace", draws=200, chains=1)
    intercept = dt["posterior"].dataset["beta"].values[..., 0]
    assert abs(intercept.mean() - 3e6) < 0.05
    np.testing.assert_allclose(intercept.std(), 0.01, rtol=0.3)


def test_weights_multiply_what_a_row_says():
    """Both where the fit keeps it and where rows are left out of very many."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=30)
    data = {"x": x, "y": 5e3 * (x + rng.normal(size=30)), "w": rng.uniform(0.5, 3, 30)}
    regression = Regression("y ~ x", data, "normal", weights="w")
    dt = regression.fit(method="laplace", draws=20, chains=1)
    found = dt["log_likelihood"]["y"].values
    with jax.enable_x64(True):
        expected = data["w"] * row_law(dt, row_parameters(dt)).log_prob(data["y"])
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    np.testing.assert_allclose(
        _density(regression, dt, np.array([7, 3])), found[..., [7, 3]], rtol=1e-5
    )
