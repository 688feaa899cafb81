"""Generate ``robust_dist/_tables/series.py``: short polynomials in place of Taylor series.

Run as ``python -m robust_dist._precompute.series`` (a second). Each polynomial interpolates its
function at the Chebyshev points of its interval, which is within a small factor of the best one;
its error, relative to the quantity it serves, is written beside it.
"""

from collections.abc import Callable

import mpmath
from mpmath import mpf

from robust_dist._precompute._write import header, write_module

# abs(s) <= (sqrt 2 - 1)/(sqrt 2 + 1) when 1 + y is scaled into [sqrt(1/2), sqrt 2)
LARGEST_S2 = ((mpf(2) ** 0.5 - 1) / (mpf(2) ** 0.5 + 1)) ** 2 * (1 + mpf(10) ** -6)


def atanh_excess(t: mpf) -> mpf:
    """Return (atanh(s)/s - 1)/s^2 at t = s^2."""
    s = mpmath.sqrt(t)
    return (mpmath.atanh(s) / s - 1) / t


def phi(t: mpf) -> mpf:
    """Return (e^t - 1 - t)/t^2."""
    return mpmath.hyp1f1(1, 3, t) / 2


def interpolate(
    f: Callable[[mpf], mpf], low: mpf, high: mpf, terms: int
) -> tuple[list[float], mpf]:
    """Return the ascending coefficients at the Chebyshev points, and the largest error."""
    nodes = [
        (low + high) / 2 + (high - low) / 2 * mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * terms))
        for i in range(terms)
    ]
    matrix = mpmath.matrix([[node**power for power in range(terms)] for node in nodes])
    solution = list(mpmath.lu_solve(matrix, mpmath.matrix([f(node) for node in nodes])))
    checks = [low + (high - low) * (mpf(i) + mpf(1) / 3) / 300 for i in range(300)]
    error = max(abs(mpmath.polyval(solution[::-1], t) - f(t)) for t in checks)
    return [float(c) for c in solution], error


SERIES: list[tuple[str, Callable[[mpf], mpf], mpf, mpf, int]] = [
    ("atanh_excess_float32", atanh_excess, mpf(0), LARGEST_S2, 4),
    ("atanh_excess_float64", atanh_excess, mpf(0), LARGEST_S2, 8),
    ("phi_float32", phi, mpf(-0.5), mpf(0.5), 6),
    ("phi_float64", phi, mpf(-0.5), mpf(0.5), 11),
]


def main() -> None:
    """Write the module."""
    mpmath.mp.dps = 40
    lines = header("series", ["Ascending coefficients; the comment names the absolute error."])
    for name, f, low, high, terms in SERIES:
        coefficients, error = interpolate(f, low, high, terms)
        lines.append(f"# on [{float(low)!r}, {float(high):.6g}]: {float(error):.1e}")
        lines.append(f"{name} = (")
        lines += [f"    {coefficient!r}," for coefficient in coefficients]
        lines += [")", ""]
    write_module("series", lines)


if __name__ == "__main__":
    main()
