r"""An orthogonal basis of what a design can say, and the law that is isotropic in it.

The columns of a design X may nearly repeat each other: those of ``year + I(year**2)`` at years of
2000 do to six digits. What matters is their span, which no shift or unit of a predictor changes.
With m the mean of each column and the triangular factor R of the centred design,

.. math::

    (X - 1 m^T) = Q R, \qquad Q^T Q = n I, \qquad
    X \beta = (\beta_0 + m^T \beta)\, 1 + Q\, \theta, \qquad \beta = R^{-1} \theta,

each direction of theta moves the fit by the same root mean square. A Normal law of theta that is
the same in every direction is one and the same law of the fit whatever columns span it: its order,
the reference level of a factor and the basis of a spline do not matter either (Zellner's g prior,
1986, with a width that is set by the response).

The mean and R are those of a design whose predictors are winsorised: a gross outlier of a
predictor, which would be all of its root mean square, takes the value nearest to it that is none,
and narrows no prior.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robust_dist.optimize.frequencies import SD, median, median_of_others
from robust_dist.regression.design.design import BLOCK, Columns

# Spreads from the median beyond which a predictor's values are outliers: so are 0.3 % of a Normal
# sample, and a fifth of the rows moved there leave a standard deviation within a factor of two
_REACH = 3.0
# a variance inflation factor of 1e6, where a coefficient's error is a thousand times what it was
_NEAR = 1e-3
# what rounding leaves of a column that is an exact combination of others
DEPENDENT = 1e-12


class Basis(NamedTuple):
    """The map from an orthogonal basis of the fit to coefficients, beta = transform @ theta.

    Of a design with an intercept that has no prior of its own beta's is the value where each column
    is at its ``center``, and theta's is the same.
    """

    center: np.ndarray
    """m, shape (p,); zero for the intercept, and throughout where nothing is centred"""
    transform: np.ndarray
    """shape (p, p)"""
    level: int | None
    """the element of theta that moves the fit of all rows alike, if there is one"""


def triangular(
    blocks: Iterable[np.ndarray], columns: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return R of matrices on top of each other, X^T X = n R^T R, its diagonal not negative.

    By Householder's reflections of columns of size one, a block in memory at a time: to the
    precision of the columns, whatever their units. Rows may stand for several, by their weights,
    which add up to n.
    """
    factor, size, rows = np.zeros((0, columns)), np.ones(columns), 0
    for block in blocks:
        if weights is not None:
            block = block * np.sqrt(weights[rows : rows + len(block), None])
        larger = np.maximum(size if rows else 0.0, np.abs(block).max(axis=0, initial=0.0))
        larger[larger == 0] = 1.0
        stacked = np.vstack([factor * (size / larger), block / larger])
        factor, size, rows = np.linalg.qr(stacked, mode="r"), larger, rows + len(block)
    factor = np.vstack([factor, np.zeros((max(columns - len(factor), 0), columns))])
    signs = np.where(np.diag(factor) < 0, -1.0, 1.0)
    total = rows if weights is None else weights.sum()
    return signs[:, None] * factor * size / np.sqrt(max(total, 1) if weights is None else total)


def dependent_columns(factor: np.ndarray) -> np.ndarray:
    """Return positions of the columns that those before them determine."""
    return np.flatnonzero(np.diag(factor) <= DEPENDENT * np.linalg.norm(factor, axis=0))


def nearly_dependent(columns: Columns, common: Any) -> Iterator[str]:
    """Yield a sentence for each predictor that those before it all but determine.

    Of columns of the user's table alone: that a power nearly repeats what it is built on, which a
    shift can make it do, is no matter in an orthogonal basis.
    """
    plain = [
        place
        for term in common.terms.values()
        if term.kind == "intercept"
        or (len(term.components) == 1 and not hasattr(term.components[0], "call"))
        for place in range(len(columns.values))[common.slices[term.name]]
    ]
    factor = triangular([columns.factor[:, plain]], len(plain))
    first = int(columns.intercept is not None)
    size = np.linalg.norm(factor[first:], axis=0)
    for place in range(first + 1, len(plain)):
        left = factor[place, place] / size[place]
        if left < _NEAR:
            yield (
                f"'{columns.coefficients[plain[place]]}' is all but a combination of the columns "
                f"before it ({left:.1g} of its spread is its own): the data say little of their "
                "coefficients one by one; drop one of them unless only predictions matter"
            )


def constant(columns: Columns) -> np.ndarray | None:
    """Return the coefficients by which columns add up to 1 in each row, if there are any.

    Those of the indicators of all levels of a category do, without an intercept.
    """
    size = len(columns.values)
    if columns.intercept is not None:
        return np.eye(size)[columns.intercept]
    ones = (np.column_stack([block, np.ones(len(block))]) for block in columns.blocks())
    factor = triangular(ones, size + 1)
    if factor[-1, -1] > 1e-9:  # beyond rounding
        return None
    unit = np.linalg.norm(factor[:-1, :-1], axis=0)
    return np.linalg.solve(factor[:-1, :-1] / unit, factor[:-1, -1]) / unit


