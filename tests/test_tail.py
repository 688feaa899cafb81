"""The probability side: cdf, log_cdf, icdf, entropy, moments and draws against stored truth.

The references are 25-digit values at exact floats (``tests/reference``, whose headers name the
command that made them). Unless a comment says otherwise, in float64 and float32 a cdf is within
1e-13 and 5e-7, a logarithm of one within 1e-11 and 1e-5, relative, and so are quantile, entropy and
moments; docs/numerics.md says what is measured.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from robust_dist import AsymmetricGeneralRobust, GeneralRobust, log_normalizer


def representable(table, dtype, *inputs, value=None):
    """Return the rows whose inputs, and value, the format holds."""
    keep = np.ones(len(table[inputs[0]]), bool)
    tiny = float(np.finfo(dtype).tiny)
    for name in inputs:
        column = table[name]
        with np.errstate(over="ignore"):
            keep &= column.astype(dtype).astype(float) == column
    if value is not None:
        size = np.abs(table[value].astype(float))
        keep &= (size < float(np.finfo(dtype).max)) & ((size == 0) | (size > tiny))
    return {name: column[keep] for name, column in table.items()}


def law(table, dtype):
    return GeneralRobust(jnp.asarray(table["alpha"], dtype))


def test_log_tail_is_relatively_right_far_out(dtype, reference, errors, assert_below):
    """Censored likelihoods need log P to 1e-280 (float32 1e-35): log_cdf of the mirrored value."""
    table = representable(reference("tail"), dtype, "x", "alpha")
    computed = law(table, dtype).log_cdf(-jnp.asarray(table["x"], dtype))
    keep = table["log_tail"].astype(float) > (-645 if dtype == np.float64 else -80)
    error = errors(computed, table["log_tail"])
    scale = np.maximum(1, np.abs(table["log_tail"].astype(float)))
    bound = {"float64": 1e-13, "float32": 1e-6}[str(dtype)]
    assert_below(
        (error.absolute / scale)[keep], bound, x=table["x"][keep], alpha=table["alpha"][keep]
    )
    assert keep.sum() > 10


def test_cdf_absolute_error(dtype, reference, errors, assert_below):
    table = representable(reference("tail"), dtype, "x", "alpha")
    x = jnp.asarray(table["x"], dtype)
    bound = {"float64": 1e-13, "float32": 5e-7}[str(dtype)]
    for sign, truth in ((-1, table["tail"]), (1, 1 - table["tail"])):
        error = errors(law(table, dtype).cdf(sign * x), truth).absolute
        assert_below(error, bound, x=table["x"], alpha=table["alpha"])


@pytest.mark.parametrize("furthest", [60.0, 1e300])
def test_many_points_under_one_alpha_agree_with_few(furthest, x64):
    """From 1,000 points per alpha on, a table stands for the quadrature, as far out as it reaches.

    Both are within 5e-14 of the truth in P and 1e-12 in log P: half and a tenth of what is allowed.
    """
    alpha = jnp.asarray([0.0, 0.3, 1.0, 1.5, 1.9, 1.999, 2 - 1e-9, 2.0, 2.01, 2.5, 10.0, jnp.inf])
    rest = np.concatenate([[0.0], np.geomspace(1e-9, 35, 599), np.linspace(0.01, 8, 600)])
    x = jnp.asarray(np.append(rest, furthest))[:, None]
    many = GeneralRobust(alpha).log_cdf(-x)
    few = GeneralRobust(alpha).log_cdf(-x[::3])
    assert jnp.isfinite(many[:-1, 0]).all()
    within = few > -640  # 1e-278
    np.testing.assert_allclose(many[::3][within], few[within], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(jnp.exp(many[::3]), jnp.exp(few), rtol=0, atol=5e-14)
    # the cdf keeps to the table where log_cdf needs the quadrature
    probability = GeneralRobust(alpha).cdf(-x)
    np.testing.assert_allclose(probability[::3], jnp.exp(few), rtol=0, atol=5e-14)
    np.testing.assert_allclose(
        jnp.log(probability[::3])[within], few[within], rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0, 2.0, 2.1, 10.0, np.inf])
def test_tails_fall_to_the_end_of_the_format(alpha, dtype):
    """The log tail never rises and never is nan, also where rho overflows; nor are its slopes."""
    x = jnp.asarray(np.geomspace(1e-6, {"float64": 1e307, "float32": 1e38}[str(dtype)], 300), dtype)

    def log_tail(x, alpha):
        return GeneralRobust(alpha).log_cdf(-x)

    value = np.asarray(log_tail(x, jnp.asarray(alpha, dtype)))
    assert (value < 0).all()
    assert (value[1:] <= value[:-1]).all()
    for slope in jax.vmap(jax.grad(log_tail, (0, 1)), (0, None))(x, jnp.asarray(alpha, dtype)):
        assert jnp.isfinite(slope).all()


def test_derivative_of_the_cdf_in_alpha(dtype, reference, errors, assert_below):
    """The slope of P in alpha comes from the same nodes as P; away from 2, where it is infinite."""
    table = representable(reference("tail"), dtype, "x", "alpha")
    keep = np.abs(table["alpha"] - 2) > 1e-6
    table = {name: column[keep] for name, column in table.items()}
    slope = jax.jit(jax.vmap(jax.grad(lambda a, x: GeneralRobust(a).cdf(x))))(
        jnp.asarray(table["alpha"], dtype), -jnp.asarray(table["x"], dtype)
    )
    error = errors(slope, table["dcdf_dalpha"])
    size = 1 + np.abs(table["dcdf_dalpha"].astype(float))
    bound = {"float64": 1e-12, "float32": 1e-5}[str(dtype)]
    # the stored column is that of the tail beyond x, which is the cdf at -x up to its sign
    other = errors(-np.asarray(slope), table["dcdf_dalpha"])
    worst = np.minimum(error.absolute, other.absolute) / size
    assert_below(worst, bound, x=table["x"], alpha=table["alpha"])


def test_quantile_relative_error(dtype, reference, errors, assert_below):
    table = representable(reference("quantile"), np.float64, "p", "alpha")
    if dtype == np.float32:
        table = representable(table, np.float32, "p", "alpha", value="quantile")
    keep = (table["quantile"].astype(float) != 0) & (
        table["p"] > (0 if dtype == np.float64 else 1e-30)
    )
    table = {name: column[keep] for name, column in table.items()}
    if not len(table["p"]):
        pytest.skip("no stored quantile has inputs that float32 holds")
    computed = law(table, dtype).icdf(jnp.asarray(table["p"], dtype))
    bound = {"float64": 1e-11, "float32": 1e-5}[str(dtype)]
    assert_below(
        errors(computed, table["quantile"]).relative, bound, p=table["p"], alpha=table["alpha"]
    )


def test_quantile_in_float32_from_the_far_tail_to_the_centre():
    """1e-5 for p from 1e-30 to the last number below 1/2, and next to alpha = 0, where x ~ 1/p.

    No stored row has inputs that float32 holds; the truth is float64 at the same inputs, which the
    rows above bound by 1e-11. log 2p = -68 is itself rounded by 3.8e-6, the rest has to be less.
    """
    p = np.concatenate([np.geomspace(1e-30, 0.49, 600), 0.5 - np.geomspace(3e-8, 1e-2, 100)])
    p = p.astype(np.float32)[:, None]
    alpha = np.asarray([0, 1e-8, 6e-5, 1e-3, 0.1, 0.5, 1, 1.99, 2, 2.01, 4, 1e5], np.float32)
    computed = np.asarray(GeneralRobust(alpha).icdf(p))
    assert computed.dtype == np.float32
    with jax.enable_x64(True):
        truth = np.asarray(GeneralRobust(alpha.astype(float)).icdf(p.astype(float)))
    np.testing.assert_allclose(computed, truth, rtol=1e-5)


def test_quantile_inverts_the_cdf(dtype):
    """The round trip in the centre: 1e-12 (float32 1e-5, a few steps of the cdf's last place)."""
    x = jnp.asarray(np.linspace(-2, 2, 41), dtype)[:, None]
    alpha = jnp.asarray([0.0, 0.1, 0.5, 1.0, 1.5, 1.99, 2.0, 2.5, 10.0], dtype)
    d = GeneralRobust(alpha, 0.3, 1.7)
    bound = {"float64": 1e-12, "float32": 1e-5}[str(dtype)]
    assert float(jnp.max(jnp.abs(d.icdf(d.cdf(x)) - x))) < bound


def test_quantile_at_the_ends_and_outside():
    q = jnp.array([0.0, 0.5, 1.0, -0.1, 1.1, jnp.nan])
    values = np.asarray(GeneralRobust(0.7, 3.0, 2.0).icdf(q))
    np.testing.assert_array_equal(values, [-np.inf, 3.0, np.inf, np.nan, np.nan, np.nan])


def test_derivatives_of_cdf_and_quantile_in_the_value(dtype):
    """They are the density and its inverse, at loc too, where abs(x - loc) has a corner."""
    d = GeneralRobust(jnp.asarray(1.2, dtype), 0.5, 2.0)
    x = jnp.asarray([-30.0, -1.0, 0.5, 0.6, 4.0], dtype)
    rtol = {"float64": 1e-12, "float32": 1e-5}[str(dtype)]
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(d.cdf)))(x), jnp.exp(d.log_prob(x)), rtol)
    q = d.cdf(x)
    slope = jax.jit(jax.vmap(jax.grad(d.icdf)))(q)
    np.testing.assert_allclose(slope, jnp.exp(-d.log_prob(d.icdf(q))), rtol)


