"""What formulas say beyond columns: how a response is observed, which effects are correlated."""

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from fits import made_up
from numpyro.distributions.util import clamp_probs
from numpyro.handlers import seed, substitute, trace
from numpyro.infer import MCMC, NUTS
from scipy import stats
from xarray import Dataset, DataTree

from robust_dist import diagnostics
from robust_dist._errors import InputError
from robust_dist.regression import Regression, predict, training_data
from robust_dist.regression.datatree import posterior_alone
from robust_dist.regression.design.formula import make_design
from robust_dist.regression.loo import _density
from robust_dist.regression.posterior.choice import choose_sampler

ROWS = 24
STATUS = np.resize(["none", "left", "none", "right", "interval", "none"], ROWS)


def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    y = 1 + 2 * x + rng.normal(size=ROWS)
    return pd.DataFrame(
        {"y": y, "x": x, "high": y + 0.5, "limit": -9.0, "status": STATUS, "words": "a"}
    )


def refused(formula, **options):
    """Return the one line with which a formula is refused."""
    with pytest.raises(InputError) as error:
        Regression(formula, table(), **options)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


# --- censored and truncated responses -------------------------------------------------------------


def test_censored_rows_lie_between_bounds():
    """Each status, with either form of the call, gives the interval that it means."""
    data = table()
    design, _ = make_design("censored(y, high, status) ~ x", data)
    assert design.response == "y"
    expected = {
        "none": (data["y"], data["y"]),
        "left": (-np.inf, data["y"]),
        "right": (data["y"], np.inf),
        "interval": (data["y"], data["high"]),
    }
    for status, ends in expected.items():
        rows = np.flatnonzero(status == STATUS)
        for bound, end in zip(design.censored, ends, strict=True):
            np.testing.assert_array_equal(bound[rows], np.broadcast_to(end, ROWS)[rows])
    exact, _ = make_design("censored(y, status) ~ x", data.assign(status="none"))
    assert exact.censored is None


@pytest.mark.parametrize(
    ("arguments", "low", "high"),
    [
        ("y, -9", -9, np.inf),
        ("y, lb=limit", -9, np.inf),
        ("y, None, 9", -np.inf, 9),
        ("y, ub=+9", -np.inf, 9),
        ("y, -9, ub=square(limit)", -9, 81),
    ],
)
def test_truncated_windows(arguments, low, high):
    """Bounds are numbers, columns or functions of them, by place or Bambi's names."""
    design, _ = make_design(f"truncated({arguments}) ~ x", table())
    assert (design.truncated.low == low).all()
    assert (design.truncated.high == high).all()


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("censored(y) ~ x", "two or three columns"),
        ("censored(y, x) ~ x", "the status of a row is"),
        ("censored(y, status) ~ x", "whose upper end is not given"),
        ("censored(y, limit, status) ~ x", "does not end above its start"),
        ("censored(y, 'left') ~ x", "is a column"),
        ("censored(y, c=status) ~ x", "two or three columns"),
        ("censored(y, np.load(x), status) ~ x", "no function 'np.load'"),
        ("y ~ censored(x, status)", "stands alone on the left"),
        ("log(censored(y, status)) ~ x", "stands alone on the left"),
        ("truncated(y) ~ x", "given no bound"),
        ("truncated(y, None) ~ x", "given no bound"),
        ("truncated(y, lb='a') ~ x", "is no number"),
        ("truncated(y, 1, lb=2) ~ x", "takes lb and ub"),
        ("truncated(y, low=2) ~ x", "takes lb and ub"),
        ("truncated(y, 0) ~ x", "truncated data have no such row"),
        ("truncated(y, 9, -9) ~ x", "not below the upper one"),
        ("truncated(y, words) ~ x", "holds labels"),
        ("truncated(y, x + 1) ~ x", "a bound of the response is"),
        ("truncated(y, nowhere) ~ x", "no column 'nowhere'"),
        ("truncated(1, 2) ~ x", "given no response"),
    ],
)
def test_what_is_no_observation_is_refused(formula, words):
    """Every wrong use of the two is told in one line."""
    assert words in refused(formula)


def test_laws_without_tails_and_rounding_are_refused():
    """Student's t has no tails in JAX, and a response is censored or rounded, not both."""
    assert "'student_t' lacks" in refused("truncated(y, -9) ~ x", likelihood="student_t")
    data = table().assign(y=np.arange(ROWS), high=99.0)
    with pytest.raises(InputError, match="cannot have a resolution too"):
        Regression("censored(y, high, status) ~ x", data, resolution=1.0)


