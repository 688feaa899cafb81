"""Image representations: linear, volume-preserving, invertible, and as scipy and PyWavelets say."""

from __future__ import annotations

import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import pywt
import scipy.fft

from robust_dist import GeneralRobust
from robust_dist.transforms import CDF97, DCT, LeGall53, ScaledYUV

CASES = [
    (ScaledYUV(), (3,)),
    (DCT(), (5, 8)),
    (DCT(), (1, 7)),
    (DCT(channels_last=True), (4, 6, 3)),
    (CDF97(1), (2, 2)),
    (CDF97(2), (8, 12)),
    (CDF97(3), (8, 8)),
    (CDF97(3), (32, 16)),
    (CDF97(2, channels_last=True), (8, 4, 3)),
    (CDF97(3, boundary="reflecting"), (5, 11)),
    (LeGall53(2, boundary="reflecting", channels_last=True), (7, 4, 3)),
]


def image(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def dense(transform, shape):
    """Return the matrix of a transform of flattened events."""
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.asarray(transform(units)).reshape(len(units), -1).T


@pytest.mark.parametrize(("transform", "shape"), CASES)
def test_volume_is_preserved(transform, shape, x64):
    """The determinant of the whole map is 1 up to sign, so that densities need no correction."""
    assert abs(np.linalg.slogdet(dense(transform, shape)).logabsdet) < 1e-10
    x = image((4, 2, *shape))
    for way in (transform, transform.inv):
        np.testing.assert_array_equal(way.log_abs_det_jacobian(x, way(x)), np.zeros((4, 2)))


def test_cosines_are_orthonormal(x64):
    """The DCT keeps lengths and angles."""
    matrix = dense(DCT(), (5, 8))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(40), atol=1e-14)


@pytest.mark.parametrize(("transform", "shape"), CASES)
def test_inverse(transform, shape, dtype):
    """Both ways and back, in the dtype given; rounding errors are some eps of the largest value."""
    x = image((3, *shape), dtype)
    bound = 40 * np.finfo(dtype).eps
    for way in (transform, transform.inv):
        there = way(x)
        back = way.inv(there)
        assert there.dtype == back.dtype == dtype
        assert there.shape == way.forward_shape(x.shape) == way.inverse_shape(x.shape) == x.shape
        np.testing.assert_allclose(back, x, atol=bound)


def test_float32_stays_under_x64(x64):
    """The 64-bit mode does not widen what is given in float32; integers become floats."""
    for transform, shape in CASES:
        assert transform(image(shape, np.float32)).dtype == np.float32
        assert transform(np.ones(shape, np.uint8)).dtype == np.float64


def test_colours(x64):
    """Luma of BT.601 comes first, greys have no chroma, and the scale is the paper's code's."""
    red, green, blue = dense(ScaledYUV(), (3,)).T
    scale = 1.580227820074  # from constants rounded to 1e-6
    np.testing.assert_allclose(
        [red[0], green[0], blue[0]], scale * np.array([0.299, 0.587, 0.114]), rtol=1e-5
    )
    np.testing.assert_allclose(red + green + blue, [scale, 0, 0], rtol=1e-5, atol=1e-14)
    np.testing.assert_allclose([blue[1], red[2]], scale * np.array([0.436, 0.615]), rtol=1e-5)


def test_cosines_agree_with_scipy(x64):
    """Also channel by channel."""
    x = image((2, 5, 8))
    np.testing.assert_allclose(DCT()(x), scipy.fft.dctn(x, norm="ortho", axes=(1, 2)), atol=1e-14)
    stack = np.moveaxis(x, 0, -1)
    expected = np.moveaxis(scipy.fft.dctn(x, norm="ortho", axes=(1, 2)), 0, -1)
    np.testing.assert_allclose(DCT(channels_last=True)(stack), expected, atol=1e-14)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.filterwarnings("ignore:Level value")
def test_wavelets_agree_with_pywavelets(levels, x64):
    """In values and layout; PyWavelets' rounded filters leave its determinant 1e-12 off ours."""
    x = image((16, 24))
    bands = pywt.wavedec2(x, "bior4.4", "periodization", level=levels)
    there, slices = pywt.coeffs_to_array(bands)
    np.testing.assert_allclose(CDF97(levels)(x), there, atol=1e-11)
    bands = pywt.array_to_coeffs(x, slices, output_format="wavedec2")
    back = pywt.waverec2(bands, "bior4.4", "periodization")
    np.testing.assert_allclose(CDF97(levels).inv(x), back, atol=1e-11)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
