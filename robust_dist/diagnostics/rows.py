"""All that a fit says of each row, in the order of the data."""

import pandas as pd
from xarray import DataTree

from robust_dist.diagnostics.row_statistics import row_statistics

# the table's names of the columns of row_statistics
_NAMES = {
    "fitted": "fitted",
    "fitted_lower": "lower",
    "fitted_upper": "upper",
    "residual": "residual",
    "weight": "weight",
    "pit": "pit",
    "probability": "probability",
}


def row_table(dt: DataTree) -> pd.DataFrame:
    """Return a table of all rows in the order of the data: ``rows.csv`` of the command line.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    Returns
    -------
    DataFrame
        One line per row of the data, under its name:

        * ``observed``: the response;
        * ``fitted``, ``lower``, ``upper``: where the row's law lies (for symmetric noise its mean
          and median, for an asymmetric law its mode), as posterior mean and 95% interval;
        * ``residual``: from there, in robust sd (``standardized_residuals``);
        * ``weight``: how much the row counts, ``observation_weights(dt)["mean"]``;
        * ``pit``: ``pit_residuals(dt)["pit"]``;
        * ``probability``: of a contaminated likelihood, the posterior probability that the row is
          an outlier.

        A fit of more than 1e8 draws times rows is read at evenly spaced draws.
    """
    rows = row_statistics(dt, *_NAMES)
    columns = {name: rows[column].values for column, name in _NAMES.items() if column in rows}
    return pd.DataFrame(
        {"observed": dt["observed_data"].dataset["y"].values, **columns},
        index=pd.Index(rows["row"].values, name="row"),
    )
