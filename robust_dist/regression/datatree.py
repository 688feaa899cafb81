"""From the sampler's draws to an ArviZ DataTree in the user's units."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import arviz_base
import numpy as np
from xarray import DataTree

from robust_dist.regression.formula import Design
from robust_dist.regression.standardize import Standardization

# NumPyro's names for what ArviZ calls otherwise, as in arviz_base.from_numpyro
_STATISTICS = {
    "num_steps": "n_steps",
    "accept_prob": "acceptance_rate",
    "adapt_state.step_size": "step_size",
}


class Draws(NamedTuple):
    """What the sampler returned, in its own units; chain and draw lead every shape."""

    posterior: Mapping[str, Any]
    statistics: Mapping[str, Any]
    log_likelihood: Any
    predictive: Any
    prior: Mapping[str, Any]


def make_datatree(
    design: Design, coordinates: Standardization, draws: Draws, attributes: Mapping[str, Any]
) -> DataTree:
    """Return the DataTree of a fit.

    Parameters
    ----------
    design, coordinates
        The data, and the map from the sampler's units.
    draws
        The draws of ``beta_z``, ``scale_z`` and ``alpha`` and what follows from them.
    attributes
        What to record of the run, besides the response's name and the versions.
    """
    statistics = {
        _STATISTICS.get(name, name): np.asarray(values) for name, values in draws.statistics.items()
    }
    statistics["lp"] = -statistics.pop("potential_energy")
    # density in the user's units: y = fitted + scale * z
    log_likelihood = np.asarray(draws.log_likelihood, float) - np.log(coordinates.scale)
    return arviz_base.from_dict(
        {
            "posterior": _parameters(draws.posterior, coordinates),
            "sample_stats": statistics,
            "log_likelihood": {"y": log_likelihood},
            "posterior_predictive": {
                "y": coordinates.response(np.asarray(draws.predictive, float))
            },
            "prior": _parameters(draws.prior, coordinates),
            "observed_data": {"y": design.y},
            "constant_data": {"x": design.x},
        },
        coords={"coefficient": list(design.coefficients), "row": list(design.rows)},
        dims={"beta": ["coefficient"], "y": ["row"], "x": ["row", "coefficient"]},
        attrs={
            "/": {
                "response": design.response,
                "inference_library": "numpyro",
                "numpyro_version": version("numpyro"),
                "robust_dist_version": version("robust-dist"),
                **attributes,
            }
        },
    )


def _parameters(draws: Mapping[str, Any], coordinates: Standardization) -> dict[str, np.ndarray]:
    """Return the parameters in the user's units and double precision."""
    return {
        "beta": coordinates.coefficients(np.asarray(draws["beta_z"], float)),
        "scale": coordinates.scale * np.asarray(draws["scale_z"], float),
        "alpha": np.asarray(draws["alpha"], float),
    }
