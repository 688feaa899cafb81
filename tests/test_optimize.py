"""Point estimates are optima, also where alpha and scale are found; annealing finds good ones."""

from __future__ import annotations

import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from scipy.optimize import linprog, minimize

from robust_dist import (
    GeneralRobust,
    MultivariateGeneralRobust,
    ReferenceAlpha,
    orthogonal_scale,
    psi,
    rho,
    weight,
)
from robust_dist._errors import InputError
from robust_dist.optimize import (
    alpha_schedule,
    anneal,
    anneal_residuals,
    find_modes,
    init_to_robust,
    irls,
    irls_residuals,
    least_absolute,
)

ROWS = 120
TRUTH = np.array([1.0, -2.0, 0.5])
ALPHAS = np.array([-math.inf, -2.0, 0.0, 0.5, 1.0, 1.5, 2.0])


def data(dtype, *, share=0.1, far=6.0, seed=0):
    """Return a design with a column of ones, and a response of which a share is too high."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(ROWS), rng.standard_normal((ROWS, 2))])
    y = x @ TRUTH + rng.standard_normal(ROWS) + far * (np.arange(ROWS) < share * ROWS)
    return x.astype(dtype), y.astype(dtype)


def test_irls_solves_the_estimating_equations(dtype):
    """Sum x psi(residual) vanishes, for every alpha at once.

    Iterations stop when a step moves the fit by sqrt(eps) of a residual; what is left is that over
    the rate of convergence, and a factor of 100 is allowed for it.
    """
    x, y = data(dtype)
    start = least_absolute(x, y)
    alpha = jnp.asarray(ALPHAS, dtype)
    fits = jax.vmap(lambda a: irls(x, y, a, 1.0, start=start))(alpha)
    found = fits.coefficients
    assert found.dtype == dtype
    assert fits.converged.all()
    np.testing.assert_array_equal(fits.alpha, alpha)
    score = np.asarray(psi(y - found @ x.T, alpha[:, None])) @ x / ROWS
    assert np.abs(score).max() < 100 * np.sqrt(np.finfo(dtype).eps) / np.sqrt(ROWS)
    # at 2 it is least squares; below, the outliers count less and less
    np.testing.assert_allclose(found[-1], np.linalg.lstsq(x, y)[0], rtol=0, atol=1e-5)
    assert np.all(np.diff(found[:, 0]) > 0)
    alone = irls(x, y, 0.5, 1.0, start=start)
    np.testing.assert_allclose(alone.coefficients, found[3], rtol=1e-4)
    own = weight(y - x @ alone.coefficients, 0.5)
    np.testing.assert_allclose(alone.weights, own, rtol=100 * np.finfo(dtype).eps)


def test_least_absolute_is_the_linear_program(dtype):
    """The sum is that of the linear program's optimum, to the thousandth promised, squared."""
    x, y = data(dtype)
    columns = x.shape[1]
    slack = np.eye(ROWS)
    exact = linprog(
        np.concatenate([np.zeros(columns), np.ones(2 * ROWS)]),
        A_eq=np.hstack([x, slack, -slack]),
        b_eq=y,
        bounds=[(None, None)] * columns + [(0, None)] * (2 * ROWS),
    )
    total = np.abs(y - x @ np.asarray(least_absolute(x, y))).sum()
    assert exact.fun * (1 - 1e-5) <= total <= exact.fun * (1 + 1e-4)


def test_units_do_not_matter(dtype):
    """Columns and response in units twelve orders apart, as they come."""
    x, y = data(dtype)
    units, unit = np.array([1.0, 1e-6, 1e6], dtype), dtype.type(1e-3)
    expected = irls(x, y, 0.5, 1.0, start=least_absolute(x, y)).coefficients
    start = least_absolute(x * units, y * unit)
    found = irls(x * units, y * unit, 0.5, unit, start=start).coefficients
    np.testing.assert_allclose(found * units / unit, expected, rtol=1e-2)


