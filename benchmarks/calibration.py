"""Check that posteriors under the orthogonal scale and the reference prior are calibrated.

    python benchmarks/calibration.py [--simulations N] [--picture FILE] [--simuk N] [--precision P]

Simulation-based calibration (Talts et al., arXiv:1804.06788): parameters are drawn from the prior
and data given them; the parameters' ranks among draws of NUTS given the data are uniform if the
density, its gradient, the normalizer, the draws and the sampler are right. The model is a
regression of 40 rows on 2 columns, beta ~ Normal(0, 2.5), alpha ~ ReferenceAlpha(), on both sides
of 2, and sigma ~ InverseGamma(2, 2). The whole inference, NUTS with default settings from its
default start, is one function of a key, jit(vmap(...)) over 1,000 of them. Chains are thinned to
what the measured effective sample size (its 5 % quantile over the simulations) calls independent.

Printed are, for each parameter and for the log likelihood (as Modrak et al., arXiv:2211.02383,
advise), at how many points the ranks' distribution function leaves the 99.9 % simultaneous envelope
of a uniform one's (Säilynoja, Bürkner & Vehtari 2022, as ArviZ computes it), the p-value of
Kolmogorov's test beside it, and the coverage of central 50 % and 90 % intervals, within 3 binomial
standard deviations or not. Exit status 1 if a bar is missed. ``--simuk N`` makes N simulations by
simuk instead, which compiles and runs each by itself; ``--picture`` draws the distribution
functions in their envelopes.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from pathlib import Path

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from _report import PRECISIONS, against, header, table
from arviz_stats.ecdf_utils import compute_ecdf, ecdf_pit
from jax import Array
from numpyro import handlers
from numpyro.infer import NUTS
from numpyro.infer.util import log_density
from scipy.stats import kstest

from robust_dist import GeneralRobust, ReferenceAlpha

ROWS, COEFFICIENTS = 40, 2
WARMUP, DRAWS = 500, 1000
LANES = 250  # simulations in one call
INSIDE = 0.999
LEVELS = (0.5, 0.9)
DESIGN = np.random.default_rng(0).normal(size=(ROWS, COEFFICIENTS))

Draws = dict[str, Array]


def model(x: Array, y: Array | None = None) -> None:
    """Regress y on x with noise of unknown shape."""
    beta = numpyro.sample("beta", dist.Normal(0.0, 2.5).expand([COEFFICIENTS]).to_event(1))
    sigma = numpyro.sample("sigma", dist.InverseGamma(2.0, 2.0))
    alpha = numpyro.sample("alpha", ReferenceAlpha())
    with numpyro.plate("row", ROWS):
        numpyro.sample("y", GeneralRobust.with_orthogonal_scale(alpha, x @ beta, sigma), obs=y)


def _log_likelihood(values: Draws, x: Array, y: Array) -> Array:
    conditioned = handlers.condition(model, values)
    total, _ = log_density(handlers.block(conditioned, expose=["y"]), (x, y), {}, {})
    return total


def simulate(key: Array) -> tuple[Draws, Draws, Array, Array]:
    """Return a draw of the prior, draws given data simulated from it, divergences and steps."""
    x = jnp.asarray(DESIGN, jnp.result_type(float))
    data_key, nuts_key = jax.random.split(key)
    trace = handlers.trace(handlers.seed(model, data_key)).get_trace(x)
    truth = {name: trace[name]["value"] for name in ("beta", "sigma", "alpha")}
    data = (x, trace["y"]["value"])
    kernel = NUTS(model)
    state = kernel.init(nuts_key, WARMUP, None, data, {})

    def step(state: tuple, _: None) -> tuple:
        state = kernel.sample(state, data, {})
        return state, (state.z, state.diverging, state.num_steps)

    state, _ = jax.lax.scan(lambda s, _: (step(s, None)[0], None), state, length=WARMUP)
    _, (z, diverging, steps) = jax.lax.scan(step, state, length=DRAWS)
    draws = jax.vmap(kernel.postprocess_fn(data, {}))(z)
    draws["log likelihood"] = jax.vmap(lambda values: _log_likelihood(values, *data))(draws)
    truth["log likelihood"] = _log_likelihood(truth, *data)
    return truth, draws, diverging.sum(), steps.mean()


def columns(values: Draws) -> dict[str, np.ndarray]:
    """Return one array per scalar, in double precision."""
    split = {}
    for name, value in values.items():
        parts = np.asarray(value, float)
        if name == "beta":
            split |= {f"beta[{i}]": parts[..., i] for i in range(COEFFICIENTS)}
        else:
            split[name] = parts
    return split


def shares_below(truth: np.ndarray, draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the truth's rank among its draws, made continuous: uniform in (0, 1)."""
    rank = (draws < truth[:, None]).sum(-1)
    return (rank + rng.random(rank.size)) / (draws.shape[-1] + 1)


@functools.lru_cache
def _band(count: int) -> tuple[np.ndarray, ...]:
    """Return points and the ends of the envelope there, which depend on the number alone."""
    points, _, lower, upper = ecdf_pit(
        np.arange(count) / count, INSIDE, 20_000, rng=np.random.default_rng(1)
    )
    return points, lower, upper


