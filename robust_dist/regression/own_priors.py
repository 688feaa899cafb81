"""The user's own priors: what each is for, and what can be none."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpyro import distributions as dist

from robust_dist._errors import NEGATIVE_ALPHA, InputError
from robust_dist._words.names import nearest
from robust_dist.regression.curves import layout_of
from robust_dist.regression.design.design import Columns, Design, correlated_effects
from robust_dist.regression.likelihoods import BACKGROUND_LOC, Likelihood, Shape
from robust_dist.regression.prior_checks import check_prior

type Prior = dist.Distribution | float


class Chosen(NamedTuple):
    """What the user gave, by what it is for."""

    scalars: dict[str, Any]
    """by the parameter's name"""
    coefficients: dict[str, list[tuple[str, tuple[int, ...], dist.Distribution]]]
    """by linear predictor: key, columns and prior"""

    @property
    def own(self) -> dict[str, list[int]]:
        """The columns whose coefficients have priors of their own, by linear predictor."""
        return {
            part: [column for _, columns, _ in entries for column in columns]
            for part, entries in self.coefficients.items()
        }


def predictors(design: Design) -> dict[str, Columns]:
    """Return the linear predictors of a design by the name of their coefficients."""
    further = {f"beta_{name}": columns for name, columns in design.distributional.items()}
    return {"beta": design, **further}


def _scalars(design: Design, likelihood: Likelihood) -> dict[str, int]:
    """Return how many numbers each parameter is that is no coefficient."""
    names = likelihood.shared(design.distributional)
    groups = {f"{term.name}_sigma": len(term.effects) for term in design.groups}
    curves = [
        name
        for curve in map(layout_of, design.curves)
        if curve.simplex is None
        for name in curve.scalars
    ]
    return dict.fromkeys([*names, *curves], 1) | groups


def choose(design: Design, likelihood: Likelihood, given: Mapping[str, Any]) -> Chosen:
    """Return the user's priors by what they are for.

    Raises
    ------
    InputError
        If one is for no parameter of the model, or none that the parameter can have.
    """
    parts, scalars = predictors(design), _scalars(design, likelihood)
    shapes = {shape.name: shape for shape in likelihood.shapes}
    singles = {
        key: (part, column)
        for part, columns in parts.items()
        for column, name in enumerate(columns.coefficients)
        for key in _keys(part, name, {*scalars, *parts})
    }
    blocks = correlated_effects(design.groups)
    correlations = {block.correlation: len(block.effects) for block in blocks}
    monotonic = {c.name: c for c in map(layout_of, design.curves) if c.simplex is not None}
    simplexes = {curve.simplex: curve.size for curve in monotonic.values()}
    chosen = Chosen({}, {part: [] for part in parts})
    for name, prior in given.items():
        if name in likelihood.given:
            chosen.scalars[name] = _given(name, prior)
        elif name in correlations:
            chosen.scalars[name] = _correlation(name, prior, correlations[name])
        elif name in simplexes:
            chosen.scalars[name] = _simplex(name, prior, simplexes[name])
        elif name in monotonic:
            _check_coefficient(name, prior, 1)
            chosen.scalars[name] = prior
        elif name in scalars:
            chosen.scalars[name] = _scalar(name, prior, scalars[name], shapes.get(name))
        elif name in singles:
            part, column = singles[name]
            taken = chosen.own[part]
            if column in taken:
                raise InputError(f"two priors for '{parts[part].coefficients[column]}'")
            _check_coefficient(name, prior, 1)
            key = _keys(part, parts[part].coefficients[column], {*scalars, *parts})[0]
            chosen.coefficients[part].append((key, (column,), prior))
        elif name not in parts:
            known = [*parts, *(key for key in singles if "[" not in key), *scalars]
            known += [*correlations, *monotonic, *map(str, simplexes), *likelihood.given]
            raise InputError(
                f"no parameter '{name}' to give a prior{nearest(str(name), known) or ';'} "
                f"there are: {', '.join(known)}"
            )
    for part in [name for name in given if name in parts and name not in scalars]:
        columns = parts[part]
        slopes = [
            column
            for column in range(len(columns.coefficients))
            if column != columns.intercept and column not in chosen.own[part]
        ]
        if not slopes:
            raise InputError(f"the prior of '{part}' is for slopes, and none is without one")
        _check_coefficient(part, given[part], len(slopes))
        chosen.coefficients[part].append((part, tuple(slopes), given[part]))
    return chosen


