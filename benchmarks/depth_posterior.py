"""Sample a depth network's weights, and see whether their spread finds the pixels that are wrong.

    python benchmarks/depth_posterior.py [--out FILE] [--seeds N] [--steps N] [--power P]
        [--quick] [--pictures FOLDER]

The network of `monocular_depth.py`, trained as there (300 steps by the baseline, 700 by a method),
sees depth in one picture. Then some of its weights get the prior Normal(0, 0.2), others stay:

    last    of the last convolution and the finer head, 7,073
    all     of everything before the finer head and of it, 125,537

and what it was trained by becomes a posterior:

    log p(weights, alpha, scale) + power (log density of all residuals
                                          - 0.1 roughness per residual)

with residuals of all training scenes, whose density is

    Laplace, pixels    that of the baseline's L1, of scale 0.03
    adaptive, pixels   GeneralRobust, alpha Uniform(0, 2), scale LogNormal(log 0.05, 1), sampled too
    adaptive, wavelets the same, of CDF 9/7 wavelets of YUV

The power, 0.01, stands for what a likelihood of independent residuals does not know, that a pixel
says much what its neighbours do. It sets how wide posteriors are; which pixels are the least sure,
which is all that is asked here, it does not (``--power`` tries).

Posteriors come from NumPyro's SVI (AutoNormal, a Normal for each weight), and from stochastic
gradient Langevin dynamics (blackjax's sgld), two chains that start in draws of those Normals and
move in units of their standard deviations. Both see minibatches of 8 scenes.

On unseen scenes, a pixel's uncertainty is the sd over 40 draws of its log disparity, its error
abs(d - d*)/d* of the median depth. Pixels are left out in the order of uncertainty, the least sure
first, and the mean error of those that are left is a sparsification curve; in the order of the
error itself it is the oracle's. The area between both, over the error of all (AUSE), is 0 where
uncertainty is as good as knowing the error; printed is the share of the way from a random order to
the oracle, 1 - AUSE/AUSE of random, with 95 % t intervals over seeds; for reference, that of the
predicted depth itself, for which no posterior is needed: the farthest first. ``--quick`` is 60
steps of training and 20 of sampling, one law, few scenes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax
from _depth_network import DepthNetwork, depth_of, differences, roughness
from _intervals import interval
from _report import header, peak_memory, table
from _results import Result, add_results, read_results
from jax import Array
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure
from monocular_depth import (
    BATCH,
    RATE,
    SCALE,
    SMOOTHNESS,
    STEPS,
    TEST,
    TRAIN,
    VIOLATIONS,
    WARM,
    Cell,
    coefficients,
    scenes_of,
    trained,
    training_data,
)
from numpyro import distributions as dist
from numpyro import handlers
from numpyro.diagnostics import split_gelman_rubin
from numpyro.infer import SVI, Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.util import potential_energy
from numpyro.optim import optax_to_numpyro

from robust_dist import GeneralRobust

LAPLACE = "Laplace, pixels"
# what the density of residuals is, and the loss that the network was trained by
LAWS = {
    LAPLACE: "L1, pixels",
    "adaptive, pixels": "adaptive, pixels",
    "adaptive, wavelets": "adaptive, wavelets",
}
# what of the network is sampled
PARTS: dict[str, Callable[[DepthNetwork], Any]] = {
    "last": lambda network: (network.up[-1], network.heads[-1]),
    "all": lambda network: (network.down, network.up, network.heads[-1]),
}
PRIOR = 0.2
CHAINS, DRAWS = 2, 20
STEP = 0.02  # of sgld, in squared sds of the Normal
FRACTIONS = np.arange(20) / 20
SHOWN = 4

Weights = dict[str, Array]


class Question(NamedTuple):
    """What a posterior depends on."""

    law: str
    layers: str
    seed: int
    power: float
    steps: int
    training: tuple[int, int]
    sizes: tuple[int, int]


class Layers:
    """A network of which some layers are one vector."""

    def __init__(self, network: DepthNetwork, which: str) -> None:
        self.network, self._part = network, PARTS[which]
        moving, self._static = eqx.partition(self._part(network), eqx.is_inexact_array)
        self.start, self._unravel = ravel_pytree(moving)

    def disparity(self, weights: Array, pictures: Array) -> Array:
        """Return the disparities of pictures, by the finer head."""
        layers = eqx.combine(self._unravel(weights), self._static)
        network = eqx.tree_at(self._part, self.network, layers)
        return jax.vmap(network)(pictures)[-1]


def model(batch: list[Array], layers: Layers, question: Question) -> None:
    """Draw the sampled layers, and the law of residuals; a batch stands for all scenes."""
    size = layers.start.size
    weights = numpyro.sample("weights", dist.Normal(0, PRIOR).expand([size]).to_event(1))
    if question.law == LAPLACE:
        law: dist.Distribution = dist.Laplace(0, SCALE)
    else:
        alpha = numpyro.sample("alpha", dist.Uniform(0, 2))
        law = GeneralRobust(alpha, 0.0, numpyro.sample("scale", dist.LogNormal(np.log(0.05), 1)))
    left = batch[0]
    disparity = layers.disparity(weights, left)
    residual = differences(disparity, batch)
    values = coefficients(residual) if question.law == "adaptive, wavelets" else residual
    rough = jax.vmap(roughness)(disparity, left).mean()
    with handlers.scale(scale=question.power * question.sizes[0] / len(left)):
        fit = law.log_prob(values).sum() - SMOOTHNESS * rough * residual.size
        numpyro.factor("photometric", fit)


class Normals(NamedTuple):
    """A Normal for each parameter, where it is not bounded any more."""

    loc: Weights
    sd: Weights

    def at(self, position: Weights) -> Weights:
        """Return parameters from a position in units of the sds."""
        return {name: self.loc[name] + self.sd[name] * position[name] for name in self.loc}


def minibatches(data: list[Array], steps: int, seed: int) -> Iterator[list[Array]]:
    """Yield so many random batches of scenes."""
    for rows in np.random.default_rng(seed).integers(0, len(data[0]), (steps, BATCH)):
        yield [part[rows] for part in data]


def fit(question: Question, layers: Layers, start: Weights, data: list[Array]) -> Normals:
    """Return the posterior of SVI."""
    law = partial(model, layers=layers, question=question)
    guide = AutoNormal(law, init_loc_fn=init_to_value(values=start), init_scale=3e-3)
    # sds and the law are reached through something like a logarithm, and want longer steps
    rates = {"weights": 3e-4, "others": 1e-2}
    optimizer = optax.multi_transform(
        {
            label: optax.adam(optax.cosine_decay_schedule(rate, question.steps))
            for label, rate in rates.items()
        },
        lambda params: {n: "weights" if n == "weights_auto_loc" else "others" for n in params},
    )
    svi = SVI(law, guide, optax_to_numpyro(optimizer), Trace_ELBO())
    state = svi.init(jax.random.key(question.seed), [part[:BATCH] for part in data])
    update = jax.jit(svi.update)
    for batch in minibatches(data, question.steps, question.seed):
        state, _ = update(state, batch)
    params = svi.get_params(state)
    names = [name.removesuffix("_auto_loc") for name in params if name.endswith("_loc")]
    return Normals(*({n: params[f"{n}_auto_{what}"] for n in names} for what in ("loc", "scale")))


def langevin(question: Question, layers: Layers, data: list[Array], around: Normals) -> Weights:
    """Return draws of all chains of sgld, (chains, draws, ...), in units of the sds."""

    def slope(position: Weights, batch: list[Array]) -> Weights:
        def log_density(position: Weights) -> Array:
            arguments = (batch, layers, question)
            return -potential_energy(model, arguments, {}, around.at(position))

        return jax.grad(log_density)(position)

    step = jax.jit(blackjax.sgld(slope).step)
    every = max(question.steps // DRAWS, 1)
    chains = []
    for chain in range(CHAINS):
        key = jax.random.fold_in(jax.random.key(question.seed), chain)
        position = {
            name: jax.random.normal(jax.random.fold_in(key, k), loc.shape)
            for k, (name, loc) in enumerate(around.loc.items())
        }
        draws = []
        # the first half warms up
        batches = minibatches(data, 2 * question.steps, CHAINS * question.seed + chain)
        for number, batch in enumerate(batches, 1):
            position = step(jax.random.fold_in(key, number), position, batch, STEP)
            if number > question.steps and (number - question.steps) % every == 0:
                draws.append(position)
        chains.append(jax.tree.map(lambda *each: jnp.stack(each), *draws[:DRAWS]))
    return jax.tree.map(lambda *each: jnp.stack(each), *chains)


def curve(error: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the mean error of what is left when the first FRACTIONS of an order are left out."""
    sorted_error = error[order]
    return np.array([sorted_error[int(f * len(error)) :].mean() for f in FRACTIONS])


