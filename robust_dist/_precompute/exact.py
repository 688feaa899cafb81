r"""High-precision truth about the loss and its law, from their definition.

.. math::
    \rho(x, \alpha, c) = \frac{|\alpha-2|}{\alpha}
        \left(\Big(\frac{(x/c)^2}{|\alpha-2|} + 1\Big)^{\alpha/2} - 1\right),
    \qquad
    p(x \mid \alpha, m, c) = \frac{e^{-\rho(x-m, \alpha, c)}}{c\, Z(\alpha)}

(Barron, CVPR 2019, arXiv 1701.03077, eqs. 1 and 16), with the limits taken at
:math:`\alpha \in \{0, 2, \pm\infty\}`. Tables are built from these functions and the run-time code
is tested against them, so nothing here shares code, or a formula chosen for floating point, with
``loss``: cancellation is met with more digits, not with rearrangement.

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

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath
from flint import arb, ctx, fmpq
from mpmath import mpf

type Real = float | int | mpf

_GUARD_DIGITS = 8  # carried by every integral beyond the digits asked for
_TAYLOR_BELOW = 2.0**-40  # arguments below this use a series in place of a cancelling closed form
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


def _alpha_derivatives(
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

    def axis(self, x: arb) -> arb:
        """Return t(x)."""
        return (x / self.root_b).asinh()

    def x_and_slope(self, t: arb) -> tuple[arb, arb]:
        """Return x and dx/dt."""
        sinh, cosh = t.sinh_cosh()
        return self.root_b * sinh, self.root_b * cosh

    def rho(self, t: arb) -> Sequence[arb]:
        """Return rho and its two derivatives."""
        if t.is_zero():
            return (arb(0),) * 3
        y = t.sinh() ** 2
        log_y = y.log1p()
        z = self.a * log_y / 2
        if z < _TAYLOR_BELOW:
            e = _taylor_exprel(z)
        else:
            e0 = z.expm1() / z
            e1 = (z.exp() - e0) / z
            e = (e0, e1, (z.exp() - 2 * e1) / z)
        return _alpha_derivatives(self.b, self.sign, self.a, log_y, y / (1 + y), e)

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
        if v < _TAYLOR_BELOW:
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


# The loss at a point: value and derivatives


class LossJet(NamedTuple):
    """The loss and its derivatives in u = x/c and alpha, at c = 1."""

    rho: mpf
    u: mpf
    a: mpf
    uu: mpf
    ua: mpf
    aa: mpf


def _jet_at_working_precision(x: mpf, alpha: mpf, scale: mpf) -> LossJet:
    """Evaluate the definition and its derivatives; cancellation is the caller's business."""
    u = x / scale
    zero, half_sq = mpf(0), u * u / 2
    if mpmath.isinf(alpha):
        sign = 1 if alpha > 0 else -1
        exp_w = mpmath.exp(sign * half_sq)
        rho_value = sign * mpmath.expm1(sign * half_sq)
        return LossJet(rho_value, u * exp_w, zero, exp_w * (1 + sign * u * u), zero, zero)
    if alpha == 2:
        infinite = mpmath.inf if u else zero
        return LossJet(half_sq, u, infinite, mpf(1), mpmath.sign(u) * infinite, mpmath.nan)
    b, sign = abs(alpha - 2), 1 if alpha > 2 else -1
    y = u * u / b
    log_y, w = mpmath.log1p(y), y / (1 + y)
    z = alpha * log_y / 2
    if z == 0:
        e = [mpf(1), mpf(1) / 2, mpf(1) / 3]
    else:
        e0 = mpmath.expm1(z) / z
        e1 = (mpmath.exp(z) - e0) / z
        e = [e0, e1, (mpmath.exp(z) - 2 * e1) / z]
    value, by_a, by_aa = _alpha_derivatives(b, sign, alpha, log_y, w, e)
    # psi = u (1 + y)^(alpha/2 - 1); its logarithm is differentiated.
    exp_w = mpmath.exp((alpha / 2 - 1) * log_y)
    return LossJet(
        rho=value,
        u=u * exp_w,
        a=by_a,
        uu=exp_w * (1 + (alpha - 2) * w),
        ua=u * exp_w * (log_y - w) / 2,
        aa=by_aa,
    )


