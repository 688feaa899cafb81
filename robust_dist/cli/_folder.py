"""The folder that a run writes to: tried before the run starts, filled when all is ready.

Until then nothing of a run is on the disk, so that nothing is left of it, whatever ends it.
"""

import os
import re
import tempfile
from collections.abc import Buffer, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from robust_dist._errors import InputError
from robust_dist.cli._files import PREFIX, REPLACED, check_free, fill, remove_empty, why
from robust_dist.cli._signals import note_written, uninterrupted

# of what a new folder is named after, within the 255 bytes that file systems allow
_LONGEST = 50


@dataclass(frozen=True)
class Output:
    """Where the results of a run go, and what they may replace there."""

    folder: Path
    names: tuple[str, ...]
    """of all files that such a run may write"""
    force: bool
    """whether to replace them"""
    named: bool
    """whether the user has named the folder"""

    def write(self, contents: Mapping[str, Buffer]) -> tuple[list[Path], str]:
        """Write files by name, all of them or none, and return their paths and what went wrong.

        If the folder was filled by another run meanwhile, or has gone or is full, they are kept in
        a new one beside it, or among the temporary files. If that fails too there are no paths.
        """
        wrong = ""
        with uninterrupted():
            for folder in self._folders():
                try:
                    fill(folder, contents, self.names, self.force)
                except OSError as error:
                    # a name that the user did not choose can be another just as well
                    if self.named or not isinstance(error, FileExistsError):
                        wrong = wrong or why(self.folder, error)
                    continue
                note_written(folder)
                paths = [folder / name for name in contents]
                return paths, f"{wrong}; the results are in '{folder}'" if wrong else ""
        return [], wrong

    def _folders(self) -> Iterator[Path]:
        """Yield the folder, then others, each made here, and removed if the next is asked for."""
        yield self.folder
        base = self.folder if self.folder.name not in ("", "..") else self.folder.resolve()
        for make in (_make_beside, _make_temporary):
            with suppress(OSError):
                folder = make(base)
                yield folder
                remove_empty(folder)


def find_output(out: Path | None, stem: str, force: bool, names: Sequence[str]) -> Output:
    """Return where to write, after trying that it can be written to; nothing is left of the trial.

    Raises
    ------
    InputError
        If the folder holds outputs of an earlier run, or cannot be written to.
    """
    base = Path("robust-dist-" + (re.sub(r"[^\w.-]+", "-", stem).strip("-")[:_LONGEST] or "fit"))
    folder = (
        next(path for path in _numbered(base) if not os.path.lexists(path)) if out is None else out
    )
    try:
        check_free(folder, (*names, REPLACED), force)
        _try(folder)
    except FileExistsError as error:
        mend = "" if force else ", or replace it with --force"
        raise InputError(f"{why(folder, error)}; choose another --out{mend}") from None
    except (OSError, ValueError) as error:
        raise InputError(why(folder, error)) from None
    return Output(folder, tuple(names), force, named=out is not None)


def _try(folder: Path) -> None:
    """Make what is missing of a folder inside a temporary one, so that no other run meets it."""
    lowest = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), Path())
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=lowest) as trial:
        Path(trial, folder.relative_to(lowest)).mkdir(parents=True, exist_ok=True)


def _make_beside(base: Path) -> Path:
    """Make and return the first of NAME, NAME-2, ... that does not exist."""
    folders = _numbered(base)
    while True:
        folder = next(folders)
        with suppress(FileExistsError):
            folder.mkdir()
            return folder


def _make_temporary(base: Path) -> Path:
    """Make and return a folder among the temporary files."""
    return Path(tempfile.mkdtemp(prefix=f"{base.name[:_LONGEST]}-"))


def _numbered(base: Path) -> Iterator[Path]:
    """Yield NAME, NAME-2, NAME-3, ..."""
    yield base
    for number in count(2):
        yield base.with_name(f"{base.name}-{number}")
