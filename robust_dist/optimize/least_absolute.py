"""Least absolute deviations, as the limit of a loss of this family."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from robust_dist._arguments import check_count
from robust_dist.optimize.models import Linear, linear
from robust_dist.optimize.noise import Noise
from robust_dist.optimize.reweight import iterate, middle


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
    check_count(1, max_steps=max_steps)
    return _least_absolute(linear(x, y), max_steps)


@partial(jax.jit, static_argnames="max_steps")
def _least_absolute(model: Linear, max_steps: int) -> Array:
    one = jnp.ones((), model.y.dtype)

    def narrow(noise: Noise, residuals: Array) -> Noise:
        return noise._replace(scale=1e-3 * middle(residuals))

    first = model.solve(None, jnp.ones_like(model.y))
    return iterate(model, Noise(one, one, None, None), first, narrow, max_steps).coefficients
