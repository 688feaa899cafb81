"""The log density as one fused pass: value and all partials from one logarithm.

Each partial derivative written apart would make XLA evaluate the logarithm once per reduction. Here
one pass yields them together, and an ``optimization_barrier`` keeps them so. The notation is that
of ``loss``, with k = alpha/2; from it, with Phi(t) = (e^t - 1 - t)/t^2,

    Q = b L^2 Phi(z),   rho = b L/2 + k Q/2,
    d rho/d alpha = (b L^2 + Q (z - 1 - k))/4 + s (e^w - 1 - w)/2,

which hold through alpha = 0 (k = z = 0) and alpha = 2 (b = w = 0). A log density needs absolute
accuracy only, so cancellation as x -> 0 is left alone; ``loss`` is for the rest.

Next to 2, d rho/d alpha grows like -(M/4) log b with M = X d rho/dX, for which the orthogonal scale
makes up (``orthogonal_log_density``). Given the *lift* log b, what is left is evaluated without
it: with L = log(b + X^2) - lift,

    d rho/d alpha + M lift/4 = (b L^2 + Q (k log(b + X^2) - 1 - k))/4 + s (e^w - 1 - w)/2
                               + (b lift)/(4 k) (s M/2 - e^w + 1 + z),

where b lift -> 0.
"""

import functools
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from robust_dist._numerics import loss
from robust_dist._numerics.formats import (
    alpha_bound,
    format_of,
    gap_floor,
    log_exponent,
    power_of_two,
    promote_inexact,
)
from robust_dist._numerics.log_normalizer import TABLE, log_normalizer_and_slope
from robust_dist._numerics.pairs import head_of
from robust_dist._numerics.power_series import atanh_excess, exp_excess


class _Scaling(NamedTuple):
    """Powers of two that keep X^2/b in range."""

    large: float
    """abs(X) from which on X is scaled down first"""
    shift: int
    """by how many powers of two: the square of the largest number must come into range"""


_SCALING = {
    np.dtype(np.float32): _Scaling(2.0**44, 86),
    np.dtype(np.float64): _Scaling(2.0**400, 700),
}


def _log_parts(ratio: Array, one: Array, factor: Array) -> tuple[Array, Array]:
    """Return e, t: log(one + factor X^2) = e log 2 + 2 atanh(t), for finite X; one is 1 at most."""
    dtype = ratio.dtype
    scaling = _SCALING[np.dtype(dtype)]
    large = jnp.abs(ratio) > scaling.large
    down = jnp.where(large, 2.0**-scaling.shift, 1).astype(dtype)
    small = ratio * down
    y = small * small * factor
    one = one * (down * down)
    # Of a shortened y: XLA may evaluate k twice, and 1 + y once as a fused multiply-add. Next to
    # a change of k the two could differ, and the logarithm be off by log 2.
    k = log_exponent(jnp.maximum(one + head_of(y), jnp.finfo(dtype).tiny))
    power = power_of_two(-k, dtype)
    n = (one * power - 1) + y * power
    exponent = k.astype(dtype) + jnp.where(large, 2 * scaling.shift, 0).astype(dtype)
    return exponent, n / (2 + n)


def _log_sum(ratio: Array, one: Array, factor: Array) -> Array:
    """Return log(one + factor X^2), for every finite X; one is 1 at most."""
    exponent, t = _log_parts(ratio, one, factor)
    return exponent * np.asarray(np.log(2), t.dtype) + 2 * (t + t * atanh_excess(t))


def _exp2_parts(t: Array) -> tuple[Array, Array]:
    """Return 2**j, t - j for the integer j next to t; 2**j ends where the format does."""
    fmt, bits = format_of(t.dtype), jnp.finfo(t.dtype)
    clipped = lax.clamp(jnp.asarray(bits.minexp, t.dtype), t, jnp.asarray(bits.maxexp - 1, t.dtype))
    # A sum in which ones are the last place: it rounds to an integer, and holds it there. Of a
    # shortened t, as above.
    integer = np.asarray(1.5 * 2.0**fmt.mantissa_bits, t.dtype)
    held = head_of(clipped) + integer
    power = lax.bitcast_convert_type(held, fmt.unsigned) + np.asarray(fmt.bias, fmt.unsigned)
    power = lax.bitcast_convert_type(power << fmt.mantissa_bits, t.dtype)
    # not held - integer, which XLA before JAX 0.12 takes for what it was before it was rounded
    nearest = lax.round(head_of(clipped), lax.RoundingMethod.TO_NEAREST_EVEN)
    return power, clipped - nearest


