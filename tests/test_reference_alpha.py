"""`ReferenceAlpha` is the reference prior, a proper distribution on any interval of alpha.

Stored values (``tests/reference/information.csv``) come from ball arithmetic; integrals are done
here by quadrature that knows only the density.
"""

from __future__ import annotations

import copy
import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.diagnostics import summary
from numpyro.distributions import biject_to, constraints
from numpyro.infer import MCMC, NUTS

from robust_dist import ReferenceAlpha

NAMES = ("low", "high")
INTERVALS = [(0.0, math.inf), (0.0, 2.0), (0.5, 3.0), (1.0, math.inf)]
OTHERS = [(0.0, 1e-3), (1.9, 2.1), (2.0, 2.5), (3.0, 40.0), (5.0, 1e6), (100.0, math.inf)]
EVERY = np.array(INTERVALS + OTHERS).T


@jax.jit
def log_prob(alpha, low=0.0, high=math.inf):
    return ReferenceAlpha(low, high).log_prob(alpha)


slope = jax.jit(jax.vmap(jax.grad(log_prob)))
curvature = jax.jit(jax.vmap(jax.grad(jax.grad(log_prob))))


@jax.jit
def both_ways(d, alpha):
    """Return the cdf, and the quantile there."""
    p = d.cdf(alpha)
    return p, d.icdf(p)


@pytest.fixture(scope="module")
def table(reference):
    return reference("information")


def in_dtype(rows, dtype):
    alpha = rows["alpha"]
    return alpha.astype(dtype) == alpha


def test_density(dtype, table, errors, assert_below):
    keep = in_dtype(table, dtype)
    alpha, truth = table["alpha"][keep], table["prior_pdf"][keep]
    computed = log_prob(jnp.asarray(alpha, dtype))
    assert computed.dtype == dtype
    # the table's error, and rounding of the logarithm, which reaches -56 at 1e12
    bound = {"float64": 2e-11, "float32": 5e-6}[str(dtype)]
    assert_below(errors(np.exp(np.float64(computed)), truth).relative, bound, alpha=alpha)
    # pi' is -31 at 0, and one-sided at the kink at 2: asked relative to pi
    truth = truth_of_slope(table)[keep]
    bound = {"float64": 1e-8, "float32": 2e-4}[str(dtype)]
    error = np.abs(slope(jnp.asarray(alpha, dtype)) - truth) / (1e-3 / (1 + alpha) + np.abs(truth))
    assert_below(np.asarray(error), bound, alpha=alpha)


def truth_of_slope(table):
    return (table["prior_slope"] / table["prior_pdf"]).astype(float)


def test_distribution_function(dtype, table, errors, assert_below):
    """It is right to a few roundings, relative to the tail that is small."""
    keep = in_dtype(table, dtype)
    alpha = jnp.asarray(table["alpha"][keep], dtype)
    bound = {"float64": 2e-14, "float32": 1e-6}[str(dtype)]
    below = errors(ReferenceAlpha().cdf(alpha), table["prior_cdf"][keep])
    assert_below(below.absolute, bound, alpha=table["alpha"][keep])
    small = table["alpha"][keep] < 0.01
    bound = {"float64": 5e-12, "float32": 1e-6}[str(dtype)]  # of the first cell
    assert_below(below.relative[small], bound, alpha=table["alpha"][keep][small])
    # above: the probability of [alpha, inf], that normalizes the prior there
    tail = np.exp(np.float64(log_prob(alpha)) - np.float64(log_prob(alpha, alpha)))
    # rounding of logarithms, up to 56 at 1e12
    bound = {"float64": 1e-13, "float32": 2e-5}[str(dtype)]
    error = errors(tail, table["prior_sf"][keep]).relative
    assert_below(error, bound, alpha=table["alpha"][keep])


