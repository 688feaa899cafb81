"""Terms of a formula that say nothing, or the same as another: mistakes that formulae lets pass."""

from collections import Counter
from typing import Any

import pandas as pd

from robust_dist._errors import InputError


def check_tree(tree: Any, formula: str) -> None:
    """Refuse powers and products that leave a variable as it is, and taking away what is not there.

    Parameters
    ----------
    tree
        The formula as formulae's parser has it.
    formula
        The same in words.

    Raises
    ------
    InputError
        Naming the term and what to write instead.
    """
    from formulae.expr import Binary, Grouping, Unary

    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, Grouping):
            nodes.append(node.expression)
        elif isinstance(node, Unary):
            nodes.append(node.right)
        elif isinstance(node, Binary):
            nodes.extend((node.left, node.right))
            _check_operation(node, formula)


def _check_operation(node: Any, formula: str) -> None:
    from formulae.resolver import Resolver
    from formulae.terms.terms import Intercept, Model, NegatedIntercept, Term

    kind = node.operator.kind
    if kind not in ("STAR_STAR", "STAR", "COLON", "SLASH", "MINUS"):
        return
    left, right = (Resolver(side).resolve() for side in (node.left, node.right))
    if kind == "MINUS":
        present, removed = (
            side.terms if isinstance(side, Model) else [side] for side in (left, right)
        )
        for term in removed:
            if not isinstance(term, (Intercept, NegatedIntercept)) and term not in present:
                raise InputError(
                    f"the formula '{formula}' takes away '{term.name}', which is not in it; drop "
                    f"that, or write I(a - {term.name}) for a difference"
                )
    elif isinstance(left, Term) and (kind == "STAR_STAR" or left == right):
        power = getattr(node.right, "value", right.name) if kind == "STAR_STAR" else 2
        raise InputError(
            f"the formula '{formula}' has a power or a product of '{left.name}' that is "
            f"'{left.name}' itself; write I({left.name}**{power})"
        )


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
    """Refuse terms of one name, of which formulae keeps the last, and terms without a column.

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

    names = Counter(term.name for term in model.terms)
    for term in model.terms:
        if names[term.name] > 1 or (term.name == "Intercept" and not isinstance(term, Intercept)):
            raise InputError(
                f"two terms of the formula '{formula}' have the name '{term.name}', one of them "
                "that of a column; rename the column"
            )
        if term.data.ndim == 2 and term.data.shape[1] == 0:
            raise InputError(
                f"'{term.name}' in the formula '{formula}' has a single level and adds nothing; "
                "drop it"
            )
