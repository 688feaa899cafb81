"""The general adaptive robust law, contaminated by a fixed background of extremely heavy tails."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array
from numpyro import distributions as dist
from numpyro.distributions import Distribution

from robust_dist import ContaminatedGeneralRobust, LogParetoTailed, Rounded
from robust_dist._numerics import log_pareto
from robust_dist.regression.likelihoods import general_robust
from robust_dist.regression.likelihoods._alpha import ALPHA, SAYS_LITTLE
from robust_dist.regression.likelihoods._base import (
    BACKGROUND_LOC,
    BACKGROUND_SCALE,
    CONTAMINATION,
    Parameters,
    Shape,
)
from robust_dist.regression.likelihoods._tiles import over_tiles
from robust_dist.regression.likelihoods.general_robust import OfGeneralRobust


class _GoodAlpha(Shape):
    """The shape of what most rows follow."""

    def read(self, draws: np.ndarray, prior: np.ndarray | None, rows: int) -> str:
        """Return what the posterior says of it, without a full stop."""
        low, high = np.quantile(draws, [0.025, 0.975])
        figures = f"without outliers alpha is {draws.mean():.2f} (95% interval {low:.2f} to "
        figures += f"{high:.2f}): "
        if prior is not None and draws.std() > SAYS_LITTLE * prior.std():
            return f"{figures}{rows} rows say hardly more than its prior"
        nearest = min(self.members, key=lambda member: abs(member - draws.mean()))
        return f"{figures}nearest to {self.members[nearest]} ({nearest:g})"


# The loss of an alpha of 1 or more is convex: what has heavier tails than that is the background's
# to explain, and an alpha that could explain it too would cost precision.
_ALPHA = _GoodAlpha(**(vars(ALPHA) | {"prior": lambda: dist.Uniform(1.0, 2.0)}))


class _Contamination(Shape):
    """Read as a share of rows."""

    def read(self, draws: np.ndarray, prior: np.ndarray | None, rows: int) -> str:
        """Return how many rows follow the background."""
        low, high = 100 * np.quantile(draws, [0.025, 0.975])
        return (
            f"contamination is {100 * draws.mean():.2g}% of rows (95% interval {low:.2g}% to "
            f"{high:.2g}%)"
        )


_CONTAMINATION = _Contamination(
    CONTAMINATION, prior=lambda: dist.Beta(1.0, 9.0), closed=True, upper=1.0
)


class _Contaminated(OfGeneralRobust):
    name = "contaminated"
    title = "contaminated general robust"
    shapes = (_ALPHA, _CONTAMINATION)
    background_width = 8.0
    # the background lies where it lies, on one side of most rows
    symmetric = False

    def row_law(self, **parameters: Any) -> Distribution:
        return ContaminatedGeneralRobust(**_with_background(parameters))

    def sampled_law(self, **parameters: Any) -> Distribution:
        return ContaminatedGeneralRobust.with_orthogonal_scale(**_with_background(parameters))

    def background_log_density(self, z: np.ndarray, cell: float = 0.0) -> np.ndarray:
        if cell > 0:
            with jax.enable_x64(True):
                return np.asarray(Rounded(LogParetoTailed(0.0, 1.0), cell).log_prob(z))
        density: np.ndarray = log_pareto.log_density(z)
        return density

    def mean(self, parameters: Parameters) -> np.ndarray:
        """Return the centre of what most rows follow; the background has no mean."""
        return parameters["loc"]

    def quartile(self, law: Parameters) -> np.ndarray:
        """Return that of what most rows follow."""
        good = {name: law[name] for name in ("alpha", "loc", "scale")}
        return general_robust.LIKELIHOOD.quartile(good)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        """Return those of the law, times the probability that the row follows it."""
        return super().irls_weight(z, law) * (1 - self.outlier_probability(z, law))

    def outlier_probability(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        return over_tiles(partial(_probability, self), {**law, _POINT: z})[0]


# beside a law's parameters, of which none has this name
_POINT = "point"


@partial(jax.jit, static_argnums=0)
def _probability(likelihood: _Contaminated, tile: Mapping[str, Array]) -> tuple[Array]:
    parameters = {name: value for name, value in tile.items() if name != _POINT}
    law = likelihood.row_law(**parameters)
    assert isinstance(law, ContaminatedGeneralRobust)
    return (law.outlier_probability(tile[_POINT]),)


def _with_background(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the law."""
    own = dict(parameters)
    loc, scale = own["loc"] + own.pop(BACKGROUND_LOC), own.pop(BACKGROUND_SCALE)
    return {**own, "background": LogParetoTailed(loc, scale)}


LIKELIHOOD = _Contaminated()
