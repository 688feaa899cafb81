"""What ArviZ needs to say how much a posterior owes to its prior."""

from collections.abc import Callable
from typing import Any

import arviz_base
import jax
import numpy as np
from numpyro.handlers import seed, trace
from numpyro.infer.util import compute_log_probs
from xarray import DataTree

from robust_dist._errors import InputError


def add_log_prior(dt: DataTree, model: Callable[..., Any], *args: Any, **kwargs: Any) -> DataTree:
    """Return the DataTree with a group ``log_prior``, for ``arviz_stats.psense_summary``.

    Parameters
    ----------
    dt
        Draws of any NumPyro model, such as ``arviz_base.from_numpyro(mcmc)`` gives. (The fits of
        ``robust_dist.regression.Regression`` have the group already.)
    model
        The model that was sampled.
    args, kwargs
        Its arguments, the observed data among them.

    Returns
    -------
    DataTree
        A shallow copy; ``log_prior`` holds the log density of every latent site at every draw,
        summed over the site, under the site's name.

    Raises
    ------
    InputError
        If the posterior lacks a site of the model.
    """
    posterior = dt["posterior"].dataset
    sites = _latent_sites(model, args, kwargs)
    missing = [name for name in sites if name not in posterior]
    if missing:
        raise InputError(
            f"the posterior has no draws of the model's site '{missing[0]}'; it holds: "
            f"{', '.join(map(str, posterior.data_vars))}"
        )
    draws = {
        name: np.asarray(posterior[name].transpose("chain", "draw", ...).values) for name in sites
    }

    def at(draw: dict[str, jax.Array]) -> dict[str, jax.Array]:
        density, _ = compute_log_probs(seed(model, 0), args, kwargs, draw)
        return {name: density[name] for name in sites}

    # one draw after the other: side by side they would need draws x rows of memory
    density = jax.jit(lambda draws: jax.lax.map(lambda chain: jax.lax.map(at, chain), draws))(draws)
    tree = dt.copy()
    tree["log_prior"] = arviz_base.from_dict(
        {"log_prior": {name: np.asarray(value, float) for name, value in density.items()}}
    )["log_prior"]
    return tree


def _latent_sites(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[str]:
    """Return the names of the sites that the model samples and does not observe."""
    sites = trace(seed(model, 0)).get_trace(*args, **kwargs).values()
    return [site["name"] for site in sites if site["type"] == "sample" and not site["is_observed"]]
