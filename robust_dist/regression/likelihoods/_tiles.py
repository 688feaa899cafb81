"""Evaluating a compiled function on arrays of any shape, by tiles of one length.

JAX compiles a program for each shape of its arguments, which takes a second where the numbers of a
small fit take milliseconds. In tiles the draws of the posterior and of the prior, their rows, and
every other fit share one program.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

# long enough that a call costs little beside its numbers, short enough that padding does
_TILE = 2048
# what JAX spreads over the processor's cores; only numbers that take longer than to compile it
_LARGE = 2**18

type Function = Callable[[Mapping[str, Any]], tuple[jax.Array, ...]]


def over_tiles(function: Function, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return what a function of arrays by name gives for each element, in double precision.

    Parameters
    ----------
    function
        Compiled by ``jax.jit``, from arrays of one length to arrays of that length, element by
        element.
    arrays
        Of shapes that broadcast against each other, none empty; the results have the shape that
        this makes.
    """
    whole = np.broadcast_arrays(*arrays.values())
    shape, size = whole[0].shape, whole[0].size
    flat = {
        name: np.ravel(values).astype(float, copy=False)
        for name, values in zip(arrays, whole, strict=True)
    }
    parts = []
    start = 0
    with jax.enable_x64(True):
        while start < size:
            length = _LARGE if size - start >= _LARGE else _TILE
            tile = {
                name: _tile(values[start : start + length], length) for name, values in flat.items()
            }
            results = function(tile)
            parts.append([np.asarray(values, float)[: size - start] for values in results])
            start += length
    return tuple(np.concatenate(values).reshape(shape) for values in zip(*parts, strict=True))


def _tile(values: np.ndarray, length: int) -> np.ndarray:
    """Return a tile of full length; the last number, which the function can take, fills it."""
    return values if values.size == length else np.pad(values, (0, length - values.size), "edge")
