"""Count how often robust fits recover a line, a plane and a rigid motion among outliers.

    python3 -m uv run --group bench python benchmarks/registration.py [--out FILE] [--trials N]
        [--seed N] [--points N] [--problem NAME] [--quick] [--picture FILE]

Three problems, each with Normal noise of sd 0.05 and a share of the rows replaced by outliers:

    line, plane   100 rows, predictors in [-1, 1], coefficients in [-2, 2]; outlying responses are
                  uniform in [-5, 5]
    registration  100 points (--points) in the cube [-1, 1]^3, turned by any rotation and moved by
                  up to 1 along each axis; false matches are uniform in the ball around the moved
                  cube

A trial succeeds if every coefficient is within 0.2 of the truth (four sd of the noise), or the
rotation within 5 degrees and the motion within 0.1. Every method is told the noise's sd as its
scale but the adaptive one, which finds alpha (prior Uniform(0, 2); from 0.05 on for vectors) and
the scale at the posterior mode, and statsmodels' Huber and Tukey, which estimate it (MAD). All
start from least squares; alpha = 2 is least squares. Intervals are Wilson's, 95 %. All trials of a
cell are one vmap.

With ``--out`` each row of the table is written when it is there, and a run goes on where it was
stopped. ``--quick`` is the line alone, with 20 trials.

The bar: at 60 % outliers an annealed or adaptive fit recovers the registration in at least 95 % of
the trials.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _report import at_least, header, peak_memory, table
from _results import Result, add_results, read_results
from jax import Array
from jax.scipy.spatial.transform import Rotation
from numpyro.distributions import Uniform
from scipy.stats import binomtest

from robust_dist.optimize import RobustFit, anneal, anneal_residuals, irls, irls_residuals

ROWS, NOISE = 100, 0.05
SHARES = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8)
FIXED = (2.0, 1.0, 0.0, -2.0, -math.inf)
ANNEALED = (0.0, -2.0, -math.inf)
AT, BAR = 0.6, 0.95
PROBLEMS = {"line": 2, "plane": 3, "registration": 0}  # and their columns

Simulated = tuple[tuple[Array, ...], Any]


def outlying(rows: int, share: Array) -> Array:
    """Return which rows are outliers."""
    return jnp.arange(rows) < share * rows


def plane(key: Array, share: Array, columns: int) -> Simulated:
    """Return a design and a response, and the coefficients."""
    keys = jax.random.split(key, 4)
    slopes = jax.random.uniform(keys[0], (ROWS, columns - 1), minval=-1, maxval=1)
    x = jnp.column_stack([jnp.ones(ROWS), slopes])
    beta = jax.random.uniform(keys[1], (columns,), minval=-2, maxval=2)
    good = x @ beta + NOISE * jax.random.normal(keys[2], (ROWS,))
    bad = jax.random.uniform(keys[3], (ROWS,), minval=-5, maxval=5)
    return (x, jnp.where(outlying(ROWS, share), bad, good)), beta


def recovered(beta: Array, truth: Array) -> Array:
    """Return whether every coefficient is near the truth."""
    return jnp.max(jnp.abs(beta - truth)) < 4 * NOISE


def clouds(key: Array, share: Array, points: int) -> Simulated:
    """Return points before and after, and rotation and motion."""
    keys = jax.random.split(key, 6)
    before = jax.random.uniform(keys[0], (points, 3), minval=-1, maxval=1)
    turn = jax.random.normal(keys[1], (4,))
    motion = jax.random.uniform(keys[2], (3,), minval=-1, maxval=1)
    rotation = Rotation.from_quat(turn / jnp.linalg.norm(turn)).as_matrix()
    after = before @ rotation.T + motion + NOISE * jax.random.normal(keys[3], (points, 3))
    direction = jax.random.normal(keys[4], (points, 3))
    direction /= jnp.linalg.norm(direction, axis=1, keepdims=True)
    radius = math.sqrt(3) * jax.random.uniform(keys[5], (points, 1)) ** (1 / 3)
    bad = motion + radius * direction
    after = jnp.where(outlying(points, share)[:, None], bad, after)
    return (before, after), (rotation, motion)


def least_squares(before: Array, after: Array) -> tuple[Array, Array]:
    """Return the rotation and motion of least squares, in closed form (Kabsch 1976)."""
    middle = before.mean(0)
    left, _, right = jnp.linalg.svd((after - after.mean(0)).T @ (before - middle))
    rotation = left @ jnp.diag(jnp.array([1, 1, jnp.linalg.det(left @ right)])) @ right
    return rotation, after.mean(0) - rotation @ middle


def mismatch(theta: tuple[Array, Array], before: Array, after: Array, start: Array) -> Array:
    """Return what is left of each match, of shape (points, 3)."""
    rotation, motion = turned(theta, start)
    return after - before @ rotation.T - motion


def turned(theta: tuple[Array, Array], start: Array) -> tuple[Array, Array]:
    """Return rotation and motion: the start's rotation, turned further by a Rodrigues vector."""
    # a quaternion of free length would drift to lengths that leave Levenberg and Marquardt's
    # steps no room, and a rotation vector has no derivative at 0
    quaternion = jnp.append(theta[0], 1.0)
    turn = Rotation.from_quat(quaternion / jnp.linalg.norm(quaternion)).as_matrix()
    return turn @ start, theta[1]