@pytest.mark.parametrize(("kind", "name"), [(CDF97, "bior4.4"), (LeGall53, "bior2.2")])
def test_reflecting_wavelets_are_periodic_ones_of_what_is_mirrored(kind, name, size, x64):
    """A signal and its mirror image repeat; PyWavelets transforms that, but for the volume."""
    x = np.tile(image((size, 1)), (1, size))
    levels = min(1, size - 1)
    if not levels:
        with pytest.raises(ValueError, match="at most 0 levels"):
            kind(1, boundary="reflecting")(x)
        return
    mirrored = np.concatenate([x[:, 0], x[-2:0:-1, 0]])
    coarse, fine = pywt.dwt(mirrored, name, "periodization")
    expected = np.concatenate([coarse[: (size + 1) // 2], fine[: size // 2]])
    # the columns are alike, so that only coarse ones are left of them
    column = kind(1, boundary="reflecting")(x)[:, 0]
    assert np.ptp(column / expected) < 1e-8 * abs(column / expected).max()


def test_levels_of_coefficients(x64):
    """They count the halvings that a coefficient went through, on images of any size."""
    expected = [[2, 2, 1, 0, 0], [2, 2, 1, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    wavelet = CDF97(2, boundary="reflecting", channels_last=True)
    np.testing.assert_array_equal(wavelet.level_of(5, 5), expected)
    # what is constant but for a slow wave is of the coarsest level
    flat = np.abs(wavelet(np.ones((5, 5, 1))))[:, :, 0] > 1e-9
    np.testing.assert_array_equal(flat, np.array(expected) == 2)


def test_white_noise_is_white_in_cosines(dtype):
    """Standard Normal coefficients are standard Normal pixels, of the same log density."""
    x = image((6, 8, 8), dtype)
    pixels = dist.Normal(np.zeros((8, 8), dtype), 1).to_event(2)
    cosines = dist.TransformedDistribution(pixels, DCT().inv)
    np.testing.assert_allclose(cosines.log_prob(x), pixels.log_prob(x), rtol=4e-6)
    assert cosines.log_prob(x).dtype == dtype


@pytest.mark.slow
@pytest.mark.parametrize(("transform", "shape"), [CASES[0], CASES[3], CASES[6]])
def test_density_of_pixels(transform, shape, dtype):
    """It is the density of the coefficients, under jit and vmap too."""
    size = len(shape)
    alpha = np.linspace(0.1, 1.9, int(np.prod(shape)), dtype=dtype).reshape(shape)
    base = GeneralRobust(alpha, image(shape, dtype, seed=1), 0.5 + alpha).to_event(size)
    law = dist.TransformedDistribution(base, transform.inv)
    x = image((3, *shape), dtype)
    expected = base.log_prob(transform(x))
    assert law.event_shape == shape
    assert law.support.event_dim == size
    assert expected.shape == (3,)
    tolerance = {"rtol": 30 * np.finfo(dtype).eps}
    np.testing.assert_allclose(law.log_prob(x), expected, **tolerance)
    np.testing.assert_allclose(jax.jit(lambda d, x: d.log_prob(x))(law, x), expected, **tolerance)
    np.testing.assert_allclose(jax.vmap(law.log_prob)(x), expected, **tolerance)


def test_draws_are_pixels():
    """A draw is made of drawn coefficients."""
    base = GeneralRobust(1.0, jnp.full((4, 4), 100.0)).to_event(2)
    draw = dist.TransformedDistribution(base, CDF97(1).inv).sample(jax.random.key(0), (2,))
    np.testing.assert_allclose(CDF97(1)(draw), base.sample(jax.random.key(0), (2,)), rtol=1e-5)


@pytest.mark.parametrize(("transform", "shape"), CASES)
def test_trees_copies_and_equality(transform, shape):
    """A transform is its options: equal after pickle and through jit, unequal to other options."""
    leaves, tree = jax.tree.flatten(transform)
    assert leaves == []
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert jax.tree.unflatten(tree, leaves) == transform
    assert jax.jit(lambda t: t)(transform) == transform
    assert jax.jit(lambda t: t)(transform.inv) == transform.inv
    assert hash(jax.tree.unflatten(tree, leaves)) == hash(transform)
    assert repr(transform) == repr(jax.tree.unflatten(tree, leaves))
    others = [ScaledYUV(), DCT(), DCT(channels_last=True), CDF97(2), CDF97(7)]
    assert all(other != transform for other in others if repr(other) != repr(transform))


@pytest.mark.parametrize(
    ("transform", "shape", "part"),
    [
        (ScaledYUV(), (3, 4), "colours red, green, blue last"),
        (ScaledYUV(), (), "at least 1 axes"),
        (DCT(), (8,), "at least 2 axes"),
        (DCT(channels_last=True), (8, 8), "at least 3 axes"),
        (CDF97(3), (8, 12), "multiples of 8, not 8 x 12"),
        (CDF97(1), (0, 2), "multiples of 2, not 0 x 2"),
        (CDF97(1, channels_last=True), (3, 4, 2), "multiples of 2, not 3 x 4"),
        (LeGall53(3, boundary="reflecting"), (9, 4), "at most 2 levels"),
    ],
)
def test_wrong_shapes_are_refused(transform, shape, part):
    """By one line that names the transform and the mend, whichever method meets the shape."""
    x = jnp.zeros(shape)
    for call in (transform, transform.inv, jax.jit(transform)):
        with pytest.raises(ValueError, match=part) as error:
            call(x)
        assert "\n" not in str(error.value)
    for call in (transform.forward_shape, transform.inv.forward_shape):
        with pytest.raises(ValueError, match=part):
            call(shape)


@pytest.mark.parametrize("levels", [0, -1, 1.0, None])
def test_wrong_levels_are_refused(levels):
    """They are a positive integer."""
    with pytest.raises(ValueError, match="levels to be an integer"):
        CDF97(levels)


def test_wrong_boundaries_are_refused():
    """They are one of two words."""
    with pytest.raises(ValueError, match="'periodic' or 'reflecting', not 'zero'"):
        CDF97(boundary="zero")


def test_missing_package_is_named():
    """Without PyWavelets the rest works, and one line says what to install."""
    program = """
import sys
sys.modules["pywt"] = None
import jax
from robust_dist.transforms import CDF97, DCT, ScaledYUV
assert not jax.live_arrays()
image = jax.numpy.ones((4, 4, 3))
DCT(channels_last=True)(ScaledYUV()(image))
try:
    CDF97(channels_last=True, levels=1)(image)
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    expected = "wavelets need PyWavelets: pip install 'robust-dist[images]'\n"
    assert done.stdout == expected, done.stderr
