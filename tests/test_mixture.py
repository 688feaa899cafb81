"""A posterior of several modes: all are found, and each has the share of the draws it deserves."""

import numpy as np
import pandas as pd
import pytest
from fits import share_below
from numpyro import distributions as dist
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from robust_dist import ReferenceAlpha, diagnostics
from robust_dist.optimize.curvature import inverse_curvature
from robust_dist.optimize.explore import explore
from robust_dist.optimize.log_density import LogDensity
from robust_dist.regression import Regression
from robust_dist.regression.explanations import Doubts, other_fits
from robust_dist.regression.model import in_mode, make_constants, make_structure, model_of
from robust_dist.regression.posterior import approximate
from robust_dist.regression.posterior.bridge import log_mass
from robust_dist.regression.posterior.log_density import traced_log_density
from robust_dist.regression.posterior.mixture import sample_mixture
from robust_dist.regression.posterior.run import Run

NARROW = np.array([[0.1, 0.05], [0.05, 0.2]])


def of_normals(weights, means, covariances):
    """Return the log density of a mixture of Normals in two dimensions, whose mass is e."""
    means = np.asarray(means, float)
    inverses = [np.linalg.inv(c) for c in covariances]
    laws = [multivariate_normal(m, c) for m, c in zip(means, covariances, strict=True)]

    def slope(position):
        terms = np.array(
            [np.log(w) + law.logpdf(position) for w, law in zip(weights, laws, strict=True)]
        )
        shares = np.exp(terms - logsumexp(terms))
        pulls = [-i @ (position - m) for m, i in zip(means, inverses, strict=True)]
        return 1.0 + logsumexp(terms), shares @ np.array(pulls)

    return LogDensity(
        {"z": (2,)},
        slope,
        lambda positions: {"z": positions},
        lambda sites: np.asarray(sites["z"]),
    )


def test_bridge_sampling_finds_a_mass_and_that_of_a_part():
    density = of_normals([1.0], [[1.0, -2.0]], [NARROW])
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal([1.0, -2.0], NARROW, 2000)

    def height(position):
        return density.slope(position)[0]

    everywhere = log_mass(height, lambda p: np.ones(len(p), bool), draws, rng)
    assert everywhere == pytest.approx(1.0, abs=0.02)
    right = draws[draws[:, 0] > 1]
    half = log_mass(height, lambda p: p[:, 0] > 1, right, rng)
    assert half == pytest.approx(1.0 + np.log(0.5), abs=0.06)


def test_curvature_of_a_normal_and_of_a_kink():
    inverse = np.linalg.inv(NARROW)
    factor = inverse_curvature(lambda v: inverse @ v, np.zeros(2))
    np.testing.assert_allclose(factor @ factor.T, NARROW, rtol=0.1)
    # Laplace noise has no curvature at its mode, but some over a standard deviation
    kink = inverse_curvature(lambda v: 3 * np.sign(v), np.zeros(1))
    assert kink[0, 0] == pytest.approx(1 / 3, rel=0.2)
    assert inverse_curvature(lambda v: -v, np.zeros(2)) is None


def test_modes_are_distinct_and_have_their_evidence():
    weights = [0.7, 0.3]
    density = of_normals(weights, [[0.0, 0.0], [8.0, -3.0]], [NARROW, 4 * NARROW])
    starts = np.array([[0.5, 0.5], [-1.0, 0.0], [7.0, -2.0], [9.0, -3.5], [0.0, 1.0]])
    modes = explore(density, starts)
    assert len(modes) == 2
    np.testing.assert_allclose(modes[0].position, [0, 0], atol=1e-3)
    np.testing.assert_allclose(modes[1].position, [8, -3], atol=1e-3)
    np.testing.assert_allclose([m.log_evidence for m in modes], 1.0 + np.log(weights), atol=0.1)
    # two bumps with no valley between them are one mode
    merged = of_normals([0.5, 0.5], [[0.0, 0.0], [0.6, 0.0]], [NARROW, NARROW])
    assert len(explore(merged, starts)) == 1


