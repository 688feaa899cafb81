"""From formulas and a data frame to design matrices, or a clear error."""

import contextlib
import io
import itertools
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robust_dist._errors import InputError
from robust_dist._words.names import listed
from robust_dist.datasets import row_names
from robust_dist.regression.design.checks import check_design
from robust_dist.regression.design.columns import Role, like_those_of_the_fit, to_formula_columns
from robust_dist.regression.design.curves import GAUSSIAN, Curve, check_ordered, to_curve
from robust_dist.regression.design.design import Columns, CurveTerm, Design, GroupTerm
from robust_dist.regression.design.frame import check_row_values, column_named, is_whole, row_values
from robust_dist.regression.design.functions import Functions, check_functions, namespace
from robust_dist.regression.design.grammar import Formula, read_formula
from robust_dist.regression.design.levels import label
from robust_dist.regression.design.marginality import missing_terms
from robust_dist.regression.design.observed import Observed, censored_bounds, truncated_bounds
from robust_dist.regression.design.predictors import numeric_predictors
from robust_dist.regression.design.span import nearly_dependent, span_factor, winsorized_blocks
from robust_dist.regression.design.terms import check_levels, check_terms
from robust_dist.regression.likelihoods import FORMULAS

# of formulae, which make levels of a column
_ENCODINGS = ("C", "S", "T")


class Evaluated(NamedTuple):
    """Formulae's matrices, which remember how to evaluate the formulas in other data."""

    location: Any
    alpha: Any
    sigma: Any
    data: pd.DataFrame
    """what they were made from"""
    correlated: Mapping[str, tuple[tuple[str, ...], ...]]
    """the group-specific terms whose effects are correlated, by formula as ``split_formulas``"""
    curves: tuple[Curve, ...] = ()
    """the terms that are no columns"""

    def names(self, groups: bool = True) -> tuple[str, ...]:
        """Return the columns that predict, with or without those of group-specific terms alone."""
        names = dict.fromkeys(curve.column for curve in self.curves)
        for part in self.parts.values():
            for terms in (part.common, part.group if groups else None):
                for term in terms.terms.values() if terms is not None else ():
                    names |= dict.fromkeys(sorted(map(str, term.var_names - {""})))
        return tuple(names)

    def groups(self, data: pd.DataFrame) -> tuple[GroupTerm, ...]:
        """Return the group-specific terms of all formulas, evaluated in these data."""
        return tuple(
            term
            for part, matrices in self.parts.items()
            for term in _to_groups(matrices.group, data, part.removeprefix("_"), self.correlated)
        )

    @property
    def parts(self) -> dict[str, Any]:
        """The matrices by what ends the names of their coefficients."""
        parts = {"": self.location} | {f"_{name}": getattr(self, name) for name in FORMULAS}
        return {name: part for name, part in parts.items() if part is not None}


def split_formulas(formula: str | Mapping[str, str]) -> dict[str, str]:
    """Return the formula of the location under ``""``, and those of alpha and sigma, if any.

    Their accents are composed (NFC), as those of the columns.

    Raises
    ------
    InputError
        If there is no formula of the location, or several.
    """
    if isinstance(formula, str):
        return {"": unicodedata.normalize("NFC", formula)}
    if not isinstance(formula, Mapping):
        raise InputError(
            f"the formula must be text such as 'y ~ x', or a dictionary of texts, not {formula!r}"
        )
    formulas = {}
    for name, text in formula.items():
        if not (isinstance(name, str) and isinstance(text, str)):
            raise InputError(
                f"the formulas must be texts by name, such as {{'y': 'y ~ x'}}, not "
                f"{{{name!r}: {text!r}}}"
            )
        name, text = (unicodedata.normalize("NFC", part) for part in (name, text))
        alone = text.strip().startswith("~")
        if name in FORMULAS and alone:
            formulas[name] = text.strip().removeprefix("~").strip()
        elif "" in formulas:
            raise InputError(
                f"no formula for '{name}': besides that of the response, {' and '.join(FORMULAS)} "
                f"may have one, such as {{'{FORMULAS[0]}': '~ x'}}; several responses are for "
                "fit_responses"
            )
        else:
            response = name if name.isidentifier() else f"`{name}`"
            formulas[""] = f"{response} {text.strip()}" if alone else text
    if "" not in formulas:
        raise InputError("the formulas name no response; add one such as {'y': 'y ~ x'}")
    return formulas


