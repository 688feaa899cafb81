"""Files that appear under their names whole and all together, or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Buffer, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from robust_dist._errors import InputError
from robust_dist.cli._signals import note_written, uninterrupted

PREFIX = ".robust-dist-"
# holds what a run replaces while it does so; only one run at a time can make it
REPLACED = f"{PREFIX}replaced"


def fill(folder: Path, contents: Mapping[str, Buffer], names: Sequence[str], force: bool) -> None:
    """Write files by name into a folder, which is made if need be: all of them, or none.

    With ``force`` they replace all files of the given names. Those are moved out before the first
    new one is moved in, so that files of two runs never lie side by side, even if the power fails.

    Raises
    ------
    FileExistsError
        If a file of the given names is there and must stay, or another run is at this very place.
    OSError
        If they cannot be written.
    """
    with _made(folder), _drafts(folder, contents) as drafts:
        replaced = folder / REPLACED
        with ExitStack() as undo:
            replaced.mkdir()
            undo.callback(replaced.rmdir)
            check_free(folder, names, force)
            old = [(folder / name, replaced / name) for name in names]
            new = [(drafts / name, folder / name) for name in contents]
            for source, target in old + new:
                if os.path.lexists(source):
                    source.rename(target)
                    undo.callback(target.rename, source)
            undo.pop_all()
        shutil.rmtree(replaced, ignore_errors=True)


def check_out(path: Path, suffixes: Sequence[str], what: str, force: bool) -> None:
    """Refuse a file before there is anything to write into it.

    Raises
    ------
    InputError
        If its name has none of the suffixes, or it exists, unless with ``force``.
    """
    if path.suffix.lower() not in suffixes:
        raise InputError(f"cannot {what} '{path}'; its name should end in {', '.join(suffixes)}")
    if os.path.lexists(path) and not force:
        raise InputError(f"'{path}' exists; choose another --out, or replace it with --force")


def write_file(path: Path, content: Buffer, force: bool) -> None:
    """Write one file, whole or not at all.

    Raises
    ------
    InputError
        If it exists, unless with ``force``, or cannot be written.
    """
    try:
        with uninterrupted(), _drafts(path.parent, {path.name: content}) as drafts:
            check_free(path.parent, (path.name,), force)
            (drafts / path.name).replace(path)
            note_written(path)
    except OSError as error:
        raise InputError(why(path, error)) from None


@contextmanager
def _drafts(folder: Path, contents: Mapping[str, Buffer]) -> Iterator[Path]:
    """Yield a temporary folder inside another, in which the files are, all of them on the disk."""
    with tempfile.TemporaryDirectory(
        prefix=PREFIX, dir=folder, ignore_cleanup_errors=True
    ) as drafts:
        for name, content in contents.items():
            with open(Path(drafts) / name, "xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        yield Path(drafts)


def check_free(folder: Path, names: Sequence[str], force: bool) -> None:
    """Raise FileExistsError, of its path, at what is in the way of files of these names."""
    for name in names:
        path = folder / name
        if os.path.lexists(path) and not (force and (path.is_file() or path.is_symlink())):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)


def why(path: Path, error: Exception) -> str:
    """Return in words why a path cannot be written to."""
    if isinstance(error, FileExistsError):
        return f"'{error.filename}' exists"
    return f"cannot write to '{path}': {getattr(error, 'strerror', None) or error}"


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder and those above it where they are missing; on an error remove them again."""
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    with ExitStack() as undo:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            undo.callback(remove_empty, path)
        yield
        undo.pop_all()


def remove_empty(folder: Path) -> None:
    """Remove a folder unless it holds something, of another run say."""
    with suppress(OSError):
        folder.rmdir()
