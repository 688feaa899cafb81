"""Laws that can be the prior of a parameter: of one continuous number, and proper."""

import warnings
from typing import Any

import jax
import numpy as np
from numpyro import distributions as dist

from robust_dist._errors import InputError
from robust_dist.regression.ordered_law import ordered, unordered

# on the axis that the sampler moves along, which maps to the law's support
_AXIS = np.linspace(-2.0, 2.0, 9, dtype=np.float32)


def check_prior(name: str, prior: dist.Distribution) -> None:
    """Refuse a law without a density with which a sampler could work.

    Discrete laws and points have none, improper ones cannot be drawn from, and NumPyro does not
    check every parameter: Uniform(2, 0) has no density anywhere.

    Raises
    ------
    InputError
        If the law is one of these.
    """
    law = type(prior).__name__
    if isinstance(prior, dist.Delta):
        raise InputError(f"the prior of '{name}' is a point; give its number, which fixes '{name}'")
    try:
        discrete = prior.support.is_discrete
        jax.eval_shape(lambda: prior.sample(jax.random.key(0)))
    except Exception:  # of any kind: abstract and improper laws fail each in their own way
        raise InputError(
            f"the prior of '{name}', {law}, cannot be drawn from; give a proper law, such as Normal"
        ) from None
    if discrete:
        raise InputError(
            f"the prior of '{name}', {law}, is discrete; give a law of real numbers, such as Normal"
        )
    if prior.event_shape:
        return  # such laws are refused with the shape that is due
    if not _has_density(prior):
        raise InputError(
            f"the prior of '{name}', {law}, has no density with these parameters; check their order"
        )


def _has_density(prior: dist.Distribution) -> bool:
    """Whether the density is finite somewhere, for each element of the law."""
    axis = _AXIS.reshape(-1, *(1 for _ in prior.batch_shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPyro's, of points outside of an empty support
        finite = np.isfinite(_log_density(ordered(prior), axis))
        if not finite.any(axis=0).all():  # it may be narrow, and elsewhere
            finite = np.isfinite(prior.log_prob(prior.sample(jax.random.key(0), (100,))))
    return bool(finite.any(axis=0).all())


@jax.jit
def _log_density(law: Any, axis: jax.Array) -> jax.Array:
    prior = unordered(law)
    return prior.log_prob(dist.biject_to(prior.support)(axis))