def make_design(
    formula: str | Mapping[str, str],
    data: pd.DataFrame,
    *,
    weights: Any = None,
    offset: Any = None,
    measurement_error: Any = None,
    drop_missing: bool = False,
    functions: Functions | None = None,
) -> tuple[Design, pd.DataFrame]:
    """Evaluate formulas in a data frame.

    Parameters
    ----------
    formula
        Such as ``"y ~ x1 + log(x2) + (1 | group)"``, or a dictionary of the response's, alpha's and
        sigma's. A name that is no Python identifier goes in backticks.
    data
        The columns that the formulas name. Strings and categories become indicator columns, dates
        days since the first, and True counts 1.
    weights, offset, measurement_error
        A number for each row, or the column that has them.
    drop_missing
        Whether to leave rows with missing values out, instead of refusing them.
    functions
        What the formulas may call besides the listed functions.

    Returns
    -------
    tuple
        The design, and the rows and columns of the data that it was made from, as numbers and
        levels (:mod:`robust_dist.regression.design.columns`).

    Raises
    ------
    InputError
        If the formula or the data cannot be used; the message says why.
    """
    formulas = split_formulas(formula)
    read = _read(formulas, functions)
    names = _names(read, data)
    extra = {
        what: row_values(what.replace("_", " "), given, data)
        for what, given in (
            ("weights", weights),
            ("offset", offset),
            ("measurement_error", measurement_error),
        )
    }
    if drop_missing:
        whole = is_whole(data, names, extra.values())
        if not whole.any():
            raise InputError("every row misses some value: nothing is left to fit")
        data = data[whole]
        extra = {what: None if values is None else values[whole] for what, values in extra.items()}
    columns = to_formula_columns(data, _roles(read, names))
    for what, values in extra.items():
        check_row_values(what.replace("_", " "), values, data)
    evaluated = evaluate(formulas, columns, functions)
    for curve in evaluated.curves:
        check_ordered(curve, column_named(curve.column, data), columns)
    design = _make(evaluated, formulas[""], columns, {**extra, "own_functions": bool(functions)})
    design = _with_bounds(design, read[""].observed, columns, functions or {})
    check_design(design, columns)
    return _with_factors(design, evaluated, columns), columns


def _read(formulas: Mapping[str, str], functions: Functions | None) -> dict[str, Formula]:
    """Return the formulas, checked."""
    added = check_functions(functions)
    return {name: read_formula(text, added) for name, text in formulas.items()}


def _names(formulas: Mapping[str, Formula], data: pd.DataFrame) -> list[str]:
    """Return the columns that formulas use, all of which there are."""
    names = dict.fromkeys(name for part in formulas.values() for name in sorted(part.columns))
    for name in names:
        column_named(name, data)
    return list(names)


def evaluate(
    formulas: Mapping[str, str], data: pd.DataFrame, functions: Functions | None = None
) -> Evaluated:
    """Return formulae's matrices of all formulas.

    Nothing else evaluates a formula, be it of a user or of a file.

    Raises
    ------
    InputError
        If a formula calls what is not listed, names what is no column, or cannot be computed.
    """
    read = _read(formulas, functions)
    _names(read, data)
    numeric = frozenset().union(*(part.numeric for part in read.values()))
    _check_numeric(numeric, data)
    added = functions or {}
    matrices = {
        name: _evaluate(formulas[name], part.model, data, added) for name, part in read.items()
    }
    for name, part in matrices.items():
        if name and part.common is None:
            raise InputError(f"the formula of {name}, '~ {formulas[name]}', leaves no coefficient")
        if name and part.response is not None:
            raise InputError(f"the formula of {name}, '~ {formulas[name]}', may have no response")
    alpha, sigma = (matrices.get(part) for part in FORMULAS)
    correlated = {name: part.correlated for name, part in read.items()}
    for name, part in read.items():
        if name and part.curves:
            raise InputError(
                f"the formula of {name}, '~ {formulas[name]}', has {part.curves[0].name}, which "
                "that of the response alone may"
            )
    return Evaluated(matrices[""], alpha, sigma, data, correlated, read[""].curves)


