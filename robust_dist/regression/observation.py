r"""The law of a response that is not observed in full: one known to a side, or to a window.

With F the distribution function of the response itself, and f its density, a row that lies between
l and h, either of which may be infinite, has the likelihood F(h) - F(l), and f(y) where they agree.
Where only what lies between l and h is among the data at all, it is f(y)/(F(h) - F(l)).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.distributions import Distribution, constraints

from robust_dist import IntervalCensored, LeftCensored, RightCensored
from robust_dist._errors import InputError
from robust_dist.regression.design.design import BOUNDS, Bounds, Design
from robust_dist.regression.likelihoods import LIKELIHOODS, Likelihood

type Kinds = tuple[str, ...]
LEFT, RIGHT, WITHIN = "left", "right", "within"


def check_bounds(design: Design, likelihood: Likelihood) -> None:
    """Refuse responses that are not observed in full where that is not known to a likelihood.

    Raises
    ------
    InputError
        If the likelihood has no tails, or the response is rounded besides.
    """
    for what in design.bounds:
        if not likelihood.tails:
            others = ", ".join(name for name, other in LIKELIHOODS.items() if other.tails)
            raise InputError(
                f"a {what} response needs the distribution function of the noise, which the "
                f"likelihood '{likelihood.name}' lacks; choose one of {others}"
            )
        if design.resolution is not None:
            raise InputError(
                f"the response is {what}, so that it cannot have a resolution too; a rounded value "
                "is an interval: censored(low, high, status)"
            )


def noted(design: Design) -> tuple[str, ...]:
    """Return in words how the response is observed, if not in full."""
    if design.truncated is not None:
        return (f"'{design.response}' is among the data only between its bounds (truncated)",)
    if design.censored is None:
        return ()
    counts = {kind: int(rows.sum()) for kind, rows in _kinds(design.censored).items()}
    words = {LEFT: "from the left", RIGHT: "from the right", WITHIN: "to an interval"}
    parts = ", ".join(f"{count} {words[kind]}" for kind, count in counts.items() if count)
    return (f"of {len(design.y)} values of '{design.response}' are censored: {parts}",)


def _kinds(bounds: Bounds) -> dict[str, np.ndarray]:
    """Return which rows are open on one side, and which are closed on both and no point."""
    left, right = np.isneginf(bounds.low), np.isposinf(bounds.high)
    closed = ~left & ~right & (bounds.low < bounds.high)
    return {LEFT: left & ~right, RIGHT: right & ~left, WITHIN: closed}


def kinds_of(bounds: Bounds) -> Kinds:
    """Return of which kinds there are rows: what no row is takes no time."""
    return tuple(kind for kind, rows in _kinds(bounds).items() if rows.any())


class _Bounded(Distribution):
    """What both laws share."""

    support = constraints.real
    pytree_data_fields = ("base_dist", "low", "high")
    pytree_aux_fields = ("kinds",)

    def __init__(self, base_dist: Any, low: Any, high: Any, kinds: Kinds) -> None:
        self.base_dist, self.low, self.high, self.kinds = base_dist, low, high, kinds
        shape = jnp.broadcast_shapes(base_dist.batch_shape, jnp.shape(low))
        super().__init__(shape, validate_args=False)

    def _select(self, otherwise: Array, value: Array) -> Array:
        """Return the log probabilities of rows that are no points, and what the others have."""
        law = self.base_dist
        left, right = jnp.isneginf(self.low), jnp.isposinf(self.high)
        chosen = otherwise
        if LEFT in self.kinds:
            end = jnp.where(left, self.high, value)
            chosen = jnp.where(left & ~right, LeftCensored(law, left).log_prob(end), chosen)
        if RIGHT in self.kinds:
            end = jnp.where(right, self.low, value)
            chosen = jnp.where(right & ~left, RightCensored(law, right).log_prob(end), chosen)
        if WITHIN in self.kinds:
            closed = ~left & ~right & (self.low < self.high)
            ends = [jnp.where(closed, end, value) for end in (self.low, self.high)]
            between = IntervalCensored(law, False, False).log_prob(jnp.stack(ends, axis=-1))
            chosen = jnp.where(closed, between, chosen)
        return chosen


class Censored(_Bounded):
    """Responses of which some are known to lie in an interval only; draws are of the response."""

    def log_prob(self, value: Any) -> Array:
        """Return the log density at value, or the log probability of a row's interval."""
        value = jnp.broadcast_to(jnp.asarray(value), self.batch_shape)
        return self._select(self.base_dist.log_prob(value), value)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Return draws of the response, known exactly."""
        return self.base_dist.expand(self.batch_shape).sample(key, sample_shape)


class Truncated(_Bounded):
    """Responses that are among the data because they lie in a window; draws lie there too."""

    def log_prob(self, value: Any) -> Array:
        """Return the log density at value, given that it is in the window."""
        value = jnp.broadcast_to(jnp.asarray(value), self.batch_shape)
        everything = jnp.zeros_like(value)
        return self.base_dist.log_prob(value) - self._select(everything, value)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Return draws from the window, by quantiles.

        Where the window holds less of the law than the format resolves, draws are at its end.
        """
        law = self.base_dist
        below, above = (
            jnp.where(jnp.isinf(end), otherwise, law.cdf(jnp.where(jnp.isinf(end), 0.0, end)))
            for end, otherwise in ((self.low, 0.0), (self.high, 1.0))
        )
        share = jax.random.uniform(key, (*sample_shape, *self.batch_shape), below.dtype)
        tiny = jnp.finfo(below.dtype).tiny
        one = 1 - jnp.finfo(below.dtype).epsneg
        quantile = jnp.clip(below + share * (above - below), tiny, one)
        return jnp.clip(law.icdf(quantile), self.low, self.high)


_LAWS: Mapping[str, Callable[..., _Bounded]] = dict(zip(BOUNDS, (Censored, Truncated), strict=True))


def bounded(law: Distribution, what: str, low: Any, high: Any, kinds: Kinds) -> Distribution:
    """Return the law of responses with these bounds, ``"censored"`` or ``"truncated"``."""
    return _LAWS[what](law, low, high, kinds)
