"""`ContaminatedGeneralRobust` and `LogParetoTailed`, against mpmath, each other and themselves."""

from __future__ import annotations

import math
import pickle

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats

from robust_dist import ContaminatedGeneralRobust, GeneralRobust, LogParetoTailed
from robust_dist._errors import InputError
from robust_dist._numerics import log_pareto

FAR = {"float64": 1e300, "float32": 1e30}
EPS = {"float64": 2.3e-16, "float32": 1.2e-7}


def orthogonal(alpha, loc, scale, contamination, background, **options):
    """Return the mixture of the orthogonal scale."""
    make = ContaminatedGeneralRobust.with_orthogonal_scale
    return make(alpha, loc, scale, contamination, background, **options)


MAKERS = (ContaminatedGeneralRobust, orthogonal)


def make(dtype, alpha=1.3, contamination=0.2, maker=ContaminatedGeneralRobust, **options):
    alpha, loc, scale, contamination, far, wide = (
        np.asarray(p, dtype) for p in (alpha, 0.5, 2.0, contamination, 3.0, 8.0)
    )
    return maker(alpha, loc, scale, contamination, LogParetoTailed(far, wide), **options)


# --- the background -----------------------------------------------------------------------------


def exact(z):
    """Return density and mass beyond z > 0 of the standard background."""
    z = mpmath.mpf(float(z))
    u = mpmath.asinh(z)
    density = 1 / (2 * mpmath.sqrt(1 + z * z) * (1 + u * u) ** mpmath.mpf(1.5))
    return density, (1 - u / mpmath.sqrt(1 + u * u)) / 2


def test_log_pareto_tails(dtype, errors, assert_below):
    """Density and tails against mpmath, from the centre to the ends of the format."""
    name = str(dtype)
    x = np.concatenate([[0, 1e-8, 0.3, 1], np.geomspace(2, FAR[name], 25)]).astype(dtype)
    truth = np.array([exact(z) for z in x])
    log = np.vectorize(mpmath.log, otypes=[object])
    law = LogParetoTailed(dtype.type(0), dtype.type(1))
    for sign in (1, -1):
        z = sign * x
        lower, upper = (law.log_sf, law.log_cdf) if sign > 0 else (law.log_cdf, law.log_sf)
        assert_below(errors(law.log_prob(z), log(truth[:, 0])).relative, 4 * EPS[name], x=z)
        assert_below(errors(lower(z), log(truth[:, 1])).relative, 8 * EPS[name], x=z)
        # beyond 0 the other one is log(1 - tail), whose error is the tail's
        assert_below(errors(upper(z), log(1 - truth[:, 1])).absolute, 8 * EPS[name], x=z)
        cdf = truth[:, 1] if sign < 0 else 1 - truth[:, 1]
        assert_below(errors(law.cdf(z), cdf).absolute, 4 * EPS[name], x=z)


def test_log_pareto_density_of_numpy_is_that_of_jax(x64):
    """The engine reads it without JAX."""
    z = np.concatenate([-np.geomspace(1e-3, 1e300, 50), [0.0]])
    np.testing.assert_allclose(log_pareto.log_density(z), log_pareto.log_density(jnp.asarray(z)))


def test_log_pareto_functions_belong_together(dtype):
    law = LogParetoTailed(dtype.type(0.5), dtype.type(2))
    x = np.array([-1e3, -5, -0.1, 0.5, 0.6, 20, 1e4], dtype)
    cdf, slope = jax.jvp(law.cdf, (x,), (jnp.ones_like(x),))
    tolerance = 100 * EPS[str(dtype)]
    np.testing.assert_allclose(slope, jnp.exp(law.log_prob(x)), rtol=tolerance)
    # a quantile's rounding is that of q, over the density
    np.testing.assert_allclose(law.icdf(cdf[:5]), x[:5], rtol=1e4 * tolerance)
    q = np.array([0, 1, -0.1, np.nan, 0.5], dtype)
    np.testing.assert_array_equal(law.icdf(q), [-np.inf, np.inf, np.nan, np.nan, 0.5])
    assert law.icdf(dtype.type(1e-20)) == -np.inf


