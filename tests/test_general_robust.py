"""`GeneralRobust` is a NumPyro distribution like any other.

What a model may do with `dist.Normal` it may do with `GeneralRobust`; each test holds the class to
one such promise, in both precisions. The numbers themselves are the business of the tests of the
density, the normalizer and the tail: here they are only compared with one another, with elementary
formulas, and with integrals done on the spot.
"""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import typing
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro import handlers
from numpyro.distributions.batch_util import vmap_over
from numpyro.infer import HMC, MCMC, NUTS, SVI, Predictive, Trace_ELBO
from numpyro.infer.autoguide import AutoLaplaceApproximation, AutoNormal
from numpyro.infer.inspect import generate_graph_specification, get_model_relations
from numpyro.infer.reparam import LocScaleReparam, TransformReparam
from numpyro.infer.util import log_density

from robust_dist import GeneralRobust

NAMES = ("alpha", "loc", "scale")
# one scalar law, one with a batch whose every parameter has a shape of its own
SCALAR = (1.2, 0.5, 2.0)
BATCH = ([0.5, 1.2], [[0.0], [1.0]], [[[2.0]], [[0.3]], [[1.0]]])
BATCH_SHAPE = (3, 2, 2)
CASES = pytest.mark.parametrize(
    ("parameters", "batch_shape"), [(SCALAR, ()), (BATCH, BATCH_SHAPE)], ids=["scalar", "batch"]
)
METHODS = ("mean", "variance", "mode", "log_prob", "sample", "rsample", "cdf", "icdf", "entropy")


def make(parameters: tuple, dtype: np.dtype, **options: bool) -> GeneralRobust:
    return GeneralRobust(*(np.asarray(value, dtype) for value in parameters), **options)


def call(d: dist.Distribution, method: str) -> jax.Array:
    """Return what a method or property gives for arguments that suit it."""
    if method in ("sample", "rsample"):
        return getattr(d, method)(jax.random.key(0))
    if method in ("log_prob", "cdf", "icdf"):
        return getattr(d, method)(0.3)
    return d.entropy() if method == "entropy" else getattr(d, method)


@jax.jit
def log_prob(d: dist.Distribution, value: jax.Array) -> jax.Array:
    return d.log_prob(value)


@jax.jit
def value_and_slopes(x, alpha, loc, scale):
    """Return the sum of log densities and its gradient in alpha, loc and scale."""

    def total(*parameters):
        return GeneralRobust(*parameters, validate_args=False).log_prob(x).sum()

    return jax.value_and_grad(total, (0, 1, 2))(alpha, loc, scale)


def elementwise(x, *parameters):
    """Return the log density at each of the points, one law after the other."""
    x, *parameters = np.broadcast_arrays(x, *parameters)
    points = zip(x.ravel(), *(part.ravel() for part in parameters), strict=True)
    return np.reshape([log_prob(GeneralRobust(*p[1:]), p[0]) for p in points], x.shape)


def tolerance(dtype: np.dtype) -> float:
    """Return the relative room for the same formula compiled in two ways: tens of roundings."""
    return 50 * float(np.finfo(dtype).eps)


ALPHAS = (0.0, 0.1, 0.5, 1.0, 1.5, 1.99, 2.0, 2.5, 4.0, 10.0, math.inf)
COUNT = 100_000


@pytest.fixture(scope="module")
def draws() -> Callable[[np.dtype], np.ndarray]:
    """Return a function from dtype to (COUNT, ALPHAS) draws of the standardised laws."""
    cache = {}

    def compute(dtype: np.dtype) -> np.ndarray:
        if dtype not in cache:
            d = GeneralRobust(np.asarray(ALPHAS, dtype))
            cache[dtype] = np.asarray(
                jax.jit(lambda key: d.sample(key, (COUNT,)))(jax.random.key(1))
            )
        return cache[dtype]

    return compute


# The class and its parameters


def test_declares_its_parameters(dtype):
    """NumPyro finds parameters by name: constructor, constraints and attributes must agree."""
    d = make(SCALAR, dtype)
    assert tuple(d.arg_constraints) == NAMES
    assert tuple(inspect.signature(GeneralRobust).parameters) == (*NAMES, "validate_args")
    assert inspect.signature(GeneralRobust).parameters["validate_args"].kind.name == "KEYWORD_ONLY"
    assert tuple(d.get_args()) == NAMES
    assert d.support is dist.constraints.real
    assert not d.is_discrete
    assert not d.has_enumerate_support


def test_stores_nothing_but_its_parameters(dtype):
    """Whatever else ``__init__`` stored would be lost when jax takes the object apart."""
    d = make(SCALAR, dtype, validate_args=True)
    for method in METHODS:
        call(d, method)
    assert set(vars(d)) == {*NAMES, "_batch_shape", "_event_shape", "_validate_args"}


@CASES
def test_shapes_and_dtypes(parameters, batch_shape, dtype):
    """Draws have shape sample_shape + batch_shape, in the parameters' precision."""
    d = make(parameters, dtype)
    assert d.batch_shape == batch_shape
    assert d.event_shape == ()
    key = jax.random.key(0)
    for sample_shape in ((), (4,), (2, 3)):
        shape = sample_shape + batch_shape
        assert d.shape(sample_shape) == shape
        draws = jax.eval_shape(lambda sample_shape=sample_shape: d.sample(key, sample_shape))
        assert (draws.shape, draws.dtype) == (shape, dtype)
        log_p = jax.eval_shape(d.log_prob, draws)
        assert (log_p.shape, log_p.dtype) == (shape, dtype)
    draws = d.sample(key)
    assert (draws.shape, draws.dtype) == (batch_shape, dtype)
    assert jnp.isfinite(log_prob(d, draws)).all()


