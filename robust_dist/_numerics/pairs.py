"""Arithmetic a little wider than the format: numbers as a short head plus a small tail.

A head keeps the upper half of the significand, so that a product of two heads is exact. That
suffices to carry a few bits beyond the format through ``log`` and ``exp``, where ``exp(w)`` would
otherwise lose ``|w|`` units in the last place. No product of unrounded numbers is ever subtracted
from its own rounded value, because XLA may contract ``a * b - c`` to a fused multiply-add.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from robust_dist._numerics.formats import format_of, gap_floor, log_exponent, scale_power_of_two
from robust_dist._numerics.power_series import atanh_excess


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


def divide(n: Pair, d: Pair) -> Pair:
    """Return n/d with a short head; n and d have short heads."""
    denominator = d.head + d.tail
    head = head_of((n.head + n.tail) / denominator)
    remainder = (n.head - head * d.head) + (n.tail - head * d.tail)
    return Pair(head, remainder / denominator)


def multiply(x: Pair, y: Pair) -> Pair:
    """Return x*y; the head has the full width."""
    return Pair(x.head * y.head, x.head * y.tail + x.tail * (y.head + y.tail))


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
    remainder = ((n.head - 2 * s) - s * n.head + n.tail * (1 - s)) / denominator
    full = s + remainder
    exponent = (k + extra).astype(dtype)
    first = exponent * np.asarray(fmt.ln2_head, dtype)
    total = first + 2 * s
    lost = (first - total) + 2 * s
    excess = 2 * full * atanh_excess(full)
    ln2_tail = np.asarray(fmt.ln2_tail, dtype)
    return split(total, lost + (2 * remainder + excess + exponent * ln2_tail))


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
