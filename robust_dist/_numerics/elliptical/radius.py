r"""The radius of the elliptical law in d dimensions: normalizer, moments and draws.

The density of the radius is r^(d-1) exp(-rho(r, alpha)) up to a constant, so that its logarithm,
ell = log r, has the log density d ell - rho, which is concave for alpha > 0. In tau with
rho(x) = tau^2/2 (see ``tau``) the mass is a few units wide whatever d and alpha,
and found by bisection; 200 Gauss-Legendre nodes there are exact to the last digits. With

    I_d(alpha) = log integral_0^inf r^(d-1) exp(-rho(r, alpha)) dr

come Z_d = 2 pi^(d/2)/Gamma(d/2) exp(I_d) and, <> being the mean under the radius' law,

    I_d' = -<d rho/d alpha>,    I_d'' = Var(d rho/d alpha) - <d2 rho/d alpha2>.

A draw is interpolated in a table of u = log tau over the Normal quantile v of the radius'
distribution function F, and moves with alpha at fixed F as

    dr/d alpha = (1/f(r)) integral_0^r f (d rho/d alpha - <d rho/d alpha>) dr'.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import ndtri

from robust_dist._numerics import draws, loss, moments
from robust_dist._numerics import log_normalizer as one_dimension
from robust_dist._numerics.formats import alpha_bound
from robust_dist._numerics.log_density import derivatives
from robust_dist._numerics.spline import cubic_cells, evaluate, gather, quintic_cells, search
from robust_dist._numerics.tau import curve, log_radius, log_slope

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(4)
_CELLS = 256
# by how much the log density falls from its peak to the ends of the range: exp(-45) is 3e-20
_DROP = 45.0
# as for ``draws``
_MOST_TABLES = 4096


def _height(u: Array, dimension: float, alpha: Array) -> Array:
    """Return the log density of log r where log tau = u, up to a constant."""
    tau = jnp.exp(u)
    return dimension * log_radius(curve(tau, alpha)) - 0.5 * tau * tau


def _bisect(inside: Any, low: Array, high: Array) -> Array:
    """Return where a condition that holds at low ceases to."""

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        holds = inside(middle)
        return jnp.where(holds, middle, low), jnp.where(holds, high, middle)

    # from 100 apart to 6e-6, finer than the ends of a range need be
    return lax.fori_loop(0, 24, halve, (low, high))[0]


def _range(dimension: int, extra: int, alpha: Array) -> tuple[Array, Array]:
    """Return the log tau between which lies the mass of r^(d-1) exp(-rho) and r^extra times it."""

    def peak(order: int) -> Array:
        # x d rho/dx = tau x/J rises with tau, through the order where the mass peaks
        def rising(u: Array) -> Array:
            tau = jnp.exp(u)
            point = curve(tau, alpha)
            return u + log_radius(point) - jnp.log(point.factor) - point.growth < math.log(order)

        return _bisect(rising, jnp.full_like(alpha, -20), jnp.full_like(alpha, 20))

    first, last = peak(dimension), peak(dimension + extra)
    low = _height(first, dimension, alpha) - _DROP
    high = _height(last, dimension + extra, alpha) - _DROP
    above = lambda u: _height(u, dimension + extra, alpha) > high  # noqa: E731
    below = lambda u: _height(u, dimension, alpha) > low  # noqa: E731
    return _bisect(below, first, first - 100), _bisect(above, last, last + 10)


class _Rule(NamedTuple):
    """Nodes along a new last axis; the weights add to 1."""

    x: Array
    half_square: Array
    log_x: Array
    weight: Array
    log_total: Array
    """I_d"""


def _rule(dimension: int, alpha: Array, extra: int = 0) -> _Rule:
    """Return the quadrature under the law of the radius."""
    alpha = jnp.minimum(alpha, alpha_bound(alpha.dtype))
    low, high = (jnp.exp(u)[..., None] for u in _range(dimension, extra, alpha))
    half = 0.5 * (high - low)
    tau = low + half * jnp.asarray(1 + _NODES, alpha.dtype)
    point = curve(tau, alpha[..., None])
    log_x, half_square = log_radius(point), 0.5 * tau * tau
    exponent = (dimension - 1) * log_x + point.growth - half_square
    largest = jnp.max(exponent, -1, keepdims=True)
    mass = half * jnp.asarray(_WEIGHTS, alpha.dtype) * point.factor * jnp.exp(exponent - largest)
    total = jnp.sum(mass, -1, keepdims=True)
    log_total = (largest + jnp.log(total))[..., 0]
    # the law cannot be told, nor used, where the radius leaves the format's range
    reach = jnp.isfinite(point.x[..., -1])
    return _Rule(point.x, half_square, log_x, mass / total, jnp.where(reach, log_total, jnp.nan))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _slope(dimension: int, alpha: Array) -> Array:
    rule = _rule(dimension, alpha)
    return -jnp.sum(rule.weight * _rho_alpha(rule.x, alpha[..., None]), -1)


def _rho_alpha(x: Array, alpha: Array) -> Array:
    return loss.rho_and_partials(x, jnp.broadcast_to(alpha, x.shape), jnp.ones_like(x)).by_alpha


@_slope.defjvp
def _slope_jvp(dimension: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (alpha,), (d_alpha,) = primals, tangents
    rule = _rule(dimension, alpha)
    alphas = jnp.broadcast_to(alpha[..., None], rule.x.shape)
    first, second = jax.jvp(lambda a: _rho_alpha(rule.x, a), (alphas,), (jnp.ones_like(alphas),))
    mean = jnp.sum(rule.weight * first, -1, keepdims=True)
    spread = jnp.sum(rule.weight * ((first - mean) ** 2 - second), -1)
    return -mean[..., 0], spread * d_alpha


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_integral(dimension: int, alpha: Array) -> Array:
    return _rule(dimension, alpha).log_total


@_log_integral.defjvp
def _log_integral_jvp(dimension: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (alpha,), (d_alpha,) = primals, tangents
    return _log_integral(dimension, alpha), _slope(dimension, alpha) * d_alpha


@functools.partial(jax.jit, static_argnums=0)
def log_normalizer(dimension: int, alpha: Array) -> Array:
    """Return log Z_d, differentiable twice; nan where the law cannot be normalised."""
    if dimension == 1:
        return one_dimension.log_normalizer(alpha)
    surface = math.log(2) + 0.5 * dimension * math.log(math.pi) - math.lgamma(0.5 * dimension)
    positive = alpha > 0
    value = surface + _log_integral(dimension, jnp.where(positive, alpha, 1))
    return jnp.where(positive, value, jnp.nan)


@functools.partial(jax.jit, static_argnums=0)
def mean_square(dimension: int, alpha: Array) -> Array:
    """Return E r^2, for alpha > 0; inf where the radius leaves the format's range."""
    if dimension == 1:
        return moments.absolute_moment(2, alpha)
    positive = alpha > 0
    rule = _rule(dimension, jnp.where(positive, alpha, 1), extra=2)
    largest = jnp.max(rule.log_x, -1, keepdims=True)
    total = jnp.sum(rule.weight * jnp.exp(2 * (rule.log_x - largest)), -1)
    value = jnp.exp(2 * largest[..., 0] + jnp.log(total))
    return jnp.where(positive, jnp.where(jnp.isnan(value), jnp.inf, value), jnp.nan)