def test_rows_on_a_line(dtype):
    """More than half of the rows fit exactly: nothing is divided by zero."""
    x, _ = data(dtype)
    y = (x @ TRUTH).astype(dtype)
    y[:40] += 100
    np.testing.assert_allclose(least_absolute(x, y), TRUTH, rtol=0, atol=2e-2)
    np.testing.assert_allclose(least_absolute(x, x @ TRUTH.astype(dtype)), TRUTH, rtol=1e-4)


@pytest.mark.parametrize(("x", "y"), [(np.ones(4), np.ones(4)), (np.ones((4, 1)), np.ones(3))])
@pytest.mark.parametrize(
    "f",
    [
        least_absolute,
        lambda x, y: irls(x, y, 1.0, 1.0),
        lambda x, y: anneal(x, y, -2.0, 1.0),
        init_to_robust,
    ],
)
def test_shapes_that_do_not_fit(f, x, y):
    with pytest.raises(ValueError, match=r"x must be of shape \(rows, columns\)"):
        f(x, y)


# --- general optima ---------------------------------------------------------------------------


def test_irls_agrees_with_a_general_optimiser(x64):
    """BFGS on the sum of rho at alpha = 1, which is convex, ends at the same coefficients."""
    x, y = data(np.dtype(float))
    best = minimize(lambda beta: float(np.sum(rho(y - x @ beta, 1.0, 0.7))), np.zeros(3), tol=1e-9)
    np.testing.assert_allclose(irls(x, y, 1.0, 0.7).coefficients, best.x, atol=1e-5)


@pytest.mark.slow
def test_residual_functions_are_fitted_like_designs(dtype):
    """The same model as a function of a pytree, found by optimistix, has the same optimum."""
    x, y = data(dtype)
    start = {"level": dtype.type(0), "slopes": np.zeros(2, dtype)}

    def residuals(theta, x, y):
        return y - theta["level"] - x[:, 1:] @ theta["slopes"]

    found = anneal_residuals(residuals, start, 0.5, 1.0, args=(x, y), stages=8)
    expected = anneal(x, y, 0.5, 1.0, stages=8).coefficients
    flat = np.append(found.coefficients["level"], found.coefficients["slopes"])
    assert found.converged
    tolerance = 20 * np.sqrt(np.finfo(dtype).eps)
    np.testing.assert_allclose(flat, expected, atol=tolerance)
    np.testing.assert_allclose(
        irls_residuals(residuals, found.coefficients, 0.5, 1.0, args=(x, y)).weights,
        found.weights,
        atol=tolerance,
    )


