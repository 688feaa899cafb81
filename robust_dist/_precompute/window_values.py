"""Write the reference values for the law on a window of the line.

Run as ``python -m robust_dist._precompute.window_values CHECKOUT`` (two minutes); the file goes
to ``CHECKOUT/tests/reference/window.csv``. The integrals are Arb's own adaptive, rigorous ones, in
the logarithm of the distance from the window's end, of the loss as the paper writes it; those of
the package are neither. The derivative in alpha is a central difference at a step of 2^-60, with
400 bits. All inputs are exact in float32.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import itertools
import math
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import flint
import numpy as np
from flint import acb, arb

_BITS = 400
_DIGITS = 25
_STEP = arb(2) ** -60

ALPHAS = (
    *(-math.inf, -1e6, -100.0, -10.0, -2.0, -0.5, -1e-3, 0.0, 1e-3, 0.3, 1.0, 1.5, 1.9, 1.99),
    1.9999,
    *(2.0, 2.0001, 2.1, 2.5, 4.0, 10.0, math.inf),
)
# the point nearest to loc, and what the window reaches to the right and to the left of it
WINDOWS = (
    *((0.0, 1e-3, 0.0), (0.0, 5e-4, 5e-4), (5.0, 1e-3, 0.0), (0.0, 3.0, 1.0), (0.3, 3.0, 0.0)),
    *((30.0, 1.0, 0.0), (1e3, 1e6, 0.0), (0.0, 5e5, 5e5), (0.0, 20.0, 1e-3), (1e-3, 50.0, 0.0)),
    *((1e3, 1e-3, 0.0), (1e6, 1e-3, 0.0), (1e6, 1e6, 0.0)),
)


def _loss(u: acb | arb, alpha: arb | float, *options: bool) -> acb | arb:
    """Return rho(u, alpha, 1), eq. 8 of the paper; ``options`` guard the logarithm's branch cut."""
    half = u * u / 2
    if isinstance(alpha, float):
        if alpha == 0:
            return (1 + half).log(*options)
        if alpha == 2:
            return half
        return 1 - (-half).exp() if alpha < 0 else half.exp() - 1
    b = abs(alpha - 2)
    return b / alpha * ((alpha / 2 * (1 + u * u / b).log(*options)).exp() - 1)


def _side(anchor: arb, length: float, alpha: arb | float) -> arb:
    """Return the integral of exp(rho(anchor) - rho(anchor + t)) over t in [0, length]."""
    if not length:
        return arb(0)
    at_anchor = _loss(anchor, alpha)

    def drop(t: arb) -> float:
        return float(abs(_loss(anchor + t, alpha) - at_anchor))

    def integrand(log_t: acb, analytic: bool) -> acb:
        t = log_t.exp()
        return (at_anchor - _loss(anchor + t, alpha, analytic)).exp() * t

    # beyond a drop of 120 lie 1e-52 of the mass
    stop = arb(length)
    while not drop(stop) <= 200 and not drop(stop / 2) <= 120:  # nan where it overflows
        stop /= 2
    start, stop = arb("1e-70").log() + stop.log(), stop.log()
    edges = [start + (stop - start) * k / 24 for k in range(25)]
    total = acb(start.exp())
    for low, high in itertools.pairwise(edges):
        total += acb.integral(integrand, low, high, rel_tol=arb(2) ** -180, abs_tol=arb(2) ** -400)
    return total.real


def _log_mass(window: tuple[float, float, float], alpha: arb | float) -> arb:
    anchor, right, left = window
    return (_side(arb(anchor), right, alpha) + _side(arb(anchor), left, alpha)).log()


def _cell(value: arb) -> str:
    text: str = value.str(_DIGITS, radius=False)
    assert value.rel_accuracy_bits() > 75 or value.rad() < 1e-30, value
    return text


def _rows() -> Iterator[list[str]]:
    for alpha in (float(np.float32(value)) for value in ALPHAS):
        for anchor, right, left in WINDOWS:
            window = float(np.float32(anchor)), float(np.float32(right)), float(np.float32(left))
            farthest = 10 if alpha == math.inf else 100 if alpha > 2 else 1e4 if alpha > 1 else 1e7
            if window[0] > farthest:
                continue  # the mass lies within a step of the format of the window's end
            limit = alpha in (0.0, 2.0) or math.isinf(alpha)
            slope = ""
            if not limit:
                above, below = (_log_mass(window, alpha + s * _STEP) for s in (1, -1))
                slope = _cell((above - below) / (2 * _STEP))
            value = _log_mass(window, alpha if limit else arb(alpha))
            yield [*(float(v).hex() for v in (*window, alpha)), _cell(value), slope]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("checkout", type=Path, help="root of the checkout to write into")
    flint.ctx.prec = _BITS
    path = parser.parse_args().checkout / "tests" / "reference" / "window.csv"
    with path.open("w", newline="") as file:
        versions = f"python-flint {version('python-flint')}, {_BITS} bits"
        module = "robust_dist._precompute.window_values"
        file.write(f"# python -m {module} CHECKOUT, {datetime.date.today()}, {versions}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["anchor", "right", "left", "alpha", "log_mass", "d_alpha"])
        writer.writerows(_rows())


if __name__ == "__main__":
    main()
