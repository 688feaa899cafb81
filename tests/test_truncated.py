"""The law on a window: against stored truth, NumPyro's truncated Normal, and itself.

The normalizer's references are Arb integrals at inputs exact in float32 (``tests/reference``).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.infer import MCMC, NUTS

from robust_dist import GeneralRobust, TruncatedGeneralRobust
from robust_dist._window import Bounds, log_mass

NAMES = ("alpha", "loc", "scale", "low", "high")
# (alpha, loc, scale, low, high): around loc, to its right and left, wide, half-open
CASES = [
    (-math.inf, 0.3, 1.4, -3.0, 6.0),
    (-2.0, 0.3, 1.4, 1.0, 4.0),
    (-0.5, 0.3, 1.4, -5.0, -1.0),
    (-1e-3, 0.0, 1.0, -500.0, 800.0),
    (0.0, 0.3, 1.4, -2.0, 3.0),
    (1.3, 0.3, 1.4, -1.0, math.inf),
    (2.0, 0.3, 1.4, -math.inf, 0.1),
    (2.7, 0.3, 1.4, -1.0, 2.0),
    (math.inf, 0.3, 1.4, 0.0, math.inf),
]


def law(parameters, dtype=None):
    alpha, loc, scale, low, high = (jnp.asarray(value, dtype) for value in parameters)
    return TruncatedGeneralRobust(alpha, loc, scale, low=low, high=high)


@jax.jit
def evaluate(parameters, x, q):
    """Return log density, log cdf, log sf of x; quantiles of q and what they lead back to."""
    d = TruncatedGeneralRobust(*parameters[:3], low=parameters[3], high=parameters[4])
    back = d.icdf(q)
    return d.log_prob(x), d.log_cdf(x), d.log_sf(x), back, d.cdf(back)


@jax.jit
def summaries(parameters):
    """Return quantiles of the midpoints of 4000 cells, their log density, and the moments."""
    d = TruncatedGeneralRobust(*parameters[:3], low=parameters[3], high=parameters[4])
    x = d.icdf((jnp.arange(4000) + 0.5) / 4000)
    slope = jax.vmap(jax.grad(d.cdf))(x[::400])
    return x, d.log_prob(x), slope, d.mean, d.variance, d.entropy()


@pytest.fixture
def columns(dtype):
    """Return `evaluate` in the format."""

    def call(parameters, x, q):
        arguments = [[jnp.asarray(value, dtype) for value in parameters]]
        arguments += [jnp.asarray(x, dtype), jnp.asarray(q, dtype)]
        return [np.asarray(c) for c in evaluate(*arguments)]

    return call


def test_normalizer(dtype, reference, errors, assert_below):
    """Issue B's bar is a relative 1e-12; of log Z that is the same, absolute."""
    table = reference("window")
    arguments = [jnp.asarray(table[name], dtype) for name in ("anchor", "right", "left", "alpha")]
    value, slope = jax.jit(
        lambda u, right, left, a: jax.jvp(
            lambda a: log_mass(Bounds(u, right, left), a), (a,), (jnp.ones_like(a),)
        )
    )(*arguments)
    where = {name: table[name] for name in ("anchor", "right", "left", "alpha")}
    bound = {"float64": 1e-13, "float32": 4e-6}[str(dtype)]
    assert_below(errors(value, table["log_mass"]).absolute, bound, **where)
    given = np.array([not np.isnan(float(v)) for v in table["d_alpha"]])
    error = errors(slope, table["d_alpha"]).absolute[given]
    # relative to the size of d rho/d alpha, of which the slope is a mean
    size = 1 + np.abs(table["d_alpha"][given].astype(float))
    bound = {"float64": 1e-11, "float32": 2e-5}[str(dtype)]
    assert_below(error / size, bound, **{name: axis[given] for name, axis in where.items()})


