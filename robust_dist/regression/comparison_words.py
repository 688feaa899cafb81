"""What a comparison says: which models the data can tell apart, and what was done about rows."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from robust_dist._words.names import listed
from robust_dist._words.text import printable
from robust_dist.regression.loo import LeaveOneOut


def verdict(table: pd.DataFrame, pointwise: Mapping[str, np.ndarray], labels: Sequence[str]) -> str:
    """Return which models the data can tell apart.

    A difference below 4 says nothing (Sivula, Magnusson, Matamoros and Vehtari, 2020). One that is
    within two of its standard errors rests on a few rows, as where one law alone expects outliers.
    """
    best, *others = table.index
    said = {name: _said(name) for name in table.index}
    sentences = []
    equal = [name for name in others if -table.loc[name, "elpd_diff"] <= 4]
    if equal:
        names = [said[name] for name in (best, *equal)]
        sentences.append(
            f"The data cannot tell {listed(names, len(names))} apart: their differences in elpd "
            "are 4 or less."
        )
    for name in others:
        difference, error = -table.loc[name, "elpd_diff"], table.loc[name, "dse"]
        if name in equal:
            continue
        amount = f"{difference:.1f} +- {error:.1f} in elpd"
        if difference <= 2 * error:
            rows = _half_of(pointwise[best] - pointwise[name], labels)
            sentences.append(
                f"The data do not settle whether {said[name]} predicts worse than {said[best]}: "
                f"the difference of {amount} is less than two standard errors, and more than half "
                f"of it rests on {rows}."
            )
        else:
            sentences.append(f"{said[name]} predicts worse than {said[best]}, by {amount}.")
    return " ".join(sentences)


def _half_of(differences: np.ndarray, labels: Sequence[str]) -> str:
    """Return the fewest rows that make up half of the sum."""
    order = np.argsort(-differences)
    count = int(np.argmax(np.cumsum(differences[order]) >= differences.sum() / 2)) + 1
    if count > 3:
        return f"{count} of {len(labels)} rows"
    return _rows([labels[row] for row in order[:count]])


def notes_on_rows(loo: Mapping[str, LeaveOneOut], refits: int, exact: bool) -> list[str]:
    """Return what was done about high Pareto k."""
    notes = []
    for name, result in loo.items():
        if exact:
            notes.append(f"{printable(name)}: the model was fitted anew without each of the rows.")
        elif result.refitted:
            rows = _rows([printable(row) for row in result.refitted])
            notes.append(
                f"{printable(name)}: Pareto k was high in {rows}; the model was fitted anew "
                "without each."
            )
        elif result.doubtful:
            count = len(result.doubtful)
            notes.append(
                f"{printable(name)}: Pareto k is high in {count} row{'s' * (count > 1)}, more than "
                f"the {refits} refits allowed: its elpd is not reliable."
            )
    return notes


def _rows(labels: Sequence[str]) -> str:
    """Return "row a" or "rows a and b"."""
    return f"row{'s' if len(labels) > 1 else ''} {listed(labels, len(labels))}"


def _said(name: str) -> str:
    """Return a name as it stands in a sentence, in quotes if it is a formula."""
    return f"'{printable(name)}'" if " " in name else printable(name)
