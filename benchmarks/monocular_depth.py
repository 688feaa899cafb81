"""Train a network that sees depth in one picture, without being told any, under many losses.

    python benchmarks/monocular_depth.py [--out FILE] [--seeds N] [--warm N] [--steps N]
        [--rate R] [--violations V] [--smoothness S] [--methods NAME ...] [--failures] [--jobs N]
        [--quick] [--pictures FOLDER]

A small convolutional network predicts disparity from the left picture of a rendered scene
(`_scenes.py`). It is trained by warping two other pictures into that one, the right camera's and an
earlier one of the left camera, whose poses are known (`_depth_network.py`); their difference goes
into a loss. Between the methods nothing else differs: network, order of scenes, steps, rate,
heads of two scales, and 0.1 times the roughness of disparity that each adds to a loss whose unit is
the noise's.

    L1, pixels             |x| / 0.03, of RGB pixels: the baseline, as in Zhou et al. (2017)
    alpha = ..., pixels    rho(x, alpha, 0.03) of RGB pixels (but for a constant)
    alpha = ..., wavelets  the same of CDF 9/7 wavelets of YUV
    annealed ...           alpha falls or rises linearly over the steps, wavelets; like alpha = 1 in
                           pixels only if asked for by --methods
    adaptive, pixels       AdaptiveLoss: one alpha and one scale for all RGB pixels
    adaptive, wavelets     the same for all coefficients
    adaptive, bands        an alpha and a scale for each band and channel of the wavelets
    adaptive, coefficients the paper's: an alpha for each coefficient, all scales fixed at 0.01

All go on from one network, which the baseline has trained for 300 steps (``--warm``): the losses
of wavelets may never find their way from a network that knows nothing (``--warm 0``), nor back from
a step that was too long (``--rate 3e-3``, which is what the start is trained with).

The scale of an adaptive loss starts at 0.05 and stays above 0.01, half of the pictures' noise. Its
latent numbers have a rate of their own, ten times the network's: with the network's they do not get
far in so few steps.

Measured is depth on scenes that were never seen, from their left pictures alone, against the exact
one. A seed is new scenes, new weights and another order; differences to the baseline are paired by
seed, with 95 % t intervals. With ``--out`` each training is written when it is done, and a run goes
on where it was stopped. ``--violations`` is how strong mirrors, changes of light and exposure are
and how much flies. ``--failures`` trains what goes wrong, on purpose, once each. ``--quick`` is 60
steps in all, of two methods, on few scenes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _depth_network import METRICS, DepthNetwork, differences, errors, roughness
from _intervals import interval
from _report import header, peak_memory, table
from _results import Result, add_results, read_results
from _scenes import BASELINE, FOCAL, HEIGHT, WIDTH, Scenes, scenes
from jax import Array
from matplotlib import colormaps
from matplotlib.figure import Figure

from robust_dist import GeneralRobust
from robust_dist.losses import AdaptiveImageLoss, AdaptiveLoss

TRAIN, TEST, BATCH = 1200, 200, 8
WARM, STEPS, VIOLATIONS = 300, 700, 3.0
START_RATE, RATE, LAW_RATE = 3e-3, 1e-3, 1e-2
SMOOTHNESS = 0.1
SCALE = 0.03  # of residuals where nothing is violated: the noise of two pictures
LEVELS = 4
SHAPE = (HEIGHT, WIDTH, 3)
BOUNDS = {"scale_low": 0.01, "scale_init": 0.05}
CHECKS = 20  # how often alpha and scale are written down

coefficients = AdaptiveImageLoss(SHAPE, wavelet_levels=LEVELS).coefficients


def bands() -> dict[str, tuple[slice, slice]]:
    """Return where each band of the wavelets is, the coarsest first."""
    h, w = HEIGHT >> LEVELS, WIDTH >> LEVELS
    places = {"rest": (slice(0, h), slice(0, w))}
    for level in range(LEVELS, 0, -1):
        h, w = HEIGHT >> level, WIDTH >> level
        places |= {
            f"{level}, across": (slice(0, h), slice(w, 2 * w)),
            f"{level}, down": (slice(h, 2 * h), slice(0, w)),
            f"{level}, both": (slice(h, 2 * h), slice(w, 2 * w)),
        }
    return places


BANDS = bands()
# residuals, the law and the share of the training that is over, to a loss
Photometric = Callable[[Any, Array, Array], Array]


class Method(NamedTuple):
    """A loss: what of it is learned, None if nothing, and its mean over residuals."""

    law: Any
    loss: Photometric
    weight_decay: float = 0.0


def per_band(laws: Any, residual: Array, _: Array) -> Array:
    """Return the mean over coefficients, each under its band's law."""
    values = coefficients(residual)
    sums = [
        law(values[..., i, j, :], "sum") for law, (i, j) in zip(laws, BANDS.values(), strict=True)
    ]
    return sum(sums) / residual.size


