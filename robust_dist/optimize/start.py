"""A start for samplers and guides that gross outliers do not move."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from robust_dist._numerics.orthogonal_scale import orthogonal_scale
from robust_dist.optimize.distances import robust_distances
from robust_dist.optimize.irls import irls
from robust_dist.optimize.least_absolute import least_absolute
from robust_dist.optimize.models import Linear, linear
from robust_dist.optimize.reweight import middle

# the median of abs(X) under GeneralRobust(1)
_MEDIAN_AT_ONE = 0.9244644174628215


@jax.jit
def _robust_start(model: Linear) -> tuple[Array, Array]:
    """Return coefficients and c at alpha = 1: c from least absolute deviations, then IRLS."""
    start = least_absolute(model.x, model.y)
    scale = middle(model.residuals(start)) / _MEDIAN_AT_ONE
    return irls(model.x, model.y, 1.0, scale, start=start).coefficients, scale


def _high_breakdown(model: Linear) -> tuple[Array, Array]:
    """Return the better start of that of all rows and that of those not far out in x."""
    fit, c = _robust_start(model)
    if isinstance(model.x, jax.core.Tracer):  # inside of a program, whose arrays have no values yet
        return fit, c
    distances = robust_distances(list(np.asarray(model.x, float).T))
    if distances is None or not distances.far.size:
        return fit, c
    near = distances.distance <= 1
    if near.sum() < 2 * model.x.shape[1]:
        return fit, c
    other, other_c = _robust_start(linear(model.x[near], model.y[near]))
    better = middle(model.residuals(other)) < middle(model.residuals(fit))
    return (other, other_c) if bool(better) else (fit, c)


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
    the response, up to four tenths of the rows, hardly move it. Where rows lie far out in x, which
    may own such a fit, it is made without them too, and of both that is taken whose residuals have
    the smaller median: a fifth of bad leverage points hardly moves it either.

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
    fit, c = _high_breakdown(linear(x, y))
    values = {
        coefficients: fit,
        alpha: jnp.ones_like(c),
        scale: c,
        sigma: orthogonal_scale(1.0, c),
    }
    known = {name: value for name, value in values.items() if name is not None}
    return partial(_init_to_values, values=known)
