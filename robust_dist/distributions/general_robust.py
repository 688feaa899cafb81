"""GeneralRobust: the general adaptive robust loss as a distribution on the line."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.util import promote_shapes, validate_sample

from robust_dist import _standard


class GeneralRobust(Distribution):
    arg_constraints: ClassVar[dict[str, Any]] = {
        "alpha": constraints.nonnegative,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    reparametrized_params: ClassVar[list[str]] = ["alpha", "loc", "scale"]

    def __init__(
        self,
        alpha: ArrayLike,
        loc: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
        *,
        validate_args: bool | None = None,
    ) -> None:
        batch_shape = lax.broadcast_shapes(jnp.shape(alpha), jnp.shape(loc), jnp.shape(scale))
        self.alpha, self.loc, self.scale = promote_shapes(alpha, loc, scale, shape=batch_shape)
        super().__init__(batch_shape, validate_args=validate_args)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        return _standard.log_density(value, self.alpha, self.loc, self.scale)
