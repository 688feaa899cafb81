"""Tables from files as people have them: what is guessed of a file is noted, never silent.

The first bytes tell how a file is packed and what it is (`source`, `binary`); the first lines of a
text tell its layout (`layout`, `lines`). pandas then reads all of it in one pass. Columns that it
leaves as text are looked at once more, each different text once (`cells`).
"""

import os
import stat
from collections.abc import Sequence
from itertools import islice

import pandas as pd

from robust_dist._csv.binary import binary_table, is_workbook, workbook_text
from robust_dist._csv.finish import finish
from robust_dist._csv.lines import Lines
from robust_dist._csv.source import display_name, open_bytes
from robust_dist._csv.text import check_options, decoded, read_text
from robust_dist._errors import InputError

__all__ = ["line_numbers", "read_table"]


def read_table(
    path: str | os.PathLike[str],
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> pd.DataFrame:
    """Return the table of a file as `robust_dist.datasets.read_csv` promises."""
    path = os.fspath(path)
    name = display_name(path)
    sep = check_options(sep, decimal, encoding)
    options = {"sep": sep, "decimal": decimal, "encoding": encoding}
    with open_bytes(path) as stream:
        typed = binary_table(stream, name)
        workbook = typed is None and is_workbook(stream)
        given = [f"--{option}" for option, value in options.items() if value is not None]
        if given and (workbook or typed is not None):
            raise InputError(f"'{name}' is no text, whose {given[0]} could be given; leave it out")
        if typed is not None:
            return finish(typed, name)
        if workbook:
            text, notes = workbook_text(stream, name)
            frame, layout = read_text(text, name, sep=",", decimal=None, encoding="utf-8")
        else:
            notes = []
            frame, layout = read_text(stream, name, **options)
    frame = finish(frame, name, [*notes, *layout.notes], layout.decimal, decimal is not None)
    if not workbook and _is_regular(path):
        frame.attrs |= {"path": path, "lines": layout.lines}
    return frame


def _is_regular(path: str) -> bool:
    """Return whether a file can be read again."""
    return os.path.exists(path) and stat.S_ISREG(os.stat(path).st_mode)


def line_numbers(path: str, lines: Lines, positions: Sequence[int]) -> list[int]:
    """Return the lines on which these rows end, or nothing if the file is no longer the same.

    Blank lines, comments and line breaks in quotes count.
    """
    try:
        with open_bytes(path) as stream, decoded(stream, lines.encoding) as text:
            ends = [line for line, _ in islice(lines.rows(text), max(positions) + 1)]
        return [ends[position] for position in positions]
    except (InputError, UnicodeError, IndexError):
        return []