PRIORS = {
    "ml": ("ml", "ml", lambda a, c: 0.0),
    "map": (
        ReferenceAlpha(),
        dist.InverseGamma(2.0, 2.0),
        lambda a, c: ReferenceAlpha().log_prob(a) + dist.InverseGamma(2.0, 2.0).log_prob(c),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIORS)
def test_the_adaptive_fit_is_stationary(name, x64):
    """All derivatives of the penalised log likelihood vanish, to sqrt(eps) of their size."""
    alpha, scale, log_prior = PRIORS[name]
    rng = np.random.default_rng(3)
    x, _ = data(np.dtype(float))
    y = x @ TRUTH + rng.standard_t(2, ROWS)

    def log_posterior(beta, a, c):
        return GeneralRobust(a, x @ beta, c).log_prob(y).sum() + log_prior(a, c)

    fit = irls(x, y, alpha, scale)
    assert fit.converged
    assert 0 < fit.alpha < 2
    slopes = jax.grad(log_posterior, (0, 1, 2))(fit.coefficients, fit.alpha, fit.scale)
    assert max(np.abs(slope).max() for slope in slopes) < 1e-5
    # it is a maximum in alpha and c, not a saddle
    away = [
        log_posterior(fit.coefficients, fit.alpha + d, fit.scale * (1 + d)) for d in (-0.1, 0.1)
    ]
    assert max(away) < log_posterior(fit.coefficients, fit.alpha, fit.scale)


def test_normal_noise_ends_at_alpha_two(dtype):
    """Where the likelihood rises up to the end of the prior, alpha is that end exactly."""
    x, _ = data(dtype)
    y = (x @ TRUTH + np.tile([-1, 1], ROWS // 2)).astype(dtype)  # lighter tails than Normal
    fit = irls(x, y, "ml", "ml")
    assert fit.alpha == 2
    rms = np.sqrt(np.mean(np.square(y - x @ np.linalg.lstsq(x, y)[0])))
    np.testing.assert_allclose(fit.scale, rms, rtol=1e-3)


@pytest.mark.slow
def test_vectors_count_by_their_length(x64):
    """Alpha and scale are those that maximise the elliptical law's likelihood."""
    rng = np.random.default_rng(0)
    r = rng.standard_normal((ROWS, 3)) * np.exp(0.8 * rng.standard_normal((ROWS, 1)))
    fit = irls_residuals(lambda m, r: r - m, np.zeros(3), dist.Uniform(0.05, 2.0), "ml", args=(r,))

    def log_likelihood(m, a, c):
        return MultivariateGeneralRobust(a, m, c * jnp.eye(3)).log_prob(r).sum()

    assert fit.converged
    assert fit.weights.shape == (ROWS,)
    slopes = jax.grad(log_likelihood, (0, 1, 2))(fit.coefficients, fit.alpha, fit.scale)
    assert max(np.abs(slope).max() for slope in slopes) < 1e-4


def test_an_exact_fit_is_reported(dtype):
    """The likelihood has no maximum in the scale there, and the fit says that it found none."""
    x, _ = data(dtype)
    fit = irls(x, (x @ TRUTH).astype(dtype), "ml", "ml")
    assert not fit.converged
    assert np.isfinite(fit.coefficients).all()
    np.testing.assert_allclose(fit.coefficients, TRUTH, rtol=1e-4)


# --- annealing --------------------------------------------------------------------------------


def crowded(dtype, seed):
    """Return a line with half of the rows anywhere above it."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(100), rng.uniform(-1, 1, 100)])
    y = x @ [0.5, 1.5] + 0.05 * rng.standard_normal(100)
    y[::2] = rng.uniform(1, 9, 50)
    return x.astype(dtype), y.astype(dtype)


@pytest.mark.slow
def test_annealing_recovers_a_line_from_half_outliers(dtype):
    """In ten data sets of ten, to twice the noise, where IRLS from least squares fails."""
    sets = [crowded(dtype, seed) for seed in range(10)]
    x, y = (np.stack(each) for each in zip(*sets, strict=True))
    fits = jax.jit(jax.vmap(lambda x, y: anneal(x, y, -2.0, 0.05)))(x, y)
    plain = jax.jit(jax.vmap(lambda x, y: irls(x, y, -2.0, 0.05)))(x, y)
    assert fits.converged.all()
    error = [np.abs(each.coefficients - np.array([0.5, 1.5])).max(1) for each in (fits, plain)]
    assert error[0].max() < 0.1
    assert error[1].max() > 0.5
    # mapped over, jitted or called: the same
    alone = anneal(*sets[3], -2.0, 0.05)
    np.testing.assert_allclose(fits.coefficients[3], alone.coefficients, atol=1e-4)
    np.testing.assert_allclose(fits.weights[3], alone.weights, atol=5e-3)


def test_progress_is_told_and_changes_nothing(capfd):
    """A function sees every stage, True shows a bar, and the fit is that without."""
    x, y = crowded(np.dtype("float32"), 1)
    told = []
    fit = anneal(x, y, -math.inf, 0.05, stages=5, progress=lambda *state: told.append(state))
    assert [stage for stage, _ in told] == list(range(5))
    schedule = alpha_schedule(-math.inf, 5)
    np.testing.assert_allclose([each.alpha for _, each in told], schedule, rtol=1e-6)
    quiet = anneal(x, y, -math.inf, 0.05, stages=5)
    np.testing.assert_allclose(fit.coefficients, quiet.coefficients, rtol=1e-4)
    assert capfd.readouterr().err == ""
    anneal(x, y, -math.inf, 0.05, stages=5, progress=True)
    assert "annealing" in capfd.readouterr().err


def test_the_schedule_falls_from_two_to_the_target():
    for target in (-math.inf, -2.0, 0.0, 1.0, 1.9):
        values = np.asarray(alpha_schedule(target, 7))
        assert values[0] == 2
        assert values[-1] == np.float32(target)
        assert np.all(np.diff(values) < 0)
    np.testing.assert_array_equal(alpha_schedule(2.0, 3), 2)


# --- derivatives ------------------------------------------------------------------------------


@pytest.mark.slow
def test_derivatives_are_those_of_the_optimum(x64):
    """In every row of y, in alpha and in the scale, of both modes, against central differences."""
    x, y = data(np.dtype(float))
    at = jnp.array([0.5, 1.3])

    def fit(y, shape):
        return irls(x, y, shape[0], shape[1], max_steps=500).coefficients

    by_y, by_shape = jax.jacrev(fit, (0, 1))(y, at)
    np.testing.assert_allclose(jax.jacfwd(fit, 1)(y, at), by_shape, rtol=1e-9)
    step = 1e-3
    for row in (0, 50):  # an outlier and another
        e = step * (np.arange(ROWS) == row)
        expected = (fit(y + e, at) - fit(y - e, at)) / (2 * step)
        np.testing.assert_allclose(by_y[:, row], expected, atol=1e-6)
    for i in range(2):
        e = step * (np.arange(2) == i)
        expected = (fit(y, at + e) - fit(y, at - e)) / (2 * step)
        np.testing.assert_allclose(by_shape[:, i], expected, atol=1e-5)


@pytest.mark.slow
def test_derivatives_of_the_adaptive_fit(x64):
    """They pass through alpha and scale as well, and are finite where alpha is at its end."""
    rng = np.random.default_rng(3)
    x, _ = data(np.dtype(float))
    y = x @ TRUTH + rng.standard_t(2, ROWS)
    light = x @ TRUTH + np.tile([-1, 1], ROWS // 2)

    def all_of(y):
        fit = irls(x, y, "ml", "ml", max_steps=500)
        return jnp.array([fit.coefficients[1], fit.alpha, fit.scale])

    found = jax.jacrev(all_of)(y)
    e = 1e-3 * (np.arange(ROWS) == 7)
    np.testing.assert_allclose(found[:, 7], (all_of(y + e) - all_of(y - e)) / 2e-3, atol=1e-5)
    at_end = jax.jacrev(all_of)(light)
    assert np.isfinite(at_end).all()
    np.testing.assert_array_equal(at_end[1], 0)


# --- mistakes ---------------------------------------------------------------------------------


def zero(theta):
    return jnp.zeros((2, 3, 4)) + theta


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: irls(x, y, 2.5, 1.0), r"alpha must lie in \[-inf, 2\]; it is 2.5"),
        (lambda x, y: irls(x, y, math.nan, 1.0), "alpha must lie in"),
        (lambda x, y: irls(x, y, 1.0, 0.0), "scale must be positive and finite; it is 0"),
        (lambda x, y: irls(x, y, -2.0, "ml"), r"a scale is found for alpha in \[0, 2\] only"),
        (lambda x, y: irls(x, y, "map", 1.0), "alpha must be a number, a prior or 'ml'"),
        (lambda x, y: irls(x, y, 1.0, np.ones(3)), "scale must be one number"),
        (lambda x, y: irls(x, y, dist.Uniform(0, jnp.ones(2)), 1.0), "prior of alpha must be of"),
        (lambda x, y: irls(x, y, 1.0, 1.0, start=np.ones(2)), "start must be of shape"),
        (lambda x, y: anneal(x, y, "ml", 1.0), "alpha must be the number to end at"),
        (lambda x, y: anneal(x, y, 0.0, 1.0, stages=1), "stages must be 2 or more"),
        (lambda x, y: anneal(x, y, 0.0, 1.0, scale_start=-1.0), "scale_start must be positive"),
        (lambda x, y: irls_residuals(zero, 0.0, 1.0, 1.0), "residuals must return an array"),
        (
            lambda x, y: jax.jit(lambda y: anneal(x, y, 0.0, 1.0, progress=True))(y),
            "progress cannot be shown under jit",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    x, y = data(np.dtype("float32"))
    with pytest.raises(ValueError, match=message) as caught:
        call(x, y)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_mean_of_vectors(dtype):
    """Residuals of three numbers a row: one row far away is ignored as a whole."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((30, 3)).astype(dtype)
    points[0, 1] = 1e4
    fit = anneal_residuals(lambda m, p: p - m, np.zeros(3, dtype), -2.0, 1.0, args=(points,))
    assert fit.converged
    assert fit.coefficients.dtype == dtype
    assert fit.weights[0] < 1e-6
    # the standard error of a component is 0.2 for the mean, and somewhat more for this loss
    assert np.abs(fit.coefficients).max() < 0.8


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optimistix", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'robust-dist\[optimize\]'"):
        irls_residuals(lambda theta: theta, np.zeros(3), 1.0, 1.0)


# --- a start for samplers ---------------------------------------------------------------------


def grouped(x, y):
    """Give each row a group's alpha and c."""
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([3]).to_event(1))
    with numpyro.plate("group", 2):
        alpha = numpyro.sample("alpha", dist.HalfNormal(2))
        scale = numpyro.sample("scale", dist.HalfNormal(5))
    numpyro.sample("nuisance", dist.Normal(0, 1))
    group = np.arange(ROWS) % 2
    numpyro.sample("y", GeneralRobust(alpha[group], x @ beta, scale[group]), obs=y)


def started(model, strategy, x, y):
    """Return the values at which NumPyro would start."""
    seeded = handlers.substitute(handlers.seed(model, 0), substitute_fn=strategy)
    trace = handlers.trace(seeded).get_trace(x, y)
    return {name: site["value"] for name, site in trace.items() if not site.get("is_observed")}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
def test_robust_start(share, dtype):
    """Outliers of 1e6 scales move the start by a scale or so, whatever their share up to 0.4."""
    x, y = data(dtype, share=share, far=1e6)
    found = started(grouped, init_to_robust(x, y), x, y)
    assert all(found[name].dtype == dtype for name in ("beta", "alpha", "scale"))
    assert np.abs(found["beta"] - TRUTH).max() < (0.6 if share < 0.4 else 3)
    assert found["scale"].shape == found["alpha"].shape == (2,)
    np.testing.assert_allclose(found["alpha"], 1, rtol=1e-6)
    assert 0.5 < found["scale"][0] < (1.3 if share < 0.4 else 3)


def orthogonal(x, y):
    """Regress with the defaults of this package's pages."""
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([3]).to_event(1))
    alpha = numpyro.sample("alpha", ReferenceAlpha())
    sigma = numpyro.sample("sigma", dist.HalfNormal(5))
    numpyro.sample("y", GeneralRobust.with_orthogonal_scale(alpha, x @ beta, sigma), obs=y)


