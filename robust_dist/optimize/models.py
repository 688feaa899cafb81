"""What a reweighting iteration needs of a model: its residuals, and weighted least squares."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from robust_dist._arguments import check_real
from robust_dist._numerics.formats import promote_inexact
from robust_dist.optimize.rounding import refuse_rounding, smallest_ratio


class Model(Protocol):
    """A pytree of data, with the residuals of coefficients."""

    def residuals(self, coefficients: Any) -> Array:
        """Return residuals, of shape (rows,) or (rows, d)."""

    def solve(self, coefficients: Any, root: Array) -> Any:
        """Return the least squares coefficients of residuals times root, of shape (rows,)."""


@partial(jax.tree_util.register_dataclass, data_fields=["x", "y"], meta_fields=[])
@dataclass
class Linear:
    """y - x beta."""

    x: Array
    y: Array

    def residuals(self, coefficients: Array) -> Array:
        """Return residuals, of shape (rows,)."""
        return self.y - self.x @ coefficients

    def solve(self, coefficients: Array | None, root: Array) -> Array:
        """Return the coefficients, the smallest if several are best."""
        # columns of very different units must not look like a singular matrix
        unit = jnp.max(jnp.abs(self.x), axis=0)
        unit = jnp.where(unit > 0, unit, 1)
        scaled = (self.x / unit) * root[:, None]
        cutoff = smallest_ratio(self.x.shape[1], self.x.dtype)
        return jnp.linalg.lstsq(scaled, self.y * root, rcond=cutoff)[0] / unit


def linear(x: ArrayLike, y: ArrayLike) -> Linear:
    """Return the model of a design and a response, checked and in one floating dtype."""
    check_real(x=x, y=y)
    given = x, y
    x, y = promote_inexact(jnp.asarray(x), jnp.asarray(y))
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(
            f"x must be of shape (rows, columns) and y of shape (rows,); they are of {x.shape} "
            f"and {y.shape}"
        )
    refuse_rounding(*given, y.dtype)
    return Linear(x, y)


@partial(jax.tree_util.register_dataclass, data_fields=["args"], meta_fields=["function"])
@dataclass
class Nonlinear:
    """A user's residual function."""

    function: Callable[..., Array] = field(metadata={"static": True})
    args: Any

    def residuals(self, coefficients: Any) -> Array:
        """Return residuals, of shape (rows,) or (rows, d)."""
        return self.function(coefficients, *self.args)

    def solve(self, coefficients: Any, root: Array) -> Any:
        """Return coefficients by Levenberg and Marquardt's method, from those given."""
        optimistix = _optimistix()

        def weighted(theta: Any, root: Array) -> Array:
            residuals = self.residuals(theta)
            return residuals * root.reshape(root.shape + (1,) * (residuals.ndim - 1))

        tolerance = float(jnp.finfo(root.dtype).eps) ** 0.5
        solver = optimistix.LevenbergMarquardt(rtol=tolerance, atol=tolerance)
        solution = optimistix.least_squares(
            weighted, solver, coefficients, root, max_steps=100, throw=False
        )
        return solution.value


def nonlinear(function: Callable[..., Array], start: Any, args: tuple[Any, ...]) -> Nonlinear:
    """Return the model of a residual function, checked at the start."""
    _optimistix()
    model = Nonlinear(function, tuple(args))
    shape = jax.eval_shape(model.residuals, start).shape
    if len(shape) not in (1, 2):
        raise ValueError(
            f"residuals must return an array of shape (rows,) or (rows, d); it is of {shape}"
        )
    return model


def _optimistix() -> Any:
    try:
        import optimistix
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "residual functions need optimistix: pip install 'robust-dist[optimize]'"
        ) from error
    return optimistix
