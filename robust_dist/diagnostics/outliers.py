"""Which rows are outliers, and what that says of them."""

from collections.abc import Hashable

import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist._arguments import check_type
from robust_dist._words.names import listed
from robust_dist._words.numbers import decimal
from robust_dist._words.text import printable
from robust_dist.diagnostics._loo import pareto_k
from robust_dist.diagnostics.leverage import hat_values
from robust_dist.diagnostics.row_statistics import row_statistics

# robust standard deviations beyond which a row is called an outlier
_FAR = 3.0


def outliers(dt: DataTree) -> pd.DataFrame:
    """Return a table of all rows, the most outlying first.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    Returns
    -------
    DataFrame
        One line per row of the data, under its name, ordered by the size of the residual:

        * ``observed``: the response;
        * ``residual``: from the fit, in robust sd (see ``standardized_residuals``); ``outlier`` is
          true beyond 3 either way;
        * ``probability``: of a contaminated likelihood, the posterior probability that the row is
          an outlier, one that follows the background;
        * ``weight``: how much the row counts, ``observation_weights(dt)["mean"]``;
        * ``pit``: ``pit_residuals(dt)["pit"]``;
        * ``leverage``: its hat value;
        * ``pareto_k``: of leaving it out, by ``arviz_stats.loo``; above 0.7 the posterior without
          it may lie elsewhere; nan for a fit with fewer than 400 draws of ``log_likelihood``.
    """
    rows = row_statistics(dt, "residual", "probability", "weight", "pit", "spread")
    probability = {"probability": rows["probability"].values} if "probability" in rows else {}
    table = pd.DataFrame(
        {
            "observed": dt["observed_data"].dataset["y"].values,
            "residual": rows["residual"].values,
            **probability,
            "weight": rows["weight"].values,
            "pit": rows["pit"].values,
            "leverage": hat_values(dt, rows["spread"]).values,
            "pareto_k": pareto_k(dt),
            "outlier": np.abs(rows["residual"].values) > _FAR,
        },
        index=pd.Index(rows["row"].values, name="row"),
    )
    return table.sort_values("residual", key=np.abs, ascending=False, kind="stable")


def name_outliers(table: pd.DataFrame) -> str:
    """Return a sentence that names the outliers of a table that ``outliers`` made."""
    check_type("table", table, pd.DataFrame, "the table that outliers() returns")
    far = table[table["outlier"]]
    if far.empty:
        return f"No row lies more than {_FAR:.0f} robust sd off the fit."
    count = f"{len(far)} of {len(table)} rows {'lies' if len(far) == 1 else 'lie'}"
    names = listed([_name(row, values) for row, values in far.iterrows()], most=5)
    return f"{count} more than {_FAR:.0f} robust sd off the fit: {names}."


def _name(row: Hashable, values: pd.Series) -> str:
    """Return the name of a row, with what is known of it."""
    parts = [f"{decimal(values['residual'], 1, '+')} robust sd"]
    if "probability" in values:
        parts.append(f"an outlier with probability {values['probability']:.2g}")
    return f"{printable(row)} ({', '.join(parts)}, weight {values['weight']:.2g})"