def test_infers_its_shapes():
    """`infer_shapes` tells the shapes from those of the parameters, without building anything."""
    shapes = [np.shape(value) for value in BATCH]
    assert GeneralRobust.infer_shapes(*shapes) == (BATCH_SHAPE, ())
    assert GeneralRobust.infer_shapes((), loc=(5,)) == ((5,), ())


@CASES
@pytest.mark.parametrize("method", METHODS)
def test_methods_return_arrays(parameters, batch_shape, method, dtype):
    """Every method gives a jax array of the batch's shape and the parameters' precision."""
    d = make(parameters, dtype)
    value = jax.eval_shape(lambda: call(d, method))
    assert (value.shape, value.dtype) == (batch_shape, dtype)
    if not batch_shape:
        assert isinstance(call(d, method), jax.Array)
    member = getattr(GeneralRobust, method)
    member = member.fget if isinstance(member, property) else member
    hint = typing.get_type_hints(member)["return"]
    assert hint is jax.Array or jax.Array in typing.get_args(hint)


def test_log_prob_broadcasts(dtype):
    """A batch is the same as its members one by one, and value may bring axes of its own."""
    parameters = [np.asarray(value, dtype) for value in BATCH]
    x = np.linspace(-3, 3, 4 * 12).reshape(4, *BATCH_SHAPE).astype(dtype)
    d = GeneralRobust(*parameters)
    expected = elementwise(x, *parameters)
    rounding = {"rtol": tolerance(dtype), "atol": tolerance(dtype)}
    np.testing.assert_allclose(log_prob(d, x), expected, **rounding)
    np.testing.assert_allclose(log_prob(d, x[0]), expected[0], **rounding)
    corner = log_prob(d, x[0, 0, 0, 0])
    assert corner.shape == BATCH_SHAPE
    np.testing.assert_allclose(corner[0, 0, 0], expected[0, 0, 0, 0], **rounding)


def test_summaries_belong_to_the_law(dtype, draws):
    """Moments and entropy agree with averages over draws, element by element.

    Tolerance: six standard errors. alpha = 0 has no moments, and at 0.1 averages don't settle.
    """
    d = GeneralRobust(np.asarray(ALPHAS, dtype))
    sample = draws(dtype)
    for sampled, value in [
        (sample, d.mean),
        ((sample.astype(np.float64)) ** 2, d.variance),
        (-np.asarray(log_prob(d, sample), np.float64), d.entropy()),
    ]:
        assert value.shape == d.batch_shape
        error = sampled.std(0, dtype=np.float64) / math.sqrt(len(sampled))
        excess = np.abs(value - sampled.mean(0, dtype=np.float64)) / error
        assert (excess[2:] < 6).all()
    assert jnp.isnan(d.mean[0])
    assert jnp.isnan(d.variance[0])
    assert not d.mode.any()


@pytest.mark.parametrize("x64_on", [False, True])
def test_float32_parameters_stay_float32(x64_on):
    """A float32 model stays one when x64 is on; Python numbers adopt the precision they meet."""
    with jax.enable_x64(x64_on):
        for parameters in ((np.float32(1.2), 0.5, 2), (1, jnp.float32(0), 1.0), (1, 0, [1.5])):
            d = GeneralRobust(*parameters[:2], np.asarray(parameters[2], np.float32))
            for method in METHODS:
                result = jax.eval_shape(lambda d=d, method=method: call(d, method))
                assert result.dtype == np.float32, method
        value = jax.eval_shape(GeneralRobust(1.0).log_prob, np.float32(0.3))
        assert value.dtype == np.float32


def test_integers_are_accepted(dtype):
    """`GeneralRobust(1, 0, 2)` means what `GeneralRobust(1.0, 0.0, 2.0)` does."""
    integer, real = GeneralRobust(1, 0, 2), GeneralRobust(1.0, 0.0, 2.0)
    arrays = GeneralRobust(np.array([1, 2]), np.array(0), jnp.array(2))
    for method in METHODS:
        for d in (integer, arrays):
            result = jax.eval_shape(lambda d=d, method=method: call(d, method))
            assert (result.shape, result.dtype) == (d.batch_shape, dtype)
    assert integer.log_prob(1) == real.log_prob(1.0)
    key = jax.random.key(0)
    assert integer.sample(key) == real.sample(key)


def test_alpha_may_be_infinite(dtype):
    """The constraint admits alpha = inf, so everything works there: p = exp(1 - exp(x^2/2))/Z."""
    d = make((np.inf, 0.5, 2.0), dtype, validate_args=True)
    drop = d.log_prob(0.5) - d.log_prob(2.5)
    np.testing.assert_allclose(drop, np.expm1(0.5), rtol=tolerance(dtype))
    for method in METHODS:
        assert jnp.isfinite(call(d, method)), method


# Validation

