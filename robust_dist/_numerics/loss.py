r"""The general adaptive robust loss, its derivative and its IRLS weight (Barron 2019, eq. 8 to 10).

.. math::

    \rho(x, \alpha, c) = \frac{|\alpha-2|}{\alpha}
        \left(\left(\frac{(x/c)^2}{|\alpha-2|} + 1\right)^{\alpha/2} - 1\right)

for every alpha in [-inf, inf], with the limits alpha = 2 (least squares), 0 (Cauchy), -inf (Welsch)
and inf. Inside this module, with X = x/c, as in the derivations of the documentation,

    b = abs(alpha - 2),  s = sign(alpha - 2),  y = X^2/b,  L = log1p(y),  W = y/(1 + y),
    w = (alpha/2 - 1) L,  z = (alpha/2) L,

so that rho = (b L / 2) expm1(z)/z, d rho/dx = x exp(w)/c^2, and the derivative of every further
order follows from dL = 2 W dX/X - s (W/b) d alpha.
"""

import functools
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from robust_dist._arguments import check_real
from robust_dist._numerics.formats import (
    alpha_bound,
    exponent_of,
    gap_floor,
    log_largest,
    promote_inexact,
    scale_power_of_two,
)
from robust_dist._numerics.pairs import (
    Pair,
    divide,
    exp_pair,
    expm1_pair,
    gap,
    log1p_pair,
    multiply,
    split,
)

__all__ = ["psi", "rho", "weight"]


class _Bent(NamedTuple):
    """What rho, psi and weight share: y = X^2/b in logarithmic form, and its powers."""

    ratio: Array
    """X = x/c"""
    alpha: Array
    """alpha, an infinite one replaced by a finite one that the format cannot tell from it"""
    b: Array
    log: Pair
    """L"""
    b_log: Pair
    """b L, which tends to X^2 where b does to infinity"""
    root: Array
    """exp(w/2); its square may over- or underflow where x times it does not"""
    quadratic: Array
    """whether rho is X^2/2 to the last place; there the tails above may underflow"""


def _shift(pair: Pair, exponent: Array) -> Pair:
    """Return ``pair * 2**exponent``, kept finite."""
    low, high = (-2000, 1000) if jnp.finfo(pair.head.dtype).bits == 64 else (-240, 120)
    exponent = jnp.clip(exponent, low, high)
    return Pair(*(scale_power_of_two(part, exponent) for part in pair))


def _times(pair: Pair, factor: Array) -> Pair:
    """Return ``pair * factor`` for a power of two, clipped to where exp has long saturated.

    The limit exceeds twice the largest L as well, so that w + L keeps its sign.
    """
    limit = 8000.0 if jnp.finfo(pair.head.dtype).bits == 64 else 1000.0
    inside = ~(pair.head >= limit)  # nan stays nan
    return Pair(
        factor * jnp.where(inside, pair.head, limit), factor * jnp.where(inside, pair.tail, 0)
    )


def _bend(x: Array, alpha: Array, scale: Array) -> _Bent:
    """Return L and its products to a few bits beyond the format, for every finite x."""
    dtype = x.dtype
    bound = alpha_bound(dtype)
    alpha = jnp.clip(alpha, -bound, bound)
    b = gap(alpha)
    # significands and exponents apart, so that no square over- or underflows
    tiny = jnp.finfo(dtype).tiny
    size, unit = jnp.maximum(jnp.abs(x), tiny), jnp.maximum(scale, tiny)
    e_x, e_c, e_b = exponent_of(size), exponent_of(unit), exponent_of(b.head)
    quotient = divide(split(scale_power_of_two(size, -e_x)), split(scale_power_of_two(unit, -e_c)))
    square = split(*multiply(split(*quotient), split(*quotient)))
    y = divide(square, _shift(b, -e_b))
    e_square = 2 * (e_x - e_c)
    exponent = e_square - e_b
    log = log1p_pair(_shift(y, jnp.minimum(exponent, 100)), jnp.maximum(exponent - 100, 0))
    product, limit = multiply(b, log), _shift(square, e_square)
    vanishing = exponent < -60  # y lies below the last place of 1, and may underflow
    zero = x == 0
    log = Pair(*(jnp.where(zero, 0, part) for part in log))
    b_log = split(
        jnp.where(zero, 0, jnp.where(vanishing, limit.head, product.head)),
        jnp.where(zero, 0, jnp.where(vanishing, limit.tail, product.tail)),
    )
    largest = jnp.finfo(dtype).max
    ratio = jnp.clip(x / scale, -largest, largest)
    root = exp_pair(_times(b_log, 0.25 * jnp.sign(alpha - 2)))
    quadratic = vanishing & (e_square < -60)
    return _Bent(ratio, alpha, b.head + b.tail, log, b_log, root, quadratic)


