"""The general adaptive robust distribution whose scale is given as the orthogonal sigma."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.util import promote_shapes, validate_sample

from robust_dist._arguments import check_real
from robust_dist._numerics.formats import promote_inexact
from robust_dist._numerics.orthogonal_log_density import log_density
from robust_dist._numerics.orthogonal_scale import orthogonal_scale, scale_from_orthogonal
from robust_dist._numerics.tails import log_two_sided_tail_of_sigma
from robust_dist.distributions.general_robust import GeneralRobust


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
        Whether to check the parameters and the values.

    Raises
    ------
    TypeError
        If both sigma and scale are given.
    ValueError
        Under ``validate_args=True``, if alpha is negative or nan, or sigma is not positive. Without
        it such parameters give nan.

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
            check_real(alpha=alpha, loc=loc, sigma=sigma)
        elif sigma is None:
            check_real(alpha=alpha, loc=loc, scale=scale)
            sigma = orthogonal_scale(alpha, scale)
        else:
            raise TypeError("give sigma or scale, not both: each follows from the other and alpha")
        batch_shape = lax.broadcast_shapes(jnp.shape(alpha), jnp.shape(loc), jnp.shape(sigma))
        self.alpha, self.loc, self.sigma = promote_shapes(alpha, loc, sigma, shape=batch_shape)
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
        alpha, loc, sigma, *rest = promote_inexact(self.alpha, self.loc, self.sigma, *values)
        sigma = jnp.where(sigma > 0, sigma, jnp.nan)
        return jnp.where(alpha >= 0, alpha, jnp.nan), loc, sigma, *rest

    def _parameters(self, *values: ArrayLike) -> tuple[Array, ...]:
        alpha, loc, sigma, *rest = self._with_sigma(*values)
        return alpha, loc, scale_from_orthogonal(alpha, sigma), *rest

    _log_two_sided_tail = staticmethod(log_two_sided_tail_of_sigma)

    def _standardised(self, value: ArrayLike) -> tuple[Array, Array]:
        alpha, loc, sigma, value = self._with_sigma(value)
        return alpha, (value - loc) / sigma

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Return the log density at value, of the broadcast shape of value and batch_shape."""
        check_real(value=value)
        return log_density(value, self.alpha, self.loc, self.sigma)
