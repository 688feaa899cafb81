"""Whether the data have another explanation than the one that was fitted."""

from typing import Any

import numpy as np
import pandas as pd
from xarray import Dataset, DataTree

from robust_dist._words.names import listed
from robust_dist._words.numbers import to_precision
from robust_dist._words.text import printable
from robust_dist.regression.explanations import DOWNWEIGHTED, FULL
from robust_dist.regression.fitted import EXPLANATIONS, check_fit
from robust_dist.regression.likelihoods import CONTAMINATED

_COLUMNS = ("mean", "sd", "shift", "weight", "elsewhere")
_NAMED = 6
"""rows that a sentence names"""


def explanations(dt: DataTree) -> pd.DataFrame:
    """Return what the modes of the posterior, and fits that trust rows less, say of coefficients.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    Returns
    -------
    DataFrame
        By explanation and coefficient: ``mean`` and ``sd`` in the user's units, ``shift`` from the
        first explanation in its posterior sds, ``weight``, the share of the posterior's mass (nan
        of other models), and ``elsewhere``, whether it says otherwise than the first: further off
        than two fits that say the same are in one of two hundred cases. Explanations are
        ``posterior``, or ``mode 1``, ``mode 2`` ... where it has several; ``downweighted``, with
        less weight for rows far out in the predictors (``full weights`` where these were
        downweighted already); and ``contaminated``, by a law that expects some rows to be from
        elsewhere. Empty for a fit that was not compared.
    """
    table = _table(dt)
    if table is None:
        return pd.DataFrame(columns=list(_COLUMNS))
    frame = table.to_dataframe(dim_order=["explanation", "coefficient"])
    return frame[list(_COLUMNS)]


def format_explanations(dt: DataTree) -> str:
    """Return the explanations side by side as text, those that lie elsewhere or make up the fit.

    Nothing where there is one explanation only.
    """
    table = _table(dt)
    if table is None or not bool(table["elsewhere"].any()):
        return ""
    return explanation_texts(dt, everything=False).to_string()


def explanation_texts(dt: DataTree, everything: bool = True) -> pd.DataFrame:
    """Return mean and sd of each coefficient under each explanation, as texts.

    Parameters
    ----------
    dt
        A fit.
    everything
        Whether to show those too that agree with the fit.
    """
    table = _table(dt)
    if table is None:
        return pd.DataFrame()
    columns = {}
    for number, name in enumerate(map(str, table["explanation"].values)):
        one = table.isel(explanation=number)
        if not (everything or number == 0 or bool(one["elsewhere"])):
            continue
        weight = float(one["weight"])
        heading = name if np.isnan(weight) or weight == 1 else f"{name} ({100 * weight:.0f} %)"
        columns[heading] = [
            f"{to_precision(mean, sd)} ± {to_precision(sd, sd)}"
            for mean, sd in zip(one["mean"].values, one["sd"].values, strict=True)
        ]
    index = [printable(name) for name in table["coefficient"].values]
    return pd.DataFrame(columns, index=index)


def explanation_problems(dt: DataTree) -> list[str]:
    """Return a sentence if the posterior has several modes, and one if a law with outliers differs.

    What is to be said of rows far out in the predictors, ``leverage_problems`` says.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``; one that was not compared has none.
    """
    table = _table(dt)
    if table is None:
        return []
    problems = []
    modes = np.flatnonzero(np.isfinite(table["weight"].values)).tolist()
    if len(modes) > 1:
        place = _most_moved(table, modes[1])
        each = [
            f"{_value(table, number, place)} ({100 * table['weight'].values[number]:.0f} % of the "
            "posterior)"
            for number in modes
        ]
        problems.append(
            f"the data have {len(modes)} explanations, and no chain goes from one to another: "
            f"'{_name(table, place)}' is {' or '.join(each)}; the draws are of all, by their "
            "weights, so that a mean may lie where none is; look at the explanations one by one"
        )
    if _elsewhere(table, CONTAMINATED) and not _same(table, CONTAMINATED, DOWNWEIGHTED):
        problems.append(
            "a law that expects some rows to be from elsewhere (likelihood 'contaminated') says "
            f"otherwise: {_otherwise(table, CONTAMINATED)}; compare both"
        )
    return problems


