"""`GeneralRobust.with_orthogonal_scale` is the same law, with a gradient that is tame at alpha = 2.

It inherits everything but its parameter and its log density; so what is tested is that they fit
what it inherits, and the density's derivatives at fixed sigma.
"""

from __future__ import annotations

import copy
import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions.batch_util import vmap_over
from numpyro.infer import MCMC, NUTS
from numpyro.infer.reparam import LocScaleReparam
from numpyro.infer.util import log_density

from robust_dist import GeneralRobust, scale_from_orthogonal
from robust_dist._precompute.exact import log_normalizer_derivatives, loss_jet

NAMES = ("alpha", "loc", "sigma")
BATCH = (np.array([0.5, 1.2, 2.0, 2.5]), np.array([[0.0], [1.0]]), 1.7)
Orthogonal = GeneralRobust.with_orthogonal_scale


def in_dtype(parameters, dtype):
    return [np.asarray(value, dtype) for value in parameters]


@jax.jit
def slopes(x, alpha, loc, sigma):
    """Return log densities with their gradients in (x, alpha, loc, sigma), point by point."""

    def log_p(point):
        x, alpha, loc, sigma = point
        return Orthogonal(alpha, loc, sigma).log_prob(x)

    points = jnp.stack(jnp.broadcast_arrays(x, alpha, loc, sigma), -1)
    return jax.vmap(jax.value_and_grad(log_p))(points)


@jax.jit
def hessian(x, alpha, sigma):
    """Return the second derivatives in (x, alpha, sigma)."""

    def log_p(point):
        x, alpha, sigma = point
        return Orthogonal(alpha, 0.0, sigma).log_prob(x)

    points = jnp.stack(jnp.broadcast_arrays(x, alpha, sigma), -1)
    return jax.vmap(jax.hessian(log_p))(points)


@pytest.fixture(scope="module")
def information(reference):
    """Return the stored H and H' by alpha, both exact to 20 digits."""
    rows = reference("information")
    return {
        alpha: (h, slope)
        for alpha, h, slope in zip(rows["alpha"], rows["h"], rows["d_h"], strict=True)
    }


X = np.array([0.0, 1e-4, 0.01, 0.25, 0.75, 1.5, 3.0, 8.0, 40.0])


def truth_at(alpha, x, information):
    """Return log p and its derivative in alpha, at loc 0 and sigma 1."""
    h, h_slope = information[alpha]
    log_z, z_slope, _ = log_normalizer_derivatives(alpha, digits=25)
    u = mpmath.mpf(x) * mpmath.exp(h)
    jet = loss_jet(u, alpha)
    excess = u * jet.u - 1
    return h - jet.rho - log_z, -jet.a - z_slope - h_slope * excess, h_slope * excess


def test_values_and_slopes(dtype, information, errors, assert_below):
    """The slope in alpha at fixed sigma is right to 1e-11 (float32: 2e-5), relative to 1 + size."""
    alphas = [a for a in information if float(dtype.type(a)) == a and 0.03 <= a <= 1e3]
    points = [(a, x) for a in alphas for x in X.astype(dtype).astype(float).tolist()]
    known = [truth_at(a, x, information) for a, x in points]
    kept = [i for i, (value, _, _) in enumerate(known) if value > -1e4]
    alpha, x = np.array([points[i] for i in kept]).T
    values, gradient = (np.array([known[i][part] for i in kept]) for part in (0, 1))
    padded = [np.resize(v, len(points)).astype(dtype) for v in (x, alpha)]
    value, computed = slopes(*padded, dtype.type(0), dtype.type(1))
    value, computed = value[: len(kept)], computed[: len(kept), 1]
    assert value.dtype == dtype
    # as for GeneralRobust
    bound = {"float64": 2e-13, "float32": 5e-6}[str(dtype)]
    size = 1 + np.abs(values.astype(float))
    assert_below(errors(value, values).absolute / size, bound, alpha=alpha, x=x)
    bound = {"float64": 1e-11, "float32": 2e-5}[str(dtype)]
    size = 1 + np.abs(gradient.astype(float))
    assert_below(errors(computed, gradient).absolute / size, bound, alpha=alpha, x=x)


