"""The regression that several benchmarks sample, written by hand, and NumPyro's sampler of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

Model = Callable[[Any, Any], None]
Law = Callable[..., dist.Distribution]


def regression_model(
    site: str, prior: Callable[[], dist.Distribution] | None, law: Law, part: int | None = None
) -> Model:
    """Return a model of x and y.

    Its noise is ``law(shape, loc, scale)``, with the shape sampled at a site from a prior, or None
    without one. With ``part`` it looks at so many rows at a time.
    """

    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
        scale = numpyro.sample("scale", dist.HalfNormal(5))
        shape = None if prior is None else numpyro.sample(site, prior())
        with numpyro.plate("row", len(y), subsample_size=part) as rows:
            some = (x, y) if part is None else (x[rows], y[rows])
            numpyro.sample("y", law(shape, some[0] @ beta, scale), obs=some[1])

    return model


def sampler(model: Model, warmup: int, draws: int, chains: int) -> MCMC:
    """Return a sampler that compiles once for data of one shape."""
    return MCMC(
        NUTS(model),
        num_warmup=warmup,
        num_samples=draws,
        num_chains=chains,
        chain_method="sequential",
        progress_bar=False,
        jit_model_args=True,
    )
