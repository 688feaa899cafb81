"""Fixtures shared by the tests: both precisions in one process, and the stored reference values."""

from __future__ import annotations

import csv
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import mpmath
import numpy as np
import numpyro  # noqa: F401  (first: ArviZ would leave a lazy one, of which submodules load by halves)
import pytest

REFERENCE = Path(__file__).parent / "reference"

# Enough to hold a 25-digit reference and an exact float64 side by side.
mpmath.mp.dps = 40

Table = dict[str, np.ndarray]

MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000


@pytest.fixture(autouse=True, scope="module")
def few_programs() -> Iterator[None]:
    """Drop compiled programs before there are too many for one process.

    Each holds some of the 65,530 memory maps that Linux gives it; all tests together need more.
    """
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def x64() -> Iterator[None]:
    """Run the test in float64, whatever the process default is."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> Iterator[np.dtype]:
    """Run the test in each precision, with x64 switched to match."""
    with jax.enable_x64(request.param == "float64"):
        yield np.dtype(request.param)


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Table]:
    """Return a reader of ``tests/reference``.

    Inputs (hexadecimal floats) become float64 columns; values become columns of ``mpf``, nan where
    the file has no value.
    """

    def read(name: str) -> Table:
        with (REFERENCE / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
        table = {}
        for column in rows[0]:
            cells = [row[column] for row in rows]
            if "0x" in cells[0] or any("0x" in cell for cell in cells):
                table[column] = np.array([float.fromhex(cell) for cell in cells])
            else:
                table[column] = np.array([mpmath.mpf(cell or "nan") for cell in cells])
        return table

    return read


class Errors:
    """Errors of computed floats against truth, without rounding the truth first."""

    def __init__(self, computed: object, truth: np.ndarray) -> None:
        self.computed = np.asarray(computed)
        self.truth = truth
        exact = np.array([mpmath.mpf(float(value)) for value in self.computed.ravel()])
        self._difference = np.abs(exact - truth)

    @property
    def absolute(self) -> np.ndarray:
        """Absolute errors."""
        return self._difference.astype(float)

    @property
    def relative(self) -> np.ndarray:
        """Relative errors, 0 where both are 0."""
        size = np.array([abs(value) or mpmath.mpf(1) for value in self.truth])
        return (self._difference / size).astype(float)


@pytest.fixture(scope="session")
def errors() -> type[Errors]:
    """Return the error measure."""
    return Errors


@pytest.fixture(scope="session")
def assert_below() -> Callable[..., None]:
    """Return an assertion that names the worst point: ``assert_below(errors, bound, x=...)``."""

    def check(error: np.ndarray, bound: float | np.ndarray, **inputs: np.ndarray) -> None:
        assert error.size, "nothing was compared"
        excess = error / bound
        worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        where = ", ".join(f"{name}={float(values[worst])!r}" for name, values in inputs.items())
        assert excess[worst] <= 1, (
            f"error {error[worst]:.3g} is {excess[worst]:.3g} times its bound at {where} "
            f"({int((~(excess <= 1)).sum())} of {error.size} points fail)"
        )

    return check


CHUNK = 1024


@pytest.fixture(scope="session")
def in_chunks() -> Callable[..., list[np.ndarray]]:
    """Return a caller that feeds arrays to a jitted function in chunks of one size.

    Each function is then compiled once a precision, whatever the sizes of the grids.
    """

    def call(function: Callable[..., tuple[jax.Array, ...]], *axes: object) -> list[np.ndarray]:
        columns = [np.ravel(axis) for axis in axes]
        chunks = []
        for start in range(0, columns[0].size, CHUNK):
            parts = [column[start : start + CHUNK] for column in columns]
            size = parts[0].size
            padded = [np.pad(part, (0, CHUNK - size), mode="edge") for part in parts]
            chunks.append([np.asarray(output)[:size] for output in function(*padded)])
        return [np.concatenate(pieces) for pieces in zip(*chunks, strict=True)]

    return call