def test_log_pareto_slopes_hold_everywhere(dtype):
    """First and second, in x, loc and scale, through the centre and far out."""
    x = np.array([0, 1e-10, 1e8, 2e9, FAR[str(dtype)]], dtype)
    x = np.concatenate([x, -x])

    def log_density(x, loc, scale):
        return LogParetoTailed(loc, scale).log_prob(x)

    zero, one = dtype.type(0), dtype.type(1)
    slopes, curves = (
        jax.jit(jax.vmap(slope(log_density, (0, 1, 2)), (0, None, None)))(x, zero, one)
        for slope in (jax.grad, jax.hessian)
    )
    for values in jax.tree.leaves((slopes, curves)):
        assert np.all(np.isfinite(values))
    assert curves[0][0][0] == pytest.approx(-4)


def test_log_pareto_draws_follow_the_law(dtype):
    law = LogParetoTailed(dtype.type(0.5), dtype.type(2))
    x = np.asarray(law.sample(jax.random.key(1), (100_000,)))
    assert x.dtype == dtype
    assert np.all(np.isfinite(x))
    assert scipy.stats.kstest(x, lambda v: np.asarray(law.cdf(v))).pvalue > 1e-3
    # some lie at every order of magnitude
    share = np.mean(np.abs(x) > 1e6)
    assert share == pytest.approx(2 * float(exact(5e5)[1]), rel=0.3)
    assert np.isnan(law.mean)
    assert np.isnan(law.variance)
    assert law.mode == dtype.type(0.5)


# --- the mixture --------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("contamination", [0.0, 0.2, 1.0])
def test_it_is_the_mixture(maker, contamination, dtype):
    law = make(dtype, contamination=contamination, maker=maker)
    x = np.array([-30, -1, 0.5, 4, 1e5], dtype)
    share = np.float64(contamination)
    tolerance = 50 * EPS[str(dtype)]
    for name in ("log_prob", "log_cdf", "log_sf"):
        good, bad = (
            np.asarray(getattr(part, name)(x), float) for part in (law.law, law.background)
        )
        with np.errstate(divide="ignore"):
            mixed = np.logaddexp(np.log1p(-share) + good, np.log(share) + bad)
        np.testing.assert_allclose(getattr(law, name)(x), mixed, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        law.cdf(x), (1 - share) * law.law.cdf(x) + share * law.background.cdf(x), rtol=tolerance
    )
    bad = np.asarray(law.background.log_prob(x), float)
    with np.errstate(divide="ignore"):
        expected = np.exp(np.log(share) + bad - np.asarray(law.log_prob(x), float))
    np.testing.assert_allclose(law.outlier_probability(x), expected, rtol=40 * tolerance)


def test_members():
    """Without contamination it is the law, and with nothing else the background."""
    clean, dirty = make(np.float32, contamination=0.0), make(np.float32, contamination=1.0)
    assert clean.mean == clean.law.mean
    assert clean.variance == clean.law.variance
    assert np.isnan(dirty.mean)
    assert np.isnan(make(np.float32).mean)
    normal = ContaminatedGeneralRobust(2.0, 0.0, 1.0, 0.25, dist.Normal(4.0, 3.0))
    assert normal.mean == pytest.approx(1)
    assert normal.variance == pytest.approx(0.75 * 1 + 0.25 * (9 + 16) - 1, rel=1e-6)
    # a background that does without log tails
    assert normal.log_sf(2.0) == pytest.approx(math.log(1 - float(normal.cdf(2.0))), rel=1e-5)


