"""NumPyro distributions over the numerics."""
