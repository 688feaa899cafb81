"""The law on a window: against stored truth, NumPyro's truncated Normal, and itself.

The normalizer's references are Arb integrals at inputs exact in float32 (``tests/reference``).
"""

import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.integrate
import scipy.stats
from numpyro.infer import MCMC, NUTS, Predictive
from numpyro.infer.util import potential_energy

from robust_dist import GeneralRobust, TruncatedGeneralRobust
from robust_dist._numerics.window.mass import Bounds, excess, log_mass

NAMES = ("alpha", "loc", "scale", "low", "high")
# (alpha, loc, scale, low, high): around loc, to its right and left, wide, far, half-open
CASES = [
    (-math.inf, 0.3, 1.4, -3.0, 6.0),
    (-2.0, 0.3, 1.4, 1.0, 4.0),
    (-0.5, 0.3, 1.4, -5.0, -1.0),
    (-1e-3, 0.0, 1.0, -500.0, 800.0),
    (0.5, 0.0, 1.0, 1024.0, 1025.0),
    (0.0, 0.3, 1.4, -2.0, 3.0),
    (1.3, 0.3, 1.4, -1.0, math.inf),
    (2.0, 0.3, 1.4, -math.inf, 0.1),
    (2.7, 0.3, 1.4, -1.0, 2.0),
    (math.inf, 0.3, 1.4, 0.0, math.inf),
]


drop = jax.jit(excess)


def law_of(p):
    # values outside of the window are asked for on purpose
    return TruncatedGeneralRobust(*p[:3], low=p[3], high=p[4], validate_args=False)


def laws(dtype):
    """Return the cases as one batch."""
    return law_of([jnp.asarray(column, dtype) for column in zip(*CASES, strict=True)])


def test_normalizer(dtype, reference, errors, assert_below):
    """A relative 1e-12 is wanted of the mass; of its logarithm that is the same, absolute."""
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


@pytest.mark.parametrize("alpha", [-math.inf, -100.0, -2.0, -1e-3, 0.0, 0.3, 1.0, 1.99, 2.0, 2.1])
def test_density_keeps_its_digits_far_out(alpha, dtype, errors, assert_below):
    """rho(u0 + t) - rho(u0) relative to its own size, where either loss may be far larger."""
    alpha, u0 = dtype.type(alpha), np.repeat(dtype.type([0, 0.3, 30, 1e3]), 6)
    t = np.tile(dtype.type([1e-6, 1e-3, 0.5, 3, 40, 1e6]), 4)
    wide = [(mpmath.mpf(float(u)), mpmath.mpf(float(v))) for u, v in zip(u0, t, strict=True)]
    with mpmath.workdps(60):
        a = mpmath.mpf(float(alpha))

        def loss(x):
            if a in (0, 2, -math.inf):
                return {0: mpmath.log1p(x**2 / 2), 2: x**2 / 2}.get(a, -mpmath.expm1(-(x**2) / 2))
            b = abs(a - 2)
            return b / a * ((1 + x**2 / b) ** (a / 2) - 1)

        truth = np.array([loss(u + v) - loss(u) for u, v in wide])
    value = np.asarray(drop(t, u0, alpha))
    keep = np.array([mpmath.mpf("1e-30") < d < mpmath.mpf("1e30") for d in truth])
    # exp(w0) and (1 + q)^k each lose the size of their exponent in places, at most 70 here
    bound = 200 * np.finfo(dtype).eps
    assert_below(errors(value[keep], truth[keep]).relative, bound, u0=u0[keep], t=t[keep])