def _agree(new: mpf, old: mpf, tolerance: mpf) -> bool:
    if not mpmath.isfinite(new):
        return repr(new) == repr(old)
    return abs(new - old) <= tolerance * abs(new)


def _bits_that_cancel(x: mpf, alpha: mpf, scale: mpf) -> int:
    """Return how many leading bits the closed forms may lose at these arguments."""
    if x == 0 or alpha == 2 or mpmath.isinf(alpha):
        return 0
    gap = mpmath.mag(alpha - 2)
    small_y = gap - 2 * (mpmath.mag(x) - mpmath.mag(scale))
    small_alpha = -mpmath.mag(alpha) if alpha else 0
    return 2 * sum(max(0, bits + 2) for bits in (small_y, -gap, small_alpha))


def loss_jet(x: Real, alpha: Real, scale: Real = 1, digits: int = 30) -> LossJet:
    """Return the loss and its first and second derivatives in u = x/scale and alpha.

    Evaluated at rising precision until two results agree. The first precision covers the known
    cancellations, lest two results agree because everything has cancelled in both.
    """
    # mpf(float) never rounds, and an mpf is taken as it is.
    point = mpf(x), mpf(alpha), mpf(scale)
    with mpmath.workprec(128):
        bits = 64 + math.ceil(3.33 * digits) * 2 + _bits_that_cancel(*point)
    tolerance = mpf(10) ** -(digits + 2)
    old: LossJet | None = None
    for _ in range(12):
        with mpmath.workprec(bits):
            new = _jet_at_working_precision(*point)
            if old is not None and all(
                _agree(n, o, tolerance) for n, o in zip(new, old, strict=True)
            ):
                return new
        old, bits = new, bits * 2
    raise ArithmeticError(f"rho{point} did not settle")


def rho(x: Real, alpha: Real, scale: Real = 1, digits: int = 30) -> mpf:
    """Return the loss."""
    return loss_jet(x, alpha, scale, digits).rho


def psi(x: Real, alpha: Real, scale: Real = 1, digits: int = 30) -> mpf:
    """Return d rho/dx."""
    with mpmath.workdps(digits + _GUARD_DIGITS):
        return loss_jet(x, alpha, scale, digits).u / mpf(scale)


def weight(x: Real, alpha: Real, scale: Real = 1, digits: int = 30) -> mpf:
    """Return the IRLS weight psi/x, by continuity 1/scale^2 at x = 0."""
    with mpmath.workdps(digits + _GUARD_DIGITS):
        if x == 0:
            return 1 / mpf(scale) ** 2
        return psi(x, alpha, scale, digits) / mpf(x)


def drho_dalpha(x: Real, alpha: Real, scale: Real = 1, digits: int = 30) -> mpf:
    """Return d rho/d alpha; +inf at alpha = 2 unless x = 0."""
    return loss_jet(x, alpha, scale, digits).a


Matrix = tuple[tuple[mpf, ...], ...]


def loss_derivatives(
    x: Real, alpha: Real, scale: Real = 1, digits: int = 30
) -> tuple[mpf, tuple[mpf, ...], Matrix]:
    """Return rho, its gradient and its Hessian in (x, alpha, scale)."""
    jet = loss_jet(x, alpha, scale, digits)
    with mpmath.workdps(digits + _GUARD_DIGITS):
        c = mpf(scale)
        u = mpf(x) / c
        xa, ac = jet.ua / c, -u * jet.ua / c
        xc = -(jet.u + u * jet.uu) / c**2
        cc = (2 * u * jet.u + u * u * jet.uu) / c**2
        gradient = (jet.u / c, jet.a, -u * jet.u / c)
        return jet.rho, gradient, ((jet.uu / c**2, xa, xc), (xa, jet.aa, ac), (xc, ac, cc))


@functools.lru_cache(maxsize=4096)
def _cached_log_normalizer(alpha: Real, digits: int) -> tuple[mpf, mpf, mpf]:
    return log_normalizer_derivatives(alpha, digits)


