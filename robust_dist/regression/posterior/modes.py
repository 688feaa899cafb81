r"""The mode of the posterior on the sampler's axes.

The objective is the log joint density of data and parameters as NumPyro's samplers see it: of the
unconstrained coordinates z, in which every parameter lies on the whole line, Jacobian included,

.. math:: \log p(y \mid \theta(z)) + \log p(\theta(z)) + \log |d\theta/dz| .

It is climbed in double precision from several starts by L-BFGS, the best of which is ended by
Newton's steps (SciPy's trust region), so that gradient and curvature at the end can tell whether it
is a mode.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from scipy import optimize

from robust_dist.optimize.log_density import LogDensity
from robust_dist.regression.model import STRUCTURES
from robust_dist.regression.posterior.sites import (
    Model,
    constrained,
    potential,
    size,
    unconstrained,
    unravel,
)

# Besides the robust fit, at zero: a posterior with one mode needs none of them. Half of them lie as
# far off as NumPyro's samplers start, half four times as far
_STARTS = 16
_RADII = (2.0, 8.0)
# of the density in one climb: some hundred lead to a mode, and none is where these do not
_EVALUATIONS = 2_000
# The density of a law with kinks has no gradient at its mode, where L-BFGS stops short. It is begun
# again from this many points about the end, until none gains what is asked
_RESTARTS = 12
_GAIN = 1e-3
"""nats that are worth a further step"""
_HESSIAN = 300
"""parameters up to which the curvature is computed, at two gradients each"""
_AT_ONCE = 1_000_000
"""vectors times rows that are in memory at a time"""
_INFINITE = 1e300
"""what stands for the descent where the log density is not finite"""


class Target(NamedTuple):
    """The log joint density on the sampler's axes, in double precision."""

    density: Callable[[Array], Array]
    """of the vector of all unconstrained sites, in the order of the model"""
    slope: Callable[[Array], tuple[Array, Array]]
    """the density and its gradient"""
    size: int
    constrain: Callable[[Array], dict[str, Array]]
    """from the vector to the sampled sites"""
    densities: Callable[[Array], Array]
    """of many vectors, one after the other if they are on many rows"""
    constrain_all: Callable[[Array], dict[str, Array]]


class Mode(NamedTuple):
    """Where the log joint density is highest."""

    vector: np.ndarray
    """on the sampler's axes"""
    density: float
    problems: tuple[str, ...]
    """why it may be no mode, one sentence each"""


def sampler_target(model: Model, constants: Any, data: Mapping[str, Any]) -> Target:
    """Return the log joint density of a model; call it, and all it returns, in double precision."""
    constants, data = jax.tree.map(jnp.asarray, (constants, dict(data)))
    density, slope, constrain, densities, constrain_all = (
        partial(_with, program, constants, data) for program in _programs(model)
    )
    count = size(unconstrained(model, constants, data))
    return Target(density, slope, count, constrain, densities, constrain_all)


def _with(
    program: Callable[..., Any], constants: Any, data: Mapping[str, Any], vector: Array
) -> Any:
    return program(vector, constants, data)


