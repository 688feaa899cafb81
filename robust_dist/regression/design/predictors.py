"""The predictors that are numbers."""

from typing import Any

import numpy as np
import pandas as pd


def numeric_predictors(common: Any, data: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Return the predictors that are numbers, as they enter the formula.

    A variable that is a term, or of which a function makes several columns, counts as it is; of
    others each function of a column counts, as ``log(x)`` does.

    Parameters
    ----------
    common
        Formulae's common effects.
    data
        The columns that they were made from.
    """
    plain: dict[str, np.ndarray] = {}
    computed: dict[str, tuple[set[str], np.ndarray]] = {}
    for term in common.terms.values():
        for component in getattr(term, "components", ()):
            if component.kind != "numeric":
                continue
            names = {str(name) for name in component.var_names} & set(data.columns)
            values = np.asarray(component.value)
            if hasattr(component, "call") and values.ndim == 1:
                computed[component.name] = names, values
            else:
                plain |= {name: data[name].to_numpy() for name in sorted(names)}
    functions = [values for names, values in computed.values() if not names <= plain.keys()]
    return (*plain.values(), *functions)
