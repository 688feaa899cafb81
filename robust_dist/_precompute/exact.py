r"""High-precision truth about the loss and its law, from their definition.

.. math::
    \rho(x, \alpha, c) = \frac{|\alpha-2|}{\alpha}
        \left(\Big(\frac{(x/c)^2}{|\alpha-2|} + 1\Big)^{\alpha/2} - 1\right),
    \qquad
    p(x \mid \alpha, m, c) = \frac{e^{-\rho(x-m, \alpha, c)}}{c\, Z(\alpha)}

(Barron, CVPR 2019, arXiv 1701.03077, eqs. 1 and 16), with the limits taken at
:math:`\alpha \in \{0, 2, \pm\infty\}`. Tables are built from these functions and the run-time code
is tested against them, so nothing here shares code, or a formula chosen for floating point, with
:mod:`robust_dist.loss`: cancellation is met with more digits, not with rearrangement.

Numbers come in as ``float``, ``int`` or ``mpmath.mpf`` and are taken to be exact; results are
``mpf`` that carry the asked digits whatever ``mpmath.mp.prec`` is when they are returned
(arithmetic done on them afterwards rounds to the precision then in force).

Pointwise quantities use mpmath, at two precisions that must agree. Integrals use the trapezoid rule
in ball arithmetic (python-flint's ``arb``), which bounds the rounding error; the step is halved
until the discretisation error is negligible. On the line the rule converges like
:math:`e^{-2\pi d/h}` for an integrand analytic in :math:`|\mathrm{Im}\, t| < d` (Trefethen &
Weideman, SIAM Review 56, 2014), so halving the step squares the error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
from flint import arb, ctx, fmpq
from mpmath import mpf

type Real = float | int | mpf

_GUARD_DIGITS = 8  # carried by every integral beyond the digits asked for
_TAYLOR_BELOW = 2.0**-40  # parameters below this use a series in place of a cancelling closed form
_TAYLOR_TERMS = 14


# Exact conversions


def _rational(value: Real) -> fmpq:
    """Return a finite number as the rational it is."""
    if isinstance(value, mpf):
        sign, man, exp, _ = value._mpf_
        numerator = -int(man) if sign else int(man)
        return fmpq(numerator * 2**exp) if exp >= 0 else fmpq(numerator, 2**-exp)
    numerator, denominator = value.as_integer_ratio()
    return fmpq(numerator, denominator)


def _to_mpf(value: arb) -> mpf:
    """Return the midpoint of a ball, unrounded."""
    man, exp = value.mid().man_exp()
    bits = max(int(man).bit_length(), 53)
    with mpmath.workprec(bits):
        return mpmath.ldexp(mpf(int(man)), int(exp))


# The loss and its derivatives in alpha


def _shape_derivatives(
    b: Any, s: int, a: Any, log_y: Any, w: Any, e: Sequence[Any]
) -> Sequence[Any]:
    r"""Return rho, its first and its second derivative in alpha at fixed x.

    With :math:`y = x^2/b`, :math:`b = |a-2|`, :math:`s = \mathrm{sign}(a-2)`, `log_y` :math:`= L =
    \log(1+y)`, `w` :math:`= y/(1+y)` and :math:`E(z) = (e^z-1)/z` at :math:`z = aL/2`,

    .. math:: \rho = \tfrac12 P E(z), \quad P = bL.

    `e` holds E, E', E''. Everything is arithmetic, so the numbers may be ``arb`` or ``mpf``.
    """
    p, p_a, p_aa = b * log_y, s * (log_y - w), -w * w / b
    z_a = log_y / 2 - s * a * w / (2 * b)
    z_aa = -s * w / b + a * w * (2 - w) / (2 * b * b)
    e0, e1, e2 = e
    first = p_a * e0 + p * e1 * z_a
    second = p_aa * e0 + 2 * p_a * e1 * z_a + p * (e2 * z_a * z_a + e1 * z_aa)
    return p * e0 / 2, first / 2, second / 2


def _taylor_exprel(z: Any) -> Sequence[Any]:
    """Return E, E', E'' of E(z) = (e^z - 1)/z by its series, for tiny z."""
    one = z * 0 + 1
    e0 = e1 = e2 = one * 0
    for k in reversed(range(_TAYLOR_TERMS)):
        e0 = e0 * z + one / math.factorial(k + 1)
        e1 = e1 * z + one * (k + 1) / math.factorial(k + 2)
        e2 = e2 * z + one * (k + 1) * (k + 2) / math.factorial(k + 3)
    return e0, e1, e2


