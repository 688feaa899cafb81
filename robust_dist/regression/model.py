"""The regression as a plain NumPyro model: the only place that calls ``numpyro.sample``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
from jax import Array
from jax.typing import ArrayLike
from numpyro import distributions as dist
from numpyro.distributions.transforms import AffineTransform

from robust_dist.regression.coordinates import LOG_SD, Axes, Standardization
from robust_dist.regression.design.design import Design, GroupTerm
from robust_dist.regression.likelihoods import FORMULAS, Likelihood
from robust_dist.regression.priors import Prior, Priors, joined


def make_model(
    design: Design,
    coordinates: Standardization,
    likelihood: Likelihood,
    priors: Priors,
    copies: float = 1.0,
) -> Callable[..., None]:
    """Return the model function, whose arguments are those of :func:`make_data`.

    It takes the standardised design and response and samples ``beta_z``, the coefficients of the
    orthogonal basis, a site for each coefficient with a prior of its own, the shape, the scales
    (``sigma_z`` or ``scale_z``), and for each group-specific term its standard deviation and
    standardised effects; names without ``_z`` are the same in the user's units.

    Parameters
    ----------
    design, coordinates, likelihood, priors
        What to model.
    copies
        How many rows each row stands for, as in a random part of the data.
    """
    laws = _in_sampler_units(design, coordinates, priors, likelihood)
    noise = coordinates.noise
    shapes = {shape.name for shape in likelihood.shapes}
    formula_of = {likelihood.links[name][0]: name for name in coordinates.distributional}
    effect_units = {
        term.name: (unit, centering)
        for term, unit, centering in zip(
            design.groups, coordinates.group_units, coordinates.centering, strict=True
        )
    }
    # the log of the scale at the sampler's zero, in the sampler's unit; without a level that is
    # where the scale is 1
    level = None if coordinates.sigma is None else coordinates.sigma.constant
    scale_shift = -jnp.log(noise) if level is None else LOG_SD

    def parameter(name: str) -> ArrayLike:
        """Return a scalar parameter in the sampler's units."""
        prior = laws[name]
        if not isinstance(prior, dist.Distribution):
            return jnp.asarray(prior, jnp.result_type(float))
        if name in shapes:
            return numpyro.sample(name, prior)
        value = numpyro.sample(f"{name}_z", prior)
        numpyro.deterministic(name, noise * value)
        return value

    def coefficients(part: str, axes: Axes) -> Array:
        values = {}
        for block in priors.blocks[part]:
            if block.single:
                values[block.site] = numpyro.sample(block.site, laws[block.name])
                continue
            with numpyro.plate(f"{block.name} coefficient", len(block.columns)):
                values[block.site] = numpyro.sample(block.site, laws[block.name])
        z = joined(values, priors.blocks[part])
        numpyro.deterministic(part, axes.coefficients(z))
        return z

    def model(
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
        beta = coefficients("beta", coordinates)
        # in the mode's own precision, which may be another than that of what was compiled before
        real = jnp.result_type(float)
        units = {
            name: (jnp.asarray(unit, real), jnp.asarray(centering, real))
            for name, (unit, centering) in effect_units.items()
        }
        effects = {name: _group_effects(name, *each, laws) for name, each in units.items()}
        scaled = {name: units[name][0][:, None] * effect for name, effect in effects.items()}
        for name, effect in uncentered(scaled, design.groups, coordinates.group_centers).items():
            numpyro.deterministic(name, effect)
        shared: dict[str, ArrayLike] = {}
        linear: dict[str, Array] = {}
        designs = dict(zip(FORMULAS, (x_alpha, x_sigma), strict=True))
        for name in likelihood.parameters:
            if name not in formula_of:
                shared[name] = parameter(name)
                continue
            formula = formula_of[name]
            z = coefficients(f"beta_{formula}", coordinates.distributional[formula])
            x_formula = designs[formula]
            assert x_formula is not None
            linear[formula] = x_formula @ z
            if name in likelihood.scales:
                linear[formula] = linear[formula] + scale_shift
        if not linear:
            for name, scale in likelihood.derived(shared).items():
                numpyro.deterministic(name, noise * scale)

        loc = x @ beta
        for name, effect in effects.items():
            assert group_x is not None
            assert group_index is not None
            loc = loc + (group_x[name] * effect[:, group_index[name]].T).sum(-1)
        law = likelihood.sampled_law(loc=loc, **likelihood.row_parameters(shared, linear, error))
        if keep is not None:
            law = law.mask(keep)
        counts = copies if weights is None else copies * weights
        with numpyro.plate("row", x.shape[0]), numpyro.handlers.scale(scale=counts):
            numpyro.sample("y", law, obs=y)

    return model


def make_data(design: Design, coordinates: Standardization) -> dict[str, Any]:
    """Return the keyword arguments of the model, in single precision.

    They are JAX arrays, so that nobody who computes with them has a copy of his own.
    """

    def single(values: np.ndarray | None) -> Array | None:
        return None if values is None else jnp.asarray(values, jnp.float32)

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
            term.name: jnp.asarray(term.index, jnp.int32) for term in design.groups
        }
    return {name: values for name, values in data.items() if values is not None}


def _group_effects(name: str, unit: Array, centering: Array, laws: Mapping[str, Prior]) -> Array:
    """Return the effects of a term in the sampler's units, shape (k, levels).

    Non-centered where the data say little of an effect, centered where they say much, and in
    between by degrees: either way what NUTS moves along is nearly independent of the standard
    deviation (Papaspiliopoulos, Roberts and Skold, Statistical Science 22, 2007).
    """
    prior = laws[f"{name}_sigma"]
    if isinstance(prior, dist.Distribution):
        law = prior.expand([unit.size]).to_event(1)
        sd = numpyro.sample(f"{name}_sigma_z", law)
        numpyro.deterministic(f"{name}_sigma", unit * sd)
    else:
        sd = jnp.asarray(prior, jnp.result_type(float))
    spread = jnp.broadcast_to(sd[:, None], centering.shape)
    offset = numpyro.sample(f"{name}_offset", dist.Normal(0, spread**centering).to_event(2))
    return spread ** (1 - centering) * offset


def uncentered(
    effects: Mapping[str, Any], terms: Sequence[GroupTerm], centers: Sequence[float]
) -> dict[str, Any]:
    """Return group-specific effects as those at x = 0, of effects at the centers of x.

    Arrays of shape (..., k, levels) by term; a group's own effect takes up the slopes' share.
    """
    shifted = dict(effects)
    own = {term.group: term.name for term in terms if term.effects == ("1",)}
    for term, center in zip(terms, centers, strict=True):
        if center:
            shifted[own[term.group]] = shifted[own[term.group]] - center * effects[term.name]
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
                laws[block.name] = dist.Normal(
                    jnp.asarray((loc - fit[columns]) / axes.scale, jnp.result_type(float)),
                    jnp.asarray(sd / axes.scale, jnp.result_type(float)),
                )
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
    affine = AffineTransform(
        jnp.asarray(loc, jnp.result_type(float)),
        jnp.asarray(scale, jnp.result_type(float)),
        domain=prior.support,
    )
    return dist.TransformedDistribution(prior, affine)
