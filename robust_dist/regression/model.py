"""The regression as a plain NumPyro model: the only place that calls ``numpyro.sample``."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
import numpyro
from jax import Array
from jax.typing import ArrayLike
from numpyro import distributions as dist
from numpyro.distributions.transforms import AffineTransform

from robust_dist import GeneralRobust
from robust_dist.regression.standardize import Standardization


def make_model(
    priors: Mapping[str, dist.Distribution], coordinates: Standardization
) -> Callable[..., None]:
    """Return the model function ``model(x, y=None)``.

    It takes the standardised design and response and samples ``beta_z``, ``scale_z`` and ``alpha``;
    ``beta`` and ``scale`` are the same in the user's units.
    """
    unit, scale = coordinates.unit, coordinates.scale
    beta_prior = _moved(priors["beta"], -coordinates.fit / unit, 1 / unit)
    scale_prior = _moved(priors["scale"], 0.0, 1 / scale)

    def model(x: Array, y: ArrayLike | None = None) -> None:
        n, p = x.shape
        with numpyro.plate("coefficient", p):
            beta = numpyro.sample("beta_z", beta_prior)
        c = numpyro.sample("scale_z", scale_prior)
        alpha = numpyro.sample("alpha", priors["alpha"])
        with numpyro.plate("row", n):
            numpyro.sample("y", GeneralRobust(alpha, x @ beta, c), obs=y)
        numpyro.deterministic("beta", coordinates.coefficients(beta))
        numpyro.deterministic("scale", scale * c)

    return model


def _moved(
    prior: dist.Distribution, loc: np.ndarray | float, scale: np.ndarray | float
) -> dist.Distribution:
    """Return the law of ``loc + scale * b`` for b drawn from the prior."""
    affine = AffineTransform(
        jnp.asarray(loc, jnp.result_type(float)),
        jnp.asarray(scale, jnp.result_type(float)),
        domain=prior.support,
    )
    return dist.TransformedDistribution(prior, affine)