def test_gradient_is_continuous_through_two(dtype):
    """From both sides the slope in alpha tends to its value at exactly 2, and stays small.

    On 500 Normal points it changes by less than 100 per unit of alpha, so that 1e-6 is asked at a
    distance of 1e-9 (float32: at that of its neighbours, 2e-7, where rounding decides). In
    (alpha, c) it reaches hundreds.
    """
    x = np.random.default_rng(0).standard_normal(500).astype(dtype)
    step = {"float64": 1e-9, "float32": 2.0**-22}[str(dtype)]
    away = np.logspace(math.log10(step), -1, 30)

    @jax.jit
    def total(alpha):
        return jax.vmap(jax.grad(lambda a: Orthogonal(a, 0.0, 1.0).log_prob(x).sum()))(alpha)

    below, above = total((2 - away).astype(dtype)), total((2 + away).astype(dtype))
    at = total(np.full(30, 2, dtype))[0]
    tolerance = {"float64": 1e-6, "float32": 3e-4}[str(dtype)]
    assert abs(below[0] - at) < tolerance
    assert abs(above[0] - at) < tolerance
    both = np.concatenate([below, above])
    assert np.all((both > -9) & (both < 5))
    # no step between neighbours but the slope's own
    for side in (below, above):
        assert np.abs(np.diff(side)).max() < 100 * np.diff(away).max()


def test_limit_at_two(x64, errors):
    """At 2 the slope is u (3 - k - log u)/4 - 1/4 with u = x^2, k = gamma + log 2: written out."""
    x = np.array([1e-3, 0.1, 0.7, 1.0, 2.3, 6.0])
    _, gradient = slopes(x, 2.0, 0.0, 1.0)
    u = [mpmath.mpf(v) ** 2 for v in x.tolist()]
    k = mpmath.euler + mpmath.log(2)
    truth = np.array([(v * (3 - k - mpmath.log(v)) - 1) / 4 for v in u])
    # a few roundings at the size of u; x is within sqrt(b) of 0 nowhere
    assert errors(gradient[:, 1], truth).relative.max() < 1e-14


def test_gradient_is_that_of_the_value(x64):
    """Central differences of the value, away from the kinks of its second derivative."""
    alpha = np.array([0.1, 0.7, 1.3, 1.9, 2.1, 2.7, 5.0])
    x, loc, sigma = np.array([-2.0, 0.4, 3.0])[:, None, None], 0.3, 1.4
    point = [np.broadcast_to(v, (3, 1, 7)).ravel() for v in (x, alpha, loc, sigma)]
    _, gradient = slopes(*point)
    for axis in range(4):
        moved = []
        for sign in (-1, 1):
            shifted = list(point)
            shifted[axis] = shifted[axis] + sign * 1e-5
            moved.append(slopes(*shifted)[0])
        difference = (moved[1] - moved[0]) / 2e-5
        # the third derivative times 1e-10, and rounding over 1e-5
        np.testing.assert_allclose(gradient[:, axis], difference, rtol=2e-8, atol=2e-8)


@pytest.mark.slow
def test_hessian(dtype):
    """It is the derivative of the gradient; where the gradient is smooth on one side, up to 2."""
    alpha = np.array([0.2, 1.0, 1.5, 1.99, 2.01, 2.6, 5.0], dtype)
    x = np.array([0.2, 1.1, 3.0], dtype)[:, None]
    grid = [np.broadcast_to(v, (3, 7)).ravel() for v in (x, alpha)]
    found = hessian(*grid, dtype.type(1.3))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np.swapaxes(found, 1, 2), rtol=1e-4, atol=1e-5)
    with jax.enable_x64(True):
        wide = [np.asarray(v, np.float64) for v in grid]
        step = 1e-5
        for axis in (0, 1, 3):
            ends = []
            for sign in (-1, 1):
                point = [wide[0], wide[1], 0.0, 1.3]
                point[axis] = point[axis] + sign * step
                ends.append(slopes(*np.broadcast_arrays(*point))[1])
            difference = ((ends[1] - ends[0]) / (2 * step))[:, [0, 1, 3]]
            row = {0: 0, 1: 1, 3: 2}[axis]
            rtol, atol = {"float64": (1e-6, 1e-6), "float32": (1e-3, 1e-3)}[str(dtype)]
            np.testing.assert_allclose(found[:, row], difference, rtol=rtol, atol=atol)


@pytest.mark.slow
def test_hessian_at_two_is_that_next_to_it(dtype):
    """Two one-sided limits, either of which is finite; at 2 it is the upper one."""
    x = np.resize(np.array([0.2, 1.1, 3.0], dtype), 21)
    near = {"float64": 1e-6, "float32": 1e-2}[str(dtype)]
    at = hessian(x, dtype.type(2), dtype.type(1))
    next_to = hessian(x, dtype.type(2 + near), dtype.type(1))
    assert np.isfinite(at).all()
    # the Hessian moves like sqrt(b) log(b)
    rtol = {"float64": 1e-2, "float32": 0.3}[str(dtype)]
    np.testing.assert_allclose(at, next_to, rtol=rtol, atol=rtol)


