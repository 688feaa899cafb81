"""NumPyro distributions over the numerics."""

import sys

# ArviZ leaves a lazy numpyro behind. Asked for one of its submodules first, Python loads that
# module twice, and numpyro.distributions loses its own submodules; asked this way, it does not.
from numpyro import distributions as _distributions

# NumPyro's kl_divergence knows the family as soon as any of its members is imported.
from robust_dist.distributions import kl as _kl  # noqa: F401

# Somebody may have asked for a submodule before. numpyro.factor looks for the lost one, and with it
# NUTS where data are arguments.
_distributions.distribution = sys.modules["numpyro.distributions.distribution"]