@pytest.fixture(scope="module")
def censored():
    return Regression("censored(y, high, status) ~ x", table(), "normal")


@pytest.fixture(scope="module")
def truncated():
    data = table().assign(limit=lambda frame: frame["y"] - 0.5)
    return Regression("truncated(y, limit, 9) ~ x", data, "normal")


def log_probability(regression):
    """Return the rows' log probabilities by SciPy, at a line and scale of the user's."""
    design = regression.design
    law = stats.norm(design.x @ [0.9, 1.7], 1.3)
    if design.truncated is not None:
        low, high = design.truncated
        return law.logpdf(design.y) - np.log(law.cdf(high) - law.cdf(low))
    low, high = design.censored
    with np.errstate(divide="ignore"):
        between = np.log(law.cdf(high) - law.cdf(low))
    return np.where(low == high, law.logpdf(design.y), between)


@pytest.mark.parametrize("which", ["censored", "truncated"])
def test_likelihood_is_scipys(which, request):
    """The model's likelihood and that of leave-one-out are the textbook's, row by row."""
    regression = request.getfixturevalue(which)
    coordinates = regression.coordinates
    beta = np.array([0.9, 1.7])
    centred = beta + np.array([coordinates.center @ beta, 0.0])
    z = np.linalg.solve(coordinates.transform, centred - coordinates.fit) / coordinates.scale
    sites = {"beta_z": z, "scale_z": 1.3 / coordinates.noise}
    model = substitute(seed(regression.model, 0), sites)

    @jax.jit  # far quicker than step by step
    def of_rows(data):
        site = trace(model).get_trace(**data)["y"]
        return site["fn"].log_prob(site["value"])

    exact = regression.design.censored is None or np.equal(*regression.design.censored)
    ours = np.asarray(of_rows(regression.data)) - exact * np.log(coordinates.scale)
    np.testing.assert_allclose(ours, log_probability(regression), atol=2e-5)

    draws = {name: np.reshape(value, (1, 1, *np.shape(value))) for name, value in sites.items()}
    tree = posterior_alone(regression.setting, draws)
    left_out = _density(regression, tree, np.arange(ROWS)).values.ravel()
    np.testing.assert_allclose(left_out, log_probability(regression), atol=1e-9)


def test_sampler_is_chosen(censored):
    """NumPyro samples what nutpie's density does not know, and nutpie says why it cannot."""
    assert choose_sampler("auto", censored.setting, censored.data) == "numpyro"
    with pytest.raises(InputError, match="the response is censored"):
        choose_sampler("nutpie", censored.setting, censored.data)


def bounded(what, low, high):
    """Return a made-up fit of Normal noise of 0.1 about a line, with bounds."""
    dt = made_up(alpha=(1.99, 2.0))
    rows = dt["observed_data"]["y"].size
    ends = {"low": np.broadcast_to(low, rows), "high": np.broadcast_to(high, rows)}
    constants = dt["constant_data"].to_dataset()
    constants = constants.assign({f"{what}_{end}": ("row", v) for end, v in ends.items()})
    dt["constant_data"] = DataTree(constants)
    return dt


def test_rows_of_censored_fits():
    """A censored row counts as the nearest of its possible values; its PIT is within its interval.

    The last row lies 20 sds above the line: as a lower bound of 2 sds less it still is an outlier,
    as an upper bound it is none.
    """
    plain = made_up(alpha=(1.99, 2.0))
    y = plain["observed_data"]["y"].values
    last = np.arange(y.size) == y.size - 1
    above = bounded("censored", np.where(last, -np.inf, y), y)
    table = diagnostics.outliers(above)
    assert not table["outlier"].any()
    label = plain["observed_data"]["row"].values[-1]
    assert table.loc[label, "residual"] == pytest.approx(0, abs=1e-9)
    assert table.loc[label, "weight"] == pytest.approx(1, abs=1e-6)
    assert 0 < table.loc[label, "pit"] < 1
    others, all_rows = table.drop(label), diagnostics.outliers(plain).drop(label)
    np.testing.assert_allclose(others["pit"], all_rows.loc[others.index, "pit"], atol=1e-6)

    below = bounded("censored", np.where(last, y - 0.2, y), np.where(last, np.inf, y))
    far = diagnostics.outliers(plain).loc[label, "residual"]
    assert diagnostics.outliers(below).loc[label, "residual"] == pytest.approx(far - 2, abs=0.2)
    assert diagnostics.outliers(below).loc[label, "pit"] == pytest.approx(1, abs=1e-6)


