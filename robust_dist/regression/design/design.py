"""The numbers of a regression: what a formula and a table come to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robust_dist.regression.likelihoods import FORMULAS

BOUNDS = ("censored", "truncated")
"""what bounds may do to responses"""
ENDS = ("low", "high")
WEIGHTS = "_weights"
"""what the name of a curve's weights has behind the curve's"""
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
    """as Bambi's: ``1|g``, ``x|g``; of other formulas ``sigma_1|g``"""
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
    block: str = ""
    """the effects that are correlated with these, theirs included, as ``1 + x|g``; none if empty"""
    formula: str = ""
    """of ``FORMULAS``, whose linear predictor the effects are part of; else that of the location"""


@dataclass(frozen=True)
class CurveTerm:
    """A term that is one unknown function of a column: of so many numbers, its weights."""

    name: str
    """as ``mo(x)``, ``hsgp(x)``"""
    kind: str
    """``"mo"`` or ``"hsgp"``"""
    x: np.ndarray
    """what the weights multiply, shape (n, k)"""
    parts: tuple[str, ...]
    """the names of the k weights"""
    unit: float = 1.0
    """of ``hsgp``, half of the range of the column in the data of the fit"""
    reach: float = 1.0
    """of ``hsgp``, how far its basis reaches from the middle, in these units"""

    @property
    def weights(self) -> str:
        """What the weights are called."""
        return self.name + WEIGHTS


class Bounds(NamedTuple):
    """Between what each row's response lies, or must lie; infinite where a side is open."""

    low: np.ndarray
    """shape (n,)"""
    high: np.ndarray
    """shape (n,)"""


@dataclass(frozen=True)
class Design(Columns):
    """All of them."""

    y: np.ndarray
    """the response, shape (n,); where it is censored its limit, or the lower one of two"""
    response: str
    rows: pd.Index
    """the labels of the rows"""
    groups: tuple[GroupTerm, ...] = ()
    curves: tuple[CurveTerm, ...] = ()
    alpha: Columns | None = None
    """the design of alpha on its link, if it has a formula"""
    sigma: Columns | None = None
    """the design of the logarithm of the scale, if it has a formula"""
    weights: np.ndarray | None = None
    """how many rows each row stands for"""
    leverage_weight: np.ndarray | None = None
    """what being far out in the predictors leaves of each row's likelihood; it says nothing of
    centres and spreads"""
    offset: np.ndarray | None = None
    measurement_error: np.ndarray | None = None
    censored: Bounds | None = None
    """where responses lie of which not all are known exactly; both ends agree where one is"""
    truncated: Bounds | None = None
    """what a response has to lie between to be among the data"""
    predictors: tuple[np.ndarray, ...] = ()
    """those that are numbers, as they enter the formula"""
    resolution: float | None = None
    """the step of the grid that the response is rounded to, if it is to be taken so"""
    problems: tuple[str, ...] = ()
    """what the user should know of the formula, a sentence each"""
    own_functions: bool = False
    """whether the user's own functions may be called, which nobody else has"""

    @property
    def likelihood_weights(self) -> np.ndarray | None:
        """What multiplies each row's log-likelihood, if anything does."""
        if self.weights is None or self.leverage_weight is None:
            return self.leverage_weight if self.weights is None else self.weights
        return self.weights * self.leverage_weight

    @property
    def bounds(self) -> dict[str, Bounds]:
        """The bounds of responses, by what they do."""
        bounds = {name: getattr(self, name) for name in BOUNDS}
        return {name: pair for name, pair in bounds.items() if pair is not None}

    @property
    def distributional(self) -> dict[str, Columns]:
        """The designs besides that of the location, by the name of their formula."""
        designs = {name: getattr(self, name) for name in FORMULAS}
        return {name: columns for name, columns in designs.items() if columns is not None}


class Correlated(NamedTuple):
    """Effects of a group that are correlated: one law of several of them together."""

    name: str
    """as ``1 + x|g``"""
    terms: tuple[str, ...]
    effects: tuple[str, ...]
    """of all these terms, in this order"""

    @property
    def correlation(self) -> str:
        """What their correlations are called."""
        return f"{self.name}_correlation"

    @property
    def pairs(self) -> list[str]:
        """The names of the correlations, those below the diagonal of the matrix by rows."""
        rows, columns = np.tril_indices(len(self.effects), -1)
        return [f"{self.effects[c]}:{self.effects[r]}" for r, c in zip(rows, columns, strict=True)]


def correlated_effects(terms: Sequence[GroupTerm]) -> list[Correlated]:
    """Return the effects that are correlated, by their blocks."""
    blocks: dict[str, list[GroupTerm]] = {}
    for term in terms:
        if term.block:
            blocks.setdefault(term.block, []).append(term)
    return [
        Correlated(
            name,
            tuple(term.name for term in each),
            tuple(effect for term in each for effect in term.effects),
        )
        for name, each in blocks.items()
    ]


def center_owners(terms: Sequence[GroupTerm]) -> dict[str, str]:
    """Return the terms whose x is centered, and the effect of their group alone.

    A slope's x is, where the group has an effect of its own, which then is that at the center.
    """
    own = {(term.formula, term.group): term.name for term in terms if term.effects == ("1",)}
    return {
        term.name: owner
        for term in terms
        if (owner := own.get((term.formula, term.group), term.name)) != term.name
        and term.numeric
        and term.x.shape[1] == 1
    }
