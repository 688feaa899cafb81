"""GeneralRobust, the general adaptive robust loss as a law on the line, in either of its scales."""

import math
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.util import validate_sample

from robust_dist._arguments import check_real
from robust_dist._numerics.draws import draw
from robust_dist._numerics.formats import promote_inexact
from robust_dist._numerics.log_density import log_density
from robust_dist._numerics.log_normalizer import log_normalizer
from robust_dist._numerics.moments import absolute_moment, mean_loss
from robust_dist._numerics.orthogonal_log_density import log_density as log_density_of_sigma
from robust_dist._numerics.orthogonal_scale import orthogonal_scale, scale_from_orthogonal
from robust_dist._numerics.tails import (
    log_two_sided_tail,
    log_two_sided_tail_of_sigma,
    two_sided_quantile,
)
from robust_dist.distributions._family import FamilyLaw


class GeneralRobust(FamilyLaw):
    r"""The location-scale family of the general adaptive robust loss.

    .. math::

        p(x \mid \alpha, m, c) = \frac{1}{c\, Z(\alpha)}
            \exp\left(-\frac{|\alpha-2|}{\alpha}\left(\left(
            \frac{((x-m)/c)^2}{|\alpha-2|} + 1\right)^{\alpha/2} - 1\right)\right)

    alpha = 2 is Normal(m, c), alpha = 1 a hyperbolic law (Charbonnier, pseudo-Huber) and alpha = 0
    Cauchy(m, sqrt(2) c); the larger alpha, the lighter the tails. All moments are finite for
    alpha > 0. The density and its derivatives of first and second order in x, alpha, loc and scale
    are exact to the last digits; at alpha = 2, where the derivative in alpha is infinite, a finite
    convention stands for it (see :func:`robust_dist.log_normalizer`).

    The likelihood grows without bound as scale -> 0 on data that the location fits exactly, so give
    scale a prior that keeps away from 0.

    Parameters
    ----------
    alpha
        Shape, in [0, inf].
    loc
        Location m, the centre of symmetry and the mode, in the data's units.
    scale
        Scale c > 0, in the data's units: near loc the density is that of Normal(loc, scale), up to
        a constant, whatever alpha is.
    validate_args
        Whether to check the parameters and the values, as is NumPyro's default
        (``numpyro.enable_validation``).

    Raises
    ------
    ValueError
        If alpha is negative or nan, or scale is not positive. Under ``validate_args=False``, and
        where they are traced (as by ``jit``), such parameters give nan.

    References
    ----------
    Jonathan T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, arXiv 1701.03077,
    eq. 16.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from robust_dist import GeneralRobust
    >>> print(GeneralRobust(2.0, 0.0, 1.0).log_prob(jnp.array([0.0, 1.0])))
    [-0.9189... -1.4189...]
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "alpha": constraints.nonnegative,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    reparametrized_params: ClassVar[list[str]] = ["alpha", "loc", "scale"]

    def __init__(
        self,
        alpha: ArrayLike,
        loc: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
        *,
        validate_args: bool | None = None,
    ) -> None:
        batch_shape = self._store(alpha=alpha, loc=loc, scale=scale)
        super().__init__(batch_shape, validate_args=validate_args)

    @staticmethod
    def with_orthogonal_scale(
        alpha: ArrayLike,
        loc: ArrayLike = 0.0,
        sigma: ArrayLike = 1.0,
        *,
        validate_args: bool | None = None,
    ) -> "GeneralRobust":
        """Return the law whose scale is ``scale_from_orthogonal(alpha, sigma)``, for inference.

        As alpha changes, sigma held fixed, the density keeps the width the data give it, so that
        alpha and sigma are all but independent a posteriori; and the derivative of ``log_prob`` in
        alpha is continuous through alpha = 2. See :func:`robust_dist.orthogonal_scale`.

        Parameters
        ----------
        alpha, loc
            As for the class.
        sigma
            Orthogonal scale > 0, in the data's units; the standard deviation at alpha = 2.
        validate_args
            Whether to check the parameters and the values, as is NumPyro's default
            (``numpyro.enable_validation``).
        """
        return OrthogonalGeneralRobust(alpha, loc, sigma, validate_args=validate_args)

    def _parameters(self, *values: ArrayLike) -> tuple[Array, ...]:
        """Return alpha, loc, scale and values in one floating dtype.

        alpha and scale are nan where there is no distribution.
        """
        alpha, loc, scale, *promoted = promote_inexact(self.alpha, self.loc, self.scale, *values)
        alpha = jnp.where(alpha >= 0, alpha, jnp.nan)
        return alpha, loc, jnp.where(scale > 0, scale, jnp.nan), *promoted

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Return the log density at value, of the broadcast shape of value and batch_shape."""
        check_real(value=value)
        return log_density(value, self.alpha, self.loc, self.scale)

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        r"""Return draws, with pathwise derivatives in alpha, loc and scale.

        A draw is loc + scale x with x = F^{-1}(u; alpha) for a u that the key alone determines, so
        that dx/d alpha = -(dF/d alpha)/p. The quantile is interpolated in a table made for each
        alpha, within 1e-7 of the exact one.

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
        alpha, loc, scale = self._parameters()
        return loc + scale * draw(key, shape, alpha)

    @property
    def mean(self) -> Array:
        """The mean, loc; nan at alpha = 0, where, as for Cauchy, there is none."""
        alpha, loc, _ = self._parameters()
        return self._of_batch(jnp.where(alpha > 0, loc, jnp.nan))

    @property
    def mode(self) -> Array:
        """The mode, loc."""
        return self._of_batch(self._parameters()[1])

    @property
    def variance(self) -> Array:
        """The variance; nan at alpha = 0 as for Cauchy, inf where it overflows at alpha near 0.

        It is scale**2 at alpha = 2, and (1.643 scale)**2 at alpha = 1.
        """
        alpha, _, scale = self._parameters()
        variance = jnp.where(alpha > 0, scale**2 * absolute_moment(2, alpha), jnp.nan)
        return self._of_batch(variance)

    @property
    def kurtosis(self) -> Array:
        """The excess kurtosis, E((x - loc)^4)/variance^2 - 3; nan at alpha = 0."""
        alpha, _, _ = self._parameters()
        kurtosis = absolute_moment(4, alpha) / absolute_moment(2, alpha) ** 2 - 3
        return self._of_batch(jnp.where(alpha > 0, kurtosis, jnp.nan))

    def mean_absolute_deviation(self) -> Array:
        """Return E abs(x - loc), in the data's units; inf at alpha = 0."""
        alpha, _, scale = self._parameters()
        return self._of_batch(scale * absolute_moment(1, alpha))

    _log_two_sided_tail = staticmethod(log_two_sided_tail)

    def _standardised(self, value: ArrayLike) -> tuple[Array, Array]:
        """Return alpha, and value in the unit of ``_log_two_sided_tail``."""
        alpha, loc, scale, value = self._parameters(value)
        return alpha, (value - loc) / scale

    def _log_tail(self, value: ArrayLike, underflows: bool = False) -> tuple[Array, Array]:
        """Return whether value lies below loc, and log P of a distance from loc larger than its."""
        alpha, z = self._standardised(value)
        below = z < 0
        distance = jnp.where(below, -z, z)
        bounded = jnp.minimum(distance, jnp.finfo(z.dtype).max)
        log_tail = self._log_two_sided_tail(bounded, alpha, underflows=underflows)
        return below, jnp.where(distance == jnp.inf, -jnp.inf, log_tail)

    def cdf(self, value: ArrayLike) -> Array:
        r"""Return P(X <= value), within 5e-14 (float32 3e-7), with derivatives in everything.

        Above loc it rounds to 1. There the tail probability P(X > value) is, without cancellation,
        ``cdf(2 * loc - value)``, that of the mirrored value; its logarithm is ``log_sf(value)``.
        """
        below, log_tail = self._log_tail(value, underflows=True)
        tail = 0.5 * jnp.exp(log_tail)
        return jnp.where(below, tail, 1 - tail)

    def log_cdf(self, value: ArrayLike) -> Array:
        """Return log P(X <= value), to a relative 5e-13 (float32 1e-5) however small the tail."""
        below, log_tail = self._log_tail(value)
        log_tail = log_tail - math.log(2)
        return jnp.where(below, log_tail, jnp.log1p(-jnp.exp(log_tail)))

    def log_sf(self, value: ArrayLike) -> Array:
        """Return log P(X > value), the survival side of ``log_cdf``, as accurate."""
        below, log_tail = self._log_tail(value)
        log_tail = log_tail - math.log(2)
        return jnp.where(below, jnp.log1p(-jnp.exp(log_tail)), log_tail)

    def icdf(self, q: ArrayLike) -> Array:
        """Return the quantile at q, -inf at 0 and inf at 1, nan outside of [0, 1].

        The relative distance to loc is right to 1e-12 (float32 5e-6) down to the smallest q, with
        derivatives in q, alpha, loc and scale by the implicit function.
        """
        alpha, loc, scale, q = self._parameters(q)
        # chosen, for the derivative of a minimum is multiplied by 0 where it is infinite
        lower = jnp.where(q < 0.5, q, 1 - q)
        centre = jnp.where(q < 0.5, 1 - 2 * q, 2 * q - 1)
        inside = lower > 0
        small = inside & (lower < 0.25)
        log_tail = jnp.where(
            small,
            jnp.log(2 * jnp.where(small, lower, 0.25)),
            jnp.log1p(-jnp.where(small | ~inside, 0.5, centre)),
        )
        distance = two_sided_quantile(log_tail, alpha)
        distance = jnp.where(inside, distance, jnp.where(lower == 0, jnp.inf, jnp.nan))
        return loc + scale * jnp.where(q < 0.5, -distance, distance)

    def entropy(self) -> Array:
        r"""Return the differential entropy, log(c Z(alpha)) + E rho, in nats."""
        alpha, _, scale = self._parameters()
        value = jnp.log(scale) + log_normalizer(alpha) + mean_loss(alpha)
        return self._of_batch(value)


