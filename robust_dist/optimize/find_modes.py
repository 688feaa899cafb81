"""The modes of any NumPyro model's posterior, for samplers to start in."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from robust_dist.optimize.explore import explore, shares
from robust_dist.optimize.log_density import LogDensity


class PosteriorMode(NamedTuple):
    """A peak of a posterior."""

    values: dict[str, jax.Array]
    """of the sites that are sampled: ``init_to_value(values=mode.values)`` starts there"""
    weight: float
    """its share of the mass of all that were found, by Laplace's approximation"""
    log_evidence: float
    """the logarithm of its mass"""


def find_modes(
    model: Callable[..., Any],
    *model_args: Any,
    starts: Sequence[Callable[..., Any]],
    **model_kwargs: Any,
) -> tuple[PosteriorMode, ...]:
    r"""Return the modes of a model's posterior that can be climbed to, that of the most mass first.

    On the unconstrained axes of NumPyro's samplers, with d of them and the curvature H of the log
    density over a standard deviation, a mode at z has the mass

    .. math:: p(y, z) \, (2\pi)^{d/2} \, \det(H)^{-1/2}.

    Two peaks with no valley of 2 nats between them are one. No chain leaves a mode for another, so
    let each have chains of its own, and weigh them.

    Parameters
    ----------
    model, model_args, model_kwargs
        A NumPyro model of continuous sites, and its arguments.
    starts
        Where to climb from: NumPyro's ``init_strategy`` functions, such as
        :func:`robust_dist.optimize.init_to_robust` of all rows, and of some of them.

    Returns
    -------
    tuple of PosteriorMode
        Empty if the density has no peak.

    References
    ----------
    As for ``Regression``, which does this by itself.

    Examples
    --------
    >>> import numpyro
    >>> import numpyro.distributions as dist
    >>> from numpyro.infer import init_to_value
    >>> from robust_dist.optimize import find_modes
    >>> def model(y):
    ...     loc = numpyro.sample("loc", dist.Normal(0, 100))
    ...     numpyro.sample("y", dist.Cauchy(loc, 1), obs=y)
    >>> y = jnp.array([-0.3, 0.1, 0.2, 0.4, 19.8, 20.1, 20.2])
    >>> modes = find_modes(model, y, starts=[init_to_value(values={"loc": v}) for v in (0.0, 20.0)])
    >>> [round(float(mode.values["loc"])) for mode in modes]
    [0, 20]
    """
    from numpyro.infer.util import initialize_model

    positions = []
    for start in starts:
        info = initialize_model(
            jax.random.key(0),
            model,
            init_strategy=start,
            model_args=model_args,
            model_kwargs=model_kwargs,
        )
        flat, unravel = ravel_pytree(info.param_info.z)
        positions.append(np.asarray(flat, float))
    if not positions:
        return ()
    value = jax.jit(jax.value_and_grad(lambda flat: -info.potential_fn(unravel(flat))))

    def slope(position: np.ndarray) -> tuple[float, np.ndarray]:
        height, gradient = value(jnp.asarray(position))
        return float(height), np.asarray(gradient, float)

    size = positions[0].size
    density = LogDensity({"z": (size,)}, slope, lambda z: {"z": z}, lambda sites: sites["z"])
    modes = explore(density, np.array(positions))
    result = []
    for mode, weight in zip(modes, shares([m.log_evidence for m in modes]), strict=True):
        sites = info.postprocess_fn(unravel(jnp.asarray(mode.position)))
        sampled = {name: sites[name] for name in info.param_info.z}
        result.append(PosteriorMode(sampled, float(weight), mode.log_evidence))
    return tuple(result)
