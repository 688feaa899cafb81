"""How much each row counts."""

from xarray import Dataset, DataTree

from robust_dist.diagnostics.row_statistics import row_statistics


def observation_weights(dt: DataTree) -> Dataset:
    r"""Return each row's weight, its posterior mean and 95% interval, from 0 (ignored) to 1.

    The weight is that of iteratively reweighted least squares, :math:`\psi(z)/z` with z the
    residual over the row's scale and psi the derivative of minus the log density, scaled so that a
    residual of zero has weight one (of a contaminated law the weight that the row has in the law):

    =========================  ============================================
    likelihood                 weight
    =========================  ============================================
    general_robust             ``robust_dist.weight(z, alpha)``
    contaminated               the same, times the probability of no outlier
    asymmetric_general_robust  the same, z over the scale of its own side
    student_t                  1/(1 + z**2/nu)
    cauchy                     1/(1 + z**2)
    normal                     1
    laplace                    min(1, 1/abs(z))
    =========================  ============================================

    Laplace's psi(z)/z = 1/abs(z) is infinite at zero. It is given relative to a residual of one
    scale and is held at one below that, which makes it Huber's weight. A rounded response has the
    weight of the middle of its cell, a censored one that of the nearest value that it may have.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    Returns
    -------
    Dataset
        ``mean``, ``lower`` and ``upper``, of dimension ``row``. A fit of more than 1e8 draws times
        rows is read at evenly spaced draws.
    """
    columns = {"mean": "weight", "lower": "weight_lower", "upper": "weight_upper"}
    rows = row_statistics(dt, *columns.values())
    return rows.rename({column: name for name, column in columns.items()}).assign_attrs(
        ci_prob=0.95, ci_kind="eti"
    )
