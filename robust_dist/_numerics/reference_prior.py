r"""The reference prior of alpha on all of [0, inf]: density, distribution function and quantile.

.. math:: \pi(\alpha) \propto \sqrt{I_{\alpha\alpha} - I_{\alpha,\log c}^2/I_{\log c,\log c}}

is tabulated by its distribution function, whose derivative is the density, so that this integrates
to 1: P(below alpha) for alpha <= 1, P(above alpha), which falls like 1/alpha, for alpha >= 3, and
between them, with t = alpha - 2, G(v) of

    integral_2^alpha pi = t (pi(2) + t G(v)),   v = abs(t)^(1/4),

since the density has a kink at 2. The regions are those of ``alpha_table``.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from robust_dist._numerics.alpha_table import RATE, AlphaTable, defined
from robust_dist._numerics.spline import checked_nodes
from robust_dist._tables import reference_prior as _table

TABLE = AlphaTable(_table)
_NEWTON_STEPS = 3


class Mass(NamedTuple):
    """What lies on either side of alpha, each exact to the last digits where it is small."""

    below: Array
    above: Array


class _Local(NamedTuple):
    """What the table says at alpha: the mass, log pi and its two derivatives."""

    mass: Mass
    log_density: Array
    slope: Array
    curvature: Array


def _local(alpha: Array) -> _Local:
    cell = TABLE.locate(alpha)
    f, first, second, third = (cell.spline(order) for order in range(4))
    u, rate, t = cell.u, cell.low_rate, cell.s * cell.b
    from_two = t * (_table.at_two + t * f)
    mass = Mass(
        defined(alpha, cell.choose(f, _table.below_two + from_two, 1 - f)),
        defined(alpha, cell.choose(1 - f, _table.above_two - from_two, f)),
    )
    # next to 2 the density and its derivatives in alpha; elsewhere logarithmic ones of that in u
    near = _table.at_two + t * (2 * f + 0.25 * u * first)
    near_slope = (2 * f + (13 / 16) * u * first + u * u * second / 16) / near
    near_curvature = u * ((45 / 16) * first + (15 / 16) * u * second + u * u * third / 16)
    near_curvature = near_curvature / (4 * t * near) - near_slope * near_slope
    density = cell.choose(first, near, first)
    bend = second / jnp.where(cell.near, 1, first)
    bend_slope = third / jnp.where(cell.near, 1, first) - bend * bend
    tail_rate = u / 3  # d u/d alpha is -u^2/3 there, which may underflow
    log_rate = cell.choose(jnp.log(rate), jnp.zeros_like(u), jnp.log(u) + jnp.log(tail_rate))
    return _Local(
        mass,
        defined(alpha, jnp.log(density) + log_rate),
        cell.choose((bend - RATE) * rate, near_slope, -(bend * u + 2) * tail_rate),
        cell.choose(
            (bend_slope - (bend - RATE) * RATE) * rate * rate,
            near_curvature,
            (bend_slope * u * u + 2 * bend * u + 2) * tail_rate * tail_rate,
        ),
    )


@jax.custom_jvp
def _log_density_slope(alpha: Array) -> Array:
    return _local(alpha).slope


@_log_density_slope.defjvp
def _log_density_slope_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (alpha,), (d_alpha,) = primals, tangents
    local = _local(alpha)
    return local.slope, local.curvature * d_alpha


@jax.custom_jvp
def log_density(alpha: Array) -> Array:
    """Return log pi(alpha), differentiable twice."""
    return _local(alpha).log_density


@log_density.defjvp
def _log_density_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (alpha,), (d_alpha,) = primals, tangents
    return log_density(alpha), _log_density_slope(alpha) * d_alpha


@jax.custom_jvp
def mass(alpha: Array) -> Mass:
    """Return P(below alpha) and P(above alpha)."""
    return _local(alpha).mass


@mass.defjvp
def _mass_jvp(primals: Any, tangents: Any) -> tuple[Mass, Mass]:
    (alpha,), (d_alpha,) = primals, tangents
    along = jnp.exp(log_density(alpha)) * d_alpha
    return mass(alpha), Mass(along, -along)


def _nodes() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return P(below) and alpha of the nodes up to 2, P(above) and 3/alpha of those from inf."""
    low, below, above, high = (part[:, 0] for part in TABLE.nodes)
    u_low, v_below, v_above, u_high = (np.linspace(0, 1, len(p)) for p in (low, below, above, high))
    b_below, b_above = v_below**4, v_above**4
    from_below = _table.below_two - b_below * (_table.at_two - b_below * below)
    from_above = _table.above_two - b_above * (_table.at_two + b_above * above)
    if not np.allclose([from_below[-1], from_above[-1]], [low[-1], high[-1]], rtol=0, atol=1e-15):
        raise ValueError("the table's regions must meet at alpha = 1 and 3")
    return (
        checked_nodes(np.concatenate([low, from_below[-2::-1]]), 0, _table.below_two),
        checked_nodes(np.concatenate([np.expm1(u_low * RATE) / 10, 2 - b_below[-2::-1]]), 0, 2),
        checked_nodes(np.concatenate([high, from_above[-2::-1]]), 0, _table.above_two),
        checked_nodes(np.concatenate([u_high, 3 / (2 + b_above[-2::-1])]), 0, 1.5),
    )


_BELOW, _ALPHA, _ABOVE, _INVERSE = _nodes()