def test_normal_member_is_numpyros_truncated_normal(dtype):
    for low, high in ((-1.0, 4.0), (2.0, 3.0), (-1.0, None), (None, 0.5)):
        ends = {
            "low": -math.inf if low is None else low,
            "high": math.inf if high is None else high,
        }
        d = TruncatedGeneralRobust(jnp.asarray(2, dtype), 0.3, 1.7, **ends)
        normal = dist.TruncatedNormal(jnp.asarray(0.3, dtype), 1.7, low=low, high=high)
        q = jnp.linspace(0.01, 0.99, 9).astype(dtype)
        x = normal.icdf(q)
        rtol = {"float64": 1e-11, "float32": 2e-5}[str(dtype)]
        np.testing.assert_allclose(d.log_prob(x), normal.log_prob(x), rtol, atol=rtol)
        np.testing.assert_allclose(d.cdf(x), q, rtol)
        np.testing.assert_allclose(d.icdf(q), x, rtol, atol=rtol)
        np.testing.assert_allclose(d.mean, normal.mean, 10 * rtol)
        np.testing.assert_allclose(d.variance, normal.variance, 10 * rtol)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.5, math.inf])
def test_open_ends_give_the_whole_law(alpha, dtype):
    """Open on both sides it is GeneralRobust; on one, GeneralRobust given the side."""
    whole = GeneralRobust(jnp.asarray(alpha, dtype), 0.3, 1.7)
    x = jnp.linspace(-1, 4, 7).astype(dtype)
    q = jnp.linspace(0.05, 0.95, 7).astype(dtype)
    rtol = {"float64": 1e-11, "float32": 1e-4}[str(dtype)]
    both = TruncatedGeneralRobust(whole.alpha, 0.3, 1.7, low=-math.inf, high=math.inf)
    np.testing.assert_allclose(both.log_prob(x), whole.log_prob(x), rtol, atol=rtol)
    np.testing.assert_allclose(both.icdf(q), whole.icdf(q), rtol, atol=rtol)
    np.testing.assert_allclose(both.entropy(), whole.entropy(), rtol)
    np.testing.assert_array_equal(np.isnan(both.mean), np.isnan(whole.mean))
    half = TruncatedGeneralRobust(whole.alpha, 0.3, 1.7, low=-1.0, high=math.inf)
    given = whole.log_sf(jnp.asarray(-1, dtype))
    np.testing.assert_allclose(half.log_prob(x), whole.log_prob(x) - given, rtol, atol=rtol)
    np.testing.assert_allclose(half.log_sf(x), whole.log_sf(x) - given, rtol, atol=rtol)
    if alpha > 0:
        np.testing.assert_allclose(both.variance, whole.variance, rtol)
    else:
        assert half.mean == half.variance == math.inf


