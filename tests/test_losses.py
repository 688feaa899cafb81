"""Adaptive losses for training loops: densities, bounds, pytrees, and the paper's own examples."""

from __future__ import annotations

import functools
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats

from robust_dist import GeneralRobust, rho
from robust_dist.losses import AdaptiveImageLoss, AdaptiveLoss, StudentTLoss

LOSSES = [
    AdaptiveLoss(3),
    AdaptiveLoss(3, alpha_low=0.5, alpha_high=0.5),
    StudentTLoss(3, scale_low=2.0, scale_init=2.0),
    AdaptiveImageLoss((5, 6, 3), wavelet_scale_base=0.5),
    AdaptiveImageLoss((4, 4, 2), color_space="RGB", representation="DCT", likelihood="student_t"),
]

# mean, and four single ones, of the paper's code
PAPER_IMAGES = [
    ("general_robust", 2, [1.177611, 1.039776, 2.229438, 0.869587, 0.828884]),
    ("student_t", 1, [1.236286, 0.816789, 2.539507, 0.808640, 0.788182]),
]


def normal_draws(shape, dtype=np.float32):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def train(objective, params, steps, rate):
    """Return the parameters after steps of Adam, of a rate that falls to 0."""
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(objective)(params), state)
        return (optax.apply_updates(params, updates), state), None

    # what goes in is donated, as in a loop that is short of memory
    @functools.partial(jax.jit, donate_argnums=0)
    def run(carry):
        return jax.lax.scan(step, carry, length=steps)[0]

    params = jax.tree.map(jnp.copy, params)
    return run((params, optimizer.init(params)))[0]


def test_starts_and_bounds(dtype):
    """Starts are what was asked for, and the largest leaves reach the bounds and pass none."""
    loss = AdaptiveLoss(2, alpha_low=0.1, alpha_high=2, alpha_init=1.7, scale_low=0.3, scale_init=5)
    tolerance = {"rtol": 8 * np.finfo(dtype).eps}
    np.testing.assert_allclose(loss.alpha, [1.7, 1.7], **tolerance)
    np.testing.assert_allclose(loss.scale, [5, 5], **tolerance)
    assert loss.alpha.dtype == loss.scale.dtype == loss.latent_alpha.dtype == dtype
    np.testing.assert_allclose(AdaptiveLoss(()).alpha, 1, **tolerance)
    for size, alpha, scale in ((1e3, 2, 1e3), (-1e3, 0.1, 0.3)):
        end = jax.tree.map(lambda leaf, size=size: jnp.full_like(leaf, size), loss)
        np.testing.assert_array_equal(end.alpha, np.full(2, alpha, dtype))
        assert (end.scale > scale).all() if size > 0 else (end.scale == dtype.type(scale)).all()


def test_what_is_fixed_is_no_leaf():
    """Equal bounds, or a scale that starts at its bound, leave an optimiser nothing to move."""
    loss = AdaptiveLoss(2, alpha_low=2, alpha_high=2, scale_low=0.5, scale_init=0.5)
    assert jax.tree.leaves(loss) == []
    x = normal_draws((4, 2))
    np.testing.assert_array_equal(loss.alpha, [2, 2])
    np.testing.assert_allclose(loss(x), -scipy.stats.norm(0, 0.5).logpdf(x), rtol=1e-5)


def test_losses_are_densities_of_each_output():
    """Each output by its own law, whatever axes stand before, and reduced as asked."""
    loss = AdaptiveLoss(3)
    loss = eqx.tree_at(lambda tree: tree.latent_alpha, loss, jnp.array([-2.0, 0, 2]))
    x = normal_draws((2, 4, 3)) * 3
    expected = -GeneralRobust(loss.alpha, 0, loss.scale).log_prob(x)
    tolerance = {"rtol": 20 * np.finfo(np.float32).eps}
    np.testing.assert_allclose(loss(x), expected, **tolerance)
    np.testing.assert_allclose(loss(x[0, 0]), expected[0, 0], **tolerance)
    np.testing.assert_allclose(loss(x, "sum"), expected.sum(), **tolerance)
    np.testing.assert_allclose(loss(x, reduction="mean"), expected.mean(), **tolerance)
    np.testing.assert_allclose(AdaptiveLoss(())(x), AdaptiveLoss(3)(x), **tolerance)


def test_ensembles():
    """Stacked losses, one of each member, go through vmap."""
    x = normal_draws((2, 4, 3))
    losses = [AdaptiveLoss(3, alpha_init=alpha) for alpha in (0.5, 1.5)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *losses)
    together = jax.vmap(lambda loss, x: loss(x))(stacked, x)
    for loss, part, got in zip(losses, x, together, strict=True):
        np.testing.assert_allclose(got, loss(part), rtol=1e-5)