def _finite(x: Array) -> Array:
    """Return x, an infinite one replaced by the largest number, so that 0 times it is 0."""
    return jnp.clip(x, -jnp.finfo(x.dtype).max, jnp.finfo(x.dtype).max)


def _along(*terms: tuple[Array, Array]) -> Array:
    """Return the sum of partial * tangent."""
    products = [_finite(partial) * tangent for partial, tangent in terms]
    return functools.reduce(operator.add, products)


def _nonzero(x: Array, condition: Array) -> Array:
    """Return x where the condition holds and 1 elsewhere, for branches not taken."""
    return jnp.where(condition, x, 1)


@jax.custom_jvp
def _log(x: Array, alpha: Array, scale: Array) -> Array:
    """Return L."""
    bent = _bend(x, alpha, scale)
    return bent.log.head + bent.log.tail


@_log.defjvp
def _log_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, alpha, scale = primals
    dx, d_alpha, d_scale = tangents
    value = _log(x, alpha, scale)
    ratio, b, s = _plain(x, alpha, scale)
    fraction = -jnp.expm1(-value)
    # W/X, either factor of which can vanish
    inner = value < 0.7
    slope = jnp.where(
        inner,
        jnp.where(inner, ratio, 0) * jnp.exp(-value) / b,
        fraction / _nonzero(ratio, ~inner),
    )
    return value, _along(
        (2 * slope / scale, dx), (-s * fraction / b, d_alpha), (-2 * fraction / scale, d_scale)
    )


def _plain(x: Array, alpha: Array, scale: Array) -> tuple[Array, Array, Array]:
    """Return X, b and s in the format's own width, safe to differentiate."""
    bound, largest = alpha_bound(x.dtype), jnp.finfo(x.dtype).max
    s = jnp.where(alpha < 2, -1, 1).astype(x.dtype)
    gap = s * (jnp.clip(alpha, -bound, bound) - 2)
    floor = gap_floor(x.dtype)
    return jnp.clip(x / scale, -largest, largest), jnp.where(gap < floor, floor, gap), s


def _log_excess(log: Array) -> Array:
    """Return D = L - W = L - 1 + exp(-L), without cancellation."""
    small = log < 0.5
    inner = jnp.where(small, log, 0)
    total = jnp.zeros_like(inner)
    for n in range(15, 2, -1):
        total = 1 - total * inner / n
    return jnp.where(small, 0.5 * inner * inner * total, log + jnp.expm1(-log))


@jax.custom_jvp
def _rho(x: Array, alpha: Array, scale: Array) -> Array:
    bent = _bend(x, alpha, scale)
    sign = jnp.sign(bent.alpha - 2)
    w = _times(bent.b_log, 0.5 * sign)
    # alpha near 2: b may vanish, and with it both factors of the other form
    reach = bent.ratio * bent.root
    near = (reach * reach + bent.b * expm1_pair(w)) / _nonzero(bent.alpha, bent.alpha != 0)
    log = split(*bent.log)
    direct = multiply(split(0.5 * jnp.clip(bent.alpha, -4, 4)), log)
    z = direct.head + direct.tail
    exprel = expm1_pair(direct) / _nonzero(z, z != 0)
    far = 0.5 * (bent.b_log.head + bent.b_log.tail) * jnp.where(z == 0, 1, exprel)
    # there w + L keeps a meaning as alpha -> inf
    wide = expm1_pair(Pair(w.head, w.tail + (log.head + log.tail)))
    far = jnp.where(
        jnp.abs(bent.alpha) > 4, (bent.b / _nonzero(bent.alpha, bent.alpha != 0)) * wide, far
    )
    bent_down = jnp.where(jnp.abs(bent.alpha - 2) < 1, near, far)
    return jnp.where(bent.quadratic, 0.5 * bent.ratio * bent.ratio, bent_down)


