"""Terms that are no columns times coefficients: ``mo(x)`` and ``hsgp(x)``, as in brms and Bambi.

Each is one unknown function of a column. It stands in the sum of the formula's terms and is taken
off the tree before anything is evaluated: its columns follow from the column's own values in the
data of the fit.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from formulae.expr import Assign, Binary, Call, Literal, QuotedName, Variable

from robust_dist._errors import InputError
from robust_dist.datasets import row_names
from robust_dist.regression.design.design import CurveTerm
from robust_dist.regression.design.functions import CURVES

MONOTONIC, GAUSSIAN = CURVES
_BASES, _REACH = 20, 1.5
"""basis functions of ``hsgp``, and how far from the middle they reach, in half ranges of x"""
_MOST = 200
"""basis functions, and steps of ``mo``"""

Refusal = Callable[[str], InputError]


class Curve(NamedTuple):
    """A term of the formula."""

    kind: str
    """of ``CURVES``"""
    column: str
    size: int
    """of ``hsgp``, its number of basis functions"""
    reach: float
    """of ``hsgp``, how far its basis reaches from the middle, in half ranges of x"""

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.kind}({self.column})"


def take_off(tree: Any, refusal: Refusal) -> tuple[Any, tuple[Curve, ...]]:
    """Return a formula's tree without these terms, and the terms.

    Raises
    ------
    InputError
        If their arguments are not a column and numbers.
    """
    if isinstance(tree, Binary) and tree.operator.kind == "TILDE":
        tree.right, curves = take_off(tree.right, refusal)
        return tree, curves
    found: list[Curve] = []

    def without(part: Any) -> Any:
        """Return a sum without these terms, None if nothing is left of it."""
        if isinstance(part, Binary) and part.operator.kind in ("PLUS", "MINUS"):
            left = without(part.left)
            if part.operator.kind == "MINUS":
                # from the intercept, which a sum of curves alone has too
                part.left = Literal(1) if left is None else left
                return part
            right = without(part.right)
            if left is None or right is None:
                return right if left is None else left
            part.left, part.right = left, right
            return part
        if isinstance(part, Call) and isinstance(part.callee, Variable):
            kind = part.callee.name.lexeme
            if kind in CURVES:
                found.append(_curve(kind, part.args, refusal))
                return None
        return part

    kept = without(tree)
    names = [curve.name for curve in found]
    for name in names:
        if names.count(name) > 1:
            raise refusal(f"{name} stands there twice")
    return (Literal(1) if kept is None else kept), tuple(found)


def _curve(kind: str, arguments: list[Any], refusal: Refusal) -> Curve:
    """Return the term of a call."""
    column, *further = arguments or [None]
    if not isinstance(column, Variable | QuotedName) or getattr(column, "level", None) is not None:
        raise refusal(f"{kind}() is given no column; write {kind}(x)")
    options = {"m": _BASES, "c": _REACH}
    allowed = () if kind == MONOTONIC else ("m", "c")
    for place, given in enumerate(further):
        name = given.name.name.lexeme if isinstance(given, Assign) else (*allowed, "", "")[place]
        value = given.value if isinstance(given, Assign) else given
        number = value.value if isinstance(value, Literal) else None
        whole = isinstance(number, int)
        if name not in allowed or isinstance(number, bool) or not isinstance(number, int | float):
            takes = " and the numbers m and c" if allowed else ""
            raise refusal(f"{kind}() takes a column{takes}")
        if name == "m" and not (whole and 1 <= number <= _MOST):
            raise refusal(f"m of {kind}() is a whole number from 1 to {_MOST}")
        if name == "c" and not 1 < number < 100:
            raise refusal(f"c of {kind}() is a number above 1, such as {_REACH}")
        options[name] = number
    is_name = isinstance(column, Variable)
    name = column.name.lexeme if is_name else column.expression.lexeme[1:-1]
    return Curve(kind, name, int(options["m"]), float(options["c"]))


def check_ordered(curve: Curve, given: pd.Series, columns: pd.DataFrame) -> None:
    """Refuse labels without an order as steps of a monotonic effect.

    Parameters
    ----------
    curve
        The term.
    given
        The column as the user has it.
    columns
        All columns as numbers and levels, which are in some order.
    """
    labelled = isinstance(columns[curve.column].dtype, pd.CategoricalDtype)
    if curve.kind == MONOTONIC and labelled and not getattr(given.dtype, "ordered", False):
        raise InputError(
            f"{curve.name} needs an order, and column '{curve.column}' has none; make it an "
            "ordered category (pandas.Categorical(..., ordered=True)) or whole numbers"
        )


def to_curve(curve: Curve, fitted: pd.DataFrame, data: pd.DataFrame) -> CurveTerm:
    """Return a term evaluated in data, as the data of the fit have it.

    Raises
    ------
    InputError
        If values are none of the steps, or lie beyond the reach of the basis functions.
    """
    make = _steps if curve.kind == MONOTONIC else _basis
    return make(curve, fitted[curve.column], data[curve.column], data)


def _steps(curve: Curve, fitted: pd.Series, column: pd.Series, data: pd.DataFrame) -> CurveTerm:
    """Return for each step whether a row has taken it."""
    labelled = isinstance(fitted.dtype, pd.CategoricalDtype)
    if labelled:
        steps = len(fitted.cat.categories) - 1
        height = np.asarray(column.cat.codes, float)
        levels = [str(level) for level in fitted.cat.categories]
    else:
        values, least = fitted.to_numpy(float), float(fitted.min())
        if np.any(values != np.rint(values)):
            raise InputError(
                f"{curve.name} takes whole numbers or an ordered category, and column "
                f"'{curve.column}' holds {values[values != np.rint(values)][0]:g}"
            )
        steps = int(values.max() - least)
        height = column.to_numpy(float) - least
        levels = [f"{least + step:g}" for step in range(min(steps, _MOST) + 1)]
    if not 2 <= steps <= _MOST:
        raise InputError(
            f"{curve.name} has {steps + 1} values; a monotonic effect takes from 3 to {_MOST + 1}"
        )
    bad = np.flatnonzero((height < 0) | (height > steps) | (height != np.rint(height)))
    if bad.size:
        raise InputError(
            f"column '{curve.column}' holds {_shown(column.iloc[bad[0]])} in "
            f"{row_names(data, bad)}, which is none of the values of the fit's {curve.name}"
        )
    x = (height[:, None] > np.arange(steps)).astype(float)
    names = tuple(f"{low} to {high}" for low, high in pairwise(levels))
    return CurveTerm(curve.name, curve.kind, x, names)


def _shown(value: Any) -> str:
    """Return a value in words, whole numbers as such."""
    return f"{value:g}" if isinstance(value, float) else f"'{value}'"


def _basis(curve: Curve, fitted: pd.Series, column: pd.Series, data: pd.DataFrame) -> CurveTerm:
    """Return the basis functions of a Gaussian process on an interval."""
    import jax
    from numpyro.contrib.hsgp.laplacian import eigenfunctions

    low, high = float(fitted.min()), float(fitted.max())
    unit, middle = (high - low) / 2, (high + low) / 2
    if not unit > 0:
        raise InputError(f"column '{curve.column}' of {curve.name} is constant")
    place = (column.to_numpy(float) - middle) / unit
    bad = np.flatnonzero(~(np.abs(place) <= curve.reach))
    if bad.size:
        raise InputError(
            f"column '{curve.column}' lies beyond the reach of {curve.name} in "
            f"{row_names(data, bad)}: from {middle - curve.reach * unit:g} to "
            f"{middle + curve.reach * unit:g}; give a larger c"
        )
    with jax.enable_x64(True):
        x = np.asarray(eigenfunctions(place, curve.reach, curve.size))
    # of mean zero over the range of the fit, for the level is the intercept's; not over the rows,
    # among which one may stand for several
    frequency = np.arange(1, curve.size + 1) * (np.pi / (2 * curve.reach))
    ends = [np.cos(frequency * (curve.reach + end)) for end in (-1, 1)]
    x = x - (ends[0] - ends[1]) / (2 * frequency * np.sqrt(curve.reach))
    names = tuple(str(number) for number in range(curve.size))
    return CurveTerm(curve.name, curve.kind, x, names, unit, curve.reach)
