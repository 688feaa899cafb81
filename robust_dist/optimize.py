r"""Point estimates of linear models by reweighted least squares, and a start for samplers.

The loss's influence function is weight times residual, so where its sum is least the coefficients
solve a weighted least squares problem with weights :func:`robust_dist.weight` of their own
residuals. Solving it again and again with the last weights lowers the sum each time for alpha <= 2
(Huber & Ronchetti 2009, section 7.8).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from robust_dist._precision import promote_inexact
from robust_dist.loss import weight
from robust_dist.shape import orthogonal_scale

__all__ = ["init_to_robust", "irls", "least_absolute"]

# the median of abs(X) under GeneralRobust(1)
_MEDIAN_AT_ONE = 0.9244644174628215


def _solve(x: Array, y: Array, root: Array) -> Array:
    """Return the coefficients of weighted least squares, the smallest if several are best."""
    # columns of very different units must not look like a singular matrix
    unit = jnp.max(jnp.abs(x), axis=0)
    unit = jnp.where(unit > 0, unit, 1)
    return jnp.linalg.lstsq((x / unit) * root[:, None], y * root)[0] / unit


def _middle(residuals: Array) -> Array:
    """Return the median absolute residual; the mean if more than half of the rows fit exactly."""
    size = jnp.abs(residuals)
    middle = jnp.median(size)
    middle = jnp.where(middle > 0, middle, jnp.mean(size))
    return jnp.maximum(middle, jnp.finfo(size.dtype).tiny)


def _reweight(
    x: Array,
    y: Array,
    alpha: Array,
    scale_of: Callable[[Array], Array],
    start: Array,
    max_steps: int,
) -> Array:
    """Iterate until the fit stands still, on the scale of the residuals."""
    tolerance = float(jnp.finfo(x.dtype).eps) ** 0.5

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        _, moved, steps = state
        return (moved > tolerance) & (steps < max_steps)

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        coefficients, _, steps = state
        residuals = y - x @ coefficients
        # 1 at a residual of 0, and never more for alpha <= 2
        root = jnp.sqrt(weight(residuals / scale_of(residuals), alpha))
        found = _solve(x, y, root)
        moved = jnp.max(jnp.abs(x @ (found - coefficients))) / _middle(residuals)
        return found, moved, steps + 1

    return lax.while_loop(
        unfinished, step, (start, jnp.full((), jnp.inf, x.dtype), jnp.asarray(0))
    )[0]


def _checked(x: ArrayLike, y: ArrayLike, *rest: ArrayLike) -> tuple[Array, ...]:
    x, y, *others = promote_inexact(x, y, *rest)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(
            f"x must be of shape (rows, columns) and y of shape (rows,); they are of {x.shape} "
            f"and {y.shape}"
        )
    return x, y, *others


@partial(jax.jit, static_argnames="max_steps")
def irls(
    x: ArrayLike,
    y: ArrayLike,
    alpha: ArrayLike,
    scale: ArrayLike,
    *,
    start: ArrayLike | None = None,
    max_steps: int = 100,
) -> Array:
    r"""Return the coefficients with the least general robust loss, by reweighted least squares.

    .. math:: \hat\beta = \arg\min_\beta \sum_i \rho(y_i - x_i^T \beta, \alpha, c)

    For alpha >= 1 the sum is convex, and there is one minimum; for alpha < 1 it is the minimum that
    the start leads to. Iterations end when no fitted value moves by more than sqrt(eps) of the
    median absolute residual. May be jitted and mapped over.

    Parameters
    ----------
    x
        Design, of shape (rows, columns).
    y
        Response, of shape (rows,), in the data's units.
    alpha
        Shape, in [-inf, 2].
    scale
        Scale c > 0, in the data's units.
    start
        Coefficients to start from, of shape (columns,); least squares unless given.
    max_steps
        The largest number of iterations.

    Returns
    -------
    Array
        Coefficients, of shape (columns,).

    Raises
    ------
    ValueError
        If the shapes of x and y do not belong together.

    References
    ----------
    P. J. Huber and E. M. Ronchetti, Robust Statistics, 2nd ed., 2009, section 7.8.
    """
    x, y, alpha, scale = _checked(x, y, alpha, scale)
    first = _solve(x, y, jnp.ones_like(y)) if start is None else jnp.asarray(start, x.dtype)
    return _reweight(x, y, alpha, lambda _: scale, first, max_steps)


@partial(jax.jit, static_argnames="max_steps")
def least_absolute(x: ArrayLike, y: ArrayLike, *, max_steps: int = 100) -> Array:
    r"""Return the coefficients of least absolute deviations, to a thousandth of the residuals.

    They are the limit of :func:`irls` at alpha = 1 as the scale vanishes; here it is a thousandth
    of the median absolute residual. Nothing needs to be known of the noise.

    Parameters
    ----------
    x
        Design, of shape (rows, columns).
    y
        Response, of shape (rows,), in the data's units.
    max_steps
        The largest number of iterations.

    Returns
    -------
    Array
        Coefficients, of shape (columns,).

    Raises
    ------
    ValueError
        If the shapes of x and y do not belong together.

    References
    ----------
    As for :func:`irls`.
    """
    x, y, one = _checked(x, y, 1.0)
    first = _solve(x, y, jnp.ones_like(y))
    return _reweight(x, y, one, lambda residuals: 1e-3 * _middle(residuals), first, max_steps)


@jax.jit
def _robust_start(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return coefficients and c at alpha = 1: c from least absolute deviations, then IRLS."""
    x, y = _checked(x, y)
    start = least_absolute(x, y)
    scale = _middle(y - x @ start) / _MEDIAN_AT_ONE
    return irls(x, y, 1.0, scale, start=start), scale