def _taylor_log1p_ratio(v: Any) -> Sequence[Any]:
    """Return l, l', l'' of l(v) = log(1 + v)/v by its series, for tiny v."""
    l0 = l1 = l2 = v * 0
    for k in reversed(range(_TAYLOR_TERMS)):
        sign = (-1) ** k
        l0 = l0 * v + sign * (v * 0 + 1) / (k + 1)
        l1 = l1 * v - sign * (v * 0 + 1) * (k + 1) / (k + 2)
        l2 = l2 * v + sign * (v * 0 + 1) * (k + 1) * (k + 2) / (k + 3)
    return l0, l1, l2


class _FiniteAlpha:
    r"""The law for alpha below 3, as a function of alpha, on the axis t of x = sqrt(b) sinh(t).

    There :math:`1 + y = \cosh^2 t`: tails :math:`x^{-b}` become exponential, those of alpha > 0
    double exponential, and the branch points :math:`x = \pm i \sqrt b` move to
    :math:`t = \pm i\pi/2` for every b, so one step serves alpha = 0 and alpha = 2 - 1e-15 alike.
    """

    def __init__(self, alpha: fmpq) -> None:
        gap = alpha - 2
        self.sign = 1 if gap > 0 else -1
        self.b = arb(abs(gap))
        self.root_b = self.b.sqrt()
        self.a = arb(alpha)
        self._a_float, self._b_float = float(self.a.mid()), float(self.b.mid())
        self._series = self._a_float < _TAYLOR_BELOW

    def axis(self, x: arb) -> arb:
        """Return t(x)."""
        return (x / self.root_b).asinh()

    def x_and_slope(self, t: arb) -> tuple[arb, arb]:
        """Return x and dx/dt."""
        sinh, cosh = t.sinh_cosh()
        return self.root_b * sinh, self.root_b * cosh

    def rho(self, t: arb) -> Sequence[arb]:
        """Return rho and its two derivatives."""
        cosh_sq = 1 + t.sinh() ** 2
        log_y = cosh_sq.log()
        if log_y.is_zero():
            return (arb(0),) * 3
        z = self.a * log_y / 2
        if self._series:
            e = _taylor_exprel(z)
        else:
            e0 = z.expm1() / z
            e1 = (z.exp() - e0) / z
            e = (e0, e1, (z.exp() - 2 * e1) / z)
        return _shape_derivatives(self.b, self.sign, self.a, log_y, 1 - 1 / cosh_sq, e)

    def log_integrand(self, t: float) -> float:
        """Return log(dx/dt) - rho in double precision, to find where the integrand ends."""
        log_cosh = t + math.log1p(math.exp(-2 * t)) - math.log(2)
        z = self._a_float * log_cosh
        exprel = math.expm1(min(z, 700.0)) / z if z else 1.0
        return log_cosh + math.log(self._b_float) / 2 - self._b_float * log_cosh * exprel


