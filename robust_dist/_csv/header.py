"""The line of a table that names its columns."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from robust_dist._csv.cells import bare, different_cells, is_number, strip
from robust_dist._csv.lines import Lines
from robust_dist._errors import InputError


def count_fields(rows: Sequence[tuple[int, list[str]]]) -> int:
    """Return how many fields most rows have, the first of them if there is a tie."""
    return Counter(len(row) for _, row in rows).most_common(1)[0][0]


def split_header(
    rows: Sequence[tuple[int, list[str]]], width: int, name: str
) -> tuple[tuple[int, list[str]], Sequence[tuple[int, list[str]]]]:
    """Return the header, which is the first row as wide as the rows, and the rows after it."""
    usual = Counter(_count_filled(row) for _, row in rows).most_common(1)[0][0]
    place = next((place for place, (_, row) in enumerate(rows) if _may_name(row, width, usual)), 0)
    line, fields = rows[place]
    if place and is_number(bare(strip(pd.Series(fields, dtype=object)))).any():
        above, title = rows[place - 1]
        raise InputError(
            f"line {line} of '{name}' has {len(fields)} fields and line {above} has {len(title)}: "
            "no line names the columns (quote numbers with a decimal comma, or separate columns by "
            "semicolons)"
        )
    return (line, fields), rows[place + 1 :]


def _may_name(row: Sequence[str], width: int, usual: int) -> bool:
    """Return whether a row may name the columns: a title fills the first field, or too few."""
    filled = _count_filled(row)
    title = width > 1 and (filled < usual / 2 or (filled == 1 and bool(row[0].strip())))
    return width - 1 <= len(row) <= width and filled > 0 and not title


def _count_filled(row: Sequence[str]) -> int:
    return sum(bool(field.strip()) for field in row)


def commented_header(comment: str, frame: Lines, first: Sequence[str], width: int) -> list[str]:
    """Return the names in the last comment, if it names the columns of rows of numbers."""
    text = comment.lstrip("#").strip()
    names = next((row for _, row in replace(frame, start=0, comments=False).rows([text])), [])
    numbers = [bool(is_number(bare(pd.Series([cell])))[0]) for cell in first]
    letters = not is_number(bare(pd.Series(names, dtype=object))).any() if names else False
    return names if letters and len(names) == width and any(numbers) else []


def all_names(
    fields: list[str], table: Sequence[Sequence[str]], width: int, quoted: bool, name: str
) -> list[str]:
    """Return a name for each field of the rows, which may have one more than the header."""
    if not table or width <= len(fields):
        return fields
    if not any(row[-1].strip() for row in table if len(row) == width):
        return [*fields, ""]
    first = [row[0] for row in table]
    numbers = is_number(bare(pd.Series(first, dtype=object))).any()
    if len(set(first)) == len(first) and (quoted or not numbers):
        return ["", *fields]
    raise InputError(f"the rows of '{name}' have more fields than its header; name each column")


def check_header(
    fields: Sequence[str], table: Sequence[Sequence[str]], line: int, name: str
) -> str:
    """Refuse a header that is a row or has a name twice, and return which names are numbers."""
    names = pd.Series([field for field in fields if field], dtype=object)
    if names.duplicated().any():
        twice = names[names.duplicated()].iloc[0]
        raise InputError(f"'{name}' has several columns named '{twice}'; rename them")
    number = is_number(bare(names)) if len(names) else pd.Series([True])
    if number.all():
        raise InputError(
            f"line {max(line, 1)} of '{name}' should name the columns but holds no names; add a "
            "line of names"
        )
    if not number.any():
        return ""
    columns = [
        (field, different_cells(table, place)) for place, field in enumerate(fields) if field
    ]
    for (field, cells), is_digit in zip(columns, number, strict=True):
        numeric = len(cells) and is_number(bare(cells)).all()
        if numeric != is_digit or not (numeric or field in set(cells)):
            return f"the header names columns {', '.join(names[number])}"
    raise InputError(
        f"line {line} of '{name}' looks like a row, not like the names of the columns; add a line "
        "of names"
    )
