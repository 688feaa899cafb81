r"""The coordinates NUTS works in: numbers of order one, whatever the user's units.

With a robust fit :math:`\hat\beta`, the scale s of its residuals, and the centre m and spread u of
each column of the design, the sampler sees

.. math::

    \tilde y = (y - X \hat\beta)/s, \qquad \tilde X = (X - m)/u, \qquad
    \tilde\beta_j = (\beta_j - \hat\beta_j)\, u_j/s,

so that y of 1e6, x of 1e-3 and residuals of 1e-6 of y all fit in single precision. The map is
affine and undone in double precision: it changes no result, only rounding and the step size.
"""

from dataclasses import dataclass

import numpy as np

from robust_dist._errors import InputError
from robust_dist.regression.formula import Design


def spreads(values: np.ndarray, center: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Return the median and the mean absolute deviation of each column.

    The first ignores outliers, but is zero where more than half of the values agree, as in an
    indicator column; the second is zero for constants only. Both are scaled to a Normal's sd.
    """
    deviations = np.abs(values - center)
    return 1.4826 * np.median(deviations, axis=0), 1.2533 * deviations.mean(axis=0)


@dataclass(frozen=True)
class Standardization:
    """The affine map between the user's units and the sampler's."""

    fit: np.ndarray
    """the robust fit, shape (p,); for the intercept, its value at the centre"""
    center: np.ndarray
    """m, shape (p,); zero for the intercept, and throughout if there is none"""
    spread: np.ndarray
    """u, shape (p,); one for the intercept"""
    scale: float
    """s, the median absolute residual of the fit"""
    intercept: int | None
    x: np.ndarray
    """the standardised design"""
    y: np.ndarray
    """the standardised response"""
    fitted: np.ndarray
    """the robust fit's value for each row"""

    @property
    def unit(self) -> np.ndarray:
        """The change of a coefficient for one unit of the sampler's, s/u."""
        return self.scale / self.spread

    def coefficients(self, z):  # type: ignore[no-untyped-def]
        """Return the user's coefficients of the sampler's, along the last axis.

        For NumPy arrays in double precision, and as it stands for JAX arrays in a model.
        """
        beta = self.fit + z * self.unit
        if self.intercept is None:
            return beta
        at_zero = (np.arange(self.fit.size) == self.intercept).astype(float)
        return beta - (beta @ self.center)[..., None] * at_zero

    def response(self, z: np.ndarray) -> np.ndarray:
        """Return values of the response, rows along the last axis, in the user's units."""
        return self.fitted + self.scale * z


def standardize(design: Design) -> Standardization:
    """Return the sampler's coordinates for a design.

    Raises
    ------
    InputError
        If the formula fits the data exactly, so that there is no noise.
    """
    slopes = np.arange(design.x.shape[1]) != design.intercept
    # without an intercept the columns cannot be shifted, only scaled
    center = np.zeros(slopes.size)
    if design.intercept is not None:
        center[slopes] = np.median(design.x[:, slopes], axis=0)
    spread, fallback = spreads(design.x, center)
    spread = np.where(slopes, np.where(spread > 0, spread, fallback), 1.0)
    x = (design.x - center) / spread
    coefficients = least_absolute(x, design.y)
    fitted = x @ coefficients
    residuals = design.y - fitted
    scale = _residual_scale(residuals, x.shape[1])
    if scale <= 1e-12 * np.abs(design.y).max():
        raise InputError(
            f"the formula fits '{design.response}' exactly: there is no noise to learn from"
        )
    return Standardization(
        fit=coefficients / spread,
        center=center,
        spread=spread,
        scale=scale,
        intercept=design.intercept,
        x=x,
        y=residuals / scale,
        fitted=fitted,
    )


def _residual_scale(residuals: np.ndarray, coefficients: int) -> float:
    """Return the median absolute residual, or the mean where half of the rows fit exactly."""
    size = np.sort(np.abs(residuals))
    # least absolute deviations passes through as many points as there are coefficients
    middle = float(np.median(size[coefficients:]))
    return middle if middle > 1e-9 * size[-1] else float(size.mean())


def least_absolute(x: np.ndarray, y: np.ndarray, iterations: int = 50) -> np.ndarray:
    """Return the coefficients of least absolute deviations, near enough to start from.

    Reweighted least squares on a convex sum; the best of its steps, the first of which is least
    squares, so that data without noise are fitted to the last digit.
    """
    weights = np.ones_like(y)
    best, least = np.zeros(x.shape[1]), np.inf
    for _ in range(iterations):
        root = np.sqrt(weights)
        coefficients = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
        size = np.abs(y - x @ coefficients)
        if size.sum() < least:
            best, least = coefficients, size.sum()
        if least == 0:
            break
        # the floor keeps the weights of points on the line finite
        weights = 1 / np.maximum(size / size.max(), 1e-10)
        weights /= weights.max()
    return best
