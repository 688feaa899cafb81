"""`AsymmetricGeneralRobust`: the two-piece law, against mpmath, its symmetric member and itself."""

from __future__ import annotations

import math
import pickle

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from robust_dist import AsymmetricGeneralRobust, GeneralRobust

NAMES = ("alpha", "loc", "scale_left", "scale_right")
METHODS = ("mean", "variance", "mode", "log_prob", "sample", "cdf", "log_cdf", "log_sf", "icdf")
PARAMETERS = (1.3, 0.5, 2.0, 5.0)
X = np.concatenate([np.linspace(-30, 40, 15), [0.5, 0.5 - 1e-6, 0.5 + 1e-6]])


def make(dtype, parameters=PARAMETERS, **options):
    return AsymmetricGeneralRobust(*(np.asarray(p, dtype) for p in parameters), **options)


def call(d, method):
    if method == "sample":
        return d.sample(jax.random.key(0))
    member = getattr(d, method)
    return member(0.3) if method in ("log_prob", "cdf", "log_cdf", "log_sf", "icdf") else member


@jax.jit
def everything(d, x, q):
    """Return all functions of the value at once."""
    return d.log_prob(x), d.cdf(x), d.log_cdf(x), d.log_sf(x), d.icdf(q)


@pytest.mark.slow
def test_equal_scales_are_the_symmetric_law(dtype):
    """To the last places: the formulas are the same."""
    parameters = np.array([1.3, 0.5, 2.0], dtype)
    two, one = AsymmetricGeneralRobust(*parameters, parameters[2]), GeneralRobust(*parameters)
    x, q = X.astype(dtype), np.linspace(0.01, 0.99, 9).astype(dtype)
    eps = float(np.finfo(dtype).eps)
    tight = {"rtol": 8 * eps, "atol": eps}
    for left, right in zip(everything(two, x, q), everything(one, x, q), strict=True):
        np.testing.assert_allclose(left, right, **tight)
    for moment in ("mean", "variance", "mode"):
        np.testing.assert_allclose(getattr(two, moment), getattr(one, moment), **tight)
    np.testing.assert_allclose(two.entropy(), one.entropy(), **tight)
    key = jax.random.key(4)
    loose = {"rtol": 2500 * eps}  # two compilations of one table
    np.testing.assert_allclose(two.sample(key, (9,)), one.sample(key, (9,)), **loose)


def test_two_piece_normal(dtype, errors, assert_below):
    """At alpha = 2, against the closed forms of Wallis (2014) in mpmath."""
    loc, left, right = 0.5, 2.0, 5.0
    d = make(dtype, (2.0, loc, left, right))
    x = X.astype(dtype)
    q = np.array([1e-20, 0.01, 0.28, 0.3, 0.9], dtype)
    log_p, cdf, log_cdf, log_sf, _ = everything(d, x, q)
    total = mpmath.mpf(left + right)
    truth = {"log_p": [], "below": [], "above": []}
    for value in x.tolist():
        z = (mpmath.mpf(value) - loc) / (left if value < loc else right)
        truth["log_p"].append(-z * z / 2 - mpmath.log(total * mpmath.sqrt(mpmath.pi / 2)))
        side = (left if value < loc else right) / total
        tail = side * mpmath.erfc(abs(z) / mpmath.sqrt(2))
        truth["below"].append(tail if value < loc else 1 - tail)
        truth["above"].append(1 - tail if value < loc else tail)
    eps = float(np.finfo(dtype).eps)
    below, above = np.array(truth["below"]), np.array(truth["above"])
    log = np.vectorize(mpmath.log, otypes=[object])
    # of the cdf the bounds of test_tail, and of a logarithm ten and twenty times those
    assert_below(errors(cdf, below).absolute, {"float64": 1e-13, "float32": 5e-7}[str(dtype)], x=x)
    bound = {"float64": 1e-12, "float32": 1e-5}[str(dtype)]
    for computed, exact in [(log_p, truth["log_p"]), (log_cdf, log(below)), (log_sf, log(above))]:
        exact = np.array(exact)
        size = 1 + np.abs(exact.astype(float))
        assert_below(errors(computed, exact).absolute / size, bound, x=x)
    first, second = mpmath.sqrt(2 / mpmath.pi), mpmath.mpf(1)
    mean = loc + (right - left) * first
    variance = left * right * second + (right - left) ** 2 * (second - first**2)
    np.testing.assert_allclose(d.mean, float(mean), rtol=100 * eps)
    np.testing.assert_allclose(d.variance, float(variance), rtol=100 * eps)
    entropy = float(mpmath.log(total / 2 * mpmath.sqrt(2 * mpmath.pi * mpmath.e)))
    np.testing.assert_allclose(d.entropy(), entropy, rtol=100 * eps)


