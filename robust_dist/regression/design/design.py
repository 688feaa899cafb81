"""The numbers of a regression: what a formula and a table come to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from robust_dist.regression.likelihoods import FORMULAS

# rows that are copied at a time
BLOCK = 100_000


@dataclass(frozen=True)
class Columns:
    """A design matrix with named columns, in the user's units."""

    values: tuple[np.ndarray, ...]
    """p columns of n numbers, of the types they came in: where one is a column of the user's table,
    it is the table's own memory"""
    coefficients: tuple[str, ...]
    factor: np.ndarray = field(kw_only=True, default_factory=lambda: np.zeros((0, 0)))
    """the triangular factor of the columns, their predictors winsorised (``design.span``); empty
    where nobody asks for coordinates"""

    @property
    def x(self) -> np.ndarray:
        """The matrix, shape (n, p), in double precision; made anew each time."""
        return self.matrix()

    def matrix(self, rows: Any = slice(None)) -> np.ndarray:
        """Return rows of the matrix, given as a slice or positions."""
        return np.column_stack([np.asarray(column[rows], float) for column in self.values])

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the matrix, some rows at a time."""
        for start in range(0, len(self.values[0]), BLOCK):
            yield self.matrix(slice(start, start + BLOCK))

    @property
    def intercept(self) -> int | None:
        """The column that holds the constant, if the formula has one."""
        return self.coefficients.index("Intercept") if "Intercept" in self.coefficients else None


@dataclass(frozen=True)
class GroupTerm:
    """A group-specific term, such as ``(x | g)``: effects that vary from level to level of g."""

    name: str
    """as Bambi's: ``1|g``, ``x|g``"""
    x: np.ndarray
    """what the effects multiply, shape (n, k)"""
    effects: tuple[str, ...]
    """the names of the k columns; one but for categorical x"""
    group: str
    levels: tuple[str, ...]
    numeric: bool
    """whether x is a number, not indicators of a category"""
    index: np.ndarray
    """the level of each row, shape (n,); beyond the last for levels that were not there"""


@dataclass(frozen=True)
class Design(Columns):
    """All of them."""

    y: np.ndarray
    """the response, shape (n,)"""
    response: str
    rows: pd.Index
    """the labels of the rows"""
    groups: tuple[GroupTerm, ...] = ()
    alpha: Columns | None = None
    """the design of alpha on its link, if it has a formula"""
    sigma: Columns | None = None
    """the design of the logarithm of the scale, if it has a formula"""
    weights: np.ndarray | None = None
    offset: np.ndarray | None = None
    measurement_error: np.ndarray | None = None
    problems: tuple[str, ...] = ()
    """what the user should know of the formula, a sentence each"""
    own_functions: bool = False
    """whether the user's own functions may be called, which nobody else has"""

    @property
    def distributional(self) -> dict[str, Columns]:
        """The designs besides that of the location, by the name of their formula."""
        designs = {name: getattr(self, name) for name in FORMULAS}
        return {name: columns for name, columns in designs.items() if columns is not None}


def center_owners(terms: Sequence[GroupTerm]) -> dict[str, str]:
    """Return the terms whose x is centered, and the effect of their group alone.

    A slope's x is, where the group has an effect of its own, which then is that at the center.
    """
    own = {term.group: term.name for term in terms if term.effects == ("1",)}
    return {
        term.name: own[term.group]
        for term in terms
        if term.group in own
        and term.name != own[term.group]
        and term.numeric
        and term.x.shape[1] == 1
    }
