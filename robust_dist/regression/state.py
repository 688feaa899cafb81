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
    if not {""} <= {*formulas} <= {"", "alpha", "sigma"}:
        raise ValueError("its formulas are not those of a location, alpha and sigma")
    if not all(isinstance(text, str) for text in formulas.values()):
        raise TypeError("a formula is no text")
    frame = {}
    for i, column in enumerate(state["columns"]):
        levels = dataset.get(f"levels_{i}")
        values = dataset[f"column_{i}"]
        if values.dims != ("row",):
            raise ValueError(f"column_{i} is not by row")
        frame[column["name"]] = _decode(
            column["kind"], values.values, None if levels is None else levels.values
        )
    return formulas, pd.DataFrame(frame, copy=False)


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
    if kind in ("number", "boolean"):
        if values.dtype.kind not in "fiub":
            raise TypeError("a column of numbers holds none")
        return values.astype(bool) if kind == "boolean" else values
    if kind not in ("text", "category", "ordered") or levels is None:
        raise ValueError(f"there is no column of the kind '{kind}'")
    if values.dtype.kind not in "iu" or values.min(initial=0) < 0:
        raise ValueError("a column of levels does not number them")
    names = levels if np.issubdtype(levels.dtype, np.number) else levels.astype(str).astype(object)
    if kind == "text":
        return names[values]
    return pd.Categorical.from_codes(values, pd.Index(names), ordered=kind == "ordered")