BAD = pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha", -0.1),
        ("alpha", -math.inf),
        ("alpha", math.nan),
        ("loc", math.nan),
        ("scale", 0.0),
        ("scale", -1.0),
        ("scale", math.nan),
    ],
)


@BAD
def test_bad_parameters_are_refused(name, value, dtype):
    """Under ``validate_args`` a bad parameter is an error, alone or in a batch, in jit or not."""
    good = dict(zip(NAMES, SCALAR, strict=True))
    for bad in (value, np.array([good[name], value], dtype)):
        with pytest.raises(ValueError, match=f"invalid {name} parameter"):
            GeneralRobust(**{**good, name: bad}, validate_args=True)
        with pytest.raises(ValueError, match=f"invalid {name} parameter"):
            jax.jit(lambda bad=bad: GeneralRobust(**{**good, name: bad}, validate_args=True))()


@BAD
def test_bad_parameters_are_not_clamped(name, value, dtype):
    """Without validation they give nan, in value and slope, and never the answer of another law."""
    parameters = [
        np.asarray(value if n == name else s, dtype) for n, s in zip(NAMES, SCALAR, strict=True)
    ]
    d = GeneralRobust(*parameters, validate_args=False)
    density, slopes = value_and_slopes(np.asarray(0.3, dtype), *parameters)
    assert jnp.isnan(density)
    assert jnp.isnan(slopes[NAMES.index(name)]) or name == "scale"
    unconcerned = {"alpha": {"mode"}, "loc": set(METHODS), "scale": {"mode", "mean", "kurtosis"}}[
        name
    ]
    for method in METHODS:
        assert jnp.isnan(call(d, method)) or method in unconcerned, method


def test_values_outside_the_support_warn(dtype):
    """A nan among the data is told, as by every NumPyro distribution, and has no density."""
    d = make(SCALAR, dtype, validate_args=True)
    x = np.array([0.0, np.nan], dtype)
    for evaluate in (d.log_prob, lambda x: jax.jit(lambda: d.log_prob(x))()):
        with pytest.warns(UserWarning, match="Out-of-support"):
            assert jnp.isfinite(evaluate(x)).tolist() == [True, False]
    unchecked = make(SCALAR, dtype, validate_args=False).log_prob(x)
    assert jnp.isnan(unchecked).tolist() == [False, True]


# jax: pytrees, jit, vmap


def same(left: GeneralRobust, right: GeneralRobust) -> bool:
    return (
        type(left) is type(right)
        and left.batch_shape == right.batch_shape
        and left._validate_args == right._validate_args
        and all(
            np.array_equal(getattr(left, name), getattr(right, name))
            and jnp.result_type(getattr(left, name)) == jnp.result_type(getattr(right, name))
            for name in NAMES
        )
    )


@CASES
@pytest.mark.parametrize("validate", [False, True])
def test_is_a_pytree(parameters, batch_shape, validate, dtype):
    """Taking it apart and together again, by hand, by jit, scan or pickle, changes nothing."""
    d = make(parameters, dtype, validate_args=validate)
    leaves, treedef = jax.tree.flatten(d)
    assert len(leaves) == len(NAMES)
    copies = [
        jax.tree.unflatten(treedef, leaves),
        jax.jit(lambda d: d)(d),
        jax.jit(lambda: make(parameters, dtype, validate_args=validate))(),
        copy.copy(d),
        copy.deepcopy(d),
        pickle.loads(pickle.dumps(d)),
    ]
    assert all(same(d, other) for other in copies)
    carried, _ = jax.lax.scan(lambda d, _: (d, None), jax.tree.map(jnp.asarray, d), None, length=2)
    assert same(d, carried)


def test_jit_traces_once(dtype):
    """Parameters are leaves of the tree: new values of them don't compile anew."""
    traces = []

    @jax.jit
    def value(d, x):
        traces.append(d)
        return d.log_prob(x)

    for alpha in (0.0, 0.5, 2.0, 7.0):
        d = make((alpha, 0.0, 1.0), dtype)
        eager = d.log_prob(np.asarray(0.7, dtype))
        np.testing.assert_allclose(value(d, np.asarray(0.7, dtype)), eager, rtol=tolerance(dtype))
    assert len(traces) == 1


def test_draws_are_the_same_under_jit(dtype):
    d = make(SCALAR, dtype)
    compiled = jax.jit(lambda d, key: d.sample(key))(d, jax.random.key(1))
    # a quantile is interpolated in a table whose rounding depends on the compilation
    np.testing.assert_allclose(
        compiled, d.sample(jax.random.key(1)), rtol=100 * tolerance(dtype), atol=1e-6
    )


def test_typed_and_legacy_keys_agree(dtype):
    d = make(SCALAR, dtype)
    draws = [d.sample(make_key(7), ()) for make_key in (jax.random.key, jax.random.PRNGKey)]
    assert np.array_equal(*draws)
    assert draws[0] != d.sample(jax.random.key(8))


@pytest.mark.parametrize("key", [None, 3, np.zeros(3)])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(TypeError, match="key must be a JAX PRNG key"):
        GeneralRobust(1.0).sample(key)


