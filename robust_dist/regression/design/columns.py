"""Columns of every type, as the two things that a formula is evaluated with: numbers and levels.

Numbers are in double precision wherever anything is computed of them, so that no product or power
of small integers overflows; True counts 1 and False 0. Dates, times and periods become the number
of days since the first of the fit, durations and times of day a number of days. Whatever else there
is, and every column that does nothing but name groups, becomes levels: a categorical in the order
of its values. A level of new data is that of the fit which is written alike, whatever the types.

The attributes of a frame of such columns say what their names do not: ``since``, the first of each
column of dates ("" for one of durations), and ``rounded``, the columns with too many digits.
"""

import numbers
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from robust_dist._errors import InputError
from robust_dist.datasets import check_labels, row_names
from robust_dist.regression.design.frame import column_named, plain
from robust_dist.regression.design.levels import factorize, levels_of_fit, to_levels

# whole numbers up to here are double precision's own
_WHOLE = 2**53
_DATE = r"\d{4}-\d{2}(-\d{2}([T ].*)?)?"
# of which nobody can tell the day from the month
_DATE_OF_A_COUNTRY = r"\d{1,2}([./-])\d{1,2}\1\d{4}"
# with a decimal comma, thousands apart, a currency or a percent sign
_NUMBER = r"[-+−]?[$€£¥]?\s?(\d+|\d{1,3}([.,' ]\d{3})+)([.,]\d+)?\s?[%$€£¥]?"


class Role(Enum):
    """What formulas do with a column."""

    LABELS = "names levels and does nothing else, as in (1 | g) or C(g)"
    TERM = "is a term by itself"
    COMPUTED = "has something computed of it"


class _Kind(Enum):
    NUMBERS = "numbers"
    DATES = "dates"
    DURATIONS = "durations"
    LEVELS = "labels"


def to_formula_columns(data: pd.DataFrame, roles: Mapping[str, Role]) -> pd.DataFrame:
    """Return the columns that formulas use, as numbers and levels.

    Numbers that need no conversion are the table's own memory.

    Raises
    ------
    InputError
        If a column misses a value, or holds what is neither a number nor a label.
    """
    since: dict[str, str] = {}
    rounded: list[str] = []
    columns: dict[str, pd.Series] = {}
    for name, role in roles.items():
        column = _whole_column(name, data)
        kind = _Kind.LEVELS if role is Role.LABELS else _kind(name, column, data)
        if kind is _Kind.LEVELS:
            columns[name] = to_levels(name, column)
        elif kind is _Kind.NUMBERS:
            if _loses_digits(name, column):
                rounded.append(name)
            columns[name] = _numbers(column, role is Role.COMPUTED)
        else:
            times = _times(name, column, data)
            since[name] = "" if kind is _Kind.DURATIONS else times.min().isoformat()
            columns[name] = _days(name, times, since[name])
    # in pandas 3 without a copy until somebody writes into them
    frame = pd.DataFrame(columns, index=data.index, copy=pd.__version__ < "3")
    frame.attrs = {**data.attrs, "since": since, "rounded": rounded}
    return frame


def like_those_of_the_fit(
    data: pd.DataFrame, fitted: pd.DataFrame, names: Iterable[str]
) -> pd.DataFrame:
    """Return these columns of new data as those of the fit: its levels, and days since its first.

    Levels that the fit does not have are there too, as text. A column of dates may count days
    already, if the new data's ``since`` is that of the fit.

    Raises
    ------
    InputError
        If a column is missing, misses a value, or is of another kind than that of the fit.
    """
    columns: dict[str, pd.Series] = {}
    for name in names:
        column = _whole_column(name, data)
        if isinstance(fitted[name].dtype, pd.CategoricalDtype):
            columns[name] = levels_of_fit(name, column, fitted[name].cat.categories)
            continue
        kind = _kind(name, column, data)
        since = fitted.attrs["since"].get(name)
        if since is not None and data.attrs.get("since", {}).get(name) == since:
            since = None
        wanted = _Kind.DURATIONS if since == "" else _Kind.DATES if since else _Kind.NUMBERS
        if kind is not wanted:
            raise InputError(
                f"column '{name}' holds {kind.value} in the new data (such as '{column.iloc[0]}'), "
                f"where the fit has {wanted.value}; convert it first"
            )
        if since is None:
            columns[name] = _numbers(column, computed=True)
        else:
            columns[name] = _days(name, _times(name, column, data), since)
    frame = pd.DataFrame(columns, index=data.index)
    frame.attrs = dict(data.attrs)
    return frame