def envelope(shares: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return points, the distribution function there, and the ends of the envelope."""
    points, lower, upper = _band(len(shares))
    return points, compute_ecdf(shares, points), lower, upper


def points_outside(shares: np.ndarray) -> int:
    """Return at how many points the distribution function leaves the envelope."""
    _, found, lower, upper = envelope(shares)
    # a share of n is not always the nearest float
    return int(np.sum((found > upper + 1e-9) | (found < lower - 1e-9)))


def judge(shares: dict[str, np.ndarray]) -> tuple[list[tuple[str, ...]], bool]:
    """Return rows of the table, and whether all bars are met."""
    rows, met = [], True
    for name, share in shares.items():
        outside = points_outside(share)
        cells = [f"{kstest(share, 'uniform').pvalue:.3f}", str(outside), *against(outside, 0)]
        for level in LEVELS:
            coverage = float(np.mean(np.abs(share - 0.5) < level / 2))
            off = abs(coverage - level) / np.sqrt(level * (1 - level) / share.size)
            cells += [f"{100 * coverage:.1f} %", f"{off:.2f}", *against(off, 3.0)]
        rows.append((name, *cells))
        met &= "MISSED" not in cells
    return rows, met


def draw(shares: dict[str, np.ndarray], file: Path) -> None:
    """Draw each distribution function, less the uniform one, in its envelope."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.2), layout="constrained")
    panels = figure.subplots(1, len(shares), sharey=True)
    for panel, (name, share) in zip(panels, shares.items(), strict=True):
        points, found, lower, upper = envelope(share)
        panel.fill_between(points, lower - points, upper - points, color="0.88", lw=0)
        panel.step(points, found - points, where="post", color="C0", lw=1)
        panel.axhline(0, color="0.5", lw=0.5)
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("rank / draws")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("ECDF of ranks − uniform")
    figure.savefig(file, dpi=130)


def by_simuk(simulations: int) -> dict[str, np.ndarray]:
    """Return shares below the truth as simuk finds them, each chain compiled and run by itself."""
    from simuk import SBC

    thin = 8
    sbc = SBC(
        NUTS(model),
        num_simulations=simulations,
        sample_kwargs={"num_warmup": WARMUP, "num_samples": DRAWS, "thinning": thin},
        seed=1,
        data_dir={"x": np.asarray(DESIGN, jnp.result_type(float)), "y": np.zeros(ROWS)},
        progress_bar=False,
    )
    sbc.run_simulations()
    rng = np.random.default_rng(2)
    found = {}
    for name, ranks in sbc.simulations.prior_sbc.data_vars.items():
        values = np.asarray(ranks, float).reshape(simulations, -1)
        for i, column in enumerate(values.T):
            label = f"{name}[{i}]" if values.shape[1] > 1 else str(name)
            found[label] = (column + rng.random(simulations)) / (DRAWS // thin + 1)
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, help="where to draw the distribution functions")
    parser.add_argument("--simuk", type=int, default=0, help="so many simulations by simuk instead")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", arguments.precision == "float64")
    count = arguments.simuk or arguments.simulations
    print(header(f"Calibration, {count} simulations, {arguments.precision}"), flush=True)
    start = time.perf_counter()
    if arguments.simuk:
        shares = by_simuk(count)
        print(f"by simuk, {time.perf_counter() - start:.0f} s")
    else:
        keys = jax.random.split(jax.random.key(arguments.seed), count)
        many = jax.jit(jax.vmap(simulate))
        parts = [
            jax.device_get(many(keys[first : first + LANES])) for first in range(0, count, LANES)
        ]
        truth, draws, diverging, steps = jax.tree.map(lambda *each: np.concatenate(each), *parts)
        seconds = time.perf_counter() - start
        truths, all_draws = columns(truth), columns(draws)
        stacked = np.stack(list(all_draws.values()), -1)
        smallest = np.min(
            [arviz_stats.ess(each[None], chain_axis=0, draw_axis=1) for each in stacked], axis=-1
        )
        thin = int(np.ceil(DRAWS / np.quantile(smallest, 0.05)))
        rng = np.random.default_rng(arguments.seed)
        shares = {
            name: shares_below(truths[name], each[:, thin - 1 :: thin], rng)
            for name, each in all_draws.items()
        }
        print(
            f"{seconds:.0f} s; P(alpha < 2) of the truths {np.mean(truths['alpha'] < 2):.2f}\n"
            f"smallest ESS of {DRAWS} draws: median {np.median(smallest):.0f}, 5 % quantile "
            f"{np.quantile(smallest, 0.05):.0f}, least {smallest.min():.0f}; 1 in {thin} kept\n"
            f"simulations with divergences {np.sum(diverging > 0)}, divergences {diverging.sum()}, "
            f"steps per draw {steps.mean():.1f}"
        )
    rows, met = judge(shares)
    titles = ["parameter", "KS p", "outside", "bar", "verdict"]
    for level in LEVELS:
        titles += [f"{100 * level:.0f} % covers", "sd off", "bar", "verdict"]
    print(table(titles, rows))
    if arguments.picture:
        draw(shares, arguments.picture)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
