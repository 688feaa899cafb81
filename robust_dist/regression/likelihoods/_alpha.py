"""The shape alpha of the general adaptive robust loss, which two likelihoods have."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax import Array
from numpyro import distributions as dist

from robust_dist import weight
from robust_dist.regression.likelihoods._base import Shape
from robust_dist.regression.likelihoods._link import LOGIT_OF_TWO
from robust_dist.regression.likelihoods._tiles import over_tiles

# share of the prior's spread from which on the data have hardly spoken
SAYS_LITTLE = 0.85


class _Alpha(Shape):
    """Read against its landmarks 0 (Cauchy), 1 (hyperbolic) and 2 (Normal)."""

    def read(self, draws: np.ndarray, prior: np.ndarray | None, rows: int) -> str:
        """Return what the posterior of an alpha that all rows share says."""
        low, high = np.quantile(draws, [0.025, 0.975])
        below = float(np.mean(draws < 1))
        figures = (
            f"alpha is {draws.mean():.2f} (95% interval {low:.2f} to {high:.2f}), "
            f"P(alpha < 1) = {below:.2f}"
        )
        if prior is not None and draws.std() > SAYS_LITTLE * prior.std():
            verdict = (
                f"{rows} rows cannot tell heavy tails from Normal ones: "
                "the posterior of alpha is nearly as wide as its prior"
            )
        elif high < 1:
            verdict = (
                "the tails are heavy, between Cauchy (0) and hyperbolic (1): "
                "outlying rows count for little"
            )
        elif low > 2:
            verdict = "the tails are lighter than Normal (2)"
        elif low > 1:
            verdict = (
                "the tails are lighter than hyperbolic (1) and nearer to Normal (2): "
                "no row is set aside"
            )
        else:
            side = "heavier than hyperbolic (1), towards Cauchy (0)"
            other = "lighter than hyperbolic (1), towards Normal (2)"
            likely, unlikely = (side, other) if below > 0.5 else (other, side)
            sure = "probably" if max(below, 1 - below) > 0.8 else "perhaps"
            verdict = f"the tails are {sure} {likely}, but {rows} rows do not rule out {unlikely}"
        return f"{figures}: {verdict}"


ALPHA = _Alpha(
    "alpha",
    prior=lambda: dist.Uniform(0.0, 2.0),
    link=LOGIT_OF_TWO,
    closed=True,
    # below 1 a far row's pull falls again, 2 is Normal
    landmarks=(1, 2),
    members={0.0: "Cauchy", 1.0: "hyperbolic", 2.0: "Normal"},
    symbol="α",
)


def irls_weight(z: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return the weights of reduced residuals under the loss of scale 1."""
    # single precision is ample for a weight, and twice as fast
    return over_tiles(_weight, {"z": z, "alpha": alpha})[0]


@jax.jit
def _weight(tile: Mapping[str, Array]) -> tuple[Array]:
    z, alpha = (tile[name].astype(np.float32) for name in ("z", "alpha"))
    return (weight(z, alpha, 1.0),)


def alphas(law: Any) -> Any:
    """Return the alphas of a law, of which each makes a table of its own to draw from; or 0."""
    law = getattr(law, "base_dist", law)  # before rounding
    return getattr(law, ALPHA.name, 0.0)