@pytest.mark.slow
@pytest.mark.parametrize(
    "f",
    [
        lambda p: GeneralRobust(*p).log_cdf(-3.0),
        lambda p: GeneralRobust(*p).log_cdf(2.5),
        lambda p: GeneralRobust(*p).icdf(0.93),
    ],
)
def test_implicit_derivatives_agree_with_differences(f, x64):
    """Of log_cdf and icdf, in alpha, loc and scale, of first and second order."""
    gradient, hessian = jax.jit(jax.grad(f)), jax.jit(jax.hessian(f))
    f = jax.jit(f)
    step = 1e-5
    for alpha in (0.3, 1.0, 1.9, 2.5):
        at = jnp.array([alpha, 0.2, 1.4])
        first, second = (
            jnp.stack([(g(at + e) - g(at - e)) / (2 * step) for e in step * np.eye(3)])
            for g in (f, gradient)
        )
        # truncation: step^2 times the third derivative, about 1/(alpha - 2)^2 here
        np.testing.assert_allclose(gradient(at), first, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(hessian(at), second, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["entropy", "variance", "mean_abs"])
def test_moments(name, dtype, reference, errors, assert_below):
    table = representable(reference("moments"), dtype, "alpha", value=name)
    keep = np.array([not np.isnan(float(value)) for value in table[name]])
    if name != "entropy":
        keep &= table["alpha"] >= 0.1
    table = {key: column[keep] for key, column in table.items()}
    d = law(table, dtype)
    computed = {
        "entropy": d.entropy,
        "variance": lambda: d.variance,
        "mean_abs": d.mean_absolute_deviation,
    }[name]()
    bound = {"float64": 1e-11, "float32": 1e-5}[str(dtype)]
    assert_below(errors(computed, table[name]).relative, bound, alpha=table["alpha"])


def test_moments_where_there_are_none():
    """As for NumPyro's Cauchy at alpha = 0; no number where there is no distribution."""
    d = GeneralRobust(jnp.array([0.0, -1.0]), validate_args=False)
    for value in (d.mean, d.variance, d.kurtosis):
        assert np.isnan(np.asarray(value)).all()
    assert np.isnan(GeneralRobust(-1.0, validate_args=False).entropy())


def test_moments_have_units():
    """Of loc + scale X the spread is scale times that of X, and the entropy log(scale) more."""
    alpha = np.array([0.5, 1.0, 2.0, 7.0])
    one, law = GeneralRobust(alpha), GeneralRobust(alpha, -4.0, 3.0)
    for found, expected in (
        (law.mean, np.full(4, -4.0)),
        (law.mode, np.full(4, -4.0)),
        (law.variance, 9 * one.variance),
        (law.kurtosis, one.kurtosis),
        (law.mean_absolute_deviation(), 3 * one.mean_absolute_deviation()),
        (law.entropy(), np.log(3) + one.entropy()),
    ):
        np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_kurtosis_of_the_normal_and_a_heavier_law():
    assert abs(float(GeneralRobust(2.0).kurtosis)) < 1e-5
    assert float(GeneralRobust(1.0).kurtosis) > 1


def test_draws_move_with_alpha_along_the_implicit_derivative(dtype):
    """99 % of same-key draws; the step's truncation error bounds the agreement near 2."""
    step, bound = {"float64": (1e-4, 1e-6), "float32": (1e-2, 5e-2)}[str(dtype)]
    key = jax.random.key(3)

    @jax.jit
    def draws(a):
        return GeneralRobust(jnp.asarray(a, dtype)).sample(key, (2000,))

    slopes = jax.jit(lambda a: jax.jvp(draws, (a,), (jnp.ones_like(a),))[1])
    for alpha in (0.3, 0.7, 1.0, 1.5, 1.9, 2.5):
        slope = slopes(jnp.asarray(alpha, dtype))
        difference = (draws(alpha + step) - draws(alpha - step)) / (2 * step)
        error = jnp.abs(slope - difference) / (1 + jnp.abs(slope))
        assert float(jnp.quantile(error, 0.99)) < bound


@pytest.mark.slow
def test_draws_are_the_quantiles_of_uniforms(dtype):
    """The table's interpolation error is far below what a test of 1e7 draws could see."""
    d = GeneralRobust(jnp.asarray([0.0, 0.5, 1.99, 4.0, np.inf], dtype))
    x = d.sample(jax.random.key(0), (1000,))
    p = d.cdf(x)
    assert jnp.isfinite(x).all()
    assert not jnp.isnan(p).any()
    keep = (p > 1e-5) & (p < 0.9)  # where 1 - p has digits left
    error = (jnp.abs(d.icdf(p) - x) / (1 + jnp.abs(x)))[keep]
    # the table's own error, largest at alpha near 2; in float32 that of p
    assert float(error.max()) < {"float64": 1e-7, "float32": 1e-5}[str(dtype)]


def test_quantile_rises_infinitely_fast_at_the_smallest_probabilities(dtype):
    """1/p overflows there; the derivatives in all else are numbers."""
    tiny = np.finfo(dtype).tiny
    alpha, q = np.asarray([0.0, 0.3, 1.0], dtype), np.asarray([tiny, 100 * tiny], dtype)[:, None]
    laws = {
        "plain": lambda a, scale: GeneralRobust(a, 0.0, scale),
        "orthogonal": lambda a, scale: GeneralRobust.with_orthogonal_scale(a, 0.0, scale),
        "asymmetric": lambda a, scale: AsymmetricGeneralRobust(a, 0.0, scale, 3 * scale),
    }
    for name, law in laws.items():
        slopes = jnp.vectorize(
            lambda a, s, q, law=law: jax.grad(lambda *p: law(p[0], p[1]).icdf(p[2]), (0, 1, 2))(
                a, s, q
            )
        )(alpha, np.ones_like(alpha), q)
        assert (slopes[2] > 1e30).all(), name
        assert np.isfinite(np.asarray(slopes[1])).all(), name
        assert not np.isnan(np.asarray(slopes[0])).any(), name


def test_moments_near_alpha_zero(dtype):
    """E abs(x) grows like 1/sqrt(alpha), and the variance overflows, down to the smallest alpha.

    With l = log(1 + x^2/(2 - alpha)) x dx = (1 - alpha/2) e^l dl, and rho is closed in l; the
    integral over l is Simpson's.
    """
    alpha = np.asarray([np.finfo(dtype).tiny, 1e-30, 1e-12, 1e-6, 1e-3], dtype)
    law = GeneralRobust(alpha)
    mean_abs = np.asarray(law.mean_absolute_deviation(), float)
    np.testing.assert_array_equal(law.variance[:3], math.inf)
    rtol = {"float64": 5e-8, "float32": 1e-3}[str(dtype)]
    for index in (2, 3, 4):
        a = float(alpha[index])
        log = np.linspace(0, 20 / math.sqrt(a) + 100, 400_001)
        weight = (1 - a / 2) * np.exp(log - (2 - a) / a * np.expm1(a / 2 * log))
        total = 2 * scipy.integrate.simpson(weight, x=log) / math.exp(log_normalizer(a))
        np.testing.assert_allclose(mean_abs[index], total, rtol)
    limit = np.sqrt(2 / np.pi / alpha[:2].astype(float))
    np.testing.assert_allclose(mean_abs[:2], limit, rtol)
