"""Tables of predictions, effects of groups, the prior before a fit, and what a fit explains."""

import builtins

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from fits import grouped, grouped_data, made_up, normal_fit
from scipy import stats
from xarray import Dataset, DataTree

from robust_dist import diagnostics
from robust_dist._errors import InputError
from robust_dist.regression import Regression, predict, prediction_table, row_laws
from robust_dist.regression.row_laws import stacked

# --- effects of groups ------------------------------------------------------------------------


def test_the_population_has_no_effects_of_groups_and_need_not_name_them():
    """What is left is the fit's linear predictor without the group's own effect."""
    dt = grouped()
    data, _ = grouped_data()
    new = data.iloc[[0, 30, 79]]
    population = predict(dt, new.drop(columns=["g", "y"]), groups="population")
    effects = dt["posterior"]["1|g"].sel(g=list(new["g"])).transpose("chain", "draw", "g")
    np.testing.assert_allclose(predict(dt, new) - effects.values, population, rtol=1e-9)
    rows = predict(dt, groups="population").isel(row=[0, 30, 79])
    np.testing.assert_allclose(rows, population, rtol=1e-9)


def test_a_new_level_has_an_effect_of_the_groups_normal_whatever_it_is_called():
    """By ``"new"`` levels of the fit are none of it, and rows of one level share an effect."""
    dt = grouped()
    data, _ = grouped_data()
    new = data.iloc[[0, 1, 8]]
    lines = predict(dt, new, "linear", groups="new", seed=2)
    shifts = (lines - predict(dt, new, "linear", groups="population")).values.reshape(-1, 3)
    np.testing.assert_allclose(shifts[:, 0], shifts[:, 1], rtol=1e-6, atol=1e-9)
    z = shifts[:, [0, 2]] / stacked(dt, "1|g_sigma")[:, None]
    # 1000 draws of a standard Normal
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    own = predict(dt, None, "linear", groups="new", seed=2).isel(row=[0, 1, 8])
    assert own.std() == pytest.approx(float(lines.std()), rel=0.2)


# --- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mean", "response", "linear"])
def test_a_table_summarises_the_draws(kind, monkeypatch):
    """Also where rows are taken a few at a time."""
    dt = grouped()
    data, _ = grouped_data()
    new = data.iloc[::20]
    draws = predict(dt, new, kind, seed=3).stack(sample=("chain", "draw"))
    table = prediction_table(dt, new, kind, prob=0.8, seed=3)
    expected = np.quantile(draws, [0.5, 0.1, 0.9], axis=-1).T
    np.testing.assert_allclose(table[["median", "lower", "upper"]], expected, rtol=1e-9)
    mean = predict(dt, new) if kind == "response" else draws
    np.testing.assert_allclose(table["mean"], mean.mean(set(mean.dims) - {"row"}), rtol=1e-9)
    assert list(table.index) == list(new.index)
    monkeypatch.setattr(row_laws, "_BLOCK", 2 * 500)
    blocks = prediction_table(dt, new, kind, prob=0.8, seed=3)
    if kind != "response":  # of which each block has draws of its own
        pd.testing.assert_frame_equal(blocks, table)
    assert len(blocks) == len(table)


def test_the_mean_of_a_response_is_one_where_draws_have_none():
    """Of Cauchy noise draws average to anything, and the centre is known well."""
    dt = grouped()
    data, _ = grouped_data()
    response, mean = (prediction_table(dt, data.iloc[:9], kind) for kind in ("response", "mean"))
    np.testing.assert_allclose(response["mean"], mean["mean"])
    assert (response["upper"] - response["lower"] > mean["upper"] - mean["lower"]).all()


