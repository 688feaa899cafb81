"""Models are compared by LOO that holds where importance sampling does not."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robust_dist._errors import InputError
from robust_dist.regression import compare, predict

ROWS = 25


@pytest.fixture(scope="module")
def comparison():
    """Return a comparison on a line with one outlier, far off in y and in x."""
    rng = np.random.default_rng(5)
    x = np.linspace(-1, 1, ROWS)
    y = 2 + x + 0.1 * rng.normal(size=ROWS)
    x[-1], y[-1] = 3.0, 5.4
    # a label twice: rows are told apart by position
    data = pd.DataFrame({"x": x, "y": y}, index=[*range(ROWS - 1), 7])
    return compare(
        "y ~ x", data, ["normal", "cauchy"], draws=500, warmup=500, chains=2, seed=2
    ), data


@pytest.mark.slow
def test_the_table_is_that_of_each_leave_one_out(comparison):
    result, _ = comparison
    assert set(result.table.index) == set(result.fits) == {"normal", "cauchy"}
    assert result.table["elpd"].is_monotonic_decreasing
    for name, loo in result.loo.items():
        np.testing.assert_allclose(result.table.loc[name, "elpd"], loo.elpd.elpd_i.sum(), rtol=1e-9)
    assert result.table["weight"].sum() == pytest.approx(1)
    assert result.coefficients.loc["x", ("cauchy", "mean")] == pytest.approx(1, abs=0.3)
    for word in ("elpd_diff", "cauchy", result.verdict, *result.notes):
        assert word in str(result)


@pytest.mark.slow
def test_rows_with_a_high_pareto_k_are_left_out_in_earnest(comparison):
    """The Normal's density of the outlier, against the predictive density of the other rows."""
    result, data = comparison
    loo = result.loo["normal"]
    assert 7 in loo.refitted
    assert "fitted anew" in " ".join(result.notes)
    others = data.iloc[:-1]
    x = np.column_stack([np.ones(ROWS - 1), others["x"]])
    beta, rss, *_ = np.linalg.lstsq(x, others["y"].to_numpy())
    freedom = ROWS - 1 - 2
    new = np.array([1.0, 3.0])
    spread = np.sqrt(rss[0] / freedom * (1 + new @ np.linalg.inv(x.T @ x) @ new))
    # under flat priors the predictive law is Student's; the default ones widen it a little, and
    # its tail is the mean of a thousand very unequal densities
    expected = stats.t(freedom, new @ beta, spread).logpdf(5.4)
    assert float(loo.elpd.elpd_i[-1]) == pytest.approx(expected, rel=0.3)


