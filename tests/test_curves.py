"""Curves in formulas: a Gaussian process in a basis, and effects that only rise or only fall."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
import xarray
from numpyro.contrib.hsgp.spectral_densities import diag_spectral_density_squared_exponential

from robust_dist import effects, plots
from robust_dist._errors import InputError
from robust_dist.regression import Regression, predict
from robust_dist.regression.curves import layout_of, weights_of
from robust_dist.regression.posterior import engine

ROWS = 90
STEPS = np.array([0.0, 0.0, 1.5, 1.8, 4.0])


def table(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    x, z, s = rng.uniform(0, 20, rows), rng.normal(size=rows), np.resize([1, 2, 3, 4, 5], rows)
    y = 3 * np.sin(x / 3) + z + STEPS[s - 1] + 0.3 * rng.normal(size=rows)
    y[:3] += 40
    return pd.DataFrame({"y": y, "x": x, "z": z, "s": s})


@pytest.fixture(scope="module")
def dt():
    regression = Regression("y ~ z + hsgp(x, m=12) + mo(s)", table())
    return regression.fit(draws=200, warmup=300, chains=2, seed=1, progress=False)


def test_both_curves_are_found_in_spite_of_outliers(dt):
    grid = np.linspace(1, 19, 7)
    curve = predict(dt, pd.DataFrame({"x": grid, "z": 0.0, "s": 1}), kind="linear")
    found, sd = curve.mean(("chain", "draw")).values, curve.std(("chain", "draw")).values
    away = found - 3 * np.sin(grid / 3)
    assert np.all(np.abs(away) < 4 * sd + 0.1)
    climb = predict(dt, pd.DataFrame({"x": 10.0, "z": 0.0, "s": [1, 2, 3, 4, 5]}), kind="linear")
    rise = climb - climb.isel(row=0)
    # in every draw it rises, as its law says
    assert float(rise.diff("row").min()) >= -1e-9
    middle, sd = rise.mean(("chain", "draw")).values, rise.std(("chain", "draw")).values
    assert np.all(np.abs(middle - STEPS) < 4 * sd + 0.15)


def test_a_file_and_new_rows_say_what_the_fit_does(dt, tmp_path):
    dt.to_netcdf(tmp_path / "posterior.nc")
    with xarray.open_datatree(tmp_path / "posterior.nc") as kept:
        again = predict(kept.load(), table())
    np.testing.assert_allclose(predict(dt, table()), predict(dt), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(again, predict(dt), rtol=1e-9, atol=1e-9)
    # a curve is no group
    np.testing.assert_array_equal(predict(dt, groups="population"), predict(dt))


def test_the_parameters_have_names_and_densities(dt):
    names = ["hsgp(x)_sigma", "hsgp(x)_ell", "mo(s)", "mo(s)_simplex"]
    assert {*names, "hsgp(x)_weights", "mo(s)_weights"} <= {*dt["posterior"].data_vars}
    assert {*names} <= {*dt["log_prior"].data_vars}
    ell = dt["posterior"]["hsgp(x)_ell"].values
    half = np.ptp(table()["x"]) / 2
    expected = dist.InverseGamma(3.0, 1.5 * half).log_prob(ell)
    np.testing.assert_allclose(dt["log_prior"]["hsgp(x)_ell"], expected, rtol=1e-4, atol=1e-4)


def test_effects_show_the_curve(dt):
    frame = effects.predictions(dt, {"x": [4.7, 14.1]}).summary
    assert frame["estimate"].iloc[0] > frame["estimate"].iloc[1] + 4
    assert (effects.predictions(dt, {"s": [1, 5]}).summary["estimate"].diff().iloc[1]) > 3


def test_weights_have_the_covariance_of_the_process():
    design = Regression("y ~ hsgp(x, m=60, c=3)", table(40)).design
    (curve,) = design.curves
    layout, sd, ell = layout_of(curve), 1.7, 0.6
    known = {"hsgp(x)_sigma": sd, "hsgp(x)_ell": ell}
    with jax.enable_x64(True):
        spread = weights_of(layout, {**known, "hsgp(x)_offset": np.ones(60)})
        library = diag_spectral_density_squared_exponential(sd**2, ell, layout.reach, 60, 1)
    np.testing.assert_allclose(np.asarray(spread) ** 2, library, rtol=1e-10, atol=1e-30)
    found = (curve.x * np.asarray(spread) ** 2) @ curve.x.T
    x = table(40)["x"].to_numpy()
    u = (x - (x.max() + x.min()) / 2) / (np.ptp(x) / 2)
    exact = sd**2 * np.exp(-0.5 * (u[:, None] - u) ** 2 / ell**2)
    # each less its level: that of the basis is the mean over the range, of the exact one the rows'
    centre = np.eye(40) - 1 / 40
    np.testing.assert_allclose(centre @ found @ centre, centre @ exact @ centre, atol=2e-3)


def test_a_curve_has_mean_zero_over_the_range_of_the_fit():
    data = table(2001).assign(x=np.linspace(-3.0, 7.0, 2001))
    (curve,) = Regression("y ~ hsgp(x)", data).design.curves
    np.testing.assert_allclose(np.trapezoid(curve.x, dx=1 / 2000, axis=0), 0.0, atol=1e-3)


def test_shifts_units_and_repeated_rows_change_no_curve():
    data = table()
    plain = Regression("y ~ hsgp(x) + mo(s)", data)
    moved = Regression("y ~ hsgp(x) + mo(s)", data.assign(x=1e4 + 10 * data["x"], s=data["s"] + 7))
    for one, other in zip(plain.design.curves, moved.design.curves, strict=True):
        np.testing.assert_allclose(other.x, one.x, atol=1e-9)
    ell = [float(reg.priors["hsgp(x)_ell"].rate) for reg in (plain, moved)]
    assert ell[1] == pytest.approx(10 * ell[0], rel=1e-6)
    # a row of weight 2 is two rows
    twice = pd.concat([data, data[::2]])
    weighted = Regression("y ~ hsgp(x) + mo(s)", data, weights=np.resize([2.0, 1.0], ROWS))
    repeated = Regression("y ~ hsgp(x) + mo(s)", twice.reset_index(drop=True))
    for one, other in zip(weighted.design.curves, repeated.design.curves, strict=True):
        np.testing.assert_allclose(other.x[:ROWS], one.x, atol=1e-12)
    assert str(weighted.priors) == str(repeated.priors)


def test_draws_of_the_prior_are_monotonic():
    regression = Regression("y ~ mo(s)", table())
    prior = regression.prior_predictive(draws=200, seed=0)["prior"]
    weights = prior["mo(s)_weights"].values
    assert np.all((weights >= 0).all(-1) | (weights <= 0).all(-1))
    assert 0.3 < (weights > 0).all(-1).mean() < 0.7


@pytest.mark.parametrize("method", ["laplace", "svi"])
def test_other_methods_fit_curves_too(method):
    regression = Regression("y ~ z + mo(s)", table())
    dt = regression.fit(method=method, draws=100, progress=False)
    total = dt["posterior"]["mo(s)_weights"].sum("mo(s)_part")
    assert abs(float(total.mean()) - STEPS[-1]) < 3 * float(total.std())


def test_priors_are_given_by_name():
    own = {
        "hsgp(x)_sigma": 2.0,
        "hsgp(x)_ell": dist.LogNormal(1.0, 0.5),
        "mo(s)": dist.Normal(0, 1),
        "mo(s)_simplex": dist.Dirichlet(np.full(4, 2.0)),
    }
    regression = Regression("y ~ hsgp(x) + mo(s)", table(), priors=own)
    assert regression.priors["hsgp(x)_sigma"] == 2.0
    assert "LogNormal(1, 0.5)" in str(regression.priors)
    with pytest.raises(InputError, match=r"shares of 4 steps: give .*Dirichlet of 4 numbers"):
        Regression("y ~ mo(s)", table(), priors={"mo(s)_simplex": dist.Dirichlet(np.ones(3))})
    with pytest.raises(InputError, match=r"no parameter 'hsgp\(x\)_length'"):
        Regression("y ~ hsgp(x)", table(), priors={"hsgp(x)_length": dist.Gamma(2.0, 1.0)})


def test_ordered_categories_are_steps_and_others_are_none():
    words = ["low", "middle", "high"]
    labels = np.resize(words, ROWS)
    ordered = table().assign(s=pd.Categorical(labels, words, ordered=True))
    (curve,) = Regression("y ~ mo(s)", ordered).design.curves
    assert curve.parts == ("low to middle", "middle to high")
    np.testing.assert_array_equal(curve.x[:3], [[0, 0], [1, 0], [1, 1]])
    with pytest.raises(InputError, match=r"mo\(s\) needs an order, and column 's' has none"):
        Regression("y ~ mo(s)", table().assign(s=labels))


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("y ~ z * mo(s)", "a formula may not call 'mo'; it is a term of its own"),
        ("y ~ (mo(s) | z)", "a formula may not call 'mo'; it is a term of its own"),
        ("y ~ z - hsgp(x)", "a formula may not call 'hsgp'; it is a term of its own"),
        ("y ~ mo(s) + mo(s)", "stands there twice"),
        ("y ~ mo()", "is given no column"),
        ("y ~ hsgp(log(x))", "is given no column"),
        ("y ~ hsgp(x, m=0)", "m of hsgp() is a whole number from 1"),
        ("y ~ hsgp(x, c=1)", "c of hsgp() is a number above 1"),
        ("y ~ hsgp(x, k=5)", "takes a column and the numbers m and c"),
        ("y ~ mo(z)", "takes whole numbers or an ordered category"),
        ("y ~ mo(s, 3)", "mo() takes a column"),
    ],
)
def test_what_is_no_curve_is_refused_in_words(formula, told):
    with pytest.raises(InputError) as error:
        Regression(formula, table())
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_curve_in_the_formula_of_the_noise_is_refused():
    with pytest.raises(InputError, match=r"the formula of sigma.* has hsgp\(x\), which that of"):
        Regression({"y": "y ~ z", "sigma": "~ z + hsgp(x)"}, table())


def test_new_rows_beyond_the_curve_are_refused(dt):
    with pytest.raises(InputError, match=r"'x' lies beyond the reach of hsgp\(x\) in row 0"):
        predict(dt, {"x": [60.0], "z": [0.0], "s": [1]})
    with pytest.raises(InputError, match=r"holds 6 in row 0, which is none of the values"):
        predict(dt, {"x": [6.0], "z": [0.0], "s": [6]})


def test_a_model_with_curves_is_for_numpyro():
    regression = Regression("y ~ hsgp(x)", table())
    told = engine.unsupported(regression.setting, regression.data)
    assert told == "hsgp(x) has no compiled form"
    assert "hsgp(x)" in repr(regression)


def test_pictures_follow_the_curve(dt):
    ax = plots.plot_fit(dt, predictor="x", label=0)
    line = max(ax.lines, key=lambda each: len(each.get_xdata()))
    x, y = line.get_data()
    wave = np.sin(np.asarray(x, float) / 3)
    assert np.corrcoef(np.asarray(y, float), wave)[0, 1] > 0.98
    # steps are drawn from value to value, for there is nothing between
    ax = plots.plot_fit(dt, predictor="s", label=0)
    assert any(np.array_equal(each.get_xdata(), [1, 2, 3, 4, 5]) for each in ax.lines)
    # of several predictors none is the one
    assert plots.plot_fit(dt).get_xlabel() not in ("x", "z", "s")
    plt.close("all")
