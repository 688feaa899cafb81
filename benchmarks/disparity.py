"""Estimate stereo disparity without supervision, under a fixed Laplace and under adaptive losses.

    python benchmarks/disparity.py [--scenes N] [--steps N] [--picture FILE]

Each scene is rendered here: a slanted, textured background and two textured, slanted rectangles
before it, seen by two cameras, with the occlusions that follow, sensor noise, and three highlights
that slide over the surfaces from one view to the other. The left image is predicted from the right
one through a disparity, bilinear on a coarse grid, and the disparity is found by gradient descent
on the negative log density of the photometric residual. It starts, under every loss, from block
matching: at each node of the grid the constant disparity of least mean absolute residual about it.

    Laplace, pixels      one fixed law of all pixels, the usual choice (its scale does not matter)
    Laplace, wavelets    of wavelet coefficients (CDF 9/7), a scale for each band, learned
    adaptive, pixels     GeneralRobust, one alpha and one scale for all pixels, learned
    adaptive, wavelets   GeneralRobust of wavelet coefficients, both for each band, learned

Nothing is told the truth. Printed are the mean absolute error in pixels and the share of pixels
that are off by more than one, mean and standard error over the scenes, and the difference to the
first line, paired by scene, with its 95 % interval (t).
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from _intervals import interval
from _report import header, table
from jax import Array
from matplotlib.figure import Figure
from numpyro.distributions import biject_to, constraints
from numpyro.optim import Adam

from robust_dist import GeneralRobust
from robust_dist.transforms import CDF97

HEIGHT, WIDTH = 64, 96
MARGIN = 16  # the right camera sees as much more at its left edge, so that every match is in view
GRID = (9, 13)
LEVELS = 3
METHODS = ("Laplace, pixels", "Laplace, wavelets", "adaptive, pixels", "adaptive, wavelets")


class Scene(NamedTuple):
    """Two views of grey values around 0 and 1, and the left one's disparity in pixels."""

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray


class Plane(NamedTuple):
    """A textured plane: disparity a + b x + c y, cut to a box, in the left view's coordinates."""

    coefficients: np.ndarray
    box: np.ndarray
    waves: np.ndarray
    phases: np.ndarray

    def at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the texture, a sum of waves with amplitudes like their lengths, and the mask."""
        angles = np.tensordot(np.stack([x, y], -1), self.waves, (-1, -1)) + self.phases
        amplitudes = 1 / np.linalg.norm(self.waves, axis=1)
        texture = np.cos(angles) @ amplitudes / np.sqrt((amplitudes**2).sum())
        left, right, top, bottom = self.box
        return texture, (left <= x) & (x < right) & (top <= y) & (y < bottom)


def planes(rng: np.random.Generator) -> list[Plane]:
    """Return a background and two rectangles, the farthest first."""
    found = []
    for nearness, size in ((2, None), (5, (36, 30)), (8, (24, 22))):
        a, b, c = nearness + rng.uniform(-1, 1), *rng.uniform(-0.01, 0.01, 2)
        box = np.array([-np.inf, np.inf, -np.inf, np.inf])
        if size:
            x, y = rng.uniform(4, WIDTH - size[0] - 4), rng.uniform(4, HEIGHT - size[1] - 4)
            box = np.array([x, x + size[0], y, y + size[1]])
            a -= b * (x + size[0] / 2) + c * (y + size[1] / 2)
        else:
            a -= b * WIDTH / 2 + c * HEIGHT / 2
        lengths, angles = rng.uniform(5, 40, 40), rng.uniform(0, 2 * np.pi, 40)
        waves = 2 * np.pi / lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        found.append(Plane(np.array([a, b, c]), box, waves, rng.uniform(0, 2 * np.pi, 40)))
    return found


def render(seed: int) -> Scene:
    """Return a scene of that seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    y_right, x_right = np.mgrid[:HEIGHT, -MARGIN:WIDTH].astype(float)
    left, right, disparity = np.zeros_like(x), np.zeros_like(x_right), np.zeros_like(x)
    for plane in planes(rng):
        texture, mask = plane.at(x, y)
        a, b, c = plane.coefficients
        left, disparity = (
            np.where(mask, texture, left),
            np.where(mask, a + b * x + c * y, disparity),
        )
        # x_right = x - disparity(x, y), solved for x
        texture, mask = plane.at((x_right + a + c * y_right) / (1 - b), y_right)
        right = np.where(mask, texture, right)
    for _ in range(3):  # highlights, which do not move with the surface
        u, v, width = rng.uniform(8, WIDTH - 8), rng.uniform(8, HEIGHT - 8), rng.uniform(2, 4)
        u_right = u - disparity[int(v), int(u)] + rng.choice([-1, 1]) * rng.uniform(3, 8)
        left = left + 3 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / width**2)
        right = right + 3 * np.exp(-((x_right - u_right) ** 2 + (y_right - v) ** 2) / width**2)
    left, right = (view + 0.05 * rng.standard_normal(view.shape) for view in (left, right))
    return Scene(left, right, disparity)