def log_density_derivatives(
    x: Real, loc: Real, alpha: Real, scale: Real, digits: int = 30
) -> tuple[mpf, tuple[mpf, ...], Matrix]:
    """Return log p(x), its gradient and its Hessian in (x, loc, alpha, scale), for alpha >= 0."""
    with mpmath.workprec(2**12):  # a difference of two floats is exact here
        residual = mpf(x) - mpf(loc)
    value, (r_x, r_a, r_c), hessian = loss_derivatives(residual, alpha, scale, digits)
    (r_xx, r_xa, r_xc), (_, r_aa, r_ac), (_, _, r_cc) = hessian
    z, z_a, z_aa = _cached_log_normalizer(alpha, digits)
    with mpmath.workdps(digits + _GUARD_DIGITS):
        c = mpf(scale)
        return (
            -value - mpmath.log(c) - z,
            (-r_x, r_x, -r_a - z_a, -r_c - 1 / c),
            (
                (-r_xx, r_xx, -r_xa, -r_xc),
                (r_xx, -r_xx, r_xa, r_xc),
                (-r_xa, r_xa, -r_aa - z_aa, -r_ac),
                (-r_xc, r_xc, -r_ac, -r_cc + 1 / c**2),
            ),
        )


# The law: tail probabilities, quantiles, moments, entropy (loc 0, scale 1)


def _law(alpha: Real) -> _Law:
    """Return the law on the axis on which its integrals are done."""
    if alpha == math.inf:
        return _ReciprocalAlpha(fmpq(0))
    a = _rational(alpha)
    return _FiniteAlpha(a) if a < 3 else _ReciprocalAlpha(1 / a)


_Weight = Callable[[arb, Sequence[arb]], Sequence[arb]]


def _upper_integral(law: _Law, start: arb, weigh: _Weight, digits: int, power: int) -> list[arb]:
    r"""Return the integrals of weigh(x, rho jet) exp(rho(start) - rho) over x beyond x(start).

    With :math:`t = t_0 + v`, :math:`v = \exp(u - e^{-u})` (double exponential at the finite end,
    Takahasi & Mori 1974), the decay of the integrand at the other. The factor
    :math:`e^{\rho(t_0)}` keeps tails of any size in range. `weigh` grows like x to the `power`.
    """
    first = law.rho(start)[0]
    t0 = float(start.mid())
    offset = law.log_integrand(t0)

    def axis(u: arb) -> tuple[arb, arb]:
        decay = (-u).exp()
        v = (u - decay).exp()
        return v, v * (1 + decay)

    def integrand(u: arb) -> Sequence[arb]:
        v, slope = axis(u)
        t = start + v
        x, dx = law.x_and_slope(t)
        jet = law.rho(t)
        density = (first - jet[0]).exp() * dx * slope
        return [value * density for value in weigh(x, jet)]

    def log_size(u: float) -> float:
        v = math.exp(min(u - math.exp(-u), 600.0))
        growth = power * math.log1p(t0 + v) if law_is_in_x else power * (t0 + v)
        return law.log_integrand(t0 + v) - offset + growth + u - math.exp(-u) + abs(u)

    law_is_in_x = isinstance(law, _ReciprocalAlpha)
    log_tolerance = -math.log(10) * (digits + _GUARD_DIGITS)
    low = _end_of(lambda s: -s - math.exp(s) + s, log_tolerance - 60.0)
    high = _end_of(log_size, log_tolerance)
    return _trapezoid(integrand, -low, high, digits)


def upper_tail(x: Real, alpha: Real, digits: int = 30) -> tuple[mpf, mpf, mpf]:
    """Return P(X > x), its logarithm and its derivative in alpha, for x >= 0.

    The tail is integrated directly, so it keeps its digits however small it is. At alpha = 2 and
    alpha = inf the derivative is given as nan and 0.
    """
    if not (x >= 0 and alpha >= 0):
        raise ValueError(f"the upper tail needs x >= 0 and alpha >= 0, not {x} and {alpha}")
    if alpha == 2:
        with mpmath.workdps(digits + _GUARD_DIGITS):
            tail = mpmath.erfc(mpf(x) / mpmath.sqrt(2)) / 2
            return tail, mpmath.log(tail), mpmath.nan

    def balls() -> Sequence[arb]:
        law = _law(alpha)
        start = law.axis(arb(_rational(x)))
        log_z, slope, _ = _log_z_and_slopes(law, digits)
        mass, mass_slope = _upper_integral(
            law, start, lambda _, jet: (arb(1), -jet[1]), digits, power=0
        )
        log_density = -law.rho(start)[0] - log_z
        by_parameter = (mass_slope - mass * slope) * log_density.exp()
        if isinstance(law, _ReciprocalAlpha):  # d/d alpha = -e^2 d/de
            by_parameter *= -law.e * law.e
        log_tail = log_density + mass.log()
        return log_tail.exp(), log_tail, arb(0) if x == 0 else by_parameter

    tail, log_tail, by_alpha = _with_enough_bits(balls, digits)
    return tail, log_tail, by_alpha


