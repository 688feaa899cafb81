"""`MultivariateGeneralRobust`: the elliptical law in d dimensions."""

from __future__ import annotations

import functools
import math
import pickle

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
from mpmath import mpf

from robust_dist import GeneralRobust, MultivariateGeneralRobust
from robust_dist._numerics.elliptical.radius import log_normalizer

TRIL = np.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-0.3, 0.2, 0.7]])
LOC = np.array([1.0, -2.0, 3.0])
ALPHAS = (0.05, 0.3, 1.0, 1.9, 2 - 2.0**-20, 2.0, 2.125, 4.0, 50.0, math.inf)


def make(dtype, alpha=1.3, **options):
    return MultivariateGeneralRobust(
        np.asarray(alpha, dtype), LOC.astype(dtype), TRIL.astype(dtype), **options
    )


@functools.cache
def exact_log_normalizer(dimension: int, alpha: float) -> mpf:
    """Return log Z_d from its definition: the trapezoid rule in log r, to 20 digits."""
    a = mpf(alpha)

    def rho(x: mpf) -> mpf:
        if alpha in (2, math.inf):
            return x * x / 2 if alpha == 2 else mpmath.expm1(x * x / 2)
        b = abs(a - 2)
        return b / a * ((x * x / b + 1) ** (a / 2) - 1)

    with mpmath.workdps(25):
        # the peak's width is about 1/sqrt(alpha d)
        step = mpf(1) / 16 if dimension * min(alpha, 50) <= 40 else mpf(1) / 80
        # the integrand falls like r^d to the left, and double exponentially to the right
        logs, s, peak = [], mpf(-60) / dimension - 2, -mpmath.inf
        while True:
            value = dimension * s - rho(mpmath.exp(s))
            peak = max(peak, value)
            if value < peak - 55 and s > 0:
                break
            logs.append(value)
            s += step
        total = mpmath.fsum(mpmath.exp(value - peak) for value in logs) * step
        half = mpf(dimension) / 2
        surface = mpmath.log(2) + half * mpmath.log(mpmath.pi) - mpmath.loggamma(half)
        return surface + peak + mpmath.log(total)


@pytest.mark.parametrize("dimension", [2, 3, 10, 100])
def test_normalizer(dimension, dtype, errors, assert_below):
    """Relative to its own size or 1, where it is small: in float32 its terms are rounded first."""
    alpha = np.array(ALPHAS, dtype)
    if dtype == np.float32 and dimension == 100:
        alpha = alpha[1:]  # at 0.05 the radius leaves the format's range
    truth = np.array([exact_log_normalizer(dimension, float(a)) for a in alpha])
    error = errors(log_normalizer(dimension, jnp.asarray(alpha)), truth).absolute
    size = np.maximum(1, np.abs(truth.astype(float)))
    bound = {"float64": 1e-13, "float32": 2e-6}[str(dtype)]
    assert_below(error / size, bound, alpha=alpha)


@pytest.mark.slow
def test_derivatives_of_the_normalizer(x64):
    """First and second, by differences of the exact values; symmetric ones, of step 1e-6."""
    step = mpf(2) ** -20
    for dimension, alpha in [(2, 0.25), (2, 2.125), (3, 1.0), (10, 1.75), (100, 4.0)]:
        down, here, up = (
            exact_log_normalizer(dimension, float(alpha + k * step)) for k in (-1, 0, 1)
        )
        first = jax.grad(log_normalizer, 1)(dimension, jnp.asarray(alpha))
        second = jax.grad(jax.grad(log_normalizer, 1), 1)(dimension, jnp.asarray(alpha))
        # truncation: step^2 times the third derivative, at most 100 times as large here
        np.testing.assert_allclose(first, float((up - down) / (2 * step)), rtol=1e-9)
        np.testing.assert_allclose(second, float((up - 2 * here + down) / step**2), rtol=1e-8)
    at_two = jax.grad(log_normalizer, 1)(2, jnp.asarray(2.0))
    assert jnp.isfinite(at_two)


@jax.jit
def log_prob(d, x):
    return d.log_prob(x)


def test_is_normal_at_two(dtype):
    """Density, covariance, precision, variance and entropy of MultivariateNormal."""
    d = make(dtype, 2.0)
    normal = dist.MultivariateNormal(LOC.astype(dtype), scale_tril=TRIL.astype(dtype))
    x = LOC + np.linspace(-3, 3, 12).reshape(4, 3)
    tight = {"rtol": 100 * float(np.finfo(dtype).eps)}
    x = x.astype(dtype)
    np.testing.assert_allclose(log_prob(d, x), normal.log_prob(x), **tight)
    for name in ("mean", "variance", "covariance_matrix", "precision_matrix"):
        np.testing.assert_allclose(getattr(d, name), getattr(normal, name), atol=1e-6, **tight)
    np.testing.assert_allclose(d.entropy(), normal.entropy(), **tight)
    np.testing.assert_allclose(d.scale_matrix, d.covariance_matrix, **tight)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0, math.inf])