def sparsification(error: np.ndarray, uncertainty: np.ndarray) -> tuple[float, list[float]]:
    """Return the share of the way from a random order to the oracle, and the curve over all's."""
    everything = error.mean()
    least_sure = curve(error, np.argsort(-uncertainty)) / everything
    oracle = curve(error, np.argsort(-error)) / everything
    return float((1 - least_sure).sum() / (1 - oracle).sum()), least_sure.tolist()


def answers(question: Question) -> tuple[list[Result], dict[str, np.ndarray]]:
    """Return the results of both samplers, and maps of the first test scenes, to be shown."""
    began = time.perf_counter()
    cell = Cell(
        LAWS[question.law], question.seed, *question.training, RATE, VIOLATIONS, SMOOTHNESS,
        *question.sizes,
    )  # fmt: skip
    network, trajectory = trained(cell)
    layers = Layers(network, question.layers)
    start = {"weights": layers.start}
    if question.law != LAPLACE:
        start |= {name: jnp.array(trajectory[-1][name]) for name in ("alpha", "scale")}
    _, unseen = scenes_of(cell.seed, cell.train, cell.test, cell.violations)
    data = training_data(cell)
    normals = fit(question, layers, start, data)
    generator = np.random.default_rng(question.seed)
    positions = {
        "SVI": {
            name: jnp.asarray(generator.standard_normal((CHAINS, DRAWS, *loc.shape)), loc.dtype)
            for name, loc in normals.loc.items()
        },
        "sgld": langevin(question, layers, data, normals),
    }
    predict = jax.jit(layers.disparity)
    pictures = jnp.asarray(unseen.left)
    results, maps = [], {}
    for sampler, position in positions.items():
        draws = normals.at(position)
        disparity = np.array([[predict(w, pictures) for w in chain] for chain in draws["weights"]])
        logarithm = np.log(disparity).reshape(CHAINS * DRAWS, *unseen.depth.shape)
        depth = np.asarray(depth_of(np.exp(np.median(logarithm, axis=0))))
        error, spread = np.abs(depth - unseen.depth) / unseen.depth, logarithm.std(axis=0)
        share, line = sparsification(error.ravel(), spread.ravel())
        by_depth, _ = sparsification(error.ravel(), depth.ravel())
        oracle = curve(error.ravel(), np.argsort(-error.ravel())) / error.mean()
        r_hat = split_gelman_rubin(np.log(disparity)[:, :, ::20, ::8, ::8])
        alpha = draws.get("alpha")
        results.append(
            {
                **question._asdict(),
                "sampler": sampler,
                "AbsRel": float(error.mean()),
                "share": share,
                "share by depth": by_depth,
                "curve": line,
                "oracle": oracle.tolist(),
                "spread": float(np.median(spread)),
                "R-hat": float(np.quantile(r_hat, 0.9)),
                "alpha": None if alpha is None else float(2 * jax.nn.sigmoid(alpha).mean()),
                "seconds": round(time.perf_counter() - began, 1),
                "megabytes": peak_memory() // 2**20,
            }
        )
        maps |= {"error": error[:SHOWN], f"sd, {sampler}": spread[:SHOWN]}
    jax.clear_caches()
    return results, {"picture": unseen.left[:SHOWN]} | maps