def _init_to_values(site: dict[str, Any], values: Mapping[str, ArrayLike]) -> Any:
    from numpyro.infer import init_to_uniform

    if site["type"] != "sample" or site["is_observed"] or site["name"] not in values:
        return init_to_uniform(site)
    shape = (*site["kwargs"]["sample_shape"], *site["fn"].shape())
    return jnp.broadcast_to(jnp.asarray(values[site["name"]]), shape)


def init_to_robust(
    x: ArrayLike,
    y: ArrayLike,
    *,
    coefficients: str | None = "beta",
    alpha: str | None = "alpha",
    scale: str | None = "scale",
    sigma: str | None = "sigma",
) -> Callable[..., Any]:
    r"""Return a starting point for NumPyro's samplers and guides: a robust fit at alpha = 1.

    The coefficients are those of least absolute deviations, from whose median absolute residual
    the scale c follows, improved by :func:`irls` at alpha = 1 with that scale. Gross outliers in
    the response, up to four tenths of the rows, hardly move it; outliers in x (leverage points) do.

    Parameters
    ----------
    x
        Design, of shape (rows, columns); with a column of ones if the model has an intercept.
    y
        Response, of shape (rows,), in the data's units.
    coefficients, alpha, scale, sigma
        Names of the model's sites that start at the fit: coefficients, of shape (columns,); alpha,
        at 1; the scale c; the orthogonal scale sigma. Values are repeated to a site's shape, as for
        one alpha per group. Names the model lacks are not used; None leaves a site out, which
        alpha's must be if its support does not hold 1. Sites not named start uniformly, as by
        default.

    Returns
    -------
    Callable
        For the argument ``init_strategy`` of ``NUTS``, ``HMC`` and NumPyro's autoguides. All chains
        start from the same point.

    Raises
    ------
    ValueError
        If the shapes of x and y do not belong together.

    References
    ----------
    As for :func:`irls`.

    Examples
    --------
    >>> import numpy as np
    >>> from numpyro.infer import NUTS
    >>> from robust_dist.optimize import init_to_robust
    >>> x = np.column_stack([np.ones(6), np.arange(6)])
    >>> y = [1.1, 2.9, 5.0, 7.1, 8.9, 1e6]
    >>> start = init_to_robust(x, y)  # for NUTS(model, init_strategy=start)
    """
    fit, c = _robust_start(jnp.asarray(x), jnp.asarray(y))
    values = {
        coefficients: fit,
        alpha: jnp.ones_like(c),
        scale: c,
        sigma: orthogonal_scale(1.0, c),
    }
    known = {name: value for name, value in values.items() if name is not None}
    return partial(_init_to_values, values=known)