@pytest.mark.parametrize("mapped", [("alpha",), ("loc",), ("scale",), NAMES])
def test_vmap(mapped, dtype):
    """Mapping over any of the parameters, into the density or into a batch of distributions."""
    values = {
        name: np.asarray([value, value + 0.4], dtype) if name in mapped else dtype.type(value)
        for name, value in zip(NAMES, SCALAR, strict=True)
    }
    x = np.asarray(0.3, dtype)
    axes = {name: 0 if name in mapped else None for name in NAMES}
    expected = elementwise(x, *values.values())

    def inner(alpha, loc, scale):
        return GeneralRobust(alpha, loc, scale)

    outputs = jax.vmap(lambda *p: inner(*p).log_prob(x), in_axes=tuple(axes.values()))(
        *values.values()
    )
    np.testing.assert_allclose(outputs, expected, rtol=tolerance(dtype))
    # the distribution itself goes out of one vmap and into another
    d_axes = vmap_over(inner(*SCALAR), **dict.fromkeys(mapped, 0))
    batch = jax.vmap(inner, in_axes=tuple(axes.values()), out_axes=d_axes)(*values.values())
    assert batch.batch_shape == ()
    for name in NAMES:
        assert np.array_equal(getattr(batch, name), values[name])
    outputs = jax.vmap(log_prob, in_axes=(d_axes, None))(batch, x)
    np.testing.assert_allclose(outputs, expected, rtol=tolerance(dtype))


def test_vmapped_draws(dtype):
    """A draw under vmap is the one that its own key and parameters give."""
    parameters = [np.asarray([value, value + 0.4], dtype) for value in SCALAR]
    keys = jax.random.split(jax.random.key(0), 2)
    draws = jax.vmap(lambda key, *p: GeneralRobust(*p).sample(key))(keys, *parameters)
    one_by_one = [GeneralRobust(*(p[i] for p in parameters)).sample(keys[i]) for i in range(2)]
    np.testing.assert_allclose(draws, one_by_one, rtol=100 * tolerance(dtype), atol=1e-6)


# NumPyro's wrappers


def test_expand(dtype):
    """Expanding repeats the law, in new axes and along those of length one, with draws all new."""
    d = GeneralRobust(dtype.type(1.5), np.array([[0.0], [100.0]], dtype), dtype.type(0.1))
    shape = (5, 2, 3)
    expanded = d.expand(shape)
    assert expanded.batch_shape == shape
    assert expanded.has_rsample
    draws = expanded.sample(jax.random.key(0), (10,))
    assert draws.shape == (10, *shape)
    assert draws.dtype == dtype
    assert np.unique(draws).size == draws.size
    # each row keeps its own parameters: all draws within 20 scales of their loc
    assert np.abs(draws - d.loc).max() < 2
    np.testing.assert_allclose(
        log_prob(expanded, draws), log_prob(d, draws), rtol=tolerance(dtype), atol=tolerance(dtype)
    )
    assert d.expand_by([5]).batch_shape == (5, 2, 1)
    assert d.expand(d.batch_shape) is d
    moments = jax.eval_shape(lambda: (expanded.mean, expanded.variance))
    assert [moment.shape for moment in moments] == [shape, shape]
    with pytest.raises(ValueError, match="Cannot broadcast"):
        expanded.expand((3, 2, 3))


def test_to_event(dtype):
    """The rightmost axes become one event, whose log density is the sum of its parts."""
    d = make(BATCH, dtype)
    x = np.linspace(-1, 1, 12).reshape(BATCH_SHAPE).astype(dtype)
    parts = log_prob(d, x)
    for count in (1, 2, 3):
        joint = d.to_event(count)
        assert joint.event_shape == BATCH_SHAPE[3 - count :]
        assert joint.has_rsample
        draws = jax.eval_shape(lambda joint=joint: joint.sample(jax.random.key(0), (5,)))
        assert draws.shape == (5, *BATCH_SHAPE)
        total = parts.sum(tuple(range(-count, 0)))
        np.testing.assert_allclose(log_prob(joint, x), total, rtol=tolerance(dtype))
    assert d.to_event(0) is d


def test_mask(dtype):
    """Masked values count nothing, be they nan, in the value and in the gradient."""
    x = np.array([0.5, np.nan, 2.0], dtype)
    mask = ~np.isnan(x)

    parameters = [np.asarray(value, dtype) for value in SCALAR]

    @jax.jit
    def masked(*parameters):
        total = lambda *p: GeneralRobust(*p).mask(mask).log_prob(x).sum()  # noqa: E731
        return jax.value_and_grad(total, (0, 1, 2))(*parameters)

    value, slopes = masked(*parameters)
    expected, expected_slopes = value_and_slopes(x[mask], *parameters)
    np.testing.assert_allclose(
        (value, *slopes), (expected, *expected_slopes), rtol=tolerance(dtype)
    )
    hidden = make(BATCH, dtype).mask(False)
    assert not log_prob(hidden, np.zeros(BATCH_SHAPE, dtype)).any()
    assert hidden.has_rsample


def test_transformed(dtype):
    """An affine map of the standardised law is the law with that location and scale."""
    alpha, loc, scale = np.asarray(SCALAR, dtype)
    moved = dist.TransformedDistribution(
        GeneralRobust(alpha, dtype.type(0), dtype.type(1)),
        dist.transforms.AffineTransform(loc, scale),
    )
    x = np.linspace(-4, 4, 7).astype(dtype)
    np.testing.assert_allclose(
        log_prob(moved, x), log_prob(GeneralRobust(alpha, loc, scale), x), rtol=tolerance(dtype)
    )
    assert moved.has_rsample
    key = jax.random.key(0)
    np.testing.assert_allclose(
        moved.sample(key),
        GeneralRobust(alpha, loc, scale).sample(key),
        rtol=100 * tolerance(dtype),
    )


