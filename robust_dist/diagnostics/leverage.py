"""Hat values: how much each row says of its own fit."""

import numpy as np
from xarray import DataArray, DataTree

from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.row_laws import constants


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
