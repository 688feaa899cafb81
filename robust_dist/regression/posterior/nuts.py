"""The posterior by NUTS."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax import Array
from numpyro.infer import MCMC, NUTS, init_to_uniform

# the fields of HMCState that become sample_stats
_STATISTICS = (
    "diverging",
    "num_steps",
    "accept_prob",
    "energy",
    "potential_energy",
    "adapt_state.step_size",
)


def sampler(
    model: Callable[..., None],
    draws: int,
    warmup: int,
    chains: int,
    target_accept: float,
    progress: bool,
    dense: bool = False,
    reuse: bool = False,
    in_turns: bool = False,
) -> MCMC:
    """Return NumPyro's sampler.

    With ``reuse`` it compiles nothing when it runs again on data of the same shapes, and takes
    longer to compile at first. Chains run ``in_turns`` where all would take too much memory.
    """
    together = "parallel" if jax.local_device_count() >= chains > 1 else "vectorized"
    # the standardised origin is a robust fit: chains start apart, but not far from it
    kernel = NUTS(
        model,
        init_strategy=init_to_uniform(radius=1.0),
        target_accept_prob=target_accept,
        dense_mass=dense,
    )
    return MCMC(
        kernel,
        num_warmup=warmup,
        num_samples=draws,
        num_chains=chains,
        chain_method="sequential" if in_turns else together,
        progress_bar=progress,
        jit_model_args=reuse,
    )


def run(mcmc: MCMC, key: Array, data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return draws of every site and the sampler's statistics, chains and draws leading."""
    mcmc.run(key, **data, extra_fields=_STATISTICS)
    return mcmc.get_samples(group_by_chain=True), mcmc.get_extra_fields(group_by_chain=True)
