"""Modes that stay apart have the shares of the draws that their masses say, over many data sets.

    pytest -o addopts= -s tests/slow/test_mode_weights.py

Two clusters of responses and a Cauchy law of known scale: the posterior of the location is one
function of one number, which a quadrature integrates, and has a mode at each cluster. The mass of
the lower one runs from nothing to one over the data sets. 400 of them take some four minutes of one
core; ``ROBUST_DIST_SLOW=reduced`` takes 24.
"""

import os

import numpy as np
from fits import share_below

from robust_dist.regression import Regression

COUNT = 24 if os.environ.get("ROBUST_DIST_SLOW") == "reduced" else 400
LOWER, UPPER = 0.1, 0.9


def two_clusters(number):
    """Return responses of two clusters, of equal or nearly equal size."""
    rng = np.random.default_rng([number, 3])
    low = int(rng.integers(6, 10))
    high = low + int(rng.integers(-1, 2))
    return np.r_[rng.normal(0, 0.7, low), rng.uniform(9, 13) + rng.normal(0, 0.7, high)]


def test_shares_of_modes_are_their_masses(record_property):
    """Within 3 % on average, where both modes count, and over all data sets."""
    truth, shares = np.empty(COUNT), np.empty(COUNT)
    for number in range(COUNT):
        y = two_clusters(number)
        regression = Regression("y ~ 1", {"y": y}, priors={"alpha": 0.0, "sigma": 1.0})
        dt = regression.fit(draws=250, warmup=200, seed=number, progress=False)
        location = dt["posterior"].dataset["beta"].values
        truth[number] = share_below(regression, y.mean())
        shares[number] = np.mean(location < y.mean())
    error = np.abs(shares - truth)
    both = (truth > LOWER) & (truth < UPPER)
    record_property("error", f"{error.mean():.4f}, {error[both].mean():.4f} of {both.sum()}")
    print(f"mean error {error.mean():.4f}; of {both.sum()} with two modes that count,")
    print(
        f"{error[both].mean():.4f}, largest {error.max():.4f}, bias {(shares - truth).mean():.4f}"
    )
    assert both.sum() > COUNT / 8
    assert error.mean() < 0.03
    assert error[both].mean() < 0.03