@pytest.mark.parametrize("kind", [AdaptiveLoss, StudentTLoss])
def test_precision_is_the_residuals(kind, x64):
    """Half precision is widened to float32, all else kept, whatever the leaves and JAX's mode."""
    assert {leaf.dtype for leaf in jax.tree.leaves(kind(3))} == {np.dtype(np.float64)}
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(kind(3)))
    for leaves in (jnp.float32, jnp.bfloat16):
        loss = kind(3, dtype=leaves)
        assert {leaf.dtype for leaf in jax.tree.leaves(loss)} == {np.dtype(leaves)}
        assert loss.scale.dtype == np.float32
        for given, losses in (("bfloat16", "f4"), ("float16", "f4"), ("f4", "f4"), ("f8", "f8")):
            x = jax.ShapeDtypeStruct((2, 3), given)
            assert jax.eval_shape(loss, x).dtype == losses
            gradient = jax.grad(lambda x, loss=loss: loss(x, "sum"))
            assert jax.eval_shape(gradient, x).dtype == x.dtype


def test_student_t_agrees_with_scipy(dtype):
    """Also where the difference of two log-gammas has no digit left, towards Normal."""
    log_df = jnp.array([-5, 0, 3, 10, 25, 1e3], dtype)
    loss = eqx.tree_at(lambda tree: tree.log_df, StudentTLoss(6, scale_init=0.7), log_df)
    x = normal_draws((5, 6), dtype) * 2
    x[0] = 0
    laws = [scipy.stats.t(np.exp(float(power)), 0, 0.7) for power in log_df[:4]]
    laws += [scipy.stats.norm(0, 0.7)] * 2
    pairs = zip(laws, x.astype(float).T, strict=True)
    expected = np.stack([-law.logpdf(column) for law, column in pairs], axis=1)
    # JAX's betaln is right to 3e-7
    bound = 1e-6 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(jax.jit(loss)(x), expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("kind", [AdaptiveLoss, StudentTLoss])
def test_gradients(kind, x64):
    """They are right, and finite in float32 for residuals of 0, large ones, and leaves far out."""
    total = jax.jit(lambda pair: pair[0](pair[1], "sum"))
    point = kind(4), normal_draws((3, 4), np.float64)

    def along(step):
        return total(jax.tree.map(lambda leaf: leaf + step * jnp.sin(7 * leaf + 1), point))

    slope = sum(
        jnp.vdot(gradient, jnp.sin(7 * leaf + 1))
        for gradient, leaf in zip(
            jax.tree.leaves(jax.jit(jax.grad(total))(point)), jax.tree.leaves(point), strict=True
        )
    )
    np.testing.assert_allclose(slope, (along(1e-5) - along(-1e-5)) / 2e-5, rtol=1e-7)
    gradient = jax.jit(jax.grad(total))
    x = jnp.array([[0, 1e-30, 1, 1e12]], jnp.float32)
    for size in (-1e3, -30, 30, 1e3):
        leaves, tree = jax.tree.flatten(kind(4, dtype=jnp.float32))
        far = jax.tree.unflatten(tree, [jnp.full_like(leaf, size) for leaf in leaves])
        for leaf in jax.tree.leaves(gradient((far, x))):
            assert np.isfinite(leaf).all(), size


@pytest.mark.parametrize("loss", LOSSES, ids=range(len(LOSSES)))
def test_trees_and_checkpoints(loss, tmp_path):
    """A loss is its leaves and its settings, through jit, pickle, filters and equinox's files."""
    leaves, tree = jax.tree.flatten(loss)
    leaves = [leaf + 0.5 for leaf in leaves]
    moved = jax.tree.unflatten(tree, leaves)
    names = {path[-1].name for path, _ in jax.tree.leaves_with_path(loss)}
    assert names <= {"latent_alpha", "latent_scale", "log_df"}
    file = tmp_path / "loss.eqx"
    eqx.tree_serialise_leaves(file, moved)
    dynamic, rest = eqx.partition(moved, eqx.is_inexact_array)
    for copy in (
        jax.jit(lambda loss: loss)(moved),
        pickle.loads(pickle.dumps(moved)),
        eqx.tree_deserialise_leaves(file, loss),
        eqx.combine(dynamic, rest),
    ):
        assert jax.tree.structure(copy) == tree
        assert repr(copy) == repr(moved)
        for leaf, before in zip(jax.tree.leaves(copy), leaves, strict=True):
            np.testing.assert_array_equal(leaf, before)
    assert np.isfinite(jax.jit(moved)(normal_draws((2, *loss.shape)))).all()
    with pytest.raises(AttributeError):
        loss.shape = (1,)


def test_field_of_an_equinox_module():
    """As a field of a module it is trained with it."""

    class Model(eqx.Module):
        line: eqx.nn.Linear
        loss: AdaptiveLoss

        def __call__(self, x, y):
            return self.loss(y - jax.vmap(self.line)(x), "mean")

    model = Model(eqx.nn.Linear(1, 1, key=jax.random.key(0)), AdaptiveLoss(1))
    x = normal_draws((20, 1))
    dynamic, rest = eqx.partition(model, eqx.is_inexact_array)
    trained = train(lambda part: eqx.combine(part, rest)(x, 2 * x), dynamic, 300, 0.1)
    trained = eqx.combine(trained, rest)
    np.testing.assert_allclose(trained.line.weight, [[2]], atol=0.02)
    assert trained.loss.scale < 0.1


@pytest.mark.slow
def test_flax():
    """Beside the variables of linen, as a parameter of it, and beside nnx's; Orbax stores it."""
    nn = pytest.importorskip("flax.linen")
    nnx = pytest.importorskip("flax.nnx")
    x = normal_draws((20, 1))

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, y):
            loss = self.param("loss", lambda key: AdaptiveLoss(1))
            return loss(y - nn.Dense(1)(x), "mean")

    model = Model()
    variables = model.init(jax.random.key(0), x, x)
    trained = train(lambda variables: model.apply(variables, x, 2 * x), variables, 300, 0.1)
    assert trained["params"]["loss"].scale < 0.1
    graph, state = nnx.split(nnx.Linear(1, 1, rngs=nnx.Rngs(0)))

    def objective(params):
        state, loss = params
        return loss(2 * x - nnx.merge(graph, state)(x), "mean")

    state, loss = train(objective, (state, AdaptiveLoss(1)), 300, 0.1)
    assert loss.scale < 0.1
    np.testing.assert_allclose(nnx.merge(graph, state).kernel[...], [[2]], atol=0.02)


