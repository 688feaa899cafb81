"""Time ``Regression.fit`` against the same model written by hand, and a hierarchical fit.

    python benchmarks/regression.py

500 rows and 5 coefficients, 4 chains of 1,000 draws after 1,000 of warm-up, in fresh processes that
take turns: compiling is part of what a user waits for. The model by hand has the same priors on
standardised data, and computes the log-likelihood and predictive draws with NumPyro's functions.
The hierarchical fit has 20 groups of 50 rows, a varying intercept and a varying slope.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

import numpy as np
from _report import against, header, table

ROUNDS = 3
BARS = {"fit": 1.2, "hierarchical": 60.0}  # relative to by hand, and seconds


def line() -> tuple[np.ndarray, np.ndarray]:
    """Return 500 rows of 5 predictors and a response."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 5))
    return x, 1 + x @ np.array([1.0, -2.0, 0.5, 0.0, 3.0]) + rng.standard_t(3, 500)


def fit() -> None:
    """Fit by the package, the intercept among the coefficients."""
    from robust_dist.regression import Regression

    x, y = line()
    data = {"y": y, **{f"x{i}": column for i, column in enumerate(x.T[:4])}}
    Regression("y ~ x0 + x1 + x2 + x3", data).fit(progress=False)


def by_hand() -> None:
    """Fit by NumPyro alone."""
    import jax
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS, Predictive, log_likelihood

    from robust_dist import GeneralRobust

    x, y = line()
    x = np.column_stack([np.ones(500), x[:, :4]]).astype(np.float32)
    y = y.astype(np.float32)

    def model(x: np.ndarray, y: np.ndarray | None = None) -> None:
        beta = numpyro.sample("beta", dist.Normal(0, 10).expand([5]).to_event(1))
        sigma = numpyro.sample("sigma", dist.InverseGamma(2, 3))
        alpha = numpyro.sample("alpha", dist.Uniform(0.0, 2.0))
        with numpyro.plate("row", 500):
            law = GeneralRobust.with_orthogonal_scale(alpha, x @ beta, sigma)
            numpyro.sample("y", law, obs=y)

    mcmc = MCMC(
        NUTS(model),
        num_warmup=1000,
        num_samples=1000,
        num_chains=4,
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(jax.random.key(0), x, y)
    draws = mcmc.get_samples()
    densities = log_likelihood(model, draws, x, y, parallel=True)
    predictions = Predictive(model, draws, parallel=True)(jax.random.key(1), x)
    jax.block_until_ready((densities, predictions))


def hierarchical() -> None:
    """Fit 20 groups of 50 rows."""
    from robust_dist.regression import Regression

    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(20), 50)
    x = rng.normal(size=1000)
    y = 1 + rng.normal(0, 2, 20)[g] + (2 + rng.normal(0, 0.5, 20)[g]) * x
    data = {"y": y + 0.3 * rng.standard_t(2, 1000), "x": x, "g": g}
    dt = Regression("y ~ x + (x || g)", data).fit(progress=False)
    print("divergences", int(dt["sample_stats"]["diverging"].sum()))


TASKS = {"fit": fit, "by hand": by_hand, "hierarchical": hierarchical}


def seconds(task: str) -> float:
    """Return the seconds that a task takes in a process of its own, imports not counted."""
    command = [sys.executable, __file__, task]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Run the tasks in turns and print medians."""
    rounds = [{task: seconds(task) for task in ("fit", "by hand")} for _ in range(ROUNDS)]
    times = {task: median(turn[task] for turn in rounds) for task in rounds[0]}
    times["hierarchical"] = seconds("hierarchical")
    ratio = times["fit"] / times["by hand"]
    print(header(f"Regression.fit, seconds with compiling, median of {ROUNDS}"))
    rows = [
        ("500 x 5, fit", f"{times['fit']:.1f}", f"{ratio:.2f}", *against(ratio, BARS["fit"])),
        ("500 x 5, by hand", f"{times['by hand']:.1f}", "1.00", "-", "-"),
        (
            "20 groups x 50 rows",
            f"{times['hierarchical']:.1f}",
            "-",
            *against(times["hierarchical"], BARS["hierarchical"]),
        ),
    ]
    print(table(("task", "s", "ratio", "bar", "verdict"), rows))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        import robust_dist.regression  # noqa: F401

        start = time.perf_counter()
        TASKS[sys.argv[1]]()
        print(time.perf_counter() - start)
    else:
        main()
