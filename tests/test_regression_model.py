"""Every kind of model is the one its arguments describe, in the user's units."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.handlers import seed, trace
from numpyro.infer.util import log_density
from scipy import stats

from robust_dist import orthogonal_scale
from robust_dist._errors import InputError
from robust_dist.regression import Regression
from robust_dist.regression.datatree import posterior_alone
from robust_dist.regression.posterior.pointwise import _shapes
from robust_dist.regression.prior_checks import check_prior
from robust_dist.regression.row_laws import row_law, row_parameters

N = 40


def table(seed=0, unit=1e3):
    """Return columns in awkward units, the response in ``unit``."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    return pd.DataFrame(
        {
            "y": unit * (5 + 2 * x + rng.normal(size=N)),
            "x": 1e-2 * x,
            "g": np.resize(list("abcd"), N),
            "h": np.resize(["u", "v", "w"], N),
            "o": 1e3 * rng.normal(size=N),
            "e": rng.uniform(1, 3, N),
            "w": rng.uniform(0.5, 2, N),
        }
    )


def draw(regression, key=1):
    """Return one draw of the sites from the prior, and the trace with it."""
    sites = trace(seed(regression.model, jax.random.key(key))).get_trace(**regression.data)
    return {name: sites[name]["value"] for name in regression.sites}, sites


def fitted(regression, latent):
    """Return the DataTree of a posterior that is a single draw."""
    one = {name: np.asarray(value)[None, None] for name, value in latent.items()}
    return posterior_alone(regression.setting, one)


CASES = {
    "robust": ("y ~ x", "general_robust", {}),
    "offset and errors": (
        "y ~ x",
        "general_robust",
        {"offset": "o", "measurement_error": "e", "alpha": 1.3},
    ),
    "groups": ("y ~ x + (x || g) + (0 + h | g)", "student_t", {"weights": "w"}),
    "fixed spread of groups": ("y ~ x + (1 | g)", "laplace", {"priors": {"1|g_sigma": 100.0}}),
    "formulas": ({"y": "y ~ x", "alpha": "~ x", "sigma": "~ h"}, "general_robust", {}),
    "formula of the scale": ({"y": "y ~ h", "sigma": "~ 0 + x"}, "normal", {}),
    "errors are the scale": (
        "y ~ 0 + x",
        "cauchy",
        {"measurement_error": "e", "priors": {"scale": 1.0}},
    ),
}


@pytest.mark.filterwarnings("ignore:.*stands without")
@pytest.mark.parametrize(("case", "unit"), [*((case, 1e3) for case in CASES), ("formulas", 1e-3)])
def test_rows_follow_the_same_law_in_the_model_and_in_the_users_units(case, unit):
    """Two ways to the same density: the sampler's single precision, and parameters in double.

    With noise above and below 1, where the logarithm of its scale has either sign.
    """
    formula, likelihood, arguments = CASES[case]
    data = table(unit=unit)
    regression = Regression(formula, data, likelihood, **arguments)
    latent, sites = draw(regression)
    model = sites["y"]["fn"].log_prob(regression.data["y"]) - np.log(regression.coordinates.scale)
    dt = fitted(regression, latent)
    with jax.enable_x64(True):
        law = row_law(dt, row_parameters(dt))
        assert law.batch_shape in ((1, N), (N,))
        users = np.asarray(law.log_prob(data["y"].to_numpy())).ravel()
    # single precision, in densities of residuals that may be many scales
    np.testing.assert_allclose(model, users, rtol=2e-4, atol=2e-4)


def test_loc_is_what_the_formula_says():
    """By hand: X beta, the effect of the row's level, and the offset."""
    data = table()
    regression = Regression("y ~ x + (x | g)", data, offset="o")
    latent, _ = draw(regression)
    dt = fitted(regression, latent)
    draws = dt["posterior"].dataset.isel(chain=0, draw=0)
    effect = {name: draws[name].sel(g=data["g"].to_list()).values for name in ("1|g", "x|g")}
    beta = draws["beta"].to_series()
    x = data["x"].to_numpy()
    expected = beta["Intercept"] + beta["x"] * x + effect["1|g"] + effect["x|g"] * x + data["o"]
    np.testing.assert_allclose(row_parameters(dt)["loc"][0], expected, rtol=1e-12)
    assert dt["posterior"]["1|g"].dims == ("chain", "draw", "g")
    assert dt["posterior"]["x|g_sigma"].dims == ("chain", "draw")
    np.testing.assert_allclose(row_parameters(dt, [5, 2])["loc"][0], expected[[5, 2]], rtol=1e-12)


