"""A formula and a table become the right model and draws in the user's units, or an error."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from fits import stackloss
from numpyro.infer.util import initialize_model, log_density
from scipy import stats

from robust_dist import GeneralRobust, diagnostics
from robust_dist._errors import InputError
from robust_dist.datasets import load
from robust_dist.regression import Regression
from robust_dist.regression.coordinates import least_absolute, standardize
from robust_dist.regression.design import design
from robust_dist.regression.design.formula import make_design
from robust_dist.regression.model import make_data
from robust_dist.regression.priors import Priors


def table(n=30, seed=0):
    """Return columns of every kind that a formula may name."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame(
        {
            "y": 1 + 2 * x + rng.normal(size=n),
            "x": x,
            "z": rng.uniform(1, 2, n),
            "two words": rng.normal(size=n),
            "group": np.resize(["a", "b", "c"], n),
            "flag": np.resize([True, False], n),
        }
    )


# --- formula and data -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "coefficients"),
    [
        ("y ~ x + z", ["Intercept", "x", "z"]),
        ("y ~ 0 + x", ["x"]),
        ("y ~ 1", ["Intercept"]),
        ("y ~ `two words`", ["Intercept", "two words"]),
        ("exp(y) ~ x + np.log(z)", ["Intercept", "x", "np.log(z)"]),
        ("y ~ group", ["Intercept", "group[b]", "group[c]"]),
        ("y ~ 0 + group", ["group[a]", "group[b]", "group[c]"]),
        ("y ~ x * flag", ["Intercept", "x", "flag", "x:flag"]),
        ("y ~ poly(x, 2)", ["Intercept", "poly(x, 2)[0]", "poly(x, 2)[1]"]),
        ("y ~ {x / 2}", ["Intercept", "I(x / 2)"]),
    ],
)
def test_a_formula_gives_its_named_coefficients(formula, coefficients):
    design, _ = make_design(formula, table())
    assert list(design.coefficients) == coefficients
    assert design.x.shape == (30, len(coefficients))


def test_values_reach_the_design_in_double_precision():
    data = table()
    design, _ = make_design("y ~ x + log(z)", data)
    np.testing.assert_array_equal(design.y, data["y"])
    np.testing.assert_array_equal(design.x, np.column_stack([np.ones(30), data.x, np.log(data.z)]))


def bad(**columns):
    """Return the table with some columns replaced, cell by cell."""
    data = table().astype({"group": object})
    for name, cells in columns.items():
        if isinstance(cells, dict):
            data[name] = data[name].astype(object)
            for row, value in cells.items():
                data.loc[row, name] = value
            data[name] = data[name].infer_objects()
        else:
            data[name] = cells
    return data