@pytest.mark.slow
def test_functions_belong_together(dtype):
    """The cdf's slope is the density, on either side and at loc; the quantile inverts the cdf."""
    d = make(dtype, (np.array([0.0, 1.3, 2.5])[:, None], 0.5, 2.0, 5.0))
    x = np.linspace(-9, 15, 25).astype(dtype)

    @jax.jit
    def all_of(d, x):
        cdf, slope = jax.jvp(d.cdf, (x,), (jnp.ones_like(x),))
        return cdf, slope, jnp.exp(d.log_prob(x)), d.icdf(cdf), jnp.exp(d.log_sf(x))

    cdf, slope, density, back, above = all_of(d, x)
    rtol = {"float64": 1e-11, "float32": 2e-5}[str(dtype)]
    np.testing.assert_allclose(slope, density, rtol=rtol)
    np.testing.assert_allclose(cdf + above, 1, rtol=rtol)
    # 1 - cdf keeps fewer digits above
    np.testing.assert_allclose(back, np.broadcast_to(x, back.shape), rtol=50 * rtol, atol=50 * rtol)


def test_log_cdf_above_loc_when_little_lies_below(dtype):
    """1 - P(X > x) would lose it all: a millionth of the mass is on the left."""
    d = make(dtype, (1.3, 0.0, 1e-6, 1.0))
    x = np.array([1e-6, 1e-5], dtype)
    rtol = {"float64": 1e-12, "float32": 1e-5}[str(dtype)]
    share = 1e-6 / (1 + 1e-6)
    # two-sided mass within a small x: the density at 0 is flat up to second order
    half = 2 * x * math.exp(float(GeneralRobust(dtype.type(1.3)).log_prob(0.0))) * (1 - x * x / 6)
    expected = np.log(share + (1 - share) * half)
    np.testing.assert_allclose(d.log_cdf(x), expected, rtol=rtol)


def test_ends():
    d = make(np.float32)
    q = np.array([0.0, 1.0, -0.1, 1.1, np.nan], np.float32)
    np.testing.assert_array_equal(d.icdf(q), [-np.inf, np.inf, np.nan, np.nan, np.nan])
    far = np.array([-np.inf, np.inf], np.float32)
    np.testing.assert_array_equal(d.cdf(far), [0, 1])
    np.testing.assert_array_equal(d.log_cdf(far), [-np.inf, 0])
    np.testing.assert_array_equal(d.log_sf(far), [0, -np.inf])


@jax.jit
def log_density(p, x):
    return AsymmetricGeneralRobust(*p, validate_args=False).log_prob(x)


def test_derivatives_of_log_prob(x64):
    """First and second, by differences; smooth through loc, where nothing is nan."""
    gradient = jax.jit(jax.grad(lambda p, x: log_density(p, x).sum()))
    hessian = jax.jit(jax.hessian(lambda p, x: log_density(p, x).sum()))
    step = 1e-5
    for x in (-3.0, 0.49, 0.6, 9.0):
        p = jnp.array(PARAMETERS)
        for f, exact in ((log_density, gradient), (gradient, hessian)):
            moved = [(f(p + e, x) - f(p - e, x)) / (2 * step) for e in step * np.eye(4)]
            np.testing.assert_allclose(exact(p, x), jnp.stack(moved), rtol=1e-6, atol=1e-8)
    for alpha in (0.0, 1.3, 2.0, math.inf):
        p = jnp.array((alpha, *PARAMETERS[1:]))
        sides = [gradient(p, jnp.asarray(x)) for x in (0.5, 0.5 - 1e-9, 0.5 + 1e-9)]
        np.testing.assert_allclose(sides[0], sides[1], atol=1e-8)
        np.testing.assert_allclose(sides[0], sides[2], atol=1e-8)
        assert jnp.isfinite(hessian(p, 0.5)).all()


