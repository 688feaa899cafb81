"""Check that the default priors of ``Regression`` are calibrated, on truths that they do not know.

    python benchmarks/default_priors.py [--simulations N] [--cells NAME ...] [--keep FOLDER]
        [--sampler NAME]

The default priors look at the data: the order of magnitude of the response and of its noise. Ranks
among draws of the posterior are exactly uniform where truths come from the prior of the fit; here
they come from one fixed wide law, and each data set is fitted under defaults of its own. So the
ranks show what looking at the data twice costs. There are 14 cells: seven kinds of model, each with
8 and with 30 rows, two predictors of Normal(0, 1), and

* coefficients: intercept Normal(0, 10), slopes Normal(0, 3);
* sigma (scale, scale_left, scale_right): LogNormal(0, 1); alpha: Uniform(0, 2); nu: Gamma(2, 0.1);
* ``groups``: 4 groups, of 30 rows 5, with effects of Normal(0, sd), sd of HalfNormal(3);
* ``sigma ~ x1``: log sigma is Normal(0, 1) where x1 = 0 and has a slope of Normal(0, 1);
* ``contaminated``: alpha is Uniform(1, 2), a share of Beta(1, 9) of the rows follows the background
  of the others' median and spread;
* ``known errors``: sigma times errors of LogNormal(0, 0.7) that are known row by row;
* ``rounded``: the response is rounded to whole numbers, and fitted with ``resolution=1``.

Each data set is fitted as ``Regression.fit`` does by default. A cell takes one or two minutes, is
named when it is done, and with ``--keep`` not run again.

Printed are, for each parameter of each cell, the p-value of uniform ranks by ArviZ's test of each
rank's place (POT-C), the mean rank, the coverage of central 50 % and 95 % intervals with its Monte
Carlo error, and the share of data sets whose R-hat exceeds 1.05. Bars: slopes, alpha and nu are
uniform at 0.1 % over all of theirs together (Bonferroni), and the scale's 95 % interval covers 93 %
up to two errors. Exit status 1 if one is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import arviz_stats
import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
from _report import at_least, header, table
from arviz_stats.base import array_stats

from robust_dist import AsymmetricGeneralRobust, GeneralRobust, LogParetoTailed
from robust_dist.regression import Regression
from robust_dist.regression.datatree import parameters
from robust_dist.regression.likelihoods import find_likelihood
from robust_dist.regression.posterior.run import Run

ROWS = (8, 30)
KINDS = (
    "plain",
    "groups",
    "sigma ~ x1",
    "known errors",
    "asymmetric",
    "student_t",
    "contaminated",
    "rounded",
)
CELLS = tuple(f"{kind}, {rows} rows" for rows in ROWS for kind in KINDS)
LIKELIHOODS = {
    "asymmetric": "asymmetric_general_robust",
    "student_t": "student_t",
    "contaminated": "contaminated",
}
CHAINS, WARMUP, DRAWS = 4, 1000, 1000
LEVELS = (0.5, 0.95)
UNIFORM = ("x1", "x2", "alpha", "nu", "contamination")
SCALES = ("sigma", "scale", "scale_left", "scale_right")

Truths = dict[str, np.ndarray]


def simulate(kind: str, rows: int, simulations: int, seed: int) -> tuple[Truths, list[Regression]]:
    """Return true parameters, one array each, and the regressions of data simulated from them.

    And which rows are outliers, if any are, as ``"outliers"``, of which ``"background"``.
    """
    cell = zlib.crc32(f"{kind} {rows}".encode())
    rng = np.random.default_rng([seed, cell])
    x = rng.normal(size=(2, simulations, rows))
    truths = {"Intercept": rng.normal(0, 10, simulations)}
    truths |= {name: rng.normal(0, 3, simulations) for name in ("x1", "x2")}
    loc = truths["Intercept"][:, None] + np.einsum("ks,ksn->sn", [truths["x1"], truths["x2"]], x)
    columns = {"x1": x[0], "x2": x[1]}
    formula: Any = "y ~ x1 + x2"
    log_scale = rng.normal(0, 1, (simulations, 1))
    alpha = rng.uniform(0, 2, (simulations, 1))
    scale = np.exp(log_scale) * np.ones(rows)
    options: dict[str, Any] = {}
    if kind == "groups":
        groups = 5 if rows > 8 else 4
        level = np.arange(rows) % groups
        columns["g"] = np.tile(np.array(list("abcde"))[level], (simulations, 1))
        truths["1|g_sigma"] = np.abs(rng.normal(0, 3, simulations))
        effects = truths["1|g_sigma"][:, None] * rng.normal(size=(simulations, groups))
        loc = loc + effects[:, level]
        formula += " + (1 | g)"
    elif kind == "sigma ~ x1":
        truths["log sigma at 0"] = log_scale[:, 0]
        truths["log sigma per x1"] = rng.normal(0, 1, simulations)
        scale = scale * np.exp(truths["log sigma per x1"][:, None] * x[0])
        formula = {"y": formula, "sigma": "~ x1"}
    elif kind == "known errors":
        columns["error"] = np.exp(rng.normal(0, 0.7, (simulations, rows)))
        scale = scale * columns["error"]
        options["measurement_error"] = "error"
    key = jax.random.key(rng.integers(2**31))
    law: dist.Distribution
    if kind == "asymmetric":
        right = np.exp(rng.normal(0, 1, (simulations, 1)))
        truths |= {"scale_left": np.exp(log_scale[:, 0]), "scale_right": right[:, 0]}
        law = AsymmetricGeneralRobust(alpha, loc, scale, right)
    elif kind == "student_t":
        truths |= {"nu": rng.gamma(2, 10, simulations), "scale": np.exp(log_scale[:, 0])}
        law = dist.StudentT(truths["nu"][:, None], loc, scale)
    else:
        if kind == "contaminated":
            alpha = 1 + 0.5 * alpha
        law = GeneralRobust.with_orthogonal_scale(alpha, loc, scale)
        if kind != "sigma ~ x1":
            truths["sigma"] = np.exp(log_scale[:, 0])
    if kind != "student_t":
        truths["alpha"] = alpha[:, 0]
    columns["y"] = np.asarray(law.sample(key), float)
    if kind == "contaminated":
        truths["contamination"] = rng.beta(1, 9, simulations)
        columns["y"], truths["outliers"], truths["background"] = contaminated(
            columns["y"], truths["contamination"], rng
        )
    if kind == "rounded":
        columns["y"] = np.rint(columns["y"])
        options["resolution"] = 1.0
    regressions = [
        Regression(
            formula,
            pd.DataFrame({name: values[i] for name, values in columns.items()}),
            LIKELIHOODS.get(kind, "general_robust"),
            **options,
        )
        for i in range(simulations)
    ]
    return truths, regressions


def contaminated(
    y: np.ndarray, share: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return responses of which a share is replaced, by which background, and in which rows.

    Of shape (simulations, rows), and (2, simulations) of the background's loc and scale; it is that
    of the default priors for what there was. Its draws are held within 1e30: one in 6,000 is not,
    and a default prior as wide is out of the reach of single precision.
    """
    middle = np.median(y, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(y - middle), axis=1, keepdims=True)
    width = find_likelihood("contaminated").background_width
    middle, scale = np.asarray(middle, float), np.asarray(width * spread, float)
    background = LogParetoTailed(middle, scale)
    drawn = background.expand(y.shape).sample(jax.random.key(rng.integers(2**31)))
    bad = rng.random(y.shape) < share[:, None]
    drawn = np.clip(drawn, -1e30, 1e30)
    return np.where(bad, drawn, y), bad, np.stack([middle[:, 0], scale[:, 0]])


