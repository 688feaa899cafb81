r"""Reweighted least squares, of a linear model and of a residual function.

The loss's influence function is weight times residual, so where its sum is least the coefficients
solve a weighted least squares problem with weights :func:`robust_dist.weight` of their own
residuals. Solving it again and again with the last weights lowers the sum each time for alpha <= 2
(Huber & Ronchetti 2009, section 7.8).
"""

from collections.abc import Callable
from typing import Any

from jax import Array
from jax.typing import ArrayLike

from robust_dist._arguments import check_count
from robust_dist.optimize.noise import Parameter
from robust_dist.optimize.problem import linear_problem, residual_problem
from robust_dist.optimize.reweight import RobustFit, reweight


def irls(
    x: ArrayLike,
    y: ArrayLike,
    alpha: Parameter,
    scale: Parameter,
    *,
    start: ArrayLike | None = None,
    max_steps: int = 200,
) -> RobustFit:
    r"""Return the coefficients with the least general robust loss, by reweighted least squares.

    .. math:: \hat\beta = \arg\min_\beta \sum_i \rho(y_i - x_i^T \beta, \alpha, c)

    alpha and the scale are numbers, or are found along with the coefficients (the adaptive loss):
    given a prior, at the mode of the joint posterior

    .. math:: \sum_i \log p(y_i - x_i^T \beta \mid \alpha, c) + \log p(\alpha) + \log p(c)

    in beta, alpha and c (not in their logarithms); given ``"ml"``, at the maximum of the
    likelihood, for alpha in [0, 2]. Each step updates c, then alpha, then the coefficients.

    For fixed alpha >= 1 the loss is convex, and there is one minimum; otherwise the result is the
    optimum that the start leads to. Iterations end when no residual moves by more than sqrt(eps) of
    the median absolute residual, nor alpha and log c by more than sqrt(eps).

    The likelihood has no maximum, but grows without bound as c -> 0, if all rows fit exactly; at
    alpha = 0, if half of them do. Then c stops where rounding takes over, and ``converged`` is
    false. A prior that keeps away from 0, such as an InverseGamma, prevents it.

    May be jitted and mapped over. Derivatives of both modes are those of the optimum, by the
    implicit function theorem.

    Parameters
    ----------
    x
        Design, of shape (rows, columns).
    y
        Response, of shape (rows,), in the data's units.
    alpha
        Shape in [-inf, 2]; or a NumPyro distribution of it, of which the part on [0, 2] counts
        (``ReferenceAlpha()``, ``Uniform(0, 2)``); or ``"ml"``.
    scale
        Scale c > 0, in the data's units; or a NumPyro distribution of it; or ``"ml"``. It can be
        found for alpha in [0, 2] only: below there is no likelihood.
    start
        Coefficients to start from, of shape (columns,); least squares unless given.
    max_steps
        The largest number of iterations.

    Returns
    -------
    RobustFit
        Coefficients, alpha, scale, weights, steps, and whether the iterations converged.

    Raises
    ------
    ValueError
        If the shapes of x and y do not belong together, alpha or scale is out of range, or the
        data, in double precision, are more than the working precision can hold: time stamps are.

    References
    ----------
    P. J. Huber and E. M. Ronchetti, Robust Statistics, 2nd ed., 2009, section 7.8; J. T. Barron,
    CVPR 2019, arXiv 1701.03077, for the adaptive loss.

    Examples
    --------
    >>> import numpy as np
    >>> from robust_dist.optimize import irls
    >>> x = np.column_stack([np.ones(6), np.arange(6)])
    >>> fit = irls(x, [1, 3, 5, 7, 9, 1e3], alpha=0.0, scale=0.1)
    >>> print(fit.coefficients.round(1), fit.weights.round(1), fit.converged)
    [1. 2.] [1. 1. 1. 1. 1. 0.] True
    """
    check_count(1, max_steps=max_steps)
    return reweight(*linear_problem(x, y, alpha, scale, start), max_steps)


def irls_residuals(
    residuals: Callable[..., Array],
    start: Any,
    alpha: Parameter,
    scale: Parameter,
    *,
    args: tuple[Any, ...] = (),
    max_steps: int = 200,
) -> RobustFit:
    r"""Return what :func:`irls` does, of the user's own residual function.

    .. math:: \hat\theta = \arg\min_\theta \sum_i \rho(|r_i(\theta)|, \alpha, c)

    Each step is a nonlinear least squares problem of the residuals times the roots of their
    weights, which are held fixed in it, solved by optimistix's Levenberg-Marquardt. Residuals of
    several numbers a row count by their length, and alpha and c are found under the law of that
    many dimensions, :class:`~robust_dist.MultivariateGeneralRobust`.

    Needs the extra ``optimize``. To fit many data sets, hand the data over by ``args``: the
    function is compiled once.

    Parameters
    ----------
    residuals
        Function of theta and ``args``, written in JAX, that returns residuals of shape (rows,) or
        (rows, d), in the data's units.
    start
        Where to start: any pytree of arrays that ``residuals`` takes.
    alpha, scale
        As for :func:`irls`.
    args
        Further arguments of ``residuals``.
    max_steps
        The largest number of iterations.

    Returns
    -------
    RobustFit
        As for :func:`irls`; ``coefficients`` is a pytree like ``start``.

    Raises
    ------
    ValueError
        If residuals is not of shape (rows,) or (rows, d), or alpha or scale is out of range.
    ModuleNotFoundError
        If optimistix is not installed.

    References
    ----------
    As for :func:`irls`.
    """
    check_count(1, max_steps=max_steps)
    return reweight(*residual_problem(residuals, start, alpha, scale, args), max_steps)