def test_is_general_robust_in_one_dimension(alpha, dtype):
    """The smallest alpha included; draws and moments are the same formulas' too."""
    d = MultivariateGeneralRobust(
        dtype.type(alpha), np.array([0.5], dtype), np.array([[2.0]], dtype), validate_args=True
    )
    one = GeneralRobust(dtype.type(alpha), dtype.type(0.5), dtype.type(2.0))
    x = np.linspace(-4, 4, 5).astype(dtype)
    tight = {"rtol": 50 * float(np.finfo(dtype).eps)}
    np.testing.assert_allclose(log_prob(d, x[:, None]), log_prob(one, x), **tight)
    np.testing.assert_allclose(d.variance[0], one.variance, **tight)
    np.testing.assert_allclose(d.entropy(), one.entropy(), **tight)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.3, 2.0, 4.0, math.inf])
def test_derivatives_at_loc(alpha, dtype):
    """There the length of x - loc has none, but the density does: 0, and minus (L L^T)^-1."""
    d = make(dtype, alpha)
    gradient = jax.grad(d.log_prob)(LOC.astype(dtype))
    hessian = jax.hessian(d.log_prob)(LOC.astype(dtype))
    precision = np.linalg.inv(TRIL @ TRIL.T)
    np.testing.assert_array_equal(gradient, 0)
    np.testing.assert_allclose(hessian, -precision, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_derivatives_of_log_prob(x64):
    """First and second, in value, alpha, loc and scale_tril together, by differences."""
    index = np.tril_indices(3)

    @jax.jit
    def f(theta):
        x, alpha, loc, tril = theta[:3], theta[3], theta[4:7], theta[7:]
        tril = jnp.zeros((3, 3)).at[index].set(tril)
        return MultivariateGeneralRobust(alpha, loc, tril, validate_args=False).log_prob(x)

    theta = jnp.concatenate([jnp.array([0.5, 0.1, 2.0, 1.3]), LOC, TRIL[index]])
    gradient, hessian = jax.jit(jax.grad(f)), jax.jit(jax.hessian(f))
    step = 1e-5
    for g, exact in ((f, gradient), (gradient, hessian)):
        moved = [(g(theta + e) - g(theta - e)) / (2 * step) for e in step * np.eye(theta.size)]
        np.testing.assert_allclose(exact(theta), jnp.stack(moved), rtol=1e-6, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.3, 1.3, 4.0])
def test_draws_follow_the_law(alpha, dtype):
    """Radius, direction and second moments; the key is fixed, one in a thousand would fail.

    The radius' law is integrated on the spot, by the trapezoid rule in log r.
    """
    d = make(dtype, alpha)
    x = np.asarray(jax.jit(lambda d: d.sample(jax.random.key(2), (50_000,)))(d), float)
    z = np.linalg.solve(TRIL, (x - LOC).T).T
    radius = np.linalg.norm(z, axis=1)
    s = np.linspace(-12, 20, 20_001)
    b = abs(alpha - 2)
    with np.errstate(over="ignore"):
        mass = np.exp(3 * s - b / alpha * ((np.exp(2 * s) / b + 1) ** (alpha / 2) - 1))
    below = np.cumsum(mass) / mass.sum()
    assert scipy.stats.kstest(np.log(radius), lambda v: np.interp(v, s, below)).pvalue > 1e-3
    direction = z / radius[:, None]
    # of a uniform direction in three dimensions each component is uniform
    for component in direction.T:
        assert scipy.stats.kstest(component, "uniform", (-1, 2)).pvalue > 1e-3
    if alpha > 1:
        covariance = np.cov(x.T)
        scale = np.sqrt(np.outer(*[np.diag(d.covariance_matrix)] * 2))
        # standard error of a fourth-moment estimate: below 4 variances/sqrt(n)
        assert (np.abs(covariance - d.covariance_matrix) < 5 * 4 * scale / math.sqrt(len(x))).all()
        surprise = -np.asarray(log_prob(d, x.astype(dtype)), float)
        error = surprise.std() / math.sqrt(len(x))
        assert abs(surprise.mean() - float(d.entropy())) < 5 * error


