"""How many rows a program sees: filled up to one of a few numbers, which serve data of like size.

Or some of them, evenly spaced.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

_LEAST = 16


def padded(count: int) -> int:
    """Return the next number with four binary digits: eight sizes from one power to the next."""
    if count <= _LEAST:
        return _LEAST
    unit = 1 << (count.bit_length() - 4)
    return -(-count // unit) * unit


def fill(data: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Return a model's rows as so many, NumPy's arrays: the last is repeated, and masked.

    Parameters
    ----------
    data
        The keyword arguments of a model, rows leading.
    rows
        At least as many as there are.
    """
    count = len(data["y"])
    keep = np.asarray(data.get("keep", np.ones(count, bool)))

    def longer(values: Any, mode: Any = "edge") -> Any:
        if isinstance(values, Mapping):
            return {name: longer(part) for name, part in values.items()}
        values = np.asarray(values)
        widths = [(0, rows - count)] + [(0, 0)] * (values.ndim - 1)
        return np.pad(values, widths, mode=mode)

    return {name: longer(values) for name, values in data.items()} | {
        "keep": longer(keep, "constant")
    }


def spaced(data: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return a model's rows, or as many of them as there may be, evenly spaced."""
    step = -(-len(data["y"]) // most)
    return dict(data) if step <= 1 else jax.tree.map(lambda values: values[::step], dict(data))
