"""Student's t, with nu degrees of freedom."""

import math
from typing import Any

import numpy as np
from numpyro import distributions as dist

from robust_dist.regression.likelihoods._base import Parameters, Shape
from robust_dist.regression.likelihoods._kernel import Kernel, Row, log_sum, logarithm
from robust_dist.regression.likelihoods._of_scipy import OfSciPy

# below nu = 2 there is no variance, and from 30 on the law is Normal for every practical purpose
_NU = Shape("nu", prior=lambda: dist.Gamma(2.0, 0.1), landmarks=(2, 30))

_HALF_LOG_PI = 0.5 * math.log(math.pi)
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def _log_gamma(x: float) -> tuple[float, float]:
    """Return log Gamma(x) and its derivative, by Stirling's series beyond 12."""
    shift, slope = 1.0, 0.0
    while x < 12.0:
        shift *= x
        slope -= 1.0 / x
        x += 1.0
    log, y = logarithm(x), 1.0 / (x * x)
    series = 1 / 12 + y * (
        -1 / 360 + y * (1 / 1260 + y * (-1 / 1680 + y * (1 / 1188 + y * (-691 / 360360 + y / 156))))
    )
    falling = 1 / 12 + y * (
        -1 / 120 + y * (1 / 252 + y * (-1 / 240 + y * (1 / 132 + y * (-691 / 32760 + y / 12))))
    )
    value = (x - 0.5) * log - x + _HALF_LOG_TWO_PI + series / x - logarithm(shift)
    return value, log - 0.5 / x - y * falling + slope


def _prepare(nu: float, ratio: float, tables: Any) -> tuple[float, ...]:
    lower, lower_slope = _log_gamma(0.5 * nu)
    upper, upper_slope = _log_gamma(0.5 * (nu + 1.0))
    log_constant = upper - lower - 0.5 * logarithm(nu) - _HALF_LOG_PI
    return nu, 1.0 / nu, log_constant, 0.5 * (upper_slope - lower_slope - 1.0 / nu)


def _row(u: float, shared: tuple[float, ...]) -> Row:
    nu, inverse, log_constant, log_constant_slope = shared
    y = u * u * inverse
    log, pull = log_sum(1.0, y), (nu + 1.0) * inverse / (1.0 + y)
    return (
        log_constant - 0.5 * (nu + 1.0) * log,
        -u * pull,
        log_constant_slope - 0.5 * log + 0.5 * y * pull,
        u * u * pull - 1.0,
        0.0,
    )


class _StudentT(OfSciPy):
    name = "student_t"
    title = "Student's t"
    kernel = Kernel("student_t", _prepare, _row)
    shapes = (_NU,)
    # JAX has no derivative of the incomplete beta function in nu
    tails = False

    def row_law(self, **parameters: Any) -> dist.Distribution:
        return dist.StudentT(parameters.pop("nu"), **parameters)

    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        return 1 / (1 + z**2 / law["nu"])

    def scipy_law(self, law: Parameters) -> Any:
        from scipy import stats

        return stats.t(law["nu"])


LIKELIHOOD = _StudentT()
