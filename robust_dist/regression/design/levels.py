"""Levels: what names groups and categories, the same whatever the type that a table has them in."""

import math
import numbers
import re
import unicodedata
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from robust_dist._errors import InputError


def label(value: Any) -> str:
    """Return how a level is written, which is the same for equal values of different types."""
    if isinstance(value, pd.Interval):
        left, right = "[" if value.closed_left else "(", "]" if value.closed_right else ")"
        return f"{left}{label(value.left)}, {label(value.right)}{right}"
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    text = unicodedata.normalize("NFC", str(_number(value)))
    return text.removesuffix(" 00:00:00") if isinstance(value, pd.Timestamp) else text


def to_levels(name: str, column: pd.Series) -> pd.Series:
    """Return a categorical of the levels that occur, in the order of their values or of their own.

    Numbers and bools stay what they are, and everything else becomes text.
    """
    codes, values = factorize(name, column)
    levels = [_number(value) for value in values]
    alike = len({type(level) for level in levels}) == 1 or all(
        type(level) in (int, float) for level in levels
    )
    if not alike or not isinstance(levels[0], (bool, int, float)):
        levels = [label(value) for value in values]
    if isinstance(column.dtype, pd.CategoricalDtype) and column.dtype.ordered:
        order = column.cat.categories.get_indexer(pd.Index(values)).argsort().tolist()
    else:
        order = _ascending(values, levels)
    return _categorical(column, codes, levels, [levels[place] for place in order], ordered=True)


def levels_of_fit(name: str, column: pd.Series, fitted: pd.Index) -> pd.Series:
    """Return levels by the names that the fit has for them, where it has any."""
    known = {_interval(label(level)): level for level in fitted}
    known |= {label(level): level for level in fitted}
    codes, values = factorize(name, column)
    written = [label(value) for value in values]
    levels = [known.get(text, known.get(_interval(text), text)) for text in written]
    return _categorical(column, codes, levels, levels, ordered=False)


def _interval(text: str) -> str:
    """Return an interval that is text, as ``(0.5, 9.0]`` is, as its label; other text as it is."""
    match = re.fullmatch(r"([\[(])(\S+), (\S+)([\])])", text)
    if match is None:
        return text
    try:
        left, right = (_number(float(end)) for end in match.group(2, 3))
    except ValueError:
        return text
    return f"{match[1]}{left}, {right}{match[4]}"


def factorize(name: str, column: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Return the number of each row's value among those that occur."""
    try:
        codes, values = pd.factorize(column)
    except TypeError:
        example = type(column.iloc[0]).__name__
        raise InputError(
            f"column '{name}' holds cells of type {example}, which are neither numbers nor labels"
        ) from None
    return codes, list(values)


def _categorical(
    column: pd.Series, codes: np.ndarray, levels: list[Any], order: list[Any], ordered: bool
) -> pd.Series:
    """Return the levels of each row; those that are equal are one."""
    categories = list(dict.fromkeys(order))
    place = {level: number for number, level in enumerate(categories)}
    places = np.array([place[level] for level in levels], int)[codes]
    values = pd.Categorical.from_codes(places, pd.Index(categories), ordered=ordered)
    return pd.Series(values, index=column.index)


def _ascending(values: list[Any], levels: list[Any]) -> list[int]:
    """Return the order of values, that of their labels if they have none."""
    try:
        return sorted(range(len(values)), key=values.__getitem__)
    except TypeError:
        return sorted(range(len(values)), key=[str(level) for level in levels].__getitem__)


def _number(value: Any) -> Any:
    """Return a number as Python's, a whole one as an int; and whatever is none as it is."""
    if isinstance(value, (bool, np.bool)):
        return bool(value)
    if not isinstance(value, (numbers.Real, Decimal)):
        return value
    number = float(value)
    # from the value itself, which may have more digits
    whole = int(value) if math.isfinite(number) else None  # type: ignore[arg-type]
    return whole if whole == value else number
