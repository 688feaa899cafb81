"""Rendered scenes for the depth network: three pictures of each, exact depth, and known poses.

A scene is a slanted ground, a wall, and boxes and spheres that stand on the ground, with solid
textures (sums of waves in space, blurred to the width of a pixel). Three pictures are taken: the
left camera's; the right one's, 0.5 m beside it; and one that the left camera took before, when it
was 0.5 m back and turned by up to 2 degrees. What the photometric losses of self-supervised depth
take for granted does not hold everywhere, as in the world: surfaces hide behind others, mirrors of
the light slide over them, exposure and light change between pictures, small things fly before the
cameras, which are not synchronised, and one of the objects moves.

Units are metres and pixels; x points right, y down, z forward, from the left camera.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

HEIGHT, WIDTH = 48, 64
FOCAL = 56.0
# the pictures that are warped see more at each side, so that every match is in view
MARGIN = 8
BASELINE = 0.5
NEAREST, FARTHEST = 1.5, 20.0
WAVES = 10
NOISE = 0.02
# of ground, wall, boxes, spheres and what flies, about which the things of a scene vary
COLOURS = np.array(
    [[0.35, 0.4, 0.3], [0.5, 0.55, 0.6], [0.6, 0.3, 0.2], [0.2, 0.3, 0.6], [0.6, 0.55, 0.15]]
)

Rotation = np.ndarray


class Camera(NamedTuple):
    """Where the points of the left camera's coordinates are in another's: R x + t."""

    rotation: np.ndarray
    shift: np.ndarray


class Scenes(NamedTuple):
    """Pictures in linear RGB around 0 to 1, depths, and the other two cameras of each scene."""

    left: np.ndarray  # (scenes, height, width, 3)
    others: np.ndarray  # (scenes, 2, height + 2 margin, width + 2 margin, 3)
    depth: np.ndarray  # (scenes, height, width)
    rotations: np.ndarray  # (scenes, 2, 3, 3)
    shifts: np.ndarray  # (scenes, 2, 3)


class Things(NamedTuple):
    """What is in a scene, an entry for each: planes, then boxes, spheres and flying spheres."""

    kind: np.ndarray  # 0 plane, 1 box, 2 sphere
    centre: np.ndarray  # of a plane a point on it
    size: np.ndarray  # half the sides of a box, the radius of a sphere
    axes: np.ndarray  # rows are a box's axes; a plane's normal is the second
    colour: np.ndarray
    waves: np.ndarray  # (things, waves, 3), radians per metre
    phases: np.ndarray
    shine: np.ndarray  # strength of the mirror of the light
    flying: np.ndarray


def turn(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Rotation:
    """Return the rotation about y, then x, then z, in radians."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def things(rng: np.random.Generator, violations: float) -> Things:
    """Return the things of a new scene."""
    ground = turn(0, rng.normal(0, 0.01), rng.normal(0, 0.03))
    height = rng.uniform(1.4, 1.6)
    rows = [
        (0, [0, height, 0], [1, 1, 1], ground),
        # a wall's normal is the second axis too
        (
            0,
            [0, 0, rng.uniform(9, 16)],
            [1, 1, 1],
            np.roll(turn(rng.normal(0, 0.2)), -1, axis=0),
        ),
    ]
    for _ in range(rng.integers(3, 7)):
        z = rng.uniform(3.2, 9)
        x = rng.uniform(-0.5, 0.5) * z
        foot = height - (ground[1, 0] * x + ground[1, 2] * z) / ground[1, 1]
        if rng.random() < 0.5:
            size = rng.uniform(0.25, 0.8, 3)
            rows.append((1, [x, foot - size[1], z], size, turn(rng.uniform(0, np.pi))))
        else:
            size = np.full(3, rng.uniform(0.3, 0.8))
            rows.append((2, [x, foot - size[1], z], size, np.eye(3)))
    standing = len(rows)
    for _ in range(round(violations * rng.integers(0, 3))):
        z = rng.uniform(1.8, 4)
        place = [rng.uniform(-0.45, 0.45) * z, rng.uniform(-0.35, 0.3) * z, z]
        rows.append((2, place, np.full(3, rng.uniform(0.03, 0.06) * z), np.eye(3)))
    tint = [0, 1, *(row[0] + 1 for row in rows[2:])]
    tint[standing:] = [4] * (len(rows) - standing)
    kind, centre, size, axes = (np.array(column, float) for column in zip(*rows, strict=True))
    count = len(rows)
    lengths = np.exp(rng.uniform(np.log(0.2), np.log(3), (count, WAVES)))
    directions = rng.standard_normal((count, WAVES, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return Things(
        kind.astype(int),
        centre,
        size,
        axes,
        rng.normal(COLOURS[tint], 0.06),
        2 * np.pi * directions / lengths[..., None],
        rng.uniform(0, 2 * np.pi, (count, WAVES)),
        violations * rng.uniform(0.5, 1.5, count) * (rng.random(count) < 0.6),
        np.arange(count) >= standing,
    )


def distances(scene: Things, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Return how far along each ray each thing is met first, (things, rays); inf if it is not."""
    lengths = np.full((len(scene.kind), len(rays)), np.inf)
    for i, kind in enumerate(scene.kind):
        start = origin - scene.centre[i]
        if kind == 0:
            normal = scene.axes[i, 1]
            with np.errstate(divide="ignore"):
                t = -(start @ normal) / (rays @ normal)
            lengths[i] = np.where(t > 0, t, np.inf)
        elif kind == 1:
            # between the last of the sides that are entered and the first that is left
            begin, along = scene.axes[i] @ start, rays @ scene.axes[i].T
            ends = (np.array([[-1.0], [1.0]]) * scene.size[i] - begin)[:, None] / along
            enter, leave = ends.min(0).max(-1), ends.max(0).min(-1)
            lengths[i] = np.where((enter < leave) & (enter > 0), enter, np.inf)
        else:
            square = (rays**2).sum(-1)
            half = rays @ start
            root = half**2 - square * (start @ start - scene.size[i, 0] ** 2)
            t = (-half - np.sqrt(np.maximum(root, 0))) / square
            lengths[i] = np.where((root > 0) & (t > 0), t, np.inf)
    return lengths


def normals(scene: Things, which: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return unit normals of points on the things met."""
    offset = points - scene.centre[which]
    unit = offset / np.linalg.norm(offset, axis=-1, keepdims=True)
    plane = scene.kind[which] == 0
    unit[plane] = scene.axes[which[plane], 1]
    box = scene.kind[which] == 1
    axes = scene.axes[which[box]]
    inside = np.einsum("nij,nj->ni", axes, offset[box]) / scene.size[which[box]]
    side = np.argmax(np.abs(inside), axis=-1)
    rows = np.arange(len(side))
    unit[box] = axes[rows, side] * np.sign(inside[rows, side])[:, None]
    return unit


def render(
    scene: Things, camera: Camera, light: np.ndarray, margin: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture without noise and its depth, seen by a camera."""
    y, x = np.mgrid[-margin : HEIGHT + margin, -margin : WIDTH + margin]
    inside = np.stack([x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2, np.full(x.shape, FOCAL)], -1)
    rays = (inside.reshape(-1, 3) / FOCAL) @ camera.rotation
    origin = -camera.rotation.T @ camera.shift
    all_distances = distances(scene, origin, rays)
    which = np.argmin(all_distances, axis=0)
    depth = np.minimum(all_distances[which, np.arange(len(which))], FARTHEST)
    points = origin + depth[:, None] * rays

    # texture: waves fade that are shorter than some two pixels
    length = np.linalg.norm(scene.waves, axis=-1)
    angles = np.einsum("nwk,nk->nw", scene.waves[which], points) + scene.phases[which]
    blur = np.exp(-0.5 * (0.5 * length[which] * depth[:, None] / FOCAL) ** 2)
    amplitude = length**-0.5
    amplitude /= np.sqrt((amplitude**2).sum(-1, keepdims=True) / 2)
    texture = (np.cos(angles) * blur * amplitude[which]).sum(-1)
    normal = normals(scene, which, points)
    view = -rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    normal *= np.sign((normal * view).sum(-1, keepdims=True))

    facing = np.maximum(normal @ light, 0)
    mirrored = 2 * (normal @ light)[:, None] * normal - light
    mirror = np.maximum((mirrored * view).sum(-1), 0) ** 40 * scene.shine[which] * (facing > 0)
    shade = (0.45 + 0.55 * facing) * (1 + 0.2 * texture)
    colour = scene.colour[which] * shade[:, None] + mirror[:, None]
    return colour.reshape(*x.shape, 3), depth.reshape(x.shape)


def moved(scene: Things, shifts: np.ndarray) -> Things:
    """Return the scene with its things shifted, textures with them."""
    phases = scene.phases - np.einsum("nwk,nk->nw", scene.waves, shifts)
    return scene._replace(centre=scene.centre + shifts, phases=phases)


def scene_of(rng: np.random.Generator, violations: float) -> tuple[np.ndarray, ...]:
    """Return a new scene's pictures, depth and cameras."""
    scene = things(rng, violations)
    light = np.array([rng.normal(0, 0.5), -1.0, rng.uniform(-1.2, 0.3)])
    left = Camera(np.eye(3), np.zeros(3))
    cameras = (
        Camera(np.eye(3), np.array([-BASELINE, 0, 0])),
        # the points of now are farther from where the camera was
        Camera(
            turn(*np.deg2rad(rng.uniform(-2, 2, 3))),
            np.array([*rng.normal(0, 0.05, 2), rng.uniform(0.3, 0.7)]),
        ),
    )
    flying = scene.flying
    picture, depth = render(scene, left, light / np.linalg.norm(light), 0)
    others = []
    for turn_of, camera in enumerate(cameras):
        shifts = np.where(flying[:, None], rng.normal(0, 0.15, (len(flying), 3)), 0.0)
        if turn_of == 1:
            mover = rng.integers(2, np.flatnonzero(~flying)[-1] + 1)
            shifts[mover] = rng.normal(0, 0.3), 0, rng.normal(0, 0.3)
            light = light + violations * rng.normal(0, 0.3, 3)
        exposure = np.exp(violations * rng.normal(0, 0.1))
        view, _ = render(moved(scene, shifts), camera, light / np.linalg.norm(light), MARGIN)
        others.append(exposure * view)
    noisy = [np.minimum(v, 1.5) + NOISE * rng.standard_normal(v.shape) for v in (picture, *others)]
    return (
        noisy[0],
        np.stack(noisy[1:]),
        depth,
        np.stack([c.rotation for c in cameras]),
        np.stack([c.shift for c in cameras]),
    )


def scenes(seed: int, count: int, violations: float = 1.0) -> Scenes:
    """Return new scenes; those of another seed have nothing in common with them.

    Violations are how strong mirrors, changes of light and exposure are, and how much flies, as
    multiples of what is usual here.
    """
    rng = np.random.default_rng(seed)
    parts = zip(*(scene_of(rng, violations) for _ in range(count)), strict=True)
    return Scenes(*(np.stack(part).astype(np.float32) for part in parts))
