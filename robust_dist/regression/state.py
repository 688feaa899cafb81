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

GROUP = "training_data"


def save(dt: DataTree, formulas: Mapping[str, str], frame: pd.DataFrame) -> None:
    """Put the formulas and the columns they use in a DataTree."""
    variables: dict[str, Any] = {}
    columns = []
    for i, name in enumerate(frame.columns):
        kind, values, levels = _encode(frame[name])
        columns.append({"name": str(name), "kind": kind})
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
        If the DataTree is no fit of this package.
    """
    if "design_state" not in dt.attrs or GROUP not in dt.children:
        raise InputError("the DataTree has no design_state; it is no fit of Regression")
    state = json.loads(dt.attrs["design_state"])
    dataset = dt[GROUP].dataset
    frame = {}
    for i, column in enumerate(state["columns"]):
        levels = dataset.get(f"levels_{i}")
        frame[column["name"]] = _decode(
            column["kind"],
            dataset[f"column_{i}"].values,
            None if levels is None else levels.values,
        )
    return state["formulas"], pd.DataFrame(frame, copy=False)


def _encode(column: pd.Series) -> tuple[str, np.ndarray, np.ndarray | None]:
    """Return the kind of a column, its numbers, and what they stand for."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        kind = "ordered" if column.dtype.ordered else "category"
        levels = column.dtype.categories
    elif pd.api.types.is_bool_dtype(column.dtype):
        return "boolean", column.to_numpy(np.int8), None
    elif pd.api.types.is_numeric_dtype(column.dtype):
        return "number", column.to_numpy(), None
    else:
        kind = "text"
        column = column.astype(str)
        levels = pd.Index(np.unique(column.to_numpy(object).astype(str)))
    codes = pd.Categorical(column, categories=levels).codes.astype(np.int32)
    numeric = pd.api.types.is_numeric_dtype(levels.dtype)
    return kind, codes, levels.to_numpy() if numeric else levels.to_numpy(object).astype(str)


def _decode(kind: str, values: np.ndarray, levels: np.ndarray | None) -> Any:
    if levels is None:
        return values.astype(bool) if kind == "boolean" else values
    names = levels if np.issubdtype(levels.dtype, np.number) else levels.astype(str).astype(object)
    if kind == "text":
        return names[values]
    return pd.Categorical.from_codes(values, pd.Index(names), ordered=kind == "ordered")
