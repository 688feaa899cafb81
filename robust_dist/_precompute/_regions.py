"""The coordinates of ``alpha_table``, in which its splines are uniform."""

import mpmath
from mpmath import mpf

from robust_dist._precompute._write import Jet


def low_alpha(u: mpf) -> tuple[mpf, mpf]:
    """Return alpha in [0, 1] and d alpha/du, for u = log(1 + 10 alpha)/log 11."""
    rate = mpmath.log(11)
    alpha = mpmath.expm1(u * rate) / 10
    return alpha, (1 + 10 * alpha) * rate / 10


def alpha_of(region: str, u: mpf) -> mpf:
    """Return alpha at the coordinate u > 0 of a region."""
    if region == "low":
        return low_alpha(u)[0]
    if region == "high":
        return 3 / u
    return 2 + (u**4 if region == "above" else -(u**4))


def low_jet(u: mpf, jet: Jet) -> Jet:
    """Return a function's value and derivatives in u from those in alpha."""
    value, first, second = jet
    slope = low_alpha(u)[1]
    return value, first * slope, second * slope**2 + first * slope * mpmath.log(11)


def near_jet(v: mpf, sign: int, c: mpf, jet: Jet) -> Jet:
    """Return G and its derivatives in v > 0, from f - f(2) and the derivatives of f in alpha.

    With alpha = 2 + sign b and b = v^4, f = f(2) + sign b ((log b)/4 + c + G(v)).
    """
    rise, first, second = jet
    b = v**4
    known = mpmath.log(b) / 4 + c
    g = rise / (sign * b) - known
    # f' = known + 1/4 + g + v g'/4;  f'' = sign/(4b) (1 + 5/4 v g' + v^2 g''/4)
    first_g = 4 * (first - known - mpf(1) / 4 - g) / v
    second_g = 4 * (sign * 4 * b * second - 1 - mpf(5) / 4 * v * first_g) / v**2
    return g, first_g, second_g
