"""The default law of the fit lives in the span of the formula, not in its columns."""

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpyro.infer.util import log_density
from scipy import stats

from robust_dist._errors import InputError
from robust_dist.regression import Regression
from robust_dist.regression.design.span import make_basis, triangular
from robust_dist.regression.span_normal import SpanNormal

N = 41
FORMULAS = (
    "y ~ x + I(x**2)",
    "y ~ x + I(x**2) + I(x**3)",
    "y ~ x * z",
    "y ~ x * C(k)",
    "y ~ bs(x, df=5)",
    "y ~ 0 + C(k) + x",
    "y ~ x + I(x**2) + (x | g)",
    {"y": "y ~ x", "sigma": "~ x + I(x**2)", "alpha": "~ x * z"},
)


def table(shift=0.0, unit=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = np.linspace(-10, 10, N)
    z = rng.normal(size=N)
    return pd.DataFrame(
        {
            "x": unit * (x + shift),
            "z": z,
            "k": np.resize([1, 2, 5], N),
            "g": np.resize(list("abcd"), N),
            "y": 5 + 0.2 * x**2 + x * z + rng.standard_t(3, N),
        }
    )


def density(regression):
    """Return the joint log density of data and parameters at a point of the sampler's."""
    rng = np.random.default_rng(1)
    latent = {}
    for name, site in _sites(regression).items():
        shape = np.shape(site["value"])
        value = 0.3 * rng.normal(size=shape)
        latent[name] = np.exp(value) if name.endswith("sigma_z") and "beta" not in name else value
    latent |= {"alpha": 0.7} if "alpha" in latent else {}
    return float(log_density(regression.model, (), regression.data, latent)[0])


def _sites(regression):
    from numpyro.handlers import seed, trace

    sites = trace(seed(regression.model, jax.random.key(0))).get_trace(**regression.data)
    return {name: sites[name] for name in regression.sites}


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
@pytest.mark.parametrize(("shift", "unit"), [(60, 1.0), (2010, 1.0), (1e5, 1.0), (-7, 1e-3)])
def test_neither_shift_nor_unit_of_a_predictor_reaches_the_sampler(formula, shift, unit):
    """The same density at the same point: prior, likelihood and axes are those at shift 0."""
    if "**3" in str(formula) and shift == 1e5:
        pytest.skip("doubles do not hold a cube of 1e5 and what a step of 1 adds to it")
    plain, shifted = (Regression(formula, table(*how)) for how in ((0.0, 1.0), (shift, unit)))
    np.testing.assert_allclose(shifted.data["x"], plain.data["x"], atol=2e-5)
    # single precision: a sum of some 40 terms of order 10
    assert density(shifted) == pytest.approx(density(plain), abs=5e-3)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("y ~ x + z", "y ~ z + x"),
        ("y ~ x + C(k)", "y ~ C(k, Treatment(5)) + x"),
        ("y ~ x + I(x**2)", "y ~ poly(x, 2)"),
        ("y ~ x + C(k)", "y ~ 0 + C(k) + x"),
        ("y ~ x * C(k)", "y ~ 0 + C(k) + C(k):x"),
    ],
)
def test_the_law_of_the_fit_does_not_depend_on_what_spans_it(one, other):
    """Covariances of the fitted values under the default priors, by two parametrisations."""

    def covariance(formula):
        regression = Regression(formula, table())
        law, design = regression.priors["beta"], regression.design
        effect = (design.x - regression.coordinates.center) @ np.asarray(law.transform, float)
        return effect @ effect.T

    first, second = covariance(one), covariance(other)
    np.testing.assert_allclose(second, first, rtol=1e-4, atol=1e-4 * first.max())