def test_a_plateau_is_no_mode_beside_a_peak():
    """It has no width, so that its height would be held against the mass of the peak."""
    peak = of_normals([1.0], [[0.0, 0.0]], [0.01 * NARROW])
    top = peak.slope(np.zeros(2))[0]

    def slope(position):
        value, gradient = peak.slope(position)
        return (value, gradient) if value > top - 3 else (top - 3, np.zeros(2))

    plateau = LogDensity(peak.shapes, slope, peak.sites, peak.positions)
    modes = explore(plateau, np.array([[5.0, 5.0], [0.05, 0.05]]))
    assert len(modes) == 1
    np.testing.assert_allclose(modes[0].position, [0, 0], atol=1e-2)


def test_a_site_that_is_held_stays():
    density = of_normals([1.0], [[1.0, -2.0]], [NARROW])
    by_site = LogDensity({"a": (), "b": ()}, density.slope, density.sites, density.positions)
    (mode,) = explore(by_site, np.array([[0.0, 5.0]]), held=["b"])
    assert mode.position[1] == 5.0
    assert mode.factor[1, 1] == 0


@pytest.mark.parametrize("weight", [0.5, 0.9, 0.97])
@pytest.mark.parametrize("leak", [0.0, 0.3])
def test_draws_of_modes_have_the_shares_of_their_masses(weight, leak):
    """Even where chains that start in one mode are in the other for part of the time."""
    means, widths = np.array([[0.0, 0.0], [6.0, -3.0]]), [NARROW, 3 * NARROW]
    density = of_normals([weight, 1 - weight], means, widths)
    rng = np.random.default_rng(1)

    def sample(mode, number):
        which = np.argmin(np.linalg.norm(means - mode.position, axis=1))
        other = rng.random((4, 500)) < leak
        both = [rng.multivariate_normal(m, c, (4, 500)) for m, c in zip(means, widths, strict=True)]
        z = np.where(other[..., None], both[1 - which], both[which])
        return {"z": z}, {"diverging": other}

    modes = explore(density, means + 0.1)
    mixture = sample_mixture(density, modes, sample, rng)
    low = (mixture.sites["z"][..., 0] < 3).mean()
    assert low == pytest.approx(weight, abs=0.02)
    np.testing.assert_allclose(mixture.weights.max(), max(weight, 1 - weight), atol=0.02)
    assert mixture.statistics["mode"].shape == (4, 500)
    first = mixture.modes[0].position[0] < 3
    low = (mixture.sites["z"][..., 0] < 3) == first
    assert (low == (mixture.statistics["mode"] == 0)).mean() > 0.99
    assert mixture.statistics["diverging"].shape == (4, 500)


