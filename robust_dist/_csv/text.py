"""A table in a text file, read by pandas in one pass once its layout is known."""

import csv
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pandas as pd

from robust_dist._csv.cells import NUMBER_GAPS
from robust_dist._csv.layout import FALLBACK, Layout, guess_encoding, guess_layout
from robust_dist._csv.source import HEAD
from robust_dist._errors import InputError

_SEPARATOR_WORDS = {"\\t": "\t", "tab": "\t", "space": " "}


def check_options(sep: str | None, decimal: str | None, encoding: str | None) -> str | None:
    """Refuse what no table can be written in, and return the separator as one character."""
    if sep is not None:
        sep = _SEPARATOR_WORDS.get(sep, sep)
        if len(sep) != 1 or sep.isalnum() or sep in '"\r\n\0.-+':
            raise InputError(f"the separator '{sep}' is not one character, such as ';', or 'tab'")
    if decimal not in (None, ".", ","):
        raise InputError(f"the decimal mark is '.' or ',', not '{decimal}'")
    if encoding is not None:
        try:
            "".encode(encoding)  # also refuses codecs that are none of text
        except (LookupError, ValueError):
            raise InputError(
                f"no encoding '{encoding}'; there are 'utf-8', 'cp1252', ..."
            ) from None
    return sep


@contextmanager
def decoded(stream: IO[bytes], encoding: str) -> Iterator[IO[str]]:
    """Yield the stream's text from its beginning, and leave the stream open."""
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding)
    try:
        yield text
    finally:
        text.detach()


def read_text(
    stream: IO[bytes], name: str, sep: str | None, decimal: str | None, encoding: str | None
) -> tuple[pd.DataFrame, Layout]:
    """Return the columns of a text, those that are not plainly numbers as text, and its layout."""
    head = stream.read(HEAD)
    guess = encoding or guess_encoding(head, name)
    # a letter that is not UTF-8 may come after a beginning in ASCII
    spare = [FALLBACK] if encoding is None and guess.startswith("utf-8") and head.isascii() else []
    for attempt in [guess, *spare]:
        try:
            layout = guess_layout(head, len(head) < HEAD, name, attempt, sep, decimal)
            frame = _parse(stream, layout, name)
        except UnicodeError:
            continue
        if encoding is None and not attempt.startswith("utf-8"):
            layout.notes.append(f"encoding {attempt}")
        return frame, layout
    raise InputError(
        f"'{name}' is not {attempt.removesuffix('-sig')} text; say its encoding by --encoding"
    )


def _parse(stream: IO[bytes], layout: Layout, name: str) -> pd.DataFrame:
    """Return all columns, named by their places."""
    words = {str(place): place not in layout.plain for place in range(len(layout.names))}
    frame = _read(stream, layout, name, words)
    # numbers to begin with, and later none
    late = [
        place
        for place, word in words.items()
        if not word and not pd.api.types.is_numeric_dtype(frame[place])
    ]
    if late:
        frame[late] = _read(stream, layout, name, dict.fromkeys(words, True), late)[late]
    if frame.empty:
        raise InputError(f"'{name}' has a header but no rows")
    frame.columns = list(layout.names)
    return frame


def _read(
    stream: IO[bytes],
    layout: Layout,
    name: str,
    words: dict[str, bool],
    only: list[str] | None = None,
) -> pd.DataFrame:
    """Return the columns as pandas reads them, some of them as text."""
    separator = layout.lines.separator
    try:
        with decoded(stream, layout.lines.encoding) as text, warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            # rows longer than the header
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                layout.lines.body(text),
                sep=r"\s+" if separator == " " else separator,
                header=None,
                names=list(words),
                index_col=False,
                dtype={place: str for place, word in words.items() if word},
                keep_default_na=False,
                na_values={
                    place: list(layout.gaps if word else NUMBER_GAPS)
                    for place, word in words.items()
                },
                decimal=layout.decimal,
                skipinitialspace=True,
                usecols=only,
            )
    except pd.errors.EmptyDataError:
        raise InputError(f"'{name}' has a header but no rows") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error) as error:
        raise InputError(_complaint(stream, layout, name, str(error))) from None


def _complaint(stream: IO[bytes], layout: Layout, name: str, reason: str) -> str:
    """Return why pandas cannot read the rows."""
    width = len(layout.names)
    try:
        with decoded(stream, layout.lines.encoding) as text:
            for line, fields in layout.lines.rows(text):
                if len(fields) > width:
                    return (
                        f"line {line} of '{name}' has {len(fields)} fields, more than its header, "
                        f"which has {width}"
                    )
    except csv.Error as error:
        reason = str(error)
    if "EOF inside string" in reason:
        reason = "a quotation mark is not closed"
    reason = " ".join(reason.split()).removeprefix("Error tokenizing data. C error: ")
    return f"'{name}' is no table: {reason}"
