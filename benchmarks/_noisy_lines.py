"""Regressions of known slopes under many kinds of noise, with rows that are not of the line.

Three predictors of Normal(0, 1), slopes 2, -1 and 0.5, intercept 1, noise of scale 1. A data set is
named by its kind of noise, its share of bad leverage rows and its number of rows; besides there are
sets of fifty rows with Normal noise that give no cause for alarm.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import genhyperbolic

SLOPES = np.array([2.0, -1.0, 0.5])
INTERCEPT = 1.0
NEW_ROWS = 20
SHARES = (0, 5, 10, 20, 30)
"""of bad leverage rows, in per cent: x1 is Normal(10, 0.3), y is Normal(-20, 1)"""
ROWS = (20, 50, 500)

Noise = tuple[np.ndarray, np.ndarray]
"""and which rows are outliers"""


class Cell(NamedTuple):
    """A kind of data."""

    noise: str
    share: int
    rows: int

    def __str__(self) -> str:
        if self.noise in HARMLESS:
            return self.noise
        return f"{self.noise}, {self.share} % leverage, {self.rows} rows"


class Lines(NamedTuple):
    """A data set, and new rows of the same line and noise."""

    x: np.ndarray
    """shape (n, 3)"""
    y: np.ndarray
    bad: np.ndarray
    """which rows are of another law than the others"""
    new_x: np.ndarray
    new_y: np.ndarray


def _contaminated(share: float, loc: float, scale: float) -> Callable[..., Noise]:
    def draw(rng: np.random.Generator, x: np.ndarray) -> Noise:
        bad = rng.random(len(x)) < share
        return np.where(bad, rng.normal(loc, scale, len(x)), rng.normal(size=len(x))), bad

    return draw


def _clean(draw: Callable[[np.random.Generator, np.ndarray], np.ndarray]) -> Callable[..., Noise]:
    return lambda rng, x: (draw(rng, x), np.zeros(len(x), bool))


NOISES: dict[str, Callable[..., Noise]] = {
    "Normal": _clean(lambda rng, x: rng.normal(size=len(x))),
    "t(3)": _clean(lambda rng, x: rng.standard_t(3, len(x))),
    "Laplace": _clean(lambda rng, x: rng.laplace(size=len(x))),
    # the general robust law with alpha = 1
    "hyperbolic": _clean(lambda rng, x: genhyperbolic(1, 1, 0).rvs(len(x), random_state=rng)),
    "Cauchy": _clean(lambda rng, x: rng.standard_cauchy(len(x))),
    "5 % of sd 10": _contaminated(0.05, 0, 10),
    "10 % of sd 10": _contaminated(0.1, 0, 10),
    "20 % of sd 10": _contaminated(0.2, 0, 10),
    "10 % at +10": _contaminated(0.1, 10, 1),
    # of median 0
    "log-normal": _clean(lambda rng, x: np.exp(rng.normal(size=len(x))) - 1),
    "sd exp(x1 over 2)": _clean(lambda rng, x: np.exp(x[:, 0] / 2) * rng.normal(size=len(x))),
}
HARMLESS = (
    "predictors of t(3)",
    "an outlier 15 sd above",
    "a bad leverage row",
    "5 good leverage rows",
)
"""of fifty rows with Normal noise, where nothing is to be warned of"""
CELLS = tuple(Cell(noise, share, rows) for rows in ROWS for share in SHARES for noise in NOISES)
CELLS += tuple(Cell(noise, 0, 50) for noise in HARMLESS)


def simulate(cell: Cell, seed: int, number: int) -> Lines:
    """Return a data set of a cell; the same seed and number give the same."""
    rng = np.random.default_rng([seed, number, zlib.crc32(str(cell).encode())])
    x = rng.normal(size=(cell.rows + NEW_ROWS, 3))
    if cell.noise == "predictors of t(3)":
        x = rng.standard_t(3, x.shape)
    if cell.noise == "5 good leverage rows":
        x[:5, 0] = rng.normal(10, 0.3, 5)
    noise, bad = NOISES.get(cell.noise, NOISES["Normal"])(rng, x)
    y = INTERCEPT + x @ SLOPES + noise
    far = round(cell.rows * cell.share / 100) + (cell.noise == "a bad leverage row")
    x[:far, 0] = rng.normal(10, 0.3, far)
    y[:far] = rng.normal(-20, 1, far)
    bad[:far] = True
    if cell.noise == "an outlier 15 sd above":
        y[0] += 15
        bad[0] = True
    old, new = slice(cell.rows), slice(cell.rows, None)
    return Lines(x[old], y[old], bad[old], x[new], y[new])
