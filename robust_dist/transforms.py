"""Volume-preserving representations of images, as NumPyro transforms.

Each is a linear bijection with determinant ±1, so that a density of its coefficients is a density
of the pixels, and log likelihoods in different representations can be compared. Each maps **from
pixels to coefficients**; its ``.inv`` maps back. A density of pixels whose coefficients are
independent, each with its own shape and scale, is therefore

.. code-block:: python

    TransformedDistribution(GeneralRobust(alpha, loc, scale).to_event(2), CDF97().inv)

with alpha, loc and scale of the shape of the image; loc holds coefficients, ``CDF97()(mean)``.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.transforms import Transform
from scipy.fft import dct

from robust_dist._arguments import check_real
from robust_dist._numerics.formats import promote_inexact

__all__ = ["CDF97", "DCT", "ScaledYUV"]

# a matrix and its inverse
Pair = tuple[np.ndarray, np.ndarray]


def _unit_volume(matrix: np.ndarray) -> Pair:
    """Return a square matrix, scaled such that abs(det) = 1, and its inverse."""
    scaled = matrix / np.exp(np.linalg.slogdet(matrix).logabsdet / len(matrix))
    return scaled, np.linalg.inv(scaled)


@lru_cache
def _syuv() -> Pair:
    """Return the map from RGB to YUV of ITU-R BT.601, from its four constants, scaled."""
    red, blue, u_max, v_max = 0.299, 0.114, 0.436, 0.615
    luma = np.array([red, 1 - red - blue, blue])
    u = u_max / (1 - blue) * (np.array([0, 0, 1]) - luma)
    v = v_max / (1 - red) * (np.array([1, 0, 0]) - luma)
    return _unit_volume(np.stack([luma, u, v]))


@lru_cache
def _cosines(size: int) -> Pair:
    """Return the orthonormal DCT-II of a signal of that size."""
    return _unit_volume(dct(np.eye(size), norm="ortho", axis=0))


@lru_cache
def _wavelets(size: int) -> Pair:
    """Return one level of the CDF 9/7 wavelet: the coarse half above the half of details."""
    try:
        import pywt
    except ModuleNotFoundError:
        raise ImportError("CDF97 needs PyWavelets: pip install 'robust-dist[images]'") from None
    return _unit_volume(np.concatenate(pywt.dwt(np.eye(size), "bior4.4", "periodization", axis=0)))


class _VolumePreserving(Transform):
    """A linear bijection of events with determinant ±1, and nothing but static options."""

    _options: tuple[str, ...] = ()
    _event_dim: int

    @property
    def domain(self) -> Any:
        return constraints.independent(constraints.real, self._event_dim)

    codomain = domain

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        check_real(x=x)
        (x,) = promote_inexact(x)
        return jnp.zeros(jnp.shape(x)[: x.ndim - self._event_dim], x.dtype)

    def forward_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) < self._event_dim:
            raise ValueError(f"{self} needs arrays of at least {self._event_dim} axes, not {shape}")
        self._check(shape)
        return shape

    inverse_shape = forward_shape

    def _check(self, shape: tuple[int, ...]) -> None:
        """Raise a ValueError for an event that cannot be transformed."""

    def _promoted(self, x: ArrayLike) -> Array:
        check_real(x=x)
        (x,) = promote_inexact(x)
        self.forward_shape(x.shape)
        return x

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._options)

    def _apply(self, x: ArrayLike, inverse: bool) -> Array:
        """Return the coefficients of pixels x, or the other way round."""
        raise NotImplementedError

    def __call__(self, x: ArrayLike) -> Array:
        """Return the coefficients of pixels, of the same shape."""
        return self._apply(x, inverse=False)

    def _inverse(self, y: ArrayLike) -> Array:
        return self._apply(y, inverse=True)

    def __repr__(self) -> str:
        options = zip(self._options, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in options)})"

    # NumPyro's own keeps a dictionary beside the leaves, which jit cannot hash
    def tree_flatten(self) -> tuple[tuple[()], tuple[Any, ...]]:
        return (), self._values()

    @classmethod
    def tree_unflatten(cls, aux_data: tuple[Any, ...], params: tuple[()]) -> Any:
        self = cls.__new__(cls)
        self.__dict__.update(zip(cls._options, aux_data, strict=True))
        return self

    def eq(self, other: object, static: bool = False) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))


class ScaledYUV(_VolumePreserving):
    r"""From RGB to YUV (ITU-R BT.601), scaled such that volumes stay: 1.5802 times YUV.

    .. math::
        Y = 0.299 R + 0.587 G + 0.114 B, \quad U = 0.436\,\frac{B - Y}{1 - 0.114}, \quad
        V = 0.615\,\frac{R - Y}{1 - 0.299}

    The colour channels are the last axis, of length 3. Inputs and outputs have the unit of the RGB
    values.

    Raises
    ------
    ValueError
        If the last axis is not of length 3.

    References
    ----------
    Jonathan T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, arXiv 1701.03077,
    supplement.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from robust_dist.transforms import ScaledYUV
    >>> print(ScaledYUV()(jnp.ones(3)).round(1) + 0)
    [1.6 0.  0. ]
    """

    _event_dim = 1

    def _check(self, shape: tuple[int, ...]) -> None:
        if shape[-1] != 3:
            raise ValueError(f"{self} needs the colours red, green, blue last, not shape {shape}")

    def _apply(self, x: ArrayLike, inverse: bool) -> Array:
        x = self._promoted(x)
        return jnp.matmul(x, jnp.asarray(_syuv()[inverse].T, x.dtype), precision="highest")


class _Separable(_VolumePreserving):
    """Steps that each multiply the upper left block of an image by a matrix on either side."""

    channels_last: bool

    @property
    def _event_dim(self) -> int:  # type: ignore[override]
        return 3 if self.channels_last else 2

    def _sides(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return height and width of the images in an array of that shape."""
        height, width = shape[-3:-1] if self.channels_last else shape[-2:]
        return height, width

    def _steps(self, height: int, width: int) -> Iterator[tuple[Pair, Pair]]:
        """Yield the matrices for rows and columns, with their inverses, the largest first."""
        raise NotImplementedError

    def _apply(self, x: ArrayLike, inverse: bool) -> Array:
        x = self._promoted(x)
        steps = list(self._steps(*self._sides(x.shape)))
        if self.channels_last:
            x = jnp.moveaxis(x, -1, -3)
        for pairs in reversed(steps) if inverse else steps:
            rows, columns = (jnp.asarray(pair[inverse], x.dtype) for pair in pairs)
            h, w = len(rows), len(columns)
            block = jnp.einsum(
                "ih,...hw,jw->...ij", rows, x[..., :h, :w], columns, precision="highest"
            )
            x = x.at[..., :h, :w].set(block)
        return jnp.moveaxis(x, -3, -1) if self.channels_last else x


