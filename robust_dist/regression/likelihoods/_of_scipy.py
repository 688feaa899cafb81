"""Likelihoods whose tails SciPy knows, in double precision.

They import ``scipy.stats`` where they use it: it takes two seconds, which no model needs.
"""

from abc import abstractmethod
from typing import Any

import numpy as np

from robust_dist.regression.likelihoods._base import Likelihood, Parameters


class OfSciPy(Likelihood):
    """A symmetric likelihood that is a law of SciPy's too."""

    @abstractmethod
    def scipy_law(self, law: Parameters) -> Any:
        """Return SciPy's law of a reduced residual."""

    def log_tails(self, z: np.ndarray, law: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Return log P(Z <= z) and log P(Z > z) of reduced residuals."""
        frozen = self.scipy_law(law)
        return frozen.logcdf(z), frozen.logsf(z)

    def quartile(self, law: Parameters) -> np.ndarray:
        """Return half of the distance between the quartiles of the reduced law."""
        return np.asarray(self.scipy_law(law).ppf(0.75))
