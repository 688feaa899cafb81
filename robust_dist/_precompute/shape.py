r"""Generate ``_tables/orthogonal.py`` (H) and ``_tables/reference_prior.py``.

Run as ``python -m robust_dist._precompute.shape``; it takes a minute. With the information of
:mod:`robust_dist._precompute.information`,

.. math::
    H' = I_{\alpha, \log c}/I_{\log c, \log c}, \quad H(2) = 0, \qquad
    \pi(\alpha) \propto r(\alpha) = \sqrt{I_{\alpha\alpha} - I_{\alpha,\log c}^2/I_{\log c,\log c}}

are integrated cell by cell, by a Gauss-Legendre rule far more exact than the table. Next to 2,
with b = abs(alpha - 2) and s = sign(alpha - 2), what is tabulated is G(v), v = b^(1/4), of

    H = s b ((log b)/4 + c1 + G),    c1 = (gamma + log 2 - 2)/4,
    integral_2^alpha r = s b (r(2) + s b G);

the prior's density is finite at 2, with a kink.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from robust_dist._precompute._regions import low_alpha, low_jet, near_jet
from robust_dist._precompute._write import Jet, write_splines
from robust_dist._precompute.information import (
    Information,
    effective_at_two,
    information,
    information_reciprocal,
)

CELLS = {"low": 200, "below": 320, "above": 160, "high": 120}
DIGITS = 25
_RULE = 8  # nodes of the Gauss-Legendre rule in every cell


class Point(NamedTuple):
    """H' and r with their derivatives, in the law's parameter."""

    ratio: mpf
    ratio_slope: mpf
    root: mpf
    root_slope: mpf

    @classmethod
    def of(cls, found: Information) -> "Point":
        """Return what the information says."""
        root = mpmath.sqrt(found.effective)
        return cls(found.ratio, found.ratio_slope, root, found.effective_slope / (2 * root))


@functools.cache
def gauss_legendre() -> list[tuple[mpf, mpf]]:
    """Return nodes and weights on [0, 1]."""
    rule = []
    for rounded in np.polynomial.legendre.leggauss(_RULE)[0].tolist():
        start = (rounded, rounded + 1e-12)
        x = mpmath.findroot(lambda x: mpmath.legendre(_RULE, x), start)
        weight = 2 * (1 - x * x) / (_RULE * mpmath.legendre(_RULE - 1, x)) ** 2
        rule.append(((1 + x) / 2, weight / 2))
    return rule


def cumulate(f: Callable[[mpf], Sequence[mpf]], count: int) -> list[tuple[mpf, ...]]:
    """Return the integrals of a vector-valued f from 0 to every node of [0, 1]."""
    totals = [tuple(mpf(0) for _ in f(mpf(1)))]
    for cell in range(count):
        terms = [
            [weight / count * value for value in f((cell + x) / count)]
            for x, weight in gauss_legendre()
        ]
        totals.append(
            tuple(total + sum(parts) for total, *parts in zip(totals[-1], *terms, strict=True))
        )
    return totals


class Region:
    """H and the integral of r from the region's lower end, at its nodes."""

    def __init__(
        self,
        count: int,
        point: Callable[[mpf], Point],
        integrand: Callable[[mpf, Point], Sequence[mpf]],
    ) -> None:
        self._count = count
        self.point = functools.cache(point)
        self._totals = cumulate(lambda u: integrand(u, self.point(u)), count)
        self.end = self._totals[-1]

    def totals(self, u: mpf) -> tuple[mpf, ...]:
        """Return both integrals at a node."""
        return self._totals[int(mpmath.nint(u * self._count))]