class Derivatives(NamedTuple):
    """What one pass over the data yields, of the standardised residual X."""

    rho: Array
    slope: Array
    """d rho/dX"""
    moment: Array
    """X d rho/dX"""
    by_alpha: Array
    """d rho/d alpha, plus moment * lift/4"""


def derivatives(ratio: Array, alpha: Array, lift: Array | None = None) -> Derivatives:
    """Return rho and its derivatives at X, for alpha >= 0; the lift is log b next to 2, or 0."""
    dtype = ratio.dtype
    largest = jnp.finfo(dtype).max
    # Evaluated once: without it the gradient of benchmarks/log_prob.py takes 203 operations a point
    # for 183, and that in a regression's coefficient 264 bytes for 240.
    ratio = lax.optimization_barrier(jnp.clip(ratio, -largest, largest))
    alpha = jnp.minimum(alpha, alpha_bound(dtype))
    s = jnp.where(alpha < 2, -1, 1).astype(dtype)
    b = jnp.maximum(s * (alpha - 2), gap_floor(dtype))
    k = 0.5 * alpha
    inverse_k = 1 / jnp.where(k == 0, 1, k)
    one, factor = jnp.ones_like(b), 1 / b
    if lift is not None:
        one, factor = jnp.where(lift < 0, b, one), jnp.where(lift < 0, one, factor)
    # Evaluated once; all else, even the exponential, is cheaper to repeat than to write down.
    # Without it the gradient of benchmarks/log_prob.py takes 266 operations a point for 182.
    log_sum = lax.optimization_barrier(_log_sum(ratio, one, factor))
    log = log_sum if lift is None else log_sum - lift
    b_log = b * log
    z, w = k * log, (0.5 * s) * b_log
    root = jnp.exp(0.5 * w)
    reach, e_w = ratio * root, root * root
    moment = reach * reach
    q = jnp.where(
        jnp.abs(z) < 0.5,
        b_log * log * exp_excess(jnp.clip(z, -0.5, 0.5)),
        # in an order in which nothing overflows before rho does
        jnp.square(reach * inverse_k) + (b * inverse_k * inverse_k) * (e_w - 1 - z),
    )
    by_alpha = 0.25 * (b_log * log + q * (k * log_sum - 1 - k)) + (0.5 * s) * (e_w - 1 - w)
    if lift is not None:
        vanishing = (0.25 * b * lift) / jnp.where(k == 0, 1, k)
        by_alpha += vanishing * ((0.5 * s) * moment - (e_w - 1 - z))
    rho = 0.5 * (b_log + k * q)
    # a difference of two overflowed terms, where the loss has overflowed as well
    by_alpha = jnp.where(jnp.isnan(by_alpha), rho, by_alpha)
    return Derivatives(rho, reach * root, moment, by_alpha)


def residual(x: Array, loc: Array) -> Array:
    """Return x - loc, finite where the difference overflows."""
    largest = jnp.finfo(x.dtype).max
    return jnp.clip(x - loc, -largest, largest)


def density_alone(
    x: Array, alpha: Array, loc: Array, inverse_scale: Array, log_constant: Array
) -> Array:
    """Return log p without its partials, in two thirds of the operations.

    In logarithms to base 2, and with one polynomial on either side of abs(z) = 1/2:

        rho = b L/2 (1 + z Phi(z)) = (M + b (e^w - 1))/(2 k).
    """
    dtype = x.dtype
    alpha = jnp.minimum(alpha, alpha_bound(dtype))
    s = jnp.where(alpha < 2, -1, 1).astype(dtype)
    b = jnp.maximum(s * (alpha - 2), gap_floor(dtype))
    k = 0.5 * alpha
    # of halves, whose difference does not overflow
    size = jnp.abs((0.5 * x - 0.5 * loc) * (2 * inverse_scale))
    size = jnp.minimum(size, jnp.finfo(dtype).max)
    exponent, t = _log_parts(size, jnp.ones_like(b), 1 / b)
    # Evaluated once: without it benchmarks/log_prob.py takes 1.17 of StudentT's time for 0.95, of
    # 1e6 points in float32 on one core.
    log = lax.optimization_barrier(exponent + (2 / math.log(2)) * (t + t * atanh_excess(t)))
    z = (math.log(2) * k) * log
    near = jnp.abs(z) < 0.5
    power, rest = _exp2_parts((0.25 * s * b) * log)
    t = jnp.where(near, z, math.log(2) * rest)
    bent = t * exp_excess(t)
    root = (1 + (t + t * bent)) * power
    # in an order in which nothing overflows before rho does
    inverse_k = 1 / jnp.where(k == 0, 1, k)
    reach = (size * root) * inverse_k
    inner = (0.5 * math.log(2) * b) * log * (1 + bent)
    outer = (0.5 * k) * (reach * reach + (b * inverse_k * inverse_k) * (root * root - 1))
    return -jnp.where(near, inner, outer) - log_constant