def test_log_sigma_and_the_logit_of_alpha_are_linear():
    regression = Regression({"y": "y ~ x", "alpha": "~ x", "sigma": "~ x"}, table())
    latent, _ = draw(regression)
    dt = fitted(regression, latent)
    rows = row_parameters(dt)
    draws = dt["posterior"].dataset.isel(chain=0, draw=0)
    line = {
        part: draws[f"beta_{part}"].values @ [np.ones(N), table()["x"]]
        for part in ("alpha", "sigma")
    }
    np.testing.assert_allclose(np.log(rows["alpha"] / (2 - rows["alpha"]))[0], line["alpha"])
    sigma = orthogonal_scale(rows["alpha"], rows["scale"])
    np.testing.assert_allclose(np.log(sigma)[0], line["sigma"], rtol=1e-5)


@pytest.mark.parametrize(
    ("formula", "likelihood", "count"),
    [
        ("y ~ x", "general_robust", 1),
        ({"y": "y ~ x", "alpha": "~ x"}, "general_robust", N),
        ({"y": "y ~ x", "alpha": "~ x"}, "asymmetric_general_robust", N),
        ("y ~ x", "student_t", 1),
    ],
)
def test_memory_knows_how_many_tables_of_quantiles_a_draw_makes(formula, likelihood, count):
    """One for each alpha: four thousand draws of one for each row took 23 GB at once."""
    regression = Regression(formula, table(), likelihood)
    assert _shapes(*regression.parts, regression.data)[1] == count


def test_a_row_of_weight_two_is_two_rows():
    """The weighted model is that of data with the row repeated: priors, units and density."""
    weights = np.ones(N)
    weights[3] = 2
    weighted = Regression("y ~ x", table(), weights=weights)
    repeated = Regression("y ~ x", table().iloc[[*range(N), 3]].reset_index(drop=True))
    assert weighted.priors.in_words() == repeated.priors.in_words()
    latent, _ = draw(weighted)
    densities = [log_density(r.model, (), r.data, latent)[0] for r in (weighted, repeated)]
    # sums of about 100 in single precision
    np.testing.assert_allclose(*densities, atol=1e-3)


def test_a_row_that_is_not_kept_says_nothing():
    regression = Regression("y ~ x", table())
    latent, _ = draw(regression)
    keep = np.arange(N) != 7
    wild = dict(regression.data, y=np.where(keep, regression.data["y"], 1e6))
    densities = [
        float(log_density(regression.model, (), dict(data, keep=keep), latent)[0])
        for data in (regression.data, wild)
    ]
    assert densities[0] == densities[1]
    assert densities[0] != float(log_density(regression.model, (), regression.data, latent)[0])


def test_alpha_fixed_at_two_is_the_normal_law():
    regression = Regression("y ~ x", table(), alpha=2.0)
    assert "alpha" not in regression.sites
    latent, sites = draw(regression)
    law = stats.norm(sites["y"]["fn"].loc, latent["sigma_z"])
    np.testing.assert_allclose(
        sites["y"]["fn"].log_prob(regression.data["y"]),
        law.logpdf(regression.data["y"]),
        rtol=1e-4,  # single precision
    )
    dt = fitted(regression, latent)
    assert dt.attrs["alpha_fixed"] == 2.0
    np.testing.assert_allclose(dt["posterior"]["scale"], dt["posterior"]["sigma"], rtol=1e-6)


# --- priors -----------------------------------------------------------------------------------


def test_priors_print_as_a_table_of_the_users_units():
    priors = Regression("y ~ x + (1 | g)", table(), alpha=1.0).priors
    lines = str(priors).splitlines()
    names = ["beta[Intercept]", "beta[x]", "alpha", "sigma", "1|g_sigma"]
    assert [line.split()[0] for line in lines[: len(names)]] == names
    assert any(line.split(maxsplit=1) == ["alpha", "fixed at 1"] for line in lines)
    # 2.5 spreads of y (about 2200) over one of x (0.01)
    width = float(lines[1].split("Normal(0, ")[1].rstrip(")"))
    assert 3e5 < width < 8e5
    # and what the default is on, in words
    assert "in every direction of what the columns of the formula can say" in str(priors)
    assert "Intercept: the value where every column is at its mean" in str(priors)


def test_priors_in_words_have_one_entry_each_whatever_the_names():
    data = table().assign(g=np.resize(["a", "b c"], N))
    words = Regression("y ~ x + g", data).priors.in_words()
    assert list(words) == ["beta[Intercept]", "beta[x]", "beta[g[b c]]", "alpha", "sigma"]
    assert words["alpha"] == "Uniform(0, 2)"


