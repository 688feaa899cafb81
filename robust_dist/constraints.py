"""What NumPyro's constraints lack."""

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import biject_to, constraints
from numpyro.distributions.transforms import IdentityTransform

__all__ = ["extended_real"]


class _ExtendedReal(constraints.ParameterFreeConstraint[Any]):
    """Every number and both infinities."""

    def __call__(self, x: ArrayLike) -> Any:
        return x == x

    def feasible_like(self, prototype: ArrayLike) -> Array:
        return jnp.zeros_like(prototype)


extended_real = _ExtendedReal()
"""Every number and both infinities; NumPyro's ``constraints.real`` refuses the latter."""

biject_to.register(_ExtendedReal)(lambda _: IdentityTransform())
