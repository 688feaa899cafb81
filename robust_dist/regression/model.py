"""The regression as a plain NumPyro model: the only place that calls ``numpyro.sample``.

A model is its structure (which likelihood, which terms) and its constants (centres, units, widths
of priors: whatever else follows from data). The function of a structure takes constants and rows
as arguments, and there is one for each structure: what is compiled of it serves all data of that
shape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jax import Array
from jax.typing import ArrayLike
from numpyro import distributions as dist
from numpyro.distributions.transforms import AffineTransform

from robust_dist.regression.coordinates import LOG_SD, AxesConstants, Standardization
from robust_dist.regression.design.design import Design, center_owners
from robust_dist.regression.likelihoods import FORMULAS, Likelihood
from robust_dist.regression.ordered_law import ordered, unordered
from robust_dist.regression.priors import Layout, Prior, Priors, joined

STRUCTURES = 64
"""whose programs are kept"""
_FLOATS = (jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64)


@dataclass(frozen=True)
class Structure:
    """What a model is made of, whatever the data."""

    likelihood: Likelihood
    coefficients: tuple[tuple[str, tuple[Layout, ...]], ...]
    """the sites of each linear predictor, by ``"beta"``, ``"beta_alpha"``, ``"beta_sigma"``"""
    formulas: tuple[str, ...]
    """the parameters with one, of ``FORMULAS``"""
    terms: tuple[str, ...]
    """the group-specific ones"""
    owners: tuple[tuple[str, str], ...]
    """terms whose x is centered, and the effect of their group alone"""


class Constants(NamedTuple):
    """What else a model takes from data besides the rows; a tree of arrays."""

    laws: dict[str, Any]
    """the prior of each parameter and block of coefficients, or its value, in the sampler's
    units"""
    axes: dict[str, AxesConstants]
    """from the sampler's coefficients to the user's, by linear predictor"""
    noise: ArrayLike
    """the user's unit of the scales"""
    scale_shift: ArrayLike
    """the logarithm of the scale at the sampler's zero, where it has a formula"""
    group_units: dict[str, ArrayLike]
    """of the effects of each term, shape (k,)"""
    centering: dict[str, ArrayLike]
    """how centered each effect is sampled, shape (k, levels)"""
    group_centers: dict[str, ArrayLike]
    copies: ArrayLike
    """how many rows each row stands for, as in a random part of the data"""


def make_structure(
    design: Design, coordinates: Standardization, likelihood: Likelihood, priors: Priors
) -> Structure:
    """Return what a model is made of."""
    return Structure(
        likelihood=likelihood,
        coefficients=tuple(
            (part, tuple(block.layout for block in blocks))
            for part, blocks in priors.blocks.items()
        ),
        formulas=tuple(coordinates.distributional),
        terms=tuple(term.name for term in design.groups),
        owners=tuple(center_owners(design.groups).items()),
    )


def make_constants(
    design: Design,
    coordinates: Standardization,
    likelihood: Likelihood,
    priors: Priors,
    copies: float = 1.0,
) -> Constants:
    """Return what a model takes from data besides the rows, in double precision."""
    names = [term.name for term in design.groups]
    # without a level, the sampler's zero is where the scale is 1
    level = None if coordinates.sigma is None else coordinates.sigma.constant
    return Constants(
        laws=ordered(_in_sampler_units(design, coordinates, priors, likelihood)),
        axes={part: axes.constants for part, axes in coordinates.predictors.items()},
        noise=coordinates.noise,
        scale_shift=-float(np.log(coordinates.noise)) if level is None else LOG_SD,
        group_units=dict(zip(names, coordinates.group_units, strict=True)),
        centering=dict(zip(names, coordinates.centering, strict=True)),
        group_centers=dict(zip(names, coordinates.group_centers, strict=True)),
        copies=copies,
    )


def make_model(
    design: Design,
    coordinates: Standardization,
    likelihood: Likelihood,
    priors: Priors,
    copies: float = 1.0,
) -> Callable[..., None]:
    """Return the model function, whose arguments are those of :func:`make_data`.

    Parameters
    ----------
    design, coordinates, likelihood, priors
        What to model.
    copies
        How many rows each row stands for, as in a random part of the data.
    """
    setting = (design, coordinates, likelihood, priors)
    return partial(model_of(make_structure(*setting)), make_constants(*setting, copies=copies))


