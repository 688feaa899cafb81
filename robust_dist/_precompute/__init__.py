"""Generators of the shipped tables and of the reference values, in high precision.

Run as ``python -m robust_dist._precompute.NAME``. Nothing at run time imports this package: it
needs the ``precompute`` extra (mpmath, python-flint).
"""