def make_basis(
    factor: np.ndarray,
    intercept: int | None,
    own: Sequence[int] = (),
    constant: np.ndarray | None = None,
) -> Basis:
    """Return an orthogonal basis of the columns whose triangular factor is given.

    Parameters
    ----------
    factor
        R of the columns as they are, the intercept among them.
    intercept
        The column of ones, if there is one.
    own
        Columns whose coefficients have priors of their own: the basis contains these coefficients
        themselves, up to units, and is orthogonal in what is left.
    constant
        The coefficients by which the columns add up to 1, if there are any.
    """
    size = len(factor)
    own = list(own)
    first = [intercept] if intercept is not None and intercept not in own else []
    others = [column for column in range(size) if column not in (*first, *own)]
    order = [*first, *others, *own]
    ordered = triangular([factor[:, order] * np.sqrt(size)], size)
    center = np.zeros(size)
    if first:
        center[order[1:]] = ordered[0, 1:] / ordered[0, 0]
        ordered[0, 1:] = 0.0  # of the centred columns
    shared = size - len(own)
    transform = np.zeros((size, size))
    # solved with columns of size one, that units do not count as ill conditioned
    unit = np.linalg.norm(ordered, axis=0)
    scaled = ordered / unit
    inverse = np.linalg.inv(scaled[:shared, :shared])
    transform[:shared, :shared] = inverse / unit[:shared, None]
    # a coefficient with a prior of its own moves what the other columns cannot say
    left = 1 / np.linalg.norm(ordered[shared:, shared:], axis=0)
    crossed = inverse @ (scaled[:shared, shared:] * unit[shared:] * left)
    transform[:shared, shared:] = -crossed / unit[:shared, None]
    transform[range(shared, size), range(shared, size)] = left
    level = intercept if first else None
    if not first and constant is not None and shared and not np.any(np.abs(constant[own]) > 1e-9):
        # turned, so that one direction is the constant, as an intercept would be
        direction = scaled[:shared, :shared] @ (unit * constant[order])[:shared]
        turn = np.linalg.qr(np.column_stack([direction, np.eye(shared)]))[0]
        turn[:, 0] *= np.sign(turn[:, 0] @ direction)
        transform[:shared, :shared] = transform[:shared, :shared] @ turn
        level = order[0]
    place = np.argsort(order)
    return Basis(center, transform[np.ix_(place, place)], level)


def winsorized_blocks(
    common: Any, data: pd.DataFrame, weights: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield the rows of a design whose predictors have no values far out.

    Parameters
    ----------
    common
        Formulae's common effects.
    data
        The columns that they were made from. Numbers that stand for categories stay as they are.
    weights
        How many rows each row stands for.
    """
    limits = {name: limits_of(data[name].to_numpy(), weights) for name in _numeric(common, data)}
    for start in range(0, len(data), BLOCK):
        block = data.iloc[start : start + BLOCK]
        inside = {name: block[name].clip(*bounds) for name, bounds in limits.items()}
        with np.errstate(all="ignore"):
            design = common.evaluate_new_data(block.assign(**inside)).design_matrix
        yield np.asarray(design, float)


def _numeric(common: Any, data: pd.DataFrame) -> list[str]:
    """Return the columns of numbers that terms use as numbers alone."""
    numbers: set[str] = set()
    labels: set[str] = set()
    for term in common.terms.values():
        for component in getattr(term, "components", ()):
            names = {str(name) for name in component.var_names}
            (numbers if component.kind == "numeric" else labels).update(names)
    return [name for name in sorted(numbers - labels) if name in data and is_number(data[name])]


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers that may be moved, which truth values are not."""
    types = pd.api.types
    return types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)


def limits_of(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Return the least and the largest value within three spreads of the median.

    The spread is that of values other than the median.
    """
    deviations = np.abs(values - median(values, weights))
    reach = _REACH * SD * median_of_others(deviations, weights)
    inside = values[deviations <= reach]
    # an even number of rows may have a median that is far from all of them
    return (inside.min(), inside.max()) if inside.size else (values.min(), values.max())


def span_factor(
    columns: Columns, winsorized: Iterable[np.ndarray], weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the triangular factor of columns whose predictors are winsorised.

    Of the columns as they are where that leaves no rank, as an indicator of outliers has none.
    """
    size = len(columns.values)
    factor = triangular(winsorized, size, weights)
    if np.isfinite(factor).all() and not dependent_columns(factor).size:
        return factor
    return triangular(columns.blocks(), size, weights)