@lru_cache(maxsize=STRUCTURES)
def model_of(structure: Structure) -> Callable[..., None]:
    """Return the model function of a structure, whose first argument are constants.

    It takes the standardised design and response and samples ``beta_z``, the coefficients of the
    orthogonal basis, a site for each coefficient with a prior of its own, the shape, the scales
    (``sigma_z`` or ``scale_z``), and for each group-specific term its standard deviation and
    standardised effects; names without ``_z`` are the same in the user's units.
    """
    likelihood = structure.likelihood
    shapes = {shape.name for shape in likelihood.shapes}
    formula_of = {likelihood.links[name][0]: name for name in structure.formulas}
    layouts = dict(structure.coefficients)

    def parameter(name: str, constants: Constants) -> ArrayLike:
        """Return a scalar parameter in the sampler's units."""
        prior = constants.laws[name]
        if not isinstance(prior, dist.Distribution):
            return prior
        if name in shapes:
            return numpyro.sample(name, prior)
        value = numpyro.sample(f"{name}_z", prior)
        numpyro.deterministic(name, constants.noise * value)
        return value

    def coefficients(part: str, constants: Constants) -> Array:
        """Return the coefficients of a linear predictor in the sampler's units."""
        values = {}
        for block in layouts[part]:
            law = constants.laws[block.name]
            if block.single:
                values[block.site] = numpyro.sample(block.site, law)
                continue
            with numpyro.plate(f"{block.name} coefficient", len(block.columns)):
                values[block.site] = numpyro.sample(block.site, law)
        z = joined(values, layouts[part])
        numpyro.deterministic(part, constants.axes[part].coefficients(z))
        return z

    def model(
        constants: Constants,
        x: Array,
        y: ArrayLike | None = None,
        *,
        x_alpha: Array | None = None,
        x_sigma: Array | None = None,
        group_x: Mapping[str, Array] | None = None,
        group_index: Mapping[str, Array] | None = None,
        error: Array | None = None,
        weights: Array | None = None,
        keep: Array | None = None,
    ) -> None:
        constants = in_mode(constants)
        constants = constants._replace(laws=unordered(constants.laws))
        beta = coefficients("beta", constants)
        effects = {name: _group_effects(name, constants) for name in structure.terms}
        scaled = {
            name: constants.group_units[name][:, None] * effect  # type: ignore[index]
            for name, effect in effects.items()
        }
        for name, effect in uncentered(
            scaled, dict(structure.owners), constants.group_centers
        ).items():
            numpyro.deterministic(name, effect)
        shared: dict[str, ArrayLike] = {}
        linear: dict[str, Array] = {}
        designs = dict(zip(FORMULAS, (x_alpha, x_sigma), strict=True))
        for name in likelihood.parameters:
            if name not in formula_of:
                shared[name] = parameter(name, constants)
                continue
            formula = formula_of[name]
            z = coefficients(f"beta_{formula}", constants)
            x_formula = designs[formula]
            assert x_formula is not None
            linear[formula] = x_formula @ z
            if name in likelihood.scales:
                linear[formula] = linear[formula] + constants.scale_shift
        if not linear:
            for name, scale in likelihood.derived(shared).items():
                numpyro.deterministic(name, constants.noise * scale)

        loc = x @ beta
        for name, effect in effects.items():
            assert group_x is not None
            assert group_index is not None
            loc = loc + (group_x[name] * effect[:, group_index[name]].T).sum(-1)
        law = likelihood.sampled_law(loc=loc, **likelihood.row_parameters(shared, linear, error))
        if keep is not None:
            law = law.mask(keep)
        counts = constants.copies if weights is None else constants.copies * weights
        with numpyro.plate("row", x.shape[0]), numpyro.handlers.scale(scale=counts):
            numpyro.sample("y", law, obs=y)

    return model


