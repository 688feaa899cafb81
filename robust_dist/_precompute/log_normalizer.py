"""Generate ``robust_dist/_tables/log_normalizer.py``, the quintic table of log Z.

Run as ``python -m robust_dist._precompute.log_normalizer``; it takes a minute. Every node
holds log Z, or the smooth part of it, with two exact derivatives from 30-digit values
(:mod:`robust_dist._precompute.exact`), in the coordinates of ``alpha_table``.
"""

import argparse
from collections.abc import Callable

import mpmath
from mpmath import mpf

from robust_dist._precompute._measure import error_lines, with_derivatives
from robust_dist._precompute._regions import low_alpha, low_jet, near_jet
from robust_dist._precompute._write import Jet, write_splines
from robust_dist._precompute.exact import (
    log_normalizer_derivatives,
    log_normalizer_derivatives_reciprocal,
)

CELLS = {"low": 380, "below": 380, "above": 220, "high": 220}
DIGITS = 30


def low(u: mpf) -> Jet:
    """Return log Z with its derivatives in u = log(1 + 10 alpha)/log 11, for alpha in [0, 1]."""
    return low_jet(u, log_normalizer_derivatives(low_alpha(u)[0], DIGITS))


def near_two(sign: int) -> Callable[[mpf], Jet]:
    """Return G and derivatives in v, alpha = 2 + s v^4, on one side of the singularity.

    log Z = log Z(2) + s b ((log b)/4 + c0 + G(v)) with b = v^4.
    """

    def jet(v: mpf) -> Jet:
        if v == 0:
            return mpf(0), mpf(0), mpf(0)
        value, first, second = log_normalizer_derivatives(2 + sign * v**4, DIGITS)
        c0 = (mpmath.euler + mpmath.log(2) - 1) / 4
        return near_jet(v, sign, c0, (value - mpmath.log(2 * mpmath.pi) / 2, first, second))

    return jet


def high(u: mpf) -> Jet:
    """Return log Z with its derivatives in u = 3/alpha, for alpha in [3, inf]."""
    value, first, second = log_normalizer_derivatives_reciprocal(u / 3, DIGITS)
    return value, first / 3, second / 9


REGIONS: dict[str, Callable[[mpf], Jet]] = {
    "low": low,
    "below": near_two(-1),
    "above": near_two(+1),
    "high": high,
}


def errors() -> list[str]:
    """Return the lines of the header that state the errors."""
    # only now, as the table that it reads is new
    from robust_dist._numerics.log_normalizer import log_normalizer

    return error_lines(
        ("log Z", "first", "second"),
        lambda alpha: log_normalizer_derivatives(alpha, DIGITS),
        with_derivatives(log_normalizer),
        CELLS,
    )


def main() -> None:
    """Write the table."""
    argparse.ArgumentParser(description=__doc__, prog="log_normalizer").parse_args()
    mpmath.mp.dps = DIGITS + 20
    write_splines("log_normalizer", REGIONS, CELLS, errors)


if __name__ == "__main__":
    main()
