"""Arguments of the wrong type, refused by their names before JAX meets them."""

import operator
import reprlib
from typing import Any

import jax.numpy as jnp
import numpy as np


def _dtype(value: Any) -> Any:
    dtype = getattr(value, "dtype", None)
    if isinstance(dtype, np.dtype):
        return dtype
    try:
        return np.asarray(value).dtype
    except (TypeError, ValueError):  # keys of random numbers, ragged lists
        return np.dtype(object)


def shown(value: Any) -> str:
    """Return a value in a few words, for a message of one line."""
    return " ".join(reprlib.repr(value).split())


def check_real(**arguments: Any) -> None:
    """Raise a TypeError that names the first argument that holds anything but real numbers."""
    for name, value in arguments.items():
        dtype = _dtype(value)
        real = jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)
        if not (real or dtype == np.bool_):
            raise TypeError(
                f"{name} must be a real number or an array of real numbers, not {shown(value)}"
            )


def check_count(least: int, **arguments: Any) -> None:
    """Raise a TypeError that names an argument that is no integer, a ValueError if it is small."""
    for name, value in arguments.items():
        try:
            count = operator.index(value)
        except TypeError:
            raise TypeError(f"{name} must be an integer, not {shown(value)}") from None
        if count < least:
            raise ValueError(f"{name} must be {least} or more; it is {count}")
