"""NumPyro distributions over the numerics."""

# ArviZ leaves a lazy numpyro behind. Asked for one of its submodules first, Python would load that
# module twice and numpyro.distributions would lose its own submodules; asked this way, it does not.
from numpyro import distributions as _distributions  # noqa: F401

# NumPyro's kl_divergence knows the family as soon as any of its members is imported.
from robust_dist.distributions import kl as _kl  # noqa: F401
