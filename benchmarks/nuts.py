"""Compare NUTS with a GeneralRobust and with a StudentT likelihood on the same regressions.

    python benchmarks/nuts.py [--quick] [--repeats N] [--precision P]

500 rows, 3 coefficients and 5 kinds of noise. alpha ~ Uniform(0, 2), with scale given as c and as
c exp(H(alpha)) where the package has an orthogonal scale, against nu ~ Gamma(2, 0.1); the other
priors are the same. 4 chains of 1,000 draws after 1,000 of warm-up, with default settings. Models
take turns, each repeat with a seed of its own and compiled afresh. Printed are medians over the
repeats (R-hat: the largest; divergences: all of them): seconds to compile and run, to compile (the
first run less a second one), to run; the smallest effective sample size among the parameters, per
second of the run and per leapfrog step. ``--quick`` is t(3) noise, once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
from _report import PRECISIONS, against, header, table
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS

from robust_dist import GeneralRobust

BAR = 1.2  # of issue A, for t(3) noise: compile + run, wall time / StudentT's
ROWS, COEFFICIENTS = 500, 3
CHAINS, WARMUP, DRAWS = 4, 1000, 1000

Noise = Callable[[np.random.Generator], np.ndarray]
Model = Callable[[np.ndarray, np.ndarray], None]


def _contaminated(rng: np.random.Generator) -> np.ndarray:
    """Return Normal noise of which a tenth is ten times as wide."""
    return rng.normal(size=ROWS) * np.where(rng.random(ROWS) < 0.1, 10, 1)


NOISES: dict[str, Noise] = {
    "Normal": lambda rng: rng.normal(size=ROWS),
    "t(3)": lambda rng: rng.standard_t(3, ROWS),
    "Laplace": lambda rng: rng.laplace(size=ROWS),
    "Cauchy": lambda rng: rng.standard_cauchy(ROWS),
    "contaminated": _contaminated,
}


def regression(noise: Noise, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a design and a response."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, COEFFICIENTS))
    return x, x @ np.array([1.0, -2.0, 0.5]) + noise(rng)


def _model(shape: Callable[[], jax.Array], law: Callable[..., dist.Distribution]) -> Model:
    """Return a new function each time, so that NUTS compiles anew."""

    def model(x: np.ndarray, y: np.ndarray) -> None:
        beta = numpyro.sample("beta", dist.Normal(0, 10).expand([COEFFICIENTS]).to_event(1))
        scale = numpyro.sample("scale", dist.HalfNormal(5))
        with numpyro.plate("row", ROWS):
            numpyro.sample("y", law(shape(), x @ beta, scale), obs=y)

    return model


MODELS: dict[str, Callable[[], Model]] = {
    "GeneralRobust": lambda: _model(
        lambda: numpyro.sample("alpha", dist.Uniform(0, 2)), GeneralRobust
    ),
    "StudentT": lambda: _model(lambda: numpyro.sample("nu", dist.Gamma(2, 0.1)), dist.StudentT),
}
if hasattr(GeneralRobust, "with_orthogonal_scale"):
    MODELS["GeneralRobust, sigma"] = lambda: _model(
        lambda: numpyro.sample("alpha", dist.Uniform(0, 2)), GeneralRobust.with_orthogonal_scale
    )


def run(make_model: Callable[[], Model], x: np.ndarray, y: np.ndarray, seed: int) -> dict:
    """Fit once, and once more without compiling."""
    mcmc = MCMC(
        NUTS(make_model()),
        num_warmup=WARMUP,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="sequential",
        progress_bar=False,
    )
    fields = ("num_steps", "diverging")
    seconds = []
    for key in jax.random.split(jax.random.key(seed)):
        start = time.perf_counter()
        mcmc.run(key, x, y, extra_fields=fields)
        jax.block_until_ready(mcmc.get_samples())
        seconds.append(time.perf_counter() - start)
    draws, extra = mcmc.get_samples(group_by_chain=True), mcmc.get_extra_fields()
    ess = min(float(np.min(effective_sample_size(np.asarray(v)))) for v in draws.values())
    return {
        "total": seconds[0],
        "compile": seconds[0] - seconds[1],
        "run": seconds[1],
        "ess/s": ess / seconds[1],
        "ess/step": ess / float(np.sum(extra["num_steps"])),
        "divergences": int(np.sum(extra["diverging"])),
        "rhat": max(float(np.max(split_gelman_rubin(np.asarray(v)))) for v in draws.values()),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="t(3) noise, once")
    parser.add_argument("--repeats", type=int, help="seeds (default 5; with --quick 1)")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    arguments = parser.parse_args()
    repeats = arguments.repeats or (1 if arguments.quick else 5)
    jax.config.update("jax_enable_x64", arguments.precision == "float64")
    title = f"NUTS, {ROWS} x {COEFFICIENTS} regression, {arguments.precision}, {repeats} seeds"
    print(header(title), flush=True)
    rows = []
    for noise in ["t(3)"] if arguments.quick else NOISES:
        fits: dict[str, list[dict]] = {name: [] for name in MODELS}
        for seed in range(repeats):
            x, y = regression(NOISES[noise], seed)
            for name in list(MODELS)[:: 1 if seed % 2 == 0 else -1]:
                fits[name].append(run(MODELS[name], x, y, seed))
        base = median(fit["total"] for fit in fits["StudentT"])
        for name, found in fits.items():
            middle = {what: median(fit[what] for fit in found) for what in found[0]}
            ratio = middle["total"] / base
            judged = noise == "t(3)" and name != "StudentT"
            rows.append(
                (
                    noise,
                    name,
                    *(f"{middle[what]:.2f}" for what in ("total", "compile", "run")),
                    f"{ratio:.2f}",
                    *against(ratio, BAR if judged else None),
                    f"{middle['ess/s']:.0f}",
                    f"{middle['ess/step']:.3f}",
                    "+".join(str(fit["divergences"]) for fit in found),
                    f"{max(fit['rhat'] for fit in found):.4f}",
                )
            )
    columns = (
        "noise",
        "likelihood",
        "total s",
        "compile s",
        "run s",
        "total / StudentT",
        "bar",
        "verdict",
        "ESS/s",
        "ESS/step",
        "divergences",
        "R-hat",
    )
    print(table(columns, rows))


if __name__ == "__main__":
    main()
