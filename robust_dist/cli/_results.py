"""What a command has made: files, written all together, and what it prints of them."""

import json
import math
from collections.abc import Buffer, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from robust_dist._errors import InputError
from robust_dist.cli._folder import Output

if TYPE_CHECKING:
    from xarray import DataTree


@dataclass
class Results:
    """What a command has made so far."""

    files: dict[str, Buffer] = field(default_factory=dict)
    """contents by name"""
    document: dict[str, Any] = field(default_factory=dict)
    """the same for machines"""


@contextmanager
def written(output: Output, as_json: bool) -> Iterator[Results]:
    """Yield an empty collection; when the block ends, write what is in it and print where it is.

    If making a picture fails, so does the command, but the draws made before are written.
    """
    results = Results()
    try:
        yield results
    except Exception:
        _finish(output, results, as_json)
        raise
    _finish(output, results, as_json)


def netcdf(dt: "DataTree") -> Buffer:
    """Return the content of a netCDF file, made in memory: HDF5 crashes where a disk is full."""
    return dt.to_netcdf(engine="h5netcdf")


def _finish(output: Output, results: Results, as_json: bool) -> None:
    """Write the files and print where they are."""
    paths, wrong = output.write(results.files)
    if as_json:
        print_json({**results.document, "files": list(map(str, paths))})
    elif paths:
        print(f"\nwritten to {paths[0].parent}: {', '.join(results.files)}")
    if wrong:
        raise InputError(wrong)


def print_json(document: Mapping[str, Any]) -> None:
    """Print a JSON document; what is no number is null."""
    print(json.dumps(_plain(document), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """Return the same of what JSON knows."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # of NumPy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