def fuse(
    alone: Callable[..., Array],
    one_pass: Callable[..., tuple[Array, ...]],
    written_out: Callable[..., tuple[Array, ...]],
) -> Callable[[Array, Array, Array, Array], Array]:
    """Return log p as a function of (x, alpha, loc, scale), evaluated together with its partials.

    All take (x, alpha, loc, scale). ``alone`` yields log p, the others log p with its
    partials in x, alpha and scale. First derivatives are those of ``one_pass``; second derivatives
    are those of ``written_out``, which loses nothing to cancellation and leaves -log(scale) out.
    """

    @jax.custom_jvp
    def gradient(x: Array, alpha: Array, loc: Array, scale: Array) -> tuple[Array, ...]:
        return one_pass(x, alpha, loc, scale)

    @gradient.defjvp
    def _gradient_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
        value, d_x, d_alpha, d_scale = jax.jvp(written_out, primals, tangents)[1]
        *_, scale = primals
        *_, along = tangents
        # of -log c and -1/c; the latter overflows while c^2 is still a number
        second = jnp.minimum(1 / scale / scale, jnp.finfo(scale.dtype).max)
        return gradient(*primals), (value - along / scale, d_x, d_alpha, d_scale + second * along)

    @jax.custom_jvp
    def log_p(x: Array, alpha: Array, loc: Array, scale: Array) -> Array:
        return alone(x, alpha, loc, scale)

    def log_p_jvp(primals: Any, tangents: Any) -> tuple[Array, Any]:
        value, d_x, d_alpha, d_scale = gradient(*primals)
        x, alpha, loc, scale = (
            None if isinstance(tangent, SymbolicZero) else tangent for tangent in tangents
        )
        along = x if loc is None else -loc if x is None else x - loc
        asked = [
            (partial, tangent)
            for partial, tangent in ((d_x, along), (d_scale, scale), (d_alpha, alpha))
            if tangent is not None
        ]
        # Only what is asked for passes a barrier, behind which nothing is ever dropped; a barrier
        # each, so that one partial's memory is free for the next. Without them the gradient of
        # benchmarks/log_prob.py takes 48 bytes a point for 40 (one alpha per point: 80 for 60).
        terms = [lax.optimization_barrier(partial) * tangent for partial, tangent in asked]
        return value, functools.reduce(operator.add, terms)

    log_p.defjvp(log_p_jvp, symbolic_zeros=True)
    return log_p


def _alone(x: Array, alpha: Array, loc: Array, scale: Array) -> Array:
    # finished before the pass over x, as below
    inverse, log_constant = lax.optimization_barrier(
        (1 / scale, jnp.log(scale) + TABLE.value_and_slope(alpha)[0])
    )
    return density_alone(x, alpha, loc, inverse, log_constant)


def _one_pass(x: Array, alpha: Array, loc: Array, scale: Array) -> tuple[Array, ...]:
    log_z, slope = TABLE.value_and_slope(alpha)
    # Finished before the pass over x. Without it the gradient of benchmarks/log_prob.py takes 48
    # bytes a point for 40, and 108 for 60 where there is one alpha per point.
    inverse, log_constant, slope = lax.optimization_barrier(
        (1 / scale, jnp.log(scale) + log_z, slope)
    )
    partials = derivatives(residual(x, loc) * inverse, alpha)
    return (
        -partials.rho - log_constant,
        -partials.slope * inverse,
        -partials.by_alpha - slope,
        (partials.moment - 1) * inverse,
    )


def _written_out(x: Array, alpha: Array, loc: Array, scale: Array) -> tuple[Array, ...]:
    rho, psi, by_alpha, by_scale = loss.rho_and_partials(residual(x, loc), alpha, scale)
    log_z, slope = log_normalizer_and_slope(alpha)
    return -rho - log_z, -psi, -by_alpha - slope, -by_scale


_log_density = fuse(_alone, _one_pass, _written_out)


@jax.jit
def log_density(x: ArrayLike, alpha: ArrayLike, loc: ArrayLike, scale: ArrayLike) -> Array:
    """Return log p(x | alpha, loc, scale), fused with its derivatives."""
    x, alpha, loc, scale = promote_inexact(x, alpha, loc, scale)
    return _log_density(x, alpha, loc, scale)