def test_folded(dtype):
    """|X| of a law centred at 0 has twice its density."""
    d = make((1.2, 0.0, 2.0), dtype)
    x = np.array([0.1, 1.0, 30.0], dtype)
    np.testing.assert_allclose(
        dist.FoldedDistribution(d).log_prob(x), d.log_prob(x) + math.log(2), rtol=tolerance(dtype)
    )


@pytest.mark.parametrize("family", ["same", "general"])
def test_mixtures(family, dtype):
    """As components of a mixture, summed over without enumeration, alone or beside a Normal."""
    weights = np.array([0.7, 0.3], dtype)
    alpha, loc, scale = np.array([[1.5, 0.5], [0.0, 1.0], [1.0, 5.0]], dtype)
    mixing = dist.Categorical(probs=weights)
    if family == "same":
        mixture = dist.MixtureSameFamily(mixing, GeneralRobust(alpha, loc, scale))
        second = GeneralRobust(alpha[1], loc[1], scale[1])
    else:
        second = dist.Normal(loc[1], scale[1])
        mixture = dist.MixtureGeneral(mixing, [GeneralRobust(alpha[0], loc[0], scale[0]), second])
    x = np.linspace(-9, 9, 5).astype(dtype)
    parts = [log_prob(GeneralRobust(alpha[0], loc[0], scale[0]), x), log_prob(second, x)]
    expected = np.log(weights[0] * np.exp(parts[0]) + weights[1] * np.exp(parts[1]))
    np.testing.assert_allclose(log_prob(mixture, x), expected, rtol=tolerance(dtype))
    draw = mixture.sample(jax.random.key(0))
    assert (draw.shape, draw.dtype) == ((), dtype)
    assert jnp.isfinite(draw)
    moments = jax.eval_shape(lambda: (mixture.mean, mixture.variance))
    assert [(m.shape, m.dtype) for m in moments] == [((), dtype)] * 2


@pytest.mark.parametrize(
    ("wrapper", "bounds"),
    [
        (dist.LeftTruncatedDistribution, (0.0,)),
        (dist.RightTruncatedDistribution, (0.0,)),
        (dist.TwoSidedTruncatedDistribution, (0.0, 1.0)),
        (dist.TruncatedDistribution, (0.0,)),
    ],
)
def test_numpyro_truncation_is_refused(wrapper, bounds):
    """NumPyro's truncation works on a list of laws of its own: a refusal, not a wrong density."""
    with pytest.raises((AssertionError, ValueError), match=r"GeneralRobust|base_dist"):
        wrapper(GeneralRobust(1.0), *bounds)


@jax.jit
@jax.vmap
def cdf_and_quantile(alpha, x, p):
    """Return F and F' at x, and with the quantile q at p, F(q), q' and the densities at x and q."""
    d = GeneralRobust(alpha, 0.5, 2.0, validate_args=False)
    below, slope = jax.value_and_grad(d.cdf)(x)
    quantile, quantile_slope = jax.value_and_grad(d.icdf)(p)
    log_p = d.log_prob(jnp.stack([x, quantile]))
    return below, slope, d.cdf(quantile), quantile_slope, *jnp.exp(log_p)


@pytest.mark.parametrize("alpha", [0.0, 1.2, 2.5])
def test_cdf_and_quantile_belong_to_the_density(alpha, dtype):
    """The cdf's slope is the density, the quantile inverts it, and its slope is 1/density."""
    x = np.linspace(-9.5, 9.5, 39).astype(dtype)
    p = np.concatenate([10.0 ** -np.arange(8, 2, -1), np.linspace(0.02, 0.98, 33)]).astype(dtype)
    below, slope, again, quantile_slope, density, density_there = cdf_and_quantile(
        np.full_like(x, alpha), x, p
    )
    rtol = max(1e-12, 10 * tolerance(dtype))
    np.testing.assert_allclose(slope, density, rtol=rtol)
    np.testing.assert_allclose(again, p, rtol=rtol)
    np.testing.assert_allclose(quantile_slope, 1 / density_there, rtol=rtol)
    assert (np.diff(below) >= 0).all()
    # strictly, where it isn't about to round to 1
    assert (np.diff(below[x <= 4]) > 0).all()


def test_cdf_near_loc(dtype):
    """For any alpha the cdf leaves 1/2 at loc with the density as its slope, and has one itself.

    Up to a distance of a twentieth of the scale; the next term is of third order in the distance.
    """
    alpha = np.array([0, 1, 2, 2.5, 1e3, 1e6, 1e12, np.inf], dtype)
    distance = np.concatenate([[0], np.geomspace(1e-7, 0.05, 30)])
    distance = np.concatenate([-distance, distance]).astype(dtype)
    alpha, x = (part.ravel() for part in np.meshgrid(alpha, dtype.type(0.5) + 2 * distance))
    below, slope, *_, density, _ = cdf_and_quantile(alpha, x, np.full_like(x, 0.3))
    atol = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(slope, density, rtol=10 * tolerance(dtype))
    rise = density * (x - 0.5)
    assert (np.abs(below - 0.5 - rise) <= np.abs(x - 0.5) ** 3 + atol).all()