def make_data(design: Design, coordinates: Standardization) -> dict[str, Any]:
    """Return the keyword arguments of the model, in single precision.

    They are JAX arrays, so that nobody who computes with them has a copy of his own.
    """

    def single(values: np.ndarray | None) -> Array | None:
        return None if values is None else jnp.asarray(np.asarray(values, np.float32))

    data: dict[str, Any] = {
        "x": single(coordinates.standardized(design)),
        "y": single(coordinates.standardized_response(design)),
        "error": single(coordinates.error),
        "weights": single(design.weights),
    }
    for formula, axes in coordinates.distributional.items():
        data[f"x_{formula}"] = single(axes.standardized(design.distributional[formula]))
    if design.groups:
        units = zip(design.groups, coordinates.group_centers, coordinates.group_units, strict=True)
        data["group_x"] = {
            term.name: single((term.x - center) * (unit / coordinates.scale))
            for term, center, unit in units
        }
        data["group_index"] = {
            term.name: jnp.asarray(term.index.astype(np.int32)) for term in design.groups
        }
    return {name: values for name, values in data.items() if values is not None}


def in_mode(constants: Constants) -> Constants:
    """Return the constants in the precision of JAX's mode, which may have changed since."""

    def cast(value: Any) -> Any:
        kind = jnp.result_type(value)
        return jnp.asarray(value, jnp.result_type(float)) if kind in _FLOATS else value

    return jax.tree.map(cast, constants)


def _group_effects(name: str, constants: Constants) -> Array:
    """Return the effects of a term in the sampler's units, shape (k, levels).

    Non-centered where the data say little of an effect, centered where they say much, and in
    between by degrees: either way what NUTS moves along is nearly independent of the standard
    deviation (Papaspiliopoulos, Roberts and Skold, Statistical Science 22, 2007).
    """
    prior = constants.laws[f"{name}_sigma"]
    unit, centering = jnp.asarray(constants.group_units[name]), constants.centering[name]
    if isinstance(prior, dist.Distribution):
        law = prior.expand([unit.size]).to_event(1)
        sd = numpyro.sample(f"{name}_sigma_z", law)
        numpyro.deterministic(f"{name}_sigma", unit * sd)
    else:
        sd = jnp.asarray(prior)
    spread = jnp.broadcast_to(sd[:, None], jnp.shape(centering))
    offset = numpyro.sample(f"{name}_offset", dist.Normal(0, spread**centering).to_event(2))
    return spread ** (1 - centering) * offset


def uncentered(
    effects: Mapping[str, Any], owners: Mapping[str, str], centers: Mapping[str, Any]
) -> dict[str, Any]:
    """Return group-specific effects as those at x = 0, of effects at the centers of x.

    Arrays of shape (..., k, levels) by term; the owner, a group's own effect, takes up the slopes'
    share.
    """
    shifted = dict(effects)
    for name, owner in owners.items():
        shifted[owner] = shifted[owner] - centers[name] * effects[name]
    return shifted


def _in_sampler_units(
    design: Design,
    coordinates: Standardization,
    priors: Priors,
    likelihood: Likelihood,
) -> dict[str, Any]:
    """Return the priors of what is sampled."""
    shapes = {shape.name for shape in likelihood.shapes}
    laws: dict[str, Any] = {}
    for part, blocks in priors.blocks.items():
        axes = coordinates.predictors[part]
        fit = axes.directions(axes.fit)
        for block in blocks:
            columns = list(block.columns)
            if block.directions is not None:
                loc, sd = block.directions
                laws[block.name] = dist.Normal((loc - fit[columns]) / axes.scale, sd / axes.scale)
                continue
            unit = axes.scale * axes.transform[columns, columns]
            center = axes.fit[columns]
            if block.single:
                unit, center = unit[0], center[0]
            laws[block.name] = _affine(block.prior, -center / unit, 1 / unit)
    units = {
        f"{t.name}_sigma": u for t, u in zip(design.groups, coordinates.group_units, strict=True)
    }
    for name, prior in priors.items():
        if name in shapes:
            laws[name] = prior
        elif name not in laws:
            laws[name] = _affine(prior, 0.0, 1 / units.get(name, coordinates.noise))
    return laws


def _affine(prior: Prior, loc: np.ndarray | float, scale: np.ndarray | float) -> Any:
    """Return the law of ``loc + scale * b`` for b drawn from the prior, or that number."""
    if not isinstance(prior, dist.Distribution):
        return loc + scale * prior
    affine = AffineTransform(np.asarray(loc), np.asarray(scale), domain=prior.support)
    return dist.TransformedDistribution(prior, affine)