@pytest.mark.slow
def test_of_very_many_rows_some_are_left_out(monkeypatch):
    """Their elpd, scaled up, is that of all rows within two standard errors, and they are named."""
    from robust_dist.regression import loo, row_laws

    rng = np.random.default_rng(8)
    x = rng.normal(size=6000)
    data = {"x": x, "y": 1 + x + rng.standard_t(3, 6000)}
    options = {"method": "laplace", "draws": 500, "chains": 2, "likelihoods": ["cauchy", "laplace"]}
    whole = compare("y ~ x", data, **options)
    monkeypatch.setattr(loo, "thinning", lambda draws, rows: draws // 10)
    monkeypatch.setattr(loo, "_ROWS", 1000)
    monkeypatch.setattr(row_laws, "_BLOCK", 300_000)
    part = compare("y ~ x", data, **options)
    assert not whole.notes
    assert len(part.notes) == 1
    assert "from 1000 of the 6000 rows" in part.notes[-1]
    assert part.loo["laplace"].elpd.elpd_i.size == 1000
    for name, row in part.table.iterrows():
        assert abs(row["elpd"] - whole.table.loc[name, "elpd"]) < 2 * row["se"]
    assert part.verdict.split(",")[0] == whole.verdict.split(",")[0]
    positions = part.loo["laplace"].elpd.elpd_i["row"].values
    np.testing.assert_allclose(
        part.loo["laplace"].elpd.elpd_i, whole.loo["laplace"].elpd.elpd_i[positions], atol=1e-3
    )


def test_a_verdict_is_that_the_data_cannot_tell():
    from robust_dist.regression.comparison_words import verdict

    table = pd.DataFrame(
        {"elpd_diff": [0.0, -3.0, -9.0, -30.0], "dse": [0.0, 0.5, 6.0, 5.0]},
        index=["a", "b", "c", "d"],
    )
    rows = np.array([[0.0, 0, 0], [-1, -1, -1], [-1, -7, -1], [-10, -10, -10]])
    assert verdict(table, dict(zip("abcd", rows, strict=True)), ["p", "q", "r"]) == (
        "The data cannot tell a and b apart: their differences in elpd are 4 or less. The "
        "data do not settle whether c predicts worse than a: the difference of 9.0 +- 6.0 in elpd "
        "is less than two standard errors, and more than half of it rests on row q. d predicts "
        "worse than a, by 30.0 +- 5.0 in elpd."
    )


@pytest.mark.parametrize(
    ("likelihoods", "priors", "complaint"),
    [
        (["normal"], None, "at least two"),
        (["normal", "normal"], None, "at least two"),
        ("normal", None, "at least two"),
        (["normal", "huber"], None, "no likelihood 'huber'"),
        (["normal", "cauchy"], {"laplace": {}}, "'laplace', which is not compared"),
    ],
)
def test_what_cannot_be_compared_is_refused(likelihoods, priors, complaint):
    with pytest.raises(InputError, match=complaint):
        compare("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]}, likelihoods, priors=priors)


@pytest.fixture(scope="module")
def of_formulas():
    """Return a comparison of three models of one response, one of which misses a predictor."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(60, 3)), columns=["z", "x", "y"])
    data["y"] += 1 + data["x"] + 2 * data["z"]
    models = {
        "without z": ("y ~ x", "normal"),
        "with z": ("y ~ z + x", "normal"),
        "spread": ({"y": "y ~ z + x", "sigma": "~ x"}, "student_t"),
    }
    return compare(models, data, draws=250, warmup=250, chains=2)


def test_formulas_are_compared(of_formulas):
    """The model that misses a predictor is worse; what a model has not is left open."""
    assert of_formulas.table.index[-1] == "without z"
    assert "'without z' predicts worse than" in of_formulas.verdict
    assert list(of_formulas.coefficients.index) == ["Intercept", "x", "z"]
    assert np.isnan(of_formulas.coefficients.loc["z", ("without z", "mean")])
    assert of_formulas.coefficients.loc["z", ("with z", "mean")] == pytest.approx(2, abs=0.4)
    assert of_formulas.models["spread"][1] == of_formulas.fits["spread"].attrs["likelihood"]
    text = str(of_formulas)
    assert "NaN" not in text
    assert "e-" not in text.split("\n\n")[0]


def test_a_stacked_prediction_has_as_many_draws_of_each_model_as_its_weight_says(of_formulas):
    """Which of a model's draws does not matter, but each position is of one model, whole."""
    new = {"z": [0.5, -0.5], "x": [0.0, 3.0]}
    stacked = of_formulas.predict(new, seed=4)
    parts = {name: predict(dt, new, "response", seed=4) for name, dt in of_formulas.fits.items()}
    owned = {name: (stacked == part).all("row") for name, part in parts.items()}
    np.testing.assert_array_equal(sum(part.astype(int) for part in owned.values()), 1)
    for name, part in owned.items():
        weight = of_formulas.table.loc[name, "weight"]
        assert float(part.mean()) == pytest.approx(weight, abs=1 / part.size)
    assert stacked.equals(of_formulas.predict(new, seed=4))
    assert not stacked.equals(of_formulas.predict(new, seed=5))


@pytest.mark.parametrize(
    ("models", "likelihoods", "complaint"),
    [
        (["y ~ x", "log(y) ~ x"], None, "densities of different responses"),
        (["y ~ x", "y ~ z"], None, "'y ~ x' has 5 rows and 'y ~ z' 4"),
        (["y ~ x", " y ~ x"], None, "at least two"),
        ({"a": ("y ~ x", "normal")}, None, "at least two"),
        ({"a": ("y ~ x", "normal"), "b": 3}, None, "the model 'b'"),
        ({"a": ("y ~ x", "normal"), "b": ("y ~ z", "norml")}, None, "did you mean 'normal'"),
        ({"a": ("y ~ x", "normal"), "b": "y ~ z"}, ["cauchy"], "leave likelihoods out"),
        (["y ~ x", 3], None, "formula"),
        (3, None, "formula"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(models, likelihoods, complaint):
    data = {"x": [1.0, 2, 3, 4, 5], "z": [1.0, 2, np.nan, 4, 5], "y": [1.0, 3, 2, 5, 4]}
    with pytest.raises(InputError, match=complaint):
        compare(models, data, likelihoods, drop_missing=True)


def test_the_mode_alone_cannot_be_compared():
    data = {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]}
    with pytest.raises(InputError, match="no comparison by 'map'"):
        compare("y ~ x", data, ["normal", "cauchy"], method="map")


def test_of_the_defaults_those_are_compared_that_can_have_the_formula():
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, ROWS)
    data = pd.DataFrame({"x": x, "y": 2 + x + 0.3 * rng.normal(size=ROWS)})
    formula = {"y": "y ~ x", "alpha": "~ x"}
    options = {"method": "laplace", "draws": 200, "chains": 2}
    result = compare(formula, data, **options)
    assert set(result.fits) == {"general_robust", "contaminated"}
    assert [note.split()[0] for note in result.notes[:2]] == ["student_t", "normal"]
    # but for whoever asks for them
    with pytest.raises(InputError, match="student_t"):
        compare(formula, data, ["general_robust", "student_t"], **options)
    # a mistake in the formula is said, not left out
    with pytest.raises(InputError, match="no column 'z'"):
        compare({"y": "y ~ z", "alpha": "~ x"}, data, **options)
