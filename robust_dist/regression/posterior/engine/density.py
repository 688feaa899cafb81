"""The log density of the model and its gradient, in Python that numba can compile.

It reads all numbers, data included, through pointers (``problem``, laid out by ``layout``), so that
one compiled function per law serves every model and data set. Rows come in blocks, the columns of a
block one after the other, so that the loops over a block are computed several rows at a time.
"""

import math
from collections.abc import Callable
from typing import Any

from robust_dist.regression.likelihoods._kernel import (
    CellRow,
    Row,
    exponential,
    log_sum,
    logarithm,
)
from robust_dist.regression.posterior.engine.elements import element

BLOCK = 32
"""rows at a time; the last ones are padded by rows without weight"""

# where the numbers of ``problem`` stand; what ends in AT is such a place itself
ELEMENTS, ELEMENTS_AT, CONSTANT, BLOCKS, TERMS, TERMS_AT, SCRATCH = range(7)
"""numbers with a prior of their own, the sum of all constants, blocks of rows, grouped terms"""
Y_AT, WEIGHTS_AT, INVERSE_ERROR_AT, TOTAL_WEIGHT = range(7, 11)
SHAPE, SCALE, SECOND_SCALE = 11, 13, 15
"""of each, which element it is, or -1, and the number it is fixed at"""
LOCATION, LOG_SCALE, LOGIT_ALPHA = 17, 20, 23
"""of each linear predictor, how many columns (-1: there is none), the elements that are their
coefficients, and the columns"""
LOG_SCALE_SHIFT, HALF_STEP = 26, 27
"""where the scale's predictor is zero, and half of the step to which the response is rounded"""
CONTAMINATION = 28
"""which element it is, or -1, and the number it is fixed at: 0 where no row follows the background,
whose log density in each row stands at the next"""
BACKGROUND_AT, HEAD = 30, 31

# of each term: effects k, levels, places of centering, of offsets in the position, of columns, of
# indices, which linear predictor it is part of, then, for each of the k: element of the sd or -1,
# fixed sd
TERM = 7
IN_LOCATION, IN_LOG_SCALE, IN_LOGIT_ALPHA = range(3)
FIELDS = 14
"""numbers that describe an element: see ``elements``"""


def _combine(problem: Any, predictor: int, block: int, z: Any, out: Any, at: int) -> None:
    """Add columns times coefficients to the block of rows at ``out[at]``."""
    columns = int(problem[predictor])
    first, x = int(problem[predictor + 1]), int(problem[predictor + 2])
    for column in range(columns):
        coefficient = z[int(problem[first + column])]
        start = x + (block * columns + column) * BLOCK
        for i in range(BLOCK):
            out[at + i] += coefficient * problem[start + i]


def _project(problem: Any, predictor: int, block: int, slope: Any, at: int, to: int) -> None:
    """Add the derivatives in the coefficients, of those in the rows' linear predictor."""
    columns = int(problem[predictor])
    first, x = int(problem[predictor + 1]), int(problem[predictor + 2])
    for column in range(columns):
        start, total = x + (block * columns + column) * BLOCK, 0.0
        for i in range(BLOCK):
            total += slope[at + i] * problem[start + i]
        slope[to + int(problem[first + column])] += total


def _total(values: Any, at: int) -> float:
    total = 0.0
    for i in range(BLOCK):
        total += values[at + i]
    return total


def _of(predictor: int, location: int, log_scale: int, logit_alpha: int) -> int:
    """Return what belongs to a linear predictor."""
    if predictor == IN_LOCATION:
        return location
    return log_scale if predictor == IN_LOG_SCALE else logit_alpha


def _chosen(problem: Any, which: int, z: Any) -> float:
    """Return a parameter that all rows share."""
    at = int(problem[which])
    return problem[which + 1] if at < 0 else z[at]


def _mixed(f: float, b: float, log_share: float, log_rest: float) -> Any:
    """Return log((1 - share) e^f + share e^b), and e^f and e^b over that."""
    good, bad = log_rest + f, log_share + b
    most = max(good, bad)
    total = most + log_sum(1.0, exponential(min(good, bad) - most))
    return total, exponential(f - total), exponential(b - total)


def _effects(problem: Any, term: int, z: Any, q: Any, effects: int) -> float:
    """Return the log density of a term's offsets, and write down its effects."""
    count, levels = int(problem[term]), int(problem[term + 1])
    centering, offsets = int(problem[term + 2]), int(problem[term + 3])
    total = 0.0
    for k in range(count):
        sd = _chosen(problem, term + TERM + 2 * k, z)
        log_sd = logarithm(sd)
        for j in range(k * levels, (k + 1) * levels):
            share = problem[centering + j]
            spread = exponential(share * log_sd)
            u = q[offsets + j] / spread
            total -= 0.5 * u * u + share * log_sd
            z[effects + j] = u * sd
    return total


