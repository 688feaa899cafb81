"""TruncatedGeneralRobust: the family on a window of the line, alpha < 0 included."""

from collections.abc import Iterable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.util import validate_sample
from numpyro.util import not_jax_tracer

from robust_dist._numerics.formats import promote_inexact
from robust_dist._numerics.window import law as window_law
from robust_dist._numerics.window.law import Parameters
from robust_dist.constraints import extended_real
from robust_dist.distributions._family import FamilyLaw


class TruncatedGeneralRobust(FamilyLaw):
    r"""The general robust law restricted to a window, for every alpha in [-inf, inf].

    .. math::

        p(x \mid \alpha, m, c, l, h) = \frac{\exp(-\rho(x - m, \alpha, c))}
            {\int_l^h \exp(-\rho(u - m, \alpha, c))\,du}, \qquad l \le x \le h

    For alpha >= 0 it is :class:`~robust_dist.GeneralRobust` given that x lies in the window, and
    one side, or both, may be open. For alpha < 0 the loss is bounded and there is no law on the
    line, but there is one on every bounded window: a bump around loc on a uniform floor, such as
    the outliers of a bounded measurement make. alpha = -2 is the law of the Geman-McClure loss,
    alpha = -inf that of Welsch's.

    The normalizer is a fixed-order quadrature, right to a relative 1e-13 (float32 4e-6) for windows
    from 1e-3 to 1e6 scales wide, around loc or far from it, with derivatives in everything.

    Parameters
    ----------
    alpha
        Shape, in [-inf, inf]; at least 0 where a side is open.
    loc
        Location m of the untruncated law, inside the window or not, in the data's units.
    scale
        Scale c > 0, in the data's units.
    low, high
        Ends of the window, low < high, in the data's units; -inf and inf leave a side open.
    validate_args
        Whether to check the parameters and the values, as is NumPyro's default
        (``numpyro.enable_validation``).

    Raises
    ------
    ValueError
        If a parameter is nan, scale is not positive, low >= high, or alpha is negative where a side
        is open. Under ``validate_args=False``, and where they are traced (as by ``jit``), such
        parameters give nan.

    References
    ----------
    J. T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, eq. 8; the truncation is
    this package's own.

    Examples
    --------
    >>> from robust_dist import TruncatedGeneralRobust
    >>> d = TruncatedGeneralRobust(-2.0, 0.0, 1.0, low=-10.0, high=10.0)
    >>> print(d.log_prob(0.0), round(float(d.cdf(0.0)), 6))
    -1.74... 0.5
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "alpha": extended_real,
        "loc": constraints.real,
        "scale": constraints.positive,
        "low": extended_real,
        "high": extended_real,
    }
    reparametrized_params: ClassVar[list[str]] = ["alpha", "loc", "scale", "low", "high"]
    # known when the parameters are, and needed when they are traced
    pytree_aux_fields = ("_open",)

    def __init__(
        self,
        alpha: ArrayLike,
        loc: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
        *,
        low: ArrayLike,
        high: ArrayLike,
        validate_args: bool | None = None,
    ) -> None:
        batch_shape = self._store(alpha=alpha, loc=loc, scale=scale, low=low, high=high)
        self._open = tuple(
            not_jax_tracer(end) and bool(np.all(np.asarray(end) == infinity))
            for end, infinity in ((low, -np.inf), (high, np.inf))
        )
        super().__init__(batch_shape, validate_args=validate_args)

    def _requirements(self) -> Iterable[tuple[ArrayLike, str]]:
        low, high = jnp.asarray(self.low), jnp.asarray(self.high)
        bounded = jnp.isfinite(low) & jnp.isfinite(high)
        yield low < high, "low >= high: low must lie below high."
        yield (
            bounded | (jnp.asarray(self.alpha) >= 0),
            "invalid alpha parameter: a negative alpha needs a bounded window, so make low and "
            "high finite.",
        )

    def _validate_sample(self, value: ArrayLike) -> Any:
        # the constraint would hand a number and a traced end of the window to NumPy
        mask = super()._validate_sample(jnp.asarray(value))
        # of traced values NumPyro puts -inf where the mask is false, also where there is no law
        (parameters,) = self._parameters()
        return mask | jnp.isnan(window_law.mode(parameters))

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        """Return the window, both ends included."""
        low_open, high_open = self._open
        if low_open and high_open:
            return constraints.real
        if low_open:
            return constraints.less_than_eq(self.high)
        if high_open:
            return constraints.greater_than_eq(self.low)
        return constraints.interval(self.low, self.high)

    def _parameters(self, *values: ArrayLike) -> tuple[Any, ...]:
        """Return values and the parameters, in one floating dtype."""
        alpha, loc, scale, low, high, *promoted = promote_inexact(
            self.alpha, self.loc, self.scale, self.low, self.high, *values
        )
        return *promoted, Parameters(alpha, loc, scale, low, high)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Return the log density at value, -inf outside of the window."""
        return window_law.log_density(*self._parameters(value))

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Return draws, quantiles of uniforms, with pathwise derivatives in every parameter.

        Parameters
        ----------
        key
            A JAX PRNG key, typed or legacy.
        sample_shape
            Leading shape of the draws.

        Returns
        -------
        Array
            Of shape ``sample_shape + batch_shape``, inside the window.
        """
        key, shape = self._key_and_shape(key, sample_shape)
        (parameters,) = self._parameters()
        dtype = parameters.alpha.dtype
        # not 0, whose quantile at an open end is infinite
        tiny = jnp.finfo(dtype).tiny
        q = jax.random.uniform(key, shape, dtype, minval=tiny)
        return window_law.quantile(q, parameters)

    def icdf(self, q: ArrayLike) -> Array:
        """Return the quantile at q, nan outside of [0, 1].

        Derivatives in q and in every parameter are those of the implicit function. At an open side
        it reaches as far as the format has squares, 1e154 (float32 1e19) scales from loc.
        """
        return window_law.quantile(*self._parameters(q))

    def cdf(self, value: ArrayLike) -> Array:
        """Return P(X <= value)."""
        return jnp.exp(self.log_cdf(value))

    def log_cdf(self, value: ArrayLike) -> Array:
        """Return log P(X <= value), without cancellation near either end."""
        return window_law.log_tails(*self._parameters(value))[0]

    def log_sf(self, value: ArrayLike) -> Array:
        """Return log P(X > value), without cancellation near either end."""
        return window_law.log_tails(*self._parameters(value))[1]

    @property
    def mode(self) -> Array:
        """The mode, the point of the window nearest to loc."""
        return self._of_batch(window_law.mode(*self._parameters()))

    @property
    def mean(self) -> Array:
        """The mean; at alpha = 0 infinite towards an open side, nan between two.

        With an open side it is not computed for alpha in (0, 0.01) (float32 0.03), but nan.
        """
        return self._of_batch(window_law.mean_and_variance(*self._parameters())[0])

    @property
    def variance(self) -> Array:
        """The variance; at alpha = 0 inf if one side is open, nan if both are.

        With an open side it is not computed for alpha in (0, 0.01) (float32 0.03), but nan.
        """
        return self._of_batch(window_law.mean_and_variance(*self._parameters())[1])

    def entropy(self) -> Array:
        """Return the differential entropy in nats, of the law on the window."""
        return self._of_batch(window_law.entropy(*self._parameters()))
