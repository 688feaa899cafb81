r"""alpha and the scale, each known or found: the mode of their posterior given the residuals.

Given the residuals' lengths, the log posterior

.. math::
    \sum_i \log p(r_i \mid \alpha, c) + \log p(\alpha) + \log p(c)

is raised along one coordinate at a time: c at fixed alpha, then alpha at fixed orthogonal scale,
which alpha hardly moves (``orthogonal_scale``). Both by bisection of the derivative, which
needs no start and ends in the corner if the maximum is there.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, ImproperUniform, Uniform, constraints

from robust_dist._arguments import check_real
from robust_dist._numerics.elliptical import radius
from robust_dist._numerics.formats import promote_inexact
from robust_dist._numerics.loss import rho
from robust_dist._numerics.orthogonal_scale import orthogonal_scale, scale_from_orthogonal
from robust_dist.distributions.general_robust import GeneralRobust

type Parameter = ArrayLike | Distribution
"""a number, which is held fixed; a prior, for the posterior mode; or "ml", a flat prior"""


class Noise(NamedTuple):
    """alpha and c as they are now, and the priors of those that are found."""

    alpha: Array
    scale: Array
    alpha_prior: Distribution | None
    scale_prior: Distribution | None

    @property
    def found(self) -> bool:
        """Whether either is."""
        return self.alpha_prior is not None or self.scale_prior is not None


def noise(alpha: Parameter, scale: Parameter, like: Array) -> Noise:
    """Return what is known of alpha and c, checked and in the dtype of an array."""
    alpha_prior = _prior("alpha", alpha, Uniform(0.0, 2.0))
    scale_prior = _prior("scale", scale, ImproperUniform(constraints.positive, (), ()))
    one = jnp.ones((), like.dtype)
    a, c = one, one
    if alpha_prior is not None:
        a = jnp.clip(one, *_ends(alpha_prior, 0 * one, 2 * one))
    else:
        a = _number("alpha", alpha, like)
        _refuse(a, lambda v: v <= 2, "alpha must lie in [-inf, 2]; it is")
        if scale_prior is not None:
            _refuse(a, lambda v: v >= 0, "a scale is found for alpha in [0, 2] only; alpha is")
    if scale_prior is None:
        c = positive("scale", scale, like)
    return Noise(a, c, alpha_prior, scale_prior)


def _prior(name: str, value: Parameter, flat: Distribution) -> Distribution | None:
    if isinstance(value, str):
        if value != "ml":
            raise ValueError(f"{name} must be a number, a prior or 'ml'; it is {value!r}")
        return flat
    if not isinstance(value, Distribution):
        return None
    if value.batch_shape or value.event_shape:
        raise ValueError(f"the prior of {name} must be of one number; it is of {value.shape()}")
    return value


def positive(name: str, value: ArrayLike, like: Array) -> Array:
    """Return a scale, checked and in the dtype of an array."""
    c = _number(name, value, like)
    _refuse(c, lambda v: (v > 0) & (v < jnp.inf), f"{name} must be positive and finite; it is")
    return c


def _number(name: str, value: ArrayLike, like: Array) -> Array:
    check_real(**{name: value})
    (number,) = promote_inexact(jnp.asarray(value, like.dtype))
    if number.ndim:
        raise ValueError(f"{name} must be one number; it is of shape {number.shape} (use jax.vmap)")
    return number


def _refuse(value: Array, allowed: Callable[[Array], Array], message: str) -> None:
    """Raise for a known value that is not allowed; a traced one cannot be looked at."""
    if not isinstance(value, jax.core.Tracer) and not bool(allowed(value)):
        raise ValueError(f"{message} {float(value):g}")


def lengths(residuals: Array) -> Array:
    """Return the length of each row's residual, of shape (rows,)."""
    return jnp.abs(residuals) if residuals.ndim == 1 else jnp.linalg.norm(residuals, axis=-1)


def log_posterior(known: Noise, alpha: Array, scale: Array, length: Array, dimension: int) -> Array:
    """Return the log posterior density of alpha and c, up to a constant, given lengths."""
    if dimension == 1:
        sigma = orthogonal_scale(alpha, scale)
        each = GeneralRobust.with_orthogonal_scale(alpha, 0.0, sigma).log_prob(length)
    else:
        log_constant = radius.log_normalizer(dimension, alpha) + dimension * jnp.log(scale)
        each = -rho(length, alpha, scale) - log_constant
    total = jnp.sum(each)
    if known.alpha_prior is not None:
        total += known.alpha_prior.log_prob(alpha)
    if known.scale_prior is not None:
        total += known.scale_prior.log_prob(scale)
    return total


def _peak(value: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Return where a function of a number peaks, an end if it has no peak between them."""
    slope = jax.grad(value)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        left, right = ends
        middle = (left + right) / 2
        # where there is no law, on the left, the slope is nan
        falling = slope(middle) < 0
        return jnp.where(falling, left, middle), jnp.where(falling, middle, right)

    count = 44 if jnp.finfo(low.dtype).bits == 64 else 26
    left, right = lax.fori_loop(0, count, halve, (low, high))
    return jnp.where(left == low, low, jnp.where(right == high, high, (left + right) / 2))


def _ends(prior: Distribution, low: ArrayLike, high: ArrayLike) -> tuple[Array, Array]:
    """Return the interval on which a prior lives, within [low, high]."""
    support = prior.support
    low, high = jnp.asarray(low), jnp.asarray(high)
    left = jnp.asarray(getattr(support, "lower_bound", low), low.dtype)
    right = jnp.asarray(getattr(support, "upper_bound", high), low.dtype)
    return jnp.clip(left, low, high), jnp.clip(right, low, high)


def ends_of_alpha(known: Noise) -> tuple[Array, Array]:
    """Return between which values alpha is sought."""
    assert known.alpha_prior is not None
    return _ends(known.alpha_prior, jnp.zeros_like(known.alpha), jnp.full_like(known.alpha, 2))


def smallest_scale(length: Array) -> Array:
    """Return the c that rounding alone gives, which no derivative passes: below, the fit is exact.

    There the likelihood grows without bound as c -> 0: at alpha = 0 if half of the rows fit
    exactly, at alpha > 0 if all do.
    """
    info = jnp.finfo(length.dtype)
    floor = jnp.maximum(4 * float(info.eps) * jnp.median(length), float(info.tiny) ** 0.5)
    return lax.stop_gradient(floor)


def update(known: Noise, length: Array, dimension: int, floor: Array) -> Noise:
    """Return alpha and c, where they are to be found, at their next values."""
    alpha, scale = known.alpha, known.scale
    if known.scale_prior is not None:
        top = 1e6 * jnp.maximum(jnp.max(length), floor)
        low, high = _ends(known.scale_prior, floor, top)
        scale = jnp.exp(
            _peak(
                lambda log_c: log_posterior(known, alpha, jnp.exp(log_c), length, dimension),
                jnp.log(low),
                jnp.log(high),
            )
        )
    if known.alpha_prior is not None:
        sigma = orthogonal_scale(alpha, scale)
        fixed = known.scale_prior is None

        def scale_at(alpha: Array) -> Array:
            return scale if fixed else scale_from_orthogonal(alpha, sigma)

        alpha = _peak(
            lambda a: log_posterior(known, a, scale_at(a), length, dimension), *ends_of_alpha(known)
        )
        scale = scale_at(alpha)
    return known._replace(alpha=alpha, scale=scale)