@pytest.mark.parametrize("maker", MAKERS)
def test_slopes_are_never_nan(maker, dtype):
    """First and second, at both ends of the share and where the law's density underflows."""
    far = FAR[str(dtype)]
    grid = np.meshgrid(
        [0.0, 1e-3, 1.0, 2.0, 3.0], [0.0, 1e-10, 0.2, 1.0], [0.5, 6, 1e3, 1e10, 1e18, far, -far]
    )
    alpha, share, x = (axis.ravel().astype(dtype) for axis in grid)
    ones = np.ones_like(x)
    parameters = [alpha, 0.5 * ones, 2 * ones, share, 3 * ones, 8 * ones]

    def log_density(p, x):
        background = LogParetoTailed(p[4], p[5])
        return maker(*p[:4], background, validate_args=False).log_prob(x)

    def all_of(p, x):
        slope = jax.value_and_grad(log_density)
        return *slope(p, x), jax.jacfwd(jax.grad(log_density))(p, x)

    values, slopes, curves = jax.jit(jax.vmap(all_of))(jnp.stack(parameters, axis=-1), x)
    assert not np.any(np.isnan(values))
    assert np.all(np.isfinite(values[share > 0]))
    assert not np.any(np.isnan(slopes))
    assert not np.any(np.isnan(curves))
    # far out nothing of the law is left
    np.testing.assert_allclose(slopes[(share > 0.1) & (np.abs(x) == x.max()), :3], 0, atol=1e-6)


def test_derivatives_of_log_prob(x64):
    """First and second, by differences."""

    def log_density(p, x):
        return orthogonal(*p[:4], LogParetoTailed(p[4], p[5])).log_prob(x)

    gradient = jax.jit(jax.grad(log_density))
    hessian = jax.jit(jax.hessian(log_density))
    step = 1e-5
    p = jnp.array([1.3, 0.5, 2.0, 0.2, 3.0, 8.0])
    for x in (-3.0, 0.6, 9.0, 40.0):
        for f, slope in ((jax.jit(log_density), gradient), (gradient, hessian)):
            moved = [(f(p + e, x) - f(p - e, x)) / (2 * step) for e in step * np.eye(6)]
            np.testing.assert_allclose(slope(p, x), jnp.stack(moved), rtol=1e-6, atol=1e-8)


def test_slope_in_the_share_at_its_ends(x64):
    """Where one of both is absent, by how much the other would raise the density."""
    for share, sign in ((0.0, 1), (1.0, -1)):
        law = make(np.dtype(float), contamination=share)
        f, b = (float(part.log_prob(7.0)) for part in (law.law, law.background))
        expected = sign * (math.exp(sign * (b - f)) - 1)
        slope = jax.grad(
            lambda e, b=law.background: ContaminatedGeneralRobust(1.3, 0.5, 2.0, e, b).log_prob(7.0)
        )
        assert slope(share) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("contamination", [0.0, 1e-6, 0.2, 1.0])
def test_quantile_inverts_the_cdf(contamination, dtype):
    law = make(dtype, contamination=contamination)
    q = np.array([1e-5, 0.01, 0.3, 0.5, 0.7, 0.99, 0.999], dtype)
    x = jax.jit(lambda law, q: law.icdf(q))(law, q)
    if str(dtype) == "float32":
        q, x = q[np.isfinite(x)], x[np.isfinite(x)]
    assert len(q) > 5
    np.testing.assert_allclose(law.cdf(x), q, rtol=200 * EPS[str(dtype)])
    ends = np.array([0, 1, 1.1, np.nan], dtype)
    np.testing.assert_array_equal(law.icdf(ends), [-np.inf, np.inf, np.nan, np.nan])


def test_quantile_moves_with_the_parameters(x64):
    """The implicit derivatives, by differences."""

    @jax.jit
    def quantile(p):
        return ContaminatedGeneralRobust(*p[:4], LogParetoTailed(p[4], p[5])).icdf(p[6])

    p, step = jnp.array([1.3, 0.5, 2.0, 0.2, 3.0, 8.0, 0.9]), 1e-5
    moved = [(quantile(p + e) - quantile(p - e)) / (2 * step) for e in step * np.eye(7)]
    np.testing.assert_allclose(jax.jit(jax.grad(quantile))(p), jnp.stack(moved), rtol=1e-5)


def test_draws_follow_the_law(dtype):
    law = make(dtype)
    x = np.asarray(law.sample(jax.random.key(11), (100_000,)))
    assert x.dtype == dtype
    assert np.all(np.isfinite(x))
    assert scipy.stats.kstest(x, lambda v: np.asarray(law.cdf(v))).pvalue > 1e-3


