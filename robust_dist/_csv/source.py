"""The bytes of a table: from a file, a pipe or the standard input, unpacked if they are packed."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, cast

from robust_dist._errors import InputError

# what layout and kinds of columns are guessed from
HEAD = 1 << 18
STDIN = "-"


def display_name(path: str) -> str:
    """Return what a message calls a file."""
    if path == STDIN:
        return "standard input"
    return path if len(path) <= 200 else f"{path[:100]}...{path[-50:]}"


@contextmanager
def open_bytes(path: str) -> Iterator[IO[bytes]]:
    """Yield the bytes of a file, unpacked and seekable; a pipe is read once.

    Raises
    ------
    InputError
        If the file cannot be opened, or, while it is open, not be read or unpacked to its end.
    """
    name = display_name(path)
    with ExitStack() as stack:
        try:
            raw = sys.stdin.buffer if path == STDIN else stack.enter_context(open(path, "rb"))
            yield _unpacked(_seekable(raw), name, stack)
        except FileNotFoundError:
            raise InputError(f"no file '{name}'") from None
        except IsADirectoryError:
            raise InputError(f"'{name}' is a folder, not a file of data") from None
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile):
            raise InputError(f"'{name}' is damaged: it cannot be unpacked to its end") from None
        except UnicodeError:
            raise
        except OSError as error:
            raise InputError(f"cannot read '{name}': {error.strerror or error}") from None
        except ValueError as error:
            if "\0" not in path:
                raise
            raise InputError(f"cannot read '{name}': {error}") from None


def _seekable(raw: IO[bytes]) -> IO[bytes]:
    """Return the stream, or what a pipe holds."""
    if raw.seekable():
        return raw
    head = raw.read(HEAD)
    # an endless device, as /dev/zero, is not read to its end
    return io.BytesIO(head if b"\0" * 16 in head else head + raw.read())


def _unpacked(packed: IO[bytes], name: str, stack: ExitStack) -> IO[bytes]:
    """Return what is packed, told by its first bytes, whatever the file is called."""
    mark = packed.read(6)
    packed.seek(0)
    if mark.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=packed))
    if mark.startswith(b"BZh"):
        return stack.enter_context(bz2.BZ2File(packed))
    if mark == b"\xfd7zXZ\0":
        return stack.enter_context(lzma.LZMAFile(packed))
    if mark.startswith(b"\x28\xb5\x2f\xfd"):
        raise InputError(f"'{name}' is packed by zstd; unpack it, or pack it by gzip")
    if mark.startswith(b"PK\x03\x04"):
        return _member(packed, name, stack)
    return packed


def _member(packed: IO[bytes], name: str, stack: ExitStack) -> IO[bytes]:
    """Return the only file of a zip archive, or the archive itself if it is a workbook."""
    archive = stack.enter_context(zipfile.ZipFile(packed))
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    if any(member.filename == "xl/workbook.xml" for member in members):
        packed.seek(0)
        return packed
    if len(members) != 1:
        raise InputError(f"'{name}' holds {len(members)} files; give one of them")
    if members[0].flag_bits & 1:
        raise InputError(f"'{name}' is locked by a password; unpack it first")
    return stack.enter_context(archive.open(members[0]))
