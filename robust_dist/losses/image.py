"""Adaptive losses of images: on colours as they are seen, on pixels, cosines or wavelets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from robust_dist._arguments import whole_number
from robust_dist._errors import InputError
from robust_dist.losses._loss import Loss, as_pytree, event_shape, finite_number, one_of, static
from robust_dist.losses.adaptive import AdaptiveLoss
from robust_dist.losses.student_t import StudentTLoss
from robust_dist.transforms import CDF97, DCT, LeGall53, ScaledYUV
from robust_dist.transforms.wavelets import most_levels

ColorSpace = Literal["RGB", "YUV"]
Representation = Literal["PIXEL", "DCT", "CDF9/7", "LeGall5/3"]
Likelihood = Literal["general_robust", "student_t"]

_COLOR_SPACES = ("RGB", "YUV")
_WAVELETS = {"CDF9/7": CDF97, "LeGall5/3": LeGall53}
_REPRESENTATIONS = ("PIXEL", "DCT", *_WAVELETS)
_LIKELIHOODS: dict[str, Callable[..., AdaptiveLoss | StudentTLoss]] = {
    "general_robust": AdaptiveLoss,
    "student_t": StudentTLoss,
}
# as the paper's code has them
_USUAL_LEVELS = 5


@as_pytree
@dataclass(frozen=True, init=False, eq=False)
class AdaptiveImageLoss(Loss):
    r"""An adaptive loss of the coefficients of images, one law for each coefficient.

    Residuals are differences of RGB images; ``coefficients`` takes them to luma and chroma, and to
    cosines or wavelets (:mod:`robust_dist.transforms`), where an error of the whole image is one
    number and not thousands. All of that preserves volumes, so that losses in different
    representations can be compared. Wavelets are reflected at the borders: any size will do.

    Parameters
    ----------
    shape
        (height, width, channels) of an image.
    color_space
        ``"YUV"``, which needs three channels, or ``"RGB"``, which leaves any number as they are.
    representation
        ``"CDF9/7"``, ``"LeGall5/3"``, ``"DCT"`` or ``"PIXEL"``.
    wavelet_levels
        Number of levels of a wavelet; 5, or as many as the image allows, unless given.
    wavelet_scale_base
        Coefficients of level k are multiplied by this to the power of k, 0 being the finest
        details: above 1 coarse errors count more. Volumes are preserved for 1 only, but the paper's
        author finds that other values may give better pictures.
    likelihood
        ``"general_robust"`` or ``"student_t"``.
    **options
        Bounds and starts, as of :class:`AdaptiveLoss` or :class:`StudentTLoss`; scales are in
        the unit of the residual.

    Attributes
    ----------
    coefficient_loss
        The loss of the coefficients, which holds the leaves.

    Raises
    ------
    InputError
        If an argument is none of those words or out of range.
    ImportError
        If PyWavelets (extra ``images``) is missing.

    References
    ----------
    Jonathan T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, arXiv 1701.03077,
    sections 3.1 and 3.2.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from robust_dist.losses import AdaptiveImageLoss
    >>> loss = AdaptiveImageLoss((9, 6, 3), scale_init=0.1)
    >>> loss(jnp.zeros((2, 9, 6, 3))).shape
    (2, 9, 6, 3)
    """

    coefficient_loss: AdaptiveLoss | StudentTLoss
    color_space: str = static()
    representation: str = static()
    wavelet_levels: int = static()
    wavelet_scale_base: float = static()

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        color_space: ColorSpace = "YUV",
        representation: Representation = "CDF9/7",
        wavelet_levels: int | None = None,
        wavelet_scale_base: float = 1.0,
        likelihood: Likelihood = "general_robust",
        **options: Any,
    ) -> None:
        sizes = event_shape(shape)
        if len(sizes) != 3:
            raise InputError(f"shape must be (height, width, channels) of an image, not {sizes}")
        *sides, channels = sizes
        one_of("color_space", color_space, _COLOR_SPACES)
        one_of("representation", representation, _REPRESENTATIONS)
        if color_space == "YUV" and channels != 3:
            raise InputError(
                f"YUV needs three channels, not {channels}: take color_space='RGB', which leaves "
                "channels as they are"
            )
        base = finite_number("wavelet_scale_base", wavelet_scale_base)
        if base <= 0:
            raise InputError(f"wavelet_scale_base must be above 0, not {base}")
        if representation not in _WAVELETS and (wavelet_levels is not None or base != 1):
            raise InputError(
                f"wavelet_levels and wavelet_scale_base are of wavelets, not of {representation}"
            )
        most = most_levels(*sides)
        if wavelet_levels is None:
            wavelet_levels = min(_USUAL_LEVELS, most)
        law = _LIKELIHOODS[one_of("likelihood", likelihood, _LIKELIHOODS)]
        self._store(
            {
                "color_space": color_space,
                "representation": representation,
                "wavelet_levels": whole_number("wavelet_levels", wavelet_levels, 0, most),
                "wavelet_scale_base": base,
                "coefficient_loss": law(sizes, **options),
            }
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image, (height, width, channels)."""
        return self.coefficient_loss.shape

    @property
    def alpha(self) -> Array:
        """The alpha of each coefficient, of the image's shape."""
        return self._law(AdaptiveLoss, "alpha").alpha

    @property
    def df(self) -> Array:
        """The degrees of freedom of each coefficient, of the image's shape."""
        return self._law(StudentTLoss, "df").df

    @property
    def scale(self) -> Array:
        """The scale of each coefficient, of the image's shape."""
        return self.coefficient_loss.scale

    def _law(self, kind: Any, name: str) -> Any:
        if not isinstance(self.coefficient_loss, kind):
            raise AttributeError(f"a {type(self.coefficient_loss).__name__} has no {name}")
        return self.coefficient_loss

    def coefficients(self, residual: ArrayLike) -> Array:
        """Return the coefficients of residuals, of the same shape, coarse ones upper left."""
        values = jnp.asarray(residual)
        if self.color_space == "YUV":
            values = ScaledYUV()(values)
        if self.representation == "DCT":
            return DCT(channels_last=True)(values)
        if self.representation not in _WAVELETS or not self.wavelet_levels:
            return values
        wavelet = _WAVELETS[self.representation](
            self.wavelet_levels, boundary="reflecting", channels_last=True
        )
        values = wavelet(values)
        if self.wavelet_scale_base == 1:
            return values
        factors = self.wavelet_scale_base ** wavelet.level_of(*self.shape[:2])
        return values * jnp.asarray(factors[:, :, None], values.dtype)

    def _losses(self, residual: Array) -> Array:
        return self.coefficient_loss(self.coefficients(residual))