def fixed(
    _: Any, residual: Array, done: Array, *, alphas: tuple[float, float], wavelets: bool
) -> Array:
    """Return minus the mean log density, alpha on its way from the first to the last."""
    alpha = alphas[0] + (alphas[1] - alphas[0]) * done
    law = GeneralRobust(alpha, 0.0, SCALE)
    return -law.log_prob(coefficients(residual) if wavelets else residual).mean()


def borders_hidden(law: Any, residual: Array, _: Array) -> Array:
    """Return the mean over pixels of which those at the borders are taken out, as zeros."""
    inner = jnp.zeros(SHAPE).at[4:-4, 4:-4].set(1.0)
    return law(residual * inner, "mean")


ONE = partial(AdaptiveLoss, (), **BOUNDS)
METHODS: dict[str, Callable[[], Method]] = {
    "L1, pixels": lambda: Method(None, lambda _, x, __: jnp.abs(x).mean() / SCALE),
    **{
        f"alpha = {a}, {where}": partial(
            lambda a, wavelets: Method(None, partial(fixed, alphas=(a, a), wavelets=wavelets)),
            a,
            where == "wavelets",
        )
        for a, where in ((1, "pixels"), (2, "wavelets"), (1, "wavelets"), (0, "wavelets"))
    },
    "annealed 0 to 2": lambda: Method(None, partial(fixed, alphas=(0, 2), wavelets=True)),
    "annealed 2 to 0": lambda: Method(None, partial(fixed, alphas=(2, 0), wavelets=True)),
    "adaptive, pixels": lambda: Method(ONE(), lambda law, x, _: law(x, "mean")),
    "adaptive, wavelets": lambda: Method(ONE(), lambda law, x, _: law(coefficients(x), "mean")),
    "adaptive, bands": lambda: Method(tuple(AdaptiveLoss(3, **BOUNDS) for _ in BANDS), per_band),
    "adaptive, coefficients": lambda: Method(
        AdaptiveImageLoss(SHAPE, wavelet_levels=LEVELS, scale_low=0.01, scale_init=0.01),
        lambda law, x, _: law(x, "mean"),
    ),
}
FAILURES: dict[str, Callable[[], Method]] = {
    "hidden borders": lambda: Method(ONE(), borders_hidden),
    "hidden borders, no bound": lambda: Method(
        AdaptiveLoss((), scale_low=1e-12, scale_init=0.05), borders_hidden
    ),
    "weight decay": lambda: METHODS["adaptive, pixels"]()._replace(weight_decay=0.1),
    "start too small": lambda: Method(
        AdaptiveLoss((), scale_low=1e-5, scale_init=1e-4), lambda law, x, _: law(x, "mean")
    ),
    "start too large": lambda: Method(
        AdaptiveLoss((), scale_low=0.01, scale_init=10.0), lambda law, x, _: law(x, "mean")
    ),
    "the network's rate": lambda: METHODS["adaptive, pixels"](),
}
BASE = "L1, pixels"
QUICK = (BASE, "adaptive, bands")
NOT_BY_DEFAULT = ("alpha = 1, pixels", "annealed 0 to 2", "annealed 2 to 0")


def alphas_and_scales(law: Any) -> tuple[list[Any], list[Any]]:
    """Return what of a law is learned, as lists of numbers; of many coefficients the quartiles."""
    if law is None:
        return [], []
    if isinstance(law, tuple):
        pair = [np.array([getattr(part, name) for part in law]) for name in ("alpha", "scale")]
    else:
        pair = [np.asarray(law.alpha), np.asarray(law.scale)]
    alpha, scale = (np.quantile(v, (0.25, 0.5, 0.75)) if v.size > 100 else v for v in pair)
    return alpha.tolist(), scale.tolist()


