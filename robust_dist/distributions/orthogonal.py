"""The documented address of OrthogonalGeneralRobust."""

from robust_dist.distributions.general_robust import OrthogonalGeneralRobust

__all__ = ["OrthogonalGeneralRobust"]