def _make(
    evaluated: Evaluated, formula: str, data: pd.DataFrame, extra: Mapping[str, Any]
) -> Design:
    """Return the design of formulae's matrices."""
    location = evaluated.location
    if location.response is None:
        raise InputError(f"the formula '{formula}' names no response; write 'y ~ ...'")
    if location.common is None:
        raise InputError(f"the formula '{formula}' leaves no coefficient to fit")
    common = to_columns(location.common)
    return Design(
        values=common.values,
        coefficients=common.coefficients,
        y=_response(location.response, data),
        response=location.response.name,
        rows=data.index,
        groups=evaluated.groups(data),
        curves=tuple(to_curve(curve, data, data) for curve in evaluated.curves),
        alpha=evaluated.alpha and to_columns(evaluated.alpha.common),
        sigma=evaluated.sigma and to_columns(evaluated.sigma.common),
        weights=extra["weights"],
        offset=extra["offset"],
        measurement_error=extra["measurement_error"],
        own_functions=extra["own_functions"],
    )


def _with_bounds(
    design: Design, observed: Observed | None, data: pd.DataFrame, functions: Functions
) -> Design:
    """Return the design with the bounds of responses that are not observed in full."""
    if observed is None:
        return design
    ends: dict[str, Any] = {
        place: bound
        if isinstance(bound, float)
        else _response(_evaluate(f"{observed.function}()", bound, data, functions).response, data)
        for place, bound in observed.bounds.items()
    }
    if observed.status is None:
        window = truncated_bounds(design.y, ends, design.response, data)
        return replace(design, truncated=window)
    bounds = censored_bounds(design.y, ends.get("high"), observed.status, data)
    return replace(design, censored=bounds)


def _with_factors(design: Design, evaluated: Evaluated, data: pd.DataFrame) -> Design:
    """Return the design with what coordinates need of its columns, and what is wrong with them."""

    def with_factor(columns: Columns | None, part: Any) -> Any:
        if columns is None:
            return None
        winsorized = winsorized_blocks(part.common, data, design.weights)
        measured = replace(columns, factor=span_factor(columns, winsorized, design.weights))
        problems.extend(missing_terms(part.common, columns, data))
        problems.extend(nearly_dependent(measured, part.common))
        return measured

    problems: list[str] = []
    measured = with_factor(design, evaluated.location)
    return replace(
        measured,
        alpha=with_factor(design.alpha, evaluated.alpha),
        sigma=with_factor(design.sigma, evaluated.sigma),
        predictors=numeric_predictors(evaluated.location.common, data),
        problems=tuple(problems),
    )


def to_columns(common: Any) -> Columns:
    """Return formulae's common effects as named columns."""
    from formulae.utils import flatten_list

    labels = flatten_list([term.labels for term in common.terms.values()])
    columns: list[np.ndarray] = []
    for term in common.terms.values():
        if term.kind == "intercept":
            columns.append(np.broadcast_to(1.0, len(term.data)))  # one number in memory
        else:
            columns.extend(np.reshape(term.data, (len(term.data), -1)).T)
    return Columns(tuple(columns), tuple(map(str, labels)))


def _to_groups(
    group: Any,
    data: pd.DataFrame,
    formula: str,
    correlated: Mapping[str, Iterable[tuple[str, ...]]],
) -> tuple[GroupTerm, ...]:
    """Return formulae's group-specific effects of one formula, evaluated in these data."""
    terms = []
    for term in group.terms.values() if group is not None else ():
        with np.errstate(all="ignore"):  # infinities and NaN are looked for afterwards
            x = np.asarray(term.expr.eval_new_data(data), float)
        intercept = term.kind == "intercept"
        terms.append(
            GroupTerm(
                name=term.name,
                x=x[:, None] if x.ndim == 1 else x,
                effects=("1",) if intercept else tuple(map(str, term.expr.labels)),
                group=term.factor.name,
                levels=_level_names(term.factor),
                numeric=term.kind == "numeric",
                index=_level_numbers(term.factor, data),
            )
        )
    prefix = formula and f"{formula}_"
    return tuple(
        replace(
            term,
            name=f"{prefix}{term.name}",
            block=term.block and f"{prefix}{term.block}",
            formula=formula,
        )
        for term in _in_blocks(terms, correlated.get(formula, ()))
    )


