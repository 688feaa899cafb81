"""What was read, made a data frame with names, rows numbered from 1, and notes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from robust_dist._csv.cells import read_column
from robust_dist._errors import InputError

# what instruments and surveys write where they have no value
_SENTINELS = (-99, -999, -9999, -99999, 999, 9999, 99999)


def finish(
    frame: pd.DataFrame,
    name: str,
    notes: Sequence[str] = (),
    decimal: str = ".",
    given: bool = False,
) -> pd.DataFrame:
    """Return the table, with its notes and what to doubt of its columns in ``attrs``.

    Parameters
    ----------
    frame
        Columns of numbers, text or other types; a name may be empty.
    name
        What a message calls the file.
    notes
        What was guessed so far.
    decimal, given
        The decimal mark, and whether the user gave it.
    """
    if frame.empty:
        raise InputError(f"'{name}' has a header but no rows")
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    frame, named = _name_columns(frame, name)
    frame, left_out = _drop_blank_rows(frame)
    said, doubts = {"": [*notes, *named, *left_out]}, {}
    for place, label in enumerate(frame.columns):
        column = frame.iloc[:, place]
        if pd.api.types.infer_dtype(column, skipna=True) in ("string", "empty"):
            read = read_column(label, column, decimal, given)
            frame[label] = read.values
            said[label] = read.notes
            if read.doubt:
                doubts[label] = read.doubt
        said.setdefault(label, []).extend(_suspicions(label, frame[label]))
    frame.attrs = {
        "notes": {label: sentences for label, sentences in said.items() if sentences},
        "doubts": doubts,
    }
    return frame


def _name_columns(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """Name columns without a name by their place, or drop them if they are empty."""
    labels = [str(label).strip() for label in frame.columns]
    blank = [
        not label and bool(frame.iloc[:, place].isna().all()) for place, label in enumerate(labels)
    ]
    frame = frame.loc[:, np.logical_not(blank)].copy() if any(blank) else frame
    places = [place for place, drop in enumerate(blank) if not drop]
    frame.columns = [labels[place] or f"column {place + 1}" for place in places]
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InputError(f"'{name}' has several columns named '{twice[0]}'; rename them")
    return frame, [
        f"the column without a name is called 'column {place + 1}'"
        for place in places
        if not labels[place]
    ]


def _drop_blank_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Drop rows without any value; the others keep their numbers."""
    blank = np.ones(len(frame), bool)
    for place in range(frame.shape[1]):
        blank &= frame.iloc[:, place].isna().to_numpy()
        if not blank.any():
            return frame, []
    count = int(blank.sum())
    return frame[~blank].copy(), [f"{count} row{'s' * (count > 1)} without any value left out"]


def _suspicions(label: str, column: pd.Series) -> list[str]:
    """Return what a column of numbers may not mean."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return []
    low, high = column.min(), column.max()
    notes = []
    for word in {low, high}.intersection(_SENTINELS):
        others = column[(column != word) & column.notna()]
        if len(others) and abs(word - others).min() > np.ptp(others):
            notes.append(
                f"column '{label}' holds {word:g}, far from its other values, which is read as a "
                "number (leave the cells empty if it stands for a missing value)"
            )
    return notes
