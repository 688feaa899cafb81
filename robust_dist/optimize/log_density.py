"""A log density on the whole space: a function of positions, which stand for a model's sites."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Sites = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class LogDensity:
    """The log density of unconstrained positions, in double precision, and what they stand for."""

    shapes: Mapping[str, tuple[int, ...]]
    """of the sites, in the order of a position"""
    slope: Callable[[np.ndarray], tuple[float, np.ndarray]]
    """the log density of a position, and its gradient"""
    sites: Callable[[np.ndarray], Sites]
    """of positions, which lie along the last axis"""
    positions: Callable[[Sites], np.ndarray]
    """of draws, which lead the shapes of the sites: shape (draws, size)"""

    @property
    def size(self) -> int:
        """How many numbers a position has."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def places(self, name: str) -> slice:
        """Return where a site stands in a position."""
        start = 0
        for site, shape in self.shapes.items():
            stop = start + int(np.prod(shape))
            if site == name:
                return slice(start, stop)
            start = stop
        raise KeyError(name)

    def unraveled(self, positions: np.ndarray) -> Sites:
        """Return the unconstrained values of each site, of positions along the last axis."""
        lead = positions.shape[:-1]
        return {
            name: positions[..., self.places(name)].reshape(*lead, *shape)
            for name, shape in self.shapes.items()
        }
