"""Linear bijections of determinant ±1, from matrices and their inverses."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.transforms import Transform

from robust_dist._arguments import check_real
from robust_dist._numerics.formats import promote_inexact

# a matrix and its inverse
Pair = tuple[np.ndarray, np.ndarray]


def unit_volume(matrix: np.ndarray) -> Pair:
    """Return a square matrix, scaled such that abs(det) = 1, and its inverse."""
    scaled = matrix / np.exp(np.linalg.slogdet(matrix).logabsdet / len(matrix))
    return scaled, np.linalg.inv(scaled)


class VolumePreserving(Transform):
    """A linear bijection of events with determinant ±1, and nothing but static options."""

    _options: tuple[str, ...] = ()
    _event_dim: int

    @property
    def domain(self) -> Any:
        return constraints.independent(constraints.real, self._event_dim)

    codomain = domain

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        check_real(x=x)
        (x,) = promote_inexact(x)
        return jnp.zeros(jnp.shape(x)[: x.ndim - self._event_dim], x.dtype)

    def forward_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) < self._event_dim:
            raise ValueError(f"{self} needs arrays of at least {self._event_dim} axes, not {shape}")
        self._check(shape)
        return shape

    inverse_shape = forward_shape

    def _check(self, shape: tuple[int, ...]) -> None:
        """Raise a ValueError for an event that cannot be transformed."""

    def _promoted(self, x: ArrayLike) -> Array:
        check_real(x=x)
        (x,) = promote_inexact(x)
        self.forward_shape(x.shape)
        return x

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._options)

    def _apply(self, x: ArrayLike, inverse: bool) -> Array:
        """Return the coefficients of pixels x, or the other way round."""
        raise NotImplementedError

    def __call__(self, x: ArrayLike) -> Array:
        """Return the coefficients of pixels, of the same shape."""
        return self._apply(x, inverse=False)

    def _inverse(self, y: ArrayLike) -> Array:
        return self._apply(y, inverse=True)

    def __repr__(self) -> str:
        options = zip(self._options, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in options)})"

    # NumPyro's own keeps a dictionary beside the leaves, which jit cannot hash
    def tree_flatten(self) -> tuple[tuple[()], tuple[Any, ...]]:
        return (), self._values()

    @classmethod
    def tree_unflatten(cls, aux_data: tuple[Any, ...], params: tuple[()]) -> Any:
        self = cls.__new__(cls)
        self.__dict__.update(zip(cls._options, aux_data, strict=True))
        return self

    def eq(self, other: object, static: bool = False) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))


class Separable(VolumePreserving):
    """Steps that each multiply the upper left block of an image by a matrix on either side."""

    channels_last: bool

    @property
    def _event_dim(self) -> int:  # type: ignore[override]
        return 3 if self.channels_last else 2

    def _sides(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return height and width of the images in an array of that shape."""
        height, width = shape[-3:-1] if self.channels_last else shape[-2:]
        return height, width

    def _steps(self, height: int, width: int) -> Iterator[tuple[Pair, Pair]]:
        """Yield the matrices for rows and columns, with their inverses, the largest first."""
        raise NotImplementedError

    def _apply(self, x: ArrayLike, inverse: bool) -> Array:
        x = self._promoted(x)
        steps = list(self._steps(*self._sides(x.shape)))
        if self.channels_last:
            x = jnp.moveaxis(x, -1, -3)
        for pairs in reversed(steps) if inverse else steps:
            rows, columns = (jnp.asarray(pair[inverse], x.dtype) for pair in pairs)
            h, w = len(rows), len(columns)
            block = jnp.einsum(
                "ih,...hw,jw->...ij", rows, x[..., :h, :w], columns, precision="highest"
            )
            x = x.at[..., :h, :w].set(block)
        return jnp.moveaxis(x, -3, -1) if self.channels_last else x