@pytest.mark.parametrize("parameters", CASES)
def test_surface_is_of_one_law(parameters, dtype, columns):
    """Density, cdf, tails, quantile, moments and entropy agree with one another."""
    low, high = parameters[3:]
    q = np.array([1e-30, 1e-6, 0.01, 0.2, 0.5, 0.8, 0.99, 1.0])
    first = columns(parameters, q, q)[3]
    assert np.all(np.diff(first) >= 0)
    assert np.all((first >= low) & (first <= high))
    inner = q[2:-1]
    _, log_cdf, log_sf, _, back = columns(parameters, np.pad(first[2:-1], 1, "edge"), q)
    rtol = {"float64": 1e-11, "float32": 3e-5}[str(dtype)]
    np.testing.assert_allclose(np.exp(log_cdf)[1:6], inner, rtol)
    np.testing.assert_allclose(np.exp(log_cdf) + np.exp(log_sf), 1, rtol)
    np.testing.assert_allclose(back[2:-1], inner, rtol)
    if dtype == np.float64:
        # the integral of the density, and its first moments, by midpoints in the quantile
        points, log_prob, slope, mean, variance, entropy = summaries(list(map(float, parameters)))
        np.testing.assert_allclose(slope, np.exp(log_prob[::400]), 1e-10)
        # the midpoint rule leaves out what lies beyond the outermost quantiles
        if math.isfinite(low) and math.isfinite(high):
            np.testing.assert_allclose(points.mean(), mean, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(points.var(), variance, 1e-3)
            np.testing.assert_allclose(-log_prob.mean(), entropy, 1e-3)
    outside = np.array([low - 1, high + 1]).repeat(4)
    log_prob, log_cdf, log_sf, *_ = (c[::4] for c in columns(parameters, outside, q))
    for closed, where in ((math.isfinite(low), 0), (math.isfinite(high), 1)):
        if closed:
            assert log_prob[where] == -math.inf
            assert (log_cdf[where], log_sf[where]) == [(-math.inf, 0), (0, -math.inf)][where]


def gradients(dtype):
    def value(p, x):
        return TruncatedGeneralRobust(*p[:3], low=p[3], high=p[4]).log_prob(x)

    return jax.jit(jax.vmap(jax.value_and_grad(value), (None, 0))), jax.jit(
        jax.vmap(jax.hessian(value), (None, 0))
    )


@pytest.mark.parametrize("f", ["log_prob", "log_cdf", "log_sf", "icdf"])
def test_derivatives_agree_with_differences(f, x64):
    """Of first order in every parameter; the difference's truncation and rounding are 1e-8."""

    def value(p):
        d = TruncatedGeneralRobust(*p[:3], low=p[3], high=p[4])
        return getattr(d, f)(p[5])

    value, gradient = jax.jit(value), jax.jit(jax.grad(value))
    step = 1e-5 * np.eye(6)
    for alpha, low, high in ((-1.3, -3, 6), (-1.3, 1, 4), (-1.3, -5, -1), (0, -3, 6), (2.2, -3, 6)):
        for x in (0.03, 0.4, 0.98):
            at = jnp.array(
                [alpha, 0.2, 1.4, low, high, x if f == "icdf" else low + x * (high - low)]
            )
            difference = jnp.stack([(value(at + e) - value(at - e)) / 2e-5 for e in step])
            np.testing.assert_allclose(gradient(at), difference, rtol=1e-6, atol=1e-7)


def test_derivatives_are_numbers_everywhere(dtype):
    """No nan in value, gradient or Hessian where the log density is finite, alpha = 2 included."""
    first, second = gradients(dtype)
    alphas = [-math.inf, -1e6, -2.0, -1e-6, 0.0, 1e-6, 1.0, 2.0, 2 + 1e-6, 3.0, 1e6, math.inf]
    for low, high in ((-1.0, 2.0), (3.0, 5.0), (-4.0, -3.0), (0.0, 1.0), (-1e4, 1e4)):
        x = jnp.asarray(np.linspace(low, high, 5), dtype)
        for alpha in alphas:
            p = jnp.asarray([alpha, 0.0, 1.0, low, high], dtype)
            value, gradient = first(p, x)
            hessian = second(p, x)
            finite = np.isfinite(value)
            assert finite.any()
            assert not np.isnan(gradient[finite]).any(), (alpha, low)
            assert not np.isnan(hessian[finite]).any(), (alpha, low)


def test_draws_have_the_law_and_move_with_it(dtype):
    """KS at 1e-4 over 20,000 draws; same-key differences agree with the pathwise derivative."""
    key = jax.random.key(2)
    for parameters in CASES:
        d = law(parameters, dtype)
        x = d.sample(key, (20_000,))
        assert x.dtype == dtype
        assert jnp.isfinite(x).all()
        assert ((x >= d.low) & (x <= d.high)).all()
        assert scipy.stats.kstest(np.asarray(d.cdf(x), float), "uniform").pvalue > 1e-4, parameters
    if dtype == np.float64:

        def draws(alpha):
            return TruncatedGeneralRobust(alpha, 0.3, 1.4, low=-3.0, high=6.0).sample(key, (500,))

        slope = jax.jvp(draws, (jnp.asarray(-1.0),), (jnp.asarray(1.0),))[1]
        difference = (draws(-1 + 1e-4) - draws(-1 - 1e-4)) / 2e-4
        np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("alpha", math.nan, "invalid alpha"),
        ("loc", math.nan, "invalid loc"),
        ("scale", -1.0, "invalid scale"),
        ("low", math.nan, "invalid low"),
        ("low", 7.0, "low must lie below high"),
        ("low", -math.inf, "negative alpha needs a bounded window"),
    ],
)
def test_bad_parameters(name, value, message, dtype):
    """They raise under validation, and give nan without it or when traced."""
    good = dict(zip(NAMES, CASES[1], strict=True))
    bad = {**good, name: value}
    with pytest.raises(ValueError, match=message):
        TruncatedGeneralRobust(**bad, validate_args=True)
    d = TruncatedGeneralRobust(**bad, validate_args=False)
    for number in (d.log_prob(2.0), d.cdf(2.0), d.icdf(0.3), d.mean, d.variance, d.entropy()):
        assert jnp.isnan(number)
    traced = jax.jit(lambda p: TruncatedGeneralRobust(**p).log_prob(2.0))
    assert jnp.isnan(traced(bad))


