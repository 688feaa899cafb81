"""What is said of rows, tails and draws follows from the posterior, for every likelihood."""

import json
import warnings

import arviz_base
import arviz_stats
import jax
import numpy as np
import numpyro
import pandas as pd
import pytest
from fits import made_up, normal_fit, orthogonal, stackloss
from numpyro import distributions as dist
from scipy import stats
from xarray import DataTree

from robust_dist import GeneralRobust, datasets, diagnostics
from robust_dist._errors import InputError
from robust_dist.regression import Regression, row_laws


def of_law(likelihood, **parameters):
    """Return a made-up fit with another law, whose shape or scales are given numbers."""
    dt = made_up()
    dt.attrs["likelihood"] = likelihood
    posterior = dt["posterior"].to_dataset().drop_vars(["alpha", "sigma"])
    for name, value in parameters.items():
        posterior[name] = (("chain", "draw"), np.full((2, 500), value))
    if "alpha" in parameters:
        sigma = orthogonal(posterior["alpha"].values, posterior["scale"].values)
        posterior["sigma"] = (("chain", "draw"), sigma)
    dt["posterior"] = DataTree(posterior)
    return dt


# --- weights ----------------------------------------------------------------------------------


def test_weights_are_small_for_the_row_off_the_line():
    weights = diagnostics.observation_weights(made_up(alpha=(0.2, 0.4)))
    mean = weights["mean"]
    assert mean.dims == ("row",)
    assert int(np.argmin(mean.values)) == 39
    assert float(mean.min()) < 0.05
    assert float(mean.median()) > 0.5
    assert float(weights["upper"].max()) <= 1
    assert (weights["lower"] <= mean).all()
    assert (mean <= weights["upper"]).all()


def test_weights_do_not_depend_on_the_blocks_they_are_computed_in(monkeypatch):
    dt = made_up()
    whole = diagnostics.observation_weights(dt)
    monkeypatch.setattr(row_laws, "_BLOCK", 7000)  # 7 rows of 1000 draws
    blocks = diagnostics.observation_weights(dt)
    for name in ("mean", "lower", "upper"):
        np.testing.assert_allclose(blocks[name], whole[name], rtol=1e-5)


def test_a_fit_of_many_rows_is_read_at_fewer_draws(monkeypatch):
    """Every tenth of 1000 draws: off by the error of 100 draws, a fifth of the interval at most."""
    dt = made_up(alpha=(0.8, 1.2))
    whole = diagnostics.observation_weights(dt)
    monkeypatch.setattr(row_laws, "_TOTAL", 4000)  # 100 draws of 40 rows
    fewer = diagnostics.observation_weights(dt)
    assert not fewer["mean"].equals(whole["mean"])
    assert (np.abs(fewer["mean"] - whole["mean"]) <= (whole["upper"] - whole["lower"]) / 5).all()


@pytest.mark.parametrize(
    ("likelihood", "parameters", "law"),
    [
        ("general_robust", {"alpha": 0.7}, GeneralRobust(0.7)),
        ("normal", {}, dist.Normal(0.0, 1.0)),
        ("student_t", {"nu": 3.5}, dist.StudentT(3.5)),
        ("cauchy", {}, dist.Cauchy(0.0, 1.0)),
        ("laplace", {}, dist.Laplace(0.0, 1.0)),
    ],
)
def test_weight_is_the_score_over_the_residual_and_one_at_zero(likelihood, parameters, law):
    """By derivatives of the law itself, for a single draw. Laplace's is relative to one scale."""
    dt = of_law(likelihood, **parameters).isel(chain=[0], draw=[0])
    posterior = dt["posterior"].dataset
    residual = dt["observed_data"]["y"].values - (
        dt["constant_data"]["x"].values @ posterior["beta"].values[0, 0]
    )
    z = residual / posterior["scale"].item()
    unit = 1.0 if likelihood == "laplace" else 1e-3
    score = jax.vmap(jax.grad(law.log_prob))
    expected = (score(z) / z) / (score(np.array([unit])) / unit)
    weights = diagnostics.observation_weights(dt)["mean"]
    # single precision; the score at 1e-3 is within 1e-6 of its limit
    np.testing.assert_allclose(weights, np.minimum(expected, 1), rtol=3e-5)


