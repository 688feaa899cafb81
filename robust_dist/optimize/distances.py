"""How far out each row lies in the predictors.

Rows far out in the predictors decide a fit nearly alone, whatever the law of the noise. Their
distance is measured from the robust middle and covariance of the predictors (scikit-learn's minimum
covariance determinant), which they hardly move themselves: a third of the rows may lie anywhere.
"""

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from scipy.special import chdtri

from robust_dist.optimize.frequencies import SD, median, median_of_others, spaced_rows
from robust_dist.optimize.threads import one_thread

# of a Normal sample one row in forty lies beyond: Rousseeuw and van Zomeren (1990)
_BEYOND = 0.025
# fewer rows for each column, and the covariance is that of a handful of them
_ROWS_PER_COLUMN = 5
_LEVELS = 10
"""different values from which on a column is taken to be continuous"""
_MOST = 5_000
"""rows from which middle and covariance are taken"""
_LEAST = 1e-9
"""the weight of rows that are left out, of which no logarithm is to be taken of zero"""


class Distances(NamedTuple):
    """How far out each row lies in the predictors."""

    distance: np.ndarray
    """over its limit, shape (n,)"""
    weight: np.ndarray
    """1 up to the limit, 0 from twice that on"""

    @property
    def far(self) -> np.ndarray:
        """Positions of the rows beyond the limit."""
        return np.flatnonzero(self.distance > 1)


def robust_distances(
    columns: Sequence[np.ndarray], weights: np.ndarray | None = None
) -> Distances | None:
    r"""Return each row's distance from the middle of the predictors, and the weight it leaves.

    .. math::

        d_i = \sqrt{(x_i - m)^T S^{-1} (x_i - m)} \Big/ \sqrt{\chi^2_{p, 0.975}}, \qquad
        w_i = \bigl(1 - u_i^2\bigr)^2, \quad u_i = \min(\max(d_i - 1, 0), 1),

    with the middle m and covariance S of the half of the rows that lie closest together. Columns of
    a few values, or of one value in most rows, are not of that kind: of each of these the distance
    is that of its own values, over the median distance of those that are not the median; so it is
    of all columns where there are fewer than five rows for each, or scikit-learn is not installed.

    Parameters
    ----------
    columns
        Of n numbers each.
    weights
        How many rows each row stands for, shape (n,); by default one.

    Returns
    -------
    Distances or None
        None where there are no columns of numbers.

    References
    ----------
    P. J. Rousseeuw and K. Van Driessen, A fast algorithm for the minimum covariance determinant
    estimator, Technometrics 41 (1999), 212-223. P. J. Rousseeuw and B. C. van Zomeren, Unmasking
    multivariate outliers and leverage points, JASA 85 (1990), 633-639.
    """
    if not columns:
        return None
    scaled: list[np.ndarray] = []
    together: list[int] = []
    alone: list[int] = []
    for place, column in enumerate(columns):
        values = np.asarray(column, float)
        center = median(values, weights)
        deviations = np.abs(values - center)
        middle, others = median(deviations, weights), median_of_others(deviations, weights)
        if not others:
            scaled.append(np.zeros_like(values))
            continue
        continuous = middle > 0 and len(np.unique(values[:_MOST])) >= _LEVELS
        (together if continuous else alone).append(place)
        scaled.append((values - center) / (SD * (middle if continuous else others)))
    x = np.column_stack(scaled)
    count = len(x) if weights is None else weights.sum()
    if count < _ROWS_PER_COLUMN * len(together) or find_spec("sklearn") is None:
        together, alone = [], [*together, *alone]
    limit = np.sqrt(chdtri(1, _BEYOND))
    parts = [np.abs(x[:, place]) / limit for place in alone]
    if together:
        parts.append(_together(x[:, together], weights) / np.sqrt(chdtri(len(together), _BEYOND)))
    distance = np.max(parts, axis=0) if parts else np.zeros(len(x))
    inside = (1 - np.clip(distance - 1, 0, 1) ** 2) ** 2
    return Distances(distance, np.maximum(inside, _LEAST))


@one_thread()
def _together(x: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return the robust Mahalanobis distance of each row, of columns in robust units."""
    if x.shape[1] == 1:
        return np.abs(x[:, 0])
    from sklearn.covariance import MinCovDet

    some = x[spaced_rows(len(x), _MOST, weights)]
    with warnings.catch_warnings():
        # of columns that half of the rows combine exactly: the covariance then has no inverse
        warnings.simplefilter("ignore")
        robust = MinCovDet(random_state=0).fit(some)
    values, axes = np.linalg.eigh(robust.covariance_)
    spread = np.sqrt(np.maximum(values, 1e-6 * values[-1]))
    standardized: np.ndarray = (x - robust.location_) @ axes / spread
    return np.asarray(np.linalg.norm(standardized, axis=1))