@functools.partial(jax.jit, static_argnums=0)
def mean_loss(dimension: int, alpha: Array) -> Array:
    """Return E rho; nan where the law cannot be normalised."""
    if dimension == 1:
        return moments.mean_loss(alpha)
    positive = alpha > 0
    rule = _rule(dimension, jnp.where(positive, alpha, 1))
    return jnp.where(positive, jnp.sum(rule.weight * rule.half_square, -1), jnp.nan)


class _Table(NamedTuple):
    """Per alpha (first axis) and node or cell of u = log tau (last axis)."""

    v: Array
    """Normal quantiles at the nodes"""
    first: Array
    """u at the first node, and the cells' width in u"""
    step: Array
    u: tuple[Array, ...]
    """ascending coefficients of u in the position within a cell of v"""
    shift: tuple[Array, ...]
    """ascending coefficients of d log r/d alpha in the position within a cell of u"""


def _table(dimension: int, alpha: Array) -> _Table:
    dtype = alpha.dtype
    alpha = jnp.minimum(alpha, alpha_bound(dtype))

    # Nodes at even steps of u = log tau, from the one end of the mass to the other. In u, because
    # in many dimensions the mass lies far from 0, and in few it reaches down to it like a power.
    low, high = _range(dimension, 0, alpha)
    alpha, low, step = (part[:, None] for part in (alpha, low, (high - low) / _CELLS))

    def density(u: Array) -> tuple[Array, Array, Array, Array]:
        """Return that of u and of log r, d log r/du, and d rho/d alpha."""
        tau = jnp.exp(u)
        point = curve(tau, alpha)
        log_x = log_radius(point)
        ratio = jnp.exp(u + jnp.log(point.factor) + point.growth - log_x)
        height = jnp.exp(dimension * log_x - 0.5 * tau * tau - peak)
        return height * ratio, height, ratio, derivatives(point.x, alpha).by_alpha

    # The densities are relative to the highest, which would over- or underflow in many dimensions.
    grid = low + step * np.arange(_CELLS + 1)
    peak = jnp.max(_height(grid, dimension, alpha), -1, keepdims=True)

    # The mass of each cell by four Gauss nodes, and that up to each node from either side: the sum
    # from the nearer end keeps the digits of a small probability.
    inner = (np.arange(_CELLS)[:, None] + 0.5 * (1 + _GAUSS_NODES)).ravel()
    mass, _, _, by_alpha = density(low + step * jnp.asarray(inner, dtype))
    weights = 0.5 * step * jnp.asarray(np.tile(_GAUSS_WEIGHTS, _CELLS), dtype)

    def in_cells(part: Array) -> Array:
        return jnp.sum((part * weights).reshape(part.shape[0], _CELLS, -1), -1)

    def from_left(cells: Array) -> Array:
        return jnp.cumsum(jnp.pad(cells, ((0, 0), (1, 0))), 1)

    def from_right(cells: Array) -> Array:
        return jnp.cumsum(jnp.pad(cells, ((0, 0), (0, 1)))[:, ::-1], 1)[:, ::-1]

    cells = in_cells(mass)
    f, height, ratio, node_by_alpha = density(grid)
    # beyond the first and the last node the mass falls like an exponential
    below, above = from_left(cells) + f[:, :1] / dimension, from_right(cells)

    # d log f/du, for the second derivative of the table and for what lies beyond the last node
    tau = jnp.exp(grid)
    point = curve(tau, alpha)
    moment = 1 / ratio * tau * tau  # x d rho/dx
    bending = tau * log_slope(tau, alpha, point) + 1 - ratio  # d log ratio/du
    slope = (dimension - moment) * ratio + bending  # d log f/du
    above = above + (f / (moment * ratio - dimension * ratio))[:, -1:]
    total = below[:, -1:] + above[:, -1:]

    # u as a function of the Normal quantile v, of which it is nearly a straight line: at fixed F,
    # du/dv = normal(v) total/f, and its derivative follows from d log f/du.
    left = below < above
    quantile = ndtri(jnp.where(left, below, above) / total)
    v = jnp.where(left, quantile, -quantile)
    normal = jnp.exp(-0.5 * v * v) / math.sqrt(2 * math.pi)
    first = normal * total / f
    second = first * (-v - slope * first)
    u_of_v = quintic_cells(grid, first, second, jnp.diff(v))

    # How a draw moves with alpha: the integral of f (d rho/d alpha - mean) from the nearer end,
    # over f; the two ends' integrals are equal but for their sign, as the whole is 0.
    mean = jnp.sum(mass * weights * by_alpha, -1, keepdims=True) / jnp.sum(cells, -1, keepdims=True)
    pull = in_cells(mass * (by_alpha - mean))
    first_pull = f[:, :1] / dimension * (node_by_alpha[:, :1] - mean)
    shift = jnp.where(left, from_left(pull) + first_pull, -from_right(pull))
    shift = shift / height
    rate = step * ratio * ((node_by_alpha - mean) - shift * (dimension - moment))
    return _Table(v, low, step, u_of_v, cubic_cells(shift, rate))


