"""How a text file lays its table out, guessed from its beginning."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from robust_dist._csv.cells import bare, different_cells, formats, is_number, is_plain
from robust_dist._csv.header import (
    all_names,
    check_header,
    commented_header,
    count_fields,
    split_header,
)
from robust_dist._csv.lines import Lines
from robust_dist._errors import InputError

# Tabs and semicolons stand in a text by chance less often than commas, which may be decimal too.
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "blanks"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# of which the layout is guessed
_LINES = 2000
# what old programs of Windows wrote; Latin-1 is part of it
FALLBACK = "cp1252"


@dataclass(frozen=True)
class Layout:
    """Where in a text file a table lies and how it is written."""

    lines: Lines
    names: tuple[str, ...]
    """names of all columns, '' where the header has none"""
    decimal: str
    plain: frozenset[int]
    """places of the columns that pandas reads as they are"""
    gaps: tuple[str, ...]
    """what is missing in the other columns"""
    notes: list[str]


def guess_encoding(head: bytes, name: str) -> str:
    """Return the encoding of a text from its mark or its first bytes."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        odd, even = head[1::2].count(0), head[0::2].count(0)
        if max(odd, even) > len(head) / 4 and min(odd, even) < len(head) / 100:
            return "utf-16-le" if odd > even else "utf-16-be"
        raise InputError(f"'{name}' is not a text file; save the table as CSV (UTF-8)")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        if not head[: error.start].isascii():
            line = head.count(b"\n", 0, error.start) + 1
            raise InputError(
                f"'{name}' is UTF-8 text but for line {line}; correct it, or say the encoding by "
                "--encoding"
            ) from None
        return FALLBACK
    return "utf-8-sig"


def guess_layout(
    head: bytes, complete: bool, name: str, encoding: str, sep: str | None, decimal: str | None
) -> Layout:
    """Return the layout of a table from the first bytes of its file.

    Parameters
    ----------
    head, complete
        The bytes, and whether they are the whole file.
    name
        What a message calls the file.
    encoding
        The file's encoding.
    sep, decimal
        The separator and the decimal mark, if they are known.

    Raises
    ------
    InputError
        If the lines are no table, or there is none that names its columns.
    """
    text = codecs.getincrementaldecoder(encoding)().decode(head, complete)
    lines = list(io.StringIO(text, newline=None))
    if not "".join(lines).strip():
        raise InputError(f"'{name}' is empty; it should hold a header line and rows")
    if re.match(r"\s*(<(!doctype|\?xml|html|table)|\{\s*\"|\[\s*[\[{])", text, re.IGNORECASE):
        raise InputError(f"'{name}' is HTML, XML or JSON, not a table; save it as CSV")
    if not complete:
        lines.pop()
    lines = lines[:_LINES]
    start, sep, comment = _before(lines, sep)
    frame = Lines(encoding, sep or ",", start, comment is not None)
    if sep is None:
        frame = replace(frame, separator=_guess_separator(frame, lines))
    notes = []
    if frame.comments:
        notes.append("lines that begin with # left out")
    if frame.separator != ",":
        notes.append(f"columns separated by {SEPARATORS.get(frame.separator, frame.separator)}")
    rows = _rows(frame, lines, name)
    if not rows:
        raise InputError(
            f"'{name}' holds no rows"
            if complete
            else f"the first line of '{name}' is longer than any of a table"
        )
    width = count_fields(rows)
    header, body = split_header(rows, width, name)
    if comment is not None and (names := commented_header(comment, frame, rows[0][1], width)):
        first, fields, body = 0, names, rows
    else:
        first, fields = header
        skipped = len(rows) - len(body) - 1
        if skipped:
            notes.append(f"{skipped} line{'s' * (skipped > 1)} before the header left out")
        frame = replace(frame, start=first)
    table = [row for _, row in body]
    fields = [field.strip() for field in fields]
    quoted = bool(body) and lines[body[0][0] - 1].lstrip().startswith('"')
    fields = all_names(fields, table, width, quoted, name)
    if numbers := check_header(fields, table, first, name):
        notes.append(numbers)
    columns = [different_cells(table, place) for place in range(len(fields))]
    decimal, note = (decimal, "") if decimal else _guess_decimal(columns, frame.separator, name)
    if decimal == ",":
        notes.append("decimal comma")
    plain = frozenset(place for place, cells in enumerate(columns) if is_plain(cells, decimal))
    if note:
        notes.append(note)
    gaps = ["", "NA"] if _is_of_r(lines, frame.separator) else [""]
    if "NA" in gaps:
        notes.append("NA without quotes read as missing")
    return Layout(frame, tuple(fields), decimal, plain, tuple(gaps), notes)


