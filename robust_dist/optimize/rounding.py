"""Data that single precision cannot hold, such as time stamps, refused before they are rounded."""

import jax
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from robust_dist._errors import InputError

_MEND = (
    "subtract a number near its mean first, or enable double precision by "
    'jax.config.update("jax_enable_x64", True)'
)
# how much larger than its error a singular value of the design must be
_MARGIN = 500


def smallest_ratio(columns: int, dtype: DTypeLike) -> float:
    """Return the ratio to the largest below which a singular value is taken for rounding."""
    return 10 * columns * float(np.finfo(dtype).eps)


def refuse_rounding(x: ArrayLike, y: ArrayLike, dtype: DTypeLike) -> None:
    """Raise an InputError if a fit in this format cannot be that of the given design and response.

    That is so if the design loses a direction to rounding, or the response its differences. Traced
    values cannot be looked at.
    """
    if dtype == np.float64 or isinstance(x, jax.core.Tracer) or isinstance(y, jax.core.Tracer):
        return
    design, response = np.asarray(x, float), np.asarray(y, float)
    if not (design.size and np.isfinite(design).all() and np.isfinite(response).all()):
        return
    lost = np.abs(response - response.astype(dtype))
    if lost.max() > 1e-3 * np.ptp(response):
        raise InputError(f"{np.dtype(dtype)} rounds the differences of y away: {_MEND}")
    largest = np.abs(design).max(axis=0)
    unit = np.where(largest > 0, largest, 1)
    scaled = design / unit
    every = np.linalg.svd(scaled, compute_uv=False)
    sizes = every[every > smallest_ratio(every.size, np.float64) * every[0]]
    rounded = np.linalg.norm(scaled - design.astype(dtype) / unit)
    error = max(float(np.finfo(dtype).eps) * every[0], rounded)
    if sizes.size and sizes[-1] < _MARGIN * error:
        raise InputError(
            f"{np.dtype(dtype)} cannot tell the columns of x apart, such as a far-off one from a "
            f"constant: {_MEND}"
        )
