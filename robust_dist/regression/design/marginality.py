"""Terms that a formula needs for its answer not to depend on where its predictors are zero.

A product ``x:z`` at x + h is ``x:z + h z``, a square ``(x + h)**2`` is ``x**2 + 2 h x + h**2``.
Where the formula cannot say what the shift adds, each choice of a zero is another model (the
principle of marginality: Nelder, J. R. Statist. Soc. A 140, 1977).
"""

import ast
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from robust_dist.regression.design.design import Columns
from robust_dist.regression.design.span import is_number

# rows that tell whether a column is a combination of others
_ROWS = 2_000
# of a column's size that may be left of it, which rounding at large shifts makes
_LEFT = 1e-6


def missing_terms(common: Any, columns: Columns, data: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each term that stands without what it is built on.

    Parameters
    ----------
    common
        Formulae's common effects.
    columns
        The same as columns.
    data
        What they were made from.
    """
    step = -(-len(data) // _ROWS)
    rows = data.iloc[::step]
    design = columns.matrix(slice(None, None, step))
    size = np.abs(design).max(axis=0)
    directions, sizes, _ = np.linalg.svd(design / np.where(size > 0, size, 1.0), False)
    # of some of the rows alone columns may be combinations of others
    span = directions[:, sizes > sizes[0] * np.finfo(float).eps * max(design.shape)]
    for term in common.terms.values():
        for name in sorted(_polynomial_in(term)):
            if name not in rows or not is_number(rows[name]):
                continue
            shift = float(np.ptp(rows[name])) or 1.0
            shifted = term.eval_new_data(rows.assign(**{name: rows[name].astype(float) + shift}))
            added = np.reshape(shifted - term.eval_new_data(rows), (len(rows), -1)).astype(float)
            # what varies counts: far from zero a square is all but a line
            varies, most = added.std(axis=0), np.abs(added).max(axis=0)
            unit = np.where(varies > 1e-9 * most, varies, np.maximum(most, 1e-300))
            added = added / unit
            left = added - span @ (span.T @ added)
            # a sum with something far larger is rounded to that one's last digit
            rounding = 10 * np.spacing(np.abs(shifted).max()) / unit.min()
            if np.abs(left).max() > max(_LEFT, rounding):
                yield (
                    f"'{term.name}' stands without {_lower(term, name)}: the answer depends on "
                    f"where '{name}' is zero; add the missing term unless that zero has a meaning"
                )


def _polynomial_in(term: Any) -> set[str]:
    """Return the columns that a term multiplies, raises to whole powers, and nothing else."""
    names: set[str] = set()
    for component in getattr(term, "components", ()):
        if component.kind != "numeric":
            continue
        if not hasattr(component, "call"):
            names.add(component.name)
        elif component.name.startswith("I("):
            names |= _names_of_polynomial(component.name)
    return names


def _names_of_polynomial(text: str) -> set[str]:
    """Return the columns of a polynomial such as ``I(x ** 2)``, none if it is anything else."""
    quoted: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        return quoted.setdefault(match.group(0), f"quoted_{len(quoted)}_")

    try:
        node = ast.parse(re.sub(r"`[^`]*`", placeholder, text), mode="eval").body
    except SyntaxError:
        return set()
    if not isinstance(node, ast.Call) or len(node.args) != 1 or not _is_polynomial(node.args[0]):
        return set()
    names = {part.id for part in ast.walk(node.args[0]) if isinstance(part, ast.Name)}
    original = {value: key.strip("`") for key, value in quoted.items()}
    return {original.get(name, name) for name in names}


def _is_polynomial(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        power = node.right
        whole = isinstance(power, ast.Constant) and isinstance(power.value, int)
        return whole and _is_polynomial(node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
        return _is_polynomial(node.left) and _is_polynomial(node.right)
    if isinstance(node, ast.UnaryOp):
        return _is_polynomial(node.operand)
    return isinstance(node, ast.Name | ast.Constant)


def _lower(term: Any, name: str) -> str:
    """Return what a term is built on, one order lower in this column."""
    components = [component.name for component in term.components]
    if name in components:
        components.remove(name)
        return f"'{':'.join(components)}'" if components else "an intercept ('1')"
    return f"the lower powers of '{name}' that it is built on"