def test_censored(dtype):
    """NumPyro's censored wrappers, which ask for the cdf, give the mass beyond the bound."""
    d = make(SCALAR, dtype)
    x = np.array([-3.0, 0.5, 3.0], dtype)
    below, above = d.cdf(x), 1 - d.cdf(x)
    yes, no = np.ones(3, bool), np.zeros(3, bool)
    atol = tolerance(dtype)
    for wrapped, expected in [
        (dist.LeftCensoredDistribution(d, yes), np.log(below)),
        (dist.RightCensoredDistribution(d, yes), np.log(above)),
        (dist.LeftCensoredDistribution(d, no), d.log_prob(x)),
        (dist.RightCensoredDistribution(d, no), d.log_prob(x)),
    ]:
        np.testing.assert_allclose(wrapped.log_prob(x), expected, atol=atol)
    interval = dist.IntervalCensoredDistribution(d, no, no)
    pairs = np.stack([x, x + 1], -1)
    expected = np.log(d.cdf(x + 1) - d.cdf(x))
    np.testing.assert_allclose(interval.log_prob(pairs), expected, atol=10 * atol)


# Derivatives


@jax.jit
def density_of(alpha, loc, scale, x):
    return GeneralRobust(alpha, loc, scale, validate_args=False).log_prob(x)


@jax.jit
def draw_of(alpha, loc, scale):
    return GeneralRobust(alpha, loc, scale, validate_args=False).rsample(jax.random.key(5), (7,))


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0, 1.9, 3.0, 12.0])
def test_derivatives_of_log_prob(alpha, dtype):
    """First derivatives, forward and backward, by finite differences.

    In float32 the differences themselves are good to 1 % only.
    """
    x = np.array([-3.0, 0.2, 1.0], dtype)
    # at alpha = 0 a difference would step out of the family
    parameters = np.asarray([alpha, 0.5, 2.0] if alpha else [0.05, 0.5, 2.0], dtype)
    double = dtype == np.float64
    jax.test_util.check_grads(
        density_of,
        (*parameters, x),
        order=1,
        modes=("fwd", "rev"),
        atol=1e-5 if double else 2e-2,
        rtol=1e-5 if double else 2e-2,
        eps=1e-5 if double else 1e-2,
    )


@pytest.mark.slow
def test_rsample_keeps_its_word(dtype):
    """`has_rsample` promises pathwise derivatives in every parameter: they are those of the draws.

    The quantile is interpolated, which leaves differences of draws right to 1e-4 in float64.
    """
    d = make(SCALAR, dtype)
    assert d.has_rsample
    assert d.reparametrized_params == list(NAMES)
    double = dtype == np.float64
    for alpha in (0.3, 1.2, 2.6):
        jax.test_util.check_grads(
            draw_of,
            (dtype.type(alpha), dtype.type(0.5), dtype.type(2.0)),
            order=1,
            modes=("fwd", "rev"),
            atol=1e-4 if double else 3e-2,
            rtol=1e-4 if double else 3e-2,
            eps=1e-3 if double else 3e-2,
        )


# Draws