def aligned(theta: tuple[Array, Array], truth: tuple[Array, Array]) -> Array:
    """Return whether rotation and motion are near the truth."""
    cosine = (jnp.trace(theta[0].T @ truth[0]) - 1) / 2
    near = jnp.arccos(jnp.clip(cosine, -1, 1)) < jnp.deg2rad(5.0)
    return near & (jnp.linalg.norm(theta[1] - truth[1]) < 0.1)


def name_of(alpha: float) -> str:
    """Return alpha in words."""
    return "-inf" if alpha == -math.inf else f"{alpha:g}"


def fixed(alpha: Array, x: Array, y: Array) -> RobustFit:
    """Return the fit at an alpha, from least squares."""
    return irls(x, y, alpha, NOISE)


def annealed(alpha: Array, x: Array, y: Array) -> RobustFit:
    """Return the fit annealed to an alpha."""
    return anneal(x, y, alpha, NOISE)


def adaptive(_: Array, x: Array, y: Array) -> RobustFit:
    """Return the fit with alpha and scale found."""
    return irls(x, y, Uniform(0.0, 2.0), "ml")


def _motion(fit: Callable[..., RobustFit], *clouds: Array, **options: Any) -> RobustFit:
    """Return a fit of the rotation, from that of least squares, and of the motion."""
    start, motion = least_squares(*clouds)
    found = fit(mismatch, (jnp.zeros(3), motion), args=(*clouds, start), **options)
    return found._replace(coefficients=turned(found.coefficients, start))


def fixed_motion(alpha: Array, *clouds: Array) -> RobustFit:
    """Return the motion at an alpha."""
    return _motion(irls_residuals, *clouds, alpha=alpha, scale=NOISE, max_steps=100)


def annealed_motion(alpha: Array, *clouds: Array) -> RobustFit:
    """Return the motion annealed to an alpha."""
    return _motion(anneal_residuals, *clouds, alpha=alpha, scale=NOISE)


def adaptive_motion(_: Array, *clouds: Array) -> RobustFit:
    """Return the motion with alpha and scale found."""
    return _motion(irls_residuals, *clouds, alpha=Uniform(0.05, 2.0), scale="ml", max_steps=100)


def successes(
    simulate: Callable[..., Simulated],
    fit: Callable[..., RobustFit],
    near: Callable[..., Array],
    keys: Array,
    alphas: tuple[float, ...],
) -> list[tuple[list[int], float]]:
    """Return for each alpha how many trials succeed at each share, and how many fits converge."""

    def trial(key: Array, share: Array, alpha: Array) -> tuple[Array, Array]:
        data, truth = simulate(key, share)
        found = fit(alpha, *data)
        return near(found.coefficients, truth), found.converged

    many = jax.jit(jax.vmap(trial, in_axes=(0, None, None)))
    found = []
    for alpha in alphas:
        cells = [jax.device_get(many(keys, share, alpha)) for share in SHARES]
        converged = float(np.mean([done for _, done in cells]))
        found.append(([int(good.sum()) for good, _ in cells], converged))
    return found


def by_statsmodels(norm: str, keys: Array, columns: int) -> list[int]:
    """Return how many trials succeed at each share, by statsmodels."""
    import statsmodels.api as sm

    simulate = jax.jit(jax.vmap(lambda key, share: plane(key, share, columns), in_axes=(0, None)))
    counts = []
    for share in SHARES:
        (x, y), beta = jax.device_get(simulate(keys, share))
        fits = [
            sm.RLM(response, design, M=getattr(sm.robust.norms, norm)()).fit().params
            for design, response in zip(x, y, strict=True)
        ]
        counts.append(int(np.sum(np.abs(np.array(fits) - beta).max(1) < 4 * NOISE)))
    return counts


