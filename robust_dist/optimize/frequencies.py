"""Medians and means of rows that stand for several: a row of weight 2 is two rows.

Without weights they are NumPy's, to the last digit.
"""

import numpy as np

SD = 1.4826
"""a Normal's sd over its median absolute deviation"""
# cumulated weights that agree to so much are the same number
_ROUNDING = 1e-12


def median(values: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the median of values, of which each counts as often as its weight says.

    Half of the weight lies below it and half above; where it may be anywhere between two values it
    is half way, as NumPy's median of an even number of them.
    """
    if weights is None:
        return float(np.median(values))
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    half = 0.5 * below[-1]
    places = [np.searchsorted(below, half * (1 + side * _ROUNDING)) for side in (-1, 1)]
    low, high = values[order[places]]
    return float(low) if low == high else float(0.5 * (low + high))


def median_of_others(deviations: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the median of the deviations that are not 0, or 0 if all are.

    So a column that is mostly one value has a spread as well.
    """
    others = deviations > 0
    if not others.any():
        return 0.0
    return median(deviations[others], None if weights is None else weights[others])


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the mean over the first axis."""
    if weights is None:
        return np.asarray(values.mean(axis=0))
    return np.asarray(np.average(values, axis=0, weights=weights))


def smallest_left_out(
    values: np.ndarray, count: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the positions of all rows but so many of the smallest values, and what they count.

    Of weights below 1 on average in proportion to them.
    """
    order = np.argsort(values)
    if weights is None:
        return order[int(count) :], None
    total = weights.sum()
    left = np.cumsum(weights[order]) - count * min(1.0, total / values.size)
    kept = left > _ROUNDING * total
    return order[kept], np.minimum(left, weights[order])[kept]


def spaced_rows(rows: int, most: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Return positions of rows, evenly spaced, at most so many of them.

    Of rows with weights, each as often as it counts.
    """
    if weights is None:
        return np.arange(0, rows, -(-rows // most))
    total = float(weights.sum())
    step = -(-total // most) if total >= rows else total / min(rows, most)
    places = np.arange(0.0, total * (1 - _ROUNDING), step)
    # the middle of the first copy: no rounding of the sum moves it to a neighbour
    places += 0.5 * min(step, 1.0)
    return np.minimum(np.searchsorted(np.cumsum(weights), places), rows - 1)
