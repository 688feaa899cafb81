"""Cosines in place of pixels."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy.fft import dct

from robust_dist.transforms._linear import Pair, Separable, unit_volume


@lru_cache
def _cosines(size: int) -> Pair:
    """Return the orthonormal DCT-II of a signal of that size."""
    return unit_volume(dct(np.eye(size), norm="ortho", axis=0))


class DCT(Separable):
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