@_rho.defjvp
def _rho_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, alpha, scale = primals
    dx, d_alpha, d_scale = tangents
    return _rho(x, alpha, scale), _along(
        (_psi(x, alpha, scale), dx),
        (_rho_alpha(x, alpha, scale), d_alpha),
        (_rho_scale(x, alpha, scale), d_scale),
    )


def _order_plus_bending(order: int, x: Array, alpha: Array, scale: Array) -> Array:
    """Return order + (alpha - 2) W, where (alpha - 2) W is d w/d log abs(X)."""
    log = _log(x, alpha, scale)
    _, b, s = _plain(x, alpha, scale)
    bound = alpha_bound(x.dtype)
    bounded = jnp.clip(alpha, -bound, bound)
    # for large y in 1 - W, as order - 2 + alpha may vanish
    return jnp.where(
        log < 1,
        order - s * b * jnp.expm1(-log),
        order - 2 + bounded - s * b * jnp.exp(-log),
    )


def _half_excess(x: Array, alpha: Array, scale: Array) -> Array:
    """Return d w/d alpha = (L - W)/2."""
    return 0.5 * _log_excess(_log(x, alpha, scale))


@jax.custom_jvp
def _psi(x: Array, alpha: Array, scale: Array) -> Array:
    """Return d rho/dx."""
    bent = _bend(x, alpha, scale)
    small = scale < 1  # in the order in which nothing underflows that the result does not
    reach = (bent.ratio * bent.root) * jnp.where(small, bent.root / scale, bent.root)
    return reach / jnp.where(small, 1, scale)


@_psi.defjvp
def _psi_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, alpha, scale = primals
    dx, d_alpha, d_scale = tangents
    value = _psi(x, alpha, scale)
    factor = _finite(value)
    return value, _along(
        (_finite(_weight(x, alpha, scale)) * _order_plus_bending(1, x, alpha, scale), dx),
        (factor * _half_excess(x, alpha, scale), d_alpha),
        (-factor * _order_plus_bending(2, x, alpha, scale) / scale, d_scale),
    )


@jax.custom_jvp
def _rho_scale(x: Array, alpha: Array, scale: Array) -> Array:
    """Return d rho/dc = -(x/c) d rho/dx."""
    bent = _bend(x, alpha, scale)
    reach = bent.ratio * bent.root
    return -(reach / scale) * reach


@_rho_scale.defjvp
def _rho_scale_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, alpha, scale = primals
    dx, d_alpha, d_scale = tangents
    value = _rho_scale(x, alpha, scale)
    factor, slope = _finite(value), _finite(-_psi(x, alpha, scale) / scale)
    return value, _along(
        (slope * _order_plus_bending(2, x, alpha, scale), dx),
        (factor * _half_excess(x, alpha, scale), d_alpha),
        (-factor * _order_plus_bending(3, x, alpha, scale) / scale, d_scale),
    )


@jax.custom_jvp
def _weight(x: Array, alpha: Array, scale: Array) -> Array:
    """Return (d rho/dx)/x."""
    root = _bend(x, alpha, scale).root / scale
    return root * root


@_weight.defjvp
def _weight_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, alpha, scale = primals
    dx, d_alpha, d_scale = tangents
    value = _weight(x, alpha, scale)
    factor = _finite(value)
    ratio, _, s = _plain(x, alpha, scale)
    return value, _along(
        (factor * s * ratio * jnp.exp(-_log(x, alpha, scale)) / scale, dx),
        (factor * _half_excess(x, alpha, scale), d_alpha),
        (-factor * _order_plus_bending(2, x, alpha, scale) / scale, d_scale),
    )


def _rho_alpha_series(b_log: Array, log: Array, z: Array, w: Array) -> Array:
    """Return d rho/d alpha as a power series in L.

    Its terms are G_2 = L^2/2, G_(n+1) = (w G_n + z^(n-1) L^2/(n-1)!)/(n+1).
    """
    power = log * log
    term, total = 0.5 * power, jnp.zeros_like(w)
    for n in range(2, 24):
        total += term / (n + 1)
        power = power * z / max(n - 1, 1)
        term = (w * term + power) / (n + 1)
    return 0.25 * b_log * total


