"""The rows of a regression, spread over the devices of a mesh."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from robust_dist._errors import InputError
from robust_dist.many_rows import CHUNKS
from robust_dist.regression.posterior.padding import fill


def shard(data: Mapping[str, Any], mesh: Mesh) -> dict[str, Any]:
    """Return the model's arguments with rows spread over all axes of the mesh.

    Rows that repeat the last one, and are masked, fill the last device up; then the model is the
    same, and one all-reduce is all that a gradient has to say.

    Parameters
    ----------
    data
        The keyword arguments of the model, rows leading.
    mesh
        Of devices; every process gives all rows, and keeps those of its devices.

    Raises
    ------
    InputError
        If it is no mesh.
    """
    if not isinstance(mesh, Mesh):
        raise InputError(
            "mesh must be a jax.sharding.Mesh, such as Mesh(jax.devices(), 'row'), not "
            f"{type(mesh).__name__}"
        )
    rows = len(data["y"])
    # each device has as many rows as any other, and each place that float64 is asked at as well
    multiple = mesh.size * CHUNKS if rows >= mesh.size * CHUNKS else mesh.size
    extra = -rows % multiple
    arguments = fill(data, rows + extra) if extra else dict(data)
    # the compiler decides on the sharding of all else, also where the mesh asks to be told
    spread = NamedSharding(Mesh(mesh.devices, mesh.axis_names), PartitionSpec(mesh.axis_names))

    def place(values: Any) -> jax.Array:
        values = np.asarray(values)
        return jax.make_array_from_callback(values.shape, spread, lambda index: values[index])

    return jax.tree.map(place, arguments)
