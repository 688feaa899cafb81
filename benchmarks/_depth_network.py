"""A small network from one picture to disparity, the warp it is trained by, and its errors."""

from __future__ import annotations

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _scenes import BASELINE, FARTHEST, FOCAL, HEIGHT, MARGIN, NEAREST, WIDTH
from jax import Array

CHANNELS = (16, 32, 48, 64)
# in pixels between the left and the right view
LARGEST, SMALLEST = FOCAL * BASELINE / NEAREST, FOCAL * BASELINE / FARTHEST
METRICS = ("AbsRel", "SqRel", "RMSE", "RMSE log", "d < 1.25", "d < 1.25^2", "d < 1.25^3")


def resized(maps: Array, height: int, width: int) -> Array:
    """Return maps (..., channels, h, w) at another size, linear between pixels."""
    return jax.image.resize(maps, (*maps.shape[:-2], height, width), "linear")


class DepthNetwork(eqx.Module):
    """An encoder of four halvings, and a decoder that sees the encoder's maps of each size."""

    down: list[eqx.nn.Conv2d]
    up: list[eqx.nn.Conv2d]
    heads: list[eqx.nn.Conv2d]

    def __init__(self, key: Array) -> None:
        keys = iter(jax.random.split(key, 16))
        sizes = (5, *CHANNELS)
        self.down = [
            eqx.nn.Conv2d(a, b, 3, stride=2, padding=1, key=next(keys)) for a, b in pairwise(sizes)
        ]
        self.up = [
            eqx.nn.Conv2d(a + b, b, 3, padding=1, key=next(keys))
            for a, b in pairwise(CHANNELS[::-1])
        ]
        self.heads = [eqx.nn.Conv2d(c, 1, 3, padding=1, key=next(keys)) for c in CHANNELS[1::-1]]

    def __call__(self, picture: Array) -> list[Array]:
        """Return disparities (height, width) of a picture, by the coarser and the finer head."""
        # where a pixel is tells most of its depth, and convolutions do not know it
        place = jnp.meshgrid(jnp.linspace(-1, 1, HEIGHT), jnp.linspace(-1, 1, WIDTH), indexing="ij")
        maps = [jnp.concatenate([2 * jnp.moveaxis(picture, -1, 0) - 1, jnp.stack(place)])]
        for layer in self.down:
            maps.append(jax.nn.elu(layer(maps[-1])))
        disparities = []
        coarse = maps.pop()
        # the coarsest maps of the decoder have no head
        for layer, head in zip(self.up, (None, *self.heads), strict=True):
            skip = maps.pop()
            coarse = jax.nn.elu(layer(jnp.concatenate([resized(coarse, *skip.shape[1:]), skip])))
            if head is not None:
                raw = resized(head(coarse), HEIGHT, WIDTH)[0]
                # the middle of the scenes' disparities, some 3 pixels, where the last layer gives 0
                disparities.append(SMALLEST + (LARGEST - SMALLEST) * jax.nn.sigmoid(raw - 2))
        return disparities


def depth_of(disparity: Array) -> Array:
    """Return depth in metres."""
    return FOCAL * BASELINE / disparity


def warped(other: Array, disparity: Array, rotation: Array, shift: Array) -> Array:
    """Return what another camera saw of each pixel of the left one, linear between pixels.

    The disparity of the left picture tells where a pixel is in space, the other camera's pose
    where that is in its picture, which is wider by a margin at each side.
    """
    y, x = jnp.mgrid[:HEIGHT, :WIDTH].astype(disparity.dtype)
    rays = jnp.stack([x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2, jnp.full(x.shape, FOCAL)], -1)
    points = (depth_of(disparity) / FOCAL)[..., None] * rays @ rotation.T + shift
    # the camera has passed what is nearer than this
    along = FOCAL / jnp.maximum(points[..., 2], 0.1)
    u = points[..., 0] * along + (WIDTH - 1) / 2 + MARGIN
    v = points[..., 1] * along + (HEIGHT - 1) / 2 + MARGIN
    height, width, _ = other.shape
    u, v = jnp.clip(u, 0, width - 1.001), jnp.clip(v, 0, height - 1.001)
    column, row = jnp.floor(u).astype(int), jnp.floor(v).astype(int)
    right, below = (u - column)[..., None], (v - row)[..., None]
    corner = [other[row + i, column + j] for i in (0, 1) for j in (0, 1)]
    upper = corner[0] + right * (corner[1] - corner[0])
    lower = corner[2] + right * (corner[3] - corner[2])
    return upper + below * (lower - upper)


def differences(disparity: Array, batch: list[Array]) -> Array:
    """Return the left pictures less what the warp makes of both others, (pictures, 2, h, w, 3)."""
    left, others, rotations, shifts = batch
    of_both = jax.vmap(warped, (0, None, 0, 0))
    return left[:, None] - jax.vmap(of_both)(others, disparity, rotations, shifts)


def roughness(disparity: Array, picture: Array) -> Array:
    """Return the mean gradient of disparity over its mean, less where the picture has an edge."""
    relative = disparity / disparity.mean()
    total = jnp.zeros(())
    for axis in (0, 1):
        edge = jnp.abs(jnp.diff(picture, axis=axis)).mean(-1)
        total += (jnp.abs(jnp.diff(relative, axis=axis)) * jnp.exp(-5 * edge)).mean()
    return total


def errors(disparity: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return each of METRICS, of all pixels of all pictures."""
    predicted = np.clip(FOCAL * BASELINE / disparity, NEAREST, FARTHEST)
    off, ratio = predicted - depth, np.maximum(predicted / depth, depth / predicted)
    return np.array(
        [
            np.mean(np.abs(off) / depth),
            np.mean(off**2 / depth),
            np.sqrt(np.mean(off**2)),
            np.sqrt(np.mean(np.log(predicted / depth) ** 2)),
            *(np.mean(ratio < 1.25**k) for k in (1, 2, 3)),
        ]
    )