def test_names_of_sites(dtype):
    """Sigma starts at the orthogonal scale of c; a name of None leaves its site to NumPyro."""
    x, y = data(dtype)
    c = started(grouped, init_to_robust(x, y), x, y)["scale"][0]
    found = started(orthogonal, init_to_robust(x, y, alpha=None), x, y)
    np.testing.assert_allclose(found["sigma"], orthogonal_scale(1.0, c), rtol=1e-6)
    assert abs(found["alpha"] - 1) > 1e-3


@pytest.mark.parametrize(
    "fit",
    [
        lambda x, y: irls(x, y, 1.0, 0.2),
        lambda x, y: irls(x, y, "ml", "ml"),
        lambda x, y: anneal(x, y, 0.0, 0.2),
        least_absolute,
        init_to_robust,
    ],
)
@pytest.mark.parametrize("integers", [True, False])
def test_data_that_single_precision_rounds_away_are_refused(fit, integers):
    """Time stamps, in x or in y, and powers of years: an error that says the mend, which works."""
    rng = np.random.default_rng(0)
    time = 1_690_000_123 + np.arange(50) * 3
    time = time if integers else time + 0.5
    years = np.arange(1981, 2031)
    y = 0.4 * (time - time[0]) + rng.standard_normal(50)
    one = np.ones(50)
    with jax.enable_x64(False):
        for x, response in (
            (np.column_stack([one, time]), y),
            (np.column_stack([one, years, years**2]), y),
            (one[:, None], time),
        ):
            with pytest.raises(InputError, match="subtract a number near its mean"):
                fit(x, response)
        fit(np.column_stack([one, time - time[0]]), y)
        fit(np.column_stack([one, years]), y)
        fit(np.column_stack([one, one, years - 2005]), y)