def test_orbax(tmp_path):
    """Orbax, flax's checkpoints, stores a loss and restores it into one of its kind."""
    checkpoint = pytest.importorskip("orbax.checkpoint")
    loss = jax.tree.map(lambda leaf: leaf + 1, AdaptiveLoss(2))
    with checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "loss", {"loss": loss})
        checkpointer.wait_until_finished()
        copy = checkpointer.restore(tmp_path / "loss", {"loss": AdaptiveLoss(2)})["loss"]
    np.testing.assert_array_equal(copy.alpha, loss.alpha)


def notebook_data():
    """Return the data of the paper's example notebook, made as there."""
    state = np.random.RandomState(1)
    x = state.uniform(size=50)
    y = 0.7 * x + 0.15 + state.normal(scale=0.025, size=50)
    flipped = state.uniform(size=50) > 0.9
    return x, np.where(flipped, 0.05 + 0.4 * (1 - np.sign(y - 0.5)), y)


def test_notebook_with_a_fixed_shape():
    """The notebook's first fit, rho at alpha = 2, ends where least squares does."""
    x, y = notebook_data()
    line = train(
        lambda line: rho(line[0] * x + line[1] - y, 2.0, 0.1).mean(), jnp.zeros(2), 1500, 0.05
    )
    np.testing.assert_allclose(line, np.polyfit(x, y, 1), rtol=1e-3)