def _rho_alpha_near(log: Array, w: Array, k: Array, b: Array, *, reach: Array, s: Array) -> Array:
    """Return d rho/d alpha where b < 1, which may vanish; reach = (X^2 + b) exp(w)."""
    known = (1 + k) / (k * k)
    return 0.25 * (reach * (log / k - known) + b * known) + 0.5 * s * jnp.expm1(w)


def _rho_alpha_middle(log: Array, z: Array, w: Array, k: Array, b: Array) -> Array:
    """Return d rho/d alpha where alpha may vanish, but b and L do not."""
    small = jnp.abs(z) < 0.3
    inner, outer = jnp.where(small, z, 0), jnp.where(small, 1, z)
    series = jnp.zeros_like(z)  # (z e^z - expm1 z)/z^2 = sum z^n / (n! (n + 2))
    for n in range(12, -1, -1):
        series = (1 / (n + 2)) + series * inner / (n + 1)
    exprel = jnp.where(small, _exprel_series(inner), jnp.expm1(outer) / outer)
    first = jnp.where(small, series, (outer * jnp.exp(outer) - jnp.expm1(outer)) / (outer * outer))
    return 0.25 * b * (log * log * first - log * exprel + jnp.expm1(w) / (k - 1))


def _exprel_series(z: Array) -> Array:
    """Return expm1(z)/z near 0."""
    total = jnp.zeros_like(z)
    for n in range(12, -1, -1):
        total = 1 + total * z / (n + 2)
    return total


def _rho_alpha_outer(log: Array, z: Array, k: Array, *, s: Array) -> Array:
    """Return d rho/d alpha where abs(z) and b are large enough for the closed form."""
    inverse = 1 / k
    inside = inverse * (inverse + jnp.expm1(-log)) + (1 - inverse) * _log_excess(log)
    # exp(z) overflows where its product with what is inside does not
    root = jnp.exp(jnp.minimum(0.5 * z, log_largest(z.dtype)))
    return 0.5 * s * ((root * inside) * root - inverse * inverse)


def _rho_alpha_plain(x: Array, alpha: Array, scale: Array) -> Array:
    """Return (b/4) integral_0^L exp(alpha u/2) (u - 1 + exp(-u)) du, which is d rho/d alpha."""
    log = _log(x, alpha, scale)
    ratio, b, s = _plain(x, alpha, scale)
    bound = alpha_bound(x.dtype)
    k = 0.5 * jnp.clip(alpha, -bound, bound)
    z, w = k * log, 0.5 * s * b * log
    small = jnp.abs(z) <= 1.5
    series = small & (log <= 1.5)
    near = ~series & (b < 1)
    middle = ~series & ~near & small
    outer = ~series & ~near & ~middle

    def only(chosen: Array, default: float, *values: Array) -> list[Array]:
        # a branch not taken must stay harmless, for its gradient is multiplied by 0
        return [jnp.where(chosen, value, default) for value in values]

    root = jnp.exp(0.5 * jnp.where(near, w, 0))
    span, gap = only(near, 1.0, ratio, b)
    span = span * root
    value = _rho_alpha_series(*only(series, 0.0, b * log, log, z, w))
    value = jnp.where(
        near,
        _rho_alpha_near(
            *only(near, 1.0, log, w, k, b), reach=span * span + gap * (root * root), s=s
        ),
        value,
    )
    value = jnp.where(middle, _rho_alpha_middle(*only(middle, 2.0, log, z, w, k, b)), value)
    value = jnp.where(outer, _rho_alpha_outer(*only(outer, 2.0, log, z, k), s=s), value)
    return jnp.where(jnp.abs(alpha) < bound, value, 0)


@jax.custom_jvp
def _rho_alpha(x: Array, alpha: Array, scale: Array) -> Array:
    return _rho_alpha_plain(x, alpha, scale)