def test_rows_of_truncated_fits():
    """The PIT of a truncated row is that of its law in the window: at the lower end it is 0."""
    y = made_up()["observed_data"]["y"].values
    pit = diagnostics.pit_residuals(bounded("truncated", y, np.inf))["pit"]
    np.testing.assert_allclose(pit, 0, atol=1e-9)
    pit = diagnostics.pit_residuals(bounded("truncated", -np.inf, y))["pit"]
    np.testing.assert_allclose(pit, 1, atol=1e-9)


def test_damaged_bounds_are_refused():
    """Bounds of a file that are in no order are told."""
    with pytest.raises(InputError, match="in no order"):
        predict(bounded("censored", 1.0, 0.0))


def by_hand(x, low, high, y, windowed):
    """Censored and truncated regression, as one writes them in NumPyro."""
    a = numpyro.sample("Intercept", dist.Normal(0, 5))
    b = numpyro.sample("x", dist.Normal(0, 5))
    law = dist.Normal(a + b * x, numpyro.sample("scale", dist.HalfNormal(5)))
    exact = low == high
    ends = jnp.where(exact, y - 1, low), jnp.where(exact, y + 1, high)
    # NumPyro's cdf has no slope at infinity
    below, above = (law.cdf(jnp.clip(end, -50, 50)) for end in ends)
    between = jnp.log(clamp_probs(above - below))
    rows = law.log_prob(y) - between if windowed else jnp.where(exact, law.log_prob(y), between)
    numpyro.factor("rows", rows.sum())


@pytest.mark.slow
@pytest.mark.parametrize("what", ["censored", "truncated"])
def test_posterior_is_that_of_a_model_by_hand(what):
    """Means and sds agree with those of an independent NumPyro model within Monte Carlo error.

    The naive fit, which takes limits for values and a window for the world, lies elsewhere.
    """
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    y = 1 + 2 * x + rng.normal(size=300)
    if what == "censored":
        status = np.where(y < 0, "left", np.where(y > 3, "right", "none"))
        data = pd.DataFrame({"y": np.clip(y, 0, 3), "x": x, "status": status})
        formula = "censored(y, status) ~ x"
    else:
        data = pd.DataFrame({"y": y, "x": x})[y > 0.5]
        formula = "truncated(y, lb=0.5) ~ x"
    priors = {name: dist.Normal(0, 5) for name in ("Intercept", "x")}
    priors["scale"] = dist.HalfNormal(5)
    regression = Regression(formula, data, "normal", priors)
    fit = regression.fit(draws=1000, warmup=500, chains=4, seed=1)
    (bounds,) = regression.design.bounds.values()
    kernel = NUTS(by_hand)
    options = {"num_chains": 4, "chain_method": "vectorized", "progress_bar": False}
    mcmc = MCMC(kernel, num_warmup=500, num_samples=1000, **options)
    columns = (data["x"].to_numpy(), *bounds, data["y"].to_numpy())
    mcmc.run(jax.random.key(0), *columns, what == "truncated")
    reference = arviz_base.from_numpyro(mcmc)["posterior"]
    posterior = fit["posterior"]
    ours = {
        "Intercept": posterior["beta"].sel(coefficient="Intercept"),
        "x": posterior["beta"].sel(coefficient="x"),
        "scale": posterior["scale"],
    }
    naive = Regression("y ~ x", data, "normal").fit(draws=500, warmup=500, chains=2, seed=1)
    for name, draws in ours.items():
        sd = float(reference[name].std())
        # some 2000 effective draws of each: four standard errors of a difference of means
        assert float(draws.mean()) == pytest.approx(float(reference[name].mean()), abs=0.13 * sd)
        assert float(draws.std()) == pytest.approx(sd, rel=0.1)
    slope = naive["posterior"]["beta"].sel(coefficient="x").mean()
    assert float(slope) < float(ours["x"].mean()) - 2 * float(ours["x"].std())
    predicted = fit["posterior_predictive"]["y"]
    assert (float(predicted.min()) > 0.4999) == (what == "truncated")


# --- correlated effects of groups -----------------------------------------------------------------


