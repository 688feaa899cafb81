"""A design straight from a matrix, without a formula, whatever the rank of its columns."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from robust_dist.optimize.frequencies import mean
from robust_dist.regression.design.design import BLOCK, Columns, Design
from robust_dist.regression.design.span import (
    DEPENDENT,
    dependent_columns,
    limits_of,
    span_factor,
)


class Directions(NamedTuple):
    r"""Combinations of columns that determine each other, in place of them.

    .. math:: D = (X - 1 m^T) V, \qquad D \gamma = X V \gamma - m^T V \gamma

    Of all coefficients of X with one fit, those of V are the shortest, in units of the columns'
    spreads.
    """

    center: np.ndarray
    """m, shape (p,); zero without an intercept"""
    vectors: np.ndarray
    """V, shape (p, rank)"""

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Return D."""
        return (x - self.center) @ self.vectors


def matrix_design(
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    response: str,
    weights: np.ndarray | None = None,
    intercept: bool = True,
) -> Design:
    """Return the design of a matrix, with the factor of its columns; these may be dependent.

    Parameters
    ----------
    x, y
        Finite numbers, shapes (n, p) and (n,).
    names
        Of the columns.
    response
        The name of y.
    weights
        How many rows each row stands for.
    intercept
        Whether there is a column of ones besides.
    """
    ones = (np.broadcast_to(1.0, len(y)),) if intercept else ()
    design = Design(
        values=(*ones, *x.T),
        coefficients=(*(("Intercept",) if intercept else ()), *names),
        y=y,
        response=response,
        rows=pd.RangeIndex(len(y)),
        weights=weights,
        predictors=tuple(x.T),
    )
    return replace(design, factor=span_factor(design, _winsorized(design), weights))


def dependent(design: Columns) -> bool:
    """Return whether some column is a combination of others, as those beyond the rows are."""
    return bool(dependent_columns(design.factor).size) or len(design.values) > len(design.values[0])


def directions(
    x: np.ndarray, weights: np.ndarray | None = None, intercept: bool = True
) -> Directions:
    """Return what the columns of a matrix can say together, an intercept besides.

    By the singular value decomposition of columns in units of their spreads, values far out having
    no part in these.
    """
    inside = np.clip(x, *np.reshape([limits_of(column, weights) for column in x.T], (-1, 2)).T)
    center = mean(inside, weights) if intercept else np.zeros(x.shape[1])
    unit, whole = (np.sqrt(mean((values - center) ** 2, weights)) for values in (inside, x))
    unit = np.where(unit > 0, unit, whole)
    # what rounding leaves of a constant is no spread
    unit = np.where(unit > DEPENDENT * np.abs(center), unit, np.inf)
    scaled = (x - center) / unit
    if weights is not None:
        scaled = scaled * np.sqrt(weights)[:, None]
    size, rows = np.linalg.svd(scaled, full_matrices=False)[1:]
    kept = size > max(x.shape) * np.finfo(float).eps * size.max(initial=0.0)
    return Directions(center, rows[kept].T / unit[:, None])


def _winsorized(design: Design) -> Iterator[np.ndarray]:
    """Yield the rows of a design whose columns have no values far out."""
    limits = np.array([limits_of(column, design.weights) for column in design.values]).T
    for start in range(0, len(design.y), BLOCK):
        yield np.clip(design.matrix(slice(start, start + BLOCK)), *limits)