def test_is_the_same_law(dtype):
    """All that is inherited sees the scale that sigma stands for."""
    alpha, loc, sigma = in_dtype(([0.0, 0.7, 1.0, 2.0, 2.4, 30.0, math.inf], 0.5, 1.7), dtype)
    scale = scale_from_orthogonal(alpha, sigma)
    d, plain = Orthogonal(alpha, loc, sigma), GeneralRobust(alpha, loc, scale)
    assert isinstance(d, GeneralRobust)
    np.testing.assert_array_equal(d.scale, scale)
    x, q = dtype.type(3.3), dtype.type(0.01)
    eps = 64 * np.finfo(dtype).eps
    for ours, theirs in [
        (d.log_prob(x), plain.log_prob(x)),
        (d.cdf(x), plain.cdf(x)),
        (d.log_cdf(x), plain.log_cdf(x)),
        (d.icdf(q), plain.icdf(q)),
        (d.entropy(), plain.entropy()),
        (d.mean, plain.mean),
        (d.variance, plain.variance),
        (d.mode, plain.mode),
        (d.sample(jax.random.key(0)), plain.sample(jax.random.key(0))),
    ]:
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=eps, atol=eps)


def test_sigma_is_the_standard_deviation_of_the_normal(dtype):
    d = Orthogonal(*in_dtype((2.0, 1.0, 3.0), dtype))
    x = np.linspace(-9, 9, 19).astype(dtype)
    rtol = 16 * np.finfo(dtype).eps
    np.testing.assert_allclose(d.log_prob(x), dist.Normal(1.0, 3.0).log_prob(x), rtol=rtol)
    assert d.variance == pytest.approx(9, rel=1e-6)


def test_declares_its_parameters(dtype):
    d = Orthogonal(*in_dtype((1.2, 0.5, 2.0), dtype), validate_args=True)
    assert tuple(d.arg_constraints) == NAMES
    assert list(d.reparametrized_params) == list(NAMES)
    make = GeneralRobust.with_orthogonal_scale
    assert tuple(inspect.signature(make).parameters) == (*NAMES, "validate_args")
    # the class takes c of the paper too, as NumPyro's reparametrisation gives it
    assert tuple(inspect.signature(type(d)).parameters) == (*NAMES, "scale", "validate_args")
    assert tuple(d.get_args()) == NAMES
    d.scale, d.cdf(0.3), d.log_prob(0.3)
    assert set(vars(d)) == {*NAMES, "_batch_shape", "_event_shape", "_validate_args"}
    assert d.infer_shapes((3,), (2, 1), ()) == ((2, 3), ())


@pytest.mark.parametrize("validate", [False, True])
def test_is_a_pytree(validate, dtype):
    d = Orthogonal(*in_dtype(BATCH, dtype), validate_args=validate)
    leaves, treedef = jax.tree.flatten(d)
    assert len(leaves) == len(NAMES)
    for other in (
        jax.tree.unflatten(treedef, leaves),
        jax.jit(lambda d: d)(d),
        copy.copy(d),
        pickle.loads(pickle.dumps(d)),
    ):
        assert type(other) is type(d)
        assert other.batch_shape == d.batch_shape == (2, 4)
        assert other._validate_args == validate
        assert all(np.array_equal(getattr(d, n), getattr(other, n)) for n in NAMES)


def test_batches_expand_and_map(dtype):
    alpha, loc, sigma = in_dtype(BATCH, dtype)
    d = Orthogonal(alpha, loc, sigma)
    x = dtype.type(0.3)
    expected = d.log_prob(x)
    eps = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(d.expand((3, 2, 4)).log_prob(x)[1], expected, rtol=eps)
    draws = jax.eval_shape(lambda: d.expand((3, 2, 4)).sample(jax.random.key(0), (5,)))
    assert draws.shape == (5, 3, 2, 4)
    assert d.to_event(1).log_prob(np.full((2, 4), x)).shape == (2,)
    batch = jax.vmap(
        lambda a: Orthogonal(a, dtype.type(0), sigma),
        out_axes=vmap_over(Orthogonal(1.0, 0.0, sigma), alpha=0),
    )(alpha)
    inner = jax.vmap(lambda d: d.log_prob(x), in_axes=(vmap_over(batch, alpha=0),))(batch)
    np.testing.assert_allclose(inner, expected[0], rtol=eps)


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", -0.1), ("alpha", math.nan), ("sigma", 0.0), ("sigma", -1.0)]
)
def test_bad_parameters(name, value, dtype):
    good = dict(zip(NAMES, in_dtype((1.2, 0.5, 2.0), dtype), strict=True))
    bad = {**good, name: dtype.type(value)}
    with pytest.raises(ValueError, match=f"invalid {name} parameter"):
        Orthogonal(**bad, validate_args=True)
    d = Orthogonal(**bad, validate_args=False)
    assert np.isnan(d.log_prob(dtype.type(0.3)))
    assert np.isnan(d.cdf(dtype.type(0.3)))
    assert np.isnan(d.variance)


