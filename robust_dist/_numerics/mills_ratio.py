r"""The tail of many points under few alphas, from a table made inside the compiled function.

With rho(x) = tau^2/2 and J = dx/d tau (see ``tau``) the Mills ratio

    R(tau) = exp(tau^2/2)/J(tau) integral_tau^inf exp(-t^2/2) J(t) dt

is smooth and neither grows nor falls fast; it obeys R' = (tau - g) R - 1 with g = d log J/d tau.
Quintic Hermite cells take it from one node to the next. They crowd at tau = 0, where J bends
sharply when alpha is near 2. For float64 alone: summed over the cells in float32, it would lose
more digits than ``tails``. It is right where the density in tau is at
least exp(LOG_FLOOR), which holds to P = 1e-285; and every P underflows from tau = 53.3 on, where x
overflows at alpha = 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_dist._numerics.spline import checked_nodes, evaluate, gather, quintic_cells
from robust_dist._numerics.tau import curve, log_slope

# cells in [0, 1], of equal width in tau^(1/4); those beyond have the width of the last of these
_INNER = 160
_PER_UNIT = _INNER // 4
_LAST = 53
_NODES = checked_nodes(
    np.concatenate(
        [
            (np.arange(_INNER) / _INNER) ** 4,
            np.linspace(1, _LAST, (_LAST - 1) * _PER_UNIT + 1),
        ]
    ),
    0,
    _LAST,
)
_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(4)

LOG_FLOOR = -665.0
"""the log of the density in tau from which on the table is right"""


def mills_ratio(tau: Array, alpha: Array) -> Array:
    """Return R at every tau >= 0, for alphas that broadcast against it; finite beyond the floor."""
    alphas, width = alpha.ravel()[:, None], np.diff(_NODES)

    def mass(tau: Array) -> Array:
        point = curve(tau, alphas)
        # in one exponential: J alone is large for alpha near 0
        return point.factor * jnp.exp(point.growth - 0.5 * tau * tau)

    inside = _NODES[:-1, None] + 0.5 * width[:, None] * (1 + _GAUSS_NODES)
    parts = mass(jnp.asarray(inside.ravel()[None])).reshape(alphas.shape[0], width.size, -1)
    cells = jnp.sum(parts * (0.5 * width[:, None] * _GAUSS_WEIGHTS), -1)
    node = jnp.broadcast_to(_NODES, (alphas.shape[0], _NODES.size))
    g, bend = jax.jvp(
        lambda t: log_slope(t, alphas, curve(t, alphas)), (node,), (jnp.ones_like(node),)
    )
    density = mass(node)
    # beyond the last node, and where it underflows, the integrand falls like an exponential
    beyond = density[:, -1:] / (node - g)[:, -1:]
    tail = jnp.cumsum(jnp.concatenate([cells, beyond], 1)[:, ::-1], 1)[:, ::-1]
    normal = density > 1e-300
    fall = node - g
    ratio = jnp.where(normal, tail / jnp.where(normal, density, 1), 1 / jnp.where(normal, 1, fall))
    slope = fall * ratio - 1
    second = (1 - bend) * ratio + fall * slope
    tau = jnp.minimum(tau, _NODES[-1])
    position = jnp.where(tau < 1, _INNER * jnp.sqrt(jnp.sqrt(tau)), _INNER + (tau - 1) * _PER_UNIT)
    cell = jnp.clip(position.astype(jnp.int32), 0, width.size - 1)
    first = jnp.arange(alpha.size, dtype=jnp.int32).reshape(alpha.shape) * width.size
    columns = [part.ravel() for part in quintic_cells(ratio, slope, second, width)]
    start, scale = (jnp.asarray(edge)[cell] for edge in (_NODES[:-1], 1 / width))
    return evaluate(gather(columns, first + cell), (tau - start) * scale)
