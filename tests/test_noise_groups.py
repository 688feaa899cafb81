"""Groups in the formulas of sigma and alpha: recovered, predicted, kept in files."""

import numpy as np
import pandas as pd
import pytest
import xarray

from robust_dist import effects
from robust_dist._errors import InputError
from robust_dist.regression import Regression, predict
from robust_dist.regression.row_laws import row_parameters

GROUPS, ROWS = 10, 60
RNG = np.random.default_rng(0)
LOG_SD = RNG.normal(0, 0.6, GROUPS)
SETTINGS = {"draws": 300, "warmup": 300, "progress": False, "seed": 1}


def table():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(GROUPS), ROWS)
    x = rng.normal(size=group.size)
    own = rng.normal(0, 0.5, GROUPS)
    y = 1 + 2 * x + own[group] + np.exp(LOG_SD[group] + 0.3 * x) * rng.normal(size=group.size)
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{i}" for i in group]})


FORMULA = {"y": "y ~ x + (1 | g)", "sigma": "~ x + (1 | g)"}


@pytest.fixture(scope="module")
def regression():
    return Regression(FORMULA, table())


@pytest.fixture(scope="module")
def dt(regression):
    return regression.fit(**SETTINGS)


def test_the_noise_of_each_group_is_found(dt):
    assert dt.attrs["inference_library"] == "nutpie"
    draws = dt["posterior"]["sigma_1|g"]
    found, sd = draws.mean(("chain", "draw")).values, draws.std(("chain", "draw")).values
    away = (found - found.mean()) - (LOG_SD - LOG_SD.mean())
    # ten groups, each within four posterior sds
    assert np.all(np.abs(away) < 4 * sd)
    assert np.corrcoef(found, LOG_SD)[0, 1] > 0.9
    spread = dt["posterior"]["sigma_1|g_sigma"].quantile([0.001, 0.999]).values
    assert spread[0] < LOG_SD.std() < spread[1]


def test_rows_have_the_noise_of_their_groups(dt, regression):
    scale = row_parameters(dt)["scale"].mean(axis=0).reshape(GROUPS, ROWS)
    middle = np.log(np.median(scale, axis=1))
    assert np.corrcoef(middle, LOG_SD)[0, 1] > 0.9
    # the model that is sampled says the same of each row as the file
    drawn = regression.predict(dt, kind="response", seed=0)
    sd = np.subtract(*np.quantile(drawn, [0.84, 0.16], axis=(0, 1))) / 2
    assert np.corrcoef(np.log(sd), np.log(scale.ravel()))[0, 1] > 0.9


def test_new_rows_have_the_noise_of_their_groups(dt, tmp_path):
    noisy, quiet = (f"g{i}" for i in (LOG_SD.argmax(), LOG_SD.argmin()))
    rows = pd.DataFrame({"x": [0.0, 0.0, 0.0], "g": [noisy, quiet, "new"]})
    dt.to_netcdf(tmp_path / "posterior.nc")
    with xarray.open_datatree(tmp_path / "posterior.nc") as kept:
        kept.load()
    for fit in (dt, kept):
        spread = _width(predict(fit, rows, kind="response", unseen="draw", seed=0))
        # of a new group the noise is uncertain, too
        assert spread[0] > 1.5 * spread[1]
        assert spread[2] > spread[1]
    both = [
        _width(predict(fit, rows[:2], kind="response", groups=groups, seed=0))
        for fit, groups in ((dt, "population"), (dt, "new"))
    ]
    for width in both:
        np.testing.assert_allclose(width[0], width[1], rtol=0.15)


def _width(draws):
    low, high = np.quantile(draws, [0.16, 0.84], axis=(0, 1))
    return high - low


def test_effects_on_sigma_know_the_groups(dt):
    table = effects.predictions(dt, ["g"], target="sigma").summary
    assert np.corrcoef(np.log(table["estimate"]), LOG_SD)[0, 1] > 0.9
    flat = effects.predictions(dt, ["g"], target="sigma", groups="population").summary
    assert np.ptp(flat["estimate"]) < 1e-12


def test_slopes_of_the_location_have_no_part_of_the_noises_groups(dt):
    slopes = effects.slopes(dt, "x").draws
    beta = dt["posterior"]["beta"].sel(coefficient="x")
    np.testing.assert_allclose(slopes.isel(row=0).values, beta.values, rtol=1e-12)


def test_alpha_and_correlated_effects_too():
    formula = {"y": "y ~ x", "alpha": "~ (1 | g)", "sigma": "~ x + (x | g)"}
    spreads = {"alpha_1|g_sigma": 0.3, "sigma_1|g_sigma": 0.5, "sigma_x|g_sigma": 0.1}
    regression = Regression(formula, table(), priors=spreads)
    assert "sigma_1 + x|g_correlation" in regression.priors
    dt = regression.fit(method="laplace", draws=50, progress=False)
    posterior = dt["posterior"]
    assert posterior["alpha_1|g"].shape == posterior["sigma_x|g"].shape
    assert np.isfinite(posterior["sigma_1 + x|g_correlation"]).all()
    assert np.isfinite(dt["log_likelihood"]["y"]).all()


def test_two_terms_of_one_name_are_refused():
    data = table().assign(sigma_x=RNG.normal(size=GROUPS * ROWS))
    formula = {"y": "y ~ x + (0 + sigma_x | g)", "sigma": "~ (0 + x | g)"}
    with pytest.raises(InputError, match=r"two terms have the name 'sigma_x\|g'; rename"):
        Regression(formula, data)


def test_a_response_in_the_formula_of_the_noise_is_refused():
    with pytest.raises(InputError, match="the formula of sigma, '~ y ~ x', may have no response"):
        Regression({"y": "y ~ x", "sigma": "~ y ~ x"}, table())