@pytest.mark.slow
def test_normal_member_is_numpyros_truncated_normal(dtype):
    windows = ((-1.0, 4.0), (2.0, 3.0), (-1.0, None), (None, 0.5))
    low = jnp.asarray([-math.inf if a is None else a for a, _ in windows], dtype)
    high = jnp.asarray([math.inf if b is None else b for _, b in windows], dtype)
    d = TruncatedGeneralRobust(jnp.asarray(2, dtype), 0.3, 1.7, low=low, high=high)
    loc = jnp.asarray(0.3, dtype)
    normals = [dist.TruncatedNormal(loc, 1.7, low=a, high=b) for a, b in windows]
    q = jnp.linspace(0.01, 0.99, 9).astype(dtype)
    x = jnp.stack([normal.icdf(q) for normal in normals], 1)
    rtol = {"float64": 1e-11, "float32": 2e-5}[str(dtype)]
    log_prob = jnp.stack([n.log_prob(c) for n, c in zip(normals, x.T, strict=True)], 1)
    np.testing.assert_allclose(d.log_prob(x), log_prob, rtol, atol=rtol)
    np.testing.assert_allclose(d.cdf(x), jnp.broadcast_to(q[:, None], x.shape), rtol)
    np.testing.assert_allclose(d.icdf(q[:, None]), x, rtol, atol=rtol)
    np.testing.assert_allclose(d.mean, [n.mean for n in normals], 10 * rtol)
    np.testing.assert_allclose(d.variance, [n.variance for n in normals], 10 * rtol)


@pytest.mark.slow
def test_open_ends_give_the_whole_law(dtype):
    """Open on both sides it is GeneralRobust; on one, GeneralRobust given the side."""
    whole = GeneralRobust(jnp.asarray([0.0, 0.5, 1.0, 2.5, math.inf], dtype), 0.3, 1.7)
    x = jnp.linspace(-1, 4, 7).astype(dtype)[:, None]
    q = jnp.linspace(0.05, 0.95, 7).astype(dtype)[:, None]
    rtol = {"float64": 1e-11, "float32": 1e-4}[str(dtype)]
    both = TruncatedGeneralRobust(whole.alpha, 0.3, 1.7, low=-math.inf, high=math.inf)
    np.testing.assert_allclose(both.log_prob(x), whole.log_prob(x), rtol, atol=rtol)
    np.testing.assert_allclose(both.icdf(q), whole.icdf(q), rtol, atol=rtol)
    np.testing.assert_allclose(both.entropy(), whole.entropy(), rtol)
    np.testing.assert_allclose(both.mean, whole.mean, rtol, atol=rtol)
    np.testing.assert_allclose(both.variance, whole.variance, rtol)
    half = TruncatedGeneralRobust(whole.alpha, 0.3, 1.7, low=-1.0, high=math.inf)
    given = whole.log_sf(jnp.asarray(-1, dtype))
    np.testing.assert_allclose(half.log_prob(x), whole.log_prob(x) - given, rtol, atol=rtol)
    np.testing.assert_allclose(half.log_sf(x), whole.log_sf(x) - given, rtol, atol=rtol)
    assert half.mean[0] == half.variance[0] == math.inf
    # far out in the open tail, and at the smallest probabilities
    far = jnp.asarray(25.0, dtype)
    np.testing.assert_allclose(half.log_sf(far)[:3], (whole.log_sf(far) - given)[:3], rtol)
    small = {"float64": 1e-290, "float32": 1e-35}[str(dtype)]
    left = TruncatedGeneralRobust(whole.alpha, 0.3, 1.7, low=-math.inf, high=0.3)
    q = jnp.asarray(small, dtype)
    np.testing.assert_allclose(left.icdf(q)[1:], whole.icdf(q / 2)[1:], rtol)


@pytest.mark.slow
def test_surface_is_of_one_law(dtype):
    """Density, cdf, both tails and quantile agree with one another, at ends and outside as well."""
    d = laws(dtype)
    q = jnp.asarray([1e-30, 1e-6, 0.01, 0.2, 0.5, 0.8, 0.99], dtype)[:, None]
    x = d.icdf(q)
    assert jnp.all(jnp.diff(x, axis=0) >= 0)
    assert jnp.all((x >= d.low) & (x <= d.high))
    inner, q = x[2:], jnp.broadcast_to(q[2:], x[2:].shape)
    log_cdf, log_sf = d.log_cdf(inner), d.log_sf(inner)
    # at 1024 a float32's last place is a 1e-4 of the window
    rtol = np.where(np.arange(len(CASES)) == 4, 2e-2, 3e-5) if dtype == np.float32 else 1e-11
    close = lambda a, b: np.all(np.abs(np.asarray(a) - np.asarray(b)) <= rtol * np.abs(b))  # noqa: E731
    assert close(jnp.exp(log_cdf), q)
    assert close(jnp.exp(log_cdf) + jnp.exp(log_sf), jnp.ones_like(q))
    np.testing.assert_array_equal(d.icdf(jnp.asarray(0, dtype)), d.low)
    np.testing.assert_array_equal(d.icdf(jnp.asarray(1, dtype)), d.high)
    assert jnp.isnan(d.icdf(jnp.asarray([-0.1, 1.1], dtype)[:, None])).all()
    ends = jnp.stack([d.low - 1, d.high + 1])
    finite = np.isfinite(np.asarray(ends))
    for values, below, above in (
        (d.log_prob(ends), -math.inf, -math.inf),
        (d.log_cdf(ends), -math.inf, 0),
        (d.log_sf(ends), 0, -math.inf),
    ):
        expected = np.broadcast_to(np.array([[below], [above]]), ends.shape)
        np.testing.assert_array_equal(np.asarray(values)[finite], expected[finite])