class _ReciprocalAlpha:
    r"""The law for alpha >= 3, on the x axis, as a function of e = 1/alpha; derivatives in e.

    .. math:: \rho = (1-2e)\,(e^{M}-1), \quad M = \tfrac q2\, \ell(e q), \quad q = \frac{x^2}{1-2e},
              \quad \ell(v) = \frac{\log(1+v)}{v}

    is smooth at e = 0 (alpha = inf), and the integrand ends double exponentially in x.
    """

    def __init__(self, e: fmpq) -> None:
        self.e = arb(e)
        self.k = arb(1 - 2 * e)
        self._e_float, self._k_float = float(self.e.mid()), float(self.k.mid())
        self._series = self._e_float < _TAYLOR_BELOW

    def axis(self, x: arb) -> arb:
        """Return t(x)."""
        return x

    def x_and_slope(self, t: arb) -> tuple[arb, arb]:
        """Return x and dx/dt."""
        return t, arb(1)

    def rho(self, t: arb) -> Sequence[arb]:
        """Return rho and its two derivatives."""
        e, k = self.e, self.k
        q = t * t / k
        if q.is_zero():
            return (arb(0),) * 3
        q_e, q_ee = 2 * q / k, 8 * q / (k * k)
        v, v_e, v_ee = e * q, q + e * q_e, 2 * q_e + e * q_ee
        if self._series:
            l0, l1, l2 = _taylor_log1p_ratio(v)
        else:
            l0 = v.log1p() / v
            l1 = (1 / (1 + v) - l0) / v
            l2 = (-1 / (1 + v) ** 2 - 2 * l1) / v
        m = q * l0 / 2
        m_e = (q_e * l0 + q * l1 * v_e) / 2
        m_ee = (q_ee * l0 + 2 * q_e * l1 * v_e + q * (l2 * v_e * v_e + l1 * v_ee)) / 2
        exp_m = m.exp()
        first = -2 * m.expm1() + k * exp_m * m_e
        second = -4 * exp_m * m_e + k * exp_m * (m_e * m_e + m_ee)
        return k * m.expm1(), first, second

    def log_integrand(self, t: float) -> float:
        """Return -rho in double precision, to find where the integrand ends."""
        q = t * t / self._k_float
        v = self._e_float * q
        m = q / 2 * (math.log1p(v) / v if v else 1.0)
        return -self._k_float * math.expm1(min(m, 700.0))


_Law = _FiniteAlpha | _ReciprocalAlpha
_Integrand = Callable[[arb], Sequence[arb]]


def _end_of(log_size: Callable[[float], float], log_tolerance: float) -> float:
    """Return a t beyond which a unimodal integrand is negligible."""
    high = 1.0
    while log_size(high) > log_tolerance or log_size(2 * high) > log_tolerance:
        high *= 2
        if high > 2**20:
            raise ArithmeticError("the integrand does not end")
    low = high / 2
    while high - low > 0.1:
        middle = (low + high) / 2
        low, high = (middle, high) if log_size(middle) > log_tolerance else (low, middle)
    return high


def _trapezoid(f: _Integrand, start: float, stop: float, digits: int) -> list[arb]:
    """Return the integral of a vector-valued f that is negligible outside [start, stop]."""
    relative = 10.0 ** -(0.6 * digits + 6)
    step = arb(0.25)
    first, last = math.floor(start * 4), math.ceil(stop * 4)

    def total(indices: range) -> list[arb]:
        columns = zip(*(f(step * k) for k in indices), strict=True)
        return [sum(column, arb(0)) for column in columns]

    sums = total(range(first, last + 1))
    previous = [value * step for value in sums]
    for _ in range(8):
        step /= 2
        first, last = 2 * first, 2 * last
        odd = total(range(first + 1, last, 2))
        sums = [even + new for even, new in zip(sums, odd, strict=True)]
        current = [value * step for value in sums]
        # The error squares with each halving, so the square of the last change bounds what remains.
        # Where rounding hides the change, the radii of the balls tell the caller.
        if all(
            float((new - old).abs_lower()) <= relative * float(abs(new).mid())
            for new, old in zip(current, previous, strict=True)
        ):
            return current
        previous = current
    raise ArithmeticError("the trapezoid rule did not settle")