def test_integrates_to_one(x64):
    """By Gauss-Legendre between the points where the density is not smooth, in log alpha above."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    total = 0.0
    # v = b^(1/4) next to 2, where the density goes like b^(3/2)
    for left, right, alpha, width in (
        (0, 0.2, lambda u: u, lambda u: 1),
        (0.2, 1, lambda u: u, lambda u: 1),
        (0, 1, lambda v: 2 - v**4, lambda v: 4 * v**3),
        (0, 1, lambda v: 2 + v**4, lambda v: 4 * v**3),
        (0, 5, lambda y: 3 * np.exp(y), lambda y: 3 * np.exp(y)),
        (5, 12, lambda y: 3 * np.exp(y), lambda y: 3 * np.exp(y)),
        (12, 32, lambda y: 3 * np.exp(y), lambda y: 3 * np.exp(y)),
    ):
        u = (left + right) / 2 + (right - left) / 2 * nodes
        total += (right - left) / 2 * np.sum(weights * np.exp(log_prob(alpha(u))) * width(u))
    assert total == pytest.approx(1, abs=1e-10)


def test_round_trip(dtype):
    """icdf(cdf) returns alpha <= 1e4, as far as the rounding of the cdf lets it."""
    alpha = np.concatenate(
        [[0, 1e-12, 1, 2, 3], np.linspace(0, 5, 301), np.logspace(-6, 4, 100)]
    ).astype(dtype)
    d = ReferenceAlpha(*np.asarray(INTERVALS[0], dtype))
    p, back = both_ways(d, alpha)
    assert back.dtype == dtype
    rounding = np.finfo(dtype).eps * np.exp(-log_prob(alpha))
    exact = {"float64": 1e-10, "float32": 1e-5}[str(dtype)] * alpha
    assert np.all(np.abs(back - alpha) <= exact + (2 if dtype == np.float64 else 8) * rounding)
    if dtype == np.float64:
        assert np.all(np.abs(back - alpha) <= 1e-10 * np.maximum(alpha, 1e-2))
    assert np.all(np.diff(p[np.argsort(alpha)]) >= 0)


@pytest.mark.parametrize("method", ["cdf", "icdf"])
def test_derivatives_of_cdf_and_quantile(method, x64):
    """By central differences, in value, low and high."""
    low, high = EVERY[:, [0, 2, 5, 6]]
    low, high = low + 0.01, np.where(high == math.inf, 30, high)

    @jax.jit
    def f(value, low, high):
        d = ReferenceAlpha(low, high)
        return d.icdf(value) if method == "icdf" else d.cdf(low + value * (high - low))

    point = [np.full(4, 0.37), low, high]
    gradients = jax.jit(jax.vmap(jax.grad(f, (0, 1, 2))))(*point)
    for axis in range(3):
        step = 1e-6 * (1 if axis == 0 else np.maximum(high - low, 1e-3))
        ends = []
        for sign in (-1, 1):
            moved = list(point)
            moved[axis] = moved[axis] + sign * step
            ends.append(f(*moved))
        difference = (ends[1] - ends[0]) / (2 * step)
        np.testing.assert_allclose(gradients[axis], difference, rtol=2e-5)


def test_slopes_are_those_of_the_density(x64):
    """Central differences, on both sides of the seams at 1 and 3 and of the kink at 2."""
    alpha = np.array([0.01, 0.5, 0.99, 1.01, 1.6, 1.97, 2.03, 2.6, 2.99, 3.01, 8.0, 1e3])
    step = 1e-5 * np.minimum(alpha, 1)
    for f, derivative, rtol in ((log_prob, slope, 1e-7), (slope, curvature, 1e-6)):
        difference = (f(alpha + step) - f(alpha - step)) / (2 * step)
        np.testing.assert_allclose(derivative(alpha), difference, rtol=rtol)


def test_kink_at_two(dtype):
    """The density is continuous there; its slope jumps from 2 pi'/pi = 3.99 to -6.60."""
    gap = {"float64": 1e-9, "float32": 2.0**-21}[str(dtype)]
    alpha = np.array([2 - gap, 2, 2 + gap], dtype)
    density = np.exp(log_prob(alpha))
    np.testing.assert_allclose(density, density[1], rtol=5e-6)
    assert density[1] == pytest.approx(0.2045445, rel=1e-5)
    # the one-sided slopes of the information, 0.200524 and -0.332075 of 0.0502754, halved
    expected = [0.2005236 / (2 * 0.05027541), -0.3320753 / (2 * 0.05027541)]
    np.testing.assert_allclose(slope(alpha)[np.array([0, 2])], expected, rtol=5e-3)
    assert np.isfinite(slope(alpha)).all()
    assert np.isfinite(curvature(alpha)).all()