# --- residuals --------------------------------------------------------------------------------


def test_the_robust_sd_is_the_standard_deviation_of_normal_noise():
    dt = of_law("normal").isel(chain=[0], draw=[0])
    same = of_law("general_robust", alpha=2.0).isel(chain=[0], draw=[0])
    posterior = dt["posterior"].dataset
    line = dt["constant_data"]["x"].values @ posterior["beta"].values[0, 0]
    expected = (dt["observed_data"]["y"].values - line) / posterior["scale"].item()
    for fit in (dt, same):
        np.testing.assert_allclose(diagnostics.standardized_residuals(fit), expected, rtol=1e-12)


def test_pit_is_the_cdf_averaged_over_the_draws():
    dt = made_up(alpha=(2.0, 2.0))
    beta = dt["posterior"]["beta"].values
    line = beta @ dt["constant_data"]["x"].values.T
    scale = dt["posterior"]["scale"].values[..., None]
    y = dt["observed_data"]["y"].values
    expected = stats.norm.cdf((y - line) / scale).mean(axis=(0, 1))
    found = diagnostics.pit_residuals(dt)
    np.testing.assert_allclose(found["pit"], expected, rtol=1e-10)
    np.testing.assert_allclose(
        found["quantile"].values[:-1], stats.norm.ppf(expected[:-1]), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("likelihood", ["normal", "general_robust"])
def test_quantile_residuals_tell_rows_apart_whose_probability_rounds(likelihood, side):
    """Under one draw of a Normal law the quantile residual is the residual over its scale."""
    parameters = {"alpha": 2.0} if likelihood == "general_robust" else {}
    dt = of_law(likelihood, **parameters).isel(chain=[0], draw=[0])
    posterior = dt["posterior"].dataset
    line = dt["constant_data"]["x"].values @ posterior["beta"].values[0, 0]
    distance = side * np.linspace(10, 100, 40)
    y = line + posterior["scale"].item() * distance
    dt["observed_data"] = DataTree(dt["observed_data"].to_dataset().assign(y=("row", y)))
    found = diagnostics.pit_residuals(dt)["quantile"]
    np.testing.assert_allclose(found, distance, rtol=1e-9)


@pytest.mark.parametrize(
    ("likelihood", "parameters", "cdf"),
    [
        # closed forms: Student's t of 1 degree is Cauchy, of 2 algebraic
        ("cauchy", {}, lambda z: 0.5 + np.arctan(z) / np.pi),
        ("student_t", {"nu": 1.0}, lambda z: 0.5 + np.arctan(z) / np.pi),
        ("student_t", {"nu": 2.0}, lambda z: 0.5 + z / (2 * np.sqrt(2 + z * z))),
        ("laplace", {}, lambda z: 0.5 - 0.5 * np.sign(z) * np.expm1(-np.abs(z))),
        ("general_robust", {"alpha": 0.0}, lambda z: 0.5 + np.arctan(z / np.sqrt(2)) / np.pi),
    ],
)
def test_pit_of_every_law(likelihood, parameters, cdf):
    dt = of_law(likelihood, **parameters).isel(chain=[0], draw=[0])
    posterior = dt["posterior"].dataset
    line = dt["constant_data"]["x"].values @ posterior["beta"].values[0, 0]
    z = (dt["observed_data"]["y"].values - line) / posterior["scale"].item()
    np.testing.assert_allclose(diagnostics.pit_residuals(dt)["pit"], cdf(z), rtol=1e-12)


def test_either_side_of_an_asymmetric_law_has_its_own_scale():
    """With alpha = 2 the two-piece Normal, a quarter of whose mass lies on the narrow side."""
    dt = of_law("asymmetric_general_robust", alpha=2.0, scale_left=0.1, scale_right=0.3)
    dt["posterior"] = DataTree(dt["posterior"].to_dataset().drop_vars("scale"))
    one = dt.isel(chain=[0], draw=[0])
    line = one["constant_data"]["x"].values @ one["posterior"]["beta"].values[0, 0]
    residual = one["observed_data"]["y"].values - line
    left = 0.5 * stats.norm.cdf(residual / 0.1)
    right = 0.25 + 0.75 * (2 * stats.norm.cdf(residual / 0.3) - 1)
    expected = np.where(residual < 0, left, right)
    np.testing.assert_allclose(diagnostics.pit_residuals(one)["pit"], expected, rtol=1e-10)
    np.testing.assert_allclose(diagnostics.observation_weights(one)["mean"], 1.0)


def test_values_far_from_zero_lose_no_digits():
    """A response of 1e6 with noise of 0.01 has the residuals of the same noise about 0."""
    rng = np.random.default_rng(1)
    x, noise = np.linspace(-1, 1, 30), 0.01 * rng.normal(size=30)
    near, far = (normal_fit(x, level + x + noise, 0.01, draws=50) for level in (0.0, 1e6))
    for name in ("pit", "quantile"):
        np.testing.assert_allclose(
            diagnostics.pit_residuals(far)[name],
            diagnostics.pit_residuals(near)[name],
            atol=1e-6,
        )


# --- leverage and outliers --------------------------------------------------------------------


def test_leverage_is_the_diagonal_of_the_hat_matrix_whatever_the_units():
    rng = np.random.default_rng(2)
    x = rng.standard_t(3, size=30)
    fit = normal_fit(x, rng.normal(size=30), 1.0, draws=2)
    found = diagnostics.leverage(fit)
    design = np.column_stack([np.ones(30), x])
    hat = design @ np.linalg.inv(design.T @ design) @ design.T
    np.testing.assert_allclose(found, np.diag(hat), rtol=1e-10)
    other = diagnostics.leverage(normal_fit(1e-9 * x, rng.normal(size=30), 1.0, draws=2))
    np.testing.assert_allclose(other, found, rtol=1e-8)


def test_row_weights_count_as_repeated_rows():
    """A row of weight two has twice the leverage that either of two such rows has."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=12), rng.normal(size=12)
    once = normal_fit(x, y, 1.0, draws=2)
    constant = once["constant_data"].to_dataset()
    once["constant_data"] = DataTree(constant.assign(weights=("row", np.r_[2.0, np.ones(11)])))
    twice = normal_fit(np.r_[x[0], x], np.r_[y[0], y], 1.0, draws=2)
    expected = diagnostics.leverage(twice).values[1:]
    expected[0] *= 2
    np.testing.assert_allclose(diagnostics.leverage(once), expected, rtol=1e-10)


def test_the_giants_of_cyg_are_told_of():
    """They turn the line; each alone has a Pareto-k below 0.4, so only together they tell."""
    fit = Regression(datasets.DATASETS["stars_cyg"].formula, datasets.load("stars_cyg")).fit(
        draws=500, warmup=300, progress=False
    )
    (problem,) = diagnostics.leverage_problems(fit)
    for word in ("11", "20", "30", "34", "'log_temperature' is", "predictors"):
        assert word in problem
    other = diagnostics.explanations(fit).loc[("downweighted", "log_temperature")]
    # 2.27 by an MM estimator
    assert abs(other["mean"] - 2.27) < 2 * other["sd"]


def test_a_fit_that_was_not_compared_has_no_other_explanation():
    dt = made_up()
    assert diagnostics.explanations(dt).empty
    assert diagnostics.explanation_problems(dt) == diagnostics.leverage_problems(dt) == []
    assert diagnostics.format_explanations(dt) == diagnostics.leverage_in_words(dt) == ""


def test_outliers_are_ordered_and_named():
    table = diagnostics.outliers(made_up(alpha=(0.2, 0.4)))
    assert table.index[0] == 40
    assert table["outlier"].tolist() == [True] + [False] * 39
    assert (np.diff(table["residual"].abs()) <= 0).all()
    assert table["pareto_k"].isna().all()
    text = diagnostics.name_outliers(table)
    assert text.startswith("1 of 40 rows lies more than 3 robust sd off the fit: 40 (+")
    assert "No row lies" in diagnostics.name_outliers(table.iloc[1:])
    many = pd.concat([table.iloc[:1]] * 7)
    assert "and 2 more" in diagnostics.name_outliers(many)


@pytest.mark.slow
def test_outliers_of_a_fit_carry_arviz_pareto_k():
    fit = stackloss()
    table = diagnostics.outliers(fit)
    assert set(table.index[:4]) == {1, 3, 4, 21}  # the outliers that the literature names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a k that is high, if one is
        k = arviz_stats.loo(fit, pointwise=True).pareto_k
    np.testing.assert_allclose(table["pareto_k"].sort_index(), k.values)
    assert diagnostics.leverage_problems(fit) == []


# --- tails ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alpha", "words"),
    [
        ((0.0, 2.0), "40 rows cannot tell heavy tails from Normal ones"),
        ((0.1, 0.6), "the tails are heavy, between Cauchy (0) and hyperbolic (1)"),
        ((1.4, 2.0), "nearer to Normal (2)"),
        ((0.2, 1.1), "probably heavier than hyperbolic (1)"),
        ((0.9, 1.9), "probably lighter than hyperbolic (1)"),
        ((0.4, 1.5), "perhaps heavier than hyperbolic (1)"),
    ],
)
def test_tails_are_read_from_the_posterior_of_alpha(alpha, words):
    text = diagnostics.read_tails(made_up(alpha=alpha))
    assert words in text
    low, high = alpha
    below = float(text.split("P(alpha < 1) = ")[1][:4])
    # uniform in the interval; 1000 draws
    assert below == pytest.approx(np.clip((1 - low) / (high - low), 0, 1), abs=0.05)


@pytest.mark.parametrize(
    ("likelihood", "parameters", "three", "five"),
    [
        ("normal", {}, 0.0026998, 5.733e-7),
        ("general_robust", {"alpha": 2.0}, 0.0026998, 5.733e-7),
        # the robust sd of Cauchy's quartiles is 1.4826 of its scale: 1 - 2 atan(k 1.4826)/pi
        ("cauchy", {}, 0.140794, 0.085361),
        ("general_robust", {"alpha": 0.0}, 0.140794, 0.085361),
        # of Laplace's log(2)/0.67449: 2**(-k/0.67449)
        ("laplace", {}, 0.0458223, 0.00586761),
    ],
)
def test_far_rows_of_known_laws(likelihood, parameters, three, five):
    table = diagnostics.tail_summary(of_law(likelihood, **parameters))
    assert table["posterior"]["beyond 3 robust sd"] == pytest.approx(three, rel=1e-4)
    assert table["posterior"]["beyond 5 robust sd"] == pytest.approx(five, rel=1e-3)
    assert table["normal"]["beyond 3 robust sd"] == pytest.approx(0.0026998, rel=1e-4)


def test_tail_summary_holds_alpha_against_its_landmarks_and_its_prior():
    table = diagnostics.tail_summary(made_up(alpha=(0.5, 1.5)))
    beyond_3, beyond_5 = "beyond 3 robust sd", "beyond 5 robust sd"
    assert list(table.index) == ["P(alpha < 1)", "P(alpha < 2)", beyond_3, beyond_5]
    # 1000 uniform draws each
    assert table["posterior"]["P(alpha < 1)"] == pytest.approx(0.5, abs=0.05)
    assert table["prior"]["P(alpha < 1)"] == pytest.approx(0.5, abs=0.05)
    assert table["posterior"]["P(alpha < 2)"] == 1
    beyond = table.loc[beyond_3]
    assert beyond["normal"] < beyond["lower"] < beyond["posterior"] < beyond["upper"] < 0.14
    assert beyond["prior"] > beyond["posterior"]  # the prior reaches down to Cauchy
    assert beyond["observed"] == table["observed"][beyond_5] == 1 / 40  # the row 20 scales off


def test_what_the_law_expects_stands_beside_what_is_observed():
    """One yardstick, which is not called by the name of a parameter."""
    text = diagnostics.read_tails(made_up(alpha=(0.2, 0.4)))
    expected = diagnostics.tail_summary(made_up(alpha=(0.2, 0.4)))["posterior"]
    near, far = (100 * expected[f"beyond {k} robust sd"] for k in (3, 5))
    for k, share in ((3, near), (5, far)):
        assert f"{share:.2g}% of rows beyond {k} robust sd, where 1 of 40 (2.5%) lie" in text
    assert "sigma" not in text
    assert "sigma" not in diagnostics.name_outliers(diagnostics.outliers(made_up()))


@pytest.mark.parametrize(
    ("likelihood", "parameters", "words"),
    [
        ("normal", {}, "the tails are Normal by assumption"),
        ("laplace", {}, "the tails are Laplace by assumption"),
        ("student_t", {"nu": 4.0}, "nu is 4 (95% interval 4 to 4)"),
    ],
)
def test_tails_of_other_likelihoods_are_read_too(likelihood, parameters, words):
    text = diagnostics.read_tails(of_law(likelihood, **parameters))
    assert words in text
    assert "of rows beyond 3 robust sd, where 1 of 40 (2.5%) lie" in text


def test_a_fixed_nu_is_said_to_be_fixed():
    dt = of_law("student_t", nu=4.0)
    dt["posterior"] = DataTree(dt["posterior"].to_dataset().drop_vars("nu"))
    dt.attrs["nu_fixed"] = 4.0
    assert diagnostics.read_tails(dt).startswith("nu is fixed at 4. ")


@pytest.mark.parametrize(("alpha", "share"), [(2.0, "0.27%"), (np.inf, "less than 0.01%")])
def test_a_fixed_alpha_is_said_to_be_fixed(alpha, share):
    """Also at the end of the family, whose distance from itself is no number."""
    dt = of_law("general_robust", alpha=2.0)
    dt["posterior"] = DataTree(dt["posterior"].to_dataset().drop_vars("alpha"))
    dt.attrs["alpha_fixed"] = alpha
    text = diagnostics.read_tails(dt)
    assert f"alpha is fixed at {alpha:g}" in text
    assert "P(alpha" not in text
    assert f"expects {share} of rows beyond 3 robust sd" in text
    assert "of rows beyond 5 robust sd" in text


# --- priors -----------------------------------------------------------------------------------


def test_log_prior_of_any_model_and_power_scaling_by_arviz():
    """Draws of the exact posterior: the prior pulls the mean of five observations."""

    def model(y):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        with numpyro.plate("group", 2):
            numpyro.sample("effect", dist.Normal(0.0, 2.0))
        numpyro.sample("y", dist.Normal(mu, 2.0), obs=y)

    rng = np.random.default_rng(4)
    y = np.full(5, 3.0)
    mu = rng.normal(15 / 9, 2 / 3, (2, 500))
    effect = rng.normal(0, 2, (2, 500, 2))
    dt = arviz_base.from_dict(
        {
            "posterior": {"mu": mu, "effect": effect},
            "log_likelihood": {"y": stats.norm.logpdf(y, mu[..., None], 2.0)},
        }
    )
    both = diagnostics.add_log_prior(dt, model, y)
    assert "log_prior" not in dt.children
    # single precision
    np.testing.assert_allclose(both["log_prior"]["mu"], stats.norm.logpdf(mu), rtol=1e-5)
    np.testing.assert_allclose(
        both["log_prior"]["effect"], stats.norm.logpdf(effect, 0, 2).sum(-1), rtol=1e-5
    )
    table = arviz_stats.psense_summary(both, var_names=["mu"])
    assert table["prior"]["mu"] > 0.05
    with pytest.raises(InputError, match="no draws of the model's site 'mu'"):
        diagnostics.add_log_prior(made_up(), model, y)


# --- the draws --------------------------------------------------------------------------------


def test_problems_of_sampling_are_named():
    assert diagnostics.sampling_problems(made_up()) == []
    (problem,) = diagnostics.sampling_problems(made_up(diverging=3))
    assert problem.startswith("3 of 1000 transitions diverged")
    agreement, length = diagnostics.sampling_problems(made_up(drift=1.0))
    assert "R-hat" in agreement
    assert "effective sample size is below 400 for alpha (" in length
    (problem,) = diagnostics.sampling_problems(made_up().isel(chain=[0], draw=[0]))
    assert "too few draws" in problem


@pytest.mark.parametrize("parameter", ["alpha", "beta"])
def test_a_parameter_of_few_effective_draws_is_named(parameter):
    """An autoregression of 0.8 leaves a ninth of 1000 draws."""
    dt = made_up()
    posterior = dt["posterior"].to_dataset()
    noise = np.random.default_rng(7).normal(size=posterior[parameter].shape)
    for draw in range(1, 500):
        noise[:, draw] += 0.8 * noise[:, draw - 1]
    dt["posterior"] = DataTree(posterior.assign({parameter: (posterior[parameter].dims, noise)}))
    problem = diagnostics.sampling_problems(dt)[-1]
    table = diagnostics.summary(dt)
    worst = table[["ess_bulk", "ess_tail"]].min(axis=1).sort_values()
    assert f"below 400 for {worst.index[0]} ({worst.iloc[0]:.0f})" in problem
    assert "sigma" not in problem  # which has its 1000


def with_statistics(**statistics):
    """Return a fit whose sampler left these statistics."""
    dt = made_up()
    named = {name: (("chain", "draw"), value) for name, value in statistics.items()}
    dt["sample_stats"] = DataTree(dt["sample_stats"].to_dataset().assign(named))
    return dt


def test_trajectories_of_the_greatest_length_are_counted():
    """NumPyro's deepest tree has 2**10 - 1 steps."""
    steps = np.full((2, 500), 511)
    assert diagnostics.sampling_problems(with_statistics(n_steps=steps)) == []
    steps.flat[:50] = 1023
    (problem,) = diagnostics.sampling_problems(with_statistics(n_steps=steps))
    assert problem.startswith("50 of 1000 transitions took the most steps")


def test_energies_that_momenta_do_not_reach_are_told():
    """E-BFMI of independent energies is 2; of a random walk it is all but 0, in one chain here."""
    energy = np.random.default_rng(8).normal(size=(2, 500))
    assert diagnostics.sampling_problems(with_statistics(energy=energy)) == []
    energy[1] = np.cumsum(energy[1])
    (problem,) = diagnostics.sampling_problems(with_statistics(energy=energy))
    assert "E-BFMI is 0.0" in problem
    assert "worst of 2 chains" in problem


@pytest.mark.parametrize("method", ["nuts", "svi", "map"])
def test_problems_that_a_fit_brings_along_are_passed_on(method):
    dt = made_up()
    dt.attrs["method"] = method
    dt.attrs["design_problems"] = json.dumps(["x and z say the same"])
    dt.attrs["fit_problems"] = json.dumps(["the mode was not found"])
    expected = ["x and z say the same", "the mode was not found"]
    assert diagnostics.sampling_problems(dt) == expected
    assert diagnostics.problems(dt)[:2] == expected


def test_draws_that_are_no_chain_are_not_judged_as_one():
    """Those of an approximation are independent; of a mode there is one."""
    one = made_up().isel(chain=[0], draw=[0])
    one.attrs["method"] = "map"
    assert diagnostics.sampling_problems(one) == []
    assert "R-hat" not in diagnostics.format_summary(diagnostics.summary(one))


def test_a_single_draw_is_still_printed():
    one = made_up().isel(chain=[0], draw=[0])
    text = diagnostics.format_summary(diagnostics.summary(one))
    assert f"{float(one['posterior']['scale'][0, 0]):#.5g}" in text


def test_summary_names_coefficients_but_keeps_them_apart_from_parameters():
    table = diagnostics.summary(made_up(coefficients=("Intercept", "alpha")))
    assert list(table.index) == ["Intercept", "beta[alpha]", "sigma", "alpha", "scale"]
    text = diagnostics.format_summary(table)
    assert text.splitlines()[1].split()[0] == "Intercept"
    assert "97.5%" in text.splitlines()[0]
