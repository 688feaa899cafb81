r"""The curvature of a log density about a point, over a standard deviation to either side.

Laplace noise has none at a point, and a mode by a bound would have too much.
"""

from collections.abc import Callable

import numpy as np

# of the width over which curvature is taken, each of which may shrink or widen it tenfold
_SECANT_STEPS = 8
_ENOUGH = 0.05
"""of a change of width, below which no further step is taken"""


def inverse_curvature(
    slope: Callable[[np.ndarray], np.ndarray], center: np.ndarray
) -> np.ndarray | None:
    r"""Return L, with L L^T the inverse of H, the curvature over a standard deviation.

    With H^-1 = L L^T, the slope g of the potential and the unit vectors e_k,

    .. math:: L^T H L e_k = L^T \bigl(g(\mu + L e_k) - g(\mu - L e_k)\bigr) / 2 = e_k .

    It is the mean curvature under that Normal as far as a cubature of 2 d points can tell, which
    a variational Normal has, and the Hessian where that is constant. None if there is no peak.

    Parameters
    ----------
    slope
        The gradient of minus the log density.
    center
        Where, shape (d,).
    """

    def seen(factor: np.ndarray) -> np.ndarray:
        # one after the other: all together would hold the data as often as there are parameters
        rises = [0.5 * (slope(center + step) - slope(center - step)) for step in factor.T]
        product = np.stack(rises) @ factor
        return np.asarray(0.5 * (product + product.T))

    factor = np.eye(center.size) * 1e-2
    for _ in range(_SECANT_STEPS):
        curvature = seen(factor)
        if not np.isfinite(curvature).all():
            return None
        values, axes = np.linalg.eigh(curvature)
        if np.abs(values - 1).max() < _ENOUGH:
            break
        factor = factor @ (axes / np.sqrt(np.clip(values, 1e-2, 1e2)))
    curvature = seen(factor)
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature).min() <= 0.1:
        return None  # no peak, however far one looks
    return factor