class DCT(_Separable):
    r"""The orthonormal two-dimensional discrete cosine transform (DCT-II) of an image.

    .. math::
        y = C_h\, x\, C_w^T, \qquad (C_n)_{ik} = \sqrt{\frac{2 - \delta_{i0}}{n}}
        \cos \frac{\pi i (2 k + 1)}{2 n}

    Coefficient (i, j) belongs to i half-waves down the rows and j along the columns; (0, 0) is the
    image's mean times the square root of the number of pixels.

    Parameters
    ----------
    channels_last
        Whether events are of shape (height, width, channels), each channel transformed by itself,
        in place of (height, width).

    Raises
    ------
    ValueError
        If an array has too few axes.

    References
    ----------
    N. Ahmed, T. Natarajan, K. R. Rao, Discrete Cosine Transform, IEEE Transactions on Computers
    C-23, 1974.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from robust_dist.transforms import DCT
    >>> print(DCT()(jnp.ones((2, 2))).round(3) + 0)
    [[2. 0.]
     [0. 0.]]
    """

    _options = ("channels_last",)

    def __init__(self, *, channels_last: bool = False) -> None:
        self.channels_last = channels_last
        super().__init__()

    def _steps(self, height: int, width: int) -> Iterator[tuple[Pair, Pair]]:
        yield _cosines(height), _cosines(width)


class CDF97(_Separable):
    r"""The Cohen-Daubechies-Feauveau 9/7 wavelet of an image (JPEG 2000's), on several levels.

    .. math:: y = W_h\, x\, W_w^T, \qquad |\det W_n| = 1

    with the low-pass filter in the upper half of the rows of W and the high-pass one in the
    lower. One level halves rows and columns into coarse and fine (PyWavelets' ``bior4.4``,
    periodic at the borders); the next one does the same with the upper left, coarse quarter.
    Coefficients are laid out as ``pywt.coeffs_to_array`` does it. The wavelet is biorthogonal,
    not orthogonal: the map preserves volumes, but lengths only within some per cent.

    Parameters
    ----------
    levels
        Number of levels, at least 1.
    channels_last
        Whether events are of shape (height, width, channels), each channel transformed by itself,
        in place of (height, width).

    Raises
    ------
    ImportError
        If PyWavelets (extra ``images``) is missing.
    ValueError
        If levels is no positive integer, or height or width of an image is no multiple of
        2**levels.

    References
    ----------
    A. Cohen, I. Daubechies, J.-C. Feauveau, Biorthogonal bases of compactly supported wavelets,
    Communications on Pure and Applied Mathematics 45, 1992.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from robust_dist.transforms import CDF97
    >>> print(CDF97(levels=1)(jnp.ones((2, 2))).round(3) + 0)
    [[2. 0.]
     [0. 0.]]
    """

    _options = ("levels", "channels_last")

    def __init__(self, levels: int = 3, *, channels_last: bool = False) -> None:
        if not isinstance(levels, int) or levels < 1:
            raise ValueError(f"CDF97 needs levels to be an integer of at least 1, not {levels!r}")
        self.levels = levels
        self.channels_last = channels_last
        super().__init__()

    def _check(self, shape: tuple[int, ...]) -> None:
        height, width = self._sides(shape)
        unit = 2**self.levels
        if not (height and width) or height % unit or width % unit:
            raise ValueError(
                f"{self} needs height and width to be multiples of {unit}, not {height} x {width}: "
                "crop or pad the images, or take fewer levels"
            )

    def _steps(self, height: int, width: int) -> Iterator[tuple[Pair, Pair]]:
        for level in range(self.levels):
            yield _wavelets(height >> level), _wavelets(width >> level)