def leverage_problems(dt: DataTree) -> list[str]:
    """Return a sentence if the fit hinges on rows far out in the predictors, else nothing.

    It does if with less weight for such rows it lies elsewhere, further off than both fits are
    wide. Rows far out on the line that the others show are the best there are: with them or without
    them the fit is the same.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``; one that was not compared has none.
    """
    table = _table(dt)
    if table is None or not _elsewhere(table, DOWNWEIGHTED):
        return []
    rows = [printable(row) for row in dt["observed_data"].dataset["row"].values[far_rows(dt)]]
    one = len(rows) == 1
    agreed = ""
    if _elsewhere(table, CONTAMINATED) and _same(table, CONTAMINATED, DOWNWEIGHTED):
        agreed = ", as a law says that expects some rows to be from elsewhere ('contaminated')"
    return [
        f"row{'' if one else 's'} {listed(rows, _NAMED)} {'lies' if one else 'lie'} far out in the "
        f"predictors, and the fit hinges on {'it' if one else 'them'}: with less weight for such "
        f"rows (leverage 'downweight') {_otherwise(table, DOWNWEIGHTED)}{agreed}; check "
        f"{'this row' if one else 'these rows'}"
    ]


def far_rows(dt: DataTree) -> np.ndarray:
    """Return positions of the rows far out in the predictors, the farthest first."""
    constants = dt["constant_data"].dataset
    if "predictor_distance" not in constants:
        return np.zeros(0, int)
    distance = constants["predictor_distance"].values
    order = np.argsort(-distance, kind="stable")
    return np.asarray(order[distance[order] > 1])


def leverage_in_words(dt: DataTree) -> str:
    """Return what the weight of rows far out in the predictors does to the fit, in a sentence."""
    table, rows = _table(dt), far_rows(dt)
    if table is None or not rows.size:
        return ""
    count = f"{rows.size} row{' lies' if rows.size == 1 else 's lie'} far out in the predictors"
    for name, words in ((DOWNWEIGHTED, "with less weight for"), (FULL, "with full weight for")):
        if name in table["explanation"].values:
            shift = np.nan_to_num(table["shift"].sel(explanation=name).values)
            place = int(np.argmax(np.abs(shift)))
            return (
                f"{count}: {words} {'it' if rows.size == 1 else 'them'}, the coefficient that "
                f"moves most, '{_name(table, place)}', moves by {shift[place]:+.1f} posterior sd."
            )
    return ""


def explanations_document(dt: DataTree) -> list[dict[str, Any]]:
    """Return the explanations for machines."""
    table = _table(dt)
    if table is None:
        return []
    names = [str(name) for name in table["coefficient"].values]
    return [
        {
            "explanation": str(name),
            "weight": None if np.isnan(weight) else float(weight),
            "elsewhere": bool(elsewhere),
            "coefficients": {
                coefficient: {
                    what: float(table[what].values[number, place])
                    for what in ("mean", "sd", "shift")
                }
                for place, coefficient in enumerate(names)
            },
        }
        for number, (name, weight, elsewhere) in enumerate(
            zip(*(table[n].values for n in ("explanation", "weight", "elsewhere")), strict=True)
        )
    ]


def _table(dt: DataTree) -> Dataset | None:
    check_fit(dt)
    return dt[EXPLANATIONS].to_dataset() if EXPLANATIONS in dt.children else None


def _elsewhere(table: Dataset, name: str) -> bool:
    """Return whether an explanation is there and differs from the fit."""
    return name in table["explanation"].values and bool(
        table["elsewhere"].sel(explanation=name).values
    )


def _same(table: Dataset, one: str, other: str) -> bool:
    """Return whether two explanations are there and agree in each coefficient."""
    if not {one, other} <= set(map(str, table["explanation"].values)):
        return False
    pair = table.sel(explanation=[one, other])
    width = np.sqrt((pair["sd"].values ** 2).sum(axis=0))
    return bool((np.abs(np.diff(pair["mean"].values, axis=0)[0]) <= 3 * width).all())


def _otherwise(table: Dataset, name: str) -> str:
    """Return what an explanation says of the coefficient in which it differs most."""
    number = list(map(str, table["explanation"].values)).index(name)
    place = _most_moved(table, number)
    shift = abs(float(table["shift"].values[number, place]))
    return (
        f"'{_name(table, place)}' is {_value(table, number, place)} in place of "
        f"{_value(table, 0, place)}, {shift:.1f} posterior sd off: the data have two explanations"
    )


def _most_moved(table: Dataset, number: int) -> int:
    """Return the coefficient that tells an explanation best from the first, a slope if any."""
    first, one = table.isel(explanation=0), table.isel(explanation=number)
    width = np.sqrt(first["sd"].values ** 2 + one["sd"].values ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.nan_to_num(np.abs(one["mean"].values - first["mean"].values) / width)
    slopes = table["coefficient"].values != "Intercept"
    return int(np.argmax(np.where(slopes, moved, -1.0) if slopes.any() else moved))


def _name(table: Dataset, place: int) -> str:
    return printable(table["coefficient"].values[place])


def _value(table: Dataset, number: int, place: int) -> str:
    mean, sd = (float(table[name].values[number, place]) for name in ("mean", "sd"))
    return f"{to_precision(mean, sd)} +- {to_precision(sd, sd)}"