@pytest.mark.parametrize("part", ["alpha", "sigma"])
def test_a_level_for_each_category_is_the_law_of_an_intercept_and_contrasts(part):
    """Also of the shape and the scale, whose level depends on the unit of the response."""
    laws = []
    for formula in ("~ C(k) + x", "~ 0 + C(k) + x"):
        data = table().assign(y=lambda frame: 1e6 * frame.y)
        regression = Regression({"y": "y ~ x", part: formula}, data)
        law, axes = regression.priors[f"beta_{part}"], getattr(regression.coordinates, part)
        x = getattr(regression.design, part).x - axes.center
        effect = x @ np.asarray(law.transform, float)
        laws.append((x @ np.asarray(law.loc, float), effect @ effect.T))
        assert np.isfinite(density(regression))
    for first, second in zip(*laws, strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-4, atol=1e-4)
    assert part == "alpha" or laws[0][0] == pytest.approx(np.log(1e6), abs=4)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 1000),
    columns=st.integers(1, 5),
    shift=st.sampled_from([0.0, 3.0, 1e4]),
    own=st.sets(st.integers(0, 5), max_size=2),
)
def test_bases_are_orthogonal_and_own_coefficients_are_themselves(seed, columns, shift, own):
    rng = np.random.default_rng(seed)
    x = np.column_stack(
        [np.ones(30), shift + rng.normal(size=(30, columns)) * 10.0 ** rng.integers(-3, 4, columns)]
    )
    own = sorted(column for column in own if column <= columns)
    basis = make_basis(triangular([x[:17], x[17:]], columns + 1), 0, own)
    shared = [column for column in range(columns + 1) if column not in own]
    q = (x - basis.center) @ basis.transform
    # the precision that a shift of 1e4 leaves of a column of size 1e-3
    np.testing.assert_allclose(q[:, shared].T @ q[:, shared] / 30, np.eye(len(shared)), atol=1e-4)
    np.testing.assert_allclose(q[:, shared].T @ q[:, own] / 30, 0, atol=1e-3)
    # a unit of an own direction changes its coefficient and no other own one
    off = basis.transform[np.ix_(own, range(columns + 1))].copy()
    off[range(len(own)), own] = 0
    assert not off.any()


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + z", "y ~ x + I(x**2)", "y ~ x * z"])
@pytest.mark.parametrize("wild", [1e2, 1e6, -1e9])
@pytest.mark.parametrize("law", ["normal", "uniform", "exponential"])
def test_a_gross_outlier_of_a_predictor_narrows_no_prior(formula, law, wild):
    """At most by half, of any coefficient that it is in, a power's included."""
    clean = table().assign(x=getattr(np.random.default_rng(5), law)(size=N))
    spoilt = clean.copy()
    spoilt.loc[7, "x"] = wild
    before, after = (
        np.asarray(Regression(formula, frame).priors["beta"].scale) for frame in (clean, spoilt)
    )
    assert (after > 0.5 * before)[1:].all()


def test_a_column_that_is_mostly_one_value_keeps_a_wide_prior():
    """The fewer rows say anything, the wider: sd of 2.5 spreads of y over that of the column."""
    scales = []
    for count in (20, 5, 2):
        data = table().assign(x=np.where(np.arange(N) < count, 3.0, 0.0))
        scales.append(float(Regression("y ~ x", data).priors["beta"].scale[1]))
    assert scales == sorted(scales)


# --- the user's own ------------------------------------------------------------------------------


def prior_draws(regression, count=4000):
    """Return the coefficients of draws from the prior, in the user's units."""
    from numpyro.infer import Predictive

    draws = Predictive(regression.model, num_samples=count)(
        jax.random.key(0), **{**regression.data, "y": None}
    )
    return np.asarray(draws["beta"])


@pytest.mark.parametrize(
    "formula", ["y ~ x + z", "y ~ x * z", "y ~ 0 + x + z", "y ~ z + x + I(x**2)"]
)
@pytest.mark.filterwarnings("ignore:.*stands without")
def test_a_prior_of_a_coefficient_is_exactly_that(formula):
    law = dist.StudentT(5.0, 0.3, 0.1)
    regression = Regression(formula, table(shift=3.0), priors={"x": law})
    draws = prior_draws(regression)[:, regression.design.coefficients.index("x")]
    assert stats.kstest(draws, stats.t(5, 0.3, 0.1).cdf).pvalue > 1e-3


def test_beta_means_the_slopes_and_leaves_the_level_alone():
    regression = Regression("y ~ x + z", table(), priors={"beta": dist.Normal(0, 1e-3)})
    draws = prior_draws(regression)
    assert draws[:, 1:].std() == pytest.approx(1e-3, rel=0.05)
    y = table()["y"]
    assert draws[:, 0].mean() == pytest.approx(np.median(y), abs=1.0)
    assert draws[:, 0].std() > 2 * y.std()


def test_an_intercept_with_a_prior_of_its_own_is_the_value_at_zero():
    data = table(shift=50.0)
    regression = Regression("y ~ x", data, priors={"Intercept": dist.Normal(-7.0, 0.5)})
    draws = prior_draws(regression)[:, 0]
    assert stats.kstest(draws, stats.norm(-7, 0.5).cdf).pvalue > 1e-3