@pytest.mark.slow
def test_parts_are_conditional(x64):
    """On [low, high] it is what the whole one is, given that alpha lies there."""
    low, high = EVERY
    whole, part = ReferenceAlpha(), ReferenceAlpha(low, high)
    p = np.array([0.05, 0.5, 0.95])[:, None]
    alpha = part.icdf(p)
    assert np.all((alpha > low) & (alpha < high))
    np.testing.assert_allclose(part.cdf(alpha), np.broadcast_to(p, alpha.shape), rtol=1e-9)
    share = whole.cdf(high) - whole.cdf(low)
    # these differences lose what 1 - cdf does
    lost = 1e-13 / share
    difference = part.log_prob(alpha) - (whole.log_prob(alpha) - np.log(share))
    assert np.all(np.abs(difference) <= lost)
    assert np.all(np.abs(p - (whole.cdf(alpha) - whole.cdf(low)) / share) <= lost)


def test_ends(dtype):
    low, high = EVERY.astype(dtype)
    d = ReferenceAlpha(low, high, validate_args=False)
    outside = np.array([low - 1, np.where(high < math.inf, high + 1, low - 2)])
    np.testing.assert_array_equal(d.icdf(dtype.type(0)), low)
    np.testing.assert_array_equal(d.icdf(dtype.type(1)), high)
    np.testing.assert_array_equal(d.cdf(low), 0)
    np.testing.assert_array_equal(d.cdf(high), 1)
    np.testing.assert_array_equal(d.cdf(outside)[0], 0)
    assert np.all(d.log_prob(outside) == -math.inf)
    assert np.isfinite(d.log_prob(low)).all()
    for value in (-0.1, 1.1, math.nan):
        assert np.isnan(d.icdf(dtype.type(value))).all()
    assert np.isnan(d.log_prob(dtype.type(math.nan))).all()


@pytest.mark.slow
def test_summaries(x64):
    """Mean, variance and entropy, against the quantile's average over equal shares."""
    low, high = np.array([*INTERVALS[1:3], *OTHERS[:4]]).T
    d = ReferenceAlpha(low, high)
    u = (np.arange(20_000)[:, None] + 0.5) / 20_000
    alpha = d.icdf(u)
    # the midpoint rule in u: the error is a share of the range over the square of the count
    np.testing.assert_allclose(d.mean, alpha.mean(0), rtol=1e-5)
    np.testing.assert_allclose(d.variance, alpha.var(0), rtol=2e-4)
    np.testing.assert_allclose(d.entropy(), -d.log_prob(alpha).mean(0), rtol=1e-5)
    whole = ReferenceAlpha(np.zeros(2), np.array([1e300, math.inf]))
    assert whole.mean[1] == whole.variance[1] == math.inf
    assert 100 < whole.mean[0] < 1000  # 0.486 log(1e300)
    np.testing.assert_allclose(whole.entropy(), 1.19279365907623, rtol=1e-9)


def test_draws(dtype):
    """Ranks of draws are uniform: Kolmogorov's distance to six standard errors' worth."""
    low, high = EVERY.astype(dtype)
    d = ReferenceAlpha(low, high, validate_args=True)
    draws = d.sample(jax.random.key(0), (20_000,))
    assert draws.dtype == dtype
    assert draws.shape == (20_000, low.size)
    assert np.isfinite(draws).all()
    assert np.all((draws >= low) & (draws <= high))
    ranks = np.sort(d.cdf(draws), axis=0)
    distance = np.abs(ranks - (np.arange(20_000)[:, None] + 0.5) / 20_000).max(0)
    assert distance.max() < 3 / math.sqrt(20_000)


# The way to the real line


@jax.jit
def transformed(low, high, z):
    """Return what belongs to every z and interval.

    alpha, z again, log d alpha/dz as told and as differentiated, the log density of z, its slope.
    """

    def one(low, high, z):
        d = ReferenceAlpha(low, high, validate_args=False)
        t = biject_to(d.support)

        def log_p(z):
            alpha = t(z)
            return d.log_prob(alpha) + t.log_abs_det_jacobian(z, alpha)

        alpha, slope = jax.value_and_grad(t)(z)
        told = t.log_abs_det_jacobian(z, alpha)
        return alpha, t.inv(alpha), told, jnp.log(slope), *jax.value_and_grad(log_p)(z)

    over_intervals = jax.vmap(one, (0, 0, None))
    return jax.vmap(over_intervals, (None, None, 0))(low, high, z)


