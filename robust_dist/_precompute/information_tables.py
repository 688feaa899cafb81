r"""Generate ``_tables/orthogonal.py`` (H) and ``_tables/reference_prior.py``.

Run as ``python -m robust_dist._precompute.information_tables``; it takes two minutes. With the
information of :mod:`robust_dist._precompute.information`,

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

import jax.numpy as jnp
import mpmath
import numpy as np
from jax import Array
from mpmath import mpf

from robust_dist._precompute._measure import error_lines, with_derivatives
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


@functools.cache
def partial_weights(x: mpf) -> list[mpf]:
    """Return the weights at the rule's nodes of the integral from 0 to x of their polynomial."""
    nodes = [node for node, _ in gauss_legendre()]

    def basis(i: int, t: mpf) -> mpf:
        return mpmath.fprod((t - n) / (nodes[i] - n) for j, n in enumerate(nodes) if j != i)

    return [
        x * sum(weight * basis(i, x * node) for node, weight in gauss_legendre())
        for i in range(_RULE)
    ]


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
        self._integrand = lambda u: integrand(u, self.point(u))
        self._totals = cumulate(self._integrand, count)
        self.end = self._totals[-1]

    def totals(self, u: mpf) -> tuple[mpf, ...]:
        """Return both integrals from 0 to u."""
        position = u * self._count
        node = int(mpmath.nint(position))
        if abs(position - node) < mpf(10) ** -DIGITS:
            return self._totals[node]
        cell = int(position)
        weights = partial_weights(position - cell)
        parts = [
            [weight / self._count * value for value in self._integrand((cell + x) / self._count)]
            for weight, (x, _) in zip(weights, gauss_legendre(), strict=True)
        ]
        return tuple(map(sum, zip(self._totals[cell], *parts, strict=True)))


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

    def locate(self, alpha: mpf) -> tuple[Region, str, mpf]:
        """Return the region of an alpha, its name and the region's coordinate."""
        if alpha <= 1:
            return self.low, "low", mpmath.log1p(10 * alpha) / mpmath.log(11)
        if alpha >= 3:
            return self.high, "high", 3 / alpha
        v = abs(alpha - 2) ** (mpf(1) / 4)
        return (self.below, "below", v) if alpha < 2 else (self.above, "above", v)

    def h_jet(self, alpha: float) -> Jet:
        """Return H and its derivatives in alpha."""
        region, name, u = self.locate(mpf(alpha))
        p = region.point(u)
        if name == "low":
            return self.h_low(u)[0], p.ratio, p.ratio_slope
        if name == "high":
            e = 1 / mpf(alpha)
            return self.h_high(u)[0], -(e**2) * p.ratio, e**4 * p.ratio_slope + 2 * e**3 * p.ratio
        return self._h_near(region, -1 if name == "below" else 1, u), p.ratio, p.ratio_slope

    def prior_jet(self, alpha: float) -> Jet:
        """Return the mass on the side of alpha where 2 is not, pi and its derivative."""
        region, name, u = self.locate(mpf(alpha))
        p = region.point(u)
        density, slope = p.root / self.mass, p.root_slope / self.mass
        if name == "low":
            return self.prior_low(u)[0], density, slope
        if name == "high":
            e = 1 / mpf(alpha)
            return self.prior_high(u)[0], e**2 * density, -(e**4) * slope - 2 * e**3 * density
        half = self.mass_below_two if name == "below" else self.mass - self.mass_below_two
        return (half - self._mass_near(region, u)) / self.mass, density, slope


def errors_of_h(tables: Tables) -> list[str]:
    """Return the lines of the header that state the errors of H."""
    # only now, as the table that it reads is new
    from robust_dist._numerics.orthogonal_scale import log_ratio

    computed = with_derivatives(log_ratio)
    return error_lines(("H", "first", "second"), tables.h_jet, computed, CELLS)


def errors_of_prior(tables: Tables) -> list[str]:
    """Return the lines of the header that state the errors of the prior."""
    from robust_dist._numerics.reference_prior import mass

    def computed(alpha: Array) -> Sequence[Array]:
        sides = mass(alpha)
        _, density, slope = with_derivatives(lambda a: mass(a).below)(alpha)
        return jnp.where(alpha < 2, sides.below, sides.above), density, slope

    return error_lines(("mass", "density", "slope"), tables.prior_jet, computed, CELLS)


def main() -> None:
    """Write both tables."""
    argparse.ArgumentParser(description=__doc__, prog="information_tables").parse_args()
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
        lambda: errors_of_h(tables),
        generator="information_tables",
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
        lambda: errors_of_prior(tables),
        generator="information_tables",
        constants={
            "below_two": tables.mass_below_two / tables.mass,
            "above_two": 1 - tables.mass_below_two / tables.mass,
            "at_two": tables.root_at_two / tables.mass,
        },
    )


if __name__ == "__main__":
    main()