def test_rows_with_missing_values_are_left_out_if_asked_for():
    dt = grouped()
    data, _ = grouped_data()
    new = data.iloc[:4].astype({"x": float})
    new.loc[1, "x"] = np.nan
    new.loc[2, "o"] = np.nan
    with pytest.raises(InputError, match="column 'x' has no value"):
        prediction_table(dt, new)
    table = prediction_table(dt, new, drop_missing=True)
    assert list(table.index) == [0, 3]
    pd.testing.assert_frame_equal(table, prediction_table(dt, new.iloc[[0, 3]]))
    with pytest.raises(InputError, match="nothing is left to predict"):
        prediction_table(dt, new.iloc[1:3], drop_missing=True)


def test_rows_are_told_in_the_order_of_the_data():
    dt = made_up()
    table = diagnostics.row_table(dt)
    assert list(table) == ["observed", "fitted", "lower", "upper", "residual", "weight", "pit"]
    assert list(table.index) == list(dt["observed_data"]["row"].values)
    outliers = diagnostics.outliers(dt).loc[table.index]
    shared = ["observed", "residual", "weight", "pit"]
    pd.testing.assert_frame_equal(table[shared], outliers[shared])
    expected = prediction_table(dt)[["mean", "lower", "upper"]]
    np.testing.assert_allclose(table[["fitted", "lower", "upper"]], expected, rtol=1e-9)


# --- what is explained ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def line():
    """Return a fit of Normal noise to Normal fitted values, of which four fifths are explained."""
    # in the middle of equal shares of probability, so that quartiles are those of the law
    x = stats.norm.ppf((np.arange(500) + 0.5) / 500)
    noise = np.random.default_rng(0).permutation(x)
    return normal_fit(x, 2 * x + noise, 1.0, draws=200)


def test_of_normal_laws_both_kinds_of_r2_are_the_same(line):
    r2 = {kind: diagnostics.r2(line, kind) for kind in ("variance", "quartiles")}
    assert float(r2["variance"].mean()) == pytest.approx(0.8, abs=0.01)
    # 500 rows have quartiles, but no tails, of the Normal: their variance is 0.4% smaller
    assert float(r2["quartiles"].mean()) == pytest.approx(float(r2["variance"].mean()), abs=3e-3)
    assert diagnostics.r2(line).attrs["kind"] == "quartiles"  # alpha could be any
    assert "R^2 by quartiles: 0." in diagnostics.r2_in_words(line)


def test_r2_by_variance_is_that_of_arviz(line):
    """Where the rows' noise differs, with the mean of its variances."""
    dt = line.copy()
    error = np.linspace(0.5, 2.0, 500)
    constants = dt["constant_data"].to_dataset().assign(measurement_error=("row", error))
    dt["constant_data"] = DataTree(constants)
    fitted = dt["posterior"]["beta"].dot(dt["constant_data"]["x"])
    variance = (error**2).mean() * dt["posterior"]["scale"] ** 2
    tree = DataTree.from_dict({"posterior": Dataset({"mu": fitted, "v": variance})})
    expected = arviz_stats.bayesian_r2(tree, "mu", "v", scale_kind="var", summary=False)
    np.testing.assert_allclose(np.ravel(diagnostics.r2(dt, "variance")), expected, rtol=1e-6)


def test_r2_by_quartiles_needs_no_variance_and_depends_on_no_unit():
    """Of Cauchy noise it is that of the quartiles of very many responses."""
    x = np.linspace(-1, 1, 100)
    dt = normal_fit(x, 3 * x + 0.1, 1.0, draws=100)
    dt.attrs["likelihood"] = "cauchy"
    beta = dt["posterior"]["beta"]
    fitted = beta.isel(chain=0, draw=0).values @ dt["constant_data"]["x"].values.T
    noise = stats.cauchy.ppf((np.arange(10_000) + 0.5) / 10_000)
    inner, outer = (stats.iqr(values) for values in (noise, fitted[:, None] + noise))
    for unit in (1.0, 1e6):
        scale = unit * dt["posterior"]["scale"]
        dt["posterior"] = DataTree(Dataset({"beta": unit * beta, "scale": scale}))
        with pytest.raises(InputError, match="has no variance; ask for kind='quartiles'"):
            diagnostics.r2(dt, "variance")
        r2 = diagnostics.r2(dt)
        assert r2.attrs["kind"] == "quartiles"
        # the grids of 1e4 quantiles have quartiles to 1e-4
        assert float(r2[0, 0]) == pytest.approx(1 - (inner / outer) ** 2, abs=2e-4)