def test_transform(dtype):
    """It is a bijection with the derivative it tells, under which every interval's prior is one."""
    low, high = EVERY.astype(dtype)
    z = np.linspace(-2.5, 2.5, 41).astype(dtype)
    alpha, back, told, derivative, log_p, _ = transformed(low, high, z)
    assert alpha.dtype == dtype
    assert np.all((alpha >= low) & (alpha <= high))
    # where alpha - low is small against low, rounding of alpha is all there is
    rounding = 8 * np.finfo(dtype).eps * alpha * np.exp(-told)
    assert np.all(np.diff(alpha, axis=0) > -rounding[1:])
    tolerance = {"float64": 1e-10, "float32": 1e-3}[str(dtype)]
    assert np.all(np.abs(back - z[:, None]) <= rounding + 0.02 * tolerance)
    np.testing.assert_allclose(told, derivative, rtol=tolerance, atol=tolerance)
    # the law of z is the same for every interval
    normal = dist.Normal(0, 1).log_prob(z)
    np.testing.assert_allclose(log_p, np.tile(normal[:, None], len(low)), atol=tolerance)


def test_transform_is_finite_far_out(dtype):
    """NUTS may try any z: nothing becomes nan, and the potential keeps pulling back."""
    z = np.resize(np.array([-1e3, -100, -30, -8, -4, 4, 8, 30, 100, 1e3], dtype), 41)
    low, high = EVERY.astype(dtype)
    alpha, _, _, _, _, slope = transformed(low, high, z)
    assert np.isfinite(alpha).all()
    assert np.isfinite(ReferenceAlpha(low, high, validate_args=False).log_prob(alpha)).all()
    assert np.all(np.sign(slope) == -np.sign(z)[:, None])


def test_ends_may_be_traced(dtype):
    """Low and high may be random themselves, batched or mapped over."""
    low, high = np.array([0, 0.5, 1], dtype), np.array([math.inf, 3, 2], dtype)
    z = np.array([0.3, -0.2, 1.0], dtype)

    def value(low, high, z):
        return biject_to(ReferenceAlpha(low, high).support)(z)

    mapped = jax.jit(jax.vmap(value))(low, high, z)
    rtol = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(value(low, high, z), mapped, rtol=rtol)
    for i in range(3):
        np.testing.assert_allclose(value(low[i], high[i], z[i]), mapped[i], rtol=rtol)


@pytest.mark.slow
def test_nuts_moves_easily():
    """The prior alone, on four intervals side by side: no divergence, and draws worth their number.

    On four standard Normal axes NUTS gets more than 0.7 effective draws from one; 0.5 is asked.
    """
    low, high = np.array(INTERVALS, np.float32).T

    def model():
        numpyro.sample("alpha", ReferenceAlpha(low, high))

    mcmc = MCMC(
        NUTS(model), num_warmup=500, num_samples=500, num_chains=4, chain_method="vectorized",
        progress_bar=False,
    )  # fmt: skip
    mcmc.run(jax.random.key(0))
    assert mcmc.get_extra_fields()["diverging"].sum() == 0
    u = np.asarray(ReferenceAlpha(low, high).cdf(mcmc.get_samples(group_by_chain=True)["alpha"]))
    found = summary({"u": u})["u"]
    assert (found["r_hat"] < 1.01).all()
    assert (found["n_eff"] > 1000).all()
    # and it is the prior: six standard errors of a uniform's mean and lower quarter
    error = 6 / np.sqrt(found["n_eff"])
    assert np.all(np.abs(u.mean((0, 1)) - 0.5) < error * math.sqrt(1 / 12))
    assert np.all(np.abs((u < 0.25).mean((0, 1)) - 0.25) < error * math.sqrt(3 / 16))


def test_feasible_value_is_the_median(dtype):
    support = ReferenceAlpha(*np.asarray((0.5, math.inf), dtype)).support
    feasible = support.feasible_like(np.zeros((3, 2), dtype))
    assert feasible.shape == (3, 2)
    assert ReferenceAlpha(0.5, math.inf).cdf(feasible[0, 0]) == pytest.approx(0.5, abs=1e-6)


# The protocol of a NumPyro distribution