def objective(
    params: tuple[Any, Any],
    static: Any,
    method: Method,
    smoothness: float,
    batch: list[Array],
    done: Array,
) -> Array:
    """Return the loss of a batch, the mean over both heads and both other pictures."""
    network = eqx.combine(params[0], static)
    left = batch[0]
    total = jnp.zeros(())
    heads = jax.vmap(network)(left)
    for disparity in heads:
        total += method.loss(params[1], differences(disparity, batch), done)
        total += smoothness * jax.vmap(roughness)(disparity, left).mean()
    return total / len(heads)


class Cell(NamedTuple):
    """What a training depends on."""

    method: str
    seed: int
    warm: int
    steps: int
    rate: float
    violations: float
    smoothness: float
    train: int
    test: int


@lru_cache(maxsize=1)
def scenes_of(seed: int, train: int, test: int, violations: float) -> tuple[Scenes, Scenes]:
    """Return the scenes of a seed, which all its methods see, to train with and to test."""
    return scenes(2 * seed, train, violations), scenes(2 * seed + 1, test, violations)


def training_data(cell: Cell) -> list[Array]:
    """Return the left pictures, both others, and their poses: what a batch is taken of."""
    seen, _ = scenes_of(cell.seed, cell.train, cell.test, cell.violations)
    return [jnp.asarray(part) for part in (seen.left, seen.others, seen.rotations, seen.shifts)]


