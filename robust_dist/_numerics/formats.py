"""What the code has to know of float32 and float64, and work on the bits of their numbers."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from robust_dist._arguments import check_real


def gap_floor(dtype: DTypeLike) -> float:
    """Return the value that stands for abs(alpha - 2) at alpha = 2 exactly.

    The derivative in alpha diverges there like log(abs(alpha - 2)), so a finite value is a
    convention. It is one convention for rho, log Z and H, so that their differences stay right, and
    lies below the gap between 2 and its neighbours in the format, so that it changes nothing else.
    """
    return 1e-30 if jnp.finfo(dtype).bits == 64 else 1e-10


# In float64 X^2/b is formed of an X that is scaled down by 2^-700 from 2^400 on (log_density): with
# a larger b it would underflow. Any bound above 2^64 (float32: 2^34) tells the values of the loss
# right, for where they are finite and not yet at their limit X^2 is below 1500 (180), and b changes
# them by X^2/(2 b) of themselves.
_ALPHA_BOUND = {np.dtype(np.float32): 2.0**60, np.dtype(np.float64): 2.0**400}


def alpha_bound(dtype: DTypeLike) -> float:
    """Return the abs(alpha) from which on the format can't tell the loss from its limit."""
    return _ALPHA_BOUND[np.dtype(dtype)]


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


def log_exponent(u: Array) -> Array:
    """Return the integer k for which ``u * 2**-k`` lies in [sqrt(1/2), sqrt(2))."""
    fmt = format_of(u.dtype)
    # adding the gap between sqrt(2) and 2 to the significand carries into the exponent above it
    gap = int((2.0 - 2.0**0.5) * 2**fmt.mantissa_bits)
    bits = lax.bitcast_convert_type(u, fmt.unsigned) + np.asarray(gap, fmt.unsigned)
    return (bits >> fmt.mantissa_bits).astype(jnp.int32) - fmt.bias
