"""What a formula says on its left of how a response is observed: ``censored()``, ``truncated()``.

Both are Bambi's. They are no functions of columns but say what the other columns on the left mean,
so they are taken off the tree before anything is evaluated, and the response is what remains.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from formulae.expr import Assign, Binary, Call, Grouping, Literal, QuotedName, Unary, Variable

from robust_dist._errors import InputError
from robust_dist.datasets import row_names
from robust_dist.regression.design.design import Bounds
from robust_dist.regression.design.frame import column_named
from robust_dist.regression.design.functions import OBSERVED

CENSORED, TRUNCATED = OBSERVED
STATUSES = ("left", "none", "right", "interval")
_FORMS = {
    CENSORED: "censored(y, status) or censored(low, high, status)",
    TRUNCATED: "truncated(y, lb, ub), of which lb or ub may be None",
}

Refusal = Callable[[str], InputError]


class Observed(NamedTuple):
    """How a response is observed, in trees and names."""

    function: str
    """of ``OBSERVED``"""
    bounds: dict[str, Any]
    """``"low"`` and ``"high"``, as far as they are given: trees of expressions, or numbers"""
    status: str | None
    """the column of the rows' status, if they are censored"""


def take_off(tree: Any, refusal: Refusal) -> Observed | None:
    """Return how the response of a formula's tree is observed, and leave the response itself there.

    Raises
    ------
    InputError
        If the arguments are not those of the function.
    """
    left = tree.left if isinstance(tree, Binary) and tree.operator.kind == "TILDE" else None
    while isinstance(left, Grouping):
        left = left.expression
    if not (isinstance(left, Call) and isinstance(left.callee, Variable)):
        return None
    function = left.callee.name.lexeme
    if function not in OBSERVED:
        return None
    named = {part.name.name.lexeme: part.value for part in left.args if isinstance(part, Assign)}
    plain = [part for part in left.args if not isinstance(part, Assign)]
    if not plain or isinstance(plain[0], Literal):
        raise refusal(f"{function}() is given no response; write {_FORMS[function]}")
    tree.left = plain[0]
    take = _censored if function == CENSORED else _truncated
    return take(plain[1:], named, refusal)


def _censored(further: list[Any], named: Mapping[str, Any], refusal: Refusal) -> Observed:
    if named or len(further) not in (1, 2):
        raise refusal(f"censored() takes two or three columns; write {_FORMS[CENSORED]}")
    *high, status = further
    if not isinstance(status, Variable | QuotedName):
        raise refusal(f"the last argument of censored() is a column that says {_statuses()}")
    name = status.name.lexeme if isinstance(status, Variable) else status.expression.lexeme[1:-1]
    return Observed(CENSORED, dict(zip(("high",), high, strict=False)), name)


def _truncated(further: list[Any], named: Mapping[str, Any], refusal: Refusal) -> Observed:
    given = {**dict(zip(("lb", "ub"), further, strict=False)), **named}
    if len(further) + len(named) != len(given) or not given.keys() <= {"lb", "ub"}:
        raise refusal(f"truncated() takes lb and ub besides the response: {_FORMS[TRUNCATED]}")
    bounds = {}
    for name, place in (("lb", "low"), ("ub", "high")):
        bound = _number_or_tree(given.get(name), refusal)
        if bound is not None:
            bounds[place] = bound
    if not bounds:
        raise refusal("truncated() is given no bound; give lb, ub or both, as numbers or columns")
    return Observed(TRUNCATED, bounds, None)


def _number_or_tree(given: Any, refusal: Refusal) -> Any:
    """Return a bound as a number if it is one, else its tree; None for an open side."""
    sign = 1.0
    value = given
    while isinstance(value, Unary | Grouping):
        if isinstance(value, Unary):
            sign = -sign if value.operator.kind == "MINUS" else sign
        value = value.right if isinstance(value, Unary) else value.expression
    if not isinstance(value, Literal):
        return given
    if value.value is None:
        return None
    if isinstance(value.value, bool) or not isinstance(value.value, int | float):
        raise refusal(f"the bound {value.value!r} of truncated() is no number")
    try:
        return sign * float(value.value)
    except OverflowError:
        raise refusal(f"the number {value.value} is too large") from None


def _statuses() -> str:
    return ", ".join(f"'{status}'" for status in STATUSES[:-1]) + f" or '{STATUSES[-1]}'"


def censored_bounds(
    y: np.ndarray, high: np.ndarray | None, status: str, data: pd.DataFrame
) -> Bounds | None:
    """Return between what the response of each row lies; None if all are observed exactly.

    Raises
    ------
    InputError
        If a status is none, or an interval has no upper end above its lower one.
    """
    column = column_named(status, data)
    text = column.astype(str).to_numpy(str)
    bad = np.flatnonzero(~np.isin(text, STATUSES))
    if bad.size:
        raise InputError(
            f"column '{status}' holds '{column.iloc[bad[0]]}' in {row_names(data, bad)}; "
            f"the status of a row is {_statuses()}"
        )
    within = text == "interval"
    if within.any():
        if high is None:
            raise InputError(
                f"column '{status}' holds 'interval' in {row_names(data, np.flatnonzero(within))}, "
                "whose upper end is not given; write censored(low, high, status)"
            )
        reversed_ends = np.flatnonzero(within & ~(high > y))
        if reversed_ends.size:
            raise InputError(
                f"the interval in {row_names(data, reversed_ends)} does not end above its start; "
                "write censored(low, high, status)"
            )
    if (text == "none").all():
        return None
    low_end = np.where(text == "left", -np.inf, y)
    high_end = np.where(text == "right", np.inf, y if high is None else np.where(within, high, y))
    return Bounds(low_end, high_end)


def truncated_bounds(
    y: np.ndarray, bounds: Mapping[str, np.ndarray | float], response: str, data: pd.DataFrame
) -> Bounds:
    """Return between what a response must lie to be among the data at all.

    Raises
    ------
    InputError
        If a response lies elsewhere, or nothing could lie between the bounds.
    """
    low = np.broadcast_to(np.asarray(bounds.get("low", -np.inf), float), y.shape)
    high = np.broadcast_to(np.asarray(bounds.get("high", np.inf), float), y.shape)
    empty = np.flatnonzero(~(low < high))
    if empty.size:
        raise InputError(
            f"truncated(): the lower bound is not below the upper one in {row_names(data, empty)}"
        )
    outside = np.flatnonzero((y < low) | (y > high))
    if outside.size:
        first = outside[0]
        raise InputError(
            f"'{response}' is {y[first]:g} in {row_names(data, outside)}, outside of its bounds "
            f"from {low[first]:g} to {high[first]:g}: truncated data have no such row; "
            "a limit beyond which values are only known to lie is censored(y, status)"
        )
    return Bounds(low.copy(), high.copy())
