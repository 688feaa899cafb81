"""The user's table, of whatever library, as a pandas DataFrame; and which of its rows are whole."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from robust_dist._errors import InputError
from robust_dist._words.names import nearest
from robust_dist.datasets import row_names

if TYPE_CHECKING:
    import narwhals

# what single precision can still be divided and multiplied by
SMALLEST, LARGEST = 1e-30, 1e30


def to_frame(data: Any) -> pd.DataFrame:
    """Return a pandas DataFrame of a frame that narwhals understands, or of a dict of columns.

    Columns are named by text, whatever they were named by, with accents composed (NFC).

    Raises
    ------
    InputError
        If the data are no table.
    """
    frame = _to_pandas(data)
    names = [_composed(str(name)) for name in frame.columns]
    return frame if names == list(frame.columns) else frame.set_axis(names, axis=1)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _to_pandas(data: Any) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        return _from_columns(data)
    import narwhals  # not for the frames of pandas, which all files are read into

    try:
        frame = narwhals.from_native(data)
    except TypeError:
        raise InputError(
            f"the data are a {type(data).__name__}, which is no table; give a data frame or a dict "
            "of columns"
        ) from None
    eager = frame.collect() if isinstance(frame, narwhals.LazyFrame) else frame
    if eager.implementation.is_pyarrow():
        table: pd.DataFrame = eager.to_native().to_pandas(types_mapper=pd.ArrowDtype)
        return table
    # column by column: a whole frame would ask for pyarrow
    return pd.DataFrame({name: _from_series(eager[name]) for name in eager.columns})


def _from_columns(data: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the table of a dict of columns, which must not have indexes that differ."""
    indexes = {name: values.index for name, values in data.items() if isinstance(values, pd.Series)}
    for name, index in indexes.items():
        first = next(iter(indexes))
        if not index.equals(indexes[first]):
            raise InputError(
                f"the columns '{first}' and '{name}' have different indexes; "
                "make one data frame of them first"
            )
    try:
        return pd.DataFrame({name: _column(values) for name, values in data.items()})
    except ValueError as error:
        raise InputError(f"the columns make no table: {error}") from None


def _column(values: Any) -> Any:
    """Return what pandas takes for a column; that of a list keeps the types of its cells."""
    if isinstance(values, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        return values
    if isinstance(values, (list, tuple)):
        return pd.Series(list(values), dtype=object).array
    import narwhals

    series = narwhals.from_native(values, series_only=True, pass_through=True)
    return _from_series(series) if isinstance(series, narwhals.Series) else np.asarray(values)


def _from_series(series: "narwhals.Series[Any]") -> Any:
    """Return the values of a column with their type, also where pandas would lose it."""
    import narwhals

    dtype = series.dtype
    if isinstance(dtype, narwhals.Enum):
        return pd.Categorical(series.to_list(), categories=list(dtype.categories), ordered=True)
    if isinstance(dtype, narwhals.Datetime) and dtype.time_zone is not None:
        return pd.DatetimeIndex(series.to_numpy(), tz="UTC").tz_convert(dtype.time_zone)
    whole = dtype.is_integer()
    wide = isinstance(dtype, (narwhals.Int128, narwhals.UInt128))
    if dtype.is_float() or dtype.is_temporal() or (whole and not wide and not series.null_count()):
        return series.to_numpy()
    return series.to_list()


def plain(column: pd.Series) -> pd.Series:
    """Return a column in types that NumPy computes with, not nullable, sparse or Arrow's."""
    dtype: Any = column.dtype
    if isinstance(dtype, pd.ArrowDtype):
        values = column.array.__arrow_array__().to_pandas()
        return plain(pd.Series(values).set_axis(column.index))
    if isinstance(dtype, pd.SparseDtype):
        return pd.Series(np.asarray(column)).set_axis(column.index)
    if isinstance(dtype, np.dtype):
        if dtype.kind == "O":
            return column.infer_objects()
        return column if dtype.isnative else column.astype(dtype.newbyteorder("="))
    if pd.api.types.is_numeric_dtype(dtype):
        if column.isna().any():
            return column.astype(float)
        return column.astype(dtype.numpy_dtype)
    return column


def column_named(name: str, frame: pd.DataFrame) -> pd.Series:
    """Return a column, or say that there is none, or several."""
    name = _composed(name)
    if name not in frame.columns:
        known = ", ".join(map(str, frame.columns))
        suggestion = nearest(name, map(str, frame.columns)) or "."
        raise InputError(f"no column '{name}' in the data{suggestion} There are: {known}")
    column = frame[name]
    if isinstance(column, pd.DataFrame):
        raise InputError(f"the data have several columns named '{name}'; rename them")
    return column


def row_values(what: str, given: Any, frame: pd.DataFrame) -> np.ndarray | None:
    """Return a number for each row, from the name of a column, an array or a single number.

    A Series gives each row the number that has the row's label.
    """
    if given is None:
        return None
    column = given if isinstance(given, str) else None
    if column is not None:
        given = column_named(column, frame)
    elif isinstance(given, pd.Series):
        given = _aligned(what, given, frame.index)
    shape = np.shape(given)
    if shape not in ((), (len(frame),)):
        raise InputError(
            f"the {what} have the shape {shape}; give one number for each of the {len(frame)} rows"
        )
    values = plain(given if isinstance(given, pd.Series) else pd.Series(np.atleast_1d(given)))
    try:
        if np.iscomplexobj(values) or not pd.api.types.is_numeric_dtype(values.dtype):
            values = values.map(float)
        numbers = values.to_numpy(float)
    except (TypeError, ValueError):
        where = "" if column is None else f" in column '{column}'"
        raise InputError(f"the {what} must be numbers; there are others{where}") from None
    return np.broadcast_to(numbers, len(frame)).copy()


def _aligned(what: str, given: pd.Series, rows: pd.Index) -> pd.Series:
    """Return a Series in the order of the rows' labels."""
    if given.index.equals(rows):
        return given
    if not (given.index.is_unique and rows.isin(given.index).all()):
        raise InputError(
            f"the {what} are a Series with another index than the data; "
            "give them that of the data, or .to_numpy() to take them row by row"
        )
    return given.reindex(rows)


def check_row_values(what: str, values: np.ndarray | None, frame: pd.DataFrame) -> None:
    """Refuse values that are not finite, and weights or errors that are not positive."""
    if values is None:
        return
    positive = what != "offset"
    bad = np.flatnonzero(~np.isfinite(values) | ((values <= 0) & positive))
    if bad.size:
        wanted = "positive and finite" if positive else "finite"
        raise InputError(
            f"the {what} must be {wanted}, not {values[bad[0]]:g} in {row_names(frame, bad)}"
        )
    extreme = np.flatnonzero((np.abs(values) > LARGEST) | ((values < SMALLEST) & positive))
    if extreme.size:
        raise InputError(
            f"the {what} hold {values[extreme[0]]:g}, beyond single precision, in "
            f"{row_names(frame, extreme)}; give them in other units"
        )


def is_whole(
    frame: pd.DataFrame, names: Iterable[str], values: Iterable[np.ndarray | None]
) -> np.ndarray:
    """Return which rows miss none of these columns and values."""
    whole = np.ones(len(frame), bool)
    for name in names:
        whole &= plain(column_named(name, frame)).notna().to_numpy()
    for given in values:
        if given is not None:
            whole &= ~np.isnan(given)
    return whole
