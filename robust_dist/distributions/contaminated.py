"""ContaminatedGeneralRobust: the law of the family, with a share of a fixed, heavier one."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.util import validate_sample

from robust_dist._arguments import check_real, shown
from robust_dist._errors import InputError
from robust_dist._numerics.formats import log_largest, promote_inexact
from robust_dist._numerics.mixture import log_mixture, ratios
from robust_dist.distributions._family import FamilyLaw
from robust_dist.distributions.general_robust import GeneralRobust


def _log_prob(law: Distribution, value: ArrayLike) -> Array:
    return law.log_prob(value)


class ContaminatedGeneralRobust(FamilyLaw):
    r"""A mixture of the general adaptive robust law and a background that is nobody's parameter.

    .. math::

        p(x) = (1 - \epsilon)\, \mathrm{GeneralRobust}(x \mid \alpha, m, c) + \epsilon\, b(x)

    Most values follow the law, a share :math:`\epsilon`, the contamination, follows b. Where b has
    heavier tails than the law and does not depend on what is inferred, outliers lose all influence
    on it as they go to infinity: :class:`~robust_dist.LogParetoTailed` has for every alpha, 0
    included. The mixture is one law of the value, so that no indicator is sampled: which of both a
    value is likely to come from, ``outlier_probability`` tells.

    Parameters
    ----------
    alpha
        Shape, in [0, inf].
    loc
        Location m of the law, in the data's units.
    scale
        Scale c > 0 of the law, in the data's units.
    contamination
        Share of the background, in [0, 1].
    background
        A univariate NumPyro distribution on the line.
    validate_args
        Whether to check the parameters and the values, as is NumPyro's default
        (``numpyro.enable_validation``).

    Raises
    ------
    InputError
        If the background is no univariate distribution.
    ValueError
        If alpha is negative or nan, scale is not positive, or the contamination no share. Under
        ``validate_args=False``, and where they are traced (as by ``jit``), such parameters give
        nan.

    References
    ----------
    Y. Hamura, K. Irie and S. Sugasawa, Posterior Robustness with Milder Conditions, 2023, arXiv
    2303.00281.

    Examples
    --------
    >>> from robust_dist import ContaminatedGeneralRobust, LogParetoTailed
    >>> law = ContaminatedGeneralRobust(2.0, 0.0, 1.0, 0.1, LogParetoTailed(0.0, 3.0))
    >>> print(law.outlier_probability(2.0).round(3), law.outlier_probability(6.0).round(3))
    0.148 1.0
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "alpha": constraints.nonnegative,
        "loc": constraints.real,
        "scale": constraints.positive,
        "contamination": constraints.unit_interval,
    }
    support = constraints.real
    # which of both it is jumps as the contamination moves
    reparametrized_params: ClassVar[list[str]] = ["alpha", "loc", "scale"]
    pytree_data_fields = ("alpha", "loc", "scale", "contamination", "background")

    def __init__(
        self,
        alpha: ArrayLike,
        loc: ArrayLike,
        scale: ArrayLike,
        contamination: ArrayLike,
        background: Distribution,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self._begin(
            background,
            validate_args,
            alpha=alpha,
            loc=loc,
            scale=scale,
            contamination=contamination,
        )

    def _begin(self, background: Any, validate_args: bool | None, **parameters: ArrayLike) -> None:
        if not isinstance(background, Distribution) or background.event_shape:
            raise InputError(
                f"background must be a univariate NumPyro distribution, not {shown(background)}"
            )
        batch_shape = self._store(**parameters)
        self.background = background
        batch_shape = lax.broadcast_shapes(batch_shape, background.batch_shape)
        Distribution.__init__(self, batch_shape, validate_args=validate_args)

    @staticmethod
    def with_orthogonal_scale(
        alpha: ArrayLike,
        loc: ArrayLike,
        sigma: ArrayLike,
        contamination: ArrayLike,
        background: Distribution,
        *,
        validate_args: bool | None = None,
    ) -> "ContaminatedGeneralRobust":
        """Return the law whose scale is ``scale_from_orthogonal(alpha, sigma)``, for inference.

        See :meth:`robust_dist.GeneralRobust.with_orthogonal_scale`.

        Parameters
        ----------
        alpha, loc, contamination, background
            As for the class.
        sigma
            Orthogonal scale > 0, in the data's units; the standard deviation at alpha = 2.
        validate_args
            Whether to check the parameters and the values, as is NumPyro's default
            (``numpyro.enable_validation``).
        """
        return OrthogonalContaminatedGeneralRobust(
            alpha, loc, sigma, contamination, background, validate_args=validate_args
        )

    @property
    def law(self) -> GeneralRobust:
        """What most values follow."""
        return GeneralRobust(self.alpha, self.loc, self.scale, validate_args=False)

    @property
    def _share(self) -> Array:
        """The contamination, nan where it is no share."""
        (share,) = promote_inexact(self.contamination)
        return jnp.where((share >= 0) & (share <= 1), share, jnp.nan)

    def _densities(
        self, value: ArrayLike, of: Callable[[Distribution, ArrayLike], Array] = _log_prob
    ) -> tuple[Array, ...]:
        """Return both log densities and the contamination, in one dtype."""
        law, share = self.law, self._share
        alone = lax.stop_gradient(of(law, value))
        # where the law has no part its slopes may be infinite, and would not be multiplied by 0
        largest = float(jnp.finfo(alone.dtype).max)
        gone = alone < jnp.where(share > 0, -math.sqrt(largest), -largest)
        good = jnp.where(gone, alone, of(law, jnp.where(gone, law.loc, value)))
        return promote_inexact(good, of(self.background, value), share)

    def log_mixture_of(
        self, log_density: Callable[[Distribution, ArrayLike], Array], value: ArrayLike
    ) -> Array:
        """Return the log of the mixture of what is said of both laws at value, as of a cell."""
        return log_mixture(*self._densities(value, log_density))

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Return the log density at value, of the broadcast shape of value and batch_shape."""
        check_real(value=value)
        return log_mixture(*self._densities(value))

    def outlier_probability(self, value: ArrayLike) -> Array:
        r"""Return the probability that value comes from the background, given the parameters.

        .. math:: \frac{\epsilon\, b(x)}{(1 - \epsilon)\, p(x) + \epsilon\, b(x)}
        """
        densities = jnp.broadcast_arrays(*self._densities(value))
        return densities[2] * ratios(*densities)[1]

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Return draws; those of the law have its pathwise derivatives.

        Parameters
        ----------
        key
            A JAX PRNG key, typed or legacy.
        sample_shape
            Leading shape of the draws.

        Returns
        -------
        Array
            Of shape ``sample_shape + batch_shape``.
        """
        key, shape = self._key_and_shape(key, sample_shape)
        which, good, bad = jax.random.split(key, 3)
        values = promote_inexact(
            self.law.expand(self.batch_shape).sample(good, sample_shape),
            self.background.expand(self.batch_shape).sample(bad, sample_shape),
            self._share,
        )
        share = values[2]
        contaminated = jax.random.uniform(which, shape, share.dtype) < share
        drawn = jnp.where(contaminated, values[1], values[0])
        return jnp.where(jnp.isnan(share), jnp.nan, drawn)

    @property
    def mean(self) -> Array:
        """The mean; nan where one of both has none."""
        return self._of_batch(self._mixed(self.law.mean, self.background.mean))

    @property
    def variance(self) -> Array:
        """The variance; nan where one of both has no mean."""
        means = self.law.mean, self.background.mean
        share = self._share
        between = jnp.where(share * (1 - share) == 0, 0, share * (1 - share))
        apart = jnp.where(between == 0, 0, means[1] - means[0])
        within = self._mixed(self.law.variance, self.background.variance)
        return self._of_batch(within + between * apart * apart)

    def _mixed(self, good: Any, bad: Any) -> Array:
        """Return the mean of two numbers by share, of which one without a share may be nan."""
        good, bad, share = promote_inexact(good, bad, self._share)
        part = jnp.where(share == 1, 0, (1 - share) * good)
        return part + jnp.where(share == 0, 0, share * bad)

    def cdf(self, value: ArrayLike) -> Array:
        """Return P(X <= value)."""
        return self._mixed(self.law.cdf(value), self.background.cdf(value))

    def log_cdf(self, value: ArrayLike) -> Array:
        """Return log P(X <= value), as accurate as the background's."""
        tails = self.law.log_cdf(value), _log_cdf(self.background, value)
        return log_mixture(*tails, self._share)

    def log_sf(self, value: ArrayLike) -> Array:
        """Return log P(X > value), as accurate as the background's."""
        tails = self.law.log_sf(value), _log_sf(self.background, value)
        return log_mixture(*tails, self._share)

    def icdf(self, q: ArrayLike) -> Array:
        """Return the quantile at q, which lies between those of law and background.

        It is found by bisection in asinh of the distance from loc, and has derivatives in q and the
        parameters by the implicit function.
        """
        loc, unit, q, _ = promote_inexact(self.loc, self.law.scale, q, self._share)
        inside = (q > 0) & (q < 1)
        safe = jnp.where(inside, q, 0.5)
        # the log of the smaller of both tails
        upper = safe > 0.5
        log_q = jnp.where(upper, jnp.log1p(-jnp.where(upper, safe, 0.5)), jnp.log(safe))

        def at(t: Array) -> Array:
            return loc + unit * jnp.sinh(t)

        def excess(x: Array) -> Array:
            return jnp.where(upper, log_q - self.log_sf(x), self.log_cdf(x) - log_q)

        ends = [self.law.icdf(safe), self.background.icdf(safe)]
        most = log_largest(q.dtype) - 1
        edges = [jnp.clip(jnp.arcsinh((end - loc) / unit), -most, most) for end in ends]
        shape = jnp.broadcast_shapes(q.shape, self.batch_shape)

        def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            middle = 0.5 * (bracket[0] + bracket[1])
            below = excess(at(middle)) < 0
            return jnp.where(below, middle, bracket[0]), jnp.where(below, bracket[1], middle)

        bracket = [jnp.broadcast_to(edge(*edges), shape) for edge in (jnp.minimum, jnp.maximum)]
        low, high = lax.fori_loop(
            0, jnp.finfo(q.dtype).bits, halve, lax.stop_gradient(tuple(bracket))
        )
        t = lax.stop_gradient(0.5 * (low + high))
        x = lax.stop_gradient(at(t))
        # one step of Newton's, which also carries the derivatives
        tail = jnp.where(upper, self.log_sf(x), self.log_cdf(x))
        reached = jnp.abs(t) < 0.999 * most
        slope = jnp.where(reached, lax.stop_gradient(jnp.exp(self.log_prob(x) - tail)), 1)
        x = jnp.where(reached, x - excess(x) / slope, jnp.sign(t) * jnp.inf)
        beyond = jnp.where(q == 0, -jnp.inf, jnp.where(q == 1, jnp.inf, jnp.nan))
        return jnp.where(inside, x, beyond)


def _log_cdf(law: Any, value: ArrayLike) -> Array:
    return law.log_cdf(value) if hasattr(law, "log_cdf") else jnp.log(law.cdf(value))


def _log_sf(law: Any, value: ArrayLike) -> Array:
    return law.log_sf(value) if hasattr(law, "log_sf") else jnp.log1p(-law.cdf(value))


class OrthogonalContaminatedGeneralRobust(ContaminatedGeneralRobust):
    """The same mixture, with the orthogonal sigma in place of the law's scale.

    It is what :meth:`robust_dist.ContaminatedGeneralRobust.with_orthogonal_scale` returns.

    Parameters
    ----------
    alpha, loc, contamination, background
        As for the class.
    sigma
        Orthogonal scale > 0, in the data's units; the standard deviation at alpha = 2.
    validate_args
        Whether to check the parameters and the values, as is NumPyro's default
        (``numpyro.enable_validation``).
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "alpha": constraints.nonnegative,
        "loc": constraints.real,
        "sigma": constraints.positive,
        "contamination": constraints.unit_interval,
    }
    reparametrized_params: ClassVar[list[str]] = ["alpha", "loc", "sigma"]

    def __init__(
        self,
        alpha: ArrayLike,
        loc: ArrayLike,
        sigma: ArrayLike,
        contamination: ArrayLike,
        background: Distribution,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self._begin(
            background,
            validate_args,
            alpha=alpha,
            loc=loc,
            sigma=sigma,
            contamination=contamination,
        )

    @classmethod
    def gather_pytree_data_fields(cls) -> tuple[str, ...]:
        """Return what is stored; the base class's scale is not."""
        return (*cls.arg_constraints, "background")

    @property
    def law(self) -> GeneralRobust:
        """What most values follow."""
        return GeneralRobust.with_orthogonal_scale(
            self.alpha, self.loc, self.sigma, validate_args=False
        )

    @property
    def scale(self) -> Array:
        """The scale c of the law."""
        return self.law.scale