def predict_left(right: Array, disparity: Array) -> Array:
    """Return the right view's values at x - disparity, linear between pixels."""
    x = jnp.arange(WIDTH) - disparity + MARGIN
    x = jnp.clip(x, 0, WIDTH + MARGIN - 1.001)
    whole = jnp.floor(x).astype(int)
    values = [jnp.take_along_axis(right, whole + i, axis=1) for i in (0, 1)]
    return values[0] + (x - whole) * (values[1] - values[0])


def bands() -> np.ndarray:
    """Return the number of the wavelet band of each coefficient; 0 is the coarsest."""
    number = np.zeros((HEIGHT, WIDTH), int)
    for level in range(LEVELS):
        h, w = HEIGHT >> level, WIDTH >> level
        first = 1 + 3 * (LEVELS - 1 - level)
        number[: h // 2, w // 2 : w] = first
        number[h // 2 : h, : w // 2] = first + 1
        number[h // 2 : h, w // 2 : w] = first + 2
    return number


ALPHA = biject_to(constraints.interval(0.001, 1.999))
SCALE = biject_to(constraints.positive)


def initial(method: str, grid: Array) -> dict[str, Array]:
    """Return the parameters, unbounded, at the start: alpha 1 and a scale of 0.1."""
    count = 3 * LEVELS + 1 if "wavelets" in method else 1
    params = {"grid": grid}
    if method != "Laplace, pixels":
        params["scale"] = jnp.full(count, SCALE.inv(0.1))
    if "adaptive" in method:
        params["alpha"] = jnp.full(count, ALPHA.inv(1.0))
    return params


def log_density(method: str, params: dict[str, Array], residual: Array) -> Array:
    """Return the log density of the residual image."""
    number = bands() if "wavelets" in method else np.zeros((HEIGHT, WIDTH), int)
    transform = CDF97(LEVELS) if "wavelets" in method else dist.transforms.IdentityTransform()
    scale = SCALE(params["scale"])[number] if "scale" in params else jnp.full(number.shape, 0.1)
    if "alpha" in params:
        law = GeneralRobust(ALPHA(params["alpha"])[number], 0, scale)
    else:
        law = dist.Laplace(0, scale)
    return dist.TransformedDistribution(law.to_event(2), transform.inv).log_prob(residual)


def estimate(method: str, steps: int, left: Array, right: Array) -> tuple[Array, dict[str, Array]]:
    """Return the disparity of one scene, and the parameters."""

    def misfit(disparity: Array) -> Array:
        residual = left - predict_left(right, jnp.full_like(left, disparity))
        return jax.image.resize(jnp.abs(residual), GRID, "linear")  # averages about each node

    constants = jnp.arange(0.0, MARGIN - 2, 0.5)
    start = constants[jnp.argmin(jax.vmap(misfit)(constants), axis=0)]

    def upsampled(params: dict[str, Array]) -> Array:
        return jax.image.resize(params["grid"], (HEIGHT, WIDTH), "linear")

    def loss(params: dict[str, Array]) -> tuple[Array, None]:
        residual = left - predict_left(right, upsampled(params))
        return -log_density(method, params, residual) / residual.size, None

    optimiser = Adam(lambda step: 0.1 * 0.5 * (1 + jnp.cos(jnp.pi * step / steps)))
    state = optimiser.init(initial(method, start))
    state, _ = jax.lax.scan(
        lambda state, _: (optimiser.eval_and_update(loss, state)[1], None), state, length=steps
    )
    params = optimiser.get_params(state)
    return upsampled(params), params


def run(scenes: list[Scene], steps: int) -> dict[str, tuple[np.ndarray, dict[str, Array]]]:
    """Return the disparities of all scenes, and the parameters, by each method."""
    left = jnp.asarray(np.stack([scene.left for scene in scenes]), jnp.float32)
    right = jnp.asarray(np.stack([scene.right for scene in scenes]), jnp.float32)
    found = {}
    for method in METHODS:
        disparity, params = jax.jit(jax.vmap(functools.partial(estimate, method, steps)))(
            left, right
        )
        found[method] = np.asarray(disparity), params
    return found


def errors(scenes: list[Scene], disparity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each scene's mean absolute error, in pixels, and % of pixels off by more than one."""
    off = np.abs(disparity - np.stack([scene.disparity for scene in scenes]))
    return off.mean((1, 2)), 100 * (off > 1).mean((1, 2))


def rows(scenes: list[Scene], found: dict) -> list[list[str]]:
    """Return the lines of the table."""
    lines = []
    first = errors(scenes, found[METHODS[0]][0])
    for method in METHODS:
        line = [method]
        for value, reference in zip(errors(scenes, found[method][0]), first, strict=True):
            error = value.std(ddof=1) / len(value) ** 0.5
            line.append(f"{value.mean():.2f} ± {error:.2f}")
            if method == METHODS[0]:
                line.append("-")
                continue
            mean, half = interval(value - reference)
            line.append(f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})")
        lines.append(line)
    return lines


COLUMNS = ("", "error, pixels", "paired difference", "% off > 1", "paired difference")


FIGURE = (11, 4)


def draw(scene: Scene, disparities: dict[str, np.ndarray], figure: Figure) -> None:
    """Draw both views, the true disparity and the estimates."""
    axes = figure.subplots(2, 4)
    for ax, view, name in (
        (axes[0, 0], scene.left, "left view"),
        (axes[1, 0], scene.right, "right view"),
    ):
        ax.imshow(view, cmap="gray", vmin=-3, vmax=4)
        ax.set_title(name, fontsize=10)
    maps = {"true disparity": scene.disparity} | disparities
    places = [axes[0, 1], axes[0, 2], axes[1, 2], axes[0, 3], axes[1, 3]]
    for ax, (name, values) in zip(places, maps.items(), strict=True):
        drawn = ax.imshow(values, cmap="cividis", vmin=0, vmax=10)
        ax.set_title(name, fontsize=10)
    axes[1, 1].set_axis_off()
    for ax in axes.ravel():
        ax.set(xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axes, label="disparity, pixels", shrink=0.8)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    print(header(f"Stereo disparity, {options.scenes} scenes, {options.steps} steps"), flush=True)
    scenes = [render(seed) for seed in range(options.scenes)]
    found = run(scenes, options.steps)
    print(table(COLUMNS, rows(scenes, found)))
    if options.picture:
        figure = Figure(figsize=FIGURE, layout="constrained")
        draw(scenes[0], {name: maps[0] for name, (maps, _) in found.items()}, figure)
        figure.savefig(options.picture, dpi=90)


if __name__ == "__main__":
    main()
