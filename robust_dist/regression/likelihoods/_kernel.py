"""The compiled form of a law: plain functions of numbers, which ``posterior/engine`` compiles.

They are Python that numba can compile: numbers, tuples, ``math``, and each other. Nothing here
imports numba, and all of it runs uncompiled too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from robust_dist._tables.series import atanh_excess_float64, phi_float64

_LN2 = float(np.log(2.0))
_LN2_HEAD = float.fromhex("0x1.62e42fefap-1")
_LN2_TAIL = 1.6465949582897081e-12
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, in the low bits
_ONE = 1023 << 52
# adding the gap between sqrt(2) and 2 to the significand carries into the exponent above it
_GAP = int((2.0 - 2.0**0.5) * 2**52)
_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7 = atanh_excess_float64
_P0, _P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8, _P9, _P10 = phi_float64


def _no_tables() -> np.ndarray:
    return np.zeros(1)


type Row = tuple[float, float, float, float, float]
"""the log density of u, and the derivatives in u, in the shape, and of the log density of the
residual in the logarithm of the first and of the second scale"""
type CellRow = Callable[[float, float, Any], Row]
"""the same of the density's mean over a cell about u, half of whose width is the second number"""


class Kernel(NamedTuple):
    """The log density of a residual over its scale, u, and its derivatives."""

    name: str
    """under which it is shipped, compiled (``_precompute/densities``)"""
    prepare: Callable[[float, float, Any], tuple[float, ...]]
    """of the shape, of the ratio of a second scale to the first, and of the tables: whatever
    ``row`` needs of them"""
    row: Callable[[float, tuple[float, ...]], Row]
    """of u and that; without branches, so that several rows are computed at once"""
    tables: Callable[[], np.ndarray] = _no_tables
    """makes the numbers that ``prepare`` reads"""


# Our own logarithm and exponential: calls of the C library's would keep a loop from being computed
# four or eight rows at a time, and the machine code from being the same for every system's library.


def log_sum(one: float, y: float) -> float:
    """Return log(one + y) for one in [0, 1] and y >= 0, to the last places of log(1 + y)."""
    bits = np.float64(one + y).view(np.int64) + _GAP
    exponent = (bits >> 52) - 1023
    power = np.int64((1023 - exponent) << 52).view(np.float64)
    n = (one * power - 1.0) + y * power
    s = n / (2.0 + n)
    t = s * s
    # two halves, so that fewer steps wait for each other
    f = t * t
    low = (_A0 + t * _A1) + f * (_A2 + t * _A3)
    high = (_A4 + t * _A5) + f * (_A6 + t * _A7)
    return exponent * _LN2 + 2.0 * (s + s * t * (low + f * f * high))


def logarithm(x: float) -> float:
    """Return log(x) for a positive number."""
    return log_sum(0.0, x)


def exponential(x: float) -> float:
    """Return exp(x), held at exp(-708) and exp(708)."""
    x = min(max(x, -708.0), 708.0)
    shifted = x * (1.0 / _LN2) + _ROUND
    whole = shifted - _ROUND
    # the low bits of the shifted number are the integer
    power = np.int64((np.float64(shifted).view(np.int64) << 52) + _ONE).view(np.float64)
    t = (x - whole * _LN2_HEAD) - whole * _LN2_TAIL
    return power * (1.0 + (t + t * t * exp_excess(t)))


def exp_excess(z: float) -> float:
    """Return (exp(z) - 1 - z)/z**2 for abs(z) <= 0.5."""
    t = z * z
    f = t * t
    low = (_P0 + z * _P1) + t * (_P2 + z * _P3)
    high = (_P4 + z * _P5) + t * (_P6 + z * _P7)
    return low + f * (high + f * ((_P8 + z * _P9) + t * _P10))