@pytest.mark.parametrize(
    ("formula", "site", "name"),
    [
        ("y ~ x", "sigma_z", "sigma"),
        ("y ~ x + (1 | g)", "1|g_sigma_z", "1|g_sigma"),
        ({"y": "y ~ x", "sigma": "~ h"}, "beta_sigma_z", "beta_sigma"),
    ],
)
def test_a_prior_is_that_of_the_users_units(formula, site, name):
    """Log densities at two values differ as the prior's do: the Jacobian is constant."""
    regression = Regression(formula, table())
    differences = []
    draws = [draw(regression, key) for key in (1, 2)]
    for latent, sites in draws:
        value = np.asarray(sites[site]["fn"].log_prob(latent[site])).sum()
        user = fitted(regression, latent)["posterior"][name].values[0, 0]
        if name == "beta_sigma":
            # the prior of the intercept is that at the centre, where the median is
            centre = regression.coordinates.sigma.center
            user = np.r_[user[0] + user @ centre, user[1:]]
        differences.append(value - np.asarray(regression.priors[name].log_prob(user)).sum())
    np.testing.assert_allclose(*differences, rtol=1e-3, atol=1e-3)  # single precision


@pytest.mark.parametrize(
    ("priors", "complaint"),
    [
        ({"sigmas": 1.0}, "no parameter 'sigmas'"),
        ({"sigma": -1.0}, "'sigma' cannot be fixed at -1"),
        ({"sigma": np.inf}, "'sigma' cannot be fixed at inf"),
        ({"sigma": "wide"}, "neither a NumPyro distribution nor a number"),
        ({"sigma": dist.Normal(0, 1)}, "'sigma', which is positive, reaches below 0$"),
        ({"alpha": -1.0}, "it must be 0 or more; .* TruncatedGeneralRobust"),
        ({"alpha": dist.Uniform(-1, 2)}, "reaches below 0; .* TruncatedGeneralRobust"),
        ({"beta": 1.0}, "'beta' is no parameter that a number can fix"),
        ({"x": np.int64(0)}, "leave the term out"),
        ({"x": "Normal(0, 1)"}, "'x' is no NumPyro distribution but 'Normal"),
        ({"beta": dist.Normal(0, jnp.ones(3))}, r"batch shape \(3,\).* it needs \(\) or \(1,\)"),
        ({"beta": dist.Normal(0, jnp.ones(2)).to_event(1)}, r"event shape \(2,\)"),
        ({"beta": dist.Poisson(1.0)}, "'beta', Poisson, is discrete"),
        ({"alpha": dist.Bernoulli(0.5)}, "is discrete"),
        ({"sigma": dist.Delta(1.0)}, "is a point; give its number, which fixes 'sigma'"),
        ({"beta": dist.ImproperUniform(dist.constraints.real, (), ())}, "cannot be drawn from"),
        ({"alpha": dist.Distribution()}, "cannot be drawn from"),
        ({"alpha": dist.Uniform(2.0, 0.0)}, "no density with these parameters"),
        ({"alpha": dist.Uniform(1.0, 1.0)}, "no density with these parameters"),
        ({"beta": dist.Uniform(jnp.zeros(2), jnp.array([1.0, -1.0]))}, "no density"),
    ],
)
def test_priors_that_cannot_be_are_refused_in_one_line(priors, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        Regression("y ~ x", table(), priors=priors)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "law"),
    [
        # draws of which single precision overflows most
        ("sigma", dist.InverseGamma(0.01, 0.01)),
        ("sigma", dist.HalfCauchy(1.0)),
        # far from zero, and narrower than single precision is fine there
        ("beta", dist.Normal(1e6, 1e-3)),
        ("beta", dist.Normal(5.0, 1e-25)),
        ("beta", dist.Uniform(jnp.array([1e3, -1e4]), jnp.array([2e3, -1e3]))),
        ("alpha", dist.TruncatedNormal(1.0, 1.0, low=0.0, high=2.0)),
    ],
)
def test_a_proper_continuous_prior_is_accepted_however_extreme(name, law):
    check_prior(name, law)


@pytest.mark.parametrize(
    ("formula", "likelihood", "complaint"),
    [
        ("y ~ x", "huber", "no likelihood 'huber'; there are: general_robust"),
        ("y ~ x", "studentt", "did you mean 'student_t'"),
        ({"y": "y ~ x", "alpha": "~ x"}, "normal", "'normal' has no alpha"),
        ({"y": "y ~ x", "alpha": "y ~ x"}, "general_robust", "no formula for 'alpha'"),
        ({"sigma": "~ x"}, "general_robust", "name no response"),
        ({"y": "y ~ x", "sigma": "~ hsgp(x)"}, "general_robust", "formula of sigma"),
        ({"y": "y ~ x", "sigma": "~ x + zz"}, "general_robust", "no column 'zz'"),
        ("y ~ x + (1 | k)", "general_robust", "'k' has a single level, 'only'"),
        ("y ~ (1 | g", "general_robust", "cannot read the formula"),
    ],
)
def test_models_that_cannot_be_are_refused_in_one_line(formula, likelihood, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        Regression(formula, table().assign(k="only"), likelihood)
    assert "\n" not in str(error.value)