def test_a_design_a_little_off_its_centre_is_told_from_the_constant_in_many_rows():
    """The cutoff of singular values does not grow with the rows; three standard errors' width."""
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(100_000), rng.normal(300, 1, 100_000)]).astype(np.float32)
    y = (x[:, 1].astype(float) - 300) * 2 + rng.standard_normal(100_000)
    slope = irls(x, y.astype(np.float32), 2.0, 1.0).coefficients[1]
    assert abs(float(slope) - 2) < 0.02


# --- starts and modes that bad leverage points do not own ----------------------------------------


def with_bad_leverage(bad, rows=50):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(rows, 3))
    y = 1 + x @ [2, -1, 0.5] + rng.normal(size=rows)
    x[:bad, 0] = 10 + 0.3 * rng.normal(size=bad)
    y[:bad] = -20 + rng.normal(size=bad)
    return np.column_stack([np.ones(rows), x]), y


@pytest.mark.parametrize("bad", [0, 1, 5, 10])
def test_a_robust_start_survives_bad_leverage_points(bad):
    x, y = with_bad_leverage(bad)
    site = {"type": "sample", "is_observed": False, "name": "beta"}
    site |= {"kwargs": {"sample_shape": ()}, "fn": dist.Normal(0, 1).expand([4])}
    np.testing.assert_allclose(init_to_robust(x, y)(site), [1, 2, -1, 0.5], atol=0.8)


def test_the_modes_of_a_users_own_model_are_found_and_weighed():
    """Least absolute deviations lead to the leverage points' own mode, which has hardly a share."""
    x, y = with_bad_leverage(5)

    def model(x, y):
        beta = numpyro.sample("beta", dist.Normal(0, 50).expand([4]).to_event(1))
        alpha = numpyro.sample("alpha", dist.Uniform(0, 2))
        sigma = numpyro.sample("sigma", dist.HalfNormal(10))
        law = GeneralRobust.with_orthogonal_scale(alpha, x @ beta, sigma)
        numpyro.sample("y", law, obs=y)

    lad = numpyro.infer.init_to_value(values={"beta": least_absolute(x, y), "sigma": 1.0})
    modes = find_modes(model, jnp.asarray(x), jnp.asarray(y), starts=[lad, init_to_robust(x, y)])
    assert [round(float(mode.values["beta"][1])) for mode in modes] == [2, -2]
    assert modes[0].weight > 0.99
    assert sum(mode.weight for mode in modes) == pytest.approx(1)
    assert set(modes[0].values) == {"alpha", "beta", "sigma"}
    assert find_modes(model, x, y, starts=[]) == ()