def integrate_law(alpha: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, P(X <= x) and P(X > x) on a grid, from the definition by the trapezoid rule.

    In t = arcsinh x the rule converges exponentially in the total, and between nodes the cdf is
    interpolated to 1e-6, a thousandth of what the test can tell.
    """
    t = np.linspace(-48, 48, 40_001)
    x = np.sinh(t)
    with np.errstate(over="ignore"):
        if alpha == 0:
            rho = np.log1p(x**2 / 2)
        elif alpha == 2:
            rho = x**2 / 2
        elif alpha == math.inf:
            rho = np.expm1(x**2 / 2)
        else:
            b = abs(alpha - 2)
            rho = b / alpha * ((x**2 / b + 1) ** (alpha / 2) - 1)
    mass = np.exp(-rho) * np.cosh(t)
    cell = (mass[1:] + mass[:-1]) / (2 * mass.sum())
    below = np.concatenate([[0], np.cumsum(cell)])
    above = np.concatenate([np.cumsum(cell[::-1])[::-1], [0]])
    return x, below, above


@pytest.mark.parametrize("alpha", ALPHAS)
def test_draws_follow_the_law(alpha, dtype, draws):
    """Kolmogorov and Smirnov's test, and the number of draws beyond a far quantile.

    The key is fixed; a correct sampler fails either for one key in a thousand, and a shift of the
    cdf by 0.005 or of the tail's mass by a third fails it.
    """
    sample = draws(dtype)[:, ALPHAS.index(alpha)].astype(np.float64)
    x, below, above = integrate_law(alpha)
    test = scipy.stats.kstest(sample, lambda v: np.interp(np.arcsinh(v), np.arcsinh(x), below))
    assert test.pvalue > 1e-3
    for tail in (1e-2, 1e-3):
        edge = np.interp(-tail, -above, x)
        for side in (sample, -sample):
            assert abs((side > edge).sum() - COUNT * tail) < 4 * math.sqrt(COUNT * tail)


def test_draws_are_independent(dtype, draws):
    """Neither the members of a batch nor draws in succession share their randomness."""
    ranks = scipy.stats.rankdata(draws(dtype), axis=0)
    sizes = scipy.stats.rankdata(np.abs(draws(dtype)), axis=0)
    for columns in (ranks, sizes, np.concatenate([ranks[1:, :1], sizes[:-1, :1]], 1)):
        correlation = np.corrcoef(columns, rowvar=False)
        np.fill_diagonal(correlation, 0)
        assert np.abs(correlation).max() < 5 / math.sqrt(COUNT)
        lagged = [np.corrcoef(column[1:], column[:-1])[0, 1] for column in columns.T]
        assert np.abs(lagged).max() < 5 / math.sqrt(COUNT)


def test_draws_are_finite_whatever_the_key(dtype, monkeypatch):
    """The rarest bits the generator can give, all 0 or all 1, make finite draws of either sign."""
    size = np.uint64 if dtype == np.float64 else np.uint32
    top = np.iinfo(size).max
    rare = np.array([0, 1, 2, 3, top // 2, top // 2 + 1, top - 3, top - 2, top - 1, top], size)
    asked = []

    def bits(key, shape, kind):
        asked.append(kind)
        return jnp.broadcast_to(jnp.asarray(rare, kind)[:, None], shape)

    monkeypatch.setattr(jax.random, "bits", bits)
    x = GeneralRobust(np.asarray(ALPHAS, dtype)).sample(jax.random.key(0), (len(rare),))
    assert asked == [size]
    assert jnp.isfinite(x).all()
    assert (x.min(0) < 0).all()
    assert (x.max(0) > 0).all()
    # the extremes lie at the probability of one of the generator's numbers, not somewhere nearer
    assert np.abs(x[:, ALPHAS.index(2.0)]).max() > (6 if dtype == np.float32 else 9)


def test_draws_by_the_million_are_finite(dtype, draws):
    assert np.isfinite(draws(dtype)).all()


# Models


def model(x, y=None):
    """Regress y on x with noise of unknown shape."""
    alpha = numpyro.sample("alpha", dist.Uniform(0, 2))
    scale = numpyro.sample("scale", dist.HalfNormal(1))
    with numpyro.plate("coefficient", x.shape[1]):
        beta = numpyro.sample("beta", dist.Normal(0, 1))
    with numpyro.plate("row", len(x)):
        numpyro.sample("y", GeneralRobust(alpha, x @ beta, scale), obs=y)


def data(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2))
    return x.astype(dtype), (x @ [1.0, -0.5] + rng.standard_t(2, 20)).astype(dtype)


def finite(tree: object) -> bool:
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


def test_log_density_of_a_model(dtype):
    """A model's log density is the sum of its sites', in the model's precision."""
    x, y = data(dtype)
    values = {"alpha": 0.8, "scale": 0.5, "beta": np.array([1.0, 0.0])}
    values = {name: np.asarray(value, dtype) for name, value in values.items()}
    total, trace = log_density(model, (x,), {"y": y}, values)
    expected = (
        dist.Uniform(0, 2).log_prob(values["alpha"])
        + dist.HalfNormal(1).log_prob(values["scale"])
        + dist.Normal(0, 1).log_prob(values["beta"]).sum()
        + GeneralRobust(values["alpha"], x @ values["beta"], values["scale"]).log_prob(y).sum()
    )
    np.testing.assert_allclose(total, expected, rtol=tolerance(dtype))
    assert total.dtype == dtype
    assert isinstance(trace["y"]["fn"], dist.Distribution)


def test_predictive(dtype):
    """Prior draws, vectorised, and posterior predictive ones, one after the other."""
    x, _ = data(dtype)
    prior = Predictive(model, num_samples=4, parallel=True)(jax.random.key(0), x)
    assert prior["y"].shape == (4, 20)
    assert prior["y"].dtype == dtype
    assert finite(prior)
    posterior = {name: prior[name] for name in ("alpha", "scale", "beta")}
    again = Predictive(model, posterior, parallel=False)(jax.random.key(1), x)
    assert set(again) == {"y"}
    assert again["y"].shape == (4, 20)
    assert finite(again)


def test_plates(dtype):
    """Plates broadcast; a subsampled one weighs its rows by the share they stand for."""
    _, y = data(dtype)

    def subsampled():
        with numpyro.plate("row", 20, subsample_size=5, dim=-1) as rows:
            numpyro.sample("y", GeneralRobust(*np.asarray(SCALAR, dtype)), obs=y[rows])

    trace = handlers.trace(handlers.seed(subsampled, 0)).get_trace()
    rows = trace["row"]["value"]
    assert trace["y"]["value"].shape == (5,)
    total, _ = log_density(handlers.substitute(subsampled, {"row": rows}), (), {}, {})
    expected = 4 * log_prob(make(SCALAR, dtype), y[rows]).sum()
    np.testing.assert_allclose(total, expected, rtol=tolerance(dtype))

    def nested():
        with numpyro.plate("outer", 3, dim=-2), numpyro.plate("inner", 2, dim=-1):
            return numpyro.sample("y", GeneralRobust(np.asarray(BATCH[0], dtype)))

    assert handlers.seed(nested, 0)().shape == (3, 2)


@pytest.mark.parametrize("centered", [0.0, 0.4, None])
def test_loc_scale_reparam(centered, dtype):
    """Decentring moves loc and scale out of the law, keeps alpha, and leaves the density alone."""
    alpha, loc, scale = np.asarray(SCALAR, dtype)

    def latent():
        numpyro.sample("z", GeneralRobust(alpha, loc, scale))

    config = {"z": LocScaleReparam(centered, shape_params=["alpha"])}
    trace = handlers.trace(handlers.seed(handlers.reparam(latent, config), 0)).get_trace()
    share = trace["z_centered"]["value"] if centered is None else centered
    site = trace["z_decentered"]
    assert isinstance(site["fn"], GeneralRobust)
    assert site["fn"].alpha == alpha
    z = trace["z"]["value"]
    np.testing.assert_allclose(
        z, loc + scale ** (1 - share) * (site["value"] - share * loc), rtol=tolerance(dtype)
    )
    np.testing.assert_allclose(
        site["fn"].log_prob(site["value"]),
        GeneralRobust(alpha, loc, scale).log_prob(z) + (1 - share) * np.log(scale),
        rtol=10 * tolerance(dtype),
    )


def test_transform_reparam(dtype):
    """The standardised law as the base of an affine map is found and sampled in its stead."""
    alpha, loc, scale = np.asarray(SCALAR, dtype)

    def latent():
        affine = dist.transforms.AffineTransform(loc, scale)
        numpyro.sample("z", dist.TransformedDistribution(GeneralRobust(alpha), affine))

    reparametrised = handlers.reparam(latent, {"z": TransformReparam()})
    trace = handlers.trace(handlers.seed(reparametrised, 0)).get_trace()
    assert isinstance(trace["z_base"]["fn"], GeneralRobust)
    np.testing.assert_allclose(
        trace["z"]["value"], loc + scale * trace["z_base"]["value"], rtol=tolerance(dtype)
    )


def test_scope(dtype):
    """Two copies of a model under two prefixes stay apart."""
    x, y = data(dtype)

    def both():
        handlers.scope(model, prefix="first")(x, y)
        handlers.scope(model, prefix="second")(x)

    trace = handlers.trace(handlers.seed(both, 0)).get_trace()
    assert {"first/y", "second/y", "first/alpha", "second/alpha"} <= set(trace)
    assert trace["first/y"]["is_observed"]
    assert not trace["second/y"]["is_observed"]


def test_model_graph(dtype):
    """The model's picture knows the law by name and what it depends on."""
    x, y = data(dtype)
    relations = get_model_relations(model, (x,), {"y": y})
    assert relations["sample_dist"]["y"] == "GeneralRobust"
    assert set(relations["sample_sample"]["y"]) >= {"alpha", "beta", "scale"}
    graph = generate_graph_specification(relations)
    assert graph["node_data"]["y"]["distribution"] == "GeneralRobust"
    assert {("alpha", "y"), ("scale", "y"), ("beta", "y")} <= set(graph["edge_list"])


def test_render_model(dtype):
    """The same as a graphviz object; its source needs no program to draw it."""
    pytest.importorskip("graphviz")
    x, y = data(dtype)
    source = numpyro.render_model(model, (x,), {"y": y}, render_distributions=True).source
    assert "GeneralRobust" in source
    assert "alpha -> y" in source


def check_svi(guide, dtype):
    x, y = data(dtype)
    svi = SVI(model, guide(model), numpyro.optim.Adam(0.05), Trace_ELBO())
    result = svi.run(jax.random.key(0), 200, x, y=y, progress_bar=False)
    assert finite(result.losses)
    assert result.losses[-50:].mean() < result.losses[:50].mean()
    latents = svi.guide.sample_posterior(jax.random.key(1), result.params, sample_shape=(10,))
    assert finite(latents)
    assert ((latents["alpha"] > 0) & (latents["alpha"] < 2)).all()


@pytest.mark.slow
def test_svi(dtype):
    """Variational inference runs, and its objective falls."""
    check_svi(AutoNormal, dtype)


@pytest.mark.slow
def test_svi_with_curvature():
    """So does it with the Laplace approximation, which asks for second derivatives."""
    check_svi(AutoLaplaceApproximation, np.dtype(np.float32))


def test_svi_of_a_latent_site(dtype):
    """A latent of the law itself is reparametrised: AutoNormal finds its location."""

    def latent():
        numpyro.sample("z", GeneralRobust(dtype.type(1.5), dtype.type(3), dtype.type(0.5)))

    svi = SVI(latent, AutoNormal(latent), numpyro.optim.Adam(0.05), Trace_ELBO())
    result = svi.run(jax.random.key(0), 500, progress_bar=False)
    # of 500 steps of 0.05 from 0, with the noise of one draw a step
    assert abs(result.params["z_auto_loc"] - 3) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [HMC, NUTS])
def test_mcmc_takes_steps(kernel, dtype):
    """A few transitions: finite, inside the support, moving, and none a divergence at the end."""
    x, y = data(dtype)
    mcmc = MCMC(kernel(model), num_warmup=100, num_samples=30, progress_bar=False)
    mcmc.run(jax.random.key(0), x, y=y, extra_fields=("potential_energy", "diverging"))
    samples, extra = mcmc.get_samples(), mcmc.get_extra_fields()
    assert finite(samples)
    assert finite(extra["potential_energy"])
    assert samples["alpha"].dtype == dtype
    assert np.unique(samples["alpha"]).size > 10
    assert ((samples["alpha"] > 0) & (samples["alpha"] < 2)).all()
    assert extra["diverging"].sum() <= 3
