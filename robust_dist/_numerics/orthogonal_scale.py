r"""The orthogonal scale: what Fisher information says of the scale when alpha is unknown.

alpha and log c are correlated under every member of the family. With

.. math::
    H'(\alpha) = \frac{I_{\alpha, \log c}}{I_{\log c, \log c}}, \qquad H(2) = 0, \qquad
    \sigma = c\, e^{H(\alpha)},

alpha and sigma are not: their Fisher information is zero (Cox & Reid 1987). H has the same
singularity at 2 as log Z, H = s b (log(b)/4 + c1 + G), c1 = (gamma + log 2 - 2)/4, so that in
(alpha, sigma) it cancels; see ``alpha_table``.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from robust_dist._arguments import check_real
from robust_dist._numerics.alpha_table import SingularTable, slope, value
from robust_dist._numerics.formats import promote_inexact
from robust_dist._tables import orthogonal as _table

__all__ = ["orthogonal_scale", "scale_from_orthogonal"]

TABLE = SingularTable(_table, at_two=0.0, c=(np.euler_gamma + math.log(2) - 2) / 4)


def log_ratio(alpha: Array) -> Array:
    """Return H = log(sigma/c), differentiable twice."""
    return value(TABLE, alpha)


def log_ratio_slope(alpha: Array) -> Array:
    """Return H', differentiable once."""
    return slope(TABLE, alpha)


@jax.jit
def orthogonal_scale(alpha: ArrayLike, scale: ArrayLike) -> Array:
    r"""Return the orthogonal scale sigma = c exp(H(alpha)) of a member of the family.

    .. math::

        H'(\alpha) = I_{\alpha, \log c}/I_{\log c, \log c}, \qquad H(2) = 0

    with the Fisher information I of alpha and log c. Asymptotically the estimates of alpha and
    sigma are independent, where those of alpha and c are not (correlation 0.86 at alpha = 1).
    sigma is the standard deviation at alpha = 2; sigma/c falls from 3.13 at alpha = 0 through 1 at
    2 to 0.70 at inf. First and second derivatives are exact; at alpha = 2, where those in alpha are
    infinite, the convention of :func:`robust_dist.log_normalizer` holds.

    Parameters
    ----------
    alpha
        Shape, in [0, inf].
    scale
        Scale c, in the data's units.

    Returns
    -------
    Array
        sigma, in the data's units, of the arguments' broadcast shape; nan for alpha < 0.

    References
    ----------
    D. R. Cox and N. Reid, Parameter Orthogonality and Approximate Conditional Inference, J. R.
    Statist. Soc. B 49, 1987; H is this package's own.
    """
    check_real(alpha=alpha, scale=scale)
    alpha, scale = promote_inexact(alpha, scale)
    return scale * jnp.exp(log_ratio(alpha))


@jax.jit
def scale_from_orthogonal(alpha: ArrayLike, sigma: ArrayLike) -> Array:
    r"""Return the scale c = sigma exp(-H(alpha)), the inverse of :func:`orthogonal_scale`.

    Parameters
    ----------
    alpha
        Shape, in [0, inf].
    sigma
        Orthogonal scale, in the data's units.

    Returns
    -------
    Array
        c, in the data's units, of the arguments' broadcast shape; nan for alpha < 0.

    References
    ----------
    As for :func:`orthogonal_scale`.
    """
    check_real(alpha=alpha, sigma=sigma)
    alpha, sigma = promote_inexact(alpha, sigma)
    return sigma * jnp.exp(-log_ratio(alpha))
