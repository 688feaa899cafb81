"""Barron's general adaptive robust loss as a proper NumPyro distribution."""
