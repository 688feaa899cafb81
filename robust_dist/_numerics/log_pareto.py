r"""The standard law with log-Pareto tails: z = sinh(u), u of density 1/(2 (1 + u^2)^(3/2)).

.. math::

    p(z) = \frac{1}{2 \sqrt{1 + z^2}\, (1 + \operatorname{asinh}^2 z)^{3/2}}, \qquad
    F(z) = \frac12 \left(1 + \frac{u}{\sqrt{1 + u^2}}\right), \quad u = \operatorname{asinh} z

u is Student's t with two degrees of freedom over sqrt(2). Of JAX arrays, or of NumPy's.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_dist._numerics.formats import log_largest

_FAR = 1e9
"""where asinh z is log 2z, and sqrt(1 + z^2) is z, to the last digit"""


def _logs(z: Any) -> tuple[Any, Any]:
    """Return asinh z and log sqrt(1 + z^2), of any number; smooth, and nowhere nan."""
    library: Any = np if isinstance(z, np.ndarray) else jnp
    size = library.abs(z)
    far = size > _FAR
    near, away = library.where(far, 1, z), library.where(far, size, 1)
    log = library.log(away)
    asinh = library.where(far, library.sign(z) * (log + math.log(2)), library.arcsinh(near))
    return asinh, library.where(far, log, 0.5 * library.log1p(near * near))


def log_density(z: Any) -> Any:
    """Return log p(z)."""
    library: Any = np if isinstance(z, np.ndarray) else jnp
    u, log_root = _logs(z)
    return -math.log(2) - log_root - 1.5 * library.log1p(u * u)


def tail(z: Array) -> Array:
    """Return the mass beyond z, on the side away from 0: at most a half, and never 0."""
    u, _ = _logs(z)
    root = jnp.sqrt(1 + u * u)
    return 0.5 / (root * (root + jnp.abs(u)))


def quantile(q: Array) -> Array:
    """Return the z of F(z) = q, inside of (0, 1); infinite where it overflows."""
    return jnp.sinh((q - 0.5) / jnp.sqrt(q * (1 - q)))


def draw(uniform: Array) -> Array:
    """Return finite draws, of numbers drawn uniformly from (-1, 1)."""
    u = uniform / jnp.sqrt((1 - uniform) * (1 + uniform))
    largest = log_largest(u.dtype)
    return jnp.sinh(jnp.clip(u, -largest, largest))
