"""Measure what the code makes of a table just written: the errors that its header states."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from mpmath import mpf

from robust_dist._precompute._regions import alpha_of
from robust_dist._precompute._write import Jet

# where a quintic's slope, and where its value, is farthest from a smooth function
_POSITIONS = (0.28, 0.5)


def _between_nodes(region: str, count: int, dtype: type) -> list[float]:
    """Return the alphas in the format at these positions of each cell, 2 excepted."""
    positions = [mpf(cell + place) / count for cell in range(count) for place in _POSITIONS]
    alphas = {float(dtype(alpha_of(region, u))) for u in positions}
    return sorted(alphas - {2.0})


def _error(computed: float, truth: mpf, unit: mpf | float) -> float:
    return float(abs(mpf(computed) - truth) / unit)


def with_derivatives(f: Callable[[Array], Array]) -> Callable[[Array], Sequence[Array]]:
    """Return what gives f and its first two derivatives at an array."""
    slope = jax.grad(f)
    return lambda alpha: (f(alpha), jax.vmap(slope)(alpha), jax.vmap(jax.grad(slope))(alpha))


def error_lines(
    quantities: Sequence[str],
    truth: Callable[[float], Jet],
    computed: Callable[[Array], Sequence[Array]],
    cells: Mapping[str, int],
) -> list[str]:
    """Return a table of the largest errors by region and format, as lines of text.

    ``truth`` is a value with two derivatives at an exact alpha, ``computed`` the same at an array
    of them. The value's error is absolute, the first derivative's relative, and the second's
    relative to the sum of the sizes of both derivatives, as it may vanish.
    """
    width = max(map(len, quantities)) + 2
    names = "".join(quantity.rjust(width) for quantity in quantities)
    lines = ["", f"{'region':<8}{'format':<9}{names}"]
    for dtype in (np.float64, np.float32):
        for region, count in cells.items():
            alphas = _between_nodes(region, count, dtype)
            with jax.enable_x64(dtype is np.float64):
                columns = [np.asarray(column) for column in computed(jnp.array(alphas, dtype))]
            worst = [0.0] * len(quantities)
            for alpha, *values in zip(alphas, *(c.tolist() for c in columns), strict=True):
                jet = truth(alpha)
                units = (1, abs(jet[1]), abs(jet[1]) + abs(jet[2]))
                errors = map(_error, values, jet, units)
                worst = [max(pair) for pair in zip(worst, errors, strict=True)]
            row = "".join(f"{error:.1e}".rjust(width) for error in worst)
            lines.append(f"{region:<8}{dtype.__name__:<9}{row}")
    return lines
