"""Whether the rows follow the law that was fitted to them."""

import numpy as np
from scipy import stats
from xarray import DataArray, DataTree

from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.diagnostics.tails import beyond, expected_and_observed, tail_summary

# data that follow their law are to be called a misfit at most once in 200 times
_SMALL_P = 0.005


def loo_pit(dt: DataTree) -> DataArray | None:
    r"""Return each row's probability integral transform under the fit without it.

    .. math::

        u_i = \sum_s w_{is}\, F(y_i \mid \theta_s), \qquad w_{is} \propto 1/p(y_i \mid \theta_s),

    with the exact cdf of the law under each draw, and the weights of Pareto-smoothed importance
    sampling, by ArviZ. If the model holds, u is uniform, in small samples too; of a rounded
    response it is drawn within its cell, as in ``pit_residuals``.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    Returns
    -------
    DataArray or None
        Of dimension ``row``; None for a fit with fewer than 400 draws of ``log_likelihood``. A fit
        of more than 4e6 draws times rows is read at evenly spaced draws.
    """
    return row_statistics(dt, "loo_pit").get("loo_pit")


def misfit_problems(dt: DataTree) -> list[str]:
    """Return a sentence if the rows do not follow the law that was fitted to them, else nothing.

    Two tests of ``loo_pit``, at p < 0.005 for both together (Bonferroni): ArviZ's for uniform
    numbers, by their order statistics, and the exact binomial one of how many rows lie in the
    tails, where the law expects as many as beyond 3 robust standard deviations
    (``tail_summary``). A law with a scale and shape to fit is called a misfit without reason less
    often still. It needs 400 draws of ``log_likelihood``.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    References
    ----------
    H. Tesso and A. Vehtari, arXiv:2603.02928 (2026).
    """
    pit = loo_pit(dt)
    if pit is None:
        return []
    tails = tail_summary(dt)
    p = 2 * min(_p_uniform(pit), _p_tails(pit.values, beyond(tails, 3, "posterior")))
    if not p < _SMALL_P:
        return []
    return [
        f"the rows do not follow the fitted law (p = {p:.1g} by their leave-one-out PIT): it "
        f"expects {expected_and_observed(dt, tails, 3)}; look at the plot of tails, and compare "
        "other likelihoods"
    ]


def _p_uniform(pit: DataArray) -> float:
    return float(pit.azstats.uniformity_test(dim="row", method="pot_c")[0])


def _p_tails(pit: np.ndarray, share: float) -> float:
    """Return the p of the count of rows in both tails, which should hold this share of them."""
    count = int((2 * np.minimum(pit, 1 - pit) < share).sum())
    return float(stats.binomtest(count, pit.size, share).pvalue)
