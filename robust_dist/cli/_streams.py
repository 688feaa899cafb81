"""The standard streams, which may be closed, full or of few letters without failing a run."""

import contextlib
import os
import sys
from typing import TextIO

from robust_dist._words.text import printable, printable_lines, shortened


def open_streams() -> None:
    """Open the null device in place of the standard streams that are closed.

    Otherwise the next file to be opened would take a stream's number, and be printed into.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def complain(text: str) -> None:
    """Print one line on stderr, if it can be printed."""
    _write(sys.stderr, f"robust-dist: {shortened(printable(text))}\n")


def show(text: str) -> str:
    """Print a text on stdout and return what went wrong; that the reader has left is no fault."""
    error = _write(sys.stdout, printable_lines(text))
    if error is None or isinstance(error, BrokenPipeError):
        return ""
    return f"cannot print: {error.strerror or error}"


def _write(stream: TextIO, text: str) -> OSError | None:
    """Write a text to a stream, and return the error if that fails."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # what the stream still holds is written again at exit; then it is to succeed
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None
