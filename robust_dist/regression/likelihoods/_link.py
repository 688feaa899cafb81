"""Links: what a formula makes linear, in place of a parameter that is bounded."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid
from scipy.special import expit


class Link(NamedTuple):
    """A map of a parameter to the whole line."""

    words: str
    """what is linear"""
    inverse: Callable[[Any], Any]
    """from the line to the parameter, of JAX arrays in a model and NumPy's outside of one"""
    level_sd: float
    """of the default prior at the centre of the predictors"""


def _exp(value: Any) -> Any:
    return np.exp(value) if isinstance(value, np.ndarray) else jnp.exp(value)


def _to_two(value: Any) -> Any:
    return 2 * (expit(value) if isinstance(value, np.ndarray) else sigmoid(value))


LOG_SCALE = Link("the logarithm of the scale", _exp, level_sd=2.0)
# at the centre nearly uniform in alpha
LOGIT_OF_TWO = Link("log(alpha/(2 - alpha))", _to_two, level_sd=1.5)