@pytest.mark.parametrize("column", ["alpha", "sigma", "beta"])
def test_a_coefficient_called_as_a_parameter_is_named_in_brackets(column):
    data = table().rename(columns={"z": column})
    priors = {f"beta[{column}]": dist.Normal(0, 0.01)}
    regression = Regression(f"y ~ x + {column}", data, priors=priors)
    assert prior_draws(regression, 500)[:, 2].std() == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(
    ("priors", "complaint"),
    [
        ({"x": dist.Poisson(1.0)}, "'x', Poisson, is discrete"),
        ({"x": dist.ImproperUniform(dist.constraints.real, (), ())}, "cannot be drawn from"),
        ({"x": dist.Delta(1.0)}, "'x' is no parameter that a number can fix"),
        ({"x": dist.Uniform(2.0, 0.0)}, "has no density"),
        ({"sigma": dist.Uniform(2.0, 1.0)}, "has no density"),
        ({"x": dist.Normal(0, 1), "beta[x]": dist.Normal(0, 1)}, "two priors for 'x'"),
        ({"xx": dist.Normal(0, 1)}, "no parameter 'xx'"),
        ({"x": 1.0}, "'x' is no parameter that a number can fix"),
        ({"x": dist.Normal(0, np.ones(2))}, r"batch shape \(2,\)"),
    ],
)
def test_priors_that_can_be_none_are_refused_in_one_line(priors, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        Regression("y ~ x + z", table(), priors=priors)
    assert "\n" not in str(error.value)


def test_the_law_is_the_normal_one_of_its_covariance():
    rng = np.random.default_rng(0)
    transform, loc = rng.normal(size=(3, 3)), rng.normal(size=3)
    law = SpanNormal(loc, transform)
    value = rng.normal(size=(4, 3))
    truth = stats.multivariate_normal(loc, transform @ transform.T)
    np.testing.assert_allclose(law.log_prob(value), truth.logpdf(value), rtol=1e-3)
    draws = np.asarray(law.sample(jax.random.key(0), (20_000,)))
    np.testing.assert_allclose(np.cov(draws.T), transform @ transform.T, atol=0.15)


# --- terms that are missing ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "missing"),
    [
        ("y ~ 0 + x", ["'x' stands without an intercept"]),
        ("y ~ x + x:z", ["'x:z' stands without 'z'"]),
        ("y ~ x:z", ["stands without 'z'", "stands without 'x'"]),
        ("y ~ I(x**2)", ["'I(x ** 2)' stands without the lower powers of 'x'"]),
        ("y ~ x + I(x**3)", ["the lower powers of 'x'"]),
        ("y ~ x:C(k)", ["'x:C(k)' stands without 'C(k)'"]),
        ({"y": "y ~ x", "sigma": "~ 0 + z"}, ["'z' stands without an intercept"]),
        ("y ~ x * z", []),
        ("y ~ x + I(x**2) + I(x**3)", []),
        ("y ~ 0 + C(k) + x", []),
        ("y ~ x * C(k)", []),
        ("y ~ exp(x / 10) + bs(z, df=4)", []),
        ("y ~ x + z + I(x * z)", []),
    ],
    ids=str,
)
@pytest.mark.parametrize("shift", [0.5, 2010.0])
def test_a_term_without_what_it_is_built_on_is_named(formula, missing, shift):
    if "exp" in str(formula) and shift > 100:
        shift = 3.0
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        regression = Regression(formula, table(shift))
    said = [str(warning.message) for warning in caught]
    assert len(said) == len(missing) == len(regression.design.problems)
    assert all(part in " ".join(said) for part in missing)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_a_sum_with_something_far_larger_is_not_named_for_its_rounding(unit):
    """Warnings are errors here."""
    assert not Regression("y ~ I(x + z)", table(unit=unit)).design.problems


@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_predictors_that_nearly_repeat_each_other_are_named_and_fitted(shift):
    rng = np.random.default_rng(7)
    data = table(shift).assign(w=lambda frame: frame.x - 2 * frame.z + 1e-5 * rng.normal(size=N))
    with pytest.warns(UserWarning, match="'w' is all but a combination of the columns before it"):
        regression = Regression("y ~ x + z + w", data)
    # well posed: each direction of the fit has the width that any other has
    q = np.asarray(regression.data["x"], float)
    np.testing.assert_allclose(q.T @ q / N, np.eye(4), atol=0.05)
    assert np.isfinite(density(regression))