def grouped(levels=12, each=8, seed=0):
    """Return rows of a slope that varies from group to group, along with the intercept."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(levels), each)
    x = rng.normal(3, 1, size=g.size)
    covariance = [[1.0, 0.35], [0.35, 0.25]]
    a, b = rng.multivariate_normal([1, 2], covariance, size=levels)[g].T
    y = a + b * (x - np.median(x)) + rng.normal(0, 0.5, size=g.size)
    k = np.resize(["p", "q", "r"], g.size)
    return pd.DataFrame({"y": y, "x": x, "z": rng.normal(size=g.size), "k": k, "g": g})


@pytest.mark.parametrize(
    ("terms", "blocks"),
    [
        ("(1 | g)", []),
        ("(x | g)", ["1 + x|g"]),
        ("(x || g)", []),
        ("(0 + x | g) + (1 | g)", []),
        ("(1 | g) + (x | g)", ["1 + x|g"]),
        ("(x | g) + (0 + z | g)", ["1 + x|g"]),
        ("(x + z | g)", ["1 + x + z|g"]),
        ("(x | g) + (0 + z | k)", ["1 + x|g"]),
        ("(x | g / k)", ["1 + x|g", "1 + x|g:k"]),
        ("(0 + k | g)", ["k[p] + k[q] + k[r]|g"]),
        ("(k || g)", []),
    ],
)
def test_which_effects_are_correlated(terms, blocks):
    """Effects of one ``|`` are, as in lme4 and brms; those of ``||`` or of two terms are not."""
    design, _ = make_design(f"y ~ x + {terms}", grouped())
    assert sorted({term.block for term in design.groups} - {""}) == blocks


@pytest.mark.parametrize("bars", ["|||", "| || ", "||||"])
def test_more_bars_are_refused(bars):
    """More than two bars mean nothing."""
    with pytest.raises(InputError, match="cannot"):
        make_design(f"y ~ x + (x {bars} g)", grouped())


def test_prior_of_correlations():
    """It is LKJ(1) by its own name, the user may give another one, and nothing else."""
    data, name = grouped(), "1 + x|g_correlation"
    regression = Regression("y ~ x + (x | g)", data, "normal")
    assert f"{name}  LKJ(1)" in str(regression.priors)
    own = Regression("y ~ x + (x | g)", data, "normal", {name: dist.LKJ(2, 4.0)})
    assert f"{name}  LKJ(4)" in str(own.priors)
    for wrong in (0.3, dist.Uniform(-1, 1), dist.LKJ(3, 1.0)):
        with pytest.raises(InputError, match="a law of the correlations of 2 effects"):
            Regression("y ~ x + (x | g)", data, "normal", {name: wrong})
    assert choose_sampler("auto", own.setting, own.data) == "numpyro"
    alone = Regression("y ~ x + (x || g)", data, "normal")
    assert choose_sampler("auto", alone.setting, alone.data) == "nutpie"


def posterior_of(regression, correlation, draws):
    """Return a tree of standard effects drawn at one correlation, without a fit."""
    rng = np.random.default_rng(0)
    levels = len(regression.design.groups[0].levels)
    factor = np.array([[1.0, 0.0], [correlation, np.sqrt(1 - correlation**2)]])
    sites = {
        "beta_z": rng.normal(size=(1, draws, 2)),
        "scale_z": np.ones((1, draws)),
        "1 + x|g_correlation_z": np.broadcast_to(factor, (1, draws, 2, 2)),
    }
    for term in ("1|g", "x|g"):
        sites[f"{term}_sigma_z"] = np.ones((1, draws, 1))
        sites[f"{term}_offset"] = rng.normal(size=(1, draws, 1, levels))
    return posterior_alone(regression.setting, sites)


def test_correlations_are_of_the_effects():
    """Effects drawn from the model's prior at one correlation have it, at the median of x.

    So have those of new levels, which prediction draws. The model's own effects are the same.
    """
    regression = Regression("y ~ x + (x | g)", grouped(), "normal")
    dt = posterior_of(regression, -0.7, 4000)
    posterior = dt["posterior"].dataset
    np.testing.assert_allclose(posterior["1 + x|g_correlation"], -0.7, atol=1e-6)
    center = regression.coordinates.group_centers[1]
    slopes = posterior["x|g"].values.ravel()
    at_center = posterior["1|g"].values.ravel() + center * slopes
    # 48,000 pairs: a standard error of 0.003
    assert np.corrcoef(at_center, slopes)[0, 1] == pytest.approx(-0.7, abs=0.012)
    sds = [float(posterior[f"{term}_sigma"].mean()) for term in ("1|g", "x|g")]
    assert [at_center.std(), slopes.std()] == pytest.approx(sds, rel=0.02)

    sites = {"beta_z": np.zeros(2), "scale_z": 1.0, "1|g_sigma_z": np.ones(1)}
    rng = np.random.default_rng(1)
    sites |= {"x|g_sigma_z": np.ones(1), "1 + x|g_correlation_z": [[1.0, 0.0], [0.6, 0.8]]}
    sites |= {f"{term}_offset": rng.normal(size=(1, 12)) for term in ("1|g", "x|g")}
    sites = {name: np.asarray(value, np.float32) for name, value in sites.items()}
    traced = trace(substitute(seed(regression.model, 0), sites)).get_trace(**regression.data)
    one = {name: value[None, None] for name, value in sites.items()}
    ours = posterior_alone(regression.setting, one)["posterior"].dataset
    for name in ("1|g", "x|g", "1 + x|g_correlation"):
        theirs = np.ravel(traced[name]["value"])
        np.testing.assert_allclose(ours[name].values.ravel(), theirs, rtol=1e-4, atol=1e-5)


def test_correlation_of_new_levels():
    """The effects of a level that the fit has not seen are drawn with their correlation."""
    regression = Regression("y ~ x + (x | g)", grouped(), "normal")
    dt = posterior_of(regression, -0.7, 4000)
    training_data.save(dt, {"": regression.formula}, regression._frame)
    rows = {"row": np.arange(len(regression.design.y))}
    dt["observed_data"] = DataTree(Dataset({"y": ("row", regression.design.y)}, coords=rows))
    center = regression.coordinates.group_centers[1]
    new = pd.DataFrame({"x": [center, center + 1], "g": ["new", "new"]})
    beta = dt["posterior"]["beta"].values[0]
    line = beta @ np.array([[1.0, center], [1.0, center + 1]]).T
    drawn = predict(dt, new, "linear", unseen="draw").values[0] - line
    slopes = drawn[:, 1] - drawn[:, 0]
    assert np.corrcoef(drawn[:, 0], slopes)[0, 1] == pytest.approx(-0.7, abs=0.03)


def by_hand_with_groups(x, g, y, levels):
    """Correlated effects of groups, as NumPyro's own examples write them."""
    a = numpyro.sample("a", dist.Normal(0, 5))
    b = numpyro.sample("b", dist.Normal(0, 5))
    sds = [numpyro.sample(name, dist.HalfNormal(3)) for name in ("1|g_sigma", "x|g_sigma")]
    correlation = numpyro.sample("correlation", dist.LKJ(2, 2.0))
    covariance = correlation * jnp.outer(jnp.stack(sds), jnp.stack(sds))
    with numpyro.plate("level", levels):
        u = numpyro.sample("u", dist.MultivariateNormal(jnp.zeros(2), covariance))
    scale = numpyro.sample("scale", dist.HalfNormal(5))
    numpyro.sample("y", dist.Normal(a + u[g, 0] + (b + u[g, 1]) * x, scale), obs=y)