def run(file: Path | None, wanted: list[Question]) -> list[Result]:
    """Return the results of all, those that were not there before made now."""
    known: dict[str, list[Result]] = {}
    for result in read_results(file):
        # where a tuple is a list
        key = json.dumps([result[name] for name in Question._fields])
        known.setdefault(key, []).append(result)
    for number, question in enumerate(wanted, 1):
        if (key := json.dumps(question)) in known:
            continue
        known[key], _ = answers(question)
        add_results(file, known[key])
        shares = ", ".join(f"{r['sampler']} {r['share']:.2f}" for r in known[key])
        print(
            f"{number} of {len(wanted)}: {question.law}, {question.layers}, seed {question.seed}: "
            f"{shares}, "
            f"{known[key][-1]['seconds']:.0f} s, {known[key][-1]['megabytes']} MB",
            file=sys.stderr,
            flush=True,
        )
    return [result for question in wanted for result in known[json.dumps(question)]]


def by_kind(results: list[Result]) -> dict[tuple[str, str, str], list[Result]]:
    """Return the results, one a seed, of each law, layers and sampler."""
    kinds: dict[tuple[str, str, str], list[Result]] = {}
    for r in results:
        kinds.setdefault((r["law"], r["layers"], r["sampler"]), []).append(r)
    return kinds


