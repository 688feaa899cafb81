"""What ``density`` reads: one array of the numbers of a model and its data; and the way back."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from numpyro import distributions as dist

from robust_dist.regression.datatree import Setting
from robust_dist.regression.likelihoods import CONTAMINATION, FORMULAS
from robust_dist.regression.model import Constants, make_constants
from robust_dist.regression.ordered_law import unordered
from robust_dist.regression.posterior.engine import density
from robust_dist.regression.posterior.engine.elements import REAL, Support, describe, support

_PREDICTORS = {
    "": density.IN_LOCATION,
    **dict(zip(FORMULAS, (density.IN_LOGIT_ALPHA, density.IN_LOG_SCALE), strict=True)),
}
"""by the formula of a group-specific term"""


class Site(NamedTuple):
    """A site of the model, and where it stands among all that is sampled."""

    name: str
    shape: tuple[int, ...]
    start: int
    support: Support

    @property
    def stop(self) -> int:
        """Where the next one starts."""
        return self.start + math.prod(self.shape)


class Layout(NamedTuple):
    """A model in numbers."""

    sites: tuple[Site, ...]
    """in the order of ``Regression.sites``, which is that of an unconstrained position"""
    problem: np.ndarray
    scratch: int
    """how many numbers a thread needs to work with"""
    rounded: bool
    """whether responses are cells of a grid"""

    @property
    def size(self) -> int:
        """How many numbers are sampled."""
        return self.sites[-1].stop if self.sites else 0

    def constrained(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """Return the sites of unconstrained positions, which lie along the last axis."""
        lead = positions.shape[:-1]
        return {
            site.name: np.reshape(
                site.support.constrained(positions[..., site.start : site.stop]),
                (*lead, *site.shape),
            )
            for site in self.sites
        }

    def positions(self, sites: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the unconstrained positions of draws, shape (draws, size)."""
        parts = [
            site.support.unconstrained(np.reshape(sites[site.name], (-1, site.stop - site.start)))
            for site in self.sites
        ]
        return np.concatenate(parts, axis=1)


class _Numbers:
    """Arrays one after the other, behind a head that says where they are."""

    def __init__(self, head: int) -> None:
        self.head = np.zeros(head)
        self.parts: list[np.ndarray] = []
        self.size = head

    def add(self, values: Any) -> int:
        """Append an array, and return where it starts."""
        part = np.asarray(values, float).ravel()
        self.parts.append(part)
        start, self.size = self.size, self.size + part.size
        return start

    def joined(self) -> np.ndarray:
        return np.concatenate([self.head, *self.parts])


def constants_of(setting: Setting) -> Constants:
    """Return what the model takes from data besides the rows, in double precision."""
    with jax.enable_x64(True):
        constants = make_constants(*setting)
    return constants._replace(laws=unordered(constants.laws))


