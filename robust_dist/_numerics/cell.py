r"""The mean of a density over a cell of a grid, whatever the cell's width is to the law's.

A value that was rounded to a grid of step r says that the outcome lies in a cell of that width. Of
a density f that falls on either side of its mode, as all of ours do, the probability of the cell
over its width is

.. math:: \frac1r P(v - r/2 < X < v + r/2) = \int_{-1/2}^{1/2} f(v + r t)\, dt .

It is integrated from where f is largest in the cell outward: from the end that is nearest to the
mode, or from the mode to both ends. With s the distance from there, s = w sinh(x) is even in x on
either scale that f may have: w is a distance over which log f falls by no more than 2, and the
integral ends where it has fallen by 37, at the cell's end at the latest. 40 Gauss-Legendre nodes in
x are right to 1e-13 for a cell of 10 scales, to 1e-11 for one of 100, far out in a tail too; only
the heaviest tails lose more in cells of 1e4 scales (1e-8 for Student's t with nu = 0.1). The
derivative by the location, whose parts cancel over a wide cell, needs that many.

Nothing but the log density is needed: no law needs a cdf, and no difference of two is taken. Where
the nodes lie is a constant to derivatives, which are those of the mean of f at fixed t: that of the
log of the mean is the mean of those of log f, weighted by f, and as well-behaved as they are.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
NODES = tuple((0.5 * (1 + _NODES)).tolist())
WEIGHTS = tuple((0.5 * _WEIGHTS).tolist())
"""of the integral over [0, 1]"""
FALL = 2.0
"""nats by which log f may fall over the width of the substitution"""
NOTHING = 37.0
"""nats below its largest value in the cell from which on f adds nothing"""
_DEPTH = 60.0
"""halvings of a cell to the shortest width that is looked for, far out in a Normal's tail"""
_STEPS = 6
"""bisections of that range, which tell a width to a factor of 1.9"""


def log_mean_density(
    log_density: Callable[[Array], Array], mode: Array, value: Array, step: Array
) -> Array:
    """Return the log of the mean of a density over the cell of a step's width about the value.

    Parameters
    ----------
    log_density
        The law's, of values of the shape that all broadcast to; it rises up to the mode and falls
        beyond.
    mode, value, step
        Of one floating type and shape.
    """
    fixed = lax.stop_gradient
    sign = jnp.asarray([1.0, -1.0], value.dtype).reshape(2, *(1,) * value.ndim)
    # where the density is largest, and what there is of the cell on either side, in steps
    start = jnp.clip(fixed((mode - value) / step), -0.5, 0.5)
    length = 0.5 - sign * start

    def along(t: Array) -> Array:
        return log_density(value + step * t)

    peak = fixed(along(start))

    def fall(s: Array) -> Array:
        return peak - fixed(along(start + sign * s))

    def bisect(_: int, exponents: Array) -> Array:
        low, high = exponents
        middle = 0.5 * (low + high)
        beyond = jax.vmap(fall)(length * jnp.exp2(middle)) > limit
        return jnp.stack([jnp.where(beyond, low, middle), jnp.where(beyond, middle, high)])

    # the width and the reach together, each between two powers of 2
    limit = jnp.asarray([FALL, NOTHING], value.dtype).reshape(2, *(1,) * length.ndim)
    bounds = jnp.broadcast_to(limit, (2, *length.shape))
    exponents = jnp.stack([jnp.full_like(bounds, -_DEPTH), jnp.zeros_like(bounds)])
    exponents = lax.fori_loop(0, _STEPS, bisect, exponents)
    bisected = length * jnp.exp2(jnp.stack([exponents[0, 0], exponents[1, 1]]))
    width, reach = jnp.where(fall(length) <= limit, length, bisected)
    empty = length == 0
    end = jnp.arcsinh(jnp.where(empty, 0, reach / jnp.where(empty, 1, width)))

    # far out units of the logarithm are lost to rounding, which differs from one lane of a vector
    # to the next: less than that is no fall, nor a rise
    rounding = 64 * jnp.finfo(value.dtype).eps * jnp.abs(peak)
    rounding = jnp.where(rounding > 1, rounding, 0)

    # one node after the other, and none kept for the derivative: as one array they would take 80
    # times the rows' memory
    @partial(jax.checkpoint, prevent_cse=False)
    def add(total: Array, node: tuple[Array, Array]) -> tuple[Array, None]:
        x = end * node[0]
        share = node[1] * end * width * jnp.cosh(x)
        rise = along(start + sign * width * jnp.sinh(x)) - peak + rounding
        rise -= fixed(jnp.maximum(rise, 0))
        return total + share * jnp.exp(rise), None

    nodes = (jnp.asarray(NODES, value.dtype), jnp.asarray(WEIGHTS, value.dtype))
    total, _ = lax.scan(add, jnp.zeros_like(end), nodes)
    # farther out than numbers reach nothing is left of the density anywhere
    return jnp.where(peak == -jnp.inf, -jnp.inf, peak + jnp.log(total.sum(axis=0)))
