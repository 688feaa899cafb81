r"""Graduated non-convexity: alpha from 2, where the loss is convex, down to a robust one.

At alpha = 2 there is one minimum, that of least squares. As alpha falls, and the scale with it
from the largest residual to that of the noise, outliers lose weight little by little, and each fit
starts from the last. It finds good minima of losses so robust that a plain start would end in a bad
one; nothing guarantees the best.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from robust_dist._arguments import check_count, check_real
from robust_dist._numerics.formats import promote_inexact
from robust_dist.optimize.models import Model
from robust_dist.optimize.noise import Noise, Parameter, lengths, positive
from robust_dist.optimize.problem import Problem, linear_problem, residual_problem
from robust_dist.optimize.reweight import RobustFit, renew, reweight, root_weights

Progress = bool | Callable[[int, RobustFit], object]


def alpha_schedule(alpha: ArrayLike, stages: int) -> Array:
    r"""Return the values of alpha from 2 down to a target, of shape (stages,).

    .. math:: \alpha_k = 2 - \frac{2 t_k}{1 - t_k}, \qquad t_k = \frac{k}{K - 1} t_{K-1}

    for k = 0, ..., K - 1: equal steps of t, which is 0 at alpha = 2, 1/3 at 1, 1/2 at 0, 2/3 at -2
    and 1 at -inf.

    Parameters
    ----------
    alpha
        The last value, in [-inf, 2].
    stages
        The number of values, at least 2.

    Returns
    -------
    Array
        Values of alpha, the first 2 and the last the target.

    Raises
    ------
    ValueError
        If stages is below 2.

    Examples
    --------
    >>> from robust_dist.optimize import alpha_schedule
    >>> print(alpha_schedule(0.0, 2))
    [2. 0.]
    """
    check_count(2, stages=stages)
    check_real(alpha=alpha)
    (alpha,) = promote_inexact(alpha)
    gap = 2 - alpha
    last = jnp.where(gap < jnp.inf, gap / (gap + 2), 1)
    t = last * jnp.arange(stages, dtype=alpha.dtype) / (stages - 1)
    return (2 - 2 * t / (1 - t)).at[-1].set(alpha)


def anneal(
    x: ArrayLike,
    y: ArrayLike,
    alpha: ArrayLike,
    scale: Parameter,
    *,
    stages: int = 64,
    scale_start: ArrayLike | None = None,
    start: ArrayLike | None = None,
    max_steps: int = 200,
    progress: Progress = False,
) -> RobustFit:
    """Return a robust linear fit by graduated non-convexity.

    alpha follows :func:`alpha_schedule`, and the scale falls by equal factors to its own target,
    with one reweighted least squares step at each pair; from the last, :func:`irls` goes on at the
    targets until it converges. May be jitted and mapped over; derivatives are those of the optimum,
    as of :func:`irls`.

    Parameters
    ----------
    x
        Design, of shape (rows, columns).
    y
        Response, of shape (rows,), in the data's units.
    alpha
        The last shape, in [-inf, 2].
    scale
        The last scale c > 0, that of the good rows' noise, in the data's units; for alpha in [0, 2]
        also a NumPyro distribution, or ``"ml"``, as for :func:`irls`, and found at every stage.
    stages
        The number of values of alpha.
    scale_start
        The first scale; the largest residual of least squares unless given. Without effect if the
        scale is found.
    start
        Coefficients to start from, of shape (columns,). A linear fit forgets it at alpha = 2,
        unless the scale is found.
    max_steps
        The largest number of iterations at the target.
    progress
        True shows a progress bar; a function is called after each stage with its number and the
        :class:`RobustFit` so far. Neither works under jit or vmap.

    Returns
    -------
    RobustFit
        As of :func:`irls`; steps counts the stages too.

    Raises
    ------
    ValueError
        If the shapes of x and y do not belong together, alpha or scale is out of range, or progress
        is asked for under jit or vmap.

    References
    ----------
    A. Blake and A. Zisserman, Visual Reconstruction, 1987; H. Yang, P. Antonante, V. Tzoumas and
    L. Carlone, Graduated Non-Convexity for Robust Spatial Perception, IEEE RA-L 2020; J. T. Barron,
    CVPR 2019, arXiv 1701.03077.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from robust_dist.optimize import anneal
    >>> x = np.column_stack([np.ones(9), np.arange(9)])
    >>> y = [1, 60, 5, 70, 9, 11, 13, -80, 17]
    >>> print(anneal(x, y, alpha=-math.inf, scale=0.1).coefficients.round(1))
    [1. 2.]
    """
    return _anneal(
        linear_problem(x, y, alpha, scale, start),
        stages=stages,
        scale_start=scale_start,
        max_steps=max_steps,
        progress=progress,
    )


def anneal_residuals(
    residuals: Callable[..., Array],
    start: Any,
    alpha: ArrayLike,
    scale: Parameter,
    *,
    args: tuple[Any, ...] = (),
    stages: int = 64,
    scale_start: ArrayLike | None = None,
    max_steps: int = 200,
    progress: Progress = False,
) -> RobustFit:
    """Return what :func:`anneal` does, of the user's own residual function.

    Each step is a nonlinear least squares problem with the weights held fixed, as in
    :func:`irls_residuals`. Needs the extra ``optimize``.

    Parameters
    ----------
    residuals
        Function of theta and ``args``, written in JAX, that returns residuals of shape (rows,) or
        (rows, d), in the data's units.
    start
        Where to start: any pytree of arrays that ``residuals`` takes.
    alpha, scale, stages, scale_start, max_steps, progress
        As for :func:`anneal`.
    args
        Further arguments of ``residuals``.

    Returns
    -------
    RobustFit
        As of :func:`irls_residuals`; steps counts the stages too.

    Raises
    ------
    ValueError
        If residuals is not of shape (rows,) or (rows, d), alpha or scale is out of range, or
        progress is asked for under jit or vmap.
    ModuleNotFoundError
        If optimistix is not installed.

    References
    ----------
    As for :func:`anneal`.
    """
    return _anneal(
        residual_problem(residuals, start, alpha, scale, args),
        stages=stages,
        scale_start=scale_start,
        max_steps=max_steps,
        progress=progress,
    )


def _anneal(
    problem: Problem,
    *,
    stages: int,
    scale_start: ArrayLike | None,
    max_steps: int,
    progress: Progress,
) -> RobustFit:
    check_count(1, max_steps=max_steps)
    model, known, start, floor = problem
    if known.alpha_prior is not None:
        raise ValueError("alpha must be the number to end at; fit a free alpha by irls, from there")
    alphas = alpha_schedule(known.alpha, stages)
    if scale_start is not None:
        scale_start = positive("scale_start", scale_start, floor)
    path = _path(*_still((model, known, start, alphas, scale_start)))
    if progress is False:
        end = _through(*_still((model, known, start)), path, floor)
    else:
        end = _watched(model, known, start, path, floor, progress)
    if known.scale_prior is not None:
        known = known._replace(scale=end.scale)
    fit = reweight(model, known, end.coefficients, floor, max_steps)
    return fit._replace(steps=fit.steps + stages)


def _still(tree: Any) -> Any:
    """Return what derivatives do not pass: the path makes no difference to the optimum."""
    return jax.tree.map(lax.stop_gradient, tree)


@jax.jit
def _path(
    model: Model, known: Noise, start: Any, alphas: Array, first: Array | None
) -> tuple[Array, Array]:
    """Return alpha and the scale of each stage."""
    if known.scale_prior is not None:
        return alphas, jnp.broadcast_to(known.scale, alphas.shape)
    if first is None:
        residuals = model.residuals(start)
        fit = model.solve(start, jnp.ones_like(lengths(residuals)))
        first = jnp.maximum(jnp.max(lengths(model.residuals(fit))), known.scale)
    return alphas, jnp.geomspace(first, known.scale, alphas.size)


@jax.jit
def _stage(
    model: Model, known: Noise, coefficients: Any, now: tuple[Array, Array], floor: Array
) -> RobustFit:
    """Return the fit after one step at an alpha and, unless it is found, a scale."""
    residuals = model.residuals(coefficients)
    alpha, scale = now
    if known.scale_prior is None:
        known = known._replace(scale=scale)
    known = renew(known._replace(alpha=alpha), residuals, floor)
    root = root_weights(residuals, known)
    solution = model.solve(coefficients, root)
    nothing = jnp.zeros((), int)
    return RobustFit(solution, alpha, known.scale, root**2, nothing + 1, nothing > 0)


@jax.jit
def _through(
    model: Model, known: Noise, start: Any, path: tuple[Array, Array], floor: Array
) -> RobustFit:
    """Return the fit after all stages."""

    def step(fit: RobustFit, now: tuple[Array, Array]) -> tuple[RobustFit, None]:
        state = known._replace(scale=fit.scale)
        return _stage(model, state, fit.coefficients, now, floor), None

    begin = _stage(model, known, start, (path[0][0], path[1][0]), floor)
    return lax.scan(step, begin, (path[0][1:], path[1][1:]))[0]


def _watched(
    model: Model,
    known: Noise,
    start: Any,
    path: tuple[Array, Array],
    floor: Array,
    progress: Progress,
) -> RobustFit:
    """Return the same, telling after each stage."""
    from tqdm.auto import tqdm

    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((model, known, start))):
        raise ValueError("progress cannot be shown under jit or vmap; leave it False there")
    coefficients = start
    with tqdm(total=path[0].size, desc="annealing", disable=progress is not True) as bar:
        for stage, now in enumerate(zip(*path, strict=True)):
            fit = _stage(model, known, coefficients, now, floor)
            coefficients, known = fit.coefficients, known._replace(scale=fit.scale)
            bar.update()
            bar.set_postfix(alpha=f"{float(fit.alpha):.2f}")
            if callable(progress):
                progress(stage, fit)
    return fit
