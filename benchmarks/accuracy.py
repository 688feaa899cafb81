"""Measure the accuracy of the loss, the log-normalizer, the log density, cdf, quantile and moments.

    python benchmarks/accuracy.py [--seed N] [--points N]

Draws fresh arguments, computes the truth in high precision (``robust_dist._precompute.exact``,
about a minute for the default 3,000 points), and prints for every quantity and precision the worst
error, the bar it has to stay under, and the arguments at which it is attained. Exits with status 1
if a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from robust_dist import GeneralRobust
from robust_dist._numerics.log_normalizer import log_normalizer
from robust_dist._numerics.loss import psi, rho, weight
from robust_dist._precompute import exact

DIGITS = 22  # of the truth: six more than float64 has
FLOAT32_LARGEST_RHO = 80  # beyond, e^w alone may lose the float32 bar
ARGUMENTS = ("x", "alpha", "scale")


@dataclass
class Line:
    """One line of the table: the worst of a set of errors."""

    quantity: str
    dtype: np.dtype
    count: int
    worst: float
    bar: float
    where: str

    @property
    def met(self) -> bool:
        """Tell whether the worst error is within the bar."""
        return self.worst <= self.bar

    def __str__(self) -> str:
        verdict = "met" if self.met else "MISSED"
        return (
            f"{self.quantity:<38} {self.dtype!s:<8} {self.count:>6} {self.worst:>9.1e} "
            f"{self.bar:>8.0e} {verdict:<7} {self.where}"
        )


# Arguments


def _shapes(count: int, generator: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    """Draw alphas: everywhere, and crowded towards 0, 2 and +-inf."""
    double = dtype == np.float64
    sign = generator.choice([-1.0, 1.0], count)
    near_two = (
        10 ** generator.uniform(-12, 0, count)
        if double
        else 2.0 ** generator.integers(-22, 0, count)
    )
    kinds = [
        generator.uniform(-4, 6, count),
        sign * 10 ** generator.uniform(-300 if double else -37, 0, count),
        2 + sign * near_two,
        sign * 10 ** generator.uniform(0, 10, count),
        generator.choice([0.0, 2.0, 1.0, -2.0, np.inf, -np.inf], count),
    ]
    return np.choose(generator.integers(0, len(kinds), count), kinds).astype(dtype)


def _residuals(count: int, generator: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    """Draw x: mostly where the loss bends, the rest out to both ends."""
    smallest = -300 if dtype == np.float64 else -37
    kinds = [
        10 ** generator.uniform(-3, 3, count),
        10 ** generator.uniform(-20, 16, count),
        10 ** generator.uniform(smallest, -3, count),
    ]
    size = np.choose(generator.choice(3, count, p=[0.6, 0.3, 0.1]), kinds)
    return (size * generator.choice([-1.0, 1.0], count)).astype(dtype)


def _scales(count: int, generator: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    """Draw scales: 1 for half of the points."""
    scale = 10 ** generator.uniform(-3, 3, count)
    return np.where(generator.random(count) < 0.5, 1.0, scale).astype(dtype)


# Errors


def _worst(
    quantity: str,
    dtype: np.dtype,
    bar: float,
    computed: np.ndarray,
    truth: list[mpmath.mpf],
    points: list[np.ndarray],
    names: tuple[str, ...] = ARGUMENTS,
    *,
    relative: bool = True,
    unit: np.ndarray | None = None,
) -> Line:
    """Compare where the truth has a normal representation; `unit` divides absolute errors."""
    info = np.finfo(dtype)
    worst, where, count = 0.0, "", 0
    for i, (value, exact_value) in enumerate(zip(computed.tolist(), truth, strict=True)):
        size = abs(exact_value)
        if not mpmath.isfinite(size) or size > float(info.max) or 0 < size < float(info.tiny):
            continue
        count += 1
        if np.isfinite(value):
            error = abs(mpmath.mpf(value) - exact_value)
            error = float(error / size if relative and size else error)
            error = error if unit is None else error / unit[i]
        else:
            error = np.inf
        if error > worst:
            worst = error
            where = ", ".join(
                f"{n}={float(axis[i])!r}" for n, axis in zip(names, points, strict=True)
            )
    return Line(quantity, dtype, count, worst, bar, where)


def loss_lines(dtype: np.dtype, points: int, generator: np.random.Generator) -> Iterator[Line]:
    """Measure rho, psi, weight and d rho/d alpha."""
    columns = [f(points, generator, dtype) for f in (_residuals, _shapes, _scales)]
    jets = [
        exact.loss_jet(float(x), float(a), float(c), DIGITS)
        for x, a, c in zip(*columns, strict=True)
    ]
    if dtype == np.float32:
        kept = [i for i, jet in enumerate(jets) if jet.rho < FLOAT32_LARGEST_RHO]
        columns, jets = [column[kept] for column in columns], [jets[i] for i in kept]
    x, _, c = ([mpmath.mpf(float(v)) for v in column] for column in columns)
    pairs = list(zip(jets, x, c, strict=True))
    truths: dict[str, tuple[Callable, list[mpmath.mpf], float, float]] = {
        "rho": (rho, [jet.rho for jet in jets], 2e-13, 5e-6),
        "psi": (psi, [jet.u / c for jet, _, c in pairs], 2e-13, 5e-6),
        "weight": (weight, [jet.u / (c * x) for jet, x, c in pairs], 2e-13, 5e-6),
        "d rho/d alpha": (
            jax.vmap(jax.grad(rho, 1)),
            [jet.a for jet in jets],
            5e-13,
            5e-5,
        ),
    }
    for name, (function, truth, double_bar, single_bar) in truths.items():
        computed = np.asarray(jax.jit(function)(*map(jnp.asarray, columns)))
        bar = double_bar if dtype == np.float64 else single_bar
        yield _worst(f"{name}, relative", dtype, bar, computed, truth, columns)


def normalizer_lines(
    dtype: np.dtype, points: int, generator: np.random.Generator
) -> Iterator[Line]:
    """Measure log Z and its first derivative."""
    closest = 14 if dtype == np.float64 else 6.3
    sign = generator.choice([-1.0, 1.0], points)
    kinds = [
        generator.uniform(0, 4, points),
        10 ** generator.uniform(-16, 0, points),
        2 + sign * 10 ** generator.uniform(-closest, 0, points),
        10 ** generator.uniform(0, 8, points),
    ]
    alpha = np.choose(generator.integers(0, len(kinds), points), kinds)
    alpha = np.concatenate([alpha, [0.0, 1.0, 2.0, 3.0, np.inf]]).astype(dtype)
    truth = [exact.log_normalizer_derivatives(float(a), DIGITS) for a in alpha]
    double = dtype == np.float64
    value = np.asarray(jax.jit(log_normalizer)(jnp.asarray(alpha)))
    slope = np.asarray(jax.jit(jax.vmap(jax.grad(log_normalizer)))(jnp.asarray(alpha)))
    where: dict = {"points": [alpha], "names": ("alpha",)}
    yield _worst(
        "log Z, absolute",
        dtype,
        2e-15 if double else 3e-7,
        value,
        [row[0] for row in truth],
        relative=False,
        **where,
    )
    bar = 5e-12 if double else 1e-5
    yield _worst("d log Z/d alpha, relative", dtype, bar, slope, [row[1] for row in truth], **where)


def density_lines(dtype: np.dtype, points: int, generator: np.random.Generator) -> Iterator[Line]:
    """Measure the alpha-gradient and the Hessian of the log density, and count NaN."""

    def log_prob(x: jax.Array, alpha: jax.Array, scale: jax.Array) -> jax.Array:
        return GeneralRobust(alpha, 0.0, scale).log_prob(x)

    @jax.jit
    @jax.vmap
    def derivatives(*point: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        value, gradient = jax.value_and_grad(log_prob, (0, 1, 2))(*point)
        rows = jax.hessian(log_prob, (0, 1, 2))(*point)
        return value, jnp.stack(gradient), jnp.stack([jnp.stack(row) for row in rows])

    shape = np.concatenate(
        [generator.uniform(0, 4, points // 2), 10 ** generator.uniform(-6, 3, points - points // 2)]
    )
    shape = np.where(np.abs(shape - 2) < 1e-3, 2 + 2e-3, shape).astype(dtype)
    x = (10 ** generator.uniform(-3, 2, points) * generator.choice([-1, 1], points)).astype(dtype)
    columns = [x, shape, (10 ** generator.uniform(-1, 1, points)).astype(dtype)]
    rows = []
    for values in zip(*columns, strict=True):
        x_i, a_i, c_i = (float(v) for v in values)
        rows.append(exact.log_density_derivatives(x_i, 0.0, a_i, c_i, DIGITS))
    kept = [i for i, row in enumerate(rows) if row[0] > -FLOAT32_LARGEST_RHO]
    columns, rows = [column[kept] for column in columns], [rows[i] for i in kept]
    value, gradient, hessian = (np.asarray(v) for v in derivatives(*map(jnp.asarray, columns)))

    double = dtype == np.float64
    # It is minus the sum of two slopes that may cancel, each with a bar of its own.
    of_rho, of_normalizer = (1e-13, 5e-12) if double else (5e-5, 1e-5)
    slopes = [row[1][2] for row in rows]
    of_z = [exact.log_normalizer_derivatives(float(a), 10)[1] for a in columns[1]]
    unit = [
        of_rho * (1 + abs(p)) + of_normalizer * abs(z) for p, z in zip(slopes, of_z, strict=True)
    ]
    yield _worst(
        "d log p/d alpha, error/(sum of bars)",
        dtype,
        1,
        gradient[:, 1],
        slopes,
        columns,
        relative=False,
        unit=np.array(unit, float),
    )
    for i, first in enumerate(ARGUMENTS):
        for j in range(i, 3):
            truth = [row[2][(0, 2, 3)[i]][(0, 2, 3)[j]] for row in rows]
            quantity = f"d2 log p/d{first} d{ARGUMENTS[j]}, relative"
            bar = 1e-6 if double else 1e-3
            yield _worst(quantity, dtype, bar, hessian[:, i, j], truth, columns)

    # The whole range of the format, without truth: no NaN where the value is finite.
    count = 20_000
    info = np.finfo(dtype)
    low, high = np.log10(float(info.tiny)) + 0.01, np.log10(float(info.max)) - 0.01
    wide = [(10 ** generator.uniform(low, high, count)).astype(dtype) for _ in range(3)]
    near = _shapes(count, generator, dtype)
    wide[0] = np.where(generator.random(count) < 0.5, wide[0], _residuals(count, generator, dtype))
    wide[1] = np.where(near >= 0, near, wide[1])
    wide[2] = np.where(generator.random(count) < 0.3, wide[2], _scales(count, generator, dtype))
    value, gradient, hessian = (np.asarray(v) for v in derivatives(*map(jnp.asarray, wide)))
    flat = np.concatenate([value[:, None], gradient, hessian.reshape(count, 9)], axis=1)
    bad = np.isnan(value) | (np.isnan(flat).any(1) & np.isfinite(value))
    at = int(np.argmax(bad))
    where = ", ".join(f"{n}={float(axis[at])!r}" for n, axis in zip(ARGUMENTS, wide, strict=True))
    where = where if bad.any() else ""
    yield Line("NaN in value, gradient, Hessian", dtype, count, float(bad.sum()), 0, where)


def _law_shapes(count: int, generator: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    """Draw alphas in [0, 100] and inf, crowded towards 0 and 2."""
    near = [1e-8, 1e-3, 0.0, 1.0, 2.0, 100.0, np.inf]
    near += [2 - 1e-10, 2 + 1e-10] if dtype == np.float64 else [2 - 1e-6, 2 + 1e-6]
    kinds = [
        generator.uniform(0, 4, count),
        10 ** generator.uniform(-9, 2, count),
        generator.choice(near, count),
    ]
    return np.choose(generator.integers(0, len(kinds), count), kinds).astype(dtype)


def probability_lines(
    dtype: np.dtype, points: int, generator: np.random.Generator
) -> Iterator[Line]:
    """Measure cdf, log of the tail, quantile, round trip, pathwise slopes and moments."""
    double = dtype == np.float64
    alpha = _law_shapes(points, generator, dtype)
    kinds = [generator.uniform(0, 6, points), 10 ** generator.uniform(-3, 3, points)]
    x = np.choose(generator.integers(0, 2, points), kinds).astype(dtype)
    for _ in range(20):  # to where the tail is a number
        x = np.where(np.asarray(rho(x, alpha)) > (640 if double else 80), x / 2, x).astype(dtype)
    tails = [exact.upper_tail(float(v), float(a), DIGITS) for v, a in zip(x, alpha, strict=True)]
    where: dict = {"points": [x, alpha], "names": ("x", "alpha")}

    @jax.jit
    def both(alpha: jax.Array, x: jax.Array) -> tuple[jax.Array, ...]:
        d = GeneralRobust(alpha)
        return d.cdf(-x), d.cdf(x), d.log_cdf(-x), d.log_sf(x)

    below, above, log_below, log_above = (np.asarray(v) for v in both(alpha, x))
    bar = 1e-13 if double else 5e-7
    for name, value, truth in (
        ("cdf below loc, absolute", below, [tail[0] for tail in tails]),
        ("cdf above loc, absolute", above, [1 - tail[0] for tail in tails]),
    ):
        yield _worst(name, dtype, bar, value, truth, relative=False, **where)
    kept = [i for i, tail in enumerate(tails) if tail[1] > (-644 if double else -80)]
    where["points"] = [x[kept], alpha[kept]]
    truth = [tails[i][1] for i in kept]
    for name, value in (("log cdf", log_below), ("log sf", log_above)):
        quantity = f"{name} in the tail, relative"
        yield _worst(quantity, dtype, 1e-11 if double else 1e-5, value[kept], truth, **where)

    count = max(points // 5, 20)
    shape = alpha[:count]
    p = 10.0 ** -generator.uniform(0.302, 300 if double else 30, count)
    p[:3] = 1e-300 if double else 1e-30
    p = np.where(generator.random(count) < 0.5, generator.uniform(0, 0.5, count), p).astype(dtype)
    truth = [exact.quantile(float(v), float(a), DIGITS) for v, a in zip(p, shape, strict=True)]
    value = np.asarray(jax.jit(lambda a, p: GeneralRobust(a).icdf(p))(shape, p))
    bar = 1e-11 if double else 1e-5
    where = {"points": [p, shape], "names": ("p", "alpha")}
    yield _worst("icdf, relative", dtype, bar, value, truth, **where)

    x = generator.uniform(-2, 2, points).astype(dtype)
    back = jax.jit(lambda a, x: GeneralRobust(a).icdf(GeneralRobust(a).cdf(x)))(alpha, x)
    truth = [mpmath.mpf(float(v)) for v in x]
    where = {"points": [x, alpha], "names": ("x", "alpha")}
    bar = 1e-12 if double else 1e-5
    quantity = "icdf(cdf(x)), abs(x) < 2, absolute"
    yield _worst(quantity, dtype, bar, np.asarray(back), truth, relative=False, **where)

    step = 1e-4 if double else 1e-2

    @jax.jit
    def moved(a: jax.Array) -> jax.Array:
        draws = lambda a: GeneralRobust(a).sample(jax.random.key(7), (2000,))  # noqa: E731
        slope = jax.jvp(draws, (a,), (jnp.ones_like(a),))[1]
        difference = (draws(a + step) - draws(a - step)) / (2 * step)
        return jnp.quantile(jnp.abs(slope - difference) / (1 + jnp.abs(slope)), 0.99)

    shapes = np.concatenate([generator.uniform(0.3, 4, 20), [0.3, 1.0, 10.0]])
    # nearer to 2 the difference is not: its own error is step^2/(12 (alpha - 2)^2)
    shapes = shapes[np.abs(shapes - 2) > 0.1].astype(dtype)
    gap = np.array([float(moved(jnp.asarray(a))) for a in shapes])
    where = {"points": [shapes], "names": ("alpha",)}
    quantity = "d sample/d alpha, 99 %, /(1 + abs)"
    bar = 1e-6 if double else 5e-2
    yield _worst(quantity, dtype, bar, gap, [mpmath.mpf(0)] * len(gap), relative=False, **where)

    d = GeneralRobust(shape)
    bar = 1e-11 if double else 1e-5
    where = {"points": [shape], "names": ("alpha",)}
    truth = [exact.entropy(float(a), DIGITS) for a in shape]
    yield _worst("entropy, relative", dtype, bar, np.asarray(d.entropy()), truth, **where)
    shape = shape[shape >= 0.1]
    d = GeneralRobust(shape)
    where = {"points": [shape], "names": ("alpha",)}
    for name, value, power in (
        ("variance, relative", d.variance, 2),
        ("E abs(x), relative", d.mean_absolute_deviation(), 1),
    ):
        truth = [exact.absolute_moment(power, float(a), DIGITS) for a in shape]
        yield _worst(name, dtype, bar, np.asarray(value), truth, **where)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=3000, help="points per precision")
    arguments = parser.parse_args()
    mpmath.mp.dps = DIGITS + 8
    print(
        f"{'quantity':<38} {'dtype':<8} {'points':>6} {'worst':>9} {'bar':>8} {'verdict':<7} where"
    )
    all_met = True
    for dtype in (np.dtype("float64"), np.dtype("float32")):
        generator = np.random.default_rng(arguments.seed)
        with jax.enable_x64(dtype == np.float64):
            for lines, share in (
                (loss_lines, 1),
                (normalizer_lines, 5),
                (density_lines, 5),
                (probability_lines, 5),
            ):
                for line in lines(dtype, arguments.points // share, generator):
                    print(line, flush=True)
                    all_met &= line.met
    sys.exit(0 if all_met else 1)


if __name__ == "__main__":
    main()
