"""A fit as a function of its predictors, in double precision."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist._errors import InputError
from robust_dist._words.names import listed, nearest
from robust_dist.regression import training_data
from robust_dist.regression.design.curves import MONOTONIC
from robust_dist.regression.design.formula import evaluate
from robust_dist.regression.design.functions import Functions, check_functions
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.likelihoods import FORMULAS, likelihood_of
from robust_dist.regression.predict import draw_response, new_rows
from robust_dist.regression.row_laws import (
    Rows,
    check_coefficients,
    evaluate_rows,
    location,
    sampled_parameters,
)

MEAN = "mean"
"""the target that every fit has"""
GROUPS = ("fitted", "population")


class Point(NamedTuple):
    """What the parameters of the fit meet in some rows."""

    rows: Rows
    effects: dict[str, np.ndarray]
    """the draws of the group-specific effects"""


class Surface:
    """A fit as a function of its predictors.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    target
        ``"mean"``, or the name of a formula of the noise that the fit has.
    groups
        Whether rows have the ``"fitted"`` effects of their groups, or those of the
        ``"population"``, which are zero.
    functions
        As for ``Regression``.

    Raises
    ------
    InputError
        If the fit has no such target, or calls a function that is not given.
    """

    def __init__(self, dt: DataTree, target: str, groups: str, functions: Functions | None) -> None:
        check_fit(dt)
        if groups not in GROUPS:
            raise InputError(f"groups must be one of {', '.join(GROUPS)}, not '{groups}'")
        self.dt, self.target, self.groups = dt, target, groups
        self.likelihood = likelihood_of(dt)
        self.evaluated = evaluate(*training_data.load(dt), check_functions(functions))
        check_coefficients(dt, self.evaluated)
        formulas = [name for name in FORMULAS if f"_{name}" in self.evaluated.parts]
        if target not in (MEAN, *formulas):
            known = ", ".join((MEAN, *formulas))
            raise InputError(
                f"no target '{target}'{nearest(str(target), (MEAN, *formulas)) or ';'} "
                f"there are: {known} (others have no formula and are the same in all rows)"
            )
        constants = dt["constant_data"].dataset
        columns = {name: self.evaluated.data[name] for name in self.evaluated.names()}
        self._row_values: dict[str, str] = {}
        for what in ("offset", "measurement_error"):
            if what in constants:
                # one that was given as an array has a name of its own
                name = dt.attrs.get(f"{what}_column", what if what not in columns else f"({what})")
                columns[name] = pd.Series(constants[what].values, self.evaluated.data.index)
                self._row_values[what] = name
        self.data = pd.DataFrame(columns)
        """the observed rows, as numbers and levels"""
        self.data.attrs = {"since": dict(self.evaluated.data.attrs["since"])}

    def check_column(self, name: object) -> str:
        """Return the name of a predictor, or say that there is none."""
        if isinstance(name, str) and name in self.data.columns:
            return name
        known = list(map(str, self.data.columns))
        raise InputError(
            f"no predictor '{name}'{nearest(str(name), known) or ';'} "
            f"there are: {listed(known, 20) if known else 'none'}"
        )

    def point(self, frame: pd.DataFrame, stated: Collection[str]) -> Point:
        """Return what the parameters meet in these rows.

        Parameters
        ----------
        frame
            All predictors, as numbers and levels.
        stated
            The columns whose values are meant; a group has its effect if all of its own are.
        """
        given = {what: frame[name].to_numpy(float) for what, name in self._row_values.items()}
        # of levels that the fit has not seen nothing is kept, so that the seed does not matter
        rows, effects = new_rows(
            self.dt,
            self.evaluated,
            frame,
            "draw",
            np.random.default_rng(0),
            given.get("offset"),
            given.get("measurement_error"),
        )
        grouped = [effect for effect in rows.effects if effect.level is not None]
        kept = tuple(
            effect
            for effect, owners in zip(grouped, self._group_columns(), strict=True)
            if self.groups == "fitted" and owners <= {*stated} and self._are_levels(owners)
        )
        return Point(rows._replace(effects=(*kept, *rows.curves)), effects)

    def _group_columns(self) -> list[set[str]]:
        """Return the columns that tell the level of each group-specific term."""
        return [
            set(map(str, term.factor.var_names))
            for part in self.evaluated.parts.values()
            if part.group is not None
            for term in part.group.terms.values()
        ]

    def _are_levels(self, names: Collection[str]) -> bool:
        return all(isinstance(self.data[name].dtype, pd.CategoricalDtype) for name in names)

    def common_columns(self) -> set[str]:
        """Return the columns that matter to the population too."""
        names = {*self._row_values.values(), *(curve.column for curve in self.evaluated.curves)}
        for part in self.evaluated.parts.values():
            for term in part.common.terms.values():
                names |= set(map(str, term.var_names))
        return names & {*self.data.columns}

    @property
    def stepped(self) -> set[str]:
        """The columns of monotonic effects, which take steps and nothing between."""
        return {curve.column for curve in self.evaluated.curves if curve.kind == MONOTONIC}

    def values(self, point: Point) -> np.ndarray:
        """Return the target of rows, shape (draws, rows)."""
        if self.target != MEAN:
            name, _ = self.likelihood.links[self.target]
            return sampled_parameters(self.dt, *point)[name]
        if self.likelihood.symmetric:
            return location(self.dt, *point)
        return self.likelihood.mean(evaluate_rows(self.dt, *point))

    def responses(self, point: Point, seed: int) -> np.ndarray:
        """Return new observations in rows, shape (draws, rows)."""
        return draw_response(self.dt, evaluate_rows(self.dt, *point), seed)

    def slopes(self, low: Point, high: Point, width: np.ndarray) -> np.ndarray:
        """Return how much the target rises from low to high, over the width, shape (draws, rows).

        Of the location, which is linear in the columns of the design, these are subtracted before
        anything is multiplied: the slope of a linear term is its coefficient to the last digit,
        however far from zero the predictor lies.
        """
        if self.target != MEAN:
            return (self.values(high) - self.values(low)) / width
        slopes = location(self.dt, _difference(low.rows, high.rows, width), high.effects)
        if not self.likelihood.symmetric:
            for sign, point in ((1, high), (-1, low)):
                skewness = self.values(point) - location(self.dt, *point)
                slopes = slopes + sign * skewness / width
        return slopes


def _difference(low: Rows, high: Rows, width: np.ndarray) -> Rows:
    """Return how much what the location meets differs between rows, over the width."""
    over = width[:, None]
    effects = tuple(
        end._replace(x=(end.x - start.x) / over)
        for start, end in zip(low.effects, high.effects, strict=True)
    )
    offset = None
    if low.offset is not None and high.offset is not None:
        offset = (high.offset - low.offset) / width
    return Rows((high.x - low.x) / over, {}, offset, None, effects)
