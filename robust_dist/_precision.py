"""Arithmetic a little wider than the format: numbers as a short head plus a small tail.

A head keeps the upper half of the significand, so that a product of two heads is exact. That
suffices to carry a few bits beyond the format through ``log`` and ``exp``, where ``exp(w)`` would
otherwise lose ``|w|`` units in the last place. No product of unrounded numbers is ever subtracted
from its own rounded value, because XLA may contract ``a * b - c`` to a fused multiply-add.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from robust_dist._arguments import check_real
from robust_dist._tables import series


def gap_floor(dtype: DTypeLike) -> float:
    """Return the value that stands for abs(alpha - 2) at alpha = 2 exactly.

    The derivative in alpha diverges there like log(abs(alpha - 2)), so a finite value is a
    convention. It is one convention for rho, log Z and H, so that their differences stay right, and
    lies below the gap between 2 and its neighbours in the format, so that it changes nothing else.
    """
    return 1e-30 if jnp.finfo(dtype).bits == 64 else 1e-10


def log_largest(dtype: DTypeLike) -> float:
    """Return an exponent whose exponential is nearly the largest number, however it is rounded."""
    return float(np.log(np.float64(jnp.finfo(dtype).max))) - 0.01


def promote_inexact(*args: ArrayLike) -> tuple[Array, ...]:
    """Return the arguments as arrays of one common dtype, float32 or float64."""
    for value in args:
        check_real(value=value)
    dtype = jnp.result_type(*args)
    if not jnp.issubdtype(dtype, jnp.floating):
        dtype = jnp.result_type(float)
    if jnp.finfo(dtype).bits < 32:
        dtype = jnp.dtype(jnp.float32)
    return tuple(jnp.asarray(arg, dtype) for arg in args)


class Format(NamedTuple):
    """What the code has to know about one floating-point format."""

    unsigned: type
    mantissa_bits: int
    bias: int
    head_mask: int
    """clears the lower half of the significand"""
    ln2_head: float
    """log 2 cut so short that its product with any exponent is exact"""
    ln2_tail: float


_FORMATS = {
    np.dtype(np.float32): Format(
        np.uint32, 23, 127, 0xFFFFF000, 0.693359375, -2.1219444005469058e-4
    ),
    np.dtype(np.float64): Format(
        np.uint64,
        52,
        1023,
        0xFFFFFFFFF8000000,
        float.fromhex("0x1.62e42fefap-1"),
        1.6465949582897081e-12,
    ),
}


def format_of(dtype: DTypeLike) -> Format:
    """Return the facts of float32 or float64."""
    return _FORMATS[np.dtype(dtype)]


class Pair(NamedTuple):
    """An unevaluated sum, ``head + tail`` with ``abs(tail)`` far below ``abs(head)``."""

    head: Array
    tail: Array


def head_of(x: Array) -> Array:
    """Return x with the lower half of its significand cleared."""
    fmt = format_of(x.dtype)
    bits = lax.bitcast_convert_type(x, fmt.unsigned) & np.asarray(fmt.head_mask, fmt.unsigned)
    return lax.bitcast_convert_type(bits, x.dtype)


def split(x: Array, tail: Array | float = 0.0) -> Pair:
    """Return ``x + tail`` as a short head and the rest, for a finite x."""
    head = head_of(x)
    return Pair(head, (x - head) + tail)


def gap(alpha: Array) -> Pair:
    """Return b = abs(alpha - 2) as a short head and a tail, floored at :func:`gap_floor`."""
    difference = alpha - 2
    carry = difference - alpha
    lost = (alpha - (difference - carry)) + (-2 - carry)
    floored = jnp.abs(difference) < gap_floor(alpha.dtype)
    b = jnp.where(floored, gap_floor(alpha.dtype), jnp.abs(difference))
    return split(b, jnp.where(floored, 0, jnp.sign(difference) * lost))


def exponent_of(x: Array) -> Array:
    """Return the integer e for which ``x * 2**-e`` lies in [1, 2), of a normal x > 0."""
    fmt = format_of(x.dtype)
    bits = lax.bitcast_convert_type(x, fmt.unsigned) >> fmt.mantissa_bits
    return bits.astype(jnp.int32) - fmt.bias


def power_of_two(exponent: Array, dtype: DTypeLike) -> Array:
    """Return ``2**exponent`` for an integer exponent, where that is a normal number."""
    fmt = format_of(dtype)
    bits = (exponent + fmt.bias).astype(fmt.unsigned) << fmt.mantissa_bits
    return lax.bitcast_convert_type(bits, dtype)


def scale_power_of_two(x: Array, exponent: Array) -> Array:
    """Return ``x * 2**exponent`` for an integer exponent; in two steps, so that it can be large."""
    half = exponent >> 1
    return x * power_of_two(half, x.dtype) * power_of_two(exponent - half, x.dtype)


def divide(n: Pair, d: Pair) -> Pair:
    """Return n/d with a short head; n and d have short heads."""
    denominator = d.head + d.tail
    head = head_of((n.head + n.tail) / denominator)
    rest = (n.head - head * d.head) + (n.tail - head * d.tail)
    return Pair(head, rest / denominator)


def multiply(x: Pair, y: Pair) -> Pair:
    """Return x*y; the head has the full width."""
    return Pair(x.head * y.head, x.head * y.tail + x.tail * (y.head + y.tail))


_ATANH_EXCESS = {
    np.dtype(np.float32): series.atanh_excess_float32,
    np.dtype(np.float64): series.atanh_excess_float64,
}


def horner(coefficients: Sequence[float], t: Array) -> Array:
    """Return the polynomial of the ascending coefficients at t."""
    *rest, last = coefficients
    total = jnp.full_like(t, last)
    for coefficient in reversed(rest):
        total = total * t + coefficient
    return total


def atanh_excess(s: Array) -> Array:
    """Return ``atanh(s)/s - 1`` for abs(s) < 0.172, to the last place of 1."""
    t = s * s
    return t * horner(_ATANH_EXCESS[np.dtype(t.dtype)], t)


_PHI = {
    np.dtype(np.float32): series.phi_float32,
    np.dtype(np.float64): series.phi_float64,
}


def exp_excess(z: Array) -> Array:
    """Return ``(exp(z) - 1 - z)/z**2`` for abs(z) <= 0.5."""
    return horner(_PHI[np.dtype(z.dtype)], z)


def log_exponent(u: Array) -> Array:
    """Return the integer k for which ``u * 2**-k`` lies in [sqrt(1/2), sqrt(2))."""
    fmt = format_of(u.dtype)
    # adding the gap between sqrt(2) and 2 to the significand carries into the exponent above it
    gap = int((2.0 - 2.0**0.5) * 2**fmt.mantissa_bits)
    bits = lax.bitcast_convert_type(u, fmt.unsigned) + np.asarray(gap, fmt.unsigned)
    return (bits >> fmt.mantissa_bits).astype(jnp.int32) - fmt.bias


def log1p_pair(y: Pair, extra: Array) -> Pair:
    """Return ``log(1 + (head + tail) * 2**extra)``, a short head and a tail, for y >= 0.

    ``extra`` is 0, or so large that the 1 lies below the last place and can be left out.
    """
    dtype = y.head.dtype
    fmt = format_of(dtype)
    one = jnp.where(extra == 0, jnp.ones((), dtype), jnp.zeros((), dtype))
    # of the head alone: XLA may evaluate k more than once, and round the tail otherwise
    k = log_exponent(one + y.head)
    # f = (1 + y) 2^-k,  n = f - 1,  s = n/(2 + n),  log f = 2 atanh s
    n = split(
        (scale_power_of_two(one, -k) - 1) + scale_power_of_two(y.head, -k),
        scale_power_of_two(y.tail, -k),
    )
    denominator = 2 + (n.head + n.tail)
    s = head_of((n.head + n.tail) / denominator)
    rest = ((n.head - 2 * s) - s * n.head + n.tail * (1 - s)) / denominator
    full = s + rest
    exponent = (k + extra).astype(dtype)
    first = exponent * np.asarray(fmt.ln2_head, dtype)
    total = first + 2 * s
    lost = (first - total) + 2 * s
    excess = 2 * full * atanh_excess(full)
    return split(total, lost + (2 * rest + excess + exponent * np.asarray(fmt.ln2_tail, dtype)))


def exp_pair(w: Pair) -> Array:
    """Return ``exp(head + tail)``; the head is finite."""
    total = w.head + w.tail
    e = jnp.exp(total)
    return e + jnp.where(jnp.isfinite(e), e, 0) * ((w.head - total) + w.tail)


def expm1_pair(w: Pair) -> Array:
    """Return ``expm1(head + tail)``; the head is finite."""
    total = w.head + w.tail
    e = jnp.expm1(total)
    return e + jnp.where(jnp.isfinite(e), 1 + e, 0) * ((w.head - total) + w.tail)
