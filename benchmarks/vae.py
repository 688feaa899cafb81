"""Compare likelihoods and representations of images in the paper's variational autoencoder.

    python3 -m uv run --group bench python benchmarks/vae.py [--out FILE] [--quick]
        [--data NAME] [--seeds N] [--steps N] [--pictures FOLDER]

The same small autoencoder (a perceptron of one hidden layer either way) is trained with a Normal,
Cauchy, Student-t or GeneralRobust likelihood, each of whose scales, degrees of freedom and alphas
belongs to one dimension. Levels are dequantised by uniform noise. Data are

    digits    scikit-learn's (8 x 8 pixels of 17 levels): pixels, cosines (DCT), wavelets (CDF 9/7)
    patches   of 16 x 16 grey pixels of the three photographs of PyWavelets: the same
    colours   of 32 x 32 pixels of three colour photographs (two of scikit-learn's, one of
              matplotlib's) at half their size: RGB pixels, and, as in the paper, wavelets (CDF 9/7)
              of YUV; there ContaminatedGeneralRobust is tried as well. Only if asked for.

A quarter to a third is held out: of the digits the last rows, of each photograph the lower lines.

Printed is the negative held-out evidence lower bound in bits per dimension (of whole levels,
so that log2 of the number of levels is what a uniform law needs): mean and standard error over the
seeds, each with its own weights, minibatches and dequantisation; and, per representation, what
GeneralRobust gains on Student-t on the same seeds. Lower is better. ``--pictures`` draws
reconstructions, samples and the alphas learned. With ``--out`` each cell is written when it is
there, and a run goes on where it was stopped. ``--quick`` is the patches in cosines, with 2 seeds
and 500 steps.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pywt
from _report import header, peak_memory, table
from _results import Result, add_results, read_results
from jax import Array
from matplotlib.figure import Figure
from numpyro.contrib.module import eqx_module
from numpyro.distributions import constraints
from numpyro.distributions.transforms import ComposeTransform, IdentityTransform, Transform
from numpyro.infer import SVI, TraceMeanField_ELBO
from numpyro.optim import ClippedAdam

from robust_dist import ContaminatedGeneralRobust, GeneralRobust, LogParetoTailed
from robust_dist.transforms import CDF97, DCT, ScaledYUV

BATCH, HIDDEN, PARTICLES = 64, 128, 8
REPRESENTATIONS: dict[str, Transform] = {
    "pixels": IdentityTransform(),
    "cosines": DCT(),
    "wavelets": CDF97(),
}
COLOUR_REPRESENTATIONS: dict[str, Transform] = {
    "RGB pixels": IdentityTransform(),
    "YUV wavelets": ComposeTransform([ScaledYUV(), CDF97(levels=5, channels_last=True)]),
}
LIKELIHOODS = ("Normal", "Cauchy", "StudentT", "GeneralRobust")


class Images(NamedTuple):
    """Levels, whole numbers from 0, of shape (images, side, side), or with colours behind."""

    train: np.ndarray
    test: np.ndarray
    levels: int
    latent: int
    representations: dict[str, Transform] = REPRESENTATIONS
    likelihoods: tuple[str, ...] = LIKELIHOODS


def digits() -> Images:
    """Return scikit-learn's digits, the last quarter held out."""
    from sklearn.datasets import load_digits

    images = load_digits().images.astype(np.uint8)
    held_out = len(images) * 3 // 4
    return Images(images[:held_out], images[held_out:], 17, 8)


def patches(side: int = 16, lines: int = 384) -> Images:
    """Return patches of the upper lines of photographs, overlapping, and others of the rest."""

    def cut(part: np.ndarray, stride: int) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(part, (side, side))
        return windows[::stride, ::stride].reshape(-1, side, side)

    photographs = [pywt.data.aero(), pywt.data.ascent(), pywt.data.camera()]
    train = np.concatenate([cut(photograph[:lines], 4) for photograph in photographs])
    test = np.concatenate([cut(photograph[lines:], side) for photograph in photographs])
    return Images(train, test, 256, 16)


