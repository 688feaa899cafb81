"""The regression as a plain NumPyro model: the only place that calls ``numpyro.sample``.

A model is its structure (which likelihood, which terms) and its constants (centres, units, widths
of priors: whatever else follows from data). The function of a structure takes constants and rows
as arguments, and there is one for each structure: what is compiled of it serves all data of that
shape.
"""

from collections.abc import Callable, Mapping, Sequence
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

from robust_dist import Rounded
from robust_dist.regression import curves
from robust_dist.regression.coordinates import LOG_SD, AxesConstants, Standardization
from robust_dist.regression.design.design import (
    ENDS,
    Correlated,
    Design,
    center_owners,
    correlated_effects,
)
from robust_dist.regression.likelihoods import (
    BACKGROUND_LOC,
    BACKGROUND_SCALE,
    FORMULAS,
    Likelihood,
)
from robust_dist.regression.observation import Kinds, bounded, kinds_of
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
    rounded: bool
    """whether responses are cells of a grid"""
    bounded: tuple[tuple[str, Kinds], ...]
    """what bounds do to responses, and on which side they are open"""
    terms: tuple[tuple[str, str], ...]
    """the group-specific ones, and the formula that each is part of, ``""`` for the location"""
    correlated: tuple[Correlated, ...]
    """their effects that are not independent"""
    owners: tuple[tuple[str, str], ...]
    """terms whose x is centered, and the effect of their group alone"""
    curves: tuple[curves.Layout, ...]


class Constants(NamedTuple):
    """What else a model takes from data besides the rows; a tree of arrays."""

    laws: dict[str, Any]
    """the prior of each parameter and block of coefficients, or its value, in the sampler's
    units"""
    axes: dict[str, AxesConstants]
    """from the sampler's coefficients to the user's, by linear predictor"""
    noise: ArrayLike
    """the user's unit of the scales"""
    unit: ArrayLike
    """the user's unit of the response"""
    scale_shift: ArrayLike
    """the logarithm of the scale at the sampler's zero, where it has a formula"""
    step: ArrayLike
    """of the grid that responses are rounded to, in the sampler's units; 0 if they are not"""
    group_units: dict[str, ArrayLike]
    """of the effects of each term, shape (k,)"""
    centering: dict[str, ArrayLike]
    """how centered each effect is sampled, shape (k, levels)"""
    group_centers: dict[str, ArrayLike]
    background_scale: ArrayLike
    """where the likelihood has a background"""
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
        rounded=design.resolution is not None,
        bounded=tuple((name, kinds_of(pair)) for name, pair in design.bounds.items()),
        terms=tuple((term.name, term.formula) for term in design.groups),
        correlated=tuple(correlated_effects(design.groups)),
        owners=tuple(center_owners(design.groups).items()),
        curves=tuple(map(curves.layout_of, design.curves)),
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
        unit=coordinates.scale,
        scale_shift=-float(np.log(coordinates.noise)) if level is None else LOG_SD,
        step=(design.resolution or 0.0) / coordinates.scale,
        group_units=dict(zip(names, coordinates.group_units, strict=True)),
        centering=dict(zip(names, coordinates.centering, strict=True)),
        group_centers=dict(zip(names, coordinates.group_centers, strict=True)),
        background_scale=priors.get(BACKGROUND_SCALE, coordinates.scale) / coordinates.scale,
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
        curve_x: Mapping[str, Array] | None = None,
        error: Array | None = None,
        background: Array | None = None,
        grid: Array | None = None,
        bounds: Mapping[str, Array] | None = None,
        weights: Array | None = None,
        keep: Array | None = None,
    ) -> None:
        constants = in_mode(constants)
        constants = constants._replace(laws=unordered(constants.laws))
        beta = coefficients("beta", constants)
        sampled = {name: _group_effects(name, constants) for name, _ in structure.terms}
        factors = {block.name: _correlations(block, constants) for block in structure.correlated}
        offsets = {name: offset for name, (_, offset) in sampled.items()}
        mixed = correlated(offsets, structure.correlated, factors)
        effects = {name: spread * mixed[name] for name, (spread, _) in sampled.items()}
        scaled = {
            name: constants.group_units[name][:, None] * effect  # type: ignore[index]
            for name, effect in effects.items()
        }
        for name, effect in uncentered(
            scaled, dict(structure.owners), constants.group_centers
        ).items():
            numpyro.deterministic(name, effect)
        grouped: dict[str, ArrayLike] = {}
        for name, formula in structure.terms:
            assert group_x is not None
            assert group_index is not None
            each = (group_x[name] * effects[name][:, group_index[name]].T).sum(-1)
            grouped[formula] = grouped.get(formula, 0.0) + each
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
            linear[formula] = x_formula @ z + grouped.get(formula, 0.0)
            if name in likelihood.scales:
                linear[formula] = linear[formula] + constants.scale_shift
        if not linear:
            for name, scale in likelihood.derived(shared).items():
                numpyro.deterministic(name, constants.noise * scale)

        loc = x @ beta + grouped.get("", 0.0)
        for curve in structure.curves:
            assert curve_x is not None
            weights_z = curves.sample_weights(curve, constants.laws)
            numpyro.deterministic(curve.weights, constants.unit * weights_z)
            loc = loc + curve_x[curve.name] @ weights_z
        parameters = likelihood.row_parameters(shared, linear, error)
        if likelihood.background_width is not None:
            assert background is not None
            parameters[BACKGROUND_LOC] = background - loc
            parameters[BACKGROUND_SCALE] = constants.background_scale
        law = likelihood.sampled_law(loc=loc, **parameters)
        if structure.rounded:
            assert grid is not None
            law = Rounded(law, constants.step, grid)
        for what, kinds in structure.bounded:
            assert bounds is not None
            low, high = (bounds[end] for end in ENDS)
            law = bounded(law, what, low, high, kinds)
        if keep is not None:
            law = law.mask(keep)
        counts = constants.copies if weights is None else constants.copies * weights
        with numpyro.plate("row", x.shape[0]), numpyro.handlers.scale(scale=counts):
            numpyro.sample("y", law, obs=y)

    return model


