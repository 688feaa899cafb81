"""What a fit starts from: the model, alpha and the scale, coefficients, and the smallest scale."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from robust_dist._arguments import check_real
from robust_dist._numerics.formats import promote_inexact
from robust_dist.optimize.models import Linear, Model, linear, nonlinear
from robust_dist.optimize.noise import Noise, Parameter, lengths, noise, smallest_scale


class Problem(NamedTuple):
    """The arguments of a fit, checked and in one dtype."""

    model: Model
    noise: Noise
    start: Any
    floor: Array
    """the c that rounding alone gives"""


def linear_problem(
    x: ArrayLike, y: ArrayLike, alpha: Parameter, scale: Parameter, start: ArrayLike | None
) -> Problem:
    """Return that of a design and a response; from least squares without a start."""
    model = linear(x, y)
    known = noise(alpha, scale, model.y)
    return Problem(
        model, known, _first_coefficients(model, start), smallest_scale(jnp.abs(model.y))
    )


def _first_coefficients(model: Linear, start: ArrayLike | None) -> Array:
    """Return the start in the model's dtype; least squares unless given."""
    if start is None:
        return model.solve(None, jnp.ones_like(model.y))
    check_real(start=start)
    first = jnp.asarray(start, model.y.dtype)
    if first.shape != model.x.shape[1:]:
        raise ValueError(
            f"start must be of shape {model.x.shape[1:]}, one number a column; it is {first.shape}"
        )
    return first


def residual_problem(
    residuals: Callable[..., Array],
    start: Any,
    alpha: Parameter,
    scale: Parameter,
    args: tuple[Any, ...],
) -> Problem:
    """Return that of a user's residual function."""
    theta = jax.tree.map(lambda leaf: promote_inexact(leaf)[0], start)
    model = nonlinear(residuals, theta, args)
    first = model.residuals(theta)
    return Problem(model, noise(alpha, scale, first), theta, smallest_scale(lengths(first)))
