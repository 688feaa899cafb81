"""Checks of arguments that many functions take, each with one sentence for what is wrong.

Those of the distributions and the loss raise as NumPyro and NumPy do (TypeError, ValueError), those
of regression, diagnostics and plots raise InputError, which the command line prints as it stands.
"""

import operator
import reprlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from robust_dist._errors import InputError


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


def whole_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return a whole number, of Python or NumPy; truth values and floats are none.

    Raises
    ------
    InputError
        If the value is no such number, or lies outside of least to most.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{name} must be a whole number, not {shown(value)}")
    if most is not None and not least <= value <= most:
        raise InputError(f"{name} must be a whole number from {least} to {most}, not {value}")
    if value < least:
        raise InputError(f"{name} must be {least} or more, not {value}")
    return int(value)


def seed_number(value: Any) -> int:
    """Return a seed, which a key of 32 bits can hold."""
    return whole_number("seed", value, 0, 2**32 - 1)


def probability(name: str, value: Any) -> float:
    """Return a number between 0 and 1, both excluded."""
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or not 0 < value < 1:
        raise InputError(f"{name} must lie between 0 and 1, not {shown(value)}")
    return float(value)


def check_type(name: str, value: Any, kinds: Any, words: str) -> None:
    """Refuse a value of another type, saying in words what is wanted."""
    if not isinstance(value, kinds):
        raise InputError(f"{name} must be {words}, not {shown(value)}")