def wilson(count: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    interval = binomtest(count, trials).proportion_ci(method="wilson")
    return interval.low, interval.high


def judge(counts: dict[str, list[int]], trials: int) -> bool:
    """Print the registrations that the bar is about, and return whether it is met."""
    column, best = SHARES.index(AT), 0.0
    for name in ("alpha = 2", *(f"annealed to {name_of(a)}" for a in ANNEALED), "adaptive"):
        count = counts[name][column]
        low, high = wilson(count, trials)
        print(f"registration at 60 %, {name}: {count} of {trials} ({low:.3f} to {high:.3f})")
        best = best if name == "alpha = 2" else max(best, count / trials)
    bar, verdict = at_least(best, BAR)
    print(f"best of annealed and adaptive {best:.3f}, bar {bar}: {verdict}")
    return verdict == "met"


def draw(found: dict[str, dict[str, list[int]]], trials: int, file: Path) -> None:
    """Draw success against the share of outliers."""
    from matplotlib.figure import Figure

    # from the palette of Okabe and Ito; dashes and markers tell the methods apart as well
    styles = {
        "alpha = 2": ("#666666", ":", "o", "least squares (alpha = 2)"),
        "alpha = 1": ("#E69F00", "--", "s", "alpha = 1"),
        "alpha = -2": ("#CC79A7", "--", "v", "alpha = -2"),
        "HuberT": ("#56B4E9", "-.", "<", "Huber (statsmodels)"),
        "TukeyBiweight": ("#009E73", "-.", ">", "Tukey (statsmodels)"),
        "adaptive": ("#D55E00", "-", "D", "adaptive"),
        "annealed to -2": ("#0072B2", "-", "^", "annealed to -2"),
    }
    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True)
    percent = 100 * np.array(SHARES)
    for panel, (problem, counts) in zip(panels, found.items(), strict=True):
        for i, (method, (colour, dash, marker, label)) in enumerate(styles.items()):
            if method not in counts:
                continue
            share = 100 * np.array(counts[method]) / trials
            ends = 100 * np.array([wilson(count, trials) for count in counts[method]])
            shift = 0.5 * (i - 3)
            panel.errorbar(
                percent + shift,
                share,
                yerr=np.maximum(np.abs(ends.T - share), 0),
                color=colour,
                ls=dash,
                marker=marker,
                ms=4,
                lw=1.4,
                elinewidth=0.8,
                label=label,
            )
        panel.set_title(problem, fontsize=11)
        panel.set_xlabel("outliers (%)")
        panel.set_xticks(percent)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"recovered (% of {trials})")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(file, dpi=130)


def measure(problem: str, trials: int, points: int, seed: int) -> Iterable[Result]:
    """Return for each method how often it recovers a problem at each share of outliers."""
    keys = jax.random.split(jax.random.key(seed), trials)
    columns = PROBLEMS[problem]
    simulate = partial(plane, columns=columns) if columns else partial(clouds, points=points)
    near = recovered if columns else aligned
    for title, alphas, fit in (
        ("alpha = {}", FIXED, fixed if columns else fixed_motion),
        ("annealed to {}", ANNEALED, annealed if columns else annealed_motion),
        ("adaptive", (math.nan,), adaptive if columns else adaptive_motion),
    ):
        results = successes(simulate, fit, near, keys, alphas)
        for alpha, (counts, converged) in zip(alphas, results, strict=True):
            yield {"method": title.format(name_of(alpha)), "counts": counts, "converged": converged}
    for norm in ("HuberT", "TukeyBiweight") if columns else ():
        yield {"method": norm, "counts": by_statsmodels(norm, keys, columns), "converged": 1.0}


def run(file: Path | None, problem: str, trials: int, points: int, seed: int) -> list[Result]:
    """Return the results of a problem, measured now if they were not there before."""
    cell = {"problem": problem, "trials": trials, "points": points, "seed": seed}
    found = [result for result in read_results(file) if cell.items() <= result.items()]
    if found:
        return found
    start = time.perf_counter()
    found = [cell | result for result in measure(problem, trials, points, seed)]
    cost = {"seconds": round(time.perf_counter() - start, 1), "megabytes": peak_memory() // 2**20}
    found = [result | cost for result in found]
    # the whole problem at once
    add_results(file, found)
    print(f"{problem}: {cost['seconds']} s, {cost['megabytes']} MB", file=sys.stderr, flush=True)
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="file of results, to go on from")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, help="where to draw the shares")
    parser.add_argument("--points", type=int, default=100, help="points of the registration")
    parser.add_argument("--problem", choices=PROBLEMS, action="append", help="only this one")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    trials = 20 if arguments.quick else arguments.trials
    problems = ["line"] if arguments.quick else arguments.problem or list(PROBLEMS)
    print(header(f"Recovery among outliers, {trials} trials a cell, seed {arguments.seed}"))
    results = [
        result
        for problem in problems
        for result in run(arguments.out, problem, trials, arguments.points, arguments.seed)
    ]
    found: dict[str, dict[str, list[int]]] = {}
    for result in results:
        found.setdefault(result["problem"], {})[result["method"]] = result["counts"]
    rows = [
        (f"{problem}, {name}", *(f"{100 * count / trials:.1f}" for count in counts))
        for problem, methods in found.items()
        for name, counts in methods.items()
    ]
    print(table(("recovered, % of trials", *(f"{100 * s:.0f} %" for s in SHARES)), rows))
    unfinished = [
        f"{r['problem']}, {r['method']}: {100 * (1 - r['converged']):.1f} %"
        for r in results
        if r["converged"] < 1
    ]
    print("not converged: " + ("; ".join(unfinished) or "none"))
    met = "registration" not in found or judge(found["registration"], trials)
    seconds = sum({r["problem"]: r["seconds"] for r in results}.values())
    print(f"{seconds:.0f} s, at most {max(r['megabytes'] for r in results)} MB")
    if arguments.picture:
        draw(found, trials, arguments.picture)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
