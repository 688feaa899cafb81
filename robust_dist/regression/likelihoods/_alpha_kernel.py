"""The compiled form of the general adaptive robust law, after ``_numerics/orthogonal_log_density``.

The formulas are those of ``_numerics/log_density``, in whose head they are derived.
"""

import math
from typing import Any

import numpy as np

from robust_dist._numerics import log_normalizer, orthogonal_scale
from robust_dist._numerics.alpha_table import RATE, SingularTable
from robust_dist.regression.likelihoods._kernel import (
    Row,
    exp_excess,
    exponential,
    log_sum,
    logarithm,
)

_FLOOR = 1e-30  # formats.gap_floor and formats.alpha_bound, of float64
_BOUND = 2.0**400
_HEAD = 11  # numbers of a table before its coefficients, of which each cell has six


def tables() -> np.ndarray:
    """Return log Z and H, one after the other."""
    parts = [_flat(log_normalizer.TABLE), _flat(orthogonal_scale.TABLE)]
    return np.concatenate([parts[0], parts[1]])


def _flat(table: SingularTable) -> np.ndarray:
    length = _HEAD + table.columns.size
    head = [length, table.at_two, table.c, *table.cells, *table.starts]
    return np.concatenate([head, table.columns.T.ravel()])


def _look_up(
    tables: Any, at: int, alpha: float, s: float, b: float, lift: float
) -> tuple[float, float]:
    """Return f and f' less a quarter of the lift, as ``SingularTable.value_and_regular_slope``."""
    if alpha <= 1.0:
        region, u = 0, log_sum(1.0, 10.0 * alpha) / RATE
    elif alpha >= 3.0:
        region, u = 3, 3.0 / alpha
    else:
        region, u = (1 if alpha < 2.0 else 2), math.sqrt(math.sqrt(b))
    cells = tables[at + 3 + region]
    position = min(max(u * cells, 0.0), cells)
    cell = min(math.floor(position), cells - 1.0)
    t = position - cell
    first = at + _HEAD + 6 * int(tables[at + 7 + region] + cell)
    f, slope = tables[first + 5], 0.0
    for power in range(4, -1, -1):
        slope = slope * t + f
        f = f * t + tables[first + power]
    slope *= cells
    if region == 0:
        return f, slope * (10.0 / ((1.0 + 10.0 * alpha) * RATE))
    if region == 3:
        return f, -slope * u * (u / 3.0)
    at_two, c = tables[at + 1], tables[at + 2]
    return at_two + s * b * (0.25 * lift + c + f), (c + 0.25) + f + 0.25 * u * slope


def prepare(alpha: float, orthogonal: bool, tables: Any) -> tuple[float, ...]:
    """Return what rows of one alpha share, with the orthogonal scale held or with c."""
    alpha = min(alpha, _BOUND)
    s = -1.0 if alpha < 2.0 else 1.0
    b = max(s * (alpha - 2.0), _FLOOR)
    k = 0.5 * alpha
    near = 1.0 < alpha < 3.0
    lift = logarithm(b) if near else 0.0
    log_z, z_slope = _look_up(tables, 0, alpha, s, b, lift)
    stretch, log_constant, h_slope = 1.0, -log_z, -0.25 * lift
    if orthogonal:
        h, h_slope = _look_up(tables, int(tables[0]), alpha, s, b, lift)
        stretch, log_constant = exponential(h), h - log_z
    inverse_k = 1.0 if k == 0.0 else 1.0 / k
    vanishing = 0.25 * b * lift * inverse_k
    one, factor = (b, 1.0) if lift < 0.0 else (1.0, 1.0 / b)
    return (
        *(s, b, k, inverse_k, one, factor, lift, vanishing),
        *(stretch, log_constant, z_slope, h_slope),
    )


def row(u: float, shared: tuple[float, ...]) -> Row:
    """Return the log density and its derivatives; there is no second scale."""
    s, b, k, inverse_k, one, factor, lift, vanishing, stretch, log_constant, z_slope, h_slope = (
        shared
    )
    ratio = u * stretch
    square = ratio * ratio
    log_total = log_sum(one, square * factor)
    log = log_total - lift
    b_log = b * log
    z, w = k * log, 0.5 * s * b_log
    e_w = exponential(w)
    moment = square * e_w
    inner = b_log * log * exp_excess(min(max(z, -0.5), 0.5))
    outer = (moment + b * (e_w - 1.0 - z)) * inverse_k * inverse_k
    q = inner if abs(z) < 0.5 else outer
    by_alpha = (
        0.25 * (b_log * log + q * (k * log_total - 1.0 - k))
        + 0.5 * s * (e_w - 1.0 - w)
        + vanishing * (0.5 * s * moment - (e_w - 1.0 - z))
    )
    return (
        log_constant - 0.5 * (b_log + k * q),
        -ratio * e_w * stretch,
        -(by_alpha + z_slope + h_slope * (moment - 1.0)),
        moment - 1.0,
        0.0,
    )