def _in_blocks(
    terms: list[GroupTerm], correlated: Iterable[tuple[str, ...]]
) -> tuple[GroupTerm, ...]:
    """Return the terms with the names of their blocks of correlated effects."""
    blocks: list[set[str]] = []
    for names in correlated:
        # of (1 | g) + (x | g), too, whose effect of g alone is one
        alike = [block for block in blocks if not block.isdisjoint(names)]
        blocks = [block for block in blocks if block not in alike]
        blocks.append({*names}.union(*alike))
    named: dict[str, str] = {}
    for block in blocks:
        effects = [effect for term in terms if term.name in block for effect in term.effects]
        if len(effects) > 1:
            group = next(term.group for term in terms if term.name in block)
            named |= dict.fromkeys(block, f"{' + '.join(effects)}|{group}")
    return tuple(replace(term, block=named.get(term.name, "")) for term in terms)


def _level_names(factor: Any) -> tuple[str, ...]:
    names = [map(label, component.levels) for component in factor.components]
    return tuple(map(":".join, itertools.product(*names)))


def _level_numbers(factor: Any, data: pd.DataFrame) -> np.ndarray:
    """Return the number of each row's level; those that the fit has not seen come after."""
    from formulae.categorical import CategoricalBox

    values, codes = [], []
    for component in factor.components:
        called = hasattr(component, "call")
        column = component.call.eval(data, component.env) if called else data[component.name]
        values.append(np.asarray(column.data if isinstance(column, CategoricalBox) else column))
        codes.append(pd.Index(component.levels).get_indexer(pd.Index(values[-1])))
    known = np.all([code >= 0 for code in codes], axis=0)
    sizes = tuple(len(component.levels) for component in factor.components)
    numbers = np.empty(len(data), int)
    numbers[known] = np.ravel_multi_index([code[known] for code in codes], sizes)
    labels = pd.Series(zip(*(value[~known] for value in values), strict=True), dtype=object)
    numbers[~known] = np.prod(sizes, dtype=int) + pd.factorize(labels)[0]
    return numbers


def _roles(formulas: Mapping[str, Formula], names: list[str]) -> dict[str, Role]:
    """Return what the formulas do with each column, the most that they do."""
    from formulae.terms.call import Call
    from formulae.terms.call_resolver import LazyVariable

    uses: dict[str, set[Role]] = {name: set() for name in names}

    def add(components: list[Any], alone: Role) -> None:
        for component in components:
            role = alone
            if isinstance(component, Call):
                call = component.call
                of_column = [isinstance(argument, LazyVariable) for argument in call.args[:1]]
                role = Role.COMPUTED
                if call.callee in _ENCODINGS and all(of_column):
                    role = Role.LABELS
            for name in component.var_names & uses.keys():
                uses[name].add(role)

    for formula in formulas.values():
        description = formula.model
        terms = [*description.common_terms, *(term.expr for term in description.group_terms)]
        bounds = formula.observed.bounds.values() if formula.observed is not None else ()
        for part in (description, *(bound for bound in bounds if not isinstance(bound, float))):
            if part.response is not None:
                terms.append(part.response.term)
        for term in terms:
            components = getattr(term, "components", [])  # an intercept has none
            add(components, Role.TERM if len(components) == 1 else Role.COMPUTED)
        for term in description.group_terms:
            add(term.factor.components, Role.LABELS)
        for curve in formula.curves:
            uses[curve.column].add(Role.COMPUTED if curve.kind == GAUSSIAN else Role.TERM)
        if formula.observed is not None and formula.observed.status is not None:
            uses[formula.observed.status].add(Role.LABELS)
    # a column whose term is taken away again, as by "x + z - z", has none
    return {
        name: max(roles, key=list(Role).index, default=Role.TERM) for name, roles in uses.items()
    }


