"""KL divergences of the family, registered with NumPyro's ``kl_divergence``."""

from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import Normal
from numpyro.distributions.kl import kl_divergence

from robust_dist._numerics.formats import promote_inexact
from robust_dist.distributions.general_robust import GeneralRobust


def _parameters(law: GeneralRobust | Normal) -> tuple[ArrayLike, ...]:
    return law._parameters() if isinstance(law, GeneralRobust) else (2, law.loc, law.scale)


def _kl(p: GeneralRobust | Normal, q: GeneralRobust | Normal) -> Array:
    # who never asks for a divergence does not wait for its quadrature rules
    from robust_dist._numerics.divergence import divergence

    return divergence(*promote_inexact(*_parameters(p), *_parameters(q)))


kl_divergence.register(GeneralRobust, GeneralRobust)(_kl)
kl_divergence.register(Normal, GeneralRobust)(_kl)
kl_divergence.register(GeneralRobust, Normal)(_kl)
