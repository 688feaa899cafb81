"""The lines of a text and the rows in them, counted as an editor counts."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

_COMMENT = re.compile(r"(?m)^#.*")


@dataclass(frozen=True)
class Lines:
    """How the rows of a file lie in its lines."""

    encoding: str
    separator: str
    """one character; a blank stands for any number of blanks and tabs"""
    start: int
    """lines up to the first row"""
    comments: bool
    """whether lines that begin with # are none of the table"""

    def rows(self, text: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield the fields of each row with the number of the line on which it ends.

        As in pandas, a blank line is no row, but a line of separators is one.
        """
        kept = (
            "\n" if number < self.start or (self.comments and line.startswith("#")) else line
            for number, line in enumerate(text)
        )
        if self.separator == " ":
            kept = (" ".join(line.split()) for line in kept)
        reader = csv.reader(kept, delimiter=self.separator, skipinitialspace=True)
        for fields in reader:
            if len(fields) > 1 or "".join(fields).strip():
                yield reader.line_num, fields

    def body(self, text: IO[str]) -> "Body":
        """Return the text from the first row on."""
        for _ in range(self.start):
            text.readline()
        return Body(text, self.comments)


class Body(io.TextIOBase):
    """Text without its comment lines, for pandas, which would also cut '#2' from 'site #2'."""

    def __init__(self, text: IO[str], comments: bool):
        self._text = text
        self._comments = comments

    def read(self, size: int | None = -1) -> str:
        """Return whole lines, of about this many characters."""
        block = self._text.read(-1 if size is None else size)
        if "\0" in block:
            raise csv.Error("a character NUL")
        if not self._comments:
            return block
        return _COMMENT.sub("", block + self._text.readline())