def scalars(sites: dict[str, np.ndarray], regression: Regression) -> dict[str, np.ndarray]:
    """Return draws of the parameters that have truths, shape (chains, draws)."""
    latent = {name: sites[name] for name in regression.sites}
    found = {}
    for name, values in parameters(regression.setting, latent).items():
        if name == "beta":
            names = regression.design.coefficients
            found |= {each: values[..., i] for i, each in enumerate(names)}
        elif name == "beta_sigma":
            found |= {f"log sigma {at}": values[..., i] for i, at in enumerate(("at 0", "per x1"))}
        elif values.ndim == 2:
            found[name] = values
    return found


def run(kind: str, rows: int, simulations: int, seed: int, sampler: str) -> dict[str, np.ndarray]:
    """Return the shares of draws below the truths and R-hats by parameter, shape (2, simulations).

    And the share of draws that diverged in each, as ``"diverging"``.
    """
    truths, regressions = simulate(kind, rows, simulations, seed)
    for name in ("outliers", "background"):
        truths.pop(name, None)
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {name: [] for name in ("diverging", *truths)}
    for number, regression in enumerate(regressions):
        how = Run(DRAWS, WARMUP, CHAINS, 0.8, regression.dense)
        sites, statistics, *_ = regression.draw((seed, number), how, sampler)
        draws = scalars(sites, regression)
        found["diverging"].append(statistics["diverging"].mean())
        for name, truth in truths.items():
            below = (draws[name] < truth[number]).sum() + rng.random()
            rhat = arviz_stats.rhat(draws[name], chain_axis=0, draw_axis=1)
            found[name].append((below / (CHAINS * DRAWS + 1), float(rhat)))
    return {name: np.transpose(values) for name, values in found.items()}


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS, metavar="NAME")
    parser.add_argument("--keep", type=Path, help="folder of results, of which none is made anew")
    parser.add_argument("--sampler", choices=("nutpie", "numpyro"), default="nutpie")
    arguments = parser.parse_args()
    title = f"Default priors, {arguments.simulations} simulations, {arguments.sampler}"
    print(header(title), flush=True)
    results = {}
    for cell in arguments.cells:
        start = time.perf_counter()
        kind, rows = cell.removesuffix(" rows").rsplit(", ", 1)
        setting = f"{arguments.simulations}, {arguments.seed}, {arguments.sampler}"
        file = arguments.keep and arguments.keep / f"{cell}, {setting}.npz"
        if file and file.exists():
            results[cell] = dict(np.load(file))
        else:
            results[cell] = run(
                kind, int(rows), arguments.simulations, arguments.seed, arguments.sampler
            )
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                np.savez(file, **results[cell])
        diverging = 100 * np.mean(results[cell].pop("diverging"))
        seconds = time.perf_counter() - start
        print(f"{cell}: {seconds:.0f} s, {diverging:.1f} % of draws diverged", flush=True)
    tests = sum(name in UNIFORM for result in results.values() for name in result)
    lines = []
    for cell, result in results.items():
        for name, (shares, rhat) in result.items():
            p = float(array_stats.uniformity_test(shares)[0])
            verdict = at_least(p, 0.001 / tests if name in UNIFORM else None)
            line = [f"{cell}: {name}", f"{p:.2g}", *verdict, f"{shares.mean():.3f}"]
            for level in LEVELS:
                coverage = np.mean(np.abs(shares - 0.5) < level / 2)
                error = np.sqrt(level * (1 - level) / shares.size)
                line.append(f"{100 * coverage:.1f} ± {100 * error:.1f} %")
            lines.append(
                (
                    *line,
                    *at_least(
                        round(coverage, 4), round(0.93 - 2 * error, 4) if name in SCALES else None
                    ),
                    f"{100 * np.mean(rhat > 1.05):.0f} %",
                )
            )
    titles = ["parameter", "p", "bar", "verdict", "mean rank", "50 % covers", "95 % covers"]
    print(table([*titles, "bar", "verdict", "R-hat > 1.05"], lines))
    return int(any("MISSED" in line for line in lines))


if __name__ == "__main__":
    sys.exit(main())
