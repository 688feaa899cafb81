"""Terms of a formula that say nothing, or the same as another: mistakes that formulae lets pass."""

from typing import Any

import pandas as pd

from robust_dist._errors import InputError


def check_levels(description: Any, data: pd.DataFrame, formula: str) -> None:
    """Refuse categories of a single level outside the factors of groups.

    Parameters
    ----------
    description
        Formulae's description of the formula.
    data
        The columns it uses.
    formula
        In words.

    Raises
    ------
    InputError
        Naming the column and the term.
    """
    for term in (*description.common_terms, *(term.expr for term in description.group_terms)):
        for name in sorted(term.var_names & set(data.columns)):
            if isinstance(data[name].dtype, pd.CategoricalDtype) and data[name].nunique() == 1:
                raise InputError(
                    f"column '{name}' has the single level '{data[name].iloc[0]}', so that "
                    f"'{term.name}' in the formula '{formula}' adds nothing; drop it"
                )


def check_terms(model: Any, formula: str) -> None:
    """Refuse a column that is called as the intercept is, and terms without a column.

    Parameters
    ----------
    model
        The terms as formulae has evaluated them.
    formula
        In words.

    Raises
    ------
    InputError
        Naming the term.
    """
    from formulae.terms.terms import Intercept

    for term in model.terms:
        if term.name == "Intercept" and not isinstance(term, Intercept):
            raise InputError(
                f"two terms of the formula '{formula}' have the name '{term.name}', one of them "
                "that of a column; rename the column"
            )
        if term.data.ndim == 2 and term.data.shape[1] == 0:
            raise InputError(
                f"'{term.name}' in the formula '{formula}' has a single level and adds nothing; "
                "drop it"
            )
