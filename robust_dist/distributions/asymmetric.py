"""AsymmetricGeneralRobust: the general adaptive robust law with a scale for either side."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.util import validate_sample

from robust_dist._numerics.draws import draw_two_piece, log_tail_of_side
from robust_dist._numerics.formats import promote_inexact
from robust_dist._numerics.log_density import log_density
from robust_dist._numerics.log_normalizer import log_normalizer
from robust_dist._numerics.moments import absolute_moment, mean_loss
from robust_dist._numerics.tails import log_two_sided_tail, two_sided_quantile
from robust_dist.distributions._family import FamilyLaw


class AsymmetricGeneralRobust(FamilyLaw):
    r"""The two-piece law of the general adaptive robust loss: one shape, a scale for either side.

    .. math::

        p(x \mid \alpha, m, c_l, c_r) = \frac{2}{(c_l + c_r)\, Z(\alpha)}
            \exp\left(-\rho(x - m, \alpha, c)\right),
        \qquad c = c_l \text{ for } x < m, \; c_r \text{ for } x \ge m

    The density and its first derivative are continuous at the mode m, on whose left lies the share
    c_l/(c_l + c_r) of the mass. Equal scales make it :class:`~robust_dist.GeneralRobust`, and
    alpha = 2 the two-piece (split) Normal.

    Parameters
    ----------
    alpha
        Shape, in [0, inf], of both sides.
    loc
        Location m, the mode, in the data's units; neither mean nor median unless the scales agree.
    scale_left
        Scale c_l > 0 of what lies below loc, in the data's units.
    scale_right
        Scale c_r > 0 of what lies above loc, in the data's units.
    validate_args
        Whether to check the parameters and the values, as is NumPyro's default
        (``numpyro.enable_validation``).

    Raises
    ------
    ValueError
        If alpha is negative or nan, or a scale is not positive. Under ``validate_args=False``, and
        where they are traced (as by ``jit``), such parameters give nan.

    References
    ----------
    K. F. Wallis, The Two-Piece Normal, Binormal, or Double Gaussian Distribution, Statistical
    Science 29, 2014; J. T. Barron, CVPR 2019, arXiv 1701.03077.

    Examples
    --------
    >>> from robust_dist import AsymmetricGeneralRobust
    >>> print(AsymmetricGeneralRobust(1.0, 0.0, scale_left=1.0, scale_right=3.0).cdf(0.0))
    0.25
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "alpha": constraints.nonnegative,
        "loc": constraints.real,
        "scale_left": constraints.positive,
        "scale_right": constraints.positive,
    }
    support = constraints.real
    reparametrized_params: ClassVar[list[str]] = ["alpha", "loc", "scale_left", "scale_right"]

    def __init__(
        self,
        alpha: ArrayLike,
        loc: ArrayLike = 0.0,
        scale_left: ArrayLike = 1.0,
        scale_right: ArrayLike = 1.0,
        *,
        validate_args: bool | None = None,
    ) -> None:
        batch_shape = self._store(
            alpha=alpha, loc=loc, scale_left=scale_left, scale_right=scale_right
        )
        super().__init__(batch_shape, validate_args=validate_args)

    def _parameters(self, *values: ArrayLike) -> tuple[Array, ...]:
        """Return alpha, loc, both scales and values in one floating dtype.

        alpha and the scales are nan where there is no distribution.
        """
        alpha, loc, left, right, *promoted = promote_inexact(
            self.alpha, self.loc, self.scale_left, self.scale_right, *values
        )
        valid = (left > 0) & (right > 0)
        left, right = (jnp.where(valid, scale, jnp.nan) for scale in (left, right))
        return jnp.where(alpha >= 0, alpha, jnp.nan), loc, left, right, *promoted

    @staticmethod
    def _share(left: Array, right: Array) -> Array:
        """Return the probability of lying below loc."""
        return 1 / (1 + right / left)

    @staticmethod
    def _log_mean_scale(left: Array, right: Array) -> Array:
        return jnp.log(0.5 * left + 0.5 * right)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Return the log density at value, of the broadcast shape of value and batch_shape."""
        alpha, loc, left, right, value = self._parameters(value)
        scale = jnp.where(value < loc, left, right)
        # of equal scales the logarithms cancel to the last bit
        correction = jnp.log(scale) - self._log_mean_scale(left, right)
        return log_density(value, alpha, loc, scale) + correction

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        r"""Return draws, with pathwise derivatives in alpha, loc and both scales.

        A draw is F^{-1}(u) for a u that the key alone determines; the quantile is interpolated
        within 1e-7 of the exact one.

        Parameters
        ----------
        key
            A JAX PRNG key, typed or legacy.
        sample_shape
            Leading shape of the draws.

        Returns
        -------
        Array
            Of shape ``sample_shape + batch_shape``; always finite.
        """
        key, shape = self._key_and_shape(key, sample_shape)
        alpha, loc, left, right = self._parameters()
        x = draw_two_piece(key, shape, alpha, self._share(left, right))
        return loc + jnp.where(x < 0, left, right) * x

    @property
    def mean(self) -> Array:
        """The mean, loc + (scale_right - scale_left) E abs(z); nan at alpha = 0."""
        alpha, loc, left, right = self._parameters()
        mean = loc + (right - left) * absolute_moment(1, alpha)
        return self._of_batch(jnp.where(alpha > 0, mean, jnp.nan))

    @property
    def mode(self) -> Array:
        """The mode, loc."""
        return self._of_batch(self._parameters()[1])

    @property
    def variance(self) -> Array:
        """The variance; nan at alpha = 0, inf where it overflows at alpha near 0."""
        alpha, _, left, right = self._parameters()
        first, second = (absolute_moment(order, alpha) for order in (1, 2))
        # of the standardised law's mean square, its mean size is a part
        variance = left * right * second + (right - left) ** 2 * (second - first * first)
        variance = jnp.where(second == jnp.inf, jnp.inf, variance)
        return self._of_batch(jnp.where(alpha > 0, variance, jnp.nan))

    def _log_tail(
        self, value: ArrayLike, underflows: bool = False
    ) -> tuple[Array, Array, Array, Array]:
        """Return whether value lies below loc, both sides' mass, and the log tail given the side.

        The mass of its own side comes first.
        """
        alpha, loc, left, right, value = self._parameters(value)
        below = value < loc
        z = (value - loc) / jnp.where(below, left, right)
        distance = jnp.where(below, -z, z)
        bounded = jnp.minimum(distance, jnp.finfo(z.dtype).max)
        log_tail = log_two_sided_tail(bounded, alpha, underflows=underflows)
        log_tail = jnp.where(distance == jnp.inf, -jnp.inf, log_tail)
        share, complement = self._share(left, right), self._share(right, left)
        return (
            below,
            jnp.where(below, share, complement),
            jnp.where(below, complement, share),
            log_tail,
        )

    @staticmethod
    def _log_complement(side: Array, other: Array, log_tail: Array) -> Array:
        """Return the log of what is not beyond, 1 - side e^log_tail, whichever side is small."""
        most = side * jnp.exp(log_tail) > 0.5
        return jnp.where(
            most,
            jnp.log(other - side * jnp.expm1(log_tail)),
            jnp.log1p(-jnp.where(most, 0, side * jnp.exp(log_tail))),
        )

    def cdf(self, value: ArrayLike) -> Array:
        """Return P(X <= value), with derivatives in everything; above loc it rounds to 1."""
        below, side, _, log_tail = self._log_tail(value, underflows=True)
        tail = side * jnp.exp(log_tail)
        return jnp.where(below, tail, 1 - tail)

    def log_cdf(self, value: ArrayLike) -> Array:
        """Return log P(X <= value), accurate however small it is."""
        below, side, other, log_tail = self._log_tail(value)
        tail, complement = jnp.log(side) + log_tail, self._log_complement(side, other, log_tail)
        return jnp.where(below, tail, complement)

    def log_sf(self, value: ArrayLike) -> Array:
        """Return log P(X > value), the survival side of ``log_cdf``, as accurate."""
        below, side, other, log_tail = self._log_tail(value)
        tail, complement = jnp.log(side) + log_tail, self._log_complement(side, other, log_tail)
        return jnp.where(below, complement, tail)

    def icdf(self, q: ArrayLike) -> Array:
        """Return the quantile at q, -inf at 0 and inf at 1, nan outside of [0, 1].

        It has derivatives in q, alpha, loc and both scales, by the implicit function.
        """
        alpha, loc, left, right, q = self._parameters(q)
        inside = (q > 0) & (q < 1)
        share = self._share(left, right)
        safe = jnp.where(inside, q, 0.5)
        log_tail, below = log_tail_of_side(safe, 1 - safe, share)
        distance = two_sided_quantile(log_tail, alpha)
        value = loc + jnp.where(below, -left, right) * distance
        ends = jnp.where(q == 0, -jnp.inf, jnp.where(q == 1, jnp.inf, jnp.nan))
        return jnp.where(inside, value, ends + 0 * value)

    def entropy(self) -> Array:
        r"""Return the differential entropy, log((c_l + c_r) Z(alpha)/2) + E rho, in nats."""
        alpha, _, left, right = self._parameters()
        size = self._log_mean_scale(left, right) + log_normalizer(alpha)
        return self._of_batch(size + mean_loss(alpha))
