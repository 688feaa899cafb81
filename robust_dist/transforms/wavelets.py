"""Wavelets in place of pixels: two families of filters, two ways to go on beyond the border."""

from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np

from robust_dist.transforms._linear import Pair, Separable, unit_volume

Boundary = Literal["periodic", "reflecting"]

_PAD_MODES: dict[str, Literal["wrap", "reflect"]] = {"periodic": "wrap", "reflecting": "reflect"}


@lru_cache
def _wavelets(name: str, size: int, boundary: str) -> Pair:
    """Return one level of a wavelet of odd filters: the coarse half above the half of details.

    Row i is a filter around sample 2 i (coarse) or 2 i + 1 (details) of the continued signal.
    """
    try:
        import pywt
    except ModuleNotFoundError:
        raise ImportError("wavelets need PyWavelets: pip install 'robust-dist[images]'") from None
    wavelet = pywt.Wavelet(name)
    halves = []
    for first, taps in enumerate(map(np.trim_zeros, (wavelet.dec_lo, wavelet.dec_hi))):
        reach = len(taps) // 2
        signal = np.pad(np.eye(size), ((reach, reach), (0, 0)), mode=_PAD_MODES[boundary])
        halves.append(sum(tap * signal[k + first : k + size : 2] for k, tap in enumerate(taps)))
    return unit_volume(np.concatenate(halves))


class _Wavelet(Separable):
    """A wavelet on several levels, by the matrices of its filters on each."""

    _options = ("levels", "boundary", "channels_last")
    _filters: ClassVar[str]
    """PyWavelets' name"""

    def __init__(
        self, levels: int = 3, *, boundary: Boundary = "periodic", channels_last: bool = False
    ) -> None:
        name = type(self).__name__
        if not isinstance(levels, int) or levels < 1:
            raise ValueError(f"{name} needs levels to be an integer of at least 1, not {levels!r}")
        if boundary not in _PAD_MODES:
            kinds = " or ".join(map(repr, _PAD_MODES))
            raise ValueError(f"{name} needs boundary to be {kinds}, not {boundary!r}")
        self.levels = levels
        self.boundary = boundary
        self.channels_last = channels_last
        super().__init__()

    def _check(self, shape: tuple[int, ...]) -> None:
        height, width = self._sides(shape)
        if self.boundary == "reflecting":
            most = most_levels(height, width)
            if self.levels > most:
                raise ValueError(
                    f"{self} needs a larger image than {height} x {width}: take at most "
                    f"{most} levels there"
                )
            return
        unit = 2**self.levels
        if not (height and width) or height % unit or width % unit:
            raise ValueError(
                f"{self} needs height and width to be multiples of {unit}, not {height} x {width}: "
                "take boundary='reflecting', crop or pad the images, or take fewer levels"
            )

    def _steps(self, height: int, width: int) -> Iterator[tuple[Pair, Pair]]:
        for _ in range(self.levels):
            rows = _wavelets(self._filters, height, self.boundary)
            yield rows, _wavelets(self._filters, width, self.boundary)
            height, width = _halved(height), _halved(width)

    def level_of(self, height: int, width: int) -> np.ndarray:
        """Return how often an image was halved before each coefficient was made of it.

        0 for the finest details, levels - 1 for the coarsest ones, and levels for what is left.

        Parameters
        ----------
        height, width
            Sides of the image, in pixels.

        Returns
        -------
        ndarray
            Integers, of shape (height, width).
        """
        self._check((height, width, 1) if self.channels_last else (height, width))
        halvings = np.zeros((height, width), int)
        for _ in range(self.levels):
            height, width = _halved(height), _halved(width)
            halvings[:height, :width] += 1
        return halvings


def _halved(size: int) -> int:
    """Return the size of the coarse half, which is the larger one."""
    return (size + 1) // 2


def most_levels(height: int, width: int) -> int:
    """Return how often both sides of an image can be halved: until the shorter one is 1."""
    return max(min(height, width) - 1, 0).bit_length()


class CDF97(_Wavelet):
    r"""The Cohen-Daubechies-Feauveau 9/7 wavelet of an image (JPEG 2000's), on several levels.

    .. math:: y = W_h\, x\, W_w^T, \qquad |\det W_n| = 1

    with the low-pass filter in the upper half of the rows of W and the high-pass one in the
    lower. One level halves rows and columns into coarse and fine (PyWavelets' ``bior4.4``); the
    next one does the same with the upper left, coarse quarter. Coefficients are laid out as
    ``pywt.coeffs_to_array`` does it. The wavelet is biorthogonal, not orthogonal: the map preserves
    volumes, but lengths only within some per cent.

    Beyond its border an image goes on as if repeated (``"periodic"``, PyWavelets'
    ``"periodization"``), or as if reflected in its last pixel (``"reflecting"``, as in JPEG 2000),
    which makes no edge where opposite borders differ, and takes any size: of an odd number of rows
    the coarse half is the larger one.

    Parameters
    ----------
    levels
        Number of levels, at least 1.
    boundary
        How an image goes on beyond its border, ``"periodic"`` or ``"reflecting"``.
    channels_last
        Whether events are of shape (height, width, channels), each channel transformed by itself,
        in place of (height, width).

    Raises
    ------
    ImportError
        If PyWavelets (extra ``images``) is missing.
    ValueError
        If levels is no positive integer, or boundary none of the two; if, periodic, height or width
        of an image is no multiple of 2**levels; if, reflecting, a side is 1 before the last level.

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

    _filters = "bior4.4"


class LeGall53(_Wavelet):
    r"""The LeGall 5/3 wavelet of an image (JPEG 2000's lossless one), on several levels.

    The shorter sister of :class:`CDF97`, of the same layout, borders and arguments, with filters of
    five and three taps (PyWavelets' ``bior2.2``). It changes lengths more.

    Parameters
    ----------
    levels, boundary, channels_last
        As of :class:`CDF97`.

    Raises
    ------
    ImportError, ValueError
        As :class:`CDF97` does.

    References
    ----------
    D. Le Gall, A. Tabatabai, Sub-band coding of digital images using symmetric short kernel filters
    and arithmetic coding techniques, ICASSP 1988.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from robust_dist.transforms import LeGall53
    >>> print(LeGall53(levels=1, boundary="reflecting")(jnp.ones((2, 2))).round(3) + 0)
    [[2. 0.]
     [0. 0.]]
    """

    _filters = "bior2.2"
