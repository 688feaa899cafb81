"""The unconstrained sites of a model: their order, their shapes, and the vector of them all.

A model here takes constants and rows (``regression.model.model_of``).
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax import Array
from numpyro.distributions import biject_to
from numpyro.handlers import seed, trace
from numpyro.infer.util import constrain_fn, potential_energy

Model = Callable[..., None]
Shapes = Mapping[str, tuple[int, ...]]


def sampled(traced: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sites of a trace that are sampled, in the order of the model."""
    return {
        name: site
        for name, site in traced.items()
        if site["type"] == "sample" and not site["is_observed"]
    }


def unconstrained(model: Model, constants: Any, data: Mapping[str, Any]) -> Shapes:
    """Return the shape of each sampled site on the whole line, in the order of the model.

    Nothing is computed for it, inside of a program or out.
    """
    order: list[str] = []
    shapes: dict[str, tuple[int, ...]] = {}

    def look() -> None:
        traced = trace(seed(model, jax.random.key(0))).get_trace(constants, **data)
        for name, site in sampled(traced).items():
            order.append(name)
            inverse = biject_to(site["fn"].support).inverse_shape
            shapes[name] = inverse(tuple(site["value"].shape))

    jax.eval_shape(look)
    return OrderedDict((name, shapes[name]) for name in order)


def unravel(vector: Array, shapes: Shapes) -> dict[str, Array]:
    """Return the sites of the vector of all, in this order."""
    sites: dict[str, Array] = {}
    start = 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        sites[name] = vector[start : start + size].reshape(shape)
        start += size
    return sites


def size(shapes: Shapes) -> int:
    """Return the length of the vector of all."""
    return sum(math.prod(shape) for shape in shapes.values())


def potential(model: Model, constants: Any, data: Mapping[str, Any], z: Any) -> Array:
    """Return minus the log joint density of unconstrained sites, the Jacobian included."""
    return potential_energy(model, (constants,), dict(data), z)


def constrained(
    model: Model, constants: Any, data: Mapping[str, Any], z: Mapping[str, Array]
) -> dict[str, Array]:
    """Return what the model samples, of unconstrained sites."""
    values = constrain_fn(model, (constants,), dict(data), dict(z))
    return {name: values[name] for name in z}