def notes(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return what was done to columns without a trace in their names, in words."""
    days = (
        f"'{name}' counts days" + (f" since {first.removesuffix('T00:00:00')}" if first else "")
        for name, first in frame.attrs["since"].items()
    )
    digits = (
        f"'{name}' holds whole numbers beyond 2^53, of which double precision keeps 16 digits"
        for name in frame.attrs["rounded"]
    )
    return (*days, *digits)


def _whole_column(name: str, data: pd.DataFrame) -> pd.Series:
    """Return a column in plain types, of which no value may be missing."""
    column = plain(column_named(name, data))
    if column.empty:
        raise InputError("the data have no rows")
    missing = np.flatnonzero(column.isna())
    if missing.size:
        raise InputError(
            f"column '{name}' has no value (NaN) in {row_names(data, missing)}; "
            "fill it in, delete the row or give drop_missing=True (--drop-missing)"
        )
    return column


def _kind(name: str, column: pd.Series, data: pd.DataFrame) -> _Kind:
    """Return what a column is to a formula in which it does more than name groups."""
    dtype = column.dtype
    if isinstance(dtype, (pd.CategoricalDtype, pd.IntervalDtype)):
        return _Kind.LEVELS
    if isinstance(dtype, pd.PeriodDtype) or pd.api.types.is_datetime64_any_dtype(dtype):
        return _Kind.DATES
    if pd.api.types.is_timedelta64_dtype(dtype):
        return _Kind.DURATIONS
    inferred = pd.api.types.infer_dtype(column) if dtype.kind == "O" else ""
    if inferred in ("date", "datetime"):
        return _Kind.DATES
    if inferred in ("time", "timedelta"):
        return _Kind.DURATIONS
    number = all(isinstance(cell, numbers.Number) for cell in column) if inferred else False
    if number or pd.api.types.is_numeric_dtype(dtype):
        if dtype.kind == "c" or inferred == "complex":
            raise InputError(f"column '{name}' holds complex numbers; give their real part or size")
        return _Kind.NUMBERS
    return _kind_of_text(name, column, data)


def _kind_of_text(name: str, column: pd.Series, data: pd.DataFrame) -> _Kind:
    """Return what words are, which may be dates but not numbers that stray words spoilt."""
    words = np.flatnonzero(pd.to_numeric(column, errors="coerce").isna())
    if words.size < len(column) / 2:
        raise InputError(
            f"column '{name}' holds '{column.iloc[words[0]]}', which is no number, "
            f"in {row_names(data, words)}; correct it or delete the row"
            if words.size
            else f"column '{name}' holds numbers as text, such as '{column.iloc[0]}'; write C(...) "
            "of it for levels, or make it numbers"
        )
    codes, values = factorize(name, column)
    different = pd.Series(values, dtype=object).astype(str).str
    # of some that are none, the rows are named later
    if different.fullmatch(_DATE).to_numpy(bool)[codes].mean() > 0.5:
        return _Kind.DATES
    for pattern, mend in (
        (_DATE_OF_A_COUNTRY, "write dates as YYYY-MM-DD"),
        (_NUMBER, "convert it to numbers first"),
    ):
        if different.fullmatch(pattern).all():
            raise InputError(
                f"column '{name}' holds text such as '{column.iloc[0]}'; {mend}, or write "
                f"C({name}) in the formula for a level each"
            )
    check_labels(name, data)
    return _Kind.LEVELS


def _numbers(column: pd.Series, computed: bool) -> pd.Series:
    """Return numbers of which a formula can compute, as they are where it does not."""
    dtype = column.dtype
    kept = dtype == np.float64 or (not computed and (dtype.kind in "biu" or dtype == np.float32))
    return column if kept else column.astype(float)


def _loses_digits(name: str, column: pd.Series) -> bool:
    """Return whether double precision rounds whole numbers, which it must not do visibly."""
    if column.dtype.kind not in "iuO":
        return False
    least, most = int(column.min()), int(column.max())
    size = max(-least, most)
    if size > _WHOLE and np.spacing(float(size)) > 1e-6 * (most - least):
        raise InputError(
            f"column '{name}' holds whole numbers such as {column.iloc[0]}, which differ in digits "
            "that double precision does not keep; subtract the first of them"
        )
    return size > _WHOLE


def _times(name: str, column: pd.Series, data: pd.DataFrame) -> pd.Series:
    """Return dates as pandas has them, and durations."""
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if column.dtype.kind in "mM":
        return column
    text = pd.api.types.is_string_dtype(column)
    if not text and pd.api.types.infer_dtype(column) in ("time", "timedelta"):
        return pd.to_timedelta(column.astype(str))
    options: dict[str, Any] = {"errors": "coerce", "format": "ISO8601" if text else None}
    try:
        times = pd.to_datetime(column, **options)
    except ValueError:  # several time zones
        times = pd.to_datetime(column, utc=True, **options)
    bad = np.flatnonzero(times.isna())
    if bad.size:
        raise InputError(
            f"column '{name}' holds '{column.iloc[bad[0]]}', which is no date, in "
            f"{row_names(data, bad)}; correct it or delete the row"
        )
    return times


def _days(name: str, times: pd.Series, since: str) -> pd.Series:
    """Return the number of days since the first, or the number of days that durations last."""
    day = pd.Timedelta(days=1)
    try:
        elapsed: Any = times - pd.Timestamp(since) if since else times
        return elapsed / day
    except TypeError:
        raise InputError(
            f"column '{name}' has a time zone in one of the fit and the new data and none in the "
            "other; convert it first"
        ) from None
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        raise InputError(
            f"column '{name}' lies too far from {since}, the first of the fit"
        ) from None