def test_is_a_numpyro_distribution(dtype):
    """Batches, expands, passes through jit and vmap, and knows its support as a latent variable."""
    alpha = jnp.asarray([-2.0, 0.0, 1.5], dtype)
    d = TruncatedGeneralRobust(alpha, 0.0, 1.0, low=-3.0, high=jnp.asarray(5.0, dtype))
    assert d.batch_shape == (3,)
    assert d.sample(jax.random.key(0), (4, 2)).shape == (4, 2, 3)
    for value in (d.mean, d.variance, d.mode, d.entropy(), d.cdf(1.0), d.log_prob(1.0)):
        assert value.shape == (3,)
        assert value.dtype == dtype
    one = jax.jit(lambda d: d.log_prob(1.0))(d)
    np.testing.assert_allclose(one, d.log_prob(1.0), 1e-6)
    rows = jax.vmap(lambda a: TruncatedGeneralRobust(a, low=-3.0, high=5.0).log_prob(1.0))(alpha)
    np.testing.assert_allclose(rows, d.log_prob(1.0), 1e-6)
    assert d.expand((2, 3)).to_event(1).batch_shape == (2,)
    for low, high in ((-1.0, 2.0), (-math.inf, 2.0), (-1.0, math.inf), (-math.inf, math.inf)):
        one = TruncatedGeneralRobust(1.0, low=low, high=high)
        (leaf,) = jax.tree.leaves(jax.jit(lambda d: dist.biject_to(d.support)(0.3))(one))
        assert low < leaf < high
        assert one.support(1.0)


def test_negative_alpha_is_inferred():
    """NUTS moves across alpha = 0 and finds alpha = -2 and -0.5 within the 95 % interval."""

    def model(x):
        alpha = numpyro.sample("alpha", dist.Uniform(-8, 2))
        loc = numpyro.sample("loc", dist.Normal(0, 5))
        scale = numpyro.sample("scale", dist.HalfNormal(3))
        d = TruncatedGeneralRobust(alpha, loc, scale, low=-10.0, high=10.0)
        numpyro.sample("x", d, obs=x)

    mcmc = MCMC(
        NUTS(model),
        num_warmup=300,
        num_samples=300,
        num_chains=2,
        chain_method="vectorized",
        progress_bar=False,
    )
    for alpha in (-2.0, -0.5):
        truth = TruncatedGeneralRobust(alpha, 0.5, 0.7, low=-10.0, high=10.0)
        mcmc.run(jax.random.key(1), truth.sample(jax.random.key(7), (1000,)))
        draws = mcmc.get_samples(group_by_chain=True)
        low, high = np.quantile(draws["alpha"], [0.025, 0.975])
        assert low < alpha < high
        assert numpyro.diagnostics.split_gelman_rubin(draws["alpha"]) < 1.03
