"""MultivariateGeneralRobust: the elliptical law of the general adaptive robust loss."""

from collections.abc import Iterable
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import cho_solve, solve_triangular
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.util import promote_shapes, validate_sample

from robust_dist._arguments import check_real
from robust_dist._numerics.elliptical.loss_of_length import rho_of_length
from robust_dist._numerics.elliptical.radius import draw, log_normalizer, mean_loss, mean_square
from robust_dist._numerics.formats import promote_inexact
from robust_dist.distributions._family import FamilyLaw

_solve = jnp.vectorize(lambda l, x: solve_triangular(l, x, lower=True), signature="(n,n),(n)->(n)")  # noqa: E741


class MultivariateGeneralRobust(FamilyLaw):
    r"""The elliptical law of the general adaptive robust loss, in d dimensions.

    .. math::

        p(x \mid \alpha, m, L) = \frac{\exp(-\rho(r, \alpha, 1))}{Z_d(\alpha) \det L},
        \qquad r = |L^{-1} (x - m)|

    so that all components share one radius: an outlying row is outlying as a whole. alpha = 2 is
    MultivariateNormal(m, scale_tril=L), and d = 1 is :class:`~robust_dist.GeneralRobust`. The
    smaller alpha, the heavier the tails; for d >= 2 there is no law at alpha = 0, and as alpha -> 0
    the radius grows beyond all numbers, about like (d/2)^(1/alpha).

    log Z_d is found by quadrature, right to 1e-14 relative in float64 (float32: 1e-6) for
    0.01 <= alpha <= inf and d <= 100, with first and second derivatives in alpha; see
    :func:`robust_dist.log_normalizer` for those at alpha = 2. ``log_prob`` is nan where alpha is so
    near to 0 that the radius leaves the range of the format: below about 0.001 for d = 3 and 0.01
    for d = 100 in float64, and below about 0.02 and 0.06 in float32.

    Parameters
    ----------
    alpha
        Shape, in (0, inf]; in [0, inf] for d = 1. Its shape is part of the batch's.
    loc
        Location m, of shape ``(..., d)`` or a scalar: centre, mode and mean, in the data's units.
    scale_tril
        Lower triangular L with positive diagonal, of shape ``(..., d, d)``, in the data's units.
        L L^T is ``scale_matrix``, not the covariance, which is ``covariance_matrix``.
    validate_args
        Whether to check the parameters and the values, as is NumPyro's default
        (``numpyro.enable_validation``).

    Raises
    ------
    ValueError
        If scale_tril is not given; or if alpha is negative, nan or, for d >= 2, 0, or scale_tril
        not lower triangular with a positive diagonal. Under ``validate_args=False``, and where they
        are traced (as by ``jit``), such parameters give nan.

    References
    ----------
    K.-T. Fang, S. Kotz and K. W. Ng, Symmetric Multivariate and Related Distributions, 1990, ch. 2;
    J. T. Barron, CVPR 2019, arXiv 1701.03077.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from robust_dist import MultivariateGeneralRobust
    >>> print(MultivariateGeneralRobust(2.0, 0.0, jnp.eye(2)).log_prob(jnp.array([1.0, 0.0])))
    -2.3378...
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "alpha": constraints.nonnegative,
        "loc": constraints.real_vector,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    reparametrized_params: ClassVar[list[str]] = ["alpha", "loc", "scale_tril"]

    def __init__(
        self,
        alpha: ArrayLike,
        loc: ArrayLike = 0.0,
        scale_tril: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        check_real(alpha=alpha, loc=loc, scale_tril=() if scale_tril is None else scale_tril)
        if scale_tril is None or jnp.ndim(scale_tril) < 2:
            raise ValueError("MultivariateGeneralRobust needs scale_tril, of shape (..., d, d).")
        if jnp.ndim(loc) == 0:
            (loc,) = promote_shapes(loc, shape=(1,))
        batch_shape, event_shape = self.infer_shapes(*map(jnp.shape, (alpha, loc, scale_tril)))
        (self.alpha,) = promote_shapes(alpha, shape=batch_shape)
        (self.loc,) = promote_shapes(loc, shape=(*batch_shape, jnp.shape(loc)[-1]))
        (self.scale_tril,) = promote_shapes(scale_tril, shape=(*batch_shape, *event_shape * 2))
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

    @classmethod
    def infer_shapes(  # noqa: D102
        cls,
        alpha: tuple[int, ...],
        loc: tuple[int, ...] = (),
        scale_tril: tuple[int, ...] = (),
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return lax.broadcast_shapes(alpha, loc[:-1], scale_tril[:-2]), (scale_tril[-1],)

    def _requirements(self) -> Iterable[tuple[ArrayLike, str]]:
        if self._dimension > 1:
            yield (
                jnp.greater(self.alpha, 0),
                "alpha = 0, where for two and more dimensions there is no law; take alpha > 0.",
            )

    @property
    def _dimension(self) -> int:
        return jnp.shape(self.scale_tril)[-1]

    def _parameters(self, *values: ArrayLike) -> tuple[Array, ...]:
        """Return alpha, loc, scale_tril and values in one floating dtype.

        alpha and scale_tril are nan where there is no distribution.
        """
        alpha, loc, tril, *promoted = promote_inexact(
            self.alpha, self.loc, self.scale_tril, *values
        )
        alpha = jnp.where(alpha > 0 if self._dimension > 1 else alpha >= 0, alpha, jnp.nan)
        valid = constraints.lower_cholesky(tril)[..., None, None]
        return alpha, loc, jnp.where(valid, tril, jnp.nan), *promoted

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Return the log density at value, of the broadcast shape of its rows and batch_shape."""
        alpha, loc, tril, value = self._parameters(value)
        z = _solve(tril, value - loc)
        log_det = jnp.sum(jnp.log(jnp.diagonal(tril, axis1=-2, axis2=-1)), -1)
        log_constant = log_normalizer(self._dimension, alpha) + log_det
        shape = lax.broadcast_shapes(z.shape[:-1], alpha.shape)
        z = jnp.broadcast_to(z, (*shape, self._dimension))
        return -rho_of_length(z, jnp.broadcast_to(alpha, shape)) - log_constant

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Return draws, with pathwise derivatives in alpha, loc and scale_tril.

        A draw is loc + L (radius times direction): the direction is uniform, and the radius the
        quantile at a probability that the key alone determines, interpolated in a table made for
        each alpha (within 2e-7, in units of a Normal variable, of the exact one).

        Parameters
        ----------
        key
            A JAX PRNG key, typed or legacy.
        sample_shape
            Leading shape of the draws.

        Returns
        -------
        Array
            Of shape ``sample_shape + batch_shape + (d,)``.
        """
        key, shape = self._key_and_shape(key, sample_shape)
        alpha, loc, tril = self._parameters()
        z = draw(key, self._dimension, shape, alpha)
        return loc + jnp.squeeze(jnp.matmul(tril, z[..., None]), -1)

    @property
    def mean(self) -> Array:
        """The mean, loc; nan at alpha = 0."""
        alpha, loc, _ = self._parameters()
        mean = jnp.where(alpha[..., None] > 0, loc, jnp.nan)
        return self._of_batch(mean, self.event_shape)

    @property
    def mode(self) -> Array:
        """The mode, loc."""
        return self._of_batch(self._parameters()[1], self.event_shape)

    def _component_variance(self) -> Array:
        """Return E r^2/d, the variance of each component of the standardised law."""
        alpha = self._parameters()[0]
        variance = mean_square(self._dimension, alpha) / self._dimension
        return jnp.where(alpha > 0, variance, jnp.nan)

    @property
    def variance(self) -> Array:
        """The variances, the diagonal of ``covariance_matrix``."""
        tril = self._parameters()[2]
        variance = self._component_variance()[..., None] * jnp.sum(jnp.square(tril), -1)
        return self._of_batch(variance, self.event_shape)

    @property
    def scale_matrix(self) -> Array:
        """The matrix L L^T; it is the covariance at alpha = 2 alone."""
        tril = self._parameters()[2]
        return self._of_batch(jnp.matmul(tril, jnp.swapaxes(tril, -1, -2)), self.event_shape * 2)

    @property
    def covariance_matrix(self) -> Array:
        """The covariance, L L^T E(r^2)/d; unlike NumPyro's MultivariateStudentT's, the true one.

        It is nan at alpha = 0, and inf where it overflows at alpha near 0.
        """
        return self._component_variance()[..., None, None] * self.scale_matrix

    @property
    def precision_matrix(self) -> Array:
        """The inverse of ``covariance_matrix``."""
        tril = self._parameters()[2]
        identity = jnp.broadcast_to(jnp.eye(self._dimension, dtype=tril.dtype), tril.shape)
        inverse = cho_solve((tril, True), identity)
        value = inverse / self._component_variance()[..., None, None]
        return self._of_batch(value, self.event_shape * 2)

    def entropy(self) -> Array:
        r"""Return the differential entropy, log(Z_d(alpha) det L) + E rho, in nats."""
        alpha, _, tril = self._parameters()
        log_det = jnp.sum(jnp.log(jnp.diagonal(tril, axis1=-2, axis2=-1)), -1)
        value = log_normalizer(self._dimension, alpha) + mean_loss(self._dimension, alpha)
        return self._of_batch(log_det + value)