def _keys(part: str, coefficient: str, taken: set[str]) -> list[str]:
    """Return the names of a coefficient among priors, the one that is shown first."""
    bracketed = f"{part}[{coefficient}]"
    plain = part == "beta" and coefficient not in taken
    return [coefficient, bracketed] if plain else [bracketed]


def _check_coefficient(name: str, prior: Any, elements: int) -> None:
    """Refuse what is no law of one coefficient, or of each of several."""
    if isinstance(prior, Real | dist.Delta):
        raise InputError(
            f"'{name}' is no parameter that a number can fix; give a distribution, such as "
            "Normal(0, 1), or leave the term out and its known part to the offset"
        )
    if not isinstance(prior, dist.Distribution):
        raise InputError(f"the prior of '{name}' is no NumPyro distribution but {prior!r}")
    _check_law(name, prior, elements)


def _check_law(name: str, prior: dist.Distribution, elements: int) -> None:
    """Refuse laws without a density, and of another shape."""
    check_prior(name, prior)
    if prior.event_shape or prior.batch_shape not in ((), (1,), (elements,)):
        raise InputError(
            f"the prior of '{name}' has batch shape {prior.batch_shape} and event shape "
            f"{prior.event_shape}; it needs () or ({elements},), and ()"
        )


def _scalar(name: str, prior: Any, elements: int, shape: Shape | None) -> Prior:
    """Return the prior of a parameter that is no coefficient: a law, or what it is fixed at."""
    if not isinstance(prior, dist.Distribution):
        return _fixed(name, prior, shape)
    _check_law(name, prior, elements)
    if bool(np.any(prior.support(-1.0))):
        mend = f"; {NEGATIVE_ALPHA}" if name == "alpha" else ""
        raise InputError(f"the prior of '{name}', which is positive, reaches below 0{mend}")
    # what is above in single precision, too
    if shape is not None and shape.upper < np.inf and np.any(prior.support(1.0001 * shape.upper)):
        raise InputError(f"the prior of '{name}', which is at most {shape.upper:g}, reaches above")
    return prior


def _correlation(name: str, prior: Any, effects: int) -> Prior:
    """Return the prior of correlations, an LKJ law."""
    if not isinstance(prior, dist.LKJ) or prior.batch_shape or prior.dimension != effects:
        raise InputError(
            f"the prior of '{name}' is a law of the correlations of {effects} effects: give "
            f"numpyro.distributions.LKJ({effects}, concentration)"
        )
    return prior


def _simplex(name: str, prior: Any, steps: int) -> Prior:
    """Return the prior of the shares of steps, a Dirichlet law."""
    if not isinstance(prior, dist.Dirichlet) or prior.batch_shape or prior.event_shape != (steps,):
        raise InputError(
            f"the prior of '{name}' is a law of the shares of {steps} steps: give "
            f"numpyro.distributions.Dirichlet of {steps} numbers"
        )
    return prior


def _given(name: str, value: object) -> float:
    """Return a number that nothing informs."""
    if isinstance(value, dist.Distribution):
        raise InputError(f"'{name}' is fixed beforehand, so that it is robust; give a number")
    if name != BACKGROUND_LOC:
        return _fixed(name, value, None)
    number = _number(name, value)
    if not np.isfinite(number):
        raise InputError(f"'{name}' cannot be fixed at {number:g}; it must be finite")
    return number


def _number(name: str, value: object) -> float:
    try:
        if isinstance(value, bool | np.bool | str):
            raise TypeError
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(
            f"the prior of '{name}' is neither a NumPyro distribution nor a number but {value!r}"
        ) from None


def _fixed(name: str, value: object, shape: Shape | None) -> float:
    """Return the number that a parameter is fixed at, which may be 0 or at its end if closed."""
    number = _number(name, value)
    if shape is not None and shape.closed:
        valid = 0 <= number <= shape.upper
        bounds = "0 or more" if shape.upper == np.inf else f"from 0 to {shape.upper:g}"
    else:
        valid, bounds = 0 < number < np.inf, "positive and finite"
    if not valid:
        mend = f"; {NEGATIVE_ALPHA}" if name == "alpha" and number < 0 else ""
        raise InputError(f"'{name}' cannot be fixed at {number:g}; it must be {bounds}{mend}")
    return number
