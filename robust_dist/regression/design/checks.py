"""What no regression can be fitted to, said in one line."""

from collections import Counter

import numpy as np
import pandas as pd

from robust_dist._errors import InputError
from robust_dist.datasets import row_names
from robust_dist.regression.design.design import Columns, Design, GroupTerm
from robust_dist.regression.design.span import dependent_columns, triangular


def check_design(design: Design, data: pd.DataFrame) -> None:
    """Refuse numbers that are none, a response that is constant, and columns that say the same.

    Raises
    ------
    InputError
        Naming the column and the row.
    """
    _check_finite(design.response, design.y, data)
    for columns in (design, design.alpha, design.sigma):
        if columns is not None:
            _check_columns(columns, data)
    for term in design.groups:
        _check_group(term, data)
    for curve in design.curves:
        for name, values in zip(curve.parts, curve.x.T, strict=True):
            _check_finite(f"{curve.name} {name}", values, data)
    twice = [name for name, count in Counter(t.name for t in design.groups).items() if count > 1]
    if twice:
        raise InputError(f"two terms have the name '{twice[0]}'; rename the column of one")
    n, p = len(design.y), len(design.values)
    if np.ptp(design.y) == 0:
        raise InputError(f"the response '{design.response}' is constant: there is nothing to fit")
    if n == p:
        raise InputError(
            f"as many coefficients as rows ({n}): the fit passes through every point and leaves "
            "no noise to learn from; simplify the formula"
        )


def _check_finite(name: str, values: np.ndarray, data: pd.DataFrame) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        what = "no number (NaN)" if np.isnan(values[bad[0]]) else "an infinite value"
        raise InputError(
            f"'{name}' is {what} in {row_names(data, bad)}; correct it or delete the row"
        )


def _check_columns(columns: Columns, data: pd.DataFrame) -> None:
    name, count = Counter(columns.coefficients).most_common(1)[0]
    if count > 1:
        raise InputError(
            f"{count} coefficients have the name '{name}', that of a column and that of a level; "
            "rename the column"
        )
    for name, values in zip(columns.coefficients, columns.values, strict=True):
        _check_finite(name, values, data)
    n, p = len(columns.values[0]), len(columns.values)
    if n < p:
        raise InputError(f"fewer rows ({n}) than coefficients ({p}); simplify the formula")
    _check_rank(columns)


def _check_group(term: GroupTerm, data: pd.DataFrame) -> None:
    for name, values in zip(term.effects, term.x.T, strict=True):
        _check_finite(f"{name}|{term.group}", values, data)
    if len(term.levels) < 2:
        raise InputError(
            f"the group '{term.group}' has a single level, '{term.levels[0]}'; "
            f"drop '({term.name})' from the formula"
        )
    if not np.abs(term.x).max(axis=0).all():
        raise InputError(f"'({term.name})' has a column of zeros; drop it from the formula")


def _check_rank(columns: Columns) -> None:
    """Refuse a column that the columns before it determine."""
    least = np.array([column.min() for column in columns.values], float)
    most = np.array([column.max() for column in columns.values], float)
    size, constant = np.maximum(-least, most), least == most
    for column, name in enumerate(columns.coefficients):
        redundant = columns.intercept is not None and column != columns.intercept
        if size[column] == 0 or (constant[column] and redundant):
            raise InputError(f"column '{name}' of the design is constant; drop it from the formula")
    # a column that is an exact combination of those before it
    dependent = dependent_columns(triangular(columns.blocks(), size.size))
    if dependent.size:
        raise InputError(
            f"the design is rank-deficient: column '{columns.coefficients[dependent[0]]}' is a "
            "combination of the columns before it; drop it from the formula"
        )
