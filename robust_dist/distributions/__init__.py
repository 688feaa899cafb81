"""NumPyro distributions over the numerics."""

# ArviZ leaves a lazy numpyro behind. Asked for one of its submodules first, Python would load that
# module twice and numpyro.distributions would lose its own submodules; asked this way, it does not.
from numpyro import distributions as _distributions  # noqa: F401
