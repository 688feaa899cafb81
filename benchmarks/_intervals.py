"""The interval of a mean, of figures that are paired by seed or scene."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import t


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the mean of values and half the width of its 95 % interval (t), inf of one value."""
    count = len(values)
    if count < 2:
        return float(values.mean()), math.inf
    error = values.std(ddof=1) / math.sqrt(count)
    return float(values.mean()), float(t.ppf(0.975, count - 1) * error)
