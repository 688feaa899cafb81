"""Luma and chroma in place of red, green and blue."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from robust_dist.transforms._linear import Pair, VolumePreserving, unit_volume


@lru_cache
def _syuv() -> Pair:
    """Return the map from RGB to YUV of ITU-R BT.601, from its four constants, scaled."""
    red, blue, u_max, v_max = 0.299, 0.114, 0.436, 0.615
    luma = np.array([red, 1 - red - blue, blue])
    u = u_max / (1 - blue) * (np.array([0, 0, 1]) - luma)
    v = v_max / (1 - red) * (np.array([1, 0, 0]) - luma)
    return unit_volume(np.stack([luma, u, v]))


class ScaledYUV(VolumePreserving):
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
