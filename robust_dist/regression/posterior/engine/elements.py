"""Numbers with a prior of their own: how they follow from what is sampled, and their density.

An element of the model, t, follows from an unconstrained q as NumPyro's ``biject_to`` has it, and
its law is that of loc + scale v, where v has the prior

    log p(v) = constant + power log v - rate v - inverse/v - (precision/2) (v - center)^2
               - tail log(1 + narrow (v - center)^2) - (log_precision/2) (log v - log_center)^2
               + other_power log(1 - v),

which is Normal, HalfNormal, StudentT, Cauchy, Gamma, InverseGamma, LogNormal, Beta and so on.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpyro import distributions as dist
from numpyro.distributions.transforms import AffineTransform, ExpTransform, PowerTransform
from scipy.special import betaln, expit, gammaln, logit

from robust_dist.regression.likelihoods._kernel import exponential, log_sum, logarithm

REAL, ABOVE, BETWEEN = 0.0, 1.0, 2.0


class Support(NamedTuple):
    """The whole line, what lies above a bound, or between it and another one a width off."""

    kind: float
    bound: Any = 0.0
    width: Any = 1.0

    def constrained(self, q: np.ndarray) -> np.ndarray:
        """Return the element of its unconstrained value, as ``element`` does."""
        if self.kind == REAL:
            return q
        if self.kind == BETWEEN:
            return self.bound + self.width * np.clip(expit(q), _TINY, 1 - _EPS)
        return self.bound + np.exp(q)

    def unconstrained(self, t: np.ndarray) -> np.ndarray:
        """Return the unconstrained value of an element."""
        if self.kind == REAL:
            return t
        if self.kind == BETWEEN:
            return logit((t - self.bound) / self.width)
        return np.log(t - self.bound)


_TINY, _EPS = float(np.finfo(float).tiny), float(np.finfo(float).eps)


def element(fields: Any, at: int, q: float) -> tuple[float, float, float, float]:
    """Return t, its derivative in q, and the log density in q with its derivative."""
    kind, bound, width = fields[at], fields[at + 1], fields[at + 2]
    t, by_q, total, total_slope = q, 1.0, 0.0, 0.0
    if kind == BETWEEN:
        # each from the smaller exponential, and held off the ends as NumPyro does
        e = exponential(-abs(q))
        small, large = e / (1.0 + e), 1.0 / (1.0 + e)
        share, other = (large, small) if q > 0 else (small, large)
        t = bound + width * min(max(share, _TINY), 1.0 - _EPS)
        by_q = width * share * other
        total = -abs(q) - 2.0 * log_sum(1.0, e)
        total_slope = other - share
    elif kind != REAL:
        by_q = exponential(q)
        t = bound + by_q
        total, total_slope = q, 1.0
    loc, scale = fields[at + 3], fields[at + 4]
    v, by_v = (t - loc) / scale, 0.0
    power, rate, inverse = fields[at + 5], fields[at + 6], fields[at + 7]
    log_precision = fields[at + 8]
    precision, center, tail = fields[at + 9], fields[at + 10], fields[at + 11]
    if power != 0.0 or log_precision != 0.0:
        # log_center is folded into power, so that one field is enough
        log = logarithm(v)
        total += (power - 0.5 * log_precision * log) * log
        by_v += (power - log_precision * log) / v
    if rate != 0.0:
        total -= rate * v
        by_v -= rate
    if inverse != 0.0:
        total -= inverse / v
        by_v += inverse / (v * v)
    other_power = fields[at + 13]
    if other_power != 0.0:
        total += other_power * logarithm(1.0 - v)
        by_v -= other_power / (1.0 - v)
    away = v - center
    if tail != 0.0:
        narrow = fields[at + 12]
        total -= tail * log_sum(1.0, narrow * away * away)
        by_v -= 2.0 * tail * narrow * away / (1.0 + narrow * away * away)
    elif precision != 0.0:
        total -= 0.5 * precision * away * away
        by_v -= precision * away
    return t, by_q, total, total_slope + by_v / scale * by_q


class Prior(NamedTuple):
    """The fields of the density of v, and its constant."""

    constant: Any = 0.0
    power: Any = 0.0
    rate: Any = 0.0
    inverse: Any = 0.0
    log_precision: Any = 0.0
    precision: Any = 0.0
    center: Any = 0.0
    tail: Any = 0.0
    narrow: Any = 0.0
    other_power: Any = 0.0


_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def _normal(loc: Any, scale: Any) -> Prior:
    return Prior(-np.log(scale) - _HALF_LOG_TWO_PI, precision=scale**-2.0, center=loc)


def _student(df: Any, loc: Any, scale: Any) -> Prior:
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * math.pi) - np.log(scale)
    return Prior(constant, center=loc, tail=(df + 1) / 2, narrow=1 / (df * scale**2))


def _log_normal(loc: Any, scale: Any) -> Prior:
    constant = -np.log(scale) - _HALF_LOG_TWO_PI - 0.5 * (loc / scale) ** 2
    return Prior(constant, power=loc / scale**2 - 1, log_precision=scale**-2.0)


def _gamma(concentration: Any, rate: Any) -> Prior:
    constant = concentration * np.log(rate) - gammaln(concentration)
    return Prior(constant, power=concentration - 1, rate=rate)


def _inverse_gamma(concentration: Any, rate: Any) -> Prior:
    constant = concentration * np.log(rate) - gammaln(concentration)
    return Prior(constant, power=-concentration - 1, inverse=rate)


def _beta(concentration1: Any, concentration0: Any) -> Prior:
    constant = -betaln(concentration1, concentration0)
    return Prior(constant, power=concentration1 - 1, other_power=concentration0 - 1)


def _half(prior: Prior) -> Prior:
    return prior._replace(constant=prior.constant + math.log(2))


# the arguments of a function are the law's own
_FAMILIES: dict[tuple[type, ...], Callable[..., Prior]] = {
    (dist.Normal,): _normal,
    (dist.HalfNormal,): lambda scale: _half(_normal(0.0, scale)),
    (dist.StudentT,): _student,
    (dist.Cauchy,): lambda loc, scale: _student(1.0, loc, scale),
    (dist.HalfCauchy,): lambda scale: _half(_student(1.0, 0.0, scale)),
    (dist.Gamma,): _gamma,
    (dist.Exponential,): lambda rate: _gamma(1.0, rate),
    (dist.Beta,): _beta,
    (dist.Uniform,): lambda low, high: Prior(-np.log(high - low)),
    # as NumPyro takes its own to pieces
    (dist.Gamma, PowerTransform): _inverse_gamma,
    (dist.Normal, ExpTransform): _log_normal,
}


def _one(law: Any) -> Any:
    """Return a law that stands for several alike: fields are spread over a site anyway."""
    while isinstance(law, dist.ExpandedDistribution):
        law = law.base_dist
    return law


class _Parts(NamedTuple):
    """A law taken to pieces: loc + scale times a law of a family."""

    family: tuple[type, ...]
    base: dist.Distribution
    loc: np.ndarray
    scale: np.ndarray


def _parts(law: dist.Distribution) -> _Parts:
    loc, scale, base = np.zeros(()), np.ones(()), _one(law)
    transforms: list[Any] = []
    if isinstance(base, dist.TransformedDistribution):
        base, transforms = _one(base.base_dist), list(base.transforms)
        if transforms and type(transforms[-1]) is AffineTransform:
            affine = transforms.pop()
            loc, scale = np.asarray(affine.loc, float), np.asarray(affine.scale, float)
    kinds = [
        # another power would be another law
        object if isinstance(part, PowerTransform) and np.any(part.exponent != -1) else type(part)
        for part in transforms
    ]
    return _Parts((type(base), *kinds), base, loc, scale)


def known(law: dist.Distribution) -> bool:
    """Return whether ``describe`` can tell of a law."""
    parts = _parts(law)
    return parts.family in _FAMILIES and bool(np.all(parts.scale > 0))


def support(law: dist.Distribution) -> Support:
    """Return where a law lives, computed without JAX, which would compile each step."""
    family, base, loc, scale = _parts(law)
    if family in ((dist.Normal,), (dist.StudentT,), (dist.Cauchy,)):
        return Support(REAL)
    if family == (dist.Beta,):
        return Support(BETWEEN, loc, scale)
    if family != (dist.Uniform,):
        return Support(ABOVE, loc)
    low, high = (loc + scale * np.asarray(end, float) for end in (base.low, base.high))
    return Support(BETWEEN, low, high - low)


def describe(law: dist.Distribution, shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """Return the fields of the elements of a site, one row each, and the constants' sum."""
    parts, where = _parts(law), support(law)
    make = _FAMILIES[parts.family]
    names = inspect.signature(make).parameters
    prior = make(*(np.asarray(getattr(parts.base, name), float) for name in names))
    columns = [*where, parts.loc, parts.scale, *prior[1:]]
    fields = np.stack([np.broadcast_to(column, shape).ravel() for column in columns], axis=1)
    constants = prior.constant - np.log(parts.scale)
    if where.kind == BETWEEN:
        constants = constants + np.log(where.width)
    return fields, float(np.broadcast_to(constants, shape).sum())
