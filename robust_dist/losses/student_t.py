"""Student's t in place of the general robust law, as the paper's code offers it."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import betaln
from jax.typing import DTypeLike

from robust_dist.losses._loss import LearnedScale, Loss, as_pytree, event_shape, static, wide

# Of more the law is Normal to the last digit, and exponentials leave float32.
_LARGEST_LOG_DF = 60.0


@as_pytree
@dataclass(frozen=True, init=False, eq=False)
class StudentTLoss(LearnedScale, Loss):
    r"""The negative log density of Student's t, degrees of freedom and scale learned.

    .. math::

        -\log p(x \mid \nu, c) = \frac{\nu + 1}{2} \log\left(1 + \frac{(x/c)^2}{\nu}\right)
            + \frac{1}{2}\log \nu + \log B\left(\frac{1}{2}, \frac{\nu}{2}\right) + \log c

    for each output its own. The leaves are ``log_df``, which starts at 0, a Cauchy law, and
    ``latent_scale``, as of :class:`AdaptiveLoss`. On Normal noise the degrees of freedom grow
    without end; no harm comes of it.

    Parameters
    ----------
    shape
        Number of outputs, or the shape of an output; ``()`` for one law that all residuals share.
    scale_low, scale_init
        Lower bound of the scale, above 0, and where it starts, in the residual's units; equal, they
        fix it.
    dtype
        Of the leaves; JAX's default floating dtype unless given.

    Raises
    ------
    InputError
        If a bound or a start is no finite number, or they are out of order.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from robust_dist.losses import StudentTLoss
    >>> loss = StudentTLoss(1)
    >>> print(loss.df, loss.scale)
    [1.] [1.]
    >>> print(loss(jnp.zeros((1, 1))))  # log pi, of Cauchy's law
    [[1.144...]]
    """

    log_df: Array
    latent_scale: Array | None
    shape: tuple[int, ...] = static()
    scale_low: float = static()
    scale_init: float = static()

    def __init__(
        self,
        shape: int | tuple[int, ...],
        *,
        scale_low: float = 1e-5,
        scale_init: float = 1.0,
        dtype: DTypeLike | None = None,
    ) -> None:
        sizes = event_shape(shape)
        scale = self._scale_fields(sizes, scale_low, scale_init, dtype)
        self._store({"shape": sizes, "log_df": jnp.zeros(sizes, dtype), **scale})

    def _bounded_log_df(self) -> Array:
        return jnp.clip(wide(self.log_df), -_LARGEST_LOG_DF, _LARGEST_LOG_DF)

    @property
    def df(self) -> Array:
        """The degrees of freedom of each output, of the loss's shape."""
        return jnp.exp(self._bounded_log_df())

    def _losses(self, residual: Array) -> Array:
        # the logarithm of the beta function, for a difference of log-gammas cancels
        log_df = self._bounded_log_df().astype(residual.dtype)
        scale = self.scale.astype(residual.dtype)
        df = jnp.exp(log_df)
        largest = 0.5 * math.sqrt(jnp.finfo(residual.dtype).max)
        ratio = jnp.clip(residual / (scale * jnp.exp(0.5 * log_df)), -largest, largest)
        log_normalizer = 0.5 * log_df + betaln(0.5, 0.5 * df) + jnp.log(scale)
        return 0.5 * (df + 1) * jnp.log1p(ratio * ratio) + log_normalizer
