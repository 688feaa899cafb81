"""Labelled data sets that ship with scikit-learn, whole or made harder, for clustering."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn import datasets
from sklearn.preprocessing import MinMaxScaler

Labelled = tuple[np.ndarray, np.ndarray]
"""rows, and the class of each; -1 is an outlier's"""
SHARE, OUTLIERS = 0.8, 0.2
"""of the rows that a seed keeps; outliers for each of them"""

_SHIPPED = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
}


def _shipped(name: str) -> Callable[[np.random.Generator], Labelled]:
    """Return a function that returns a data set."""
    return lambda rng: _SHIPPED[name](return_X_y=True)


def _digits(low: int) -> Callable[[np.random.Generator], Labelled]:
    """Return a function that returns five of the ten digits."""

    def load(rng: np.random.Generator) -> Labelled:
        rows, classes = datasets.load_digits(return_X_y=True)
        kept = (low <= classes) & (classes < low + 5)
        return rows[kept], classes[kept]

    return load


def _noisy_digits(rng: np.random.Generator) -> Labelled:
    """Return the digits with 16 columns of uniform noise beside their 64 pixels."""
    rows, classes = datasets.load_digits(return_X_y=True)
    return np.column_stack([rows, rng.uniform(0, 16, (len(rows), 16))]), classes


def _blobs(rng: np.random.Generator) -> Labelled:
    """Return ten Normal clusters in ten dimensions."""
    seed = int(rng.integers(2**31))
    return datasets.make_blobs(1000, 10, centers=10, cluster_std=2.0, random_state=seed)


def _among_outliers(
    load: Callable[[np.random.Generator], Labelled],
) -> Callable[[np.random.Generator], Labelled]:
    """Return a function that adds rows, uniform in the box of the others."""

    def add(rng: np.random.Generator) -> Labelled:
        rows, classes = load(rng)
        count = round(OUTLIERS * len(rows))
        bad = rng.uniform(rows.min(0), rows.max(0), (count, rows.shape[1]))
        return np.concatenate([rows, bad]), np.concatenate([classes, np.full(count, -1)])

    return add


_CLEAN = {name: _shipped(name) for name in _SHIPPED} | {"blobs": _blobs}
SETS = {
    **_CLEAN,
    "digits 0 to 4": _digits(0),
    "digits 5 to 9": _digits(5),
    "digits, noise columns": _noisy_digits,
    **{f"{name}, outliers": _among_outliers(load) for name, load in _CLEAN.items()},
}


def labelled(name: str, seed: int | None) -> Labelled:
    """Return the rows that a seed keeps of a data set (all of them if None), and their classes.

    Columns are scaled to [0, 1].
    """
    rng = np.random.default_rng(seed or 0)
    rows, classes = SETS[name](rng)
    if seed is not None:
        kept = rng.permutation(len(rows))[: round(SHARE * len(rows))]
        rows, classes = rows[kept], classes[kept]
    return MinMaxScaler().fit_transform(rows), classes