def _before(lines: Sequence[str], sep: str | None) -> tuple[int, str | None, str | None]:
    """Return how many lines stand before the table, its separator if said, and the last comment."""
    start, comment = 0, None
    for number, line in enumerate(lines):
        said = re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE)
        if said and start == 0:
            sep = sep or said[1]
        elif line.startswith("#"):
            comment = line
        elif line.strip():
            break
        else:
            continue
        start = number + 1
    return start, sep, comment


def _rows(frame: Lines, lines: Sequence[str], name: str) -> list[tuple[int, list[str]]]:
    try:
        return list(frame.rows(lines))
    except csv.Error as error:
        raise InputError(f"'{name}' holds a cell that is too long: {error}") from None


def _guess_separator(frame: Lines, lines: Sequence[str]) -> str:
    """Return what splits most rows into the same number of fields, more than one."""
    share = {}
    for separator in SEPARATORS:
        try:
            rows = [row for _, row in replace(frame, separator=separator).rows(lines)]
        except csv.Error:
            rows = []
        (width, count), *_ = Counter(map(len, rows)).most_common(1) or [(1, 0)]
        share[separator] = count / len(rows) if width > 1 else 0.0
        if separator == " " and share[" "]:
            # R gives its row names no name
            count += len(rows[0]) == width - 1
            share[" "] = count / len(rows)
            # words are separated by blanks in one column too
            columns = [different_cells(rows[1:], place) for place in range(width)]
            share[" "] *= any(is_plain(column, ".") for column in columns)
    blanks = share.pop(" ")
    separator = max(share, key=share.__getitem__)
    if share[separator] < 0.5 and blanks > 0.9:
        return " "
    return separator if share[separator] else ","


def _guess_decimal(columns: Sequence[pd.Series], separator: str, name: str) -> tuple[str, str]:
    """Return the decimal mark, with a note if it could be the other."""
    sure: set[str] = set()
    unsure: dict[str, str] = {}
    for cells in columns:
        plain = bare(cells)
        plain = plain[is_number(plain)]
        if len(plain) < max(1, len(cells) / 2) or plain.str.fullmatch("[-+]?[0-9]+").all():
            continue
        marks = {form.decimal for form in formats(plain)}
        if len(marks) == 1:
            sure |= marks
        elif marks:
            example = plain[~plain.str.fullmatch("[-+]?[0-9]+")].iloc[0]
            unsure.setdefault("," if "," in example else ".", example)
    if sure:
        # where columns differ, those with commas are read one by one
        return "," if sure == {","} else ".", ""
    if separator != ";" or not unsure:
        return ".", ""
    if len(unsure) > 1:
        raise InputError(
            f"'{unsure[',']}' and '{unsure['.']}' in '{name}' can be read in two ways; say which "
            "by --decimal , or --decimal ."
        )
    mark, example = unsure.popitem()
    other = ".,"[mark == "."]
    number = example.replace(",", ".")
    return mark, f"'{example}' read as {number} (with --decimal {other} as thousands)"


def _is_of_r(lines: Sequence[str], separator: str) -> bool:
    """Return whether labels are in quotes and NA is not, as R writes missing labels."""
    text = "".join(lines)
    mark = r"\s" if separator == " " else re.escape(separator)
    bare_na = re.search(rf"(?m)(?:^|{mark})NA(?:{mark}|$)", text)
    return text.lstrip().startswith('"') and bare_na is not None and '"NA"' not in text
