"""Residuals: in units of the noise's spread, and through its cdf."""

from xarray import DataArray, Dataset, DataTree

from robust_dist.diagnostics.row_statistics import row_statistics


def standardized_residuals(dt: DataTree) -> DataArray:
    r"""Return the posterior mean of each row's residual in robust standard deviations.

    The robust sd is that of the Normal law that has the quartiles of the row's noise,

    .. math::

        s = \frac{F^{-1}(3/4) - F^{-1}(1/4)}{2\, \Phi^{-1}(3/4)},

    what 1.4826 times the median absolute residual estimates: the spread of the well-behaved middle,
    whatever the tails. So the residuals of fits with different likelihoods compare; for a Normal
    one, s is the standard deviation. (It is not the parameter ``sigma``, the orthogonal scale.) The
    residual of a censored row is that of the value nearest to its location that it may have.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    """
    return row_statistics(dt, "residual")["residual"]


def pit_residuals(dt: DataTree) -> Dataset:
    r"""Return each row's probability integral transform, and its Normal quantile.

    .. math::

        u_i = \frac1S \sum_s F(y_i \mid \theta_s), \qquad r_i = \Phi^{-1}(u_i),

    with the exact cdf of the law under each draw of the posterior. If the model holds, u is all but
    uniform and r all but standard Normal (each row has helped to fit itself, so that both are a
    little too narrow in small samples). r comes from the smaller of the two tails on the log scale,
    so that it tells rows apart whose u rounds to 0 or 1.

    Of a response that was rounded (``resolution=``) F has a step, within which u is drawn at
    random, as ArviZ does with ties, from the same seed always: a number between those of the two
    ends of the cell, uniform if the model holds. So it is in the interval of a censored response.
    Of a truncated one F is the distribution function within its window.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    Returns
    -------
    Dataset
        ``pit`` and ``quantile``, of dimension ``row``.
    """
    return row_statistics(dt, "pit", "quantile")