@pytest.mark.parametrize(
    ("loss", "paper"),
    [
        (AdaptiveLoss(1), [0.7151905, 0.1486086, 0.0118710, -1.5171186]),
        (StudentTLoss(1), [0.7155520, 0.1485239, 0.0164382, -1.5178371]),
    ],
)
def test_notebook_optimum(loss, paper):
    """The notebook's adaptive fit ends in the optimum of the paper's code, and in scipy's.

    Slope, shift, scale and mean loss of the paper's code are those after 20,000 steps of Adam at
    0.01, falling to 0, in float64 with PyTorch 2.13; alpha ends at its lower bound.
    """
    x, y = notebook_data()

    def objective(params):
        (slope, shift), loss = params
        return loss((slope * x + shift - y)[:, None], "mean")

    (slope, shift), loss = train(objective, (jnp.zeros(2), loss), 12_000, 0.05)
    reached = [slope, shift, loss.scale[0], objective((jnp.array([slope, shift]), loss))]
    np.testing.assert_allclose(reached, paper, rtol=1e-3)

    def density(alpha_or_df, residual, scale):
        if isinstance(loss, StudentTLoss):
            return -scipy.stats.t(alpha_or_df, 0, scale).logpdf(residual)

        def barron(x):
            gap, alpha = 2 - alpha_or_df, alpha_or_df
            return gap / alpha * ((x**2 / gap + 1) ** (alpha / 2) - 1)

        # x = sinh t, for tails that fall slowly
        mass = scipy.integrate.quad(
            lambda t: np.exp(-barron(np.sinh(t))) * np.cosh(t), -300, 300, points=[0], limit=500
        )[0]
        return barron(residual / scale) + np.log(scale * mass)

    def independent(point):
        slope, shift, log_scale, *log_df = point
        shape = np.exp(log_df[0]) if log_df else loss.alpha_low
        return density(shape, slope * x + shift - y, np.exp(log_scale)).mean()

    start = [0.7, 0.15, -4.0] + [0.0] * isinstance(loss, StudentTLoss)
    options = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000}
    best = scipy.optimize.minimize(independent, start, method="Nelder-Mead", options=options)
    np.testing.assert_allclose(reached[:2], best.x[:2], rtol=1e-3)
    np.testing.assert_allclose(reached[2:], [np.exp(best.x[2]), best.fun], rtol=1e-3)


@pytest.mark.parametrize("kind", [AdaptiveLoss, StudentTLoss])
def test_mixed_outputs_are_told_apart(kind):
    """Quantiles of Normal and Cauchy laws, shifted and scaled: the paper's own test, in float32."""
    share = (np.arange(100) + 0.5) / 100
    normal = np.array([True, False, True, False])
    laws = np.where(
        normal,
        scipy.stats.norm.ppf(share)[:, None],
        scipy.stats.cauchy(0, 2**0.5).ppf(share)[:, None],
    )
    loc, scale = np.array([-1.0, 0.5, 2, 0]), np.array([0.3, 0.5, 2.0, 4.0])
    data = (laws * scale + loc).astype(np.float32)
    centre, loss = train(lambda p: p[1](data - p[0], "sum"), (jnp.zeros(4), kind(4)), 1000, 0.1)
    np.testing.assert_allclose(centre, loc, rtol=0.1, atol=0.1)
    if kind is AdaptiveLoss:
        np.testing.assert_allclose(loss.alpha, 2 * normal, atol=0.1)
        np.testing.assert_allclose(loss.scale, scale, rtol=0.1, atol=0.1)
    else:
        assert (np.log(loss.df[normal]) > 4).all()
        np.testing.assert_allclose(np.log(loss.df[~normal]), 0, atol=0.1)
        np.testing.assert_allclose(loss.scale / np.where(normal, 1, 2**0.5), scale, rtol=0.1)


@pytest.mark.parametrize("representation", ["PIXEL", "DCT", "CDF9/7", "LeGall5/3"])
def test_images_keep_volumes(representation, x64):
    """Coefficients of images of odd sizes too are pixels in other axes, of determinant 1."""
    shape = (5, 6, 3)
    loss = AdaptiveImageLoss(shape, representation=representation)
    pixels = np.eye(90).reshape(90, *shape)
    coefficients, losses = jax.jit(lambda x: (loss.coefficients(x), loss(x)))(pixels)
    assert abs(np.linalg.slogdet(coefficients.reshape(90, 90)).logabsdet) < 1e-9
    np.testing.assert_allclose(losses, AdaptiveLoss(shape)(coefficients))
    assert loss.alpha.shape == loss.scale.shape == shape


def test_images_as_the_paper_has_them(x64):
    """Losses of the paper's code, in its default settings but for two levels and the start's scale.

    Made by it in float64; its matrix of colours is rounded to 4e-5.
    """
    x = np.sin(np.arange(2 * 8 * 8 * 3)).reshape(2, 8, 8, 3)
    for likelihood, base, expected in PAPER_IMAGES:
        loss = AdaptiveImageLoss(
            (8, 8, 3),
            wavelet_levels=2,
            wavelet_scale_base=base,
            scale_init=0.7,
            likelihood=likelihood,
        )
        losses = jax.jit(loss)(x)
        got = [
            losses.mean(),
            losses[0, 0, 0, 0],
            losses[1, 0, 7, 1],
            losses[0, 2, 2, 2],
            losses[1, 5, 1, 0],
        ]
        np.testing.assert_allclose(got, expected, atol=3e-4)


