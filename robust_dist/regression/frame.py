"""The user's table, of whatever library, as a pandas DataFrame; and which of its rows are whole."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from robust_dist._errors import InputError
from robust_dist.datasets import nearest, row_names


def to_frame(data: Any) -> pd.DataFrame:
    """Return a pandas DataFrame of a frame that narwhals understands, or of a dict of columns.

    Raises
    ------
    InputError
        If the data are no table.
    """
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        try:
            return pd.DataFrame({name: np.asarray(column) for name, column in data.items()})
        except ValueError as error:
            raise InputError(f"the columns make no table: {error}") from None
    import narwhals

    try:
        frame = narwhals.from_native(data)
    except TypeError:
        raise InputError(
            f"the data are a {type(data).__name__}, which is no table; give a data frame or a dict "
            "of columns"
        ) from None
    eager = frame.collect() if isinstance(frame, narwhals.LazyFrame) else frame
    # column by column: a whole frame would ask for pyarrow
    return pd.DataFrame(
        {
            name: column.to_numpy() if column.dtype.is_numeric() else column.to_list()
            for name, column in ((name, eager[name]) for name in eager.columns)
        }
    )


def column_named(name: str, frame: pd.DataFrame) -> pd.Series:
    """Return a column, or say that there is none, or several."""
    if name not in frame.columns:
        known = ", ".join(map(str, frame.columns))
        suggestion = nearest(name, map(str, frame.columns)) or "."
        raise InputError(f"no column '{name}' in the data{suggestion} There are: {known}")
    column = frame[name]
    if isinstance(column, pd.DataFrame):
        raise InputError(f"the data have several columns named '{name}'; rename them")
    return column


def row_values(what: str, given: Any, frame: pd.DataFrame) -> np.ndarray | None:
    """Return a number for each row, from the name of a column, an array or a single number."""
    if given is None:
        return None
    values = column_named(given, frame) if isinstance(given, str) else given
    try:
        values = np.asarray(values, float)
    except (TypeError, ValueError):
        raise InputError(f"the {what} are not numbers") from None
    if values.shape not in ((), (len(frame),)):
        raise InputError(
            f"the {what} have the shape {values.shape}; give one number for each of the "
            f"{len(frame)} rows"
        )
    return np.broadcast_to(values, len(frame)).copy()


def check_row_values(what: str, values: np.ndarray | None, frame: pd.DataFrame) -> None:
    """Refuse values that are not finite, and weights or errors that are not positive."""
    if values is None:
        return
    bad = np.flatnonzero(~np.isfinite(values) | ((values <= 0) & (what != "offset")))
    if bad.size:
        wanted = "finite" if what == "offset" else "positive and finite"
        raise InputError(
            f"the {what} must be {wanted}, not {values[bad[0]]:g} in {row_names(frame, bad)}"
        )


def is_whole(
    frame: pd.DataFrame, names: Iterable[str], values: Iterable[np.ndarray | None]
) -> np.ndarray:
    """Return which rows miss none of these columns and values."""
    whole = np.ones(len(frame), bool)
    for name in names:
        whole &= ~column_named(name, frame).isna().to_numpy()
    for given in values:
        if given is not None:
            whole &= ~np.isnan(given)
    return whole
