"""The paper's adaptive loss: a shape and a scale for each output."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from robust_dist._errors import InputError
from robust_dist._numerics.log_density import log_density
from robust_dist.losses._loss import (
    LearnedScale,
    Loss,
    as_pytree,
    event_shape,
    finite_number,
    static,
    wide,
)


@as_pytree
@dataclass(frozen=True, init=False, eq=False)
class AdaptiveLoss(LearnedScale, Loss):
    r"""The negative log density of :class:`~robust_dist.GeneralRobust`, alpha and scale learned.

    .. math::

        -\log p(x \mid \alpha, 0, c) = \rho(x, \alpha, c) + \log Z(\alpha) + \log c

    for each output its own. What an optimiser moves are unbounded numbers a and l, the leaves
    ``latent_alpha`` and ``latent_scale``:

    .. math::

        \alpha = \alpha_l + (\alpha_h - \alpha_l)\,\frac{1}{1 + e^{-a}}, \qquad
        c = c_l + (c_0 - c_l) \log(1 + (e - 1) e^l)

    so that l starts at 0. Equal bounds of alpha, or a scale that starts at its bound, fix it: then
    it is no leaf.

    Parameters
    ----------
    shape
        Number of outputs, or the shape of an output with one alpha and scale for each entry; ``()``
        for one alpha and scale that all residuals share.
    alpha_low, alpha_high
        Bounds of alpha, 0 at least.
    alpha_init
        Where alpha starts, between the bounds; in their middle unless given.
    scale_low
        Lower bound of the scale, above 0, in the residual's units. The loss is unbounded where the
        scale goes to 0: some residuals that vanish, and it goes there.
    scale_init
        Where the scale starts, in the residual's units.
    dtype
        Of the leaves; JAX's default floating dtype unless given.

    Raises
    ------
    InputError
        If a bound or a start is no finite number, or they are out of order.

    References
    ----------
    Jonathan T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, arXiv 1701.03077,
    eq. 16; bounds and starts as in https://github.com/jonbarron/robust_loss_pytorch.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from robust_dist.losses import AdaptiveLoss
    >>> loss = AdaptiveLoss(2)
    >>> print(loss.alpha, loss.scale)
    [1. 1.] [1. 1.]
    >>> print(loss(jnp.array([[0.0, 0.1], [0.0, 10.0]]), reduction="mean"))
    3.4...
    """

    latent_alpha: Array | None
    latent_scale: Array | None
    shape: tuple[int, ...] = static()
    alpha_low: float = static()
    alpha_high: float = static()
    scale_low: float = static()
    scale_init: float = static()

    def __init__(
        self,
        shape: int | tuple[int, ...],
        *,
        alpha_low: float = 0.001,
        alpha_high: float = 1.999,
        alpha_init: float | None = None,
        scale_low: float = 1e-5,
        scale_init: float = 1.0,
        dtype: DTypeLike | None = None,
    ) -> None:
        sizes = event_shape(shape)
        low, high = finite_number("alpha_low", alpha_low), finite_number("alpha_high", alpha_high)
        if not 0 <= low <= high:
            raise InputError(
                f"the bounds of alpha must be 0 <= alpha_low <= alpha_high, not {low} and {high}"
            )
        latent_alpha = None
        if low < high:
            latent = 0.0
            if alpha_init is not None:
                start = finite_number("alpha_init", alpha_init)
                if not low < start < high:
                    raise InputError(f"alpha_init must lie between {low} and {high}, not {start}")
                latent = math.log((start - low) / (high - start))
            latent_alpha = jnp.full(sizes, latent, dtype or float)
        scale: dict[str, Any] = self._scale_fields(sizes, scale_low, scale_init, dtype)
        bounds = {"alpha_low": low, "alpha_high": high}
        self._store({"shape": sizes, **bounds, "latent_alpha": latent_alpha, **scale})

    @property
    def alpha(self) -> Array:
        """The alpha of each output, of the loss's shape."""
        if self.latent_alpha is None:
            return jnp.full(self.shape, self.alpha_low, float)
        # both ends come out exactly
        latent = wide(self.latent_alpha)
        low, high = self.alpha_low, self.alpha_high
        return low * jax.nn.sigmoid(-latent) + high * jax.nn.sigmoid(latent)

    def _losses(self, residual: Array) -> Array:
        alpha, scale = (value.astype(residual.dtype) for value in (self.alpha, self.scale))
        return -log_density(residual, alpha, 0, scale)
