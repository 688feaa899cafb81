"""Whether a DataTree is a fit, before somebody reads it as one.

It may come from another library, from an older version or from a stranger's file.
"""

from typing import Any

import numpy as np
from xarray import Dataset, DataTree

from robust_dist._errors import InputError
from robust_dist.regression.design.design import BOUNDS, ENDS
from robust_dist.regression.likelihoods import (
    BACKGROUND_LOC,
    FORMULAS,
    Likelihood,
    find_likelihood,
)

_GROUPS = ("posterior", "observed_data", "constant_data")
EXPLANATIONS = "explanations"
"""the group of what else the data may say"""
_ATTRIBUTES = ("likelihood", "response")


def check_fit(dt: Any) -> None:
    """Refuse what is no fit of ``Regression``, and one whose parts do not belong together.

    Raises
    ------
    InputError
        Naming what is missing, or does not fit the rest.
    """
    if not isinstance(dt, DataTree):
        raise InputError(
            f"dt must be a fit, the DataTree that Regression(...).fit() returns, not of type "
            f"{type(dt).__name__}"
        )
    missing = [f"group '{name}'" for name in _GROUPS if name not in dt.children]
    missing += [f"attribute '{name}'" for name in _ATTRIBUTES if not _is_text(dt, name)]
    if missing:
        raise InputError(f"the DataTree is no fit of Regression: it has no {missing[0]}")
    likelihood = find_likelihood(dt.attrs["likelihood"])
    try:
        _check_parameters(dt["posterior"].dataset, dt.attrs, likelihood)
        _check_rows(dt)
        _check_explanations(dt)
    except _DamagedError as error:
        raise InputError(f"the DataTree is no whole fit of Regression: {error}; fit anew") from None


class _DamagedError(Exception):
    """What is wrong with a DataTree that has the parts of a fit."""


def _is_text(dt: DataTree, name: str) -> bool:
    return isinstance(dt.attrs.get(name), str)


def _is_number(value: Any, least: float) -> bool:
    return isinstance(value, int | float | np.number) and bool(value >= least)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise _DamagedError(problem)


def _check_parameters(posterior: Dataset, attributes: Any, likelihood: Likelihood) -> None:
    """Check that there are draws of every parameter of the law, or its fixed value."""
    for name, draws in posterior.data_vars.items():
        _require({"chain", "draw"} <= {*draws.dims}, f"'{name}' has no draws of chains")
        _require(draws.size > 0 and draws.dtype.kind in "fiub", f"'{name}' holds no numbers")
    _require("beta" in posterior, "it has no coefficients 'beta'")
    _require("coefficient" in posterior["beta"].dims, "'beta' has no dimension 'coefficient'")
    _require("coefficient" in posterior.coords, "its coefficients have no names")
    step = attributes.get("resolution", 1.0)
    positive = isinstance(step, int | float | np.number) and bool(0 < step < np.inf)
    _require(positive, "its 'resolution' is no positive number")
    formulas = [formula for formula in FORMULAS if f"beta_{formula}" in posterior]
    for name in likelihood.shared(formulas):
        known = _is_number(attributes.get(f"{name}_fixed"), 0.0)
        _require(known or name in posterior, f"it has neither draws nor a fixed value of '{name}'")
    for name in likelihood.given:
        least = -np.inf if name == BACKGROUND_LOC else 0.0
        known = _is_number(attributes.get(f"{name}_fixed"), least)
        _require(known, f"it has no number '{name}_fixed'")


def _check_rows(dt: DataTree) -> None:
    """Check that what is known of the rows is known of the same ones."""
    observed = dt["observed_data"].dataset
    _require("y" in observed and observed["y"].dims == ("row",), "it has no responses 'y'")
    _require("row" in observed.coords, "its rows have no names")
    rows = observed.sizes["row"]
    _require(rows > 0 and observed["y"].dtype.kind in "fiu", "its responses are no numbers")
    posterior, constants = dt["posterior"].dataset, dt["constant_data"].dataset
    for group in ("constant_data", "log_likelihood", "posterior_predictive"):
        if group in dt.children:
            size = dt[group].sizes.get("row", rows)
            _require(size == rows, f"'{group}' has {size} rows, not {rows}")
    for name, values in constants.data_vars.items():
        _require(values.dims[:1] == ("row",), f"'{name}' is not by row")
        _require(values.dtype.kind in "fiub", f"'{name}' holds no numbers")
    for what in BOUNDS:
        ends = [f"{what}_{end}" for end in ENDS if f"{what}_{end}" in constants]
        _require(len(ends) in (0, len(ENDS)), f"the bounds '{what}' lack one of their ends")
        if ends:
            low, high = (constants[end].values for end in ends)
            _require(bool((low <= high).all()), f"the bounds '{what}' are in no order")
    for part in ("", *(f"_{formula}" for formula in FORMULAS)):
        if f"x{part}" not in constants:
            continue
        _require(f"beta{part}" in posterior, f"it has no coefficients 'beta{part}'")
        names = [data.indexes.get(f"coefficient{part}") for data in (posterior, constants)]
        alike = names[0] is not None and names[1] is not None and names[0].equals(names[1])
        alike &= constants[f"x{part}"].dims == ("row", f"coefficient{part}")
        _require(alike, f"the columns of 'x{part}' are not the coefficients of 'beta{part}'")
    for key in map(str, constants.data_vars):
        if key.endswith("_index"):
            _check_levels(constants, posterior, key.removesuffix("_index"))


def _check_explanations(dt: DataTree) -> None:
    """Check that explanations are of the posterior's coefficients, with all that belongs to one."""
    if EXPLANATIONS not in dt.children:
        return
    table = dt[EXPLANATIONS].dataset
    both = ("explanation", "coefficient")
    for name in ("mean", "sd", "shift", "weight", "elsewhere"):
        dims = both if name in ("mean", "sd", "shift") else both[:1]
        whole = name in table and table[name].dims == dims and table[name].dtype.kind in "fiub"
        _require(whole, f"'{EXPLANATIONS}' has no numbers '{name}'")
    _require(table.sizes["explanation"] > 0, f"'{EXPLANATIONS}' is empty")
    names = [data.indexes.get("coefficient") for data in (table, dt["posterior"].dataset)]
    alike = names[0] is not None and names[0].equals(names[1]) and "explanation" in table.coords
    _require(alike, f"'{EXPLANATIONS}' are not of the coefficients of 'beta'")


def _check_levels(constants: Dataset, posterior: Dataset, name: str) -> None:
    """Check that the rows' levels are among those that have effects."""
    index = constants[f"{name}_index"]
    _require(name in posterior and f"{name}_x" in constants, f"it has no effects '{name}'")
    levels = posterior[name].shape[-1]
    whole = index.dims == ("row",) and index.dtype.kind in "iu"
    _require(
        whole and index.values.min() >= 0 and index.values.max() < levels,
        f"'{name}_index' holds no numbers of levels",
    )
