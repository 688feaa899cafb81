"""Point estimates by reweighted least squares, adaptive and annealed; starts for samplers."""

from robust_dist.optimize.anneal import alpha_schedule, anneal, anneal_residuals
from robust_dist.optimize.distances import Distances, robust_distances
from robust_dist.optimize.find_modes import PosteriorMode, find_modes
from robust_dist.optimize.irls import irls, irls_residuals
from robust_dist.optimize.least_absolute import least_absolute
from robust_dist.optimize.reweight import RobustFit
from robust_dist.optimize.start import init_to_robust

__all__ = [
    "Distances",
    "PosteriorMode",
    "RobustFit",
    "alpha_schedule",
    "anneal",
    "anneal_residuals",
    "find_modes",
    "init_to_robust",
    "irls",
    "irls_residuals",
    "least_absolute",
    "robust_distances",
]