class _Quantile(NamedTuple):
    """Its u, its derivative in v, and d log r/d alpha."""

    u: Array
    slope: Array
    shift: Array


def _find(dimension: int, v: Array, alpha: Array) -> _Quantile:
    table = _table(dimension, alpha.ravel())
    index = jnp.arange(alpha.size, dtype=jnp.int32).reshape(alpha.shape)
    cells = table.v.shape[-1] - 1
    node, cell = index * (cells + 1), index * cells
    nodes = table.v.ravel()
    v = jnp.clip(v, nodes[node], nodes[node + cells])
    below = search(nodes, node, cells, v)
    left, right = nodes[node + below], nodes[node + below + 1]
    t = (v - left) / (right - left)
    coefficients = gather([part.ravel() for part in table.u], cell + below)
    u = evaluate(coefficients, t)
    first, step = table.first.ravel()[index], table.step.ravel()[index]
    shift = evaluate(
        gather([part.ravel() for part in table.shift], cell + below), (u - first) / step - below
    )
    return _Quantile(u, evaluate(coefficients, t, 1) / (right - left), shift)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _quantile(dimension: int, v: Array, alpha: Array) -> Array:
    return curve(jnp.exp(_find(dimension, v, alpha).u), alpha).x


@_quantile.defjvp
def _quantile_jvp(dimension: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (v, alpha), (d_v, d_alpha) = primals, tangents
    quantile = _find(dimension, v, alpha)
    tau = jnp.exp(quantile.u)
    point = curve(tau, alpha)
    return point.x, point.jacobian * tau * quantile.slope * d_v + point.x * quantile.shift * d_alpha


def _quantiles(dimension: int, v: Array, alpha: Array) -> Array:
    if alpha.size <= _MOST_TABLES:
        return _quantile(dimension, v, alpha)
    alpha = jnp.broadcast_to(alpha, v.shape)
    one = lambda pair: _quantile(dimension, pair[0], pair[1][None])[0]  # noqa: E731
    return lax.map(one, (v.reshape(-1, 1), alpha.ravel()), batch_size=1024).reshape(v.shape)


@functools.partial(jax.jit, static_argnames=("dimension", "shape"))
def draw(key: Array, dimension: int, shape: tuple[int, ...], alpha: Array) -> Array:
    """Return draws of the standardised law, of shape ``(*shape, dimension)``."""
    if dimension == 1:
        return draws.draw(key, shape, alpha)[..., None]
    of_direction, of_radius = jax.random.split(key)
    normal = jax.random.normal(of_direction, (*shape, dimension), alpha.dtype)
    length = jnp.sqrt(jnp.sum(normal * normal, -1, keepdims=True))
    # 0 for one key in 10^20
    direction = normal / jnp.maximum(length, jnp.finfo(alpha.dtype).tiny)
    v = jax.random.normal(of_radius, shape, alpha.dtype)
    positive = alpha > 0
    radius = _quantiles(dimension, v, jnp.where(positive, alpha, 1))
    return jnp.where(positive, radius, jnp.nan)[..., None] * direction