@_rho_alpha.defjvp
def _rho_alpha_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, alpha, scale = primals
    dx, d_alpha, d_scale = tangents
    value, second = jax.jvp(
        lambda a: _rho_alpha_plain(x, a, scale), (alpha,), (jnp.ones_like(alpha),)
    )
    # a difference of two overflowed terms, where the value is about to overflow as well
    second = jnp.where(jnp.isnan(second), value, second)
    excess = _half_excess(x, alpha, scale)
    return value, _along(
        (excess * _finite(_psi(x, alpha, scale)), dx),
        (second, d_alpha),
        (excess * _finite(_rho_scale(x, alpha, scale)), d_scale),
    )


class Partials(NamedTuple):
    """The loss and its derivatives."""

    rho: Array
    psi: Array
    """d rho/dx"""
    by_alpha: Array
    by_scale: Array


def rho_and_partials(x: Array, alpha: Array, scale: Array) -> Partials:
    """Return rho and its derivatives in x, alpha and scale, for arguments of one dtype."""
    arguments = (x, alpha, scale)
    return Partials(
        _rho(*arguments), _psi(*arguments), _rho_alpha(*arguments), _rho_scale(*arguments)
    )


@jax.jit
def rho(x: ArrayLike, alpha: ArrayLike, scale: ArrayLike = 1.0) -> Array:
    r"""Return the general robust loss.

    .. math::

        \rho(x, \alpha, c) = \frac{|\alpha-2|}{\alpha}
            \left(\left(\frac{(x/c)^2}{|\alpha-2|} + 1\right)^{\alpha/2} - 1\right)

    It is (x/c)^2/2 at alpha = 2, log((x/c)^2/2 + 1) at 0, 1 - exp(-(x/c)^2/2) at -inf and
    exp((x/c)^2/2) - 1 at inf. First and second derivatives are exact in all three arguments; at
    alpha = 2, where that in alpha is infinite, a finite convention stands for it (abs(alpha - 2)
    taken as 1e-30, in float32 1e-10).

    Parameters
    ----------
    x
        Residual, any finite number, in the data's units.
    alpha
        Shape, in [-inf, inf].
    scale
        Scale c > 0, in the data's units.

    Returns
    -------
    Array
        The loss, without unit and never negative, of the arguments' broadcast shape; nan where
        an argument is nan.

    References
    ----------
    Jonathan T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, eq. 8.
    """
    check_real(x=x, alpha=alpha, scale=scale)
    return _rho(*promote_inexact(x, alpha, scale))


@jax.jit
def psi(x: ArrayLike, alpha: ArrayLike, scale: ArrayLike = 1.0) -> Array:
    r"""Return the influence function, the derivative of :func:`rho` in x.

    .. math::

        \psi(x, \alpha, c) = \frac{x}{c^2}
            \left(\frac{(x/c)^2}{|\alpha-2|} + 1\right)^{\alpha/2 - 1}

    Parameters
    ----------
    x, alpha, scale
        As for :func:`rho`.

    Returns
    -------
    Array
        The derivative, in the inverse of the data's units, of the arguments' broadcast shape.

    References
    ----------
    Jonathan T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, eq. 10.
    """
    check_real(x=x, alpha=alpha, scale=scale)
    return _psi(*promote_inexact(x, alpha, scale))


@jax.jit
def weight(x: ArrayLike, alpha: ArrayLike, scale: ArrayLike = 1.0) -> Array:
    r"""Return the weight of a residual in iteratively reweighted least squares, psi(x)/x.

    .. math::

        \frac{\psi(x, \alpha, c)}{x} = \frac{1}{c^2}
            \left(\frac{(x/c)^2}{|\alpha-2|} + 1\right)^{\alpha/2 - 1}

    ``scale**2 * weight`` is 1 at x = 0 for every alpha, and falls with abs(x) where alpha < 2.

    Parameters
    ----------
    x, alpha, scale
        As for :func:`rho`.

    Returns
    -------
    Array
        The weight, in the inverse square of the data's units, of the arguments' broadcast shape.

    References
    ----------
    Jonathan T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019, eq. 10 and sec. 2.
    """
    check_real(x=x, alpha=alpha, scale=scale)
    return _weight(*promote_inexact(x, alpha, scale))