class Tables:
    """What is written: jets of H and of the prior's distribution function, per region."""

    def __init__(self) -> None:
        self.c1 = (mpmath.euler + mpmath.log(2) - 2) / 4
        self.root_at_two = mpmath.sqrt(effective_at_two())
        self.low = Region(
            CELLS["low"],
            lambda u: Point.of(information(low_alpha(u)[0], DIGITS)),
            lambda u, p: [value * low_alpha(u)[1] for value in (p.ratio, p.root)],
        )
        self.below, self.above = (
            Region(CELLS[name], self._point_near(sign), self._rest_near)
            for name, sign in (("below", -1), ("above", 1))
        )
        # in u = 3/alpha, from alpha = inf
        self.high = Region(
            CELLS["high"],
            lambda u: Point.of(information_reciprocal(u / 3, DIGITS)),
            lambda _, p: [p.ratio / 3, p.root / 3],
        )
        one = mpf(1)
        self.h_at_one = self._h_near(self.below, -1, one)
        self.h_at_three = self._h_near(self.above, 1, one)
        below, above = self._mass_near(self.below, one), self._mass_near(self.above, one)
        self.mass = self.low.end[1] + below + above + self.high.end[1]
        self.mass_below_two = self.low.end[1] + below

    @staticmethod
    def _point_near(sign: int) -> Callable[[mpf], Point]:
        return lambda v: Point.of(information(2 + sign * v**4, DIGITS))

    def _rest_near(self, v: mpf, p: Point) -> Sequence[mpf]:
        """Return d/dv of what is left of H and of the integral of r without their known terms."""
        known = mpmath.log(v) + self.c1 + mpf(1) / 4
        return [4 * v**3 * rest for rest in (p.ratio - known, p.root - self.root_at_two)]

    def _h_near(self, region: Region, sign: int, v: mpf) -> mpf:
        b = v**4
        return sign * (b * (mpmath.log(v) + self.c1) + region.totals(v)[0])

    def _mass_near(self, region: Region, v: mpf) -> mpf:
        return self.root_at_two * v**4 + region.totals(v)[1]

    def h_low(self, u: mpf) -> Jet:
        """Return H in u."""
        p, rest = self.low.point(u), self.low.end[0] - self.low.totals(u)[0]
        return low_jet(u, (self.h_at_one - rest, p.ratio, p.ratio_slope))

    def h_near(self, region: Region, sign: int) -> Callable[[mpf], Jet]:
        """Return G of H on one side of 2."""

        def jet(v: mpf) -> Jet:
            if v == 0:
                return mpf(0), mpf(0), mpf(0)
            p, value = region.point(v), self._h_near(region, sign, v)
            return near_jet(v, sign, self.c1, (value, p.ratio, p.ratio_slope))

        return jet

    def h_high(self, u: mpf) -> Jet:
        """Return H in u."""
        p, at_infinity = self.high.point(u), self.h_at_three - self.high.end[0]
        return at_infinity + self.high.totals(u)[0], p.ratio / 3, p.ratio_slope / 9

    def prior_low(self, u: mpf) -> Jet:
        """Return P(below alpha) in u."""
        p = self.low.point(u)
        jet = low_jet(u, (self.low.totals(u)[1], p.root, p.root_slope))
        return jet[0] / self.mass, jet[1] / self.mass, jet[2] / self.mass

    def prior_near(self, region: Region, sign: int) -> Callable[[mpf], Jet]:
        """Return G of the prior on one side of 2."""

        def at_two() -> Jet:
            # G = g0 + g2 v^2 + ..., so that r' = 2 g0 + (15/4) g2 v^2 + ...
            nearest, near = (region.point(mpf(10) ** -k).root_slope for k in (10, 5))
            return nearest / 2, mpf(0), 2 * (near - nearest) / (mpf(15) / 4 * mpf(10) ** -10)

        def jet(v: mpf) -> Jet:
            if v == 0:
                g, first, second = at_two()
            else:
                b, p = v**4, region.point(v)
                g = sign * region.totals(v)[1] / b**2
                # r = r(2) + sign b (2 g + v g'/4);  r' = 2 g + 13/16 v g' + v^2 g''/16
                first = 4 * (sign * (p.root - self.root_at_two) / b - 2 * g) / v
                second = 16 * (p.root_slope - 2 * g - mpf(13) / 16 * v * first) / v**2
            return g / self.mass, first / self.mass, second / self.mass

        return jet

    def prior_high(self, u: mpf) -> Jet:
        """Return P(above alpha) in u."""
        p, total = self.high.point(u), self.high.totals(u)[1]
        return total / self.mass, p.root / (3 * self.mass), p.root_slope / (9 * self.mass)


def main() -> None:
    """Write both tables."""
    argparse.ArgumentParser(description=__doc__, prog="shape").parse_args()
    mpmath.mp.dps = DIGITS + 25
    tables = Tables()
    write_splines(
        "orthogonal",
        {
            "low": tables.h_low,
            "below": tables.h_near(tables.below, -1),
            "above": tables.h_near(tables.above, 1),
            "high": tables.h_high,
        },
        CELLS,
        generator="shape",
    )
    write_splines(
        "reference_prior",
        {
            "low": tables.prior_low,
            "below": tables.prior_near(tables.below, -1),
            "above": tables.prior_near(tables.above, 1),
            "high": tables.prior_high,
        },
        CELLS,
        generator="shape",
        constants={
            "below_two": tables.mass_below_two / tables.mass,
            "above_two": 1 - tables.mass_below_two / tables.mass,
            "at_two": tables.root_at_two / tables.mass,
        },
    )


if __name__ == "__main__":
    main()