@pytest.mark.slow
def test_draws_move_along_the_implicit_derivative(dtype):
    """99 % of same-key draws, in alpha and in scale_tril, within the bounds of the line's."""
    step, bound = {"float64": (1e-4, 1e-6), "float32": (1e-2, 5e-2)}[str(dtype)]
    tril = jnp.asarray(TRIL, dtype)

    @jax.jit
    def draws(alpha, scale):
        law = MultivariateGeneralRobust(alpha, jnp.zeros(3, dtype), scale * tril)
        return law.rsample(jax.random.key(3), (1000,))

    slopes = jax.jit(lambda p, e: jax.jvp(draws, p, e)[1])
    for alpha in (0.5, 1.3, 2.5):
        p = (jnp.asarray(alpha, dtype), jnp.asarray(1.0, dtype))
        for e in ((1.0, 0.0), (0.0, 1.0)):
            e = tuple(jnp.asarray(part, dtype) for part in e)
            up, down = (
                draws(*(q + sign * step * part for q, part in zip(p, e, strict=True)))
                for sign in (1, -1)
            )
            slope = slopes(p, e)
            error = jnp.abs(slope - (up - down) / (2 * step)) / (1 + jnp.abs(slope))
            assert float(jnp.quantile(error, 0.99)) < bound


def test_protocol(dtype):
    """Shapes, dtypes and pytree, and one law per element of a batch."""
    alpha = np.array([[0.5], [1.3]], dtype)
    d = MultivariateGeneralRobust(alpha, LOC.astype(dtype), np.stack([TRIL] * 4).astype(dtype))
    assert (d.batch_shape, d.event_shape) == ((2, 4), (3,))
    shapes = [np.shape(p) for p in (alpha, LOC, np.stack([TRIL] * 4))]
    assert MultivariateGeneralRobust.infer_shapes(*shapes) == (d.batch_shape, d.event_shape)
    x = jnp.zeros((5, 2, 4, 3), dtype)
    for f, shape in [
        (lambda: d.sample(jax.random.key(0), (5,)), (5, 2, 4, 3)),
        (lambda: d.log_prob(x), (5, 2, 4)),
        (lambda: d.mean, (2, 4, 3)),
        (lambda: d.variance, (2, 4, 3)),
        (lambda: d.covariance_matrix, (2, 4, 3, 3)),
        (lambda: d.precision_matrix, (2, 4, 3, 3)),
        (lambda: d.scale_matrix, (2, 4, 3, 3)),
        (d.entropy, (2, 4)),
    ]:
        value = jax.eval_shape(f)
        assert (value.shape, value.dtype) == (shape, dtype)
    one = log_prob(make(dtype, 1.3), x[0, 0, 0])
    np.testing.assert_allclose(log_prob(d, x)[3, 1, 2], one, rtol=100 * float(np.finfo(dtype).eps))
    leaves, tree = jax.tree.flatten(d)
    assert len(leaves) == 3
    for other in (jax.tree.unflatten(tree, leaves), pickle.loads(pickle.dumps(d))):
        assert all(np.array_equal(getattr(other, n), getattr(d, n)) for n in d.arg_constraints)
    assert d.reparametrized_params == list(d.arg_constraints)
    scalar = MultivariateGeneralRobust(1, scale_tril=np.eye(2, dtype=dtype))
    assert scalar.log_prob(np.zeros(2, dtype)).dtype == dtype


def test_bad_parameters():
    """An error under validation, and nan without it, the ignored triangle included."""
    upper = TRIL.T.copy()
    negative = TRIL * [1, -1, 1]
    for name, alpha, tril in [
        ("alpha", -1.0, TRIL),
        ("alpha", 0.0, TRIL),
        ("scale_tril", 1.0, upper),
        ("scale_tril", 1.0, negative),
    ]:
        with pytest.raises(ValueError, match=name):
            MultivariateGeneralRobust(alpha, LOC, tril, validate_args=True)
        d = MultivariateGeneralRobust(alpha, LOC, tril, validate_args=False)
        assert jnp.isnan(d.log_prob(np.zeros(3)))
        assert jnp.isnan(d.sample(jax.random.key(0))).any()
        assert jnp.isnan(d.entropy())
    with pytest.raises(ValueError, match="needs scale_tril"):
        MultivariateGeneralRobust(1.0, LOC)


def test_far_away_and_near_zero_alpha(dtype):
    """Lengths whose squares overflow have a density; a radius beyond the format has none."""
    far = np.full(3, float(np.finfo(dtype).max) ** 0.6, dtype)
    value, slope = jax.value_and_grad(make(dtype, 0.3).log_prob)(far)
    assert jnp.isfinite(value)
    assert jnp.isfinite(slope).all()
    assert jnp.isnan(make(dtype, 1e-5).log_prob(LOC.astype(dtype)))


@pytest.mark.parametrize("dimension", [1, 3])
def test_one_row_under_many_alphas(dimension):
    """Value and batch broadcast against each other, whichever parameter carries the batch."""
    alpha, tril = np.array([0.5, 1.0, 2.5]), np.eye(dimension)
    value = np.full(dimension, 0.3)
    together = MultivariateGeneralRobust(alpha, 0.0, tril).log_prob(value)
    apart = [MultivariateGeneralRobust(a, 0.0, tril).log_prob(value) for a in alpha]
    np.testing.assert_allclose(together, apart, rtol=1e-6)
