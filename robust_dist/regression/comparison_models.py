"""Which models are to be compared, and whether they can be."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from robust_dist._arguments import check_type
from robust_dist._errors import InputError
from robust_dist.regression.fit import Regression
from robust_dist.regression.likelihoods import NAMES, find_likelihood

DEFAULT = NAMES[:4]
"""the likelihoods of one formula"""

Formula = str | Mapping[str, str]
"""as ``Regression`` takes it"""


def models_to_compare(
    formula: Any, likelihoods: Sequence[str] | None
) -> dict[str, tuple[Formula, str]]:
    """Return formula and likelihood of each model by name, at least two."""
    check_type("likelihoods", likelihoods, (Iterable, type(None)), "a list of names")
    if isinstance(formula, Mapping) and any(isinstance(v, tuple | list) for v in formula.values()):
        if likelihoods is not None:
            raise InputError("models by name have their likelihoods; leave likelihoods out")
        models = {str(name): _model(str(name), value) for name, value in formula.items()}
    else:
        alone = isinstance(formula, str | Mapping)
        check_type("formula", formula, Iterable, "a formula, a list of them or models by name")
        formulas = {_text(part): part for part in ([formula] if alone else formula)}
        if likelihoods is None:
            likelihoods = DEFAULT if alone else DEFAULT[:1]
        laws = list(dict.fromkeys([likelihoods] if isinstance(likelihoods, str) else likelihoods))
        for law in laws:
            find_likelihood(law)
        models = {
            _name(text if len(formulas) > 1 else "", law if len(laws) > 1 else ""): (part, law)
            for text, part in formulas.items()
            for law in laws
        }
    for _, law in models.values():
        find_likelihood(law)
    if len(models) < 2:
        raise InputError("a comparison needs at least two different likelihoods, or two formulas")
    return models


def _model(name: str, value: Any) -> tuple[Formula, str]:
    """Return the formula and the likelihood of a model by name."""
    parts = tuple(value) if isinstance(value, tuple | list) else (value,)
    if not (len(parts) in (1, 2) and isinstance(parts[0], str | Mapping)):
        raise InputError(f"the model '{name}' is to be a formula and a likelihood, (F, L)")
    return parts[0], parts[1] if len(parts) == 2 else NAMES[0]


def _text(formula: Any) -> str:
    """Return a formula as one text."""
    check_type("formula", formula, (str, Mapping), "a text or a dictionary of texts")
    if isinstance(formula, str):
        return formula.strip()
    response, *further = formula.items()
    texts = [str(response[1]).strip(), *(f"{name} {str(part).strip()}" for name, part in further)]
    return ", ".join(texts)


def _name(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def check_alike(regressions: Mapping[str, Regression]) -> None:
    """Refuse models of other responses or rows: their densities are of different things."""
    first, *others = regressions
    design = regressions[first].design
    for name in others:
        other = regressions[name].design
        if other.response != design.response:
            raise InputError(
                f"'{first}' is a model of '{design.response}' and '{name}' one of "
                f"'{other.response}': densities of different responses cannot be compared"
            )
        if not np.array_equal(other.rows, design.rows):
            raise InputError(
                f"'{first}' has {len(design.y)} rows and '{name}' {len(other.y)}, or others, as "
                "their columns miss values in different rows; leave these out of the data first"
            )