@lru_cache(maxsize=STRUCTURES)
def _programs(model: Model) -> tuple[Callable[..., Any], ...]:
    """Return the density, that and its gradient, and the map to what the model samples.

    The density and the map of many vectors, too.
    """

    def density(vector: Array, constants: Any, data: Mapping[str, Any]) -> Array:
        # in the model's order, as NumPyro's guides have it
        z = unravel(vector, unconstrained(model, constants, data))
        return -potential(model, constants, data, z)

    def constrain(vector: Array, constants: Any, data: Mapping[str, Any]) -> dict[str, Array]:
        z = unravel(vector, unconstrained(model, constants, data))
        return constrained(model, constants, data, z)

    def densities(vectors: Array, constants: Any, data: Mapping[str, Any]) -> Array:
        at_once = max(1, _AT_ONCE // len(data["y"]))
        return lax.map(lambda v: density(v, constants, data), vectors, batch_size=at_once)

    def constrain_all(vectors: Array, constants: Any, data: Mapping[str, Any]) -> Any:
        return lax.map(lambda v: constrain(v, constants, data), vectors, batch_size=256)

    slope = jax.value_and_grad(density)
    programs = (density, slope, constrain, densities, constrain_all)
    return tuple(jax.jit(program) for program in programs)


def starts(size: int, key: int = 0) -> np.ndarray:
    """Return where to climb from, shape (starts, size): the robust fit, and points about it."""
    generator = np.random.default_rng(key)
    radii = np.resize(_RADII, (_STARTS, 1))
    return np.vstack([np.zeros(size), radii * generator.uniform(-1, 1, (_STARTS, size))])


def find_mode(target: Target | LogDensity, points: np.ndarray) -> Mode:
    """Return the highest point that can be climbed to from any of these, shape (starts, size)."""

    def descent(vector: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = target.slope(vector)  # type: ignore[arg-type]
        if not np.isfinite(value):  # beyond the reach of doubles: turn back
            return _INFINITE, np.zeros_like(vector)
        return -float(value), -np.asarray(gradient)

    def climb(vector: np.ndarray) -> Any:
        options = {"maxfun": _EVALUATIONS, "maxcor": 30, "ftol": 1e-13, "gtol": 1e-8}
        return optimize.minimize(descent, vector, jac=True, method="L-BFGS-B", options=options)

    best = min((climb(point) for point in points), key=lambda end: end.fun)
    if target.size <= _HESSIAN:
        best = _newton(descent, best)
    best, gain = _begin_again(climb, best)
    return Mode(best.x, -best.fun, _problems(descent, best, gain))


def _hessian(descent: Callable[..., Any], vector: np.ndarray) -> np.ndarray:
    """Return the curvature by central differences of gradients, which need no further program."""
    steps = np.diag(1e-4 * (1 + np.abs(vector)))
    rows = [
        (descent(vector + step)[1] - descent(vector - step)[1]) / (2 * step.sum()) for step in steps
    ]
    return np.asarray(rows + np.transpose(rows)) / 2


def _newton(descent: Callable[..., Any], end: Any) -> Any:
    """Return where Newton's steps lead, if that is any better."""
    newton = optimize.minimize(
        descent,
        end.x,
        jac=True,
        hess=lambda vector: _hessian(descent, vector),
        method="trust-exact",
        options={"gtol": 1e-8},
    )
    return newton if newton.fun <= end.fun else end


def _begin_again(climb: Callable[..., Any], end: Any) -> tuple[Any, float]:
    """Return the end of climbs begun anew near the last one's, and what the last round gained."""
    generator = np.random.default_rng(1)
    width, gain = 0.1, np.inf
    for _ in range(_RESTARTS):
        again = climb(end.x + width * generator.normal(size=end.x.size))
        gain = max(end.fun - again.fun, 0.0)
        if gain > 0:
            end = again
        if gain <= _GAIN:
            width /= 4
            if width < 0.01:
                break
    return end, gain


def _problems(descent: Callable[..., Any], end: Any, gain: float) -> tuple[str, ...]:
    """Return why the end may be no mode."""
    if end.fun >= _INFINITE:
        return ("the log density is not finite where the optimiser started: there is no mode",)
    gradient = descent(end.x)[1]
    if end.x.size <= _HESSIAN:
        values, vectors = np.linalg.eigh(_hessian(descent, end.x))
        smooth = np.abs(gradient).max() < 1e-3
        if smooth and values.min() <= 0:
            return (
                "the optimiser ended where the log density has no peak's curvature in some "
                "direction: it is no mode, or has no width; use method 'nuts'",
            )
        # what a Newton step would gain, of which a density with kinks gains nothing
        step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-8))
        gains = [end.fun - descent(end.x - size * step)[0] for size in (1.0, 0.1, 0.01)]
        gain = max(gain, *gains)
    if gain <= 10 * _GAIN:
        return ()
    return (
        "the optimiser stopped before the mode: a further step would raise the log density by "
        f"{gain:.2g}; use method 'nuts'",
    )
