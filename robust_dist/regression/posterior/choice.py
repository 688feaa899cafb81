"""Which sampler does NUTS: the one rule."""

import warnings
from collections.abc import Mapping
from typing import Any

from jax.sharding import Mesh

from robust_dist._errors import InputError
from robust_dist.regression.datatree import Setting
from robust_dist.regression.posterior.engine import ready, unsupported

SAMPLERS = ("auto", "nutpie", "numpyro")


def choose_sampler(
    sampler: str, setting: Setting, data: Mapping[str, Any], mesh: Mesh | None = None
) -> str:
    """Return ``"nutpie"`` or ``"numpyro"``.

    ``"auto"`` is nutpie, but for models that it does not know, and where it is not installed.

    Parameters
    ----------
    sampler
        One of ``SAMPLERS``.
    setting, data
        The model, and the arguments of its function.
    mesh
        Devices over which rows are spread.

    Raises
    ------
    InputError
        If nutpie is asked for, and cannot.
    """
    if sampler == "numpyro":
        return sampler
    reason = unsupported(setting, data, mesh)
    if reason is None:
        reason = ready(setting)
        if reason is not None and sampler == "auto":
            warnings.warn(f"{reason}; NumPyro's NUTS samples instead", RuntimeWarning, stacklevel=3)
    if reason is None:
        return "nutpie"
    if sampler == "nutpie":
        raise InputError(f"nutpie cannot sample this model: {reason}; use sampler 'numpyro'")
    return "numpyro"