def _with_enough_bits(compute: Callable[[], Sequence[arb]], digits: int) -> tuple[mpf, ...]:
    """Return `compute()` at a working precision for which its balls are as small as asked."""
    goal = math.ceil(3.33 * digits)
    bits = math.ceil(3.33 * (digits + _GUARD_DIGITS)) + 40
    while bits < 20_000:
        with ctx.workprec(bits):
            balls = compute()
            if all(ball.is_zero() or ball.rel_accuracy_bits() >= goal for ball in balls):
                return tuple(_to_mpf(ball) for ball in balls)
        bits = bits * 3 // 2
    raise ArithmeticError("the working precision grew without bound")


def _log_z_and_slopes(law: _Law, digits: int) -> Sequence[arb]:
    """Return log Z and its two derivatives in the parameter of the law (alpha or 1/alpha)."""

    def integrand(t: arb) -> Sequence[arb]:
        value, first, second = law.rho(t)
        density = law.x_and_slope(t)[1] * (-value).exp()
        return density, -first * density, (first * first - second) * density

    stop = _end_of(law.log_integrand, -math.log(10) * (digits + _GUARD_DIGITS))

    def half_line(t: arb) -> Sequence[arb]:
        return [value / 2 for value in integrand(t)] if t.is_zero() else integrand(t)

    z, z1, z2 = (2 * value for value in _trapezoid(half_line, 0.0, stop, digits))
    return z.log(), z1 / z, z2 / z - (z1 / z) ** 2


def log_normalizer_derivatives_reciprocal(e: Real, digits: int = 30) -> tuple[mpf, mpf, mpf]:
    r"""Return :math:`\log Z` at alpha = 1/e, and its first two derivatives in e.

    Parameters
    ----------
    e
        1/alpha, exact, in [0, 0.45]; 0 stands for alpha = inf.
    digits
        Significant digits of the results.

    Returns
    -------
    tuple of mpf
    """
    if not 0 <= e <= 0.45:
        raise ValueError(f"e = {e} is not in [0, 0.45]")
    value, first, second = _with_enough_bits(
        lambda: _log_z_and_slopes(_ReciprocalAlpha(_rational(e)), digits), digits
    )
    return value, first, second


def log_normalizer_derivatives(alpha: Real, digits: int = 30) -> tuple[mpf, mpf, mpf]:
    r"""Return :math:`\log Z(\alpha) = \log \int e^{-\rho(x, \alpha, 1)} dx` and two derivatives.

    At alpha = 2 the first derivative diverges (as :math:`\tfrac14\log|\alpha-2|`) and the
    second has no limit: the result is ``(log Z(2), -inf, nan)``. At alpha = inf both derivatives in
    alpha are 0; :func:`log_normalizer_derivatives_reciprocal` has those in 1/alpha.

    Parameters
    ----------
    alpha
        Shape, exact, in [0, inf]. Give an ``mpf`` to come nearer to 2 than a float can.
    digits
        Significant digits of the results.

    Returns
    -------
    tuple of mpf
    """
    if not alpha >= 0:
        raise ValueError(f"alpha = {alpha} is not in [0, inf]: the law is not normalizable")
    if alpha == math.inf:
        return log_normalizer_derivatives_reciprocal(0, digits)[0], mpf(0), mpf(0)
    if alpha == 2:
        with mpmath.workdps(digits + _GUARD_DIGITS):
            return mpmath.log(2 * mpmath.pi) / 2, -mpf("inf"), mpf("nan")
    a = _rational(alpha)
    if a < 3:
        value, first, second = _with_enough_bits(
            lambda: _log_z_and_slopes(_FiniteAlpha(a), digits), digits
        )
        return value, first, second

    def in_alpha() -> Sequence[arb]:
        e = 1 / arb(a)
        value, by_e, by_e2 = _log_z_and_slopes(_ReciprocalAlpha(1 / a), digits)
        return value, -e * e * by_e, e**3 * (2 * by_e + e * by_e2)

    value, first, second = _with_enough_bits(in_alpha, digits)
    return value, first, second