@pytest.mark.slow
def test_moments_and_entropy(x64):
    """The density integrates to 1, and its moments and entropy are the properties; Simpson's rule.

    The grid is even in asinh about loc, out to where the mass is below 1e-15.
    """
    d = laws(np.float64)
    loc = np.asarray(d.loc)
    reach = np.arcsinh(np.array([400.0] * 6 + [60.0] * 4))
    ends = [np.asarray(end) - loc for end in (d.low, d.high)]
    low, high = (np.clip(np.arcsinh(end), -9, 9) for end in ends)
    low, high = (
        np.where(np.isfinite(e), g, np.clip(g, -reach, reach))
        for e, g in zip(ends, (low, high), strict=True)
    )
    v = np.linspace(low, high, 8001)
    x = loc + np.sinh(v)
    x = np.clip(x, np.asarray(d.low), np.asarray(d.high))
    log_p = np.maximum(d.log_prob(x), -1e300)
    weight = np.exp(log_p) * np.cosh(v)

    def integral(f):
        return scipy.integrate.simpson(np.where(weight > 0, weight * f, 0), x=v, axis=0)

    np.testing.assert_allclose(integral(1), 1, 1e-9)
    mean = integral(x)
    np.testing.assert_allclose(mean, d.mean, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(integral((x - mean) ** 2), d.variance, 1e-7)
    np.testing.assert_allclose(-integral(log_p), d.entropy(), rtol=1e-8, atol=1e-9)
    # float32 of the same
    mean, variance, entropy = (np.asarray(part) for part in (d.mean, d.variance, d.entropy()))
    with jax.enable_x64(False):
        low_precision = laws(np.float32)
        np.testing.assert_allclose(low_precision.mean, mean, rtol=2e-5, atol=2e-5)
        np.testing.assert_allclose(low_precision.variance, variance, 1e-4)
        np.testing.assert_allclose(low_precision.entropy(), entropy, rtol=2e-5, atol=2e-5)


@pytest.mark.slow
def test_derivatives_agree_with_differences(x64):
    """Of first order in every parameter; the difference's truncation and rounding are 1e-8."""

    def value(p):
        d = law_of(p)
        return jnp.stack([d.log_prob(p[5]), d.log_cdf(p[5]), d.log_sf(p[5]), d.icdf(p[6])])

    windows = ((-1.3, -3, 6), (-1.3, 1, 4), (-1.3, -5, -1), (0, -3, 6), (2.2, -3, 6))
    at = jnp.array(
        [
            [alpha, 0.2, 1.4, low, high, low + share * (high - low), share]
            for alpha, low, high in windows
            for share in (0.03, 0.4, 0.98)
        ]
    )
    step = 1e-5 * jnp.eye(7)
    value, gradient = jax.jit(jax.vmap(value)), jax.jit(jax.vmap(jax.jacrev(value)))
    around = (at[:, None, None] + jnp.stack([step, -step])).reshape(-1, 7)
    up, down = jnp.moveaxis(value(around).reshape(len(at), 2, 7, 4), 1, 0)
    difference = jnp.swapaxes((up - down) / 2e-5, 1, 2)
    np.testing.assert_allclose(gradient(at), difference, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_derivatives_are_numbers_everywhere(dtype):
    """No nan in value, gradient or Hessian where the log density is finite, alpha = 2 included."""

    @jax.jit
    @jax.vmap
    def everything(p, x):
        def value(p, x):
            return law_of(p).log_prob(x)

        value, gradient, hessian = (
            f(p, x) for f in (value, jax.grad(value, (0, 1)), jax.hessian(value, (0, 1)))
        )
        return (
            value,
            jnp.hstack(gradient),
            jnp.hstack([part.ravel() for row in hessian for part in row]),
        )

    alphas = [-math.inf, -1e6, -2.0, -1e-6, 0.0, 1e-6, 1.0, 2.0, 2 + 1e-6, 3.0, 1e6, math.inf]
    windows = ((-1, 2), (3, 5), (-4, -3), (0, 1), (-1e4, 1e4), (1e6, 1e6 + 1))
    rows = [
        ([alpha, 0.0, 1.0, low, high], low + share * (high - low))
        for alpha in alphas
        for low, high in windows
        for share in (0, 0.25, 0.5, 1)
    ]
    rows += [
        ([alpha, 0.0, 1.0, low, high], 0.7)
        for alpha in alphas
        for low, high in ((-math.inf, 2.0), (-1.0, math.inf), (-math.inf, math.inf))
        if alpha >= 0
    ]
    p, x = (jnp.asarray(column, dtype) for column in zip(*rows, strict=True))
    value, gradient, hessian = everything(p, x)
    finite = np.isfinite(np.asarray(value))
    assert finite.mean() > 0.8
    for derivative in (gradient, hessian):
        wrong = np.isnan(np.asarray(derivative)).any(1) & finite
        assert not wrong.any(), np.asarray(p)[wrong]


@pytest.mark.slow
def test_draws_have_the_law_and_move_with_it(dtype):
    """KS at 1e-4 over 20,000 draws; same-key differences agree with the pathwise derivative."""
    key = jax.random.key(2)
    d = laws(dtype)
    x = d.sample(key, (20_000,))
    assert x.dtype == dtype
    assert jnp.isfinite(x).all()
    assert ((x >= d.low) & (x <= d.high)).all()
    p = scipy.stats.kstest(np.asarray(d.cdf(x), float), "uniform", axis=0).pvalue
    assert np.all(p > 1e-4), p
    if dtype == np.float64:

        @jax.jit
        def draws(alpha):
            return TruncatedGeneralRobust(alpha, 0.3, 1.4, low=-3.0, high=6.0).sample(key, (500,))

        slope = jax.jit(jax.jacfwd(draws))(jnp.asarray(-1.0))
        difference = (draws(-1 + 1e-4) - draws(-1 - 1e-4)) / 2e-4
        np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-6)


GOOD = dict(zip(NAMES, (-2.0, 0.3, 1.4, 1.0, 4.0), strict=True))
BAD = [
    ("alpha", math.nan, "invalid alpha"),
    ("loc", math.nan, "invalid loc"),
    ("scale", -1.0, "invalid scale"),
    ("low", math.nan, "invalid low"),
    ("low", 7.0, "low must lie below high"),
    ("low", -math.inf, "negative alpha needs a bounded window"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD)
def test_bad_parameters_raise(name, value, message):
    with pytest.raises(ValueError, match=message):
        TruncatedGeneralRobust(**{**GOOD, name: value}, validate_args=True)


@pytest.mark.slow
def test_bad_parameters_give_nan(dtype):
    """In every function and at every point, below, inside and above what were the ends."""

    @jax.jit
    def values(p):
        d = TruncatedGeneralRobust(**p)
        x = jnp.asarray([[0.0], [2.0], [9.0]], dtype)
        q = jnp.asarray([[0.0], [0.3], [1.0]], dtype)
        of_points = jnp.stack([d.log_prob(x), d.cdf(x), d.log_cdf(x), d.log_sf(x), d.icdf(q)])
        return of_points, jnp.stack([d.mean, d.variance, d.mode, d.entropy()])

    rows = [GOOD] + [{**GOOD, name: value} for name, value, _ in BAD]
    p = {name: jnp.asarray([row[name] for row in rows], dtype) for name in NAMES}
    for value in values(p):
        np.testing.assert_array_equal(np.isnan(value[..., 1:]), True)
        np.testing.assert_array_equal(np.isnan(value[..., 0]), False)


@pytest.mark.slow
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


@pytest.mark.parametrize(("alpha", "high"), [(-0.5, 4.0), (1.0, math.inf)])
def test_is_a_latent_variable(alpha, high):
    """Prior predictive draws and the potential's gradient, with a bounded and an open window."""

    def model():
        a = numpyro.sample("a", dist.Uniform(alpha - 0.1, alpha + 0.1))
        numpyro.sample("z", TruncatedGeneralRobust(a, 0.0, 1.0, low=1.0, high=high))

    draws = Predictive(model, num_samples=20)(jax.random.key(0))["z"]
    assert jnp.all((draws >= 1) & (draws <= high))
    unconstrained = {"a": 0.1, "z": 0.2}
    value, slope = jax.jit(jax.value_and_grad(lambda z: potential_energy(model, (), {}, z)))(
        unconstrained
    )
    assert np.isfinite([value, *slope.values()]).all()


@pytest.mark.slow
def test_negative_alpha_is_inferred():
    """NUTS moves across alpha = 0 and finds alpha = -2 and -0.5 within the 95 % interval."""

    def model(x):
        alpha = numpyro.sample("alpha", dist.Uniform(-8, 2))
        loc = numpyro.sample("loc", dist.Normal(0, 5))
        scale = numpyro.sample("scale", dist.HalfNormal(3))
        d = TruncatedGeneralRobust(alpha, loc, scale, low=-10.0, high=10.0)
        numpyro.sample("x", d, obs=x)

    for alpha in (-2.0, -0.5):
        # one each, because NumPyro's vectorised chains run once only
        mcmc = MCMC(
            NUTS(model),
            num_warmup=300,
            num_samples=300,
            num_chains=2,
            chain_method="vectorized",
            progress_bar=False,
        )
        truth = TruncatedGeneralRobust(alpha, 0.5, 0.7, low=-10.0, high=10.0)
        mcmc.run(jax.random.key(1), truth.sample(jax.random.key(7), (1000,)))
        draws = mcmc.get_samples(group_by_chain=True)
        low, high = np.quantile(draws["alpha"], [0.025, 0.975])
        assert low < alpha < high
        assert numpyro.diagnostics.split_gelman_rubin(draws["alpha"]) < 1.03


# (alpha, low, high): the loss rises so steeply from the near end that its factor leaves the format
SPIKES = [
    (alpha, *window)
    for alpha in (100.0, 1e3, 1e6, 1e30, math.inf)
    for window in ((100.0, 101.0), (1e3, 1e3 + 1), (1e6, 2e6), (-2e6, -1e6), (40.0, 1e3))
]


def log_rate(alpha, near):
    """Return log psi at the near end, which is the log density there; mpmath."""
    u = mpmath.mpf(near)
    if alpha == math.inf:
        return mpmath.log(u) + u**2 / 2
    a = mpmath.mpf(alpha)
    return mpmath.log(u) + (a / 2 - 1) * mpmath.log1p(u**2 / (a - 2))


def test_a_spike_is_an_exponential_law_at_the_near_end(dtype):
    """Density, both tails, quantiles, moments, entropy and draws, against log psi in mpmath.

    The law's width exp(-log psi) may be no number; all that is seen of it are logarithms.
    """
    alpha, low, high = (np.asarray(column, dtype) for column in zip(*SPIKES, strict=True))
    near = np.where(low > 0, low, high)
    with mpmath.workdps(40):
        rate = [log_rate(float(a), abs(float(u))) for a, u in zip(alpha, near, strict=True)]
    rate = np.array([float(value) for value in rate])
    rtol = 50 * np.finfo(dtype).eps

    @jax.jit
    def surface(alpha, low, high, near):
        d = law_of([alpha, 0.0, 1.0, low, high])
        middle = 0.5 * (low + high)
        q = jnp.asarray([[0.3], [0.99]], dtype)
        return (
            d.log_prob(jnp.stack([near, middle])),
            jnp.stack([d.log_cdf(middle), d.log_sf(middle)]),
            jnp.stack([d.mean, *d.icdf(q), *d.sample(jax.random.key(0), (20,))]),
            d.variance,
            d.entropy(),
        )

    log_prob, log_tails, points, variance, entropy = surface(alpha, low, high, near)
    np.testing.assert_allclose(log_prob[0], rate, rtol)
    assert (log_prob[1] < -1e4).all()
    beyond, within = np.where(low > 0, log_tails[::-1], log_tails)
    assert (beyond < -1e4).all()
    np.testing.assert_array_equal(within, 0)
    np.testing.assert_array_equal(points, np.broadcast_to(near, points.shape))
    np.testing.assert_allclose(variance, np.exp(-2 * rate).astype(dtype), rtol=1e-2, atol=1e-36)
    np.testing.assert_allclose(entropy, 1 - rate, rtol)


@pytest.mark.slow
def test_derivatives_of_a_spike_are_numbers_or_signed_infinities(dtype):
    """At the near end log p = log psi(near): the slope in alpha and the scale is that of log psi.

    In x and the near end it overflows: the density falls from the end, and rises as the end moves.
    """
    alpha, low, high = (np.asarray(column, dtype) for column in zip(*SPIKES, strict=True))
    near = np.where(low > 0, low, high)

    @jax.jit
    @jax.vmap
    def slopes(alpha, low, high, x):
        def value(alpha, loc, scale, low, high, x):
            return law_of([alpha, loc, scale, low, high]).log_prob(x)

        zero, one = jnp.zeros_like(x), jnp.ones_like(x)
        at = (alpha, zero, one, low, high, x)
        return jax.grad(value, range(6))(*at), jax.hessian(value, range(6))(*at)

    gradient, hessian = slopes(alpha, low, high, near)
    for part in jax.tree.leaves((gradient, hessian)):
        assert not jnp.isnan(part).any()
    in_alpha, _, in_scale, in_low, in_high, in_x = (np.asarray(part) for part in gradient)
    right = low > 0
    assert (np.where(right, -in_x, in_x) > 1e30).all()
    assert (np.where(right, in_low, -in_high) > 1e30).all()
    size, finite = np.abs(near.astype(float)), alpha < 1e10
    y = size[finite] ** 2 / (alpha[finite].astype(float) - 2)
    expected = 0.5 * (np.log1p(y) - y / (1 + y))
    np.testing.assert_allclose(in_alpha[finite], expected, rtol=2e-2, atol=1e-6)
    # -u psi'/psi, less 1 for log c
    gap = np.minimum(alpha.astype(float), 1e200) - 2
    bending = gap * (size**2 / (gap + size**2))
    np.testing.assert_allclose(in_scale, -2 - bending, 1e-4)


def test_half_lines_far_out(dtype):
    """Of any alpha: the law beyond -30 at infinity, and both tails where they overflow."""
    infinity = np.asarray(math.inf, dtype)
    d = law_of([infinity, 0.0, 1.0, -math.inf, np.asarray(-30.0, dtype)])
    expected = 450 + math.log(30)
    np.testing.assert_allclose(d.log_prob(np.asarray(-30.0, dtype)), expected, rtol=1e-6)
    assert d.mean == d.sample(jax.random.key(1)) == -30
    alpha = np.asarray([100.0, 1e6, math.inf], dtype)
    line = law_of([alpha, 0.0, 1.0, -math.inf, math.inf])
    far = np.asarray(1e5, dtype)
    np.testing.assert_array_equal(line.log_sf(far), -math.inf)
    np.testing.assert_array_equal(line.log_cdf(-far), -math.inf)
    np.testing.assert_array_equal(line.log_cdf(far), 0)


@pytest.mark.parametrize("alpha", [-2.0, 0.5, 2.5, math.inf])
def test_a_window_hardly_wider_than_the_smallest_number_is_uniform(alpha, dtype):
    """No node of a quadrature is a number there, but the law is."""
    width = np.finfo(dtype).tiny * dtype.type(64)
    d = law_of([np.asarray(alpha, dtype), 0.0, 1.0, np.zeros((), dtype), width])
    share = np.asarray([0.25, 0.5, 0.75], dtype)
    rtol = {"float64": 1e-9, "float32": 1e-4}[str(dtype)]
    np.testing.assert_allclose(d.icdf(share) / width, share, rtol)
    np.testing.assert_allclose(d.cdf(share * width), share, rtol)
    np.testing.assert_allclose(d.log_prob(share * width), -math.log(float(width)), rtol)
    np.testing.assert_allclose(d.entropy(), math.log(float(width)), rtol)
    np.testing.assert_allclose(d.mean / width, 0.5, 1e-2)