@pytest.mark.slow
def test_correlated_posterior_is_that_of_a_model_by_hand():
    """Sds and correlation agree with a centred model on covariance matrices, sampled by itself."""
    data = grouped(30, 12)
    middle = data["x"].median()
    data["x"] -= middle  # so that the centre of x is zero in both
    priors = {name: dist.Normal(0, 5) for name in ("Intercept", "x")}
    priors |= {f"{term}_sigma": dist.HalfNormal(3) for term in ("1|g", "x|g")}
    priors |= {"scale": dist.HalfNormal(5), "1 + x|g_correlation": dist.LKJ(2, 2.0)}
    fit = Regression("y ~ x + (x | g)", data, "normal", priors).fit(chains=4, seed=1)
    options = {"num_chains": 4, "chain_method": "vectorized", "progress_bar": False}
    mcmc = MCMC(NUTS(by_hand_with_groups), num_warmup=1000, num_samples=1000, **options)
    mcmc.run(jax.random.key(0), *(data[name].to_numpy() for name in ("x", "g", "y")), 30)
    reference = mcmc.get_samples()
    posterior = fit["posterior"].dataset
    pairs = {
        "1|g_sigma": reference["1|g_sigma"],
        "x|g_sigma": reference["x|g_sigma"],
        "1 + x|g_correlation": reference["correlation"][:, 1, 0],
        "scale": reference["scale"],
    }
    for name, theirs in pairs.items():
        sd = float(theirs.std())
        # at least 1000 effective draws of each
        assert float(posterior[name].mean()) == pytest.approx(float(theirs.mean()), abs=0.18 * sd)
        assert float(posterior[name].std()) == pytest.approx(sd, rel=0.12)