class OrthogonalGeneralRobust(GeneralRobust):
    r"""The law of :class:`~robust_dist.GeneralRobust`, with sigma in place of the scale.

    .. math:: X \sim \mathrm{GeneralRobust}(\alpha, m, c), \qquad c = \sigma\, e^{-H(\alpha)}

    with H of :func:`robust_dist.orthogonal_scale`. It is what
    :meth:`robust_dist.GeneralRobust.with_orthogonal_scale` returns. As alpha changes, sigma held
    fixed, the density's width stays what the data say it is, so that alpha and sigma are all but
    independent a posteriori. The log density has a continuous first derivative in alpha through
    alpha = 2; the second jumps there, and is within sqrt(eps) of 2 that at this distance.

    Parameters
    ----------
    alpha
        Shape, in [0, inf].
    loc
        Location m, in the data's units.
    sigma
        Orthogonal scale > 0, in the data's units; the standard deviation at alpha = 2. 1 unless
        given.
    scale
        The scale c > 0 in place of sigma, in the data's units: by this name NumPyro's
        ``LocScaleReparam`` makes the law at loc 0 and scale 1.
    validate_args
        Whether to check the parameters and the values, as is NumPyro's default
        (``numpyro.enable_validation``).

    Raises
    ------
    TypeError
        If both sigma and scale are given.
    ValueError
        If alpha is negative or nan, or sigma is not positive. Under ``validate_args=False``, and
        where they are traced (as by ``jit``), such parameters give nan.

    References
    ----------
    D. R. Cox and N. Reid, Parameter Orthogonality and Approximate Conditional Inference, J. R.
    Statist. Soc. B 49, 1987.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "alpha": constraints.nonnegative,
        "loc": constraints.real,
        "sigma": constraints.positive,
    }
    reparametrized_params: ClassVar[list[str]] = ["alpha", "loc", "sigma"]

    def __init__(
        self,
        alpha: ArrayLike,
        loc: ArrayLike = 0.0,
        sigma: ArrayLike | None = None,
        *,
        scale: ArrayLike | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if scale is None:
            sigma = 1.0 if sigma is None else sigma
        elif sigma is None:
            check_real(alpha=alpha, loc=loc, scale=scale)
            sigma = orthogonal_scale(alpha, scale)
        else:
            raise TypeError("give sigma or scale, not both: each follows from the other and alpha")
        batch_shape = self._store(alpha=alpha, loc=loc, sigma=sigma)
        Distribution.__init__(self, batch_shape, validate_args=validate_args)

    @classmethod
    def gather_pytree_data_fields(cls) -> tuple[str, ...]:
        """Return what is stored; the base class's scale is not."""
        return tuple(cls.arg_constraints)

    @property
    def scale(self) -> Array:
        """The scale c = sigma exp(-H(alpha))."""
        return self._parameters()[2]

    def _with_sigma(self, *values: ArrayLike) -> tuple[Array, ...]:
        alpha, loc, sigma, *promoted = promote_inexact(self.alpha, self.loc, self.sigma, *values)
        sigma = jnp.where(sigma > 0, sigma, jnp.nan)
        return jnp.where(alpha >= 0, alpha, jnp.nan), loc, sigma, *promoted

    def _parameters(self, *values: ArrayLike) -> tuple[Array, ...]:
        alpha, loc, sigma, *promoted = self._with_sigma(*values)
        return alpha, loc, scale_from_orthogonal(alpha, sigma), *promoted

    _log_two_sided_tail = staticmethod(log_two_sided_tail_of_sigma)

    def _standardised(self, value: ArrayLike) -> tuple[Array, Array]:
        alpha, loc, sigma, value = self._with_sigma(value)
        return alpha, (value - loc) / sigma

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Return the log density at value, of the broadcast shape of value and batch_shape."""
        check_real(value=value)
        return log_density_of_sigma(value, self.alpha, self.loc, self.sigma)