def cdf(x: Real, alpha: Real, digits: int = 30) -> tuple[mpf, mpf]:
    """Return F(x) and dF/d alpha."""
    tail, _, slope = upper_tail(abs(x), alpha, digits)
    with mpmath.workdps(digits + _GUARD_DIGITS):
        return (1 - tail, -slope) if x > 0 else (tail, slope)


def quantile(p: Real, alpha: Real, digits: int = 30) -> mpf:
    """Return the x with F(x) = p, for p in (0, 1/2]; the other half is its mirror image."""
    if not 0 < p <= 0.5:
        raise ValueError(f"p = {p} is not in (0, 1/2]")
    if p == 0.5:
        return mpf(0)
    with mpmath.workdps(digits + _GUARD_DIGITS):
        log_p = mpmath.log(mpf(p))
        extra = max(0, math.ceil(-mpmath.log10(mpf(1) / 2 - mpf(p))))  # 1/2 - p is x p(0) there

    def excess(x: mpf, with_digits: int) -> mpf:
        return upper_tail(x, alpha, with_digits)[1] - log_p

    low, high = mpf(0), mpf(1)
    while excess(high, 12) > 0:
        low, high = high, high * 8
    for _ in range(6):
        middle = (low + high) / 2 if low == 0 else mpmath.sqrt(low * high)
        low, high = (middle, high) if excess(middle, 12) > 0 else (low, middle)
    x = (low + high) / 2
    log_z = log_normalizer_derivatives(alpha, 30)[0]
    with mpmath.workdps(digits + extra + _GUARD_DIGITS):
        for _ in range(60):
            _, log_tail, _ = upper_tail(x, alpha, digits + extra)
            step = (log_tail - log_p) * mpmath.exp(rho(x, alpha) + log_z + log_tail)
            x = max(x + step, x / 16)
            if abs(step) <= mpf(10) ** -(digits * 0.6 + 1) * x:
                return -x
    raise ArithmeticError("Newton's iteration for the quantile did not settle")


def absolute_moment(power: int, alpha: Real, digits: int = 30) -> mpf:
    """Return E|X|^power for alpha > 0: 1 for the mean of |X|, 2 for the variance."""
    if not alpha > 0:
        raise ValueError("the moments of alpha = 0, a Cauchy law, are infinite")
    if alpha == 2:
        with mpmath.workdps(digits + _GUARD_DIGITS):
            half = mpf(power + 1) / 2
            return mpf(2) ** (mpf(power) / 2) * mpmath.gamma(half) / mpmath.sqrt(mpmath.pi)

    def balls() -> Sequence[arb]:
        law = _law(alpha)
        mass, moment = _upper_integral(
            law, arb(0), lambda x, _: (arb(1), x**power), digits, power=power
        )
        return (moment / mass,)

    return _with_enough_bits(balls, digits)[0]


def entropy(alpha: Real, digits: int = 30) -> mpf:
    """Return the differential entropy log Z + E rho."""
    if alpha == 2:
        with mpmath.workdps(digits + _GUARD_DIGITS):
            return (1 + mpmath.log(2 * mpmath.pi)) / 2

    def balls() -> Sequence[arb]:
        law = _law(alpha)
        mass, loss = _upper_integral(law, arb(0), lambda _, jet: (arb(1), jet[0]), digits, power=0)
        return ((2 * mass).log() + loss / mass,)

    return _with_enough_bits(balls, digits)[0]
