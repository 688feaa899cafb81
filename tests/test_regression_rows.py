"""Regressions of many rows: the same results in less memory. A few rows stand for many here."""

import jax
import numpy as np
import pandas as pd
import pytest
from numpyro.handlers import seed, substitute, trace
from xarray import open_datatree

from robust_dist import diagnostics
from robust_dist.plots import plot_fit
from robust_dist.regression import Regression, datatree, predict, training_data
from robust_dist.regression.datatree import Draws, make_datatree
from robust_dist.regression.design.formula import split_formulas
from robust_dist.regression.posterior import pointwise
from robust_dist.regression.posterior.pointwise import prepare
from robust_dist.regression.row_laws import row_parameters

N = 40
LAW = "general_robust"


def table(level=0.0):
    """Return columns, the response about this level."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    return pd.DataFrame(
        {
            "y": level + 2 * x + rng.normal(size=N),
            "x": x,
            "k": np.float32(rng.exponential(size=N)),
            "g": np.resize(list("abcd"), N),
            "w": rng.uniform(0.5, 2, N),
        }
    )


def draws(regression, count=3):
    """Return draws of the sites from the prior."""
    found = [
        trace(seed(regression.model, jax.random.key(i))).get_trace(**regression.data)
        for i in range(count)
    ]
    return {name: np.stack([one[name]["value"] for one in found]) for name in regression.sites}


def follows(regression, latent):
    count = len(next(iter(latent.values())))
    call = prepare(*regression.parts, regression.data, count, 1)
    return call(jax.random.key(5), latent)


def made(regression):
    """Return a DataTree as a fit would, of draws from the prior."""
    latent = draws(regression)
    dt = make_datatree(
        regression.setting,
        Draws({k: v[None] for k, v in latent.items()}, {}, follows(regression, latent), 1),
        {},
    )
    training_data.save(dt, split_formulas(regression.formula), regression._frame)
    return dt


def few_are_many(monkeypatch, many=16):
    """Treat as many rows as this as many, of which no design is kept."""
    monkeypatch.setattr(pointwise, "MANY", many)
    monkeypatch.setattr(datatree, "MANY", many)
    monkeypatch.setattr(datatree, "numbers", lambda rows: 0)


def test_columns_of_the_table_are_not_copied():
    data = table()
    design = Regression("y ~ x + np.log(k) + g", data).design
    named = dict(zip(design.coefficients, design.values, strict=True))
    assert np.shares_memory(named["x"], data["x"].to_numpy()) == (pd.__version__ >= "3")
    assert named["Intercept"].base.nbytes == 8
    np.testing.assert_array_equal(
        design.matrix(slice(3, 5)),
        np.column_stack(
            [
                *(np.ones(2), data["x"][3:5], np.log(data["k"][3:5].astype(float))),
                *(data["g"][3:5] == level for level in "bcd"),
            ]
        ),
    )


def test_what_comes_of_a_fit_does_not_change_with_the_table(monkeypatch):
    """Though they share memory."""
    few_are_many(monkeypatch)
    data = table()
    regression = Regression("y ~ x", data, "normal")
    dt = made(regression)
    before = row_parameters(dt)["loc"], dt["observed_data"]["y"].values.copy()
    data["x"] = 0.0
    data.loc[:, "y"] = 0.0
    np.testing.assert_array_equal(row_parameters(dt)["loc"], before[0])
    np.testing.assert_array_equal(dt["observed_data"]["y"].values, before[1])
    np.testing.assert_array_equal(regression.design.y, before[1])


@pytest.mark.parametrize("block", [16, pytest.param(39, marks=pytest.mark.slow)])
def test_rows_in_blocks_are_all_rows_at_once(block, monkeypatch):
    """And the noise of one block is not that of another."""
    regression = Regression("y ~ x + (1 | g)", table(), "normal", weights="w")
    latent = draws(regression)
    whole = follows(regression, latent)
    monkeypatch.setattr(pointwise, "MANY", block)
    parts = follows(regression, latent)
    np.testing.assert_allclose(parts.log_likelihood, whole.log_likelihood, rtol=1e-5)
    for name in regression.sites:
        np.testing.assert_array_equal(parts.prior[name], whole.prior[name])
        np.testing.assert_allclose(parts.log_prior[name], whole.log_prior[name], rtol=1e-5)
    for i, response in enumerate(parts.predictive):
        values = {name: value[i] for name, value in latent.items()}
        law = trace(substitute(regression.model, values)).get_trace(**regression.data)["y"]["fn"]
        noise = (response - law.mean) / law.variance**0.5
        assert np.abs(noise).max() < 5
        assert np.abs(np.diff(np.sort(noise))).min() > 1e-5


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ scale(x) * g",
        pytest.param("y ~ k + (1 | g)", marks=pytest.mark.slow, id="groups"),
        pytest.param(
            {"y": "y ~ x", "alpha": "~ x", "sigma": "~ k"}, marks=pytest.mark.slow, id="alpha"
        ),
    ],
)
def test_a_design_that_was_left_out_is_made_anew(formula, monkeypatch, tmp_path):
    regression = Regression(formula, table(), "normal" if isinstance(formula, str) else LAW)
    kept = made(regression)
    few_are_many(monkeypatch)
    dt = made(regression)
    assert "x" in kept["constant_data"].dataset
    assert not {"x", "x_alpha", "x_sigma"} & set(dt["constant_data"].dataset)
    dt.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as read:
        for one in (dt, read):
            expected, found = row_parameters(kept), row_parameters(one)
            for name, values in expected.items():
                np.testing.assert_allclose(found[name], values, rtol=1e-12)
            np.testing.assert_array_equal(predict(one), predict(kept))
            np.testing.assert_allclose(diagnostics.leverage(one), diagnostics.leverage(kept))
            plot_fit(one)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "unit", "kind"),
    [(0.0, 1.0, np.float32), (1e6, 1.0, np.float64), (0.0, 1e25, np.float64)],
)
def test_rows_are_in_single_precision_where_it_resolves_the_noise(level, unit, kind, monkeypatch):
    data = table(level)
    data["y"] *= unit
    regression = Regression("y ~ x", data, "normal")
    kept = made(regression)
    few_are_many(monkeypatch, N)
    dt = made(regression)
    for group in ("posterior_predictive", "prior_predictive"):
        assert kept[group]["y"].dtype == np.float64
        assert dt[group]["y"].dtype == kind
        np.testing.assert_allclose(dt[group]["y"], kept[group]["y"], rtol=1e-6, atol=1e-5 * unit)
    assert dt["log_likelihood"]["y"].dtype == np.float32
    np.testing.assert_allclose(
        dt["log_likelihood"]["y"], kept["log_likelihood"]["y"], rtol=1e-6, atol=1e-5
    )