@jax.custom_jvp
def quantile(sides: Mass) -> Array:
    """Return the alpha that has these masses on its sides; they add to 1."""
    dtype = sides.below.dtype
    upper = sides.above < _table.above_two

    def interpolate(x: Array, nodes: np.ndarray, values: np.ndarray) -> Array:
        return jnp.interp(x, jnp.asarray(nodes, dtype), jnp.asarray(values, dtype))

    smallest, largest = jnp.finfo(dtype).tiny, 1e-3 * jnp.finfo(dtype).max

    # Newton's iteration in 3/alpha above 2 and in alpha below, from a chord of the cell
    def alpha_at(inverse: Array, alpha: Array) -> Array:
        return jnp.where(upper, 3 / jnp.where(upper, inverse, 1), alpha)

    def newton(_: int, iterate: tuple[Array, Array]) -> tuple[Array, Array]:
        inverse, alpha = iterate
        point = jnp.clip(alpha_at(inverse, alpha), smallest, largest)
        local = _local(point)
        # pi alpha^2 has a limit at infinity
        log_rate = -local.log_density - 2 * jnp.log(point)
        step = 3 * (local.mass.above - sides.above) * jnp.exp(log_rate)
        rise = (local.mass.below - sides.below) * jnp.exp(-local.log_density)
        return jnp.maximum(inverse - step, 0), jnp.maximum(alpha - rise, 0)

    start = interpolate(sides.above, _ABOVE, _INVERSE), interpolate(sides.below, _BELOW, _ALPHA)
    return alpha_at(*lax.fori_loop(0, _NEWTON_STEPS, newton, start))


@quantile.defjvp
def _quantile_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (sides,), (along,) = primals, tangents
    alpha = quantile(sides)
    upper = sides.above < _table.above_two
    rate = jnp.minimum(jnp.exp(-log_density(alpha)), jnp.finfo(alpha.dtype).max)
    return alpha, jnp.where(upper, -along.above, along.below) * rate


def _total(low: Mass, high: Mass) -> Array:
    """Return the mass between two alphas."""
    return jnp.where(high.below < low.above, high.below - low.below, low.above - high.above)


def log_total(low: Array, high: Array) -> Array:
    """Return log P(low < alpha < high), nan where that is not positive."""
    total = _total(mass(low), mass(high))
    return jnp.log(jnp.where(total > 0, total, jnp.nan))


def mass_within(alpha: Array, low: Array, high: Array) -> Mass:
    """Return the shares of the mass between low and high that lie on either side of alpha."""
    at_low, at_alpha, at_high = mass(low), mass(alpha), mass(high)
    total = _total(at_low, at_high)
    return Mass(_total(at_low, at_alpha) / total, _total(at_alpha, at_high) / total)


def quantile_within(share: Mass, low: Array, high: Array) -> Array:
    """Return the alpha in [low, high] that has these shares, which add to 1, on its sides."""
    at_low, at_high = mass(low), mass(high)
    total = _total(at_low, at_high)
    alpha = quantile(Mass(at_low.below + share.below * total, at_high.above + share.above * total))
    return jnp.clip(alpha, low, high)


_RULE_NODES, _RULE_WEIGHTS = np.polynomial.legendre.leggauss(32)
_PANELS = 8


def quadrature(low: Array, high: Array, longest: float = math.inf) -> tuple[Array, Array]:
    """Return nodes alpha and weights of the prior on [low, high], along a new last axis.

    They are Gauss-Legendre's in each region's coordinate; above 3 that is log(alpha/3), in panels,
    ``longest`` at most.
    """
    dtype = low.dtype
    nodes, log_slopes, widths = [], [], []

    def add(left: Array, right: Array, axis: Callable[[Array], tuple[Array, Array]]) -> None:
        """Add a region where ``axis`` gives alpha and the logarithm of its derivative."""
        half = 0.5 * (right - left)[..., None]
        alpha, log_slope = axis(left[..., None] + half * jnp.asarray(1 + _RULE_NODES, dtype))
        nodes.append(alpha)
        log_slopes.append(log_slope)
        widths.append(half * jnp.asarray(_RULE_WEIGHTS, dtype))

    def bottom(u: Array) -> tuple[Array, Array]:
        alpha = jnp.expm1(RATE * u) / 10
        return alpha, jnp.log((1 + 10 * alpha) * (RATE / 10))

    def near(sign: int) -> Callable[[Array], tuple[Array, Array]]:
        return lambda v: (2 + sign * v**4, jnp.log(4 * v**3))

    def low_u(alpha: Array) -> Array:
        return jnp.log1p(10 * jnp.clip(alpha, 0, 1)) / RATE

    def root(gap: Array) -> Array:
        return jnp.sqrt(jnp.sqrt(jnp.clip(gap, 0, 1)))

    add(low_u(low), low_u(high), bottom)
    add(root(2 - high), root(2 - low), near(-1))
    add(root(low - 2), root(high - 2), near(1))
    start, stop = (jnp.log(jnp.maximum(end, 3) / 3) for end in (low, high))
    width = jnp.minimum(stop - start, longest) / _PANELS
    for panel in range(_PANELS):
        left = start + panel * width
        add(left, left + width, lambda y: (3 * jnp.exp(y), y + math.log(3)))
    alpha = jnp.concatenate(nodes, -1)
    log_weights = log_density(alpha) + jnp.concatenate(log_slopes, -1)
    log_weights -= log_total(low, high)[..., None]
    return alpha, jnp.concatenate(widths, -1) * jnp.exp(log_weights)
