"""New rows: what the parameters of a fit meet in them, and the effects of their groups."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist._errors import InputError
from robust_dist.datasets import row_names
from robust_dist.regression.datatree import safe
from robust_dist.regression.design.design import GroupTerm, center_owners, correlated_effects
from robust_dist.regression.design.formula import Evaluated, evaluate_new
from robust_dist.regression.design.frame import check_row_values, is_whole, row_values
from robust_dist.regression.likelihoods import FORMULAS
from robust_dist.regression.model import correlated, uncentered
from robust_dist.regression.row_laws import Effect, Rows, group_effects, stacked

FITTED, POPULATION, NEW = GROUPS = ("fitted", "population", "new")
"""which effects the groups of rows have"""
MIXED, DRAW, REFUSE = UNSEEN = ("mixed", "draw", "refuse")
"""what becomes of levels that the fit has not seen"""


def new_rows(
    dt: DataTree,
    evaluated: Evaluated,
    frame: pd.DataFrame,
    unseen: str,
    generator: np.random.Generator,
    offset: Any,
    measurement_error: Any,
    groups: str = FITTED,
) -> tuple[Rows, dict[str, np.ndarray]]:
    """Return what the parameters meet in new rows, and the effects of their groups."""
    new = evaluate_new(evaluated, frame, groups != POPULATION)
    if groups == FITTED:
        for term in new.groups:
            _check_seen(term, group_effects(dt, safe(term.name)).shape[-1], unseen, frame)
    met, effects = met_groups(dt, new.groups, generator, groups)
    met += tuple(Effect(safe(curve.weights), curve.x, None) for curve in new.curves)
    given = {"offset": offset, "measurement_error": measurement_error}
    extras = {what: _extra(dt, what, value, frame) for what, value in given.items()}
    designs = {name: getattr(new, name) for name in FORMULAS}
    distributional = {name: x for name, x in designs.items() if x is not None}
    return Rows(new.x, distributional, effects=met, **extras), effects


def _check_seen(term: GroupTerm, known: int, unseen: str, frame: pd.DataFrame) -> None:
    """Refuse levels that the fit has not seen, if they are to be."""
    new = term.index >= known
    mend = f"unseen='{DRAW}' (--unseen {DRAW}) would draw"
    if unseen == REFUSE and new.any():
        raise InputError(
            f"the group '{term.group}' has a level that the fit has not seen in "
            f"{row_names(frame, np.flatnonzero(new))}; {mend} its effect"
        )
    if unseen == MIXED and new.all():
        raise InputError(
            f"no row of the new data has a level of the group '{term.group}' that the fit has "
            f"seen, such as '{term.levels[0]}'; {mend} their effects"
        )


def met_groups(
    dt: DataTree, terms: Sequence[GroupTerm], generator: np.random.Generator, groups: str
) -> tuple[tuple[Effect, ...], dict[str, np.ndarray]]:
    """Return the group-specific terms that rows meet, and their effects by name.

    The effects are those of the fit's levels, behind which come those of new ones, drawn from the
    Normal of the group's standard deviation: of the levels that the fit has not seen or, by
    ``"new"``, of each.
    """
    met = []
    drawn: dict[str, np.ndarray] = {}
    spreads: dict[str, np.ndarray] = {}
    for term in terms:
        name = safe(term.name)
        known = group_effects(dt, name)
        levels = known.shape[-1]
        index = levels + pd.factorize(term.index)[0] if groups == NEW else term.index
        sd = stacked(dt, f"{name}_sigma")
        if sd is None:
            sd = np.full(known.shape[:1], float(dt.attrs[f"{term.name}_sigma_fixed"]))
        noise = generator.normal(size=(*known.shape[:2], max(int(index.max()) + 1 - levels, 0)))
        drawn[term.name], spreads[term.name] = noise, sd.reshape(len(sd), -1, 1)
        met.append(Effect(name, term.x, index, term.formula))
    factors = {
        block.name: _factors(stacked(dt, safe(block.correlation)))
        for block in correlated_effects(terms)
    }
    drawn = correlated(drawn, correlated_effects(terms), factors)
    drawn = {name: spreads[name] * noise for name, noise in drawn.items()}
    # their law is that of effects at the centers of x
    stored = json.loads(dt.attrs.get("group_centers", "{}"))
    owners = center_owners(terms)
    drawn = uncentered(drawn, owners, {name: stored.get(name, 0.0) for name in owners})
    effects = {
        safe(name): np.concatenate([group_effects(dt, safe(name)), new], axis=-1)
        for name, new in drawn.items()
    }
    return tuple(met), effects


def _factors(correlations: np.ndarray | None) -> np.ndarray:
    """Return the Cholesky factors of draws of correlations, which lie below the diagonal."""
    assert correlations is not None
    size = round((1 + np.sqrt(1 + 8 * correlations.shape[-1])) / 2)
    rows, columns = np.tril_indices(size, -1)
    matrices = np.broadcast_to(np.eye(size), (len(correlations), size, size)).copy()
    matrices[:, rows, columns] = matrices[:, columns, rows] = correlations
    return np.linalg.cholesky(matrices)


def whole_rows(
    dt: DataTree, names: Iterable[str], frame: pd.DataFrame, given: Mapping[str, Any]
) -> tuple[pd.DataFrame, dict[str, np.ndarray | None]]:
    """Return the rows that miss none of these columns, and what is given of them besides.

    Raises
    ------
    InputError
        If there are none.
    """
    values = {what: _values(dt, what, value, frame) for what, value in given.items()}
    whole = is_whole(frame, names, values.values())
    if len(frame) and not whole.any():
        raise InputError("every row misses some value: nothing is left to predict")
    kept = {what: None if value is None else value[whole] for what, value in values.items()}
    return frame[whole], kept


def _extra(dt: DataTree, what: str, given: Any, frame: pd.DataFrame) -> np.ndarray | None:
    """Return the offset or the measurement error of new rows, which the fit may call for."""
    values = _values(dt, what, given, frame)
    check_row_values(what.replace("_", " "), values, frame)
    return values


def _values(dt: DataTree, what: str, given: Any, frame: pd.DataFrame) -> np.ndarray | None:
    """Return the same, some of which may be missing."""
    name = what.replace("_", " ")
    given = dt.attrs.get(f"{what}_column") if given is None else given
    if given is None and what in dt["constant_data"].dataset:
        raise InputError(
            f"the fit has the {name} of each row; give that of the new rows "
            f"(--{what.replace('_', '-')} for a column)"
        )
    if given is not None and what not in dt["constant_data"].dataset:
        raise InputError(f"the fit was given no {name}, so the prediction cannot take one")
    return row_values(name, given, frame)
