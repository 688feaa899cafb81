"""What the losses share: a pytree of few leaves, called with residuals."""

import math
from collections.abc import Iterable
from dataclasses import Field, field, fields
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import GetAttrKey, register_pytree_with_keys
from jax.typing import ArrayLike

from robust_dist._arguments import shown
from robust_dist._errors import InputError
from robust_dist._numerics.formats import promote_inexact
from robust_dist._words.names import listed, nearest

Reduction = Literal["none", "sum", "mean"]
_REDUCTIONS = {"none": lambda losses: losses, "sum": jnp.sum, "mean": jnp.mean}


def static() -> Any:
    """Return a field that is a setting, hashable and no leaf."""
    return field(metadata={"static": True})


def as_pytree[Class: Loss](cls: type[Class]) -> type[Class]:
    """Register a dataclass, whose constructor takes other arguments than its fields."""
    items: tuple[Field[Any], ...] = fields(cls)  # type: ignore[arg-type]
    leaves = [item.name for item in items if not item.metadata]
    settings = [item.name for item in items if item.metadata]

    def flatten(loss: Class) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        children = tuple(getattr(loss, name) for name in leaves)
        return children, tuple(getattr(loss, name) for name in settings)

    def flatten_with_keys(loss: Class) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        children, values = flatten(loss)
        keys = map(GetAttrKey, leaves)
        return tuple(zip(keys, children, strict=True)), values

    def unflatten(values: tuple[Any, ...], children: Iterable[Any]) -> Class:
        # not by the constructor: the leaves may be anything, None and tracers among them
        loss = object.__new__(cls)
        loss._store(zip([*settings, *leaves], [*values, *children], strict=True))
        return loss

    register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


class Loss:
    """The negative log density of residuals whose last axes are ``shape``."""

    def _store(self, values: Any) -> None:
        self.__dict__.update(values)

    def _losses(self, residual: Array) -> Array:
        raise NotImplementedError

    def __call__(self, residual: ArrayLike, reduction: Reduction = "none") -> Array:
        """Return the negative log density of residuals, one for each or all in one number.

        Parameters
        ----------
        residual
            Response minus prediction, in the response's units; its last axes are the loss's
            ``shape``, before them stand any others, of a batch.
        reduction
            ``"none"``, ``"sum"`` or ``"mean"``, over all residuals.

        Returns
        -------
        Array
            In nats, of the residual's shape or a scalar; below zero where the density exceeds 1. In
            the residual's precision, but float32 at least.

        Raises
        ------
        InputError
            If the residual's last axes are others, or the reduction is none of the three.
        """
        reduce = _REDUCTIONS[one_of("reduction", reduction, _REDUCTIONS)]
        (residual,) = promote_inexact(residual)
        shape = self.shape  # type: ignore[attr-defined]
        if residual.shape[residual.ndim - len(shape) :] != shape or residual.ndim < len(shape):
            mend = "; one output needs an axis of its own: residual[:, None]" * (shape == (1,))
            raise InputError(
                f"the residual's last axes must be {shape}, as of the loss, but its shape is "
                f"{residual.shape}{mend}"
            )
        return reduce(self._losses(residual))


def one_of(name: str, value: Any, known: Any) -> Any:
    """Return a value that is one of few words."""
    if not isinstance(value, str) or value not in known:
        hint = nearest(value, known) if isinstance(value, str) else ""
        raise InputError(f"{name} must be one of {listed(list(known))}, not {shown(value)}{hint}")
    return value


def finite_number(name: str, value: Any) -> float:
    """Return a finite number of Python or NumPy as a float."""
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or isinstance(value, bool) or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, not {shown(value)}")
    return float(value)


def event_shape(shape: Any) -> tuple[int, ...]:
    """Return a shape from a tuple or one number."""
    sizes = shape if isinstance(shape, tuple | list) else (shape,)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise InputError(
                "shape must be the number of outputs, or a tuple of such numbers of at least 1, "
                f"not {shown(shape)}"
            )
    return tuple(map(int, sizes))


def wide(latent: Array) -> Array:
    """Return a leaf in float32 at least: bounds are lost on shorter numbers."""
    return latent.astype(jnp.promote_types(latent.dtype, jnp.float32))


# softplus of it is 1
_UNIT = math.log(math.e - 1)


class LearnedScale:
    r"""Scales above a bound, :math:`c = c_l + (c_0 - c_l)\,\log(1 + (e - 1) e^{\lambda})`."""

    shape: tuple[int, ...]
    scale_low: float
    scale_init: float
    latent_scale: Array | None

    @staticmethod
    def _scale_fields(
        shape: tuple[int, ...], scale_low: Any, scale_init: Any, dtype: Any
    ) -> dict[str, Any]:
        scale_low = finite_number("scale_low", scale_low)
        scale_init = finite_number("scale_init", scale_init)
        if scale_low <= 0:
            raise InputError(f"scale_low must be above 0, not {scale_low}")
        if scale_init < scale_low:
            raise InputError(
                f"scale_init must be scale_low = {scale_low} at least, not {scale_init}"
            )
        learned = scale_init > scale_low
        latent_scale = jnp.zeros(shape, dtype) if learned else None
        return {"scale_low": scale_low, "scale_init": scale_init, "latent_scale": latent_scale}

    @property
    def scale(self) -> Array:
        """The scale of each output, of the loss's shape, in the residual's units."""
        if self.latent_scale is None:
            return jnp.full(self.shape, self.scale_init, float)
        span = self.scale_init - self.scale_low
        return self.scale_low + span * jax.nn.softplus(wide(self.latent_scale) + _UNIT)
