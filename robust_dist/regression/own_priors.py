"""The user's own priors: what each is for, and what can be none."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpyro import distributions as dist

from robust_dist._errors import InputError
from robust_dist._words.names import nearest
from robust_dist.regression.design.design import Columns, Design
from robust_dist.regression.likelihoods import Likelihood
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
    return dict.fromkeys(names, 1) | groups


def choose(design: Design, likelihood: Likelihood, given: Mapping[str, Any]) -> Chosen:
    """Return the user's priors by what they are for.

    Raises
    ------
    InputError
        If one is for no parameter of the model, or none that the parameter can have.
    """
    parts, scalars = predictors(design), _scalars(design, likelihood)
    closed = {shape.name for shape in likelihood.shapes if shape.closed}
    singles = {
        key: (part, column)
        for part, columns in parts.items()
        for column, name in enumerate(columns.coefficients)
        for key in _keys(part, name, {*scalars, *parts})
    }
    chosen = Chosen({}, {part: [] for part in parts})
    for name, prior in given.items():
        if name in scalars:
            chosen.scalars[name] = _scalar(name, prior, scalars[name], name in closed)
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


def _scalar(name: str, prior: Any, elements: int, closed: bool) -> Prior:
    """Return the prior of a parameter that is no coefficient: a law, or what it is fixed at."""
    if not isinstance(prior, dist.Distribution):
        return _fixed(name, prior, closed)
    _check_law(name, prior, elements)
    if bool(np.any(prior.support(-1.0))):
        raise InputError(f"the prior of '{name}', which is positive, reaches below 0")
    return prior


def _fixed(name: str, value: object, closed: bool) -> float:
    """Return the number that a parameter is fixed at, which may be 0 or infinite if closed."""
    try:
        if isinstance(value, bool | np.bool | str):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(
            f"the prior of '{name}' is neither a NumPyro distribution nor a number but {value!r}"
        ) from None
    if not (number >= 0 if closed else 0 < number < np.inf):
        bounds = "0 or more" if closed else "positive and finite"
        raise InputError(f"'{name}' cannot be fixed at {number:g}; it must be {bounds}")
    return number