def test_wavelet_scale_base(x64):
    """Each level counts by a power of the base, 0 for the finest details."""
    shape = (5, 8, 3)
    plain, scaled = (
        AdaptiveImageLoss(shape, wavelet_levels=2, wavelet_scale_base=b) for b in (1, 3)
    )
    x = normal_draws((2, *shape), np.float64)
    powers = np.zeros((5, 8, 1))
    powers[:3, :4] = 1
    powers[:2, :2] = 2
    expected = 3**powers * jax.jit(plain.coefficients)(x)
    np.testing.assert_allclose(jax.jit(scaled.coefficients)(x), expected)


def test_fit_of_images():
    """With alpha fixed at 2 the best image is the mean, in any representation: the paper's test."""
    images = normal_draws((10, 5, 4, 3)) + np.random.default_rng(1).uniform(size=(5, 4, 3))
    loss = AdaptiveImageLoss((5, 4, 3), alpha_low=2, alpha_high=2)
    params = (jnp.zeros((5, 4, 3)), loss)
    image, loss = train(lambda p: p[1](images - p[0], "mean"), params, 1000, 0.1)
    np.testing.assert_allclose(image, images.mean(axis=0), atol=0.01)
    spread = jax.jit(loss.coefficients)(images - images.mean(axis=0)).std(axis=0)
    np.testing.assert_allclose(loss.scale, spread, atol=0.02)


def test_laws_of_images():
    """What a law does not have is no attribute of its loss."""
    loss = AdaptiveImageLoss((4, 4, 3), likelihood="student_t")
    assert loss.df.shape == (4, 4, 3)
    with pytest.raises(AttributeError, match="StudentTLoss has no alpha"):
        _ = loss.alpha
    with pytest.raises(AttributeError, match="AdaptiveLoss has no df"):
        _ = AdaptiveImageLoss((4, 4, 3)).df


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: AdaptiveLoss(2.0), "shape must be the number of outputs"),
        (lambda: AdaptiveLoss((3, 0)), "shape must be the number of outputs"),
        (lambda: AdaptiveLoss(1, alpha_low=-0.1), "0 <= alpha_low <= alpha_high"),
        (lambda: AdaptiveLoss(1, alpha_low=1.5, alpha_high=1), "0 <= alpha_low <= alpha_high"),
        (lambda: AdaptiveLoss(1, alpha_high=np.inf), "alpha_high must be a finite number"),
        (lambda: AdaptiveLoss(1, alpha_low=np.zeros(1)), "alpha_low must be a finite number"),
        (lambda: AdaptiveLoss(1, alpha_init=1.999), "alpha_init must lie between 0.001 and 1.999"),
        (lambda: AdaptiveLoss(1, scale_low=0), "scale_low must be above 0"),
        (lambda: StudentTLoss(1, scale_low=2), "scale_init must be scale_low = 2.0 at least"),
        (lambda: AdaptiveLoss(1)(np.zeros(5)), r"residual\[:, None\]"),
        (lambda: AdaptiveLoss(3)(np.zeros((3, 2))), r"last axes must be \(3,\)"),
        (lambda: AdaptiveLoss((2, 3))(np.zeros(3)), r"last axes must be \(2, 3\)"),
        (lambda: AdaptiveLoss(1)(np.zeros((2, 1)), "avg"), "none, sum and mean, not 'avg'"),
        (lambda: AdaptiveImageLoss(8), r"\(height, width, channels\)"),
        (lambda: AdaptiveImageLoss((8, 8, 1)), "YUV needs three channels, not 1"),
        (lambda: AdaptiveImageLoss((8, 8, 3), color_space="yuv"), "did you mean 'YUV'"),
        (lambda: AdaptiveImageLoss((8, 8, 3), representation="CDF97"), "did you mean 'CDF9/7'"),
        (lambda: AdaptiveImageLoss((8, 8, 3), likelihood="t"), "likelihood must be one of"),
        (lambda: AdaptiveImageLoss((8, 8, 3), wavelet_levels=4), "from 0 to 3, not 4"),
        (lambda: AdaptiveImageLoss((8, 8, 3), wavelet_scale_base=0), "must be above 0"),
        (
            lambda: AdaptiveImageLoss((8, 8, 3), representation="DCT", wavelet_scale_base=2),
            "are of wavelets, not of DCT",
        ),
    ],
)
def test_mistakes_are_named(call, part):
    """By one line that names the argument and the mend."""
    with pytest.raises(ValueError, match=part) as error:
        call()
    assert "\n" not in str(error.value)
