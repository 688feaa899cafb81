"""What the laws of the family share: parameters, checks with messages that help, shapes."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.util import promote_shapes
from numpyro.util import is_prng_key, not_jax_tracer

from robust_dist._arguments import check_real, shown
from robust_dist._errors import NEGATIVE_ALPHA, InputError


class FamilyLaw(Distribution):
    """A law of the family; its parameters are stored under their names, and nothing else is."""

    def _store(self, **parameters: ArrayLike) -> tuple[int, ...]:
        """Store parameters that are one number of each law of a batch; return the batch's shape."""
        check_real(**parameters)
        batch_shape = lax.broadcast_shapes(*map(jnp.shape, parameters.values()))
        values = promote_shapes(*parameters.values(), shape=batch_shape)
        for name, value in zip(parameters, values, strict=True):
            setattr(self, name, value)
        return batch_shape

    def validate_args(self, strict: bool = True) -> None:
        """Raise a ValueError for bad parameters, each and together; see the class."""
        if self.arg_constraints.get("alpha") is constraints.nonnegative:
            _refuse_negative(type(self).__name__, self.alpha)
        super().validate_args(strict)
        with jax.ensure_compile_time_eval():
            for valid, mistake in self._requirements():
                if not_jax_tracer(valid) and not np.all(valid):
                    raise ValueError(f"{type(self).__name__} distribution got {mistake}")

    def _requirements(self) -> Iterable[tuple[ArrayLike, str]]:
        """Return what parameters must be together, and in words what they are otherwise."""
        return ()

    def _key_and_shape(
        self, key: Any, sample_shape: tuple[int, ...]
    ) -> tuple[Array, tuple[int, ...]]:
        """Return a JAX PRNG key, typed or legacy, and the shape of the draws without the event's.

        Raises
        ------
        TypeError
            If the key is anything else.
        """
        if not is_prng_key(key):
            raise TypeError(
                f"key must be a JAX PRNG key, as of jax.random.key(0), not {shown(key)}"
            )
        return key, (*sample_shape, *self.batch_shape)

    def _of_batch(self, value: Array, event_shape: tuple[int, ...] = ()) -> Array:
        """Return a value for each law of the batch."""
        return jnp.broadcast_to(value, self.batch_shape + event_shape)


def _refuse_negative(law: str, alpha: ArrayLike) -> None:
    """Raise an error for a known alpha below 0, where there is no law on the whole line."""
    with jax.ensure_compile_time_eval():
        # within grad, but not within jit, the value of a tracer is known
        value = alpha if not_jax_tracer(alpha) else lax.stop_gradient(alpha)
        if not_jax_tracer(value) and (least := np.min(np.asarray(value), initial=0)) < 0:
            raise InputError(
                f"{law} distribution got invalid alpha parameter {least:g}: it must be at least 0; "
                f"{NEGATIVE_ALPHA}"
            )