def test_draws_move_along_the_implicit_derivative(dtype):
    """99 % of same-key draws, in each parameter and near the side's change, as on the line."""
    step, bound = {"float64": (1e-4, 1e-6), "float32": (1e-2, 5e-2)}[str(dtype)]

    @jax.jit
    def draws(p):
        return AsymmetricGeneralRobust(*p).rsample(jax.random.key(3), (2000,))

    slopes = jax.jit(lambda p, e: jax.jvp(draws, (p,), (e,))[1])
    p = jnp.asarray(PARAMETERS, dtype)
    for e in np.eye(4, dtype=dtype):
        slope = slopes(p, e)
        difference = (draws(p + step * e) - draws(p - step * e)) / (2 * step)
        error = jnp.abs(slope - difference) / (1 + jnp.abs(slope))
        assert float(jnp.quantile(error, 0.99)) < bound


def test_draws_follow_the_law(dtype):
    """A fixed key; a right sampler fails for one in a thousand. Moments within five errors."""
    d = make(dtype)
    x = np.asarray(jax.jit(lambda d: d.sample(jax.random.key(11), (100_000,)))(d))
    assert x.dtype == dtype
    assert scipy.stats.kstest(x, lambda v: np.asarray(jax.jit(d.cdf)(v))).pvalue > 1e-3
    for values, exact in [(x, d.mean), ((x - d.mean) ** 2, d.variance)]:
        values = np.asarray(values, float)
        assert abs(values.mean() - exact) < 5 * values.std() / math.sqrt(len(values))


def test_protocol(dtype):
    """Shapes, dtypes, pytree and validation, as of every distribution."""
    d = make(dtype, ([0.5, 1.2], [[0.0], [1.0]], 2.0, [[[1.0]], [[3.0]]]), validate_args=True)
    assert d.batch_shape == (2, 2, 2)
    assert d.reparametrized_params == list(NAMES) == list(d.arg_constraints)
    for method in METHODS:
        value = jax.eval_shape(lambda method=method: call(d, method))
        assert (value.shape, value.dtype) == (d.batch_shape, dtype), method
    entropy = jax.eval_shape(d.entropy)
    assert (entropy.shape, entropy.dtype) == (d.batch_shape, dtype)
    leaves, tree = jax.tree.flatten(d)
    assert len(leaves) == 4
    for other in (jax.tree.unflatten(tree, leaves), pickle.loads(pickle.dumps(d))):
        assert all(np.array_equal(getattr(other, n), getattr(d, n)) for n in NAMES)
    assert AsymmetricGeneralRobust(1, 0, 2, 3).log_prob(1).dtype == dtype
    assert d.expand((5, 2, 2, 2)).sample(jax.random.key(0)).shape == (5, 2, 2, 2)
    assert d.to_event(1).log_prob(jnp.zeros((2, 2, 2), dtype)).shape == (2, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("alpha", -0.1), ("alpha", math.nan), ("scale_left", 0.0), ("scale_right", -1.0)],
)
def test_bad_parameters(name, value):
    """An error under validation, and nan without it."""
    bad = {**dict(zip(NAMES, PARAMETERS, strict=True)), name: value}
    with pytest.raises(ValueError, match=f"invalid {name} parameter"):
        AsymmetricGeneralRobust(**bad, validate_args=True)
    d = AsymmetricGeneralRobust(**bad, validate_args=False)
    for method in METHODS:
        assert jnp.isnan(call(d, method)) or method == "mode", method