def test_a_mode_of_next_to_no_mass_is_left_out():
    density = of_normals([0.998, 0.002], [[0.0, 0.0], [6.0, -3.0]], [NARROW, NARROW])
    rng = np.random.default_rng(2)

    def sample(mode, number):
        return {"z": rng.multivariate_normal(mode.position, NARROW, (2, 500))}, {}

    modes = explore(density, np.array([[0.1, 0.1], [6.1, -3.0]]))
    mixture = sample_mixture(density, modes, sample, rng)
    assert mixture.weights.tolist() == [1.0]
    assert "mode" not in mixture.statistics
    assert (mixture.sites["z"][..., 0] < 3).all()


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (x | g)"])
def test_positions_are_those_of_their_sites(formula):
    """Of models in JAX too, whose dictionaries come back in another order than they went in."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(30, 2)), columns=["x", "y"])
    data["g"] = np.resize(list("abcde"), 30)
    setting = (regression := Regression(formula, data)).setting
    model, constants = model_of(make_structure(*setting)), in_mode(make_constants(*setting))
    density = traced_log_density(model, constants, regression.data)
    positions = 0.3 * rng.normal(size=(4, density.size))
    np.testing.assert_allclose(density.positions(density.sites(positions)), positions, atol=1e-6)


def two_clusters(key):
    """Return responses of which half lie elsewhere, and whose posterior of a location is known."""
    rng = np.random.default_rng([key, 3])
    count = int(rng.integers(6, 10))
    return np.r_[rng.normal(0, 0.7, count), rng.uniform(9, 13) + rng.normal(0, 0.7, count)]


@pytest.mark.parametrize("sampler", ["nutpie", "numpyro"])
def test_a_location_between_two_clusters(sampler):
    """By quadrature the shares are known; a chain would stay where it starts."""
    errors = []
    for key in range(6 if sampler == "nutpie" else 2):
        y = two_clusters(key)
        regression = Regression("y ~ 1", {"y": y}, priors={"alpha": 0.0, "sigma": 1.0})
        mixture = regression.draw((key,), Run(500, 300, 4, 0.8), sampler)
        location = regression.coordinates.coefficients(mixture.sites["beta_z"])[..., 0]
        middle = y.mean()
        errors.append(np.mean(location < middle) - share_below(regression, middle))
    assert np.mean(np.abs(errors)) < 0.01


@pytest.mark.parametrize("method", ["laplace", "svi"])
def test_an_approximation_has_a_normal_for_each_mode(method, monkeypatch):
    """Their shares are those of the masses, as well as Normals tell."""
    monkeypatch.setattr(approximate, "_STEPS", 2000)
    for key in range(2):
        y = two_clusters(key)
        regression = Regression("y ~ 1", {"y": y}, priors={"alpha": 0.0, "sigma": 1.0})
        fit = regression.fit(method=method, draws=500, progress=False)
        share = float((fit["posterior"]["beta"] < y.mean()).mean())
        assert share == pytest.approx(share_below(regression, y.mean()), abs=0.05)


@pytest.mark.parametrize("draws", [1, 10])
def test_a_run_too_short_for_a_mass_has_those_of_laplace(draws):
    y = two_clusters(2)
    regression = Regression("y ~ 1", {"y": y}, priors={"alpha": 0.0, "sigma": 1.0})
    mixture = regression.draw((0,), Run(draws, 50, 2, 0.8), "nutpie")
    assert mixture.weights.sum() == pytest.approx(1)
    low = share_below(regression, y.mean())
    assert mixture.weights[0] == pytest.approx(max(low, 1 - low), abs=0.05)


def test_two_explanations_are_told_of():
    y = two_clusters(2)
    regression = Regression("y ~ 1", {"y": y}, priors={"alpha": 0.0, "sigma": 1.0})
    dt = regression.fit(draws=500, warmup=300, progress=False)
    table = diagnostics.explanations(dt)
    weights = table["weight"].unstack()["Intercept"].dropna()
    assert weights.sum() == pytest.approx(1)
    assert len(weights) == 2
    assert table.loc[("mode 2", "Intercept"), "elsewhere"]
    (problem,) = [p for p in diagnostics.problems(dt) if "2 explanations" in p]
    assert "% of the posterior" in problem
    summary = diagnostics.summary(dt)
    # within modes: the chains' own order is kept there
    assert summary["r_hat"].max() < 1.03
    assert summary["ess_bulk"].min() > 200
    assert "mode 2" in diagnostics.format_explanations(dt)
    mode = regression.fit(method="map", progress=False)
    assert any("highest of 2 modes" in problem for problem in diagnostics.sampling_problems(mode))


def bad_leverage(bad, key=0, rows=50):
    rng = np.random.default_rng([key, 7])
    x = rng.normal(size=(rows, 3))
    y = 1 + x @ [2, -1, 0.5] + rng.normal(size=rows)
    x[:bad, 0] = 10 + 0.3 * rng.normal(size=bad)
    y[:bad] = -20 + rng.normal(size=bad)
    return pd.DataFrame({"y": y, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})


@pytest.mark.parametrize("method", ["nuts", "map", "laplace", "svi"])
def test_a_tenth_of_bad_leverage_points_does_not_own_the_fit(method):
    """Least absolute deviations start beside them, where a three-millionth of the mass is."""
    fit = Regression("y ~ a + b + c", bad_leverage(5)).fit(method=method, progress=False)
    slope = float(fit["posterior"]["beta"].sel(coefficient="a").mean())
    assert slope == pytest.approx(2.0, abs=0.6)
    assert not diagnostics.leverage_problems(fit)


def test_a_fifth_of_them_is_told_of_and_downweighting_is_a_cure():
    data = bad_leverage(10)
    fit = Regression("y ~ a + b + c", data).fit(draws=500, warmup=300, progress=False)
    assert float(fit["posterior"]["beta"].sel(coefficient="a").mean()) < -1
    (problem,) = diagnostics.leverage_problems(fit)
    for words in ("far out in the predictors", "'a' is", "two explanations", "downweight"):
        assert words in problem
    table = diagnostics.explanations(fit)
    assert table.loc[("downweighted", "a"), "mean"] == pytest.approx(2, abs=0.6)
    assert abs(table.loc[("downweighted", "a"), "shift"]) > 10
    assert "downweighted" in diagnostics.format_explanations(fit)
    cured = Regression("y ~ a + b + c", data, leverage="downweight").fit(
        draws=500, warmup=300, progress=False
    )
    assert float(cured["posterior"]["beta"].sel(coefficient="a").mean()) == pytest.approx(
        2, abs=0.6
    )
    assert not diagnostics.leverage_problems(cured)
    assert (cured["constant_data"]["leverage_weight"].values[:10] < 1e-6).all()
    assert "full weights" in diagnostics.explanations(cured).index.get_level_values(0)
    assert "with full weight" in diagnostics.leverage_in_words(cured)


def test_many_groups_are_no_reason_not_to_compare():
    """A posterior of eighty parameters is searched as one of five, and bad rows are told of."""
    data = bad_leverage(40, rows=400)
    data["g"] = np.resize([f"g{number}" for number in range(40)], 400)
    regression = Regression("y ~ a + b + c + (b || g)", data)
    assert regression.search.density.size > 80
    fit = regression.fit(draws=200, warmup=200, chains=2, progress=False)
    slope = float(fit["posterior"]["beta"].sel(coefficient="a").mean())
    assert slope == pytest.approx(2, abs=0.6) or diagnostics.leverage_problems(fit)
    names = {name for name, _ in diagnostics.explanations(fit).index}
    assert {"contaminated", "downweighted"} <= names


def odd_rows():
    data = bad_leverage(0)
    data["g"] = np.resize(list("pqrst"), len(data))
    data["level"] = pd.Categorical(np.resize(["low", "mid", "high"], len(data)), ordered=True)
    data["status"] = np.where(data["b"] > 1, "right", "none")
    return data


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ a + (b | g)",
        "y ~ a + hsgp(b)",
        "y ~ a + mo(level)",
        "censored(y, status) ~ a",
        "truncated(y, lb=-90) ~ a",
    ],
)
def test_what_has_no_compiled_density_is_to_be_compared_as_well(formula):
    regression = Regression(formula, odd_rows())
    others = other_fits(regression.setting, regression.data, Doubts(None, None, "report"), {})
    assert [other.name for other in others] == ["contaminated"]


@pytest.mark.slow
def test_what_has_no_compiled_density_is_compared():
    regression = Regression("censored(y, status) ~ a + hsgp(b)", odd_rows())
    fit = regression.fit(method="map", progress=False)
    assert "contaminated" in {name for name, _ in diagnostics.explanations(fit).index}


@pytest.mark.slow
def test_another_explanation_is_drawn_without_a_compiled_density():
    """Bad rows own the fit; NumPyro draws from the contaminated one, which lies elsewhere."""
    priors = {"alpha": ReferenceAlpha()}
    regression = Regression("y ~ a + b + c", bad_leverage(10), priors=priors)
    fit = regression.fit(method="map", draws=200, warmup=200, chains=2, progress=False)
    table = diagnostics.explanations(fit)
    assert table.loc[("posterior", "a"), "mean"] < -1
    assert table.loc[("contaminated", "a"), "mean"] == pytest.approx(2, abs=0.6)
    assert table.loc[("contaminated", "a"), "elsewhere"]


def test_leverage_points_on_the_line_alarm_nobody():
    data = bad_leverage(0)
    rng = np.random.default_rng(5)
    data.loc[:4, "a"] += 10
    data.loc[:4, "y"] += 20 + 0.0 * rng.normal(size=5)
    fit = Regression("y ~ a + b + c", data).fit(draws=500, warmup=300, progress=False)
    assert diagnostics.leverage_problems(fit) == []
    assert diagnostics.explanation_problems(fit) == []
    assert diagnostics.format_explanations(fit) == ""
    assert "far out in the predictors" in diagnostics.leverage_in_words(fit)


def test_priors_of_whole_numbers_fit():
    """NumPyro leaves the 0 of Normal(0, 2) as it is, of which no program knows the shape."""
    priors = {"a": dist.Normal(0, 2), "Intercept": dist.Normal(0, 5), "sigma": dist.HalfNormal(3)}
    data = bad_leverage(0)
    fit = Regression("y ~ a", data, priors=priors).fit(draws=50, warmup=50, progress=False)
    assert np.isfinite(fit["posterior"]["beta"]).all()
