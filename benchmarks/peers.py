"""The race: this package, StudentT in NumPyro, in PyMC with nutpie, and Bambi's t family.

    python3 -m uv run python benchmarks/peers.py [race] [whole] [density] [costs] [first]
        [--reduced] [--size ROWSxCOLUMNS ...] [--rounds N] [--peers-python PATH]

race: the same data (t(3) noise) and priors, 4 chains of 1,000 draws after 1,000 of warm-up, each in
a process of its own, in turns, medians. Printed are CPU seconds to compile and to sample, the
smallest bulk ESS of a parameter per CPU second without and with compiling, and what the process's
peak memory grows by. ``Regression.fit`` is what the package does with a formula (its own priors);
the other two of NumPyro are models by hand. whole: from a data frame to a DataTree with
log-likelihood and predictive draws, for the second data set of a process. density: mean log
predictive density of held-out rows, on six kinds of noise and the shipped data, less that of
StudentT, with its standard error over splits. costs: nanoseconds per point of each function of a
law. first: seconds to the first draw in a fresh process, of ``Regression`` and of a model by hand.

The priors mean the same: coefficients are Normal(0, 10), the scale HalfNormal(5). Shapes cannot: nu
is Gamma(2, 0.1), alpha Uniform(0, 2). NumPyro's samplers run in float32, the others in float64, as
each does by default. Peers that are not installed are left out with a line. Bambi cannot be
installed beside the ``regression`` extra, which needs a newer formulae, so ``--peers-python`` names
another Python for PyMC and Bambi, such as that of

    python3 -m uv venv peers && python3 -m uv pip install --python peers bambi nutpie
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _report import Row, against, at_least, header, peak_memory, seconds_in_turns, table

OURS, NUMPYRO, PYMC, BAMBI = "GeneralRobust", "StudentT", "StudentT, PyMC", "t, Bambi"
FIT, FIT_T = "Regression.fit", "Regression.fit, student_t"
LIKELIHOODS = {FIT: "general_robust", FIT_T: "student_t"}
NEEDS = {
    **{FIT: "numpyro", FIT_T: "numpyro", OURS: "numpyro", NUMPYRO: "numpyro"},
    **{PYMC: "pymc", BAMBI: "bambi"},
}
CHAINS, DRAWS = 4, 1000
ESS_BAR, FIRST_BAR = 1.0, 1.2

Noise = Callable[[np.random.Generator, int], np.ndarray]


def _contaminated(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.normal(size=rows) * np.where(rng.random(rows) < 0.1, 10, 1)


def _hyperbolic(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return draws of the law with alpha = 1, a Normal of generalised inverse Gaussian variance."""
    from scipy import stats

    return rng.normal(size=rows) * np.sqrt(stats.geninvgauss(1, 1).rvs(rows, random_state=rng))


NOISES: dict[str, Noise] = {
    "Normal": lambda rng, rows: rng.normal(size=rows),
    "Laplace": lambda rng, rows: rng.laplace(size=rows),
    "t(3)": lambda rng, rows: rng.standard_t(3, rows),
    "contaminated": _contaminated,
    "hyperbolic": _hyperbolic,
    "skewed": lambda rng, rows: rng.gamma(2, size=rows) - 2,
}


