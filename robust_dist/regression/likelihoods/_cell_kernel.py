"""The compiled form of a rounded response's law, after ``_numerics/cell``, of any law's own.

It has branches and loops of as many steps as the cell needs, so that rows are computed one by one.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from robust_dist._numerics.cell import FALL, NODES, NOTHING, WEIGHTS
from robust_dist.regression.likelihoods._kernel import (
    CellRow,
    Row,
    exponential,
    logarithm,
)

_COUNT = len(NODES)
# of a part of the cell in which the density falls by little, as most do, ten are enough: to 1e-9,
# and to 2e-7 for Student's t with nu = 0.3
_FEW = 10
_END = math.asinh(1.0)
_FEW_NODES, _FEW_WEIGHTS = (np.asarray(part) for part in np.polynomial.legendre.leggauss(_FEW))
_FEW_NODES = 0.5 * _END * (1 + _FEW_NODES)
_PLACES = tuple(np.sinh(_FEW_NODES).tolist())
_SHARES = tuple((0.5 * _END * _FEW_WEIGHTS * np.cosh(_FEW_NODES)).tolist())
# log densities down to which there is any mass
_NOWHERE = -1e300
# in search of a width: to a cell of 1e18 scales
_HALVINGS = 60


@lru_cache(maxsize=64)
def of_cells(row: Callable[[float, Any], Row]) -> CellRow:
    """Return the function of the log of a density's mean over cells, and its derivatives."""

    def mean(u: float, half: float, shared: Any) -> Row:
        low, high = u - half, u + half
        # the mode of the noise is at 0
        start = min(max(0.0, low), high)
        peak = row(start, shared)[0]
        if not peak > _NOWHERE:
            # a cell without any mass, as of alpha = inf far out: its slopes would be nan
            return -math.inf, 0.0, 0.0, 0.0, 0.0
        total, in_u, in_shape, in_first, in_second = 0.0, 0.0, 0.0, 0.0, 0.0
        for side in range(2):
            sign = 1.0 - 2.0 * side
            reach = high - start if side == 0 else start - low
            if reach > 0.0:
                width = reach
                for _ in range(_HALVINGS):
                    fall = peak - row(start + sign * width, shared)[0]
                    if fall <= FALL:
                        break
                    reach = width if fall >= NOTHING else reach
                    width *= 0.5
                ratio = reach / width
                few = ratio == 1.0
                end = logarithm(ratio + math.sqrt(1.0 + ratio * ratio))
                for node in range(_FEW if few else _COUNT):
                    if few:
                        s, share = width * _PLACES[node], width * _SHARES[node]
                    else:
                        rise = exponential(end * NODES[node])
                        s = 0.5 * width * (rise - 1.0 / rise)
                        share = 0.5 * width * (rise + 1.0 / rise) * end * WEIGHTS[node]
                    each = row(start + sign * s, shared)
                    share *= exponential(min(each[0] - peak, 0.0))
                    total += share
                    in_u += share * each[1]
                    in_shape += share * each[2]
                    in_first += share * each[3]
                    in_second += share * each[4]
        inverse = 1.0 / total
        return (
            peak + logarithm(total / (2.0 * half)),
            in_u * inverse,
            in_shape * inverse,
            in_first * inverse,
            in_second * inverse,
        )

    return mean
