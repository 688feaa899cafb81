"""Robust Bayesian linear regression: the object, and how it is fitted by NUTS."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd
from jax import Array
from numpyro import distributions as dist
from numpyro.infer import MCMC, NUTS, Predictive, init_to_uniform, log_likelihood
from xarray import DataTree

from robust_dist._errors import InputError
from robust_dist.regression.datatree import Draws, make_datatree
from robust_dist.regression.formula import make_design
from robust_dist.regression.model import make_model
from robust_dist.regression.priors import default_priors, replace_priors
from robust_dist.regression.standardize import standardize

# the fields of HMCState that become sample_stats
_STATISTICS = (
    "diverging",
    "num_steps",
    "accept_prob",
    "energy",
    "potential_energy",
    "adapt_state.step_size",
)


class Regression:
    """A linear regression whose noise is ``GeneralRobust(alpha, 0, scale)``, alpha inferred.

    Parameters
    ----------
    formula
        Such as ``"y ~ x1 + log(x2) + group"``; see ``formula.make_design``.
    data
        A pandas DataFrame, or a mapping of names to columns.
    priors
        NumPyro distributions, in the user's units, in place of some of the default priors
        ``"beta"``, ``"scale"`` and ``"alpha"``; that of ``"beta"`` has one element per coefficient
        or a single one for all.

    Attributes
    ----------
    model
        The NumPyro model, ``model(x, y=None)``. It works in standardised units, so that single
        precision suffices; its sites ``beta`` and ``scale`` are in the user's.
    data
        The keyword arguments of the model: ``MCMC(NUTS(reg.model), ...).run(key, **reg.data)``.
    priors
        The priors by name.
    design
        The response and the design matrix in the user's units.

    Raises
    ------
    InputError
        If the formula or the data cannot be used; the message says why.
    """

    def __init__(
        self,
        formula: str,
        data: pd.DataFrame | Mapping[str, Any],
        priors: Mapping[str, dist.Distribution] | None = None,
    ) -> None:
        self.formula = formula
        frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(dict(data))
        self.design = make_design(formula, frame)
        self.coordinates = standardize(self.design)
        self.priors = replace_priors(default_priors(self.design, self.coordinates), priors)
        self.model = make_model(self.priors, self.coordinates)
        self.data = {
            "x": self.coordinates.x.astype(np.float32),
            "y": self.coordinates.y.astype(np.float32),
        }

    def fit(
        self,
        *,
        draws: int = 1000,
        warmup: int = 1000,
        chains: int = 4,
        seed: int = 0,
        progress: bool = False,
        stage: Callable[[str], None] | None = None,
    ) -> DataTree:
        """Sample the posterior by NUTS.

        Parameters
        ----------
        draws, warmup
            Kept and discarded draws of each chain.
        chains
            Run in parallel if there is a device for each, else vectorised on one.
        seed
            The same seed gives the same draws on the same machine.
        progress
            Whether to show a progress bar on stderr.
        stage
            Called with a few words as each stage starts.

        Returns
        -------
        DataTree
            Groups ``posterior``, ``sample_stats``, ``log_likelihood``, ``posterior_predictive``,
            ``prior``, ``observed_data`` and ``constant_data``, in the user's units, with dimensions
            ``coefficient`` and ``row``.
        """
        for name, value in {"draws": draws, "warmup": warmup, "chains": chains}.items():
            if value < 1:
                raise InputError(f"{name} must be 1 or more, not {value}")
        say = stage or (lambda text: None)
        keys = jax.random.split(jax.random.key(seed), 2)
        say(f"compiling and sampling {chains} chains of {warmup} + {draws} draws")
        mcmc = _sample(self, keys[0], draws, warmup, chains, progress)
        say("predicting and computing the log-likelihood")
        samples = mcmc.get_samples(group_by_chain=True)
        latent = {name: samples[name] for name in ("beta_z", "scale_z", "alpha")}
        return make_datatree(
            self.design,
            self.coordinates,
            Draws(
                latent, mcmc.get_extra_fields(group_by_chain=True), *_follow(self, keys[1], latent)
            ),
            {"formula": self.formula, "seed": seed, "warmup": warmup},
        )


def _sample(
    regression: Regression, key: Array, draws: int, warmup: int, chains: int, progress: bool
) -> MCMC:
    """Run NUTS."""
    # the standardised origin is a robust fit: chains start apart, but not far from it
    kernel = NUTS(regression.model, init_strategy=init_to_uniform(radius=1.0))
    mcmc = MCMC(
        kernel,
        num_warmup=warmup,
        num_samples=draws,
        num_chains=chains,
        chain_method="parallel" if jax.local_device_count() >= chains else "vectorized",
        progress_bar=progress,
    )
    mcmc.run(key, **regression.data, extra_fields=_STATISTICS)
    return mcmc


def _follow(
    regression: Regression, key: Array, latent: dict[str, Array]
) -> tuple[Array, Array, dict[str, Array]]:
    """Return the log-likelihood and predictive draws, and as many draws from the prior."""
    model, x, y = regression.model, regression.data["x"], regression.data["y"]
    chains, draws = latent["alpha"].shape

    # compiled as one: run step by step, each operation would be compiled on its own
    @jax.jit
    def follow(key: Array, latent: dict[str, Array]) -> tuple[Array, Array, dict[str, Array]]:
        keys = jax.random.split(key)
        likelihood = log_likelihood(model, latent, x=x, y=y, batch_ndims=2, parallel=True)
        predictive = Predictive(model, latent, return_sites=["y"], batch_ndims=2, parallel=True)(
            keys[0], x=x
        )
        prior = Predictive(
            model, num_samples=chains * draws, return_sites=list(latent), parallel=True
        )(keys[1], x=x[:1])
        return likelihood["y"], predictive["y"], {name: prior[name][None] for name in latent}

    return follow(key, latent)
