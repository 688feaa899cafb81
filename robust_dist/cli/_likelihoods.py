"""The names of the likelihoods, without importing what they are."""

from importlib.resources import files
from runpy import run_path

# a file that imports nothing, run by itself: to import robust_dist.regression takes a second
_FILE = files("robust_dist").joinpath("regression", "likelihoods", "_names.py")
LIKELIHOODS: tuple[str, ...] = run_path(str(_FILE))["NAMES"]
COMPARED = LIKELIHOODS[:4]
"""unless others are asked for"""