def colours(side: int = 32) -> Images:
    """Return patches of the upper two thirds of colour photographs, and others of the rest."""
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread
    from sklearn.datasets import load_sample_images

    with get_sample_data("grace_hopper.jpg") as file:
        photographs = [*load_sample_images().images, imread(file)]

    def cut(part: np.ndarray, stride: int) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(part, (side, side), (0, 1))
        return np.moveaxis(windows[::stride, ::stride].reshape(-1, 3, side, side), 1, -1)

    train, test = [], []
    for photograph in photographs:
        h, w = (n // 2 for n in photograph.shape[:2])
        # the mean of each four pixels, which JPEG has not smoothed
        half = photograph[: 2 * h, : 2 * w].reshape(h, 2, w, 2, 3).mean((1, 3)).astype(np.uint8)
        train.append(cut(half[: 2 * h // 3], 4))
        test.append(cut(half[2 * h // 3 :], side // 2))
    shown = COLOUR_REPRESENTATIONS, (*LIKELIHOODS, "Contaminated")
    return Images(np.concatenate(train), np.concatenate(test), 256, 32, *shown)


DATA = {"digits": digits, "patches": patches, "colours": colours}


def noise(kind: str, spread: Array) -> Callable[[Array], dist.Distribution]:
    """Return the likelihood as a function of its location, with one law for each dimension."""
    scale = numpyro.param("scale", spread / 2, constraint=constraints.positive)
    ones = jnp.ones_like(spread)
    if kind == "Normal":
        return lambda loc: dist.Normal(loc, scale)
    if kind == "Cauchy":
        return lambda loc: dist.Cauchy(loc, scale)
    if kind == "StudentT":
        df = numpyro.param("df", 3 * ones, constraint=constraints.positive)
        return lambda loc: dist.StudentT(df, loc, scale)
    alpha = numpyro.param("alpha", ones, constraint=constraints.interval(0.001, 1.999))
    if kind == "GeneralRobust":
        return lambda loc: GeneralRobust.with_orthogonal_scale(alpha, loc, scale)
    share = numpyro.param("contamination", 0.05 * ones, constraint=constraints.unit_interval)
    background = LogParetoTailed(jnp.zeros_like(spread), 2 * spread)
    make = ContaminatedGeneralRobust.with_orthogonal_scale
    return lambda loc: make(alpha, loc, scale, share, background)


class Autoencoder:
    """Model and guide of one cell of the table, for centred images (batch, *shape)."""

    def __init__(self, kind: str, transform: Transform, train: Array, latent: int) -> None:
        self.kind, self.transform = kind, transform
        self.shape, self.latent = train.shape[1:], latent
        self.spread = jnp.std(transform(train), axis=0)  # of each dimension, where scales start
        self.unit = jnp.std(train)  # of pixels, so that networks start alike in all representations

    def networks(self, key: Array) -> tuple[eqx.nn.MLP, eqx.nn.MLP]:
        """Return an encoder and a decoder with new weights."""
        size, keys = int(np.prod(self.shape)), jax.random.split(key)
        sizes = [(size, 2 * self.latent), (self.latent, size)]
        make = functools.partial(eqx.nn.MLP, width_size=HIDDEN, depth=1, activation=jax.nn.gelu)
        encoder, decoder = (make(*pair, key=k) for pair, k in zip(sizes, keys, strict=True))
        return encoder, decoder

    def encode(self, network: eqx.nn.MLP, x: Array) -> dist.Distribution:
        """Return the law of the latents, given images."""
        out = jax.vmap(network)(x.reshape(len(x), -1) / self.unit)
        loc, raw = jnp.split(out, 2, axis=1)
        return dist.Normal(loc, jax.nn.softplus(raw)).to_event(1)

    def decode(self, network: eqx.nn.MLP, z: Array) -> Array:
        """Return the centres of images, given latents."""
        return self.unit * jax.vmap(network)(z).reshape(-1, *self.shape)

    def model(self, x: Array, networks: tuple[eqx.nn.MLP, eqx.nn.MLP]) -> None:
        """Draw latents, and from them images; networks are where training starts."""
        network = eqx_module("decoder", networks[1])
        law = noise(self.kind, self.spread)
        with numpyro.plate("image", len(x)):
            z = numpyro.sample("z", dist.Normal().expand([self.latent]).to_event(1))
            base = law(self.transform(self.decode(network, z))).to_event(len(self.shape))
            numpyro.sample("x", dist.TransformedDistribution(base, self.transform.inv), obs=x)

    def guide(self, x: Array, networks: tuple[eqx.nn.MLP, eqx.nn.MLP]) -> None:
        """Draw latents, given images."""
        network = eqx_module("encoder", networks[0])
        with numpyro.plate("image", len(x)):
            numpyro.sample("z", self.encode(network, x))


def dequantise(key: Array, x: Array, levels: int) -> Array:
    """Return values in (-1/2, 1/2), uniform within each grey level."""
    return (x + jax.random.uniform(key, x.shape)) / levels - 0.5


def fit(images: Images, kind: str, transform: Transform, seeds: int, steps: int) -> tuple:
    """Return bits per dimension of each seed, the trained parameters, and the autoencoder."""
    middle = np.float32((images.train.mean() + 0.5) / images.levels - 0.5)
    grey = [jnp.asarray(x, jnp.float32) for x in (images.train, images.test)]
    start = dequantise(
        jax.random.key(0, impl="rbg"), grey[0][:: len(grey[0]) // 1000], images.levels
    )
    vae = Autoencoder(kind, transform, start - middle, images.latent)

    def step_size(step: Array) -> Array:
        return 3e-3 * 0.5 * (1 + jnp.cos(jnp.pi * step / steps))

    svi = SVI(vae.model, vae.guide, ClippedAdam(step_size), TraceMeanField_ELBO())
    bound = TraceMeanField_ELBO(num_particles=PARTICLES)

    def run(key: Array, train: Array, test: Array) -> tuple[Array, dict]:
        def minibatch(key: Array) -> Array:
            rows, noise = jax.random.split(key)
            x = train[jax.random.randint(rows, (BATCH,), 0, len(train))]
            return dequantise(noise, x, images.levels) - middle

        init, weights, batches, last = jax.random.split(key, 4)
        networks = vae.networks(weights)
        state = svi.init(init, minibatch(key), networks)

        def update(state, step):
            x = minibatch(jax.random.fold_in(batches, step))
            return svi.update(state, x, networks)[0], None

        state, _ = jax.lax.scan(update, state, jnp.arange(steps))
        params = svi.get_params(state)
        dequantised = dequantise(last, test, images.levels) - middle
        loss = bound.loss(last, params, vae.model, vae.guide, dequantised, networks)
        return loss, params

    # threefry numbers take minutes to compile
    keys = jax.random.split(jax.random.key(1, impl="rbg"), seeds)
    loss, params = jax.jit(jax.vmap(run, (0, None, None)))(keys, *grey)
    bits = np.asarray(loss, float) / images.test.size / np.log(2) + np.log2(images.levels)
    return bits, params, vae


def draw_images(images: Images, cells: dict[str, tuple[dict, Autoencoder]], path: Path) -> None:
    """Draw held-out images, and reconstructions and samples of the cells' only seed."""
    columns = 14
    chosen = images.test[:: len(images.test) // columns][:columns]
    middle = (images.train.mean() + 0.5) / images.levels - 0.5
    x = jnp.asarray((chosen + 0.5) / images.levels - 0.5 - middle, jnp.float32)
    rows = {"held out": x}
    samples = {}
    for name, (params, vae) in cells.items():
        first = jax.tree.map(lambda leaf: leaf[0], params)
        static = vae.networks(jax.random.key(0))
        encoder, decoder = (
            eqx.combine(first[f"{part}$params"], network)
            for part, network in zip(("encoder", "decoder"), static, strict=True)
        )
        rows[f"reconstructed:\n{name}"] = vae.decode(decoder, vae.encode(encoder, x).mean)
        z = jax.random.normal(jax.random.key(2), (columns, vae.latent))
        samples[f"samples:\n{name}"] = vae.decode(decoder, z)
    figure = Figure(figsize=(10, 0.75 * (len(rows) + len(samples))), layout="constrained")
    axes = figure.subplots(len(rows) + len(samples), columns)
    for line, (name, pictures) in zip(axes, (rows | samples).items(), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for ax, picture in zip(line, np.asarray(pictures), strict=True):
            ax.imshow(np.clip(picture + middle + 0.5, 0, 1), cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=80)


def draw_alphas(name: str, maps: dict[str, np.ndarray], path: Path) -> None:
    """Draw the alpha of each dimension, mean over the seeds."""
    figure = Figure(figsize=(2.9 * len(maps), 2.7), layout="constrained")
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for ax, (representation, alpha) in zip(axes, maps.items(), strict=True):
        drawn = ax.imshow(alpha, cmap="cividis", vmin=0, vmax=2)
        ax.set(title=f"{name}, {representation}", xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axes, label="alpha (0 Cauchy, 2 Normal)", shrink=0.9)
    figure.savefig(path, dpi=90)


def mean_and_error(values: np.ndarray) -> str:
    """Return mean and standard error."""
    error = values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():.3f} ± {error:.3f}"


class Cell(NamedTuple):
    """What a training depends on."""

    data: str
    representation: str
    likelihood: str
    seeds: int
    steps: int


@functools.cache
def images_of(data: str) -> Images:
    """Return a data set."""
    return DATA[data]()


def train(cell: Cell) -> tuple[Result, Any]:
    """Return the result of a cell, and its parameters and autoencoder."""
    start = time.perf_counter()
    images = images_of(cell.data)
    transform = images.representations[cell.representation]
    bits, params, vae = fit(images, cell.likelihood, transform, cell.seeds, cell.steps)
    alpha = np.asarray(params["alpha"]).mean(axis=0) if "alpha" in params else np.zeros(0)
    result = {
        **cell._asdict(),
        "bits": bits.tolist(),
        "alpha": alpha.round(4).tolist(),
        "seconds": round(time.perf_counter() - start, 1),
        "megabytes": peak_memory() // 2**20,
    }
    return result, (params, vae)


def run(file: Path | None, wanted: list[Cell]) -> dict[Cell, Result]:
    """Return all results, those that were not there before trained now."""
    found = {Cell(*(result[key] for key in Cell._fields)): result for result in read_results(file)}
    for cell in wanted:
        if cell in found:
            continue
        found[cell], _ = train(cell)
        add_results(file, [found[cell]])
        print(
            f"{cell.data}, {cell.representation}, {cell.likelihood}: "
            f"{mean_and_error(np.array(found[cell]['bits']))}, {found[cell]['seconds']:.0f} s, "
            f"{found[cell]['megabytes']} MB",
            file=sys.stderr,
            flush=True,
        )
        jax.clear_caches()
    return {cell: found[cell] for cell in wanted}


def report(name: str, results: dict[Cell, Result]) -> None:
    """Print the table of a data set."""
    images = images_of(name)
    rows = []
    for representation in dict.fromkeys(cell.representation for cell in results):
        bits = {
            cell.likelihood: np.array(result["bits"])
            for cell, result in results.items()
            if cell.representation == representation
        }
        gain = bits["StudentT"] - bits["GeneralRobust"]
        values = [mean_and_error(bits[kind]) for kind in images.likelihoods]
        rows.append((representation, *values, mean_and_error(gain)))
    count = f"{len(images.train)} images, {len(images.test)} held out, {images.latent} latents"
    print(f"\n{name}: {count}, bits per dimension")
    print(table(("", *images.likelihoods, "gain on StudentT"), rows), flush=True)
    seconds = [result["seconds"] for result in results.values()]
    most = max(result["megabytes"] for result in results.values())
    print(f"{sum(seconds):.0f} s, at most {most} MB", flush=True)


def draw(name: str, results: dict[Cell, Result], folder: Path) -> None:
    """Write the pictures of a data set: what was learned of alpha, and images by some cells."""
    folder.mkdir(parents=True, exist_ok=True)
    robust = {c: r for c, r in results.items() if c.likelihood == "GeneralRobust"}
    maps = {cell.representation: np.array(result["alpha"]) for cell, result in robust.items()}
    maps = {key: alpha[..., 0] if alpha.ndim == 3 else alpha for key, alpha in maps.items()}
    draw_alphas(name, maps, folder / f"vae_alpha_{name}.png")
    chosen = list(dict.fromkeys(cell.representation for cell in results))
    pairs = [("Normal", chosen[0]), ("GeneralRobust", chosen[-1])]
    if name == "colours":
        pairs += [(kind, chosen[0]) for kind in images_of(name).likelihoods]
    # of what is drawn one training is enough
    wanted = [c._replace(seeds=1) for c in results if (c.likelihood, c.representation) in pairs]
    cells = {f"{c.likelihood}, {c.representation}": train(c)[1] for c in wanted}
    draw_images(images_of(name), cells, folder / f"vae_images_{name}.png")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="file of results, to go on from")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", choices=DATA, action="append")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    names = ["patches"] if options.quick else options.data or ["digits", "patches"]
    seeds, steps = (2, 500) if options.quick else (options.seeds, options.steps)
    print(header(f"Autoencoders, {seeds} seeds, {steps} steps"), flush=True)
    for name in names:
        images = images_of(name)
        chosen = ["cosines"] if options.quick else list(images.representations)
        wanted = [Cell(name, r, kind, seeds, steps) for r in chosen for kind in images.likelihoods]
        results = run(options.out, wanted)
        report(name, results)
        if options.pictures:
            draw(name, results, options.pictures)


if __name__ == "__main__":
    main()
