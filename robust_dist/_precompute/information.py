r"""High-precision Fisher information of the law in its shape and the logarithm of its scale.

With m = x psi (so that E m = 1), lambda = d log Z/d alpha and c = 1, the scores are
-rho_a - lambda in alpha and m - 1 in log c. Integration by parts, E(m f) = E(f + x f'), leaves

.. math::
    I_{\alpha\alpha} = \mathrm{Var}(\rho_a), \qquad
    I_{\alpha, \log c} = -E(m_a), \qquad
    I_{\log c, \log c} = E(m^2) - 1,

and each integral is differentiated in alpha once more by
:math:`(E f)' = E f_a - E(f \rho_a) + E f \, E \rho_a`. As in :mod:`.exact`, on whose quadrature
this builds, the parameter is alpha below 3 and e = 1/alpha from there on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import mpmath
from flint import arb
from mpmath import mpf

from robust_dist._precompute.exact import (
    _GUARD_DIGITS,
    Real,
    _end_of,
    _FiniteAlpha,
    _Law,
    _rational,
    _ReciprocalAlpha,
    _trapezoid,
    _with_enough_bits,
)


class Information(NamedTuple):
    """The information at c = 1, and what follows from it, in the law's parameter p."""

    pp: mpf
    pc: mpf
    cc: mpf
    ratio: mpf
    """dH/dp = I_pc/I_cc"""
    ratio_slope: mpf
    effective: mpf
    """I_pp - I_pc^2/I_cc, the information about p when the scale is unknown"""
    effective_slope: mpf


def _moment(law: _Law, t: arb) -> tuple[arb, arb, arb]:
    """Return m = x psi at t > 0 and its two derivatives in the law's parameter, at fixed x."""
    x = law.x_and_slope(t)[0]
    if isinstance(law, _FiniteAlpha):
        y = t.sinh() ** 2
        log_y, share = y.log1p(), y / (1 + y)
        value = x * x * ((law.a / 2 - 1) * log_y).exp()
        first = (log_y - share) / 2  # of log m
        second = -law.sign * share * share / (2 * law.b)
    else:
        e, k = law.e, law.k
        q = x * x / k
        v, v_e = e * q, q / k  # d(e q)/de = q + 2 e q/k = q/k
        v_ee = 4 * q / (k * k)
        if e.is_zero():
            # M = q log1p(v)/(2 v): its series
            m, m_e, m_ee = q / 2, q / k - q * q / 4, 4 * q / k**2 - 2 * q * q / k + q**3 / 3
        else:
            log = v.log1p()
            log_e, log_ee = v_e / (1 + v), v_ee / (1 + v) - (v_e / (1 + v)) ** 2
            m = log / (2 * e)
            m_e = log_e / (2 * e) - log / (2 * e * e)
            m_ee = log_ee / (2 * e) - log_e / (e * e) + log / e**3
        value = x * x * m.exp() / (1 + v)
        first = m_e - v_e / (1 + v)
        second = m_ee - v_ee / (1 + v) + (v_e / (1 + v)) ** 2
    return value, value * first, value * (first * first + second)


def _integrals(law: _Law, digits: int) -> list[arb]:
    """Return E of the functions listed inside."""

    def half_line(t: arb) -> Sequence[arb]:
        if t.is_zero():
            half = law.x_and_slope(t)[1] / 2
            return [half] + [arb(0)] * 11
        rho, r, rr = law.rho(t)
        m, m_p, m_pp = _moment(law, t)
        density = law.x_and_slope(t)[1] * (-rho).exp()
        values = (r, r * r, rr, r**3, r * rr, m * m, m * m_p, m * m * r, m_p, m_pp, m_p * r)
        return [density, *(value * density for value in values)]

    stop = _end_of(law.log_integrand, -math.log(10) * (digits + _GUARD_DIGITS))
    total, *others = _trapezoid(half_line, 0.0, stop, digits)
    return [value / total for value in others]


def _information(law: _Law, digits: int) -> Sequence[arb]:
    r, r2, rr, r3, r_rr, m2, m_mp, m2_r, mp, mpp, mp_r = _integrals(law, digits)
    r_slope = rr - r2 + r * r
    pp, pc, cc = r2 - r * r, -mp, m2 - 1
    pp_slope = 2 * r_rr - r3 + r2 * r - 2 * r * r_slope
    pc_slope = -(mpp - mp_r + mp * r)
    cc_slope = 2 * m_mp - m2_r + m2 * r
    ratio = pc / cc
    ratio_slope = (pc_slope - ratio * cc_slope) / cc
    effective = pp - ratio * pc
    return (
        *(pp, pc, cc, ratio, ratio_slope),
        *(effective, pp_slope - ratio * pc_slope - ratio_slope * pc),
    )


def information(alpha: Real, digits: int = 30) -> Information:
    """Return the information in alpha in [0, 3], alpha = 2 excepted, where I_pp is infinite."""
    if not 0 <= alpha <= 3 or alpha == 2:
        raise ValueError(f"alpha = {alpha} is not in [0, 2) or (2, 3]")
    with mpmath.workdps(20):
        # next to 2 terms of the order 1/b cancel
        lost = 2 * math.ceil(max(0, -mpmath.log10(abs(alpha - 2))))

    def balls() -> Sequence[arb]:
        return _information(_FiniteAlpha(_rational(alpha)), digits + lost)

    return Information(*_with_enough_bits(balls, digits))


def information_reciprocal(e: Real, digits: int = 30) -> Information:
    """Return the information in e = 1/alpha in [0, 0.45]; e = 0 stands for alpha = inf."""
    if not 0 <= e <= 0.45:
        raise ValueError(f"e = {e} is not in [0, 0.45]")
    with mpmath.workdps(20):
        # next to 0 divisions by e^3 cancel
        lost = 3 * math.ceil(max(0, -mpmath.log10(mpf(e)))) if e else 0

    def balls() -> Sequence[arb]:
        return _information(_ReciprocalAlpha(_rational(e)), digits + lost)

    return Information(*_with_enough_bits(balls, digits))


def effective_at_two() -> mpf:
    r"""Return the effective information at alpha = 2, at the working precision.

    There the efficient score is -u log(u)/4, u = x^2, less its regression on u and 1, under the
    Normal law: E u^s = 2^s Gamma(s + 1/2)/Gamma(1/2).
    """

    def moment(power: int, logs: int) -> mpf:
        """Return E u^power log(u)^logs."""
        half = mpf(power) + mpf(1) / 2
        size = mpf(2) ** power * mpmath.gamma(half) / mpmath.gamma(mpf(1) / 2)
        first = mpmath.log(2) + mpmath.psi(0, half)
        return size * (1, first, first**2 + mpmath.psi(1, half))[logs]

    variance = moment(2, 2) - moment(1, 1) ** 2
    covariance = moment(2, 1) - moment(1, 1)
    return (variance - covariance**2 / 2) / 16
