"""Student's t, with nu degrees of freedom."""

from typing import Any

import numpy as np
from numpyro import distributions as dist

from robust_dist.regression.likelihoods._base import Parameters, Shape
from robust_dist.regression.likelihoods._of_scipy import OfSciPy

# below nu = 2 there is no variance, and from 30 on the law is Normal for every practical purpose
_NU = Shape("nu", prior=lambda: dist.Gamma(2.0, 0.1), landmarks=(2, 30))


class _StudentT(OfSciPy):
    name = "student_t"
    title = "Student's t"
    shapes = (_NU,)

    def row_law(self, **parameters: Any) -> dist.Distribution:
        return dist.StudentT(parameters.pop("nu"), **parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        return 1 / (1 + z**2 / law["nu"])

    def scipy_law(self, law: Parameters) -> Any:
        from scipy import stats

        return stats.t(law["nu"])


LIKELIHOOD = _StudentT()