def test_precision_is_kept(x64):
    """A float32 model stays one when x64 is on; integers mean the real numbers they are."""
    value = np.float32(0.3)
    for d in (Orthogonal(1.2, 0.5, np.float32(2)), Orthogonal(1.2), Orthogonal(1, 0, 2)):
        assert d.log_prob(value).dtype == jnp.float32
        assert d.cdf(value).dtype == jnp.float32
    assert Orthogonal(1, 0, 2).log_prob(1) == Orthogonal(1.0, 0.0, 2.0).log_prob(1.0)


def test_finite_everywhere(dtype):
    """No nan in value or gradient, for data and parameters of any size."""
    huge = {"float64": 1e150, "float32": 1e18}[str(dtype)]
    alpha = np.array([0.0, 1e-6, 1.0, 1.9999, 2.0, 2.0001, 3.0, 50.0, 1e6, math.inf], dtype)
    x = np.array([0.0, -1e-30, 1e-3, 1.0, 30.0, 1e6, huge, 1e2 * huge], dtype)[:, None]
    for sigma in (1e-3, 1.0, 1e6):
        point = np.broadcast_arrays(x, alpha, dtype.type(0), dtype.type(sigma))
        value, gradient = slopes(*(part.ravel() for part in point))
        assert not np.isnan(value).any()
        assert not np.isnan(gradient).any()
        assert np.isfinite(gradient[np.asarray(value) > -1e4]).all()


def test_posterior_of_normal_data_crosses_two(dtype):
    """Where (alpha, c) sends NUTS into a spike: no divergence, and both sides are visited."""
    x = np.random.default_rng(3).standard_normal(200).astype(dtype)

    def model():
        alpha = numpyro.sample("alpha", dist.HalfNormal(2))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2))
        numpyro.sample("x", Orthogonal(alpha, 0.0, sigma), obs=x)

    mcmc = MCMC(NUTS(model), num_warmup=300, num_samples=300, progress_bar=False)
    mcmc.run(jax.random.key(0))
    draws = mcmc.get_samples()
    assert mcmc.get_extra_fields()["diverging"].sum() == 0
    share = float((draws["alpha"] > 2).mean())
    assert 0.05 < share < 0.95
    # orthogonality shows as uncorrelated draws; (alpha, c) has 0.8
    assert abs(np.corrcoef(draws["alpha"], np.log(draws["sigma"]))[0, 1]) < 0.35


@pytest.mark.parametrize("centered", [0.0, 0.4])
def test_locscale_reparam_is_the_same_model(centered):
    """NumPyro makes the decentred law by the names loc and scale; density and map agree."""
    alpha, loc, sigma, z = 0.8, 0.5, 0.7, 0.3

    def model():
        numpyro.sample("x", Orthogonal(alpha, loc, sigma))

    config = {"x": LocScaleReparam(centered, shape_params=["alpha"])}
    moved = numpyro.handlers.reparam(model, config=config)
    density, trace = log_density(moved, (), {}, {"x_decentered": z})
    scale = scale_from_orthogonal(alpha, sigma)
    x = trace["x"]["value"]
    expected = Orthogonal(alpha, loc, sigma).log_prob(x) + (1 - centered) * jnp.log(scale)
    np.testing.assert_allclose(x, loc + scale ** (1 - centered) * (z - centered * loc), rtol=1e-6)
    np.testing.assert_allclose(density, expected, rtol=1e-5)


def test_scale_in_place_of_sigma():
    law = type(Orthogonal(1.0))(0.8, 1.0, scale=2.0)
    np.testing.assert_allclose(law.scale, 2.0, rtol=1e-6)
    with pytest.raises(TypeError, match="sigma or scale, not both"):
        type(law)(0.8, 1.0, 2.0, scale=2.0)


def test_tails_move_with_alpha_downwards_where_they_overflow(dtype):
    """Log P(X > x) is -inf there, and its derivative in alpha at fixed sigma no number but -inf."""
    alpha = jnp.asarray([100.0, 1e6, 1e30, math.inf], dtype)
    slope = jax.vmap(jax.grad(lambda a, x: Orthogonal(a).log_sf(x)), (0, None))
    assert (slope(alpha, jnp.asarray(1e10, dtype)) < -1e30).all()
