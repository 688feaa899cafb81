"""LogParetoTailed: a law whose tails are heavier than those of any power."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.util import validate_sample

from robust_dist._arguments import check_real
from robust_dist._numerics import log_pareto
from robust_dist._numerics.formats import promote_inexact
from robust_dist.distributions._family import FamilyLaw


class LogParetoTailed(FamilyLaw):
    r"""A symmetric law with log-Pareto tails, for what may lie at any order of magnitude.

    .. math::

        p(x \mid m, s) = \frac{1}{2 s \sqrt{1 + z^2}\, (1 + \operatorname{asinh}^2 z)^{3/2}},
        \qquad z = (x - m)/s

    asinh z is Student's t with two degrees of freedom, over sqrt(2). The density is smooth, and far
    out, with a = abs(z), 1/(2 a (log 2a)^3): log-regularly varying, heavier than Cauchy's by
    a/(log 2a)^3, as posterior robustness needs of what outliers are to follow. A half of it lies
    within 0.61 s of m, 1 - 1/(2 log^2 2a) of it within a scales. There is no moment of any order.

    Parameters
    ----------
    loc
        Location m, the centre of symmetry and the mode, in the data's units.
    scale
        Scale s > 0, in the data's units.
    validate_args
        Whether to check the parameters and the values, as is NumPyro's default
        (``numpyro.enable_validation``).

    Raises
    ------
    ValueError
        If the scale is not positive. Under ``validate_args=False``, and where they are traced (as
        by ``jit``), such parameters give nan.

    References
    ----------
    P. Gagnon, A. Desgagne and M. Bedard, A New Bayesian Approach to Robustness Against Outliers in
    Linear Regression, Bayesian Analysis 15, 2020; Y. Hamura, K. Irie and S. Sugasawa, Posterior
    Robustness with Milder Conditions, 2023, arXiv 2303.00281.

    Examples
    --------
    >>> from robust_dist import LogParetoTailed
    >>> print(f"{1 - LogParetoTailed().cdf(1e6):.4f}")
    0.0012
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    reparametrized_params: ClassVar[list[str]] = ["loc", "scale"]

    def __init__(
        self,
        loc: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
        *,
        validate_args: bool | None = None,
    ) -> None:
        batch_shape = self._store(loc=loc, scale=scale)
        super().__init__(batch_shape, validate_args=validate_args)

    def _parameters(self, *values: ArrayLike) -> tuple[Array, ...]:
        """Return loc, scale and values in one floating dtype; scale is nan where there is none."""
        loc, scale, *promoted = promote_inexact(self.loc, self.scale, *values)
        return loc, jnp.where(scale > 0, scale, jnp.nan), *promoted

    def _standardised(self, value: ArrayLike) -> Array:
        loc, scale, value = self._parameters(value)
        return (value - loc) / scale

    @validate_sample
    def log_prob(self, value: ArrayLike) -> Array:
        """Return the log density at value, of the broadcast shape of value and batch_shape."""
        check_real(value=value)
        return log_pareto.log_density(self._standardised(value)) - jnp.log(self._parameters()[1])

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Return draws, with pathwise derivatives in loc and scale.

        One in 8,000 lies beyond what float32 holds, one in 500,000 beyond float64: these are held
        at the largest number.

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
        loc, scale = self._parameters()
        dtype = loc.dtype
        least = jnp.finfo(dtype).epsneg - 1
        uniform = jax.random.uniform(key, shape, dtype, minval=least, maxval=1.0)
        largest = jnp.finfo(dtype).max
        return jnp.clip(loc + scale * log_pareto.draw(uniform), -largest, largest)

    @property
    def mean(self) -> Array:
        """There is none, hence nan."""
        loc, scale = self._parameters()
        return self._of_batch(loc + scale * jnp.nan)

    @property
    def mode(self) -> Array:
        """The mode, loc."""
        return self._of_batch(self._parameters()[0])

    @property
    def variance(self) -> Array:
        """There is none, hence nan."""
        return self.mean

    def _tail(self, value: ArrayLike) -> tuple[Array, Array]:
        """Return whether value lies below loc, and the mass beyond it."""
        z = self._standardised(value)
        return z < 0, log_pareto.tail(z)

    def cdf(self, value: ArrayLike) -> Array:
        """Return P(X <= value); above loc it rounds to 1, which ``log_sf`` does not."""
        below, tail = self._tail(value)
        return jnp.where(below, tail, 1 - tail)

    def log_cdf(self, value: ArrayLike) -> Array:
        """Return log P(X <= value), accurate however small it is."""
        below, tail = self._tail(value)
        return jnp.where(below, jnp.log(tail), jnp.log1p(-tail))

    def log_sf(self, value: ArrayLike) -> Array:
        """Return log P(X > value), the survival side of ``log_cdf``, as accurate."""
        below, tail = self._tail(value)
        return jnp.where(below, jnp.log1p(-tail), jnp.log(tail))

    def icdf(self, q: ArrayLike) -> Array:
        """Return the quantile at q, infinite where it overflows, nan outside of [0, 1]."""
        loc, scale, q = self._parameters(q)
        inside = (q > 0) & (q < 1)
        z = log_pareto.quantile(jnp.where(inside, q, 0.5))
        ends = jnp.where(q == 0, -jnp.inf, jnp.where(q == 1, jnp.inf, jnp.nan))
        return loc + scale * jnp.where(inside, z, ends)
