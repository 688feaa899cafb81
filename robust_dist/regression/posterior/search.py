"""The modes of a model's posterior that may have a share of its mass worth a word."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpyro import distributions as dist

from robust_dist.optimize.explore import LocalMode, explore
from robust_dist.optimize.log_density import LogDensity
from robust_dist.optimize.threads import one_thread
from robust_dist.regression.datatree import Setting
from robust_dist.regression.posterior.candidates import candidates
from robust_dist.regression.posterior.log_density import log_density, standing_for_all
from robust_dist.regression.posterior.mixture import likely

_ROWS = 10_000
"""that are looked at; each then counts for those left out"""


class Search(NamedTuple):
    """What was found."""

    density: LogDensity
    """of the rows that were looked at"""
    modes: tuple[LocalMode, ...]
    """that of the most mass first; none where there is no peak"""


@one_thread()
def search(setting: Setting, data: Mapping[str, Any], near: np.ndarray | None = None) -> Search:
    """Return the modes of a posterior.

    Parameters
    ----------
    setting, data
        The model and its arguments.
    near
        Which rows are not far out in the predictors, shape (n,); None if that is all of them.
    """
    if near is not None:
        data = {**data, "near": near}
    part = standing_for_all(data, _ROWS)
    near = part.pop("near", None)
    density = log_density(setting, part)
    # the joint density of effects and their sd has no mode, but grows as both go to 0
    held = [
        f"{term.name}_sigma_z"
        for term in setting.design.groups
        if isinstance(setting.priors[f"{term.name}_sigma"], dist.Distribution)
    ]
    modes = explore(density, candidates(setting, part, density, near), held)
    return Search(density, likely(modes) if modes else ())