@pytest.mark.parametrize(
    ("formula", "data", "complaint"),
    [
        ("y ~ zz", table(), "no column 'zz' in the data; did you mean 'z'"),
        ("Y ~ x", table(), "did you mean 'y'"),
        ("y ~ x.z", table(), "no column 'x.z'"),
        ("y ~", table(), "ends too early"),
        ("y ~ x +", table(), "ends too early"),
        ("y ~ (x", table(), "Expect '\\)'"),
        ("y ~ x)", table(), "from '\\)' on"),
        ("y ~ two words", table(), "from 'words' on; names with blanks"),
        ("y ~ `two words", table(), "backtick is not closed"),
        ("y ~ x | group", table(), "from '|' on"),
        ("y ~ @", table(), "Unexpected character"),
        ("", table(), "cannot read the formula"),
        ("x", table(), "names no response"),
        ("y ~ 0", table(), "no coefficient"),
        ("y ~ x + offset(z)", table(), "offset"),
        ("y ~ foo(x)", table(), "no function 'foo'"),
        ("y ~ data", table(), "no column 'data'"),  # a local variable of ours
        ("y ~ 2 * x", table(), "the number 2"),
        ("group ~ x", table(), "response 'group' is not numeric \\(it holds 'a'\\)"),
        ("flag ~ x", table(), "response 'flag' is not numeric"),
        ("y ~ x", bad(x={2: np.nan}), "column 'x' has no value \\(NaN\\) in row 2;"),
        ("y ~ x", bad(y={4: np.inf}), "'y' is an infinite value in row 4;"),
        ("y ~ x", bad(y={4: -np.inf, 7: np.inf}), "in rows 4, 7;"),
        ("y ~ group", bad(group={3: None}), "column 'group' has no value \\(NaN\\) in row 3"),
        (
            "y ~ x",
            bad(x={5: "?"}).astype({"x": str}),
            "'x' holds '\\?', which is no number, in row",
        ),
        ("y ~ log(x)", bad(x={0: -1.0}), "'log\\(x\\)' is no number \\(NaN\\) in rows 0, 1"),
        ("y ~ x + z", table(2), "fewer rows \\(2\\) than coefficients \\(3\\)"),
        ("y ~ x + z", table(3), "as many coefficients as rows \\(3\\)"),
        ("y ~ x", bad(y=1.0), "response 'y' is constant"),
        ("y ~ x + z", bad(z=1.0), "column 'z' of the design is constant"),
        ("y ~ x + z + w", bad(w=table().x + table().z), "rank-deficient: column 'w'"),
        ("y ~ x + w", bad(w=1e6 + table().x), "rank-deficient: column 'w'"),
        ("w ~ x", bad(w=3 + 2 * table().x), "fits 'w' exactly"),
        ("y ~ w", bad(w=1e-40 * table().x), "other units"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(formula, data, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        Regression(formula, data)
    assert "\n" not in str(error.value)


def test_columns_are_compared_over_all_rows(monkeypatch):
    """Although in blocks: that two agree in one of them is no matter."""
    monkeypatch.setattr(design, "BLOCK", 4)
    data = table().assign(w=lambda data: data.x.where(np.arange(len(data)) >= 4, data.z))
    Regression("y ~ z + w", data)
    with pytest.raises(InputError, match="rank-deficient: column 'w'"):
        Regression("y ~ x + z + w", data.assign(w=data.x + data.z))


def test_a_bad_row_of_a_file_is_named_with_its_line(tmp_path):
    from robust_dist.datasets import read_csv

    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n\n3,\n4,5\n6,7\n")
    with pytest.raises(InputError, match="row 2 \\(line 4 of the file\\)"):
        Regression("y ~ x", read_csv(path))


# --- the sampler's coordinates ----------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*stands without")
@pytest.mark.parametrize(
    "formula", ["y ~ x + z", "y ~ 0 + x + z", "y ~ group + x", "y ~ 0 + group"]
)
def test_coordinates_change_the_units_and_nothing_else(formula):
    """X beta in the user's units is the fit plus s times the sampler's, for any coefficients."""
    design, _ = make_design(formula, table())
    coordinates = standardize(design)
    z = np.random.default_rng(1).normal(size=(2, 5, len(design.coefficients)))
    x = (design.x - coordinates.center) @ coordinates.transform
    np.testing.assert_allclose(
        coordinates.coefficients(z) @ design.x.T,
        coordinates.response(z @ x.T, design),
        rtol=1e-12,  # rounding in double precision
        atol=1e-12,
    )
    ((_, fitted),) = coordinates.fitted(design)
    y = (design.y - fitted) / coordinates.scale
    np.testing.assert_allclose(coordinates.response(y.copy(), design), design.y, rtol=1e-12)
    # what the sampler is given is rounded once
    data = make_data(design, coordinates, Priors({}, {}, {}, ""))
    np.testing.assert_allclose(data["x"], x, rtol=2.0**-23, atol=1e-14)
    np.testing.assert_allclose(data["y"], y, rtol=2.0**-24, atol=1e-15)


def test_units_do_not_reach_the_sampler():
    """Awkward units give the same standardised problem, priors included."""
    data = table()
    awkward = data.assign(y=1e6 + 1e3 * data.y, x=1e-3 * data.x)
    plain, other = (Regression("y ~ x + z", frame) for frame in (data, awkward))
    for name in ("x", "y"):
        # 1e6 with a spread of 1e3 leaves 13 of 16 digits
        np.testing.assert_allclose(plain.data[name], other.data[name], rtol=1e-5, atol=1e-5)
    latent = {"beta_z": jnp.array([0.3, -0.2, 0.1]), "sigma_z": 1.2, "alpha": 0.7}
    densities = [log_density(reg.model, (), reg.data, latent)[0] for reg in (plain, other)]
    np.testing.assert_allclose(*densities, rtol=1e-5)


def test_the_starting_fit_minimises_absolute_deviations():
    """Against the definition: no step in any direction lowers the sum."""
    data = table()
    data.loc[0, "y"] = 1e3
    design, _ = make_design("y ~ x + z", data)
    best = least_absolute(design.x, design.y)

    def total(beta):
        return np.abs(design.y - design.x @ beta).sum()

    steps = np.random.default_rng(0).normal(size=(200, 3))
    assert all(total(best) <= total(best + 1e-2 * step) for step in steps)


# --- priors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "prior"), [("x", "beta"), ("y", "sigma")])
def test_one_wild_value_hardly_moves_the_priors(column, prior):
    data = table(100)
    wild = data.copy()
    wild.loc[0, column] = 1e6
    before, after = (Regression("y ~ x", frame).priors[prior] for frame in (data, wild))
    # an sd for beta, a mean for scale; one of 100 rows shifts a median by a few percent
    width = [np.ravel(law.scale if prior == "beta" else law.mean) for law in (before, after)]
    np.testing.assert_allclose(width[1][-1], width[0][-1], rtol=0.1)


def test_a_column_that_is_mostly_zero_gets_a_prior_that_allows_its_slope():
    """Median deviations of such a column are zero, and of the response say nothing about it."""
    rng = np.random.default_rng(0)
    x = np.where(np.arange(100) < 60, 0.0, 1000.0)
    data = pd.DataFrame({"x": x, "y": x + rng.normal(size=100)})
    slope = Regression("y ~ x", data).priors["beta"].scale[1]
    assert 1 < slope < 100


def test_a_prior_is_replaced_in_the_users_units():
    """The prior of the slope is the one asked for after the change of coordinates."""
    data = table().assign(x=lambda frame: 1e-3 * frame.x)
    regression = Regression("y ~ x", data, priors={"x": dist.Normal(5.0, 0.25)})
    coordinates = regression.coordinates
    unit = coordinates.transform[1, 1] * coordinates.scale

    def density(slope):
        latent = {
            "beta_z": jnp.zeros(1),
            "x_z": jnp.asarray((slope - coordinates.fit[1]) / unit),
            "sigma_z": 1.0,
            "alpha": 1.0,
        }
        laws = (dist.Normal(0, 1e9), dist.Normal(5.0, 0.25))
        models = [Regression("y ~ x", data, priors={"x": law}).model for law in laws]
        values = [log_density(m, (), regression.data, latent)[0] for m in models]
        return values[1] - values[0]

    expected = dist.Normal(5.0, 0.25).log_prob(5.5) - dist.Normal(5.0, 0.25).log_prob(5.0)
    # the likelihood cancels; its sum of about 50 is rounded to 1e-5
    np.testing.assert_allclose(density(5.5) - density(5.0), expected, atol=1e-3)


def test_a_prior_for_nothing_is_refused():
    with pytest.raises(InputError, match="no parameter 'scale'"):
        Regression("y ~ x", table(), priors={"scale": dist.HalfNormal(1.0)})


# --- the model and its draws ------------------------------------------------------------------


def test_the_model_runs_outside_the_class():
    """Other samplers take it through ``initialize_model``."""
    regression = Regression("y ~ x + group", table())
    info = initialize_model(jax.random.key(0), regression.model, model_kwargs=regression.data)
    value, gradient = jax.value_and_grad(info.potential_fn)(info.param_info.z)
    assert np.isfinite(value)
    assert all(np.isfinite(part).all() for part in jax.tree.leaves(gradient))


def test_a_fit_holds_every_group_with_real_names():
    dt = stackloss()
    assert set(dt.children) == {
        "posterior",
        "sample_stats",
        "log_likelihood",
        "log_prior",
        "posterior_predictive",
        "prior",
        "prior_predictive",
        "observed_data",
        "constant_data",
        "training_data",
        "explanations",
    }
    assert list(dt["posterior"]["coefficient"].values) == [
        "Intercept",
        "air_flow",
        "water_temp",
        "acid_conc",
    ]
    assert dt["posterior"]["beta"].dims == ("chain", "draw", "coefficient")
    for group in ("log_likelihood", "posterior_predictive"):
        assert dt[group]["y"].dims == ("chain", "draw", "row")
        assert list(dt[group]["row"].values) == list(range(1, 22))
    np.testing.assert_array_equal(dt["observed_data"]["y"], load("stackloss")["stack_loss"])
    np.testing.assert_array_equal(
        dt["constant_data"]["x"].sel(coefficient="air_flow"), load("stackloss")["air_flow"]
    )
    assert {"diverging", "energy", "lp", "n_steps", "acceptance_rate", "step_size"} <= set(
        dt["sample_stats"].data_vars
    )


def test_stackloss_agrees_with_published_robust_fits():
    """Within a posterior sd of the range spanned by Huber's and Tukey's estimates."""
    table = diagnostics.summary(stackloss())
    published = {"air_flow": (0.83, 0.93), "water_temp": (0.65, 0.93), "acid_conc": (-0.13, -0.11)}
    for name, (low, high) in published.items():
        mean, sd = table.loc[name, ["mean", "sd"]]
        assert low - sd < mean < high + sd
    assert (table["r_hat"] < 1.03).all()  # 2000 draws only
    assert diagnostics.divergences(stackloss()) <= 1


def test_log_likelihood_is_that_of_the_users_units():
    dt = stackloss()
    draw = dt["posterior"].sel(chain=2, draw=7)
    mean = dt["constant_data"]["x"].values @ draw["beta"].values
    law = GeneralRobust(float(draw["alpha"]), mean, float(draw["scale"]))
    np.testing.assert_allclose(
        dt["log_likelihood"]["y"].sel(chain=2, draw=7),
        law.log_prob(dt["observed_data"]["y"].values),
        rtol=1e-4,  # single precision, and a difference of y and its mean
        atol=1e-4,
    )


def test_predictions_lie_around_the_fit():
    """A predictive draw falls above its own mean half of the time."""
    dt = stackloss()
    mean = dt["posterior"]["beta"].values @ dt["constant_data"]["x"].values.T
    above = float((dt["posterior_predictive"]["y"].values > mean).mean())
    # 42,000 draws, correlated within a row only through the fit: sd about 0.003
    assert above == pytest.approx(0.5, abs=0.015)


def test_prior_draws_follow_the_prior():
    prior = stackloss()["prior"]
    assert prior["alpha"].size == 1000
    # Uniform(0, 2): mean 1 and sd 0.577, 1000 draws: standard error 0.018
    assert float(prior["alpha"].mean()) == pytest.approx(1.0, abs=0.08)
    reg = Regression("stack_loss ~ air_flow + water_temp + acid_conc", load("stackloss"))
    np.testing.assert_allclose(
        prior["beta"].std(dim=("chain", "draw"))[1:], reg.priors["beta"].scale[1:], rtol=0.12
    )


def test_log_prior_is_that_of_the_users_units():
    dt = stackloss()
    reg = Regression(dt.attrs["formula"], load("stackloss"))
    draw = {"chain": 1, "draw": 11}
    for name in ("alpha", "sigma"):
        value = float(dt["posterior"][name].sel(draw))
        np.testing.assert_allclose(
            dt["log_prior"][name].sel(draw), reg.priors[name].log_prob(value), rtol=1e-3, atol=1e-3
        )  # single precision, and a logarithm's difference
    beta = dt["posterior"]["beta"].sel(draw).values
    beta[0] += reg.coordinates.center @ beta  # the value at the centre
    law = reg.priors["beta"]
    joint = stats.multivariate_normal(law.loc, np.asarray(law.transform @ law.transform.T, float))
    np.testing.assert_allclose(
        dt["log_prior"]["beta"].sel(draw), joint.logpdf(beta), rtol=1e-3, atol=1e-3
    )


def test_counts_of_draws_are_checked():
    with pytest.raises(InputError, match="chains must be 1 or more, not 0"):
        Regression("y ~ x", table()).fit(chains=0)