def _check_numeric(names: Iterable[str], data: pd.DataFrame) -> None:
    """Refuse to compute with labels: a text times 1e9 would fill the memory."""
    for name in names:
        dtype = data[name].dtype
        if isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(dtype):
            raise InputError(
                f"column '{name}' holds labels, such as '{data[name].iloc[0]}', and the formula "
                "computes with it; write C(...) of it, or a comparison such as I(x == 'a')"
            )


def _evaluate(formula: str, model: Any, data: pd.DataFrame, functions: Functions) -> Any:
    """Return formulae's matrices."""
    from formulae.environment import Environment
    from formulae.matrices import DesignMatrices

    check_levels(model, data, formula)
    try:
        # formulae prints before it raises; infinities and NaN are looked for afterwards
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            matrices = DesignMatrices(model, data, Environment([namespace(functions)]))
    except Exception as error:
        # a user's function may raise anything
        raise InputError(f"cannot evaluate the formula '{formula}': {_reason(error)}") from None
    for part in (matrices.response, matrices.common):
        if part is not None and np.iscomplexobj(part.design_matrix):
            raise InputError(f"the formula '{formula}' comes to complex numbers")
    check_terms(matrices.model, formula)
    return matrices


def _reason(error: Exception) -> str:
    """Return what an exception says, in one line."""
    return " ".join(str(error.args[-1] if error.args else "").split()) or type(error).__name__


def _response(response: Any, data: pd.DataFrame) -> np.ndarray:
    """Return the response, which must be a column of numbers."""
    if response.name in data.attrs["since"]:
        raise InputError(
            f"the response '{response.name}' holds dates or durations; "
            "a regression needs a column of numbers on the left"
        )
    values = np.asarray(response.design_matrix)
    if response.kind != "numeric" or values.ndim != 1 or values.dtype == bool:
        example = f" (it holds '{data[response.name].iloc[0]}')" if response.name in data else ""
        raise InputError(
            f"the response '{response.name}' is not numeric{example}; "
            "a regression needs a column of numbers on the left"
        )
    return np.asarray(values, float)


class NewDesign(NamedTuple):
    """What formulas come to in new data."""

    x: np.ndarray
    alpha: np.ndarray | None
    sigma: np.ndarray | None
    """the matrices of the location and of the other formulas"""
    groups: tuple[GroupTerm, ...]
    curves: tuple[CurveTerm, ...]


def evaluate_new(evaluated: Evaluated, data: pd.DataFrame, groups: bool = True) -> NewDesign:
    """Return the design matrices of loc, alpha and sigma in new data, and the other terms.

    Without the groups, their columns may be missing.

    Raises
    ------
    InputError
        If a column is missing or misses a value, or holds a category that was not there before.
    """
    data = like_those_of_the_fit(data, evaluated.data, evaluated.names(groups))
    matrices: list[Any] = []
    for part in (evaluated.location, evaluated.alpha, evaluated.sigma):
        if part is None:
            matrices.append(None)
            continue
        try:
            with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
                x = np.asarray(part.common.evaluate_new_data(data).design_matrix, float)
        except Exception as error:
            _check_categories(part.common, data, evaluated.data)
            # as in _evaluate
            raise InputError(
                f"cannot evaluate the formula in the new data: {_reason(error)}"
            ) from None
        names = to_columns(part.common).coefficients
        for column, values in zip(names, x.T, strict=True):
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise InputError(f"'{column}' is not finite in {row_names(data, bad)}")
        matrices.append(x)
    terms = evaluated.groups(data) if groups else ()
    curves = tuple(to_curve(curve, evaluated.data, data) for curve in evaluated.curves)
    return NewDesign(matrices[0], matrices[1], matrices[2], terms, curves)


def _check_categories(common: Any, data: pd.DataFrame, fitted: pd.DataFrame) -> None:
    """Refuse new data, in which terms cannot be computed, for a category that is not the fit's."""
    for name in sorted(set().union(*(term.var_names for term in common.terms.values())) - {""}):
        if not isinstance(fitted[name].dtype, pd.CategoricalDtype):
            continue
        known = fitted[name].cat.categories
        new = np.flatnonzero(~data[name].isin(known))
        if new.size:
            raise InputError(
                f"column '{name}' holds '{data[name].iloc[new[0]]}', which the fit has not seen "
                f"(it has {listed(list(map(label, known)))}), in {row_names(data, new)}"
            )
