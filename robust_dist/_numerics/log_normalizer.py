r"""The log-normalizer of the standardised law, log Z(alpha), from a generated quintic table.

.. math:: Z(\alpha) = \int_{-\infty}^{\infty} e^{-\rho(x, \alpha, 1)}\,dx

log Z is smooth in alpha except at 2, where its derivative diverges logarithmically:

    log Z = log(2 pi)/2 + s b (log(b)/4 + c0 + G(v)),   b = abs(alpha - 2),  s = sign(alpha - 2),

with c0 = (gamma + log 2 - 1)/4 and G smooth in v = b^(1/4); see ``alpha_table``.
"""

import math

import jax
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from robust_dist._arguments import check_real
from robust_dist._numerics.alpha_table import SingularTable, slope, value
from robust_dist._numerics.formats import promote_inexact
from robust_dist._tables import log_normalizer as _table

__all__ = ["log_normalizer"]

TABLE = SingularTable(
    _table, at_two=0.5 * math.log(2 * math.pi), c=(np.euler_gamma + math.log(2) - 1) / 4
)


def log_normalizer_and_slope(alpha: Array) -> tuple[Array, Array]:
    """Return log Z and its derivative, both differentiable once more."""
    return value(TABLE, alpha), slope(TABLE, alpha)


@jax.jit
def log_normalizer(alpha: ArrayLike) -> Array:
    r"""Return log Z(alpha), the log-normalizer of the standardised law.

    .. math::

        Z(\alpha) = \int_{-\infty}^{\infty} e^{-\rho(x, \alpha, 1)}\,dx

    The density of x with location m and scale c is exp(-rho(x - m, alpha, c))/(c Z(alpha)).
    log Z falls from log(pi sqrt 2) at alpha = 0 through log(2 pi)/2 at 2 to 0.70526 at inf. First
    and second derivatives are exact. At alpha = 2, where they are infinite, a finite convention
    stands for them: abs(alpha - 2) is taken as 1e-30 (in float32 as 1e-10), here and in
    :func:`robust_dist.rho`.

    Parameters
    ----------
    alpha
        Shape, in [0, inf].

    Returns
    -------
    Array
        log Z, of alpha's shape; nan for alpha < 0, where the integral diverges.

    References
    ----------
    J. T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, eq. 17 and appendix C; the
    expansion at alpha = 2 and the tables are this package's own.
    """
    check_real(alpha=alpha)
    return value(TABLE, *promote_inexact(alpha))
