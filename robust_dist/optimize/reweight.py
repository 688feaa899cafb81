"""Iteratively reweighted least squares of any model, and its derivatives."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.flatten_util import ravel_pytree
from jax.typing import DTypeLike

from robust_dist._numerics.loss import weight
from robust_dist.optimize.models import Model
from robust_dist.optimize.noise import (
    Noise,
    ends_of_alpha,
    lengths,
    log_posterior,
    update,
)


class RobustFit(NamedTuple):
    """A point estimate, and whether it is one."""

    coefficients: Any
    """of shape (columns,); of a residual function, what it takes"""
    alpha: Array
    scale: Array
    """c, in the data's units"""
    weights: Array
    """how much each row counts, of shape (rows,); 1 at a residual of zero, 0 if ignored"""
    steps: Array
    """how many weighted least squares problems were solved"""
    converged: Array
    """whether the last step moved nothing, and all is finite; false if the scale vanished, where
    the likelihood has no maximum"""


class State(NamedTuple):
    """Where the iterations are."""

    coefficients: Any
    noise: Noise
    change: Array
    steps: Array


def middle(residuals: Array) -> Array:
    """Return the median length; the mean if more than half of the rows fit exactly."""
    size = lengths(residuals)
    median = jnp.median(size)
    median = jnp.where(median > 0, median, jnp.mean(size))
    return jnp.maximum(median, jnp.finfo(size.dtype).tiny)


def dimension(residuals: Array) -> int:
    """Return how many numbers a row's residual has."""
    return 1 if residuals.ndim == 1 else residuals.shape[1]


def root_weights(residuals: Array, noise: Noise) -> Array:
    """Return the roots of the weights: 1 at a residual of 0, and never more for alpha <= 2."""
    return jnp.sqrt(weight(lengths(residuals) / noise.scale, noise.alpha))


def renew(noise: Noise, residuals: Array, floor: Array) -> Noise:
    """Return alpha and c, where they are to be found, given residuals."""
    return update(noise, lengths(residuals), dimension(residuals), floor)


def tolerance_of(dtype: DTypeLike) -> float:
    """Return the movement, in units of a residual, at which iterations end."""
    return float(jnp.finfo(dtype).eps) ** 0.5


def iterate(
    model: Model,
    noise: Noise,
    start: Any,
    renew: Callable[[Noise, Array], Noise],
    max_steps: int,
) -> State:
    """Iterate until the fit stands still, on the scale of the residuals."""
    tolerance = tolerance_of(noise.scale.dtype)

    def unfinished(state: State) -> Array:
        return (state.change > tolerance) & (state.steps < max_steps)

    def step(state: State) -> State:
        residuals = model.residuals(state.coefficients)
        noise = renew(state.noise, residuals)
        coefficients = model.solve(state.coefficients, root_weights(residuals, noise))
        shifts = lengths(model.residuals(coefficients) - residuals)
        change = jnp.max(shifts) / middle(residuals)
        if noise.found:
            change = jnp.maximum(change, jnp.abs(noise.alpha - state.noise.alpha))
            change = jnp.maximum(change, jnp.abs(jnp.log(noise.scale / state.noise.scale)))
        return State(coefficients, noise, change, state.steps + 1)

    first = State(start, noise, jnp.full_like(noise.scale, jnp.inf), jnp.asarray(0))
    return lax.while_loop(unfinished, step, first)


def _score(model: Model, noise: Noise, unravel: Any, z: Array) -> Array:
    """Return what vanishes at the fit, of the coefficients, alpha and c in one array."""
    coefficients, alpha, scale = unravel(z)
    residuals, pull = jax.vjp(model.residuals, coefficients)
    square = residuals**2 if residuals.ndim == 1 else jnp.sum(residuals**2, -1)
    # a length of exactly zero would have no derivative
    length = jnp.sqrt(jnp.where(square > 0, square, 1)) * (square > 0)
    weights = weight(length, alpha, scale)
    (of_coefficients,) = pull(residuals * weights.reshape((-1,) + (1,) * (residuals.ndim - 1)))
    of_alpha, of_scale = alpha - noise.alpha, scale - noise.scale
    if noise.found:
        slopes = jax.grad(log_posterior, (1, 2))(noise, alpha, scale, length, dimension(residuals))
        if noise.alpha_prior is not None:
            low, high = ends_of_alpha(noise)
            inside = (alpha > low) & (alpha < high)
            of_alpha = jnp.where(inside, slopes[0], alpha - lax.stop_gradient(alpha))
        if noise.scale_prior is not None:
            of_scale = slopes[1]
    return ravel_pytree((of_coefficients, of_alpha, of_scale))[0]


@partial(jax.jit, static_argnames="max_steps")
def reweight(model: Model, noise: Noise, start: Any, floor: Array, max_steps: int) -> RobustFit:
    """Return the fit that a start leads to; its derivatives are those of the score's root."""

    def run(_: Any, z: Array) -> tuple[Array, tuple[Array, Array]]:
        coefficients, _, _ = unravel(z)
        end = iterate(model, noise, coefficients, partial(renew, floor=floor), max_steps)
        flat = ravel_pytree((end.coefficients, end.noise.alpha, end.noise.scale))[0]
        # alpha may be -inf
        finite = jnp.all(jnp.isfinite(jnp.where(flat == -jnp.inf, 0, flat)))
        converged = (end.change <= tolerance_of(flat.dtype)) & finite
        return flat, (end.steps, converged & (end.noise.scale > 2 * floor))

    def tangent(linear: Any, y: Array) -> Array:
        return jnp.linalg.solve(jax.jacobian(linear)(jnp.zeros_like(y)), y)

    z, unravel = ravel_pytree((start, noise.alpha, noise.scale))
    score = partial(_score, model, noise, unravel)
    z, (steps, converged) = lax.custom_root(score, z, run, tangent, has_aux=True)
    coefficients, alpha, scale = unravel(z)
    root = root_weights(model.residuals(coefficients), Noise(alpha, scale, None, None))
    return RobustFit(coefficients, alpha, scale, root**2, steps, converged)
