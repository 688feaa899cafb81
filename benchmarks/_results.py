"""Results as lines of JSON: written when they are there, read by a run that goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def read_results(file: Path | None) -> list[Result]:
    """Return the results of a file, none if there is no file; a line that was cut off is none."""
    results = []
    for line in file.read_text().split("\n") if file and file.exists() else ():
        if not line:
            continue
        try:
            results.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"a line that was cut off is left out: {line[:40]}", file=sys.stderr)
    return results


def add_results(file: Path | None, results: Iterable[Result]) -> None:
    """Write results at the end of a file, on lines of their own even if the last was cut off."""
    if file:
        with file.open("a") as out:
            out.write("\n" + "".join(json.dumps(result) + "\n" for result in results))
