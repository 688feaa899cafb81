"""What prediction needs of the training data, kept in the DataTree as plain arrays.

A formula may hold terms that remember the data, such as ``scale(x)``, splines and categories; they
are made anew from the columns they came from, so that no code is ever read from a file.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from xarray import Dataset, DataTree

from robust_dist._errors import InputError
from robust_dist.regression.likelihoods import FORMULAS

GROUP = "training_data"


def save(dt: DataTree, formulas: Mapping[str, str], frame: pd.DataFrame) -> None:
    """Put the formulas and the columns they use in a DataTree."""
    variables: dict[str, Any] = {}
    columns = []
    since = frame.attrs.get("since", {})
    for i, name in enumerate(frame.columns):
        kind, values, levels = _encode(frame[name])
        column = {"name": str(name), "kind": kind}
        if name in since:
            column["since"] = since[name]
        columns.append(column)
        variables[f"column_{i}"] = ("row", values)
        if levels is not None:
            variables[f"levels_{i}"] = (f"level_{i}", levels)
    dt[GROUP] = DataTree(Dataset(variables))
    dt.attrs["design_state"] = json.dumps({"formulas": dict(formulas), "columns": columns})


def load(dt: DataTree) -> tuple[dict[str, str], pd.DataFrame]:
    """Return the formulas and the columns they use.

    Raises
    ------
    InputError
        If the DataTree is no fit of this package, or what it holds cannot be read.
    """
    if "design_state" not in dt.attrs or GROUP not in dt.children:
        raise InputError("the DataTree has no design_state; it is no fit of Regression")
    try:
        return _read(json.loads(dt.attrs["design_state"]), dt[GROUP].dataset)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"the design_state of the fit cannot be read ({reason}); fit anew"
        ) from None


def _read(state: Any, dataset: Dataset) -> tuple[dict[str, str], pd.DataFrame]:
    """Return the formulas and the columns, or raise anything."""
    formulas = {name: state["formulas"][name] for name in state["formulas"]}
    if not {""} <= {*formulas} <= {"", *FORMULAS}:
        raise ValueError(f"its formulas are not those of a location, {' and '.join(FORMULAS)}")
    if not all(isinstance(text, str) for text in formulas.values()):
        raise TypeError("a formula is no text")
    columns: dict[str, Any] = {}
    since: dict[str, str] = {}
    for i, column in enumerate(state["columns"]):
        levels = dataset.get(f"levels_{i}")
        values = dataset[f"column_{i}"]
        if values.dims != ("row",):
            raise ValueError(f"column_{i} is not by row")
        columns[column["name"]] = _decode(
            column["kind"], values.values, None if levels is None else levels.values
        )
        if "since" in column:
            since[column["name"]] = str(column["since"])
            if since[column["name"]]:
                pd.Timestamp(since[column["name"]])
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs["since"] = since
    return formulas, frame


def _encode(column: pd.Series) -> tuple[str, np.ndarray, np.ndarray | None]:
    """Return the kind of a column, its numbers, and what they stand for."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        if column.dtype == bool:
            return "boolean", column.to_numpy(np.int8), None
        return "number", column.to_numpy(), None
    levels = column.dtype.categories
    codes = column.cat.codes.to_numpy(np.int32)
    if levels.dtype == bool:
        return "booleans", codes, levels.to_numpy(np.int8)
    if pd.api.types.is_numeric_dtype(levels.dtype):
        return "levels", codes, levels.to_numpy()
    return "levels", codes, levels.to_numpy(object).astype(str)


def _decode(kind: str, values: np.ndarray, levels: np.ndarray | None) -> Any:
    if kind in ("number", "boolean"):
        if values.dtype.kind not in "fiub":
            raise TypeError("a column of numbers holds none")
        return values.astype(bool) if kind == "boolean" else values
    if kind not in ("text", "category", "ordered", "levels", "booleans") or levels is None:
        raise ValueError(f"there is no column of the kind '{kind}'")
    if values.dtype.kind not in "iu" or values.min(initial=0) < 0:
        raise ValueError("a column of levels does not number them")
    if kind == "booleans":
        levels = levels.astype(bool)
    elif not np.issubdtype(levels.dtype, np.number):
        levels = levels.astype(str).astype(object)
    # "category" is what files of earlier versions have, where formulae orders the levels
    return pd.Categorical.from_codes(values, pd.Index(levels), ordered=kind != "category")
