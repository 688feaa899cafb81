"""The total of many rows keeps its differences, and is NumPyro's otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS, Predictive, log_likelihood
from numpyro.infer.util import log_density

from robust_dist import GeneralRobust
from robust_dist.many_rows import compensated, mean_log_density
from robust_dist.regression import Regression, fit
from robust_dist.regression.posterior import draw

LAWS = {
    "robust": GeneralRobust,
    "orthogonal": GeneralRobust.with_orthogonal_scale,
    "StudentT": lambda alpha, loc, scale: dist.StudentT(3 * alpha, loc, scale),
}


def rows(count, dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.normal(size=count).astype(dtype), rng.standard_t(3, count).astype(dtype)


def make_model(law, masked=False):
    def model(x, y=None, weights=None):
        p = numpyro.sample("p", dist.Normal(jnp.array([1.0, 1, 0, 0]), 0.3).to_event(1))
        noise = law(jnp.abs(p[0]), p[2] + p[3] * x, jnp.abs(p[1]))
        if masked:
            noise = noise.mask(x > -1)
        counts = 1.0 if weights is None else weights
        with numpyro.plate("row", len(x)), numpyro.handlers.scale(scale=counts):
            numpyro.sample("y", noise, obs=y)

    return model


def totals(model, points, *arguments):
    density = jax.jit(lambda p, arguments: log_density(model, arguments, {}, {"p": p})[0])
    return np.array([float(density(p, arguments)) for p in points])


@pytest.mark.parametrize(("law", "masked"), [(law, law == "orthogonal") for law in LAWS])
def test_differences_of_many_rows_are_those_of_float64(law, masked):
    """Within the posterior, where energies differ by a few, float32 is right to 0.02."""
    x, y = rows(400_000)
    weights = (0.5 + np.abs(x)).astype(np.float32)
    model = make_model(LAWS[law], masked)
    rng = np.random.default_rng(1)
    # the mode is at another place, but differences are as small as near it
    points = np.float32([1, 1.35, 0, 0] + 1e-6 * rng.normal(size=(5, 4)))
    arguments = x, y, weights
    centre = mean_log_density(model, {"p": points[0]}, *arguments)
    plain = totals(model, points, *arguments)
    ours = totals(compensated(model, centre), points, *arguments)
    with jax.enable_x64(True):
        truth = totals(model, points.astype(float), *(part.astype(float) for part in arguments))
    error = [np.abs(np.diff(found) - np.diff(truth)).max() for found in (plain, ours)]
    assert error[1] < 0.02 < error[0]


@pytest.mark.parametrize("count", [7, 70_001])
def test_the_total_is_numpyros_less_the_centre_of_each_row(count, dtype):
    """Value and gradient, with weights, whether rows fill the blocks or not."""
    x, y = rows(count, dtype)
    weights = (0.5 + np.abs(x)).astype(dtype)
    model = make_model(GeneralRobust.with_orthogonal_scale)

    def value_and_gradient(model):
        density = jax.jit(
            jax.value_and_grad(lambda p: log_density(model, (x, y, weights), {}, {"p": p})[0])
        )
        return density(jnp.asarray([1.1, 1.2, 0.3, -0.1], dtype))

    value, gradient = value_and_gradient(model)
    ours, our_gradient = value_and_gradient(compensated(model, -1.25))
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, value + 1.25 * weights.sum(dtype=float), rtol=tolerance)
    np.testing.assert_allclose(our_gradient, gradient, rtol=tolerance, atol=tolerance * count)


def test_log_likelihood_and_predictions_are_the_models():
    """What is left by row has no centre; draws are the same for the same key."""
    x, y = rows(50)
    model = make_model(GeneralRobust)
    draws = {"p": jnp.asarray([[1.1, 1.2, 0.3, -0.1]])}
    for of in (
        lambda model: log_likelihood(model, draws, x, y)["y"],
        lambda model: Predictive(model, draws)(jax.random.key(0), x)["y"],
    ):
        np.testing.assert_array_equal(of(compensated(model, -2.0)), of(model))


def test_sites_that_are_not_rows_are_left_alone():
    """A vector's law and a number's keep their densities."""

    def model():
        numpyro.sample("a", dist.Normal(0, 1), obs=0.5)
        numpyro.sample("b", dist.Normal(0, 1).expand([3]).to_event(1), obs=jnp.ones(3))
        with numpyro.plate("i", 2, dim=-2), numpyro.plate("j", 3, dim=-1):
            numpyro.sample("c", dist.Normal(0, 1), obs=jnp.ones((2, 3)))

    plain, ours = (log_density(m, (), {}, {})[0] for m in (model, compensated(model, -1.0)))
    assert float(plain) == float(ours)


@pytest.mark.slow
def test_nuts_draws_from_the_same_posterior():
    """Of so many rows that float64 is asked, with chains side by side."""
    x, y = rows(20_000)
    model = make_model(GeneralRobust.with_orthogonal_scale)
    found = []
    for target in (model, compensated(model, -1.8)):
        mcmc = MCMC(
            NUTS(target), num_warmup=150, num_samples=150, num_chains=2,
            chain_method="vectorized", progress_bar=False,
        )  # fmt: skip
        mcmc.run(jax.random.key(0), x, y)
        found.append(np.asarray(mcmc.get_samples()["p"]))
    distance = np.abs(found[0].mean(0) - found[1].mean(0)) / found[0].std(0)
    # 300 draws, so a standard error is 0.1 and less of the standard deviation
    assert distance.max() < 0.5


def test_the_mean_log_density_weighs_rows():
    """As the model does, so that the total at these parameters is about zero."""
    x, y = rows(1000)
    weights = (0.5 + np.abs(x)).astype(np.float32)
    model = make_model(GeneralRobust)
    at = {"p": jnp.asarray([1.1, 1.2, 0.3, -0.1])}
    centre = mean_log_density(model, at, x, y, weights)
    density = log_density(compensated(model, centre), (x, y, weights), {}, at)[0]
    prior = dist.Normal(jnp.array([1.0, 1, 0, 0]), 0.3).log_prob(at["p"]).sum()
    assert abs(float(density - prior)) < 1e-2


@pytest.mark.slow
def test_a_regression_of_many_rows_is_compensated(monkeypatch):
    """Its energies are small then; log-likelihood and posterior are those of the plain model."""
    x, y = rows(3000)
    regression = Regression("y ~ x", {"x": x, "y": y})
    options = {"sampler": "numpyro", "draws": 200, "warmup": 200, "chains": 2, "progress": False}
    plain = regression.fit(**options)
    for module in (fit, draw):
        monkeypatch.setattr(module, "MANY", 1000)
    many = regression.fit(**options)
    assert abs(float(many["sample_stats"]["lp"].mean())) < 200
    assert float(plain["sample_stats"]["lp"].mean()) < -4000

    def mean(dt, group, name):
        return dt[group][name].mean(("chain", "draw"))

    apart = mean(plain, "log_likelihood", "y") - mean(many, "log_likelihood", "y")
    assert np.abs(apart).max() < 0.1
    for name in ("beta", "sigma", "alpha"):
        apart = np.abs(mean(plain, "posterior", name) - mean(many, "posterior", name))
        assert (apart < 0.4 * plain["posterior"][name].std(("chain", "draw"))).all()


def test_a_model_that_observes_no_rows_has_no_centre():
    def model():
        numpyro.sample("z", dist.Normal(0, 1))

    with pytest.raises(ValueError, match="observes no rows"):
        mean_log_density(model, {"z": 0.0})
