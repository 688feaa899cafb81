"""What the distributions of the family share: checks with messages that help."""

from typing import Any

import jax
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpyro.util import is_prng_key, not_jax_tracer

from robust_dist._arguments import shown
from robust_dist._errors import InputError


def prng_key(key: Any) -> Array:
    """Return a JAX PRNG key, typed or legacy; raise a TypeError for anything else."""
    if not is_prng_key(key):
        raise TypeError(f"key must be a JAX PRNG key, as of jax.random.key(0), not {shown(key)}")
    return key


def refuse_negative(law: str, alpha: ArrayLike) -> None:
    """Raise an error for a known alpha below 0, where there is no law on the whole line."""
    with jax.ensure_compile_time_eval():
        if not_jax_tracer(alpha) and (least := np.min(np.asarray(alpha), initial=0)) < 0:
            raise InputError(
                f"{law} distribution got invalid alpha parameter {least:g}: it must be at least 0. "
                "For a negative alpha the loss is bounded and has a law on a bounded window only: "
                "TruncatedGeneralRobust(alpha, loc, scale, low=..., high=...)."
            )