def _effects_slope(
    problem: Any, term: int, z: Any, q: Any, gradient: Any, effects: int, by: int, to: int
) -> None:
    """Add the derivatives in a term's offsets and sds, of those in its effects at ``z[by]``."""
    count, levels = int(problem[term]), int(problem[term + 1])
    centering, offsets = int(problem[term + 2]), int(problem[term + 3])
    for k in range(count):
        sd = _chosen(problem, term + TERM + 2 * k, z)
        at = int(problem[term + TERM + 2 * k])
        log_sd, total = logarithm(sd), 0.0
        for j in range(k * levels, (k + 1) * levels):
            share = problem[centering + j]
            inverse = exponential(-share * log_sd)
            u = q[offsets + j] * inverse
            gradient[offsets + j] = (z[by + j] * sd - u) * inverse
            total += share * (u * u - 1.0) + (1.0 - share) * z[effects + j] * z[by + j]
        if at >= 0:
            z[to + at] += total / sd


def of_points(row: Callable[[float, Any], Row]) -> CellRow:
    """Return the log density of exact responses, whose cells have no width."""

    def at(u: float, half: float, shared: Any) -> Row:
        return row(u, shared)

    return at


def make(prepare: Callable[..., Any], row: CellRow) -> Callable[..., int]:
    """Return the function of a law's two; it returns 0, or 4 where the density is not finite."""

    def density(size: int, q: Any, gradient: Any, value: Any, data: Any) -> int:
        problem, z, tables = data[0], data[1], data[2]
        elements, terms = int(problem[ELEMENTS]), int(problem[TERMS])
        shift, slope = elements, 2 * elements
        total = problem[CONSTANT]
        for e in range(elements):
            at = int(problem[ELEMENTS_AT]) + FIELDS * e
            number, by_q, log_density, log_density_slope = element(problem, at, q[e])
            z[e], z[shift + e] = number, by_q
            # for now what the prior and the Jacobian say of q itself
            gradient[e], z[slope + e] = log_density_slope, 0.0
            total += log_density
        end = 3 * elements
        term = int(problem[TERMS_AT])
        for _ in range(terms):
            total += _effects(problem, term, z, q, end)
            cells = int(problem[term] * problem[term + 1])
            for j in range(end + cells, end + 2 * cells):
                z[j] = 0.0
            end += 2 * cells
            term += TERM + 2 * int(problem[term])

        scale = _chosen(problem, SCALE, z)
        second_scale = _chosen(problem, SECOND_SCALE, z)
        ratio = second_scale / scale
        own_alpha, own_scale = problem[LOGIT_ALPHA] >= 0, problem[LOG_SCALE] >= 0
        shared = prepare(1.0 if own_alpha else _chosen(problem, SHAPE, z), ratio, tables)
        if not own_scale:
            total -= problem[TOTAL_WEIGHT] * logarithm(scale)
        inverse_scale = 1.0 / scale
        share = _chosen(problem, CONTAMINATION, z)
        mixed = share > 0.0
        log_share = logarithm(share) if mixed else 0.0
        log_rest = logarithm(1.0 - share) if mixed else 0.0
        by_share = 0.0
        by_shape, by_first, by_second = 0.0, 0.0, 0.0
        # blocks of numbers of the rows
        u, inverse, eta, a = end, end + BLOCK, end + 2 * BLOCK, end + 3 * BLOCK
        log_p, in_u, in_shape = a + BLOCK, a + 2 * BLOCK, a + 3 * BLOCK
        in_first, in_second = a + 4 * BLOCK, a + 5 * BLOCK
        for block in range(int(problem[BLOCKS])):
            weights = int(problem[WEIGHTS_AT]) + block * BLOCK
            y = int(problem[Y_AT]) + block * BLOCK
            error = int(problem[INVERSE_ERROR_AT]) + block * BLOCK
            for i in range(BLOCK):
                z[u + i] = 0.0
                z[eta + i] = problem[LOG_SCALE_SHIFT]
                z[a + i] = 0.0
            _combine(problem, LOCATION, block, z, z, u)
            effects, term = 3 * elements, int(problem[TERMS_AT])
            for _ in range(terms):
                count, levels = int(problem[term]), int(problem[term + 1])
                to = _of(int(problem[term + 6]), u, eta, a)
                for k in range(count):
                    column = int(problem[term + 4]) + (block * count + k) * BLOCK
                    index = int(problem[term + 5]) + block * BLOCK
                    for i in range(BLOCK):
                        at = effects + k * levels + int(problem[index + i])
                        z[to + i] += problem[column + i] * z[at]
                effects += 2 * count * levels
                term += TERM + 2 * count
            for i in range(BLOCK):
                z[inverse + i] = problem[error + i] * inverse_scale
            if own_scale:
                _combine(problem, LOG_SCALE, block, z, z, eta)
                for i in range(BLOCK):
                    z[inverse + i] *= exponential(-z[eta + i])
            for i in range(BLOCK):
                z[u + i] = (problem[y + i] - z[u + i]) * z[inverse + i]
            if own_alpha:
                _combine(problem, LOGIT_ALPHA, block, z, z, a)
                for i in range(BLOCK):
                    alpha = 2.0 / (1.0 + exponential(-z[a + i]))
                    z[a + i] = alpha * (1.0 - 0.5 * alpha)
                    half = problem[HALF_STEP] * z[inverse + i]
                    own = row(z[u + i], half, prepare(alpha, ratio, tables))
                    z[log_p + i], z[in_u + i], z[in_shape + i] = own[0], own[1], own[2]
                    z[in_first + i], z[in_second + i] = own[3], own[4]
            else:
                for i in range(BLOCK):
                    half = problem[HALF_STEP] * z[inverse + i]
                    same = row(z[u + i], half, shared)
                    z[log_p + i], z[in_u + i], z[in_shape + i] = same[0], same[1], same[2]
                    z[in_first + i], z[in_second + i] = same[3], same[4]
            if mixed:
                background = int(problem[BACKGROUND_AT]) + block * BLOCK
                for i in range(BLOCK):
                    # of the residual over its scale, as the law is: the rest adds up outside
                    b = problem[background + i] - logarithm(z[inverse + i])
                    mixture, good, bad = _mixed(z[log_p + i], b, log_share, log_rest)
                    z[log_p + i] = mixture
                    by_share += problem[weights + i] * (bad - good)
                    good *= 1.0 - share
                    # what has no part in the density may have infinite slopes
                    has_part = good > 1e-300
                    z[in_u + i] = z[in_u + i] * good if has_part else 0.0
                    z[in_shape + i] = z[in_shape + i] * good if has_part else 0.0
                    z[in_first + i] = z[in_first + i] * good if has_part else 0.0
                    z[in_second + i] = z[in_second + i] * good if has_part else 0.0
            for i in range(BLOCK):
                weight = problem[weights + i]
                z[log_p + i] *= weight
                z[in_shape + i] *= weight
                z[in_first + i] *= weight
                z[in_second + i] *= weight
                # from here on in the location
                z[in_u + i] *= -weight * z[inverse + i]
            total += _total(z, log_p)
            by_second += _total(z, in_second)
            _project(problem, LOCATION, block, z, in_u, slope)
            if own_scale:
                _project(problem, LOG_SCALE, block, z, in_first, slope)
                for i in range(BLOCK):
                    total -= problem[weights + i] * z[eta + i]
            else:
                by_first += _total(z, in_first)
            if own_alpha:
                for i in range(BLOCK):
                    z[in_shape + i] *= z[a + i]
                _project(problem, LOGIT_ALPHA, block, z, in_shape, slope)
            else:
                by_shape += _total(z, in_shape)
            effects, term = 3 * elements, int(problem[TERMS_AT])
            for _ in range(terms):
                count, levels = int(problem[term]), int(problem[term + 1])
                by = _of(int(problem[term + 6]), in_u, in_first, in_shape)
                for k in range(count):
                    column = int(problem[term + 4]) + (block * count + k) * BLOCK
                    index = int(problem[term + 5]) + block * BLOCK
                    for i in range(BLOCK):
                        at = effects + (count + k) * levels + int(problem[index + i])
                        z[at] += problem[column + i] * z[by + i]
                effects += 2 * count * levels
                term += TERM + 2 * count

        at = int(problem[SHAPE])
        if at >= 0:
            z[slope + at] += by_shape
        at = int(problem[SCALE])
        if at >= 0:
            z[slope + at] += by_first * inverse_scale
        at = int(problem[SECOND_SCALE])
        if at >= 0:
            z[slope + at] += by_second / second_scale
        at = int(problem[CONTAMINATION])
        if at >= 0:
            z[slope + at] += by_share
        effects, term = 3 * elements, int(problem[TERMS_AT])
        for _ in range(terms):
            cells = int(problem[term] * problem[term + 1])
            _effects_slope(problem, term, z, q, gradient, effects, effects + cells, slope)
            effects += 2 * cells
            term += TERM + 2 * int(problem[term])
        for e in range(elements):
            gradient[e] += z[slope + e] * z[shift + e]
            total = total if math.isfinite(gradient[e]) else math.nan
        value[0] = total
        return 0 if math.isfinite(total) else 4

    return density


def keep(size: int, expanded: int, q: Any, out: Any, data: Any) -> int:
    """Append a position to the draws: counted in the first number, behind which they stand."""
    draws = data[0]
    start = 1 + int(draws[0]) * size
    for i in range(size):
        draws[start + i] = q[i]
    draws[0] += 1.0
    out[0] = 0.0
    return 0
