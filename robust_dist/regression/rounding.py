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
    # single precision has a grid of its own, which double precision sees, and is not meant
    if fine is not None and fine <= 8 * np.spacing(np.float32(size)):
        fine = None
    return coarse if fine is None or (coarse is not None and coarse > 1.5 * fine) else fine


def _common_step(distinct: np.ndarray, rounding: float) -> float | None:
    """Return the step of sorted values, each of which may be off by this much.

    Euclid's algorithm on all gaps at once: what remains of a gap after whole steps is the next
    step. A step is known to ``error``, and so gaps of so many steps that this does not add up to a
    step; a gap of many steps makes it known better, and farther.
    """
    distinct = distinct[np.diff(distinct, prepend=-np.inf) > 2 * rounding]
    if distinct.size < 2:
        return None
    # short ones too, of which few steps are known even where the step is not well
    gaps = np.unique(np.concatenate([np.diff(distinct), distinct[1:] - distinct[0]]))
    step, error = float(gaps[0]), 2 * rounding
    while step > _RESOLVED * rounding:
        count = np.rint(gaps / step)
        unsure = count * error + 2 * rounding
        known = unsure < step / 4
        rest = np.abs(gaps - count * step)
        off = known & (rest > unsure)
        if off.any():
            surest = np.flatnonzero(off)[np.argmin(unsure[off])]
            step, error = float(rest[surest]), float(unsure[surest])
            continue
        if known.all():
            return _shortest(float(gaps[-1] / count[-1]), 2 * rounding / float(count[-1]))
        farthest = np.flatnonzero(known & (count > 0))
        if not farthest.size or 2 * rounding / count[farthest[-1]] >= error:
            return None
        last = farthest[-1]
        step, error = float(gaps[last] / count[last]), float(2 * rounding / count[last])
    return None


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