def test_a_fit_that_explains_nothing_has_an_r2_of_nothing():
    dt = normal_fit(np.linspace(-1, 1, 50), np.zeros(50), 1.0, draws=50)
    posterior = dt["posterior"].to_dataset()
    dt["posterior"] = DataTree(posterior.assign(beta=0.0 * posterior["beta"]))
    for kind in ("variance", "quartiles"):
        np.testing.assert_allclose(diagnostics.r2(dt, kind), 0.0, atol=1e-5)
    with pytest.raises(InputError, match="kind must be one of variance, quartiles, not 'mad'"):
        diagnostics.r2(dt, "mad")


# --- before a fit -----------------------------------------------------------------------------


def small(**options):
    rows = {"x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": [1.0, 3.0, 2.0, 5.0, np.nan]}
    return Regression("y ~ x", rows, "cauchy", drop_missing=True, **options)


def test_the_prior_before_a_fit_is_that_of_the_fit():
    """The same groups, names, dimensions and units, and the same law."""
    regression = small()
    before = regression.prior_predictive(draws=700, seed=3)
    after = regression.fit(method="laplace", chains=1, draws=500, seed=4)
    assert set(before.children) == {
        "prior", "prior_predictive", "observed_data", "constant_data"
    }  # fmt: skip
    for name, group in before.children.items():
        assert {k: v.dims for k, v in group.data_vars.items()} == {
            k: v.dims for k, v in after[name].data_vars.items()
        }
    assert before["prior_predictive"].sizes == {"chain": 1, "draw": 700, "row": 4}
    assert before["prior"]["coefficient"].values.tolist() == ["Intercept", "x"]
    for group, name in (("prior", "scale"), ("prior_predictive", "y")):
        first = (dt[group][name].isel(row=0, missing_dims="ignore") for dt in (before, after))
        assert stats.ks_2samp(*map(np.ravel, first)).pvalue > 1e-4
    assert before.attrs["seed"] == 3
    assert dict(before.attrs).items() <= {**after.attrs, "seed": 3}.items()


def test_an_argument_of_the_prior_predictive_that_is_none_is_named():
    for options in ({"draws": 0}, {"seed": -1}):
        (name,) = options
        with pytest.raises(InputError, match=name):
            small().prior_predictive(**options)


def test_a_regression_prints_what_it_fits():
    """Letters that could move a cursor are written out."""
    data, _ = grouped_data()
    data = data.rename(columns={"x": "x\x1b"})
    formulas = {"y": "y ~ `x\x1b` + (1 | g)", "sigma": "~ k"}
    text = repr(Regression(formulas, data))
    assert text.startswith("Regression\n  formula")
    for words in (
        r"y ~ `x\x1b` + (1 | g)",
        "sigma formula       ~ k",
        "general_robust",
        "Intercept and k[v]",
        "(1|g), 10 levels",
        "print .priors",
    ):
        assert words in text
    assert "\x1b" not in text
    assert "4 (1 left out)" in repr(small())


def test_a_graph_without_graphviz_says_how_to_install_it(monkeypatch):
    imported = builtins.__import__

    def without(name, *arguments, **options):
        if name == "graphviz":
            raise ImportError(name)
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="pip install graphviz"):
        small().graph()


def test_a_graph_shows_what_the_model_samples():
    pytest.importorskip("graphviz")
    source = small().graph().source
    for site in ("beta_z", "scale_z", "scale ~ Deterministic", "y ~ Cauchy"):
        assert site in source
