"""Checks of arguments that many functions take, each with one sentence for what is wrong."""

from typing import Any

import numpy as np

from robust_dist._errors import InputError


def whole_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return a whole number, of Python or NumPy; truth values and floats are none.

    Raises
    ------
    InputError
        If the value is no such number, or lies outside of least to most.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{name} must be a whole number, not {_shown(value)}")
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
        raise InputError(f"{name} must lie between 0 and 1, not {_shown(value)}")
    return float(value)


def check_type(name: str, value: Any, kinds: Any, words: str) -> None:
    """Refuse a value of another type, saying in words what is wanted."""
    if not isinstance(value, kinds):
        raise InputError(f"{name} must be {words}, not {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a value as it is written, or its type if that is long."""
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else f"of type {type(value).__name__}"