def make_data(
    design: Design, coordinates: Standardization, priors: Priors, kind: type = np.float32
) -> dict[str, Any]:
    """Return the keyword arguments of the model, in single precision or, in that mode, double.

    They are JAX arrays, so that nobody who computes with them has a copy of his own.
    """

    def as_array(values: np.ndarray | None) -> Array | None:
        return None if values is None else jnp.asarray(np.asarray(values, kind))

    data: dict[str, Any] = {
        "x": as_array(coordinates.standardized(design, kind)),
        "y": as_array(coordinates.standardized_response(design, kind=kind)),
        "error": as_array(coordinates.error),
        "weights": as_array(design.likelihood_weights),
    }
    data |= background_data(design, coordinates, priors, kind)
    if design.resolution is not None:
        # a value of each row's grid: in the sampler's units that of each row lies elsewhere
        data["grid"] = data["y"]
    for pair in design.bounds.values():
        data["bounds"] = {
            name: jnp.asarray(coordinates.standardized_response(design, end))
            for name, end in zip(ENDS, pair, strict=True)
        }
    for formula, axes in coordinates.distributional.items():
        data[f"x_{formula}"] = as_array(axes.standardized(design.distributional[formula], kind))
    if design.groups:
        units = zip(design.groups, coordinates.group_centers, coordinates.group_units, strict=True)
        data["group_x"] = {
            term.name: as_array((term.x - center) * (unit / coordinates.unit_of(term.formula)))
            for term, center, unit in units
        }
        data["group_index"] = {
            term.name: jnp.asarray(term.index.astype(np.int32)) for term in design.groups
        }
    if design.curves:
        data["curve_x"] = {term.name: as_array(term.x) for term in design.curves}
    return {name: values for name, values in data.items() if values is not None}


def background_data(
    design: Design, coordinates: Standardization, priors: Priors, kind: type = np.float32
) -> dict[str, Any]:
    """Return what the model takes of a background besides, if the likelihood has one."""
    if BACKGROUND_LOC not in priors:
        return {}
    loc = np.full_like(design.y, priors[BACKGROUND_LOC])
    loc += 0.0 if design.offset is None else design.offset
    return {"background": jnp.asarray(coordinates.standardized_response(design, loc, kind))}


def in_mode(constants: Constants) -> Constants:
    """Return the constants in the precision of JAX's mode, which may have changed since."""

    def cast(value: Any) -> Any:
        kind = jnp.result_type(value)
        # a whole number too becomes an array, as in Normal(0, 1): programs ask for its shape
        return jnp.asarray(value, jnp.result_type(float) if kind in _FLOATS else kind)

    return jax.tree.map(cast, constants)


def _correlations(block: Correlated, constants: Constants) -> Array:
    """Return the Cholesky factor of the correlations of effects, shape (K, K)."""
    factor = numpyro.sample(f"{block.correlation}_z", constants.laws[block.correlation])
    numpyro.deterministic(block.correlation, below_diagonal(factor))
    return factor


def below_diagonal(factor: Any) -> Any:
    """Return the correlations of a Cholesky factor, those below the diagonal by rows."""
    rows, columns = np.tril_indices(factor.shape[-1], -1)
    return (factor[..., rows, :] * factor[..., columns, :]).sum(-1)


def correlated(
    offsets: Mapping[str, Any], blocks: Sequence[Correlated], factors: Mapping[str, Any]
) -> dict[str, Any]:
    """Return independent standard effects by term as those of correlated terms.

    Arrays of JAX or NumPy, of shape (..., k, levels) by term, and of Cholesky factors by block.
    """
    mixed = dict(offsets)
    for block in blocks:
        parts = [offsets[name] for name in block.terms]
        library = np if isinstance(parts[0], np.ndarray) else jnp
        whole = factors[block.name] @ library.concatenate(parts, axis=-2)
        starts = np.cumsum([part.shape[-2] for part in parts])[:-1].tolist()
        mixed |= dict(zip(block.terms, library.split(whole, starts, axis=-2), strict=True))
    return mixed


def _group_effects(name: str, constants: Constants) -> tuple[Array, Array]:
    """Return what multiplies the effects of a term, and these, shape (k, levels).

    In the sampler's units their product is the effects.

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
    return spread ** (1 - centering), offset


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
    units: dict[str, Any] = {
        f"{t.name}_sigma": u for t, u in zip(design.groups, coordinates.group_units, strict=True)
    }
    for term in design.curves:
        units |= curves.units(term, coordinates.scale)
    for name, prior in priors.items():
        if name in likelihood.given:
            continue
        if name in shapes or isinstance(prior, dist.Dirichlet):
            laws[name] = prior
        elif isinstance(prior, dist.LKJ):
            # of the Cholesky factor, which is what is sampled
            laws[name] = dist.LKJCholesky(prior.dimension, prior.concentration)
        elif name not in laws:
            laws[name] = _affine(prior, 0.0, 1 / units.get(name, coordinates.noise))
    return laws


def _affine(prior: Prior, loc: np.ndarray | float, scale: np.ndarray | float) -> Any:
    """Return the law of ``loc + scale * b`` for b drawn from the prior, or that number."""
    if not isinstance(prior, dist.Distribution):
        return loc + scale * prior
    affine = AffineTransform(np.asarray(loc), np.asarray(scale), domain=prior.support)
    return dist.TransformedDistribution(prior, affine)
