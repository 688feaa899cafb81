"""The folder that a run writes to: made before it starts, filled when it is done."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from robust_dist._errors import InputError


@contextmanager
def output_folder(
    out: Path | None, stem: str, force: bool, outputs: Sequence[str]
) -> Iterator[tuple[Path, Path]]:
    """Yield the folder for the outputs, and one inside it where they are first written.

    What is found in the latter at the end is moved to the folder.

    Both are made before sampling starts: that the drafts' folder can be made shows that the outputs
    can be written. A folder made here is removed again if nothing comes of the run.
    """
    made = []
    try:
        if out is None:
            folder = _new_folder(stem)
            made.append(folder)
        else:
            folder = out
            existing = [name for name in outputs if (folder / name).exists()]
            if existing and not force:
                raise InputError(
                    f"'{folder / existing[0]}' exists; choose another --out, or replace it "
                    "with --force"
                )
            for parent in (folder, *folder.parents):
                if parent.exists():
                    break
                made.append(parent)
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".robust-dist-", dir=folder) as drafts:
            yield folder, Path(drafts)
            made_now = [draft.replace(folder / draft.name) for draft in Path(drafts).iterdir()]
            # what this run does not make must not be left of an earlier one
            for name in {*outputs} - {path.name for path in made_now}:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        where = out or "the current folder"
        raise InputError(f"cannot write to '{where}': {error.strerror or error}") from None
    finally:
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _new_folder(stem: str) -> Path:
    """Make and return the first free one of robust-dist-STEM, robust-dist-STEM-2, ..."""
    base = "robust-dist-" + (re.sub(r"[^\w.-]+", "-", stem).strip("-") or "fit")
    number = 1
    while True:
        folder = Path(base if number == 1 else f"{base}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder
