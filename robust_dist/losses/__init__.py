"""Losses whose shape and scale are learned with a network, for training loops in JAX.

Each is a pytree: its leaves are unbounded numbers that an optimiser moves, one or two for each
output, and everything else is static. Called with residuals, it returns their negative log
densities. It goes wherever parameters go: into a tuple beside a network's, through ``jax.jit``,
``jax.grad``, ``jax.vmap`` and ``jax.lax.scan``, into optax and checkpoints, or into a field of an
equinox module. Bounds and starts are those of the paper's own code.
"""

from robust_dist.losses.adaptive import AdaptiveLoss
from robust_dist.losses.image import AdaptiveImageLoss
from robust_dist.losses.student_t import StudentTLoss

__all__ = ["AdaptiveImageLoss", "AdaptiveLoss", "StudentTLoss"]