def descend(cell: Cell, network: DepthNetwork) -> tuple[DepthNetwork, list[Any]]:
    """Return a network trained on by a method, and its loss, alphas and scales on the way."""
    method, steps = (METHODS | FAILURES)[cell.method](), cell.steps
    data = training_data(cell)
    moving, static = eqx.partition(network, eqx.is_inexact_array)
    law_rate = cell.rate if cell.method == "the network's rate" else LAW_RATE
    optimizer = optax.partition(
        {
            "network": optax.adam(optax.cosine_decay_schedule(cell.rate, steps)),
            "law": optax.adamw(
                optax.cosine_decay_schedule(law_rate, steps), weight_decay=method.weight_decay
            ),
        },
        ("network", "law"),
    )
    params = moving, method.law
    state = optimizer.init(params)

    # a step at a time: inside a loop of XLA's convolutions take six times as long on a CPU
    @jax.jit
    def step(params: Any, state: Any, data: list[Array], rows: Array, done: Array) -> tuple:
        batch = [part[rows] for part in data]
        settings = static, method, cell.smoothness
        value, slope = jax.value_and_grad(objective)(params, *settings, batch, done)
        updates, state = optimizer.update(slope, state, params)
        return optax.apply_updates(params, updates), state, value

    order = np.random.default_rng(cell.seed).integers(0, cell.train, (steps, BATCH))
    trajectory, recent = [], []
    for number in range(steps):
        params, state, value = step(params, state, data, order[number], number / steps)
        recent.append(value)
        if (number + 1) % max(steps // CHECKS, 1) == 0:
            alpha, scale = alphas_and_scales(params[1])
            loss = float(np.mean(recent))
            trajectory.append({"step": number + 1, "loss": loss, "alpha": alpha, "scale": scale})
            recent = []
    return eqx.combine(params[0], static), trajectory


@lru_cache(maxsize=1)
def started(cell: Cell) -> DepthNetwork:
    """Return a new network, trained by the baseline for the cell's steps, if any."""
    network = DepthNetwork(jax.random.key(cell.seed))
    return descend(cell, network)[0] if cell.steps else network


@lru_cache(maxsize=1)
def trained(cell: Cell) -> tuple[DepthNetwork, list[Any]]:
    """Return a network trained by the baseline, then by the cell's method, and the way there."""
    # what all methods of a seed have in common, so that it is made once
    start = cell._replace(
        method=BASE, warm=0, steps=cell.warm, rate=START_RATE, smoothness=SMOOTHNESS
    )
    return descend(cell, started(start))


def train(cell: Cell) -> tuple[Result, np.ndarray]:
    """Return what a method does on a seed, and its disparities of the test scenes."""
    began = time.perf_counter()
    network, trajectory = trained(cell)
    _, unseen = scenes_of(cell.seed, cell.train, cell.test, cell.violations)
    predict = jax.jit(lambda left: jax.vmap(network)(left)[-1])
    disparity = np.asarray(predict(jnp.asarray(unseen.left)))
    result = {
        **cell._asdict(),
        "errors": errors(disparity, unseen.depth).tolist(),
        "finite": bool(np.isfinite(disparity).all()),
        "trajectory": trajectory,
        "seconds": round(time.perf_counter() - began, 1),
        "megabytes": peak_memory() // 2**20,
    }
    return result, disparity


def result_of(cell: Cell) -> Result:
    """Return the result of one training, and leave nothing in memory but its scenes."""
    result, _ = train(cell)
    jax.clear_caches()
    return result


def run(file: Path | None, wanted: list[Cell], jobs: int) -> list[Result]:
    """Return all results, those that were not there before trained now, some at once."""
    known = {Cell(*(result[key] for key in Cell._fields)): result for result in read_results(file)}
    missing = [cell for cell in wanted if cell not in known]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        trainings = {pool.submit(result_of, cell): cell for cell in missing}
        for number, training in enumerate(as_completed(trainings), 1):
            cell, result = trainings[training], training.result()
            known[cell] = result
            add_results(file, [result])
            print(
                f"{number} of {len(missing)}: {cell.method}, seed {cell.seed}: "
                f"AbsRel {result['errors'][0]:.4f}, {result['seconds']:.0f} s, "
                f"{result['megabytes']} MB",
                file=sys.stderr,
                flush=True,
            )
    return [known[cell] for cell in wanted]


def report(results: list[Result]) -> None:
    """Print the metrics, and the differences of AbsRel to the baseline in per cent."""
    methods = dict.fromkeys(result["method"] for result in results)
    by_method = {
        method: np.array([result["errors"] for result in results if result["method"] == method])
        for method in methods
    }
    lines = []
    for method, values in by_method.items():
        difference = "-"
        if method != BASE and BASE in by_method and len(values) > 1:
            base = by_method[BASE][:, 0]
            mean, half = interval(100 * (values[:, 0] - base) / base.mean())
            difference = f"{mean:+.1f} ± {half:.1f}"
        lines.append((method, *(f"{v:.3f}" for v in values.mean(axis=0)), difference))
    print(table(("", *METRICS, "AbsRel to L1's, %"), lines))
    diverged = [f"{r['method']}, seed {r['seed']}" for r in results if not r["finite"]]
    print("not finite: " + ("; ".join(diverged) or "none"))
    seconds = [r["seconds"] for r in results]
    megabytes = max(r["megabytes"] for r in results)
    print(
        f"a training took {min(seconds):.0f} to {max(seconds):.0f} s, all {sum(seconds):.0f} s; "
        f"at most {megabytes} MB"
    )


def draw_trajectories(results: list[Result], figure: Figure) -> None:
    """Draw alpha and scale over the steps, all seeds; of bands those of the luma."""
    methods = [m for m in dict.fromkeys(r["method"] for r in results) if "adaptive" in m]
    axes = figure.subplots(2, len(methods), sharex=True, sharey="row", squeeze=False)
    for column, method in zip(axes.T, methods, strict=True):
        for result in (r for r in results if r["method"] == method):
            steps = [check["step"] for check in result["trajectory"]]
            for ax, name in zip(column, ("alpha", "scale"), strict=True):
                values = np.array([check[name] for check in result["trajectory"]])
                values = values.reshape(len(steps), -1)
                if method == "adaptive, bands":
                    values = values[:, ::3]
                for k, line in enumerate(values.T):
                    shade = 0.85 * k / max(values.shape[1] - 1, 1)
                    ax.plot(steps, line, color=colormaps["cividis"](shade), lw=0.9)
        column[0].set_title(method, fontsize=10)
        column[1].set(yscale="log", xlabel="step")
    axes[0, 0].set(ylabel="alpha", ylim=(0, 2))
    axes[1, 0].set(ylabel="scale")


def draw_bands(results: list[Result], figure: Figure) -> None:
    """Draw the alpha of each band and channel at the end, mean over the seeds."""
    last = [r["trajectory"][-1]["alpha"] for r in results if r["method"] == "adaptive, bands"]
    alpha = np.mean(last, axis=0).T
    ax = figure.subplots()
    drawn = ax.imshow(alpha, cmap="cividis", vmin=0, vmax=2, aspect="auto")
    for (i, j), value in np.ndenumerate(alpha):
        ax.text(
            j,
            i,
            f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if value < 1.2 else "black",
        )
    ax.set_xticks(range(len(BANDS)), BANDS, rotation=45, ha="right")
    ax.set_yticks(range(3), ["Y (luma)", "U", "V"])
    ax.set_xlabel("band: level (1 finest), direction of the detail")
    figure.colorbar(drawn, ax=ax, label="alpha (0 Cauchy, 2 Normal)")


def draw_depth(
    test: Scenes, disparities: dict[str, np.ndarray], figure: Figure, count: int = 5
) -> None:
    """Draw pictures, the true disparity, and those predicted."""
    columns = {"true": FOCAL * BASELINE / test.depth} | disparities
    axes = figure.subplots(count, 1 + len(columns))
    for i, line in enumerate(axes):
        line[0].imshow(np.clip(test.left[i], 0, 1) ** 0.45)
        for ax, (name, maps) in zip(line[1:], columns.items(), strict=True):
            drawn = ax.imshow(maps[i], cmap="cividis", vmin=1, vmax=9)
            if i == 0:
                ax.set_title(name, fontsize=9)
    axes[0, 0].set_title("left picture", fontsize=9)
    for ax in axes.ravel():
        ax.set(xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axes, label="disparity, pixels", shrink=0.7)


def draw(results: list[Result], folder: Path, cell: Cell) -> None:
    """Write all pictures; the depths are those of the cell's seed, by three methods."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    draw_trajectories(results, figure)
    figure.savefig(folder / "monocular_depth_trajectories.png", dpi=90)
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    draw_bands(results, figure)
    figure.savefig(folder / "monocular_depth_bands.png", dpi=90)
    shown = (BASE, "adaptive, pixels", "adaptive, wavelets")
    maps = {name: train(cell._replace(method=name))[1] for name in shown}
    figure = Figure(figsize=(10, 7), layout="constrained")
    draw_depth(scenes_of(cell.seed, *cell[-2:], cell.violations)[1], maps, figure)
    figure.savefig(folder / "monocular_depth.png", dpi=90)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="file of results, to go on from")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--warm", type=int, default=WARM)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rate", type=float, default=RATE, help="of Adam, after the start")
    parser.add_argument("--violations", type=float, default=VIOLATIONS)
    parser.add_argument("--smoothness", type=float, default=SMOOTHNESS)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, 1.9 GB each")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS | FAILURES))
    parser.add_argument("--failures", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--pictures", type=Path, help="folder")
    options = parser.parse_args()
    methods = options.methods or [name for name in METHODS if name not in NOT_BY_DEFAULT]
    seeds, warm, steps = options.seeds, options.warm, options.steps
    if options.quick:
        methods, seeds, warm, steps = list(QUICK), 1, 30, 30
    elif options.failures:
        methods, seeds = ["adaptive, pixels", *FAILURES], 1
    print(header(f"Depth from one picture, {seeds} seeds, {warm} and {steps} steps"), flush=True)
    sizes = (200, 50) if options.quick else (TRAIN, TEST)
    wanted = [
        Cell(
            method, seed, warm, steps, options.rate, options.violations, options.smoothness, *sizes
        )
        for seed in range(seeds)
        for method in methods
    ]
    results = run(options.out, wanted, options.jobs)
    report(results)
    if options.failures:
        for result in results:
            last = result["trajectory"][-1]
            print(f"{result['method']}: loss {last['loss']:.2f}, alpha and scale", end=" ")
            print(last["alpha"], last["scale"])
    if options.pictures:
        draw(results, options.pictures, wanted[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
