r"""Responses that were rounded to a grid: which grid it is, and whether that matters.

Taken for exact, responses that are tied make the likelihood unbounded as the scale goes to 0, and
where the noise is no wider than the grid's step, that is where the posterior falls: into a line
through as many ties as it can reach. ``resolution=`` makes the likelihood of a response that of its
cell of the grid (:class:`robust_dist.Rounded`), which is at most 1.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from robust_dist._arguments import shown
from robust_dist._errors import InputError
from robust_dist.datasets import row_names
from robust_dist.optimize.frequencies import SD, median_of_others
from robust_dist.regression.design.design import Design

# The noise's robust sd in steps below which rounding is told of; it includes that of the rounding.
# Measured (docs/howto/rounded.md): at a true sd of 0.7 steps chains fall into ties where lines can
# meet them, and intervals of sigma cover 60 to 80 %, at 0.85 neither. Of 50 rows 96 % of sets are
# told of at 0.7 steps, a quarter at 1, and 3 % at 1.2.
_COARSE = 1.0
# a step is told from the rounding of numbers from so many roundings on
_RESOLVED = 100.0
_MOST_PARTS = 1e5
"""of the longest gap: no noise is narrow against shorter steps, for outliers are left out"""
_CHANCE = 1e-3
"""of a step that numbers of no grid share by chance: few numbers share long ones"""
_FAR = 1e4
"""median deviations beyond which a value says nothing of the grid"""
_OFF = 0.01
"""of a step, how far off its grid a response may lie"""


def grid_step(values: np.ndarray) -> float | None:
    """Return the largest step of a grid that all values lie on, None if there is none.

    The grid may start anywhere. Values may be rounded as numbers of double or of single precision
    are, which hold no tenth exactly; the step is the shortest decimal number that they allow for.

    Parameters
    ----------
    values
        Finite numbers.
    """
    # an outlier is known to so many digits only, and is a multiple of anything
    away = np.abs(values - np.median(values))
    distinct = np.unique(values[away <= _FAR * median_of_others(away)])
    size = float(np.abs(distinct).max(initial=0.0))
    roundings = [2 * float(np.finfo(kind).eps) * size for kind in (np.float64, np.float32)]
    fine, coarse = (_common_step(distinct, rounding) for rounding in roundings)
    # Single precision has a grid of its own, which double precision sees, and is not meant: its
    # numbers are whole multiples of that, and few of them all are also of a longer step, of many
    # digits. One of few digits is no chance, unless it is short.
    if fine is not None and np.array_equal(distinct, distinct.astype(np.float32)):
        own = float(np.spacing(np.float32(size)))
        plain = fine == float(f"{fine:.6g}") and own < _CHANCE * fine
        if fine <= 8 * own or not (plain or _chance(distinct, fine, own) < _CHANCE):
            fine = None
    return coarse if fine is None or (coarse is not None and coarse > 1.5 * fine) else fine


def _common_step(distinct: np.ndarray, rounding: float) -> float | None:
    """Return the largest step that sorted values share, each of which may be off by this much.

    The longest gap is divided into ever more parts, until all others are whole numbers of them.
    """
    distinct = distinct[np.diff(distinct, prepend=-np.inf) > 2 * rounding]
    if distinct.size < 2:
        return None
    gaps = distinct[1:] - distinct[0]
    longest = float(gaps[-1])
    parts = np.arange(1.0, min(_MOST_PARTS, longest / (_RESOLVED * rounding)) + 1)
    for gap in gaps[:-1]:
        whole = gap / longest * parts
        # either gap is known to two roundings
        parts = parts[np.abs(whole - np.rint(whole)) * longest <= 4 * rounding * parts]
    if not parts.size:
        return None
    step = longest / float(parts[0])
    if _chance(distinct, step, 8 * rounding) > _CHANCE:
        return None
    return _shortest(step, 2 * rounding / float(parts[0]))


def _chance(distinct: np.ndarray, step: float, error: float) -> float:
    """Return how likely numbers of no grid share this step or a longer one, in magnitude.

    Two always do. Each further one lies on the grid of a step once in step / error cases, and there
    are as many steps as the longest gap has of this one.
    """
    steps = float(distinct[-1] - distinct[0]) / step
    return steps * (error / step) ** (distinct.size - 2) if distinct.size > 2 else 0.0


def _shortest(value: float, error: float) -> float:
    """Return the number of the fewest digits that is within an error of the value."""
    texts = (f"{value:.{digits}g}" for digits in range(1, 18))
    return next((float(t) for t in texts if abs(float(t) - value) <= error), value)


def check_resolution(resolution: Any, design: Design, frame: pd.DataFrame) -> float | None:
    """Return the step of the response's grid as it was given.

    Raises
    ------
    InputError
        If it is no positive number, or the responses do not lie on a grid of that step.
    """
    if resolution is None:
        return None
    number = isinstance(resolution, int | float | np.number) and not isinstance(resolution, bool)
    if not number or not 0 < float(resolution) < np.inf:
        raise InputError(
            f"resolution must be a positive number, the step to which '{design.response}' was "
            f"rounded, not {shown(resolution)}"
        )
    step = float(resolution)
    position = (design.y - design.y[0]) / step
    off = np.flatnonzero(np.abs(position - np.rint(position)) > _OFF)
    if off.size:
        known = grid_step(design.y)
        mend = f"its values share the step {known:g}" if known else "its values share no step"
        raise InputError(
            f"the response '{design.response}' is not rounded to {step:g}: "
            f"{row_names(frame, off)} lies off the grid of the first row; {mend}"
        )
    return step


def unstated(design: Design, scale: float, scale_with: Callable[[float], float]) -> tuple[str, ...]:
    """Return in a sentence that the response is rounded coarsely and nothing is done, if so.

    Parameters
    ----------
    design
        The response, and whether it has a resolution.
    scale
        The median absolute residual of a robust fit, which of rounded responses is a multiple of
        the step, or nearly.
    scale_with
        Returns the same of a step that is known.
    """
    if design.resolution is not None:
        return ()
    # a grid of all is one of some: most data are told by these
    some = design.y[:: -(-design.y.size // 1000)]
    step = grid_step(some)
    if step is not None and some.size < design.y.size:
        step = grid_step(design.y)
    if step is None or SD * scale >= 2 * _COARSE * step or SD * scale_with(step) >= _COARSE * step:
        return ()
    return (
        f"the response '{design.response}' is rounded to {step:g}, which is coarse against its "
        f"noise: taken for exact, ties attract the fit and the scale is wrong; resolution={step:g} "
        "tells the likelihood",
    )


def noted(design: Design) -> tuple[str, ...]:
    """Return in words that the response is rounded, if it is to be taken so."""
    if design.resolution is None:
        return ()
    return (f"'{design.response}' is rounded to {design.resolution:g}",)


def round_to_grid(values: np.ndarray, origin: float, step: float) -> None:
    """Round responses, in place, to the grid that one of the data's lies on."""
    values -= origin
    values /= step
    np.rint(values, out=values)
    values *= step
    values += origin