def report(results: list[Result]) -> None:
    """Print errors and how well uncertainty finds them."""

    def shown(values: list[float], digits: int = 2) -> str:
        mean, half = interval(np.array(values))
        return f"{mean:.{digits}f} ± {half:.{digits}f}"

    lines = []
    for kind, of_seeds in by_kind(results).items():
        alphas = [r["alpha"] for r in of_seeds if r["alpha"] is not None]
        lines.append(
            (
                ", ".join(kind),
                shown([r["AbsRel"] for r in of_seeds], 3),
                shown([r["share"] for r in of_seeds]),
                shown([r["share by depth"] for r in of_seeds]),
                shown([r["share"] - r["share by depth"] for r in of_seeds]),
                f"{np.mean([r['spread'] for r in of_seeds]):.4f}",
                f"{max(r['R-hat'] for r in of_seeds):.2f}",
                f"{np.mean(alphas):.2f}" if alphas else "-",
            )
        )
    titles = ("", "AbsRel", "finds", "depth finds", "difference", "median sd", "R-hat", "alpha")
    print(table(titles, lines))
    # those of both samplers of a question are counted from one start
    seconds = [r["seconds"] for r in results if r["sampler"] == "sgld"]
    most = max(r["megabytes"] for r in results)
    print(f"{sum(seconds):.0f} s, at most {most} MB")


def draw(results: list[Result], question: Question, folder: Path) -> None:
    """Write the curves, and where errors and uncertainty are in some pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(1, len(PARTS), sharey=True)
    panels = dict(zip(PARTS, axes, strict=True))
    colours = dict(zip(LAWS, ("C0", "C1", "C2"), strict=True))
    for (law, layers, sampler), of_seeds in by_kind(results).items():
        line = np.mean([r["curve"] for r in of_seeds], axis=0)
        style, label = ("-", law) if sampler == "sgld" else (":", f"{law}, SVI")
        panels[layers].plot(100 * FRACTIONS, line, style, color=colours[law], label=label)
    oracle = np.mean([r["oracle"] for r in results], axis=0)
    for layers, ax in panels.items():
        ax.plot(100 * FRACTIONS, oracle, color="black", lw=0.8, label="by the error itself")
        ax.axhline(1, color="grey", lw=0.8)
        ax.set(title=f"sampled: {layers} layers", xlabel="pixels left out, the least sure first, %")
    axes[0].set(ylim=(0, None), ylabel="AbsRel of the others / of all")
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(folder / "depth_posterior_curves.png", dpi=90)

    _, maps = answers(question)
    figure = Figure(figsize=(9, 1.5 * SHOWN), layout="constrained")
    axes = figure.subplots(SHOWN, len(maps))
    for column, (name, values) in zip(axes.T, maps.items(), strict=True):
        column[0].set_title(name, fontsize=9)
        most = None if name == "picture" else np.quantile(values, 0.98)
        for ax, picture in zip(column, values, strict=True):
            shown = np.clip(picture, 0, 1) ** 0.45 if most is None else picture
            ax.imshow(shown, cmap="cividis", vmin=0, vmax=most)
            ax.set(xticks=[], yticks=[])
    figure.savefig(folder / "depth_posterior_maps.png", dpi=90)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="file of results, to go on from")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400, help="of SVI; a chain has twice as many")
    parser.add_argument("--power", type=float, default=0.01)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--pictures", type=Path, help="folder")
    options = parser.parse_args()
    laws, parts, seeds, steps = list(LAWS), list(PARTS), options.seeds, options.steps
    training, sizes = (WARM, STEPS), (TRAIN, TEST)
    if options.quick:
        laws, parts, seeds, steps = ["adaptive, pixels"], ["last"], 1, 20
        training, sizes = (30, 30), (200, 20)
    print(header(f"Sampled layers of a depth network, {seeds} seeds, {steps} steps"), flush=True)
    wanted = [
        Question(law, layers, seed, options.power, steps, training, sizes)
        for seed in range(seeds)
        for law in laws
        for layers in parts
    ]
    results = run(options.out, wanted)
    report(results)
    if options.pictures:
        draw(results, wanted[-1], options.pictures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