def lay_out(setting: Setting, data: Mapping[str, Any]) -> Layout:
    """Return a model and its data as ``density`` reads them.

    Parameters
    ----------
    setting
        Of a model that is supported.
    data
        The arguments of its model function.
    """
    design, likelihood, priors = setting.design, setting.likelihood, setting.priors
    known = constants_of(setting)
    shapes = {shape.name for shape in likelihood.shapes}
    effects = {f"{term.name}_sigma": len(term.effects) for term in design.groups}
    blocks = {block.name: block for part in priors.blocks.values() for block in part}
    fields, constant, sites, start = [], 0.0, [], 0
    at: dict[str, int] = {}
    for name, prior in priors.items():
        if not isinstance(prior, dist.Distribution):
            continue
        law, shape = known.laws[name], (effects[name],) if name in effects else ()
        if name in blocks and not blocks[name].single:
            shape = (len(blocks[name].columns),)
        each, constants = describe(law, shape)
        fields.append(each)
        constant += constants
        where = support(law)
        sites.append(Site(name if name in shapes else f"{name}_z", shape, start, where))
        at[name], start = start, sites[-1].stop
    numbers = _Numbers(density.HEAD)
    head = numbers.head
    head[density.ELEMENTS] = start
    head[density.ELEMENTS_AT] = numbers.add(np.concatenate(fields) if fields else [])

    # the rows, padded to whole blocks by some that have no weight
    rows = len(data["y"])
    count = -(-rows // density.BLOCK)
    head[density.BLOCKS] = count

    def blocked(values: Any, fill: float = 0.0) -> np.ndarray:
        columns = np.asarray(values, float).reshape(rows, -1)
        padded = np.full((count * density.BLOCK, columns.shape[1]), fill)
        padded[:rows] = columns
        return padded.reshape(count, density.BLOCK, -1).transpose(0, 2, 1)

    weights = np.ones(rows)
    for name in ("weights", "keep"):
        if data.get(name) is not None:
            weights = weights * np.asarray(data[name], float)
    head[density.WEIGHTS_AT] = numbers.add(blocked(weights))
    head[density.TOTAL_WEIGHT] = weights.sum()
    head[density.Y_AT] = numbers.add(blocked(data["y"]))
    inverse = np.ones(rows)
    if data.get("error") is not None:
        inverse = 1 / np.asarray(data["error"], float)
        constant += float((weights * np.log(inverse)).sum())
    head[density.INVERSE_ERROR_AT] = numbers.add(blocked(inverse, 1.0))

    def predictor(where: int, part: str, x: Any) -> None:
        elements = {
            column: at[block.name] + place
            for block in priors.blocks[part]
            for place, column in enumerate(block.columns)
        }
        head[where] = len(elements)
        head[where + 1] = numbers.add([elements[column] for column in sorted(elements)])
        head[where + 2] = numbers.add(blocked(x))

    head[density.LOG_SCALE_SHIFT] = known.scale_shift
    head[density.HALF_STEP] = 0.5 * known.step
    head[[density.LOG_SCALE, density.LOGIT_ALPHA]] = -1
    predictor(density.LOCATION, "beta", data["x"])
    if "x_sigma" in data:
        predictor(density.LOG_SCALE, "beta_sigma", data["x_sigma"])
    if "x_alpha" in data:
        predictor(density.LOGIT_ALPHA, "beta_alpha", data["x_alpha"])

    def parameter(where: int, names: Sequence[str], otherwise: float = 1.0) -> None:
        head[where], head[where + 1] = -1, otherwise
        for name in set(names) & set(known.laws):
            head[where] = at.get(name, -1)
            head[where + 1] = 1.0 if name in at else float(known.laws[name])

    parameter(density.SHAPE, [shape.name for shape in likelihood.shapes[:1]])
    parameter(density.SCALE, likelihood.scales[:1])
    # a law of one scale has a second one for nothing, of ratio 1
    parameter(density.SECOND_SCALE, likelihood.scales[1:])
    parameter(density.CONTAMINATION, [CONTAMINATION], 0.0)
    if data.get("background") is not None:
        scale = float(np.asarray(known.background_scale))
        away = (np.asarray(data["y"], float) - np.asarray(data["background"], float)) / scale
        cell = float(np.asarray(known.step)) / scale if design.resolution is not None else 0.0
        log_density = likelihood.background_log_density(away, cell) - math.log(scale)
        head[density.BACKGROUND_AT] = numbers.add(blocked(log_density))

    terms, cells = [], 0
    for term in design.groups:
        k, levels = len(term.effects), len(term.levels)
        name = f"{term.name}_sigma"
        fixed = np.ones(k) if name in at else np.broadcast_to(known.laws[name], (k,))
        sds = [at[name] + i if name in at else -1 for i in range(k)]
        terms += [
            *(k, levels, numbers.add(known.centering[term.name]), start),
            numbers.add(blocked(data["group_x"][term.name])),
            numbers.add(blocked(data["group_index"][term.name])),
            _PREDICTORS[term.formula],
            *np.stack([sds, fixed], axis=1).ravel(),
        ]
        sites.append(Site(f"{term.name}_offset", (k, levels), start, Support(REAL)))
        start, cells = sites[-1].stop, cells + k * levels
    constant -= 0.5 * math.log(2 * math.pi) * cells
    head[density.TERMS], head[density.TERMS_AT] = len(design.groups), numbers.add(terms)
    head[density.CONSTANT] = constant
    scratch = 3 * int(head[density.ELEMENTS]) + 2 * cells + 10 * density.BLOCK
    return Layout(tuple(sites), numbers.joined(), scratch, design.resolution is not None)