def test_draws_of_the_law_move_with_its_parameters(x64):
    """Those of the background do not, and no draw claims to move with the share."""

    def draw(loc, scale):
        law = ContaminatedGeneralRobust(1.3, loc, scale, 0.4, LogParetoTailed(0.0, 8.0))
        return law.sample(jax.random.key(0), (50,))

    by_loc, by_scale = jax.jacfwd(draw, (0, 1))(0.5, 2.0)
    x = draw(0.5, 2.0)
    of_law = by_loc == 1
    assert np.all((by_loc == 0) | of_law)
    assert 20 < of_law.sum() < 40
    np.testing.assert_allclose(by_scale[of_law], (x[of_law] - 0.5) / 2, rtol=1e-9)
    assert np.all(by_scale[~of_law] == 0)
    assert not make(np.dtype(float)).has_rsample


@pytest.mark.parametrize("maker", MAKERS)
def test_protocol(maker, dtype):
    """Shapes, dtypes, pytree and validation, as of every distribution."""
    law = make(
        dtype, alpha=[0.5, 1.2], contamination=[[0.1], [0.3]], maker=maker, validate_args=True
    )
    assert law.batch_shape == (2, 2)
    names = list(law.arg_constraints)
    assert [*law.reparametrized_params, "contamination"] == names
    for name in ("mean", "variance"):
        value = getattr(law, name)
        assert (value.shape, value.dtype) == ((2, 2), dtype)
    for name in ("log_prob", "cdf", "log_cdf", "log_sf", "icdf", "outlier_probability"):
        value = jax.eval_shape(getattr(law, name), dtype.type(0.3))
        assert (value.shape, value.dtype) == ((2, 2), dtype), name
    assert law.sample(jax.random.key(0), (3,)).shape == (3, 2, 2)
    leaves, tree = jax.tree.flatten(law)
    assert len(leaves) == 6
    for other in (jax.tree.unflatten(tree, leaves), pickle.loads(pickle.dumps(law))):
        assert all(np.array_equal(getattr(other, n), getattr(law, n)) for n in names)
        np.testing.assert_array_equal(other.log_prob(1.0), law.log_prob(1.0))
    assert law.expand((5, 2, 2)).sample(jax.random.key(0)).shape == (5, 2, 2)
    assert law.to_event(1).log_prob(jnp.zeros((2, 2), dtype)).shape == (2,)


def test_orthogonal_scale_is_the_laws():
    law = orthogonal(1.0, 0.0, 2.0, 0.2, LogParetoTailed())
    assert law.scale == GeneralRobust.with_orthogonal_scale(1.0, 0.0, 2.0).scale


@pytest.mark.parametrize(
    ("name", "value"),
    [("alpha", -0.1), ("scale", 0.0), ("contamination", 1.1), ("contamination", -0.1)],
)
def test_bad_parameters(name, value):
    """An error under validation, and nan without it."""
    bad = {"alpha": 1.0, "loc": 0.0, "scale": 1.0, "contamination": 0.1, name: value}
    with pytest.raises(ValueError, match=f"invalid {name} parameter"):
        ContaminatedGeneralRobust(**bad, background=LogParetoTailed(), validate_args=True)
    law = ContaminatedGeneralRobust(**bad, background=LogParetoTailed(), validate_args=False)
    for method in ("log_prob", "cdf", "log_cdf", "log_sf"):
        assert jnp.isnan(getattr(law, method)(0.3)), method
    assert jnp.isnan(law.sample(jax.random.key(0)))
    with pytest.raises(ValueError, match="invalid scale parameter"):
        LogParetoTailed(0.0, -1.0, validate_args=True)
    assert jnp.isnan(LogParetoTailed(0.0, -1.0, validate_args=False).log_prob(0.3))


@pytest.mark.parametrize("background", [3.0, dist.Dirichlet(np.ones(2)), LogParetoTailed])
def test_what_is_no_background_is_refused(background):
    with pytest.raises(InputError, match="background must be a univariate NumPyro distribution"):
        ContaminatedGeneralRobust(1.0, 0.0, 1.0, 0.1, background)
