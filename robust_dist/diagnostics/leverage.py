"""Rows that are outliers among the predictors, against which no law of the noise guards."""

import numpy as np
from xarray import DataArray, DataTree

from robust_dist._words.names import listed
from robust_dist._words.text import printable
from robust_dist.diagnostics._loo import pareto_k_together
from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.row_laws import constants

# Three times the mean of the hat values is the limit of Velleman & Welsch (1981); above 1/2 Huber
# (1981) calls a row risky whatever the mean.
_TIMES_MEAN, _RISKY = 3.0, 0.5
# above it importance sampling fails (Vehtari et al. 2024)
_HIGH_K = 0.7


def leverage(dt: DataTree) -> DataArray:
    r"""Return each row's hat value, its share in determining its own fitted value.

    .. math::

        h_i = w_i\, x_i^\top (X^\top W X)^{-1} x_i, \qquad w_i \propto 1/s_i^2,

    from 0 to 1, their sum the number of coefficients. W holds what is known of the rows'
    precisions: the row weights, and the posterior mean of the rows' robust sd s where measurement
    errors or a formula make them differ. Group-specific terms are left out of X.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    References
    ----------
    D. C. Hoaglin and R. E. Welsch, The hat matrix in regression and ANOVA, The American
    Statistician 32 (1978), 17-22.
    """
    check_fit(dt)
    return hat_values(dt, row_statistics(dt, "spread")["spread"])


def hat_values(dt: DataTree, spread: DataArray) -> DataArray:
    """Return the same, of rows whose robust sd is known."""
    constant = constants(dt)
    root = np.sqrt(constant["weights"].values) if "weights" in constant else 1.0
    design = constant["x"].values * np.reshape(root / spread.values, (-1, 1))
    # the columns' units must not decide what counts as zero
    size = np.abs(design).max(axis=0)
    q, _ = np.linalg.qr(design / size)
    return spread.copy(data=(q**2).sum(axis=1)).rename("leverage")


def leverage_problems(dt: DataTree) -> list[str]:
    """Return a sentence if the fit hinges on leverage points, else nothing.

    Leverage points are rows whose hat value is above three times the mean, or above 1/2. Whether
    the fit hinges on them is asked of ArviZ: the Pareto-k of leaving them all out at once, by
    importance sampling, is above 0.7 if the posterior without them lies elsewhere. (Left out one at
    a time, rows that lie together hide each other.) It needs 400 draws of ``log_likelihood``.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    """
    values = leverage(dt)
    limit = min(_TIMES_MEAN * float(values.mean()), _RISKY)
    far = np.flatnonzero(values.values > limit)
    if not far.size:
        return []
    k = pareto_k_together(dt, far)
    if not k > _HIGH_K:
        return []
    far = far[np.argsort(-values.values[far], kind="stable")]
    rows = listed([printable(row) for row in values["row"].values[far]])
    low, high = (f"{edge:#.2g}" for edge in (values.values[far[-1]], values.values[far[0]]))
    share = high if low == high else f"{low} to {high}"
    one = far.size == 1
    lie, them, these = ("lies", "it", "this row") if one else ("lie", "them", "these rows")
    return [
        f"{'row' if one else 'rows'} {rows} {lie} far out in the predictors (leverage {share}), "
        f"and the fit hinges on {them} (Pareto-k {k:.1f} if left out): heavy-tailed noise "
        f"does not guard against outlying predictors; check {these}, and compare a fit without "
        f"{them}"
    ]
