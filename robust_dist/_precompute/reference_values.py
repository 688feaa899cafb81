"""Write the reference values that the tests compare with.

Run as ``python -m robust_dist._precompute.reference_values CHECKOUT`` (three minutes on one
core); the files go to ``CHECKOUT/tests/reference/``. The values come from :mod:`.exact`, which is
independent of the run-time code, to 25 significant digits; inputs are exact binary numbers, written
as hexadecimal floats so that no reader rounds them. A cell is empty where the number is beyond the
normal range of the precision under test, or infinite. psi is left out, being weight times x, and so
are derivatives in loc, being those in x with the other sign.

The inputs of ``*_float32.csv`` and ``log_prob.csv`` are exact in float32, hence in float64 too.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import mpmath
import numpy as np
from mpmath import mpf

from robust_dist._precompute import exact
from robust_dist._precompute.information import (
    Information,
    effective_at_two,
    information,
    information_reciprocal,
)

DIGITS = 25
SEED = 20_190_616  # the first day of CVPR 2019, where the loss was presented

Row = Sequence[object]

_AWAY_FROM_TWO = (
    *(s * a for a in (1e-300, 1e-16, 1e-8, 1e-3) for s in (-1, 1)),
    *(0.0, 0.1, 0.3, 0.5, 1.0, 1.5, 1.9, 1.99, 2.5, 3.0, 4.0, 10.0, 100.0, 1e3, 1e6, 1e10),
    *(-0.5, -1.0, -2.0, -3.0, -10.0, -1e3, -1e6, -1e10, math.inf, -math.inf),
)
ALPHAS_FLOAT64 = (
    *_AWAY_FROM_TWO,
    *(2 + s * gap for gap in (1e-3, 1e-6, 1e-9, 1e-12, 2.0**-51) for s in (-1, 1)),
    2.0,
    1.999999,
)
ALPHAS_FLOAT32 = (
    *(float(np.float32(a)) for a in _AWAY_FROM_TWO if a == 0 or abs(a) > 1e-37),
    *(s * 2.0**-126 for s in (-1, 1)),
    *(2 + s * 2.0**-k for k in (4, 10, 16, 20, 22) for s in (-1, 1)),
    2.0,
)
# |x/c|: dense where the loss turns from quadratic to its tail, sparse out to the ends.
_CENTRE = tuple(np.logspace(-3, 3, 19).tolist())
X_FLOAT64 = (0.0, 1e-300, 1e-150, 1e-60, 1e-16, 1e-8, 1e-5, *_CENTRE, 1e5, 1e8, 1e16)
X_FLOAT32 = (0.0, 1e-36, 1e-12, 1e-6, *_CENTRE[::2], 1e5, 1e16)


def _alphas_of_the_law(generator: np.random.Generator) -> list[float]:
    """Return shapes in [0, inf], crowded towards 0, 2 and inf."""
    gaps = [2.0**-k for k in range(1, 52, 2)] + [1e-3, 1e-14, 2.0**-51]
    grid = [a for a in ALPHAS_FLOAT64 if a >= 0] + [2 + s * gap for gap in gaps for s in (-1, 1)]
    spread = [*generator.uniform(0, 4, 60), *10 ** generator.uniform(-4, 4, 40)]
    singles = [float(np.float32(a)) for a in (*spread[::4], 1e-3, 0.1, 1.9, 2.1, 3.3, 1e3, 1e30)]
    return sorted({*grid, *spread, *singles, 1e30, 1e300})


def _points(
    alphas: Iterable[float], xs: Sequence[float], generator: np.random.Generator, dtype: type
) -> Iterator[tuple[float, float, float]]:
    """Yield (x, alpha, scale): the grid, every other point with a scale and a sign of its own."""
    for alpha in alphas:
        for k, u in enumerate(xs):
            scaled = k % 2 and 1e-30 < u < 1e10
            scale = float(dtype(2.0 ** generator.uniform(-8, 8))) if scaled else 1.0
            yield float(dtype(u * scale * (-1) ** (k // 2))), alpha, scale


def _random_points(
    count: int, generator: np.random.Generator, dtype: type
) -> Iterator[tuple[float, float, float]]:
    """Yield (x, alpha, scale) all over the plane."""
    for _ in range(count):
        alpha = generator.choice([generator.uniform(-4, 6), generator.standard_cauchy()])
        x, scale = 10 ** generator.uniform(-4, 4), 10 ** generator.uniform(-2, 2)
        yield float(dtype(x)), float(dtype(alpha)), float(dtype(scale))


def _hex(value: float) -> str:
    mantissa, exponent = value.hex().split("p") if math.isfinite(value) else (value.hex(), "")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}" if exponent else mantissa


def _cell(value: mpf, dtype: type = np.float64) -> str:
    """Return 25 digits, or nothing when the number has no normal representation."""
    info = np.finfo(dtype)
    size = abs(value)
    if not mpmath.isfinite(value) or size > float(info.max) or 0 < size < float(info.tiny):
        return ""
    return mpmath.nstr(value, DIGITS, min_fixed=-2, max_fixed=6)


def _loss_rows(points: Iterable[tuple[float, float, float]], dtype: type) -> Iterator[Row]:
    for x, alpha, scale in points:
        cells = [
            _cell(f(x, alpha, scale), dtype) for f in (exact.rho, exact.weight, exact.drho_dalpha)
        ]
        if any(cells):
            yield (_hex(x), _hex(alpha), _hex(scale), *cells)


def _normalizer_rows(alphas: Iterable[float]) -> Iterator[Row]:
    for alpha in alphas:
        yield (_hex(alpha), *map(_cell, exact.log_normalizer_derivatives(alpha)))


def _log_prob_rows(generator: np.random.Generator) -> Iterator[Row]:
    alphas = [0.0, 1e-6, 1e-3, 0.1, 0.5, 1.0, 1.5, 1.9, 1.999, 2.001, 2.1, 2.5, 3.0, 4.0, 10.0, 1e3]
    for unrounded in [*alphas, *generator.uniform(0, 4, 8)]:
        for u in (0.0, 1e-3, 0.1, 0.6, 1.7, 5.0, 40.0, 1e4):
            loc, scale = generator.normal(), 2.0 ** generator.uniform(-3, 3)
            # Few bits, so that x - loc is exact in float32 too.
            residual = float(np.float16(u * scale)) if u * scale < 6e4 else float(round(u * scale))
            loc = round(4 * loc) / 4 if u in (0.0, 0.6, 1.7, 5.0) else 0.0
            alpha, scale, x = (float(np.float32(v)) for v in (unrounded, scale, loc + residual))
            if x - loc != residual:
                raise AssertionError(f"{x} - {loc} rounds in float32")
            value, gradient, hessian = exact.log_density_derivatives(x, loc, alpha, scale)
            if value < -1e4:
                continue
            kept = (0, 2, 3)  # x, alpha, scale
            second = [hessian[i][j] for i in kept for j in kept if i <= j]
            numbers = [value, *(gradient[i] for i in kept), *second]
            yield (*(_hex(v) for v in (x, loc, alpha, scale)), *map(_cell, numbers))


def _tail_rows() -> Iterator[Row]:
    for alpha in (
        0.0,
        1e-8,
        0.1,
        0.5,
        1.0,
        1.5,
        1.9,
        2 - 1e-9,
        2.0,
        2.5,
        4.0,
        10.0,
        100.0,
        math.inf,
    ):
        for x in (0.0, 1e-6, 0.3, 1.0, 1.5, 2.5, 4.0, 10.0, 30.0, 1e3, 1e6, 1e12):
            if exact.rho(x, alpha) < 640:  # the tail stays above 1e-280
                tail, log_tail, slope = exact.upper_tail(x, alpha)
                yield (_hex(x), _hex(alpha), _cell(tail), _cell(log_tail), _cell(-slope))


def _quantile_rows() -> Iterator[Row]:
    for alpha in (0.0, 0.1, 0.5, 1.0, 1.5, 1.9, 2.0, 2.5, 4.0, 10.0, math.inf):
        for p in (1e-300, 1e-100, 1e-30, 1e-10, 1e-3, 0.1, 0.4, 0.49999, 0.5):
            yield (_hex(p), _hex(alpha), _cell(exact.quantile(p, alpha)))


def _moment_rows() -> Iterator[Row]:
    alphas = (0.0, 1e-6, 0.1, 0.3, 0.5, 1.0, 1.5, 1.9, 2 - 1e-6, 2.0, 2 + 1e-6, 2.5, 4.0, 10.0, 1e3)
    for alpha in (*alphas, math.inf):
        moments = (
            [exact.absolute_moment(k, alpha) for k in (1, 2, 4)]
            if alpha >= 0.1
            else [mpmath.inf] * 3
        )
        yield (_hex(alpha), _cell(exact.entropy(alpha)), *map(_cell, moments))


ALPHAS_OF_INFORMATION = (
    *(0.0, 1e-6, 1e-3, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.03, 1.1, 1.3, 1.5, 1.7, 1.9, 1.99),
    *(2 + s * 2.0**-k for k in (10, 13, 17, 20, 30, 40, 50) for s in (-1, 1)),
    *(2.01, 2.1, 2.3, 2.5, 2.7, 2.9, 3.0, 3.2, 4.0, 7.0, 10.0, 50.0, 1e3, 1e4, 1e6, 1e12),
)


def _totals(
    law: Callable[[mpf], Information],
    points: Iterable[mpf],
    first: tuple[mpf, mpf, mpf] = (mpf(0), mpf(0), mpf(0)),
) -> dict[mpf, tuple[Information, mpf, mpf]]:
    """Return for every p the information, and the integrals of H' and r from 0 to p.

    By tanh-sinh quadrature, where the generator of the tables uses Gauss-Legendre; ``first`` is a p
    with what is known of the integrals up to it.
    """
    law = functools.cache(law)
    totals, (start, h, mass) = {}, first
    for stop in sorted(points):
        if stop > start:
            h += mpmath.quad(lambda p: law(p).ratio, [start, stop])
            mass += mpmath.quad(lambda p: mpmath.sqrt(law(p).effective), [start, stop])
        totals[stop] = law(stop), h, mass
        start = stop
    return totals


def _information_rows() -> Iterator[Row]:
    """Integrate in b = abs(alpha - 2) from 2, and in e = 1/alpha from infinity."""
    mpmath.mp.dps = DIGITS
    alphas, third = [mpf(alpha) for alpha in ALPHAS_OF_INFORMATION], 1 / mpf(3)
    # H' = (log b + gamma + log 2 - 1)/4 + o(1); what is left out is of the order 1e-36
    b = mpf(10) ** -18
    rise = b * (mpmath.log(b) + mpmath.euler + mpmath.log(2) - 2) / 4
    first = (b, rise, b * mpmath.sqrt(effective_at_two()))

    def near(sign: int) -> Callable[[mpf], Information]:
        def at(b: mpf) -> Information:
            with mpmath.workdps(3 * DIGITS):  # 2 + b rounds
                return information(2 + sign * b, DIGITS - 5)

        return at

    below, above = (
        _totals(near(s), [s * (a - 2) for a in alphas if a <= 3 and s * (a - 2) > 0], first)
        for s in (-1, 1)
    )
    high = _totals(
        lambda e: information_reciprocal(e, DIGITS - 5), [third, *(1 / a for a in alphas if a > 3)]
    )
    mass_below, mass_above, mass_high = below[mpf(2)][2], above[mpf(1)][2], high[third][2]
    total = mass_below + mass_above + mass_high
    for alpha in alphas:
        if alpha <= 3:
            expectations, h, mass = (below if alpha < 2 else above)[abs(alpha - 2)]
            root = mpmath.sqrt(expectations.effective)
            slope = expectations.effective_slope / (2 * root)
            information_cells = expectations.pp, expectations.pc, expectations.cc
            of_h = (h if alpha > 2 else -h), expectations.ratio, expectations.ratio_slope
            tail = mass_above - mass if alpha > 2 else mass_above + mass
            upper = mass_high + tail
        else:
            e = 1 / alpha
            expectations, h, upper = high[e]
            in_e = mpmath.sqrt(expectations.effective)
            root = in_e * e**2
            slope = -(e**2) * (expectations.effective_slope / (2 * in_e) * e**2 + 2 * e * in_e)
            information_cells = expectations.pp * e**4, -expectations.pc * e**2, expectations.cc
            of_h = (
                above[mpf(1)][1] - (high[third][1] - h),
                -expectations.ratio * e**2,
                e**3 * (2 * expectations.ratio + e * expectations.ratio_slope),
            )
        lower = mass_below - mass if alpha < 2 else total - upper
        prior = (value / total for value in (lower, upper, root, slope))
        yield (_hex(float(alpha)), *map(_cell, (*information_cells, *of_h, *prior)))


def _write(path: Path, columns: str, rows: Iterable[Row]) -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in ("mpmath", "python-flint", "numpy"))
    with path.open("w", newline="") as file:
        module = "robust_dist._precompute.reference_values"
        file.write(f"# python -m {module} CHECKOUT, {datetime.date.today()}, ")
        file.write(f"seed {SEED}, {packages}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns.split())
        writer.writerows(rows)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("checkout", type=Path, help="root of the checkout to write into")
    folder = parser.parse_args(arguments).checkout / "tests" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED)

    loss = "x alpha scale rho weight drho_dalpha"
    for name, alphas, xs, dtype in (
        ("float64", ALPHAS_FLOAT64, X_FLOAT64, np.float64),
        ("float32", ALPHAS_FLOAT32, X_FLOAT32, np.float32),
    ):
        points = [*_points(alphas, xs, generator, dtype), *_random_points(150, generator, dtype)]
        _write(folder / f"loss_{name}.csv", loss, _loss_rows(points, dtype))
    _write(
        folder / "log_normalizer.csv",
        "alpha log_z d_alpha d_alpha_alpha",
        _normalizer_rows(_alphas_of_the_law(generator)),
    )
    first = "d_x d_alpha d_scale"
    second = "d_x_x d_x_alpha d_x_scale d_alpha_alpha d_alpha_scale d_scale_scale"
    _write(
        folder / "log_prob.csv",
        f"x loc alpha scale log_prob {first} {second}",
        _log_prob_rows(generator),
    )
    _write(
        folder / "information.csv",
        "alpha i_aa i_ac i_cc h d_h d_d_h prior_cdf prior_sf prior_pdf prior_slope",
        _information_rows(),
    )
    _write(folder / "tail.csv", "x alpha tail log_tail dcdf_dalpha", _tail_rows())
    _write(folder / "quantile.csv", "p alpha quantile", _quantile_rows())
    _write(folder / "moments.csv", "alpha entropy mean_abs variance fourth", _moment_rows())


if __name__ == "__main__":
    main()