def regression(rows: int, columns: int, noise: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a design, the first column of which is a constant, and a response."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns))
    x[:, 0] = 1
    return x, x @ np.resize([1.0, -2.0, 0.5], columns) + NOISES[noise](rng, rows)


# --- the racers: each returns the draws of all parameters, (chains, draws, parameters), the seconds
# --- to compile and the seconds to sample


@functools.cache
def _sampler(name: str, draws: int, shape: tuple[int, ...]) -> Any:
    """Return a sampler that compiles for this shape once."""
    from _regression import sampler

    return sampler(numpyro_model(name), draws, draws, CHAINS)


def in_numpyro(name: str, x: np.ndarray, y: np.ndarray, draws: int, seed: int) -> tuple:
    """Run NUTS, a new shape of data twice; what the first takes longer is compiling."""
    import jax

    x, y = (jax.numpy.asarray(part, np.float32) for part in (x, y))
    new = _sampler.cache_info().misses
    mcmc = _sampler(name, draws, x.shape)
    new = _sampler.cache_info().misses - new
    seconds = []
    for _ in range(1 + new):
        start = time.process_time()
        mcmc.run(jax.random.key(seed), x, y)
        found = jax.block_until_ready(mcmc.get_samples(group_by_chain=True))
        seconds.append(time.process_time() - start)
    columns = [np.asarray(found[site], float).reshape(CHAINS, draws, -1) for site in sorted(found)]
    return np.concatenate(columns, -1), max(0.0, seconds[0] - seconds[-1]), seconds[-1]


def numpyro_model(name: str) -> Callable[..., None]:
    """Return the regression with this likelihood."""
    import numpyro.distributions as dist
    from _regression import regression_model

    if name == NUMPYRO:
        return regression_model("shape", lambda: dist.Gamma(2, 0.1), dist.StudentT)
    from robust_dist import GeneralRobust

    law = GeneralRobust.with_orthogonal_scale
    return regression_model("shape", lambda: dist.Uniform(0, 2), law)


def _formula(x: np.ndarray, y: np.ndarray) -> tuple[str, dict[str, np.ndarray]]:
    """Return the regression as a formula and a table."""
    slopes = {f"x{i}": column for i, column in enumerate(x.T[1:])}
    return "y ~ " + " + ".join(slopes or ["1"]), {"y": y, **slopes}


def in_regression(likelihood: str, x: np.ndarray, y: np.ndarray, draws: int, seed: int) -> tuple:
    """Run the sampler of ``Regression.fit``; what the first run takes longer is compiling."""
    from robust_dist.regression import Regression
    from robust_dist.regression.posterior.run import Run

    fitted = Regression(*_formula(x, y), likelihood)
    run = Run(draws, draws, CHAINS, 0.8, fitted.dense)
    seconds = []
    for _ in range(2):
        start = time.process_time()
        sites, *_ = fitted.draw((seed,), run, "nutpie")
        seconds.append(time.process_time() - start)
    columns = [np.asarray(sites[name], float).reshape(CHAINS, draws, -1) for name in sites]
    return np.concatenate(columns, -1), max(0.0, seconds[0] - seconds[1]), seconds[1]


def _with_nutpie(model: Any, names: dict[str, str], draws: int, seed: int) -> tuple:
    import nutpie

    start = time.process_time()
    compiled = nutpie.compile_pymc_model(model)
    compiling = time.process_time() - start
    start = time.process_time()
    trace = nutpie.sample(
        compiled, draws=draws, tune=draws, chains=CHAINS, cores=1, seed=seed, progress_bar=False
    )
    sampling = time.process_time() - start
    posterior = trace["posterior"].dataset
    columns = [posterior[name].values.reshape(CHAINS, draws, -1) for name in names.values()]
    return np.concatenate(columns, -1), compiling, sampling


def in_pymc(x: np.ndarray, y: np.ndarray, draws: int, seed: int) -> tuple:
    """Run nutpie on a PyMC model."""
    import pymc as pm

    with pm.Model() as model:
        beta = pm.Normal("beta", 0, 10, shape=x.shape[1])
        scale = pm.HalfNormal("scale", 5)
        shape = pm.Gamma("shape", 2, 0.1)
        pm.StudentT("y", nu=shape, mu=x @ beta, sigma=scale, observed=y)
    names = {name: name for name in ("beta", "scale", "shape")}
    return _with_nutpie(model, names, draws, seed)


def in_bambi(x: np.ndarray, y: np.ndarray, draws: int, seed: int) -> tuple:
    """Run nutpie on Bambi's model."""
    import bambi as bmb
    import pandas as pd

    slopes = [f"x{i}" for i in range(1, x.shape[1])]
    frame = pd.DataFrame(x[:, 1:], columns=slopes).assign(y=y)
    normal = bmb.Prior("Normal", mu=0, sigma=10)
    model = bmb.Model(
        "y ~ " + " + ".join(slopes or ["1"]),
        frame,
        family="t",
        center_predictors=False,
        priors={
            **dict.fromkeys(["Intercept", *slopes], normal),
            "sigma": bmb.Prior("HalfNormal", sigma=5),
            "nu": bmb.Prior("Gamma", alpha=2, beta=0.1),
        },
    )
    model.build()
    names = {name: name for name in ("Intercept", *slopes, "sigma", "nu")}
    return _with_nutpie(model.backend.model, names, draws, seed)


RACERS: dict[str, Callable[..., tuple]] = {
    FIT: functools.partial(in_regression, LIKELIHOODS[FIT]),
    FIT_T: functools.partial(in_regression, LIKELIHOODS[FIT_T]),
    OURS: functools.partial(in_numpyro, OURS),
    NUMPYRO: functools.partial(in_numpyro, NUMPYRO),
    PYMC: in_pymc,
    BAMBI: in_bambi,
}


def work(name: str, task: dict[str, Any]) -> None:
    """Be the process of one racer: print what it found of each of the data sets."""
    import arviz_stats

    importlib.import_module(NEEDS[name])
    answers = []
    before = peak_memory()
    for rows, columns, noise, seed in task["data"]:
        x, y, held_x, held_y = split(rows, columns, noise, seed)
        draws, compiling, sampling = RACERS[name](x, y, task["draws"], seed)
        columns = draws.reshape(-1, draws.shape[-1])
        ess = arviz_stats.ess(draws, chain_axis=0, draw_axis=1)
        answer = {
            "compile": compiling,
            "sample": sampling,
            "ess": float(np.min(ess)),
            "memory": (peak_memory() - before) / 1e6,
        }
        if held_y.size:
            answer["density"] = log_predictive(name, columns[::4], held_x, held_y).tolist()
        answers.append(answer)
    print(json.dumps(answers))


def log_predictive(name: str, draws: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the log predictive density of each held-out row."""
    from scipy import stats
    from scipy.special import logsumexp

    # sites in alphabetical order: beta, scale, shape
    beta, scale, shape = draws[:, :-2], draws[:, -2:-1], draws[:, -1:]
    loc = beta @ x.T
    if name == OURS:
        import jax

        from robust_dist import GeneralRobust

        with jax.enable_x64(True):
            law = GeneralRobust.with_orthogonal_scale(shape, loc, scale)
            density = np.asarray(law.log_prob(y))
    else:
        density = stats.t(shape, loc, scale).logpdf(y)
    return logsumexp(density, axis=0) - np.log(len(draws))


def split(rows: int, columns: int, noise: str, seed: int) -> tuple[np.ndarray, ...]:
    """Return data to fit and to hold out; with columns, as in the race, all are to fit."""
    if columns:
        x, y = regression(rows, columns, noise, seed)
        held = np.zeros(0, int)
    elif noise in NOISES:
        x, y = regression(rows + 2000, 3, noise, seed)
        held = np.arange(rows, rows + 2000)
    else:
        x, y = shipped(noise)
        held = np.random.default_rng(seed).permutation(len(y))[: len(y) // 5]
    kept = np.setdiff1d(np.arange(len(y)), held)
    return x[kept], y[kept], x[held], y[held]


def shipped(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a data set of the package, standardised."""
    from robust_dist.datasets import DATASETS, load

    response, _, predictors = DATASETS[name].formula.partition("~")
    frame = load(name)
    raw = frame[[response.strip(), *(part.strip() for part in predictors.split("+"))]]
    values = raw.to_numpy(float)
    values = (values - np.median(values, 0)) / values.std(0)
    return np.column_stack([np.ones(len(values)), values[:, 1:]]), values[:, 0]


def ask(name: str, task: dict[str, Any], python: str) -> list[dict[str, Any]]:
    """Return what the process of a racer found."""
    program = sys.executable if NEEDS[name] == "numpyro" else python
    done = subprocess.run(
        [program, __file__, "work", name, json.dumps(task)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    # the tables come at the end, and a run is long
    print(f"{name}: {found[0]['compile']:.1f} + {found[0]['sample']:.1f} s", file=sys.stderr)
    return found


def racers(python: str) -> list[str]:
    """Return those that are installed, and say which are not."""
    found = []
    for name, package in NEEDS.items():
        if package == "numpyro" or Path(python) == Path(sys.executable):
            there = importlib.util.find_spec(package) is not None
        else:
            test = [python, "-c", f"import {package}, nutpie"]
            there = subprocess.run(test, stderr=subprocess.DEVNULL).returncode == 0
        if there:
            found.append(name)
        else:
            print(f"{name}: left out, since {package} is not installed", flush=True)
    return found


def race(options: argparse.Namespace) -> Iterator[Row]:
    """Run all racers in turns on each size."""
    names = [name for name in racers(options.peers_python) if name in (*options.racers, NUMPYRO)]
    for size in options.size:
        rows, columns = map(int, size.split("x"))
        draws = 200 if options.reduced else DRAWS
        if rows > 10_000:
            draws = min(draws, options.many_draws)
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for turn in range(options.rounds):
            for name in names[:: 1 if turn % 2 == 0 else -1]:
                task = {"data": [(rows, columns, "t(3)", turn)], "draws": draws}
                found[name] += ask(name, task, options.peers_python)
        speed = {
            name: [median(run["ess"] / (run["sample"] + part * run["compile"]) for run in runs)
                   for part in (0, 1)]
            for name, runs in found.items()
        }  # fmt: skip
        for name, runs in found.items():
            middle = {what: median(run[what] for run in runs) for what in runs[0]}
            cells = []
            for part in (0, 1):
                ratio = speed[name][part] / speed[NUMPYRO][part]
                bar = ESS_BAR if name in (OURS, FIT) else None
                cells += [f"{speed[name][part]:.0f}", f"{ratio:.2f}", *at_least(ratio, bar)]
            yield (
                f"{size}, {draws} draws", name, f"{middle['compile']:.1f}",
                f"{middle['sample']:.1f}", f"{middle['ess']:.0f}", *cells,
                f"{middle['memory']:.0f}",
            )  # fmt: skip


def fit_whole(name: str, rows: int, columns: int) -> None:
    """Be the process of one package: print CPU seconds and ESS of its second data set."""
    import arviz_stats
    import pandas as pd

    for seed in range(2):
        x, y = regression(rows, columns, "t(3)", seed)
        formula, table = _formula(x, y)
        frame = pd.DataFrame(table)
        start = time.process_time()
        if name in LIKELIHOODS:
            from robust_dist.regression import Regression

            tree = Regression(formula, frame, LIKELIHOODS[name]).fit(progress=False, seed=seed)
        else:
            tree = _pymc_whole(frame, seed)
        seconds = time.process_time() - start
    posterior = tree["posterior"].dataset
    ess = arviz_stats.ess(posterior)
    print(json.dumps([seconds, min(float(ess[v].min()) for v in ess.data_vars)]))


def _pymc_whole(frame: Any, seed: int) -> Any:
    """Return PyMC's posterior by nutpie, with log-likelihood and predictive draws."""
    import nutpie
    import pymc as pm

    x = frame.drop(columns="y").to_numpy()
    with pm.Model() as model:
        beta = pm.Normal("beta", 0, 10, shape=x.shape[1] + 1)
        scale = pm.HalfNormal("scale", 5)
        nu = pm.Gamma("nu", 2, 0.1)
        pm.StudentT("y", nu=nu, mu=beta[0] + x @ beta[1:], sigma=scale, observed=frame["y"])
        tree = nutpie.sample(
            nutpie.compile_pymc_model(model),
            **{"draws": DRAWS, "tune": DRAWS, "chains": CHAINS, "cores": 1, "seed": seed},
            progress_bar=False,
        )
        pm.compute_log_likelihood(tree, progressbar=False)
        tree.update(pm.sample_posterior_predictive(tree, progressbar=False, random_seed=seed))
    return tree


def whole(options: argparse.Namespace) -> Iterator[Row]:
    """Time the second data set of a process, in turns."""
    installed = racers(options.peers_python)
    names = [name for name in (FIT, FIT_T, PYMC) if name in installed and name in options.racers]
    for size in options.size:
        if int(size.split("x")[0]) > 10_000:
            continue
        found: dict[str, list[list[float]]] = {name: [] for name in names}
        for turn in range(options.rounds):
            for name in names[:: 1 if turn % 2 == 0 else -1]:
                program = sys.executable if NEEDS[name] == "numpyro" else options.peers_python
                command = [program, __file__, "whole-fit", name, *size.split("x")]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
        speed = {
            name: median(ess / seconds for seconds, ess in runs) for name, runs in found.items()
        }
        for name, runs in found.items():
            ratio = speed[name] / speed[PYMC] if PYMC in speed else float("nan")
            bar = 1.5 if name == FIT and PYMC in speed else None
            yield (
                size, name, f"{median(run[0] for run in runs):.2f}",
                f"{median(run[1] for run in runs):.0f}", f"{speed[name]:.0f}", f"{ratio:.2f}",
                *at_least(ratio, bar),
            )  # fmt: skip


def density(options: argparse.Namespace) -> Iterator[Row]:
    """Compare predictions of held-out rows; StudentT's are those of every package."""
    from robust_dist.datasets import DATASETS

    splits = 2 if options.reduced else options.splits
    data = {
        noise: [(500 if noise in NOISES else 0, 0, noise, seed) for seed in range(splits)]
        for noise in ([*NOISES, *DATASETS][:: 3 if options.reduced else 1])
    }
    task = {
        "data": [part for parts in data.values() for part in parts],
        "draws": 200 if options.reduced else 500,
    }
    answers = {name: ask(name, task, sys.executable) for name in (OURS, NUMPYRO)}
    for place, noise in enumerate(data):
        mine = slice(place * splits, (place + 1) * splits)
        found = {name: fits[mine] for name, fits in answers.items()}
        mean = {name: [np.mean(fit["density"]) for fit in fits] for name, fits in found.items()}
        gain = np.subtract(mean[OURS], mean[NUMPYRO])
        error = gain.std(ddof=1) / len(gain) ** 0.5
        yield (
            noise, str(len(found[OURS][0]["density"])), str(splits), f"{np.mean(mean[OURS]):.4f}",
            f"{np.mean(mean[NUMPYRO]):.4f}", f"{gain.mean():+.4f}", f"{error:.4f}",
        )  # fmt: skip


def barron(x: Any, alpha: Any, loc: Any, scale: Any) -> Any:
    """Return the log density up to its normalizer, as eq. 1 of the paper is written."""
    import jax.numpy as jnp

    size = jnp.square((x - loc) / scale)
    width = jnp.abs(alpha - 2)
    return -width / alpha * ((size / width + 1) ** (alpha / 2) - 1) - jnp.log(scale)


def costs(options: argparse.Namespace) -> Iterator[Row]:
    """Time each function of each law on the same points."""
    import jax
    import numpyro.distributions as dist

    from robust_dist import GeneralRobust

    points = 100_000 if options.reduced else 300_000
    rng = np.random.default_rng(0)
    x = jax.numpy.asarray(rng.standard_t(3, points), np.float32)
    q = jax.numpy.asarray(rng.random(points), np.float32)
    given = jax.numpy.asarray([1.3, 0.1, 1.2])
    laws: dict[str, Callable[..., Any]] = {
        "GeneralRobust": GeneralRobust,
        "orthogonal": GeneralRobust.with_orthogonal_scale,
        "StudentT": dist.StudentT,
        "Normal": lambda shape, loc, scale: dist.Normal(loc, scale),
        "Laplace": lambda shape, loc, scale: dist.Laplace(loc, scale),
    }

    def total(law: Callable[..., Any], p: Any) -> Any:
        return law(*p).log_prob(x).sum()

    found: dict[str, dict[str, float]] = {name: {} for name in (*laws, "paper's formula")}
    functions: dict[str, Callable[..., Any]] = {
        "log_prob": lambda law, p: law(*p).log_prob(x),
        "gradient": lambda law, p: jax.value_and_grad(functools.partial(total, law))(p),
        "draw": lambda law, p: law(*p).sample(jax.random.key(0), (points,)),
        "cdf": lambda law, p: law(*p).cdf(x),
        "icdf": lambda law, p: law(*p).icdf(q),
    }
    formulas = {
        "log_prob": lambda p: barron(x, *p),
        "gradient": lambda p: jax.value_and_grad(lambda p: barron(x, *p).sum())(p),
    }
    for what, function in functions.items():
        calls = {}
        for name, law in laws.items():
            if name == "StudentT" and what in ("cdf", "icdf"):
                continue  # NumPyro's go through TensorFlow Probability, which is no dependency
            calls[name] = functools.partial(_call, jax.jit(functools.partial(function, law)), given)
        if what in formulas:
            calls["paper's formula"] = functools.partial(_call, jax.jit(formulas[what]), given)
        for name, seconds in seconds_in_turns(calls, 3 if options.reduced else 15).items():
            found[name][what] = seconds / points * 1e9
    for name, times in found.items():
        yield name, *(f"{times[what]:.1f}" if what in times else "-" for what in functions)


def _call(function: Callable[..., Any], *arguments: Any) -> None:
    import jax

    jax.block_until_ready(function(*arguments))


def first_draw(name: str) -> None:
    """Print the seconds from here to the first draw, imports not counted."""
    import jax
    from numpyro.infer import MCMC, NUTS

    how, _, likelihood = name.partition(" ")
    x, y = regression(500, 5, "t(3)", 0)
    if how == "Regression":
        from robust_dist.regression import Regression
    start = time.perf_counter()
    if how == "Regression":
        data = {"y": y, **{f"x{i}": column for i, column in enumerate(x.T[1:])}}
        fitted = Regression("y ~ x0 + x1 + x2 + x3", data, likelihood)
        model, arguments = fitted.model, fitted.data
    else:
        model = numpyro_model(OURS if likelihood == "general_robust" else NUMPYRO)
        arguments = {"x": x.astype(np.float32), "y": y.astype(np.float32)}
    mcmc = MCMC(NUTS(model), num_warmup=1, num_samples=1, progress_bar=False)
    mcmc.run(jax.random.key(0), **arguments)
    jax.block_until_ready(mcmc.get_samples())
    print(time.perf_counter() - start)


def first(options: argparse.Namespace) -> Iterator[Row]:
    """Time it in fresh processes that take turns."""
    names = [
        f"{how} {law}"
        for how in ("Regression", "by-hand")
        for law in ("general_robust", "student_t")
    ]
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(1 if options.reduced else 3):
        for name in names[:: 1 if turn % 2 == 0 else -1]:
            command = [sys.executable, __file__, "first-draw", name]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[name].append(float(done.stdout.split()[-1]))
    for name, seconds in found.items():
        base = median(found[name.replace("general_robust", "student_t")])
        ratio = median(seconds) / base
        bar = FIRST_BAR if name.endswith("general_robust") else None
        yield name, f"{median(seconds):.2f}", f"{ratio:.2f}", *against(ratio, bar)


TASKS: dict[str, tuple[Row, Callable[[argparse.Namespace], Iterator[Row]]]] = {
    "race": (
        (
            *("data", "likelihood", "compile s", "sample s", "min ESS"),
            *("ESS/s", "/ StudentT", "bar", "verdict"),
            *("with compiling", "/ StudentT", "bar", "verdict", "MB"),
        ),
        race,
    ),
    "whole": (
        ("data", "fit", "CPU s", "min ESS", "ESS/CPU s", "/ PyMC", "bar", "verdict"),
        whole,
    ),
    "density": (
        ("data", "held out", "splits", "GeneralRobust", "StudentT", "difference", "s.e."),
        density,
    ),
    "costs": (("ns per point", "log_prob", "gradient", "draw", "cdf", "icdf"), costs),
    "first": (("time to the first draw", "s", "/ student_t", "bar", "verdict"), first),
}


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--reduced", action="store_true", help="some two minutes, rough figures")
    parser.add_argument("--size", nargs="+", help="of the race (default 500x5 100000x10)")
    parser.add_argument("--racers", nargs="+", choices=NEEDS, default=list(NEEDS))
    parser.add_argument("--rounds", type=int, help="turns of the race (default 3)")
    parser.add_argument("--splits", type=int, default=5, help="data sets each of density")
    parser.add_argument("--many-draws", type=int, default=300, help="a chain, above 10,000 rows")
    parser.add_argument("--peers-python", default=sys.executable, help="a Python with PyMC, Bambi")
    options = parser.parse_args()
    options.size = options.size or (["500x5"] if options.reduced else ["500x5", "100000x10"])
    options.rounds = options.rounds or (1 if options.reduced else 3)
    title = "GeneralRobust (orthogonal scale) and its peers"
    print(header(title + (", reduced" if options.reduced else "")), flush=True)
    for task in options.tasks or TASKS:
        columns, run = TASKS[task]
        print(f"\n{task}\n{table(columns, run(options))}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work(sys.argv[2], json.loads(sys.argv[3]))
    elif sys.argv[1:2] == ["first-draw"]:
        first_draw(sys.argv[2])
    elif sys.argv[1:2] == ["whole-fit"]:
        fit_whole(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
