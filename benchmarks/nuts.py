"""Compare NUTS with a GeneralRobust and with a StudentT likelihood on the same regressions.

    python benchmarks/nuts.py [--quick] [--noise NOISE] [--repeats N] [--precision P]

500 rows, 3 coefficients and 5 kinds of noise; beta ~ Normal(0, 10), scale ~ HalfNormal(5). The
likelihoods are StudentT with nu ~ Gamma(2, 0.1), GeneralRobust(alpha, ., c) and GeneralRobust with
the orthogonal scale sigma, these with alpha ~ Uniform(0, 2), sigma with ReferenceAlpha() too; for
Normal noise both also with HalfNormal(2), a prior that crosses alpha = 2. 4 chains of 1,000 draws
after 1,000 of warm-up, with default settings, in turns, each repeat with a seed of its own.

Two tables of medians over the repeats. Seconds: to compile (the first run less the same again), to
run, both together. Work: the smallest effective sample size of a parameter per leapfrog step, and
its ratio to that of StudentT and of (alpha, c). It is judged by NumPyro's estimator, that of the
mean, with which the bars were set; the bulk one (rank-normalised, Vehtari et al. 2021) is printed
beside it. Divergences are of every repeat, among 4,000 draws; R-hat is the largest. ``--quick`` is
t(3) noise, once; ``--noise`` one kind of noise; ``--straddle`` the priors that cross 2, on Normal
noise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import arviz_stats
import jax
import numpy as np
import numpyro.distributions as dist
from _regression import Model, regression_model, sampler
from _report import PRECISIONS, against, at_least, header, table
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC

from robust_dist import GeneralRobust, ReferenceAlpha

ROWS, COEFFICIENTS = 500, 3
CHAINS, WARMUP, DRAWS = 4, 1000, 1000

Noise = Callable[[np.random.Generator], np.ndarray]


def _contaminated(rng: np.random.Generator) -> np.ndarray:
    """Return Normal noise of which a tenth is ten times as wide."""
    return rng.normal(size=ROWS) * np.where(rng.random(ROWS) < 0.1, 10, 1)


NOISES: dict[str, Noise] = {
    "Normal": lambda rng: rng.normal(size=ROWS),
    "t(3)": lambda rng: rng.standard_t(3, ROWS),
    "Laplace": lambda rng: rng.laplace(size=ROWS),
    "contaminated": _contaminated,
    "Cauchy": lambda rng: rng.standard_cauchy(ROWS),
}


def regression(noise: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a design and a response."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, COEFFICIENTS))
    return x, x @ np.array([1.0, -2.0, 0.5]) + NOISES[noise](rng)


def _uniform() -> dist.Distribution:
    return dist.Uniform(0, 2)


def _half_normal() -> dist.Distribution:
    return dist.HalfNormal(2)


STUDENT = "StudentT"
ALPHA_C, SIGMA, REFERENCE = "c, Uniform(0, 2)", "sigma, Uniform(0, 2)", "sigma, ReferenceAlpha()"
ALPHA_C_CROSSING, SIGMA_CROSSING = "c, HalfNormal(2)", "sigma, HalfNormal(2)"
_SIGMA_LAW = GeneralRobust.with_orthogonal_scale
MODELS: dict[str, Model] = {
    STUDENT: regression_model("nu", lambda: dist.Gamma(2, 0.1), dist.StudentT),
    ALPHA_C: regression_model("alpha", _uniform, GeneralRobust),
    SIGMA: regression_model("alpha", _uniform, _SIGMA_LAW),
    REFERENCE: regression_model("alpha", ReferenceAlpha, _SIGMA_LAW),
    ALPHA_C_CROSSING: regression_model("alpha", _half_normal, GeneralRobust),
    SIGMA_CROSSING: regression_model("alpha", _half_normal, _SIGMA_LAW),
}
CROSSING = (ALPHA_C_CROSSING, SIGMA_CROSSING)

# The project's bars. Seconds: compile and run, over StudentT's, on t(3) noise.
SECONDS_BAR = 1.2
# ESS per leapfrog step over StudentT's, by likelihood and noise
STUDENT_BARS = {
    SIGMA: {"Normal": 0.9, "t(3)": 1.0, "Laplace": 1.0, "contaminated": 0.85, "Cauchy": 0.6},
    REFERENCE: dict.fromkeys(NOISES, 0.6),
}
# and over that of the same prior with c
ALPHA_C_BARS = {
    SIGMA: {"Normal": 3.0, "t(3)": 1.3, "Laplace": 2.0},
    SIGMA_CROSSING: {"Normal": 8.0},
}
ALPHA_C_OF = {SIGMA: ALPHA_C, REFERENCE: ALPHA_C, SIGMA_CROSSING: ALPHA_C_CROSSING}
# Posteriors that straddle 2: at most one divergence a fit, in the median none, R-hat below 1.01
STRADDLING = {(REFERENCE, "Normal"), (SIGMA_CROSSING, "Normal")}


def run(mcmc: MCMC, x: np.ndarray, y: np.ndarray, seed: int) -> dict:
    """Fit once."""
    start = time.perf_counter()
    mcmc.run(jax.random.key(seed), x, y, extra_fields=("num_steps", "diverging"))
    jax.block_until_ready(mcmc.get_samples())
    seconds = time.perf_counter() - start
    draws, extra = mcmc.get_samples(group_by_chain=True), mcmc.get_extra_fields()
    columns = np.concatenate([np.asarray(v).reshape(CHAINS, DRAWS, -1) for v in draws.values()], -1)
    columns = columns.astype(float)
    ess = float(np.min(effective_sample_size(columns)))
    bulk = float(np.min(arviz_stats.ess(columns, chain_axis=0, draw_axis=1)))
    all_steps = float(np.sum(extra["num_steps"]))
    return {
        "run": seconds,
        "ess/s": ess / seconds,
        "ess/step": ess / all_steps,
        "bulk/step": bulk / all_steps,
        "steps": float(np.mean(extra["num_steps"])),
        "divergences": int(np.sum(extra["diverging"])),
        "rhat": float(np.max(arviz_stats.rhat(columns, chain_axis=0, draw_axis=1))),
    }


def _seconds_row(noise: str, name: str, fit: dict, base: dict) -> tuple[str, ...]:
    ratio = fit["total"] / base["total"]
    judged = noise == "t(3)" and name in (ALPHA_C, SIGMA)
    return (
        noise,
        name,
        *(f"{fit[what]:.2f}" for what in ("total", "compile", "run")),
        f"{ratio:.2f}",
        *against(ratio, SECONDS_BAR if judged else None),
        f"{fit['ess/s']:.0f}",
    )


def _work_row(noise: str, name: str, fits: dict[str, dict]) -> tuple[str, ...]:
    fit = fits[name]
    cells: list[str] = []
    bulk = []
    for other, bars in ((STUDENT, STUDENT_BARS), (ALPHA_C_OF.get(name), ALPHA_C_BARS)):
        if other in fits and other != name:
            ratio = fit["ess/step"] / fits[other]["ess/step"]
            cells += [f"{ratio:.2f}", *at_least(ratio, bars.get(name, {}).get(noise))]
        else:
            cells += ["-"] * 3
        both = other in fits and other != name
        bulk.append(f"{fit['bulk/step'] / fits[other]['bulk/step']:.2f}" if both else "-")
    verdict = "-"
    if (name, noise) in STRADDLING:
        divergences = fit["all divergences"]
        met = max(divergences) <= 1 and median(divergences) == 0 and fit["largest rhat"] < 1.01
        verdict = "met" if met else "MISSED"
    return (
        noise,
        name,
        f"{fit['ess/step']:.3f}",
        f"{fit['steps']:.1f}",
        *cells,
        f"{fit['bulk/step']:.3f}",
        *bulk,
        "+".join(map(str, fit["all divergences"])),
        f"{fit['largest rhat']:.4f}",
        verdict,
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="t(3) noise, once")
    parser.add_argument("--noise", choices=NOISES, help="one kind of noise")
    parser.add_argument("--straddle", action="store_true", help="only priors that cross 2")
    parser.add_argument("--repeats", type=int, help="seeds (default 5; with --quick 1)")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    arguments = parser.parse_args()
    repeats = arguments.repeats or (1 if arguments.quick else 5)
    jax.config.update("jax_enable_x64", arguments.precision == "float64")
    title = f"NUTS, {ROWS} x {COEFFICIENTS} regression, {arguments.precision}, {repeats} seeds"
    print(header(title), flush=True)
    noises = ["t(3)"] if arguments.quick else [arguments.noise] if arguments.noise else list(NOISES)
    models = list(MODELS)
    if arguments.straddle:
        noises, models = ["Normal"], [name for name, noise in STRADDLING]
    samplers = {name: sampler(MODELS[name], WARMUP, DRAWS, CHAINS) for name in models}
    compiling: dict[str, float] = {}
    seconds, work = [], []
    for noise in noises:
        names = [name for name in models if noise == "Normal" or name not in CROSSING]
        found: dict[str, list[dict]] = {name: [] for name in names}
        for seed in range(repeats):
            x, y = (np.asarray(part, arguments.precision) for part in regression(noise, seed))
            for name in names[:: 1 if seed % 2 == 0 else -1]:
                first = run(samplers[name], x, y, seed)
                if name not in compiling:
                    again = run(samplers[name], x, y, seed)
                    compiling[name] = first["run"] - again["run"]
                    first = again
                found[name].append(first | {"total": compiling[name] + first["run"]})
        fits = {}
        for name, runs in found.items():
            fits[name] = {what: median(run[what] for run in runs) for what in runs[0]} | {
                "compile": compiling[name],
                "all divergences": [run["divergences"] for run in runs],
                "largest rhat": max(run["rhat"] for run in runs),
            }
        if STUDENT in fits:
            seconds += [_seconds_row(noise, name, fits[name], fits[STUDENT]) for name in names]
        work += [_work_row(noise, name, fits) for name in names]
    if seconds:
        print(
            table(
                (
                    *("noise", "likelihood", "total s", "compile s", "run s"),
                    *("total / StudentT", "bar", "verdict", "ESS/s"),
                ),
                seconds,
            ),
            end="\n\n",
        )
    print(
        table(
            (
                *("noise", "likelihood", "ESS/step", "steps/draw"),
                *("/ StudentT", "bar", "verdict", "/ (alpha, c)", "bar", "verdict"),
                *("bulk/step", "/ StudentT", "/ (alpha, c)"),
                *("divergences", "R-hat", "straddling 2"),
            ),
            work,
        )
    )


if __name__ == "__main__":
    main()