def test_declares_its_parameters(dtype):
    d = ReferenceAlpha(*np.asarray((0.5, 3.0), dtype), validate_args=True)
    assert tuple(d.arg_constraints) == tuple(d.reparametrized_params) == NAMES
    assert tuple(inspect.signature(ReferenceAlpha).parameters) == (*NAMES, "validate_args")
    assert tuple(d.get_args()) == NAMES
    for method in ("mean", "variance"):
        assert getattr(d, method).shape == ()
    d.entropy(), d.cdf(1.0), d.log_prob(1.0)
    assert set(vars(d)) == {*NAMES, "_batch_shape", "_event_shape", "_validate_args"}
    assert constraints.is_dependent(ReferenceAlpha.support)
    assert d.support(1.0)
    assert not d.support(3.5)
    assert d.has_rsample


def test_is_a_pytree(dtype):
    d = ReferenceAlpha(np.zeros(2, dtype), dtype.type(3), validate_args=True)
    leaves, treedef = jax.tree.flatten(d)
    assert len(leaves) == 2
    for other in (
        jax.tree.unflatten(treedef, leaves),
        jax.jit(lambda d: d)(d),
        copy.deepcopy(d),
        pickle.loads(pickle.dumps(d)),
    ):
        assert other.batch_shape == (2,)
        assert all(np.array_equal(getattr(d, n), getattr(other, n)) for n in NAMES)
    t = biject_to(d.support)
    assert jax.jit(lambda t: t)(t) == t
    assert t != biject_to(ReferenceAlpha(0.0, 2.0).support)
    assert t.inv.inv is t


def test_shapes(dtype):
    d = ReferenceAlpha(np.zeros((2, 1), dtype), np.array([2, 3, math.inf], dtype))
    assert d.batch_shape == (2, 3)
    for method, shape in (
        (lambda: d.mean, (2, 3)),
        (lambda: d.variance, (2, 3)),
        (d.entropy, (2, 3)),
        (lambda: d.log_prob(1.0), (2, 3)),
        (lambda: d.cdf(1.0), (2, 3)),
        (lambda: d.icdf(0.5), (2, 3)),
        (lambda: d.sample(jax.random.key(0), (4,)), (4, 2, 3)),
        (lambda: d.expand((5, 2, 3)).sample(jax.random.PRNGKey(0)), (5, 2, 3)),
        (lambda: d.to_event(1).log_prob(np.ones((2, 3), dtype)), (2,)),
    ):
        value = jax.eval_shape(method)
        assert (value.shape, value.dtype) == (shape, dtype)
    assert ReferenceAlpha.infer_shapes((3,), ()) == ((3,), ())


def test_precision_is_kept(x64):
    d = ReferenceAlpha(np.float32(0), np.float32(2))
    assert d.log_prob(np.float32(1)).dtype == jnp.float32
    assert d.sample(jax.random.key(0)).dtype == jnp.float32
    assert ReferenceAlpha().log_prob(np.float32(1)).dtype == jnp.float32
    assert ReferenceAlpha(0, 2).log_prob(1) == ReferenceAlpha(0.0, 2.0).log_prob(1.0)


@pytest.mark.parametrize(
    ("low", "high", "match"),
    [
        (-0.1, 2.0, "invalid low"),
        (math.nan, 2.0, "invalid low"),
        (0.0, 0.0, "invalid high"),
        (2.0, 1.0, "not below high"),
        (1.0, 1.0, "not below high"),
    ],
)
def test_bad_parameters(low, high, match, dtype):
    low, high = np.asarray((low, high), dtype)
    with pytest.raises(ValueError, match=match):
        ReferenceAlpha(low, high, validate_args=True)
    d = ReferenceAlpha(low, high, validate_args=False)
    assert np.isnan(d.log_prob(high))


def test_values_outside_the_support_warn(dtype):
    d = ReferenceAlpha(*np.asarray((0.5, 3.0), dtype), validate_args=True)
    with pytest.warns(UserWarning, match="Out-of-support"):
        assert d.log_prob(dtype.type(0.2)) == -math.inf


def test_is_no_uniform():
    """It is not: the half of the mass lies below 0.69, a fifth of it above 2."""
    d = ReferenceAlpha()
    assert d.cdf(2.0) == pytest.approx(0.8105234, abs=1e-6)
    assert d.cdf(1.0) == pytest.approx(0.6088398, abs=1e-6)
    assert isinstance(d, dist.Distribution)
