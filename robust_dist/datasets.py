"""Small real data sets with their source, and the reader of a user's own file.

pandas is imported when data are read, not before: the command line lists the data sets and answers
``--help`` without it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from robust_dist._errors import InputError
from robust_dist._words.names import nearest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# in place of a file's name
STDIN = "-"

__all__ = ["DATASETS", "Dataset", "load", "read_csv"]


@dataclass(frozen=True)
class Dataset:
    """A data set that ships with the package."""

    name: str
    description: str
    formula: str
    """the regression that `robust-dist fit` runs when it is given none"""
    citation: str

    @property
    def path(self) -> Path:
        """Where its CSV file lies."""
        return Path(str(files("robust_dist") / "data" / f"{self.name}.csv"))


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "stackloss",
            "21 days of a plant that oxidises ammonia; several days are outliers",
            "stack_loss ~ air_flow + water_temp + acid_conc",
            "K. A. Brownlee, Statistical Theory and Methodology in Science and Engineering, "
            "2nd ed., Wiley 1965, p. 454",
        ),
        Dataset(
            "engel",
            "income and food expenditure of 235 Belgian households; the spread grows with income",
            "food_expenditure ~ income",
            "R. Koenker and G. Bassett, Robust tests for heteroscedasticity based on regression "
            "quantiles, Econometrica 50 (1982), 43-61",
        ),
        Dataset(
            "stars_cyg",
            "47 stars of the cluster CYG OB1; four giants are leverage points",
            "log_light ~ log_temperature",
            "P. J. Rousseeuw and A. M. Leroy, Robust Regression and Outlier Detection, "
            "Wiley 1987, p. 27",
        ),
        Dataset(
            "hogg2010",
            "20 points on a line, some of them outliers, with known measurement errors",
            "y ~ x",
            "D. W. Hogg, J. Bovy and D. Lang, Data analysis recipes: Fitting a model to data, "
            "2010, arXiv 1008.4686, table 1",
        ),
    )
}


def load(name: str) -> "pd.DataFrame":
    """Return a shipped data set, its rows numbered from 1.

    Parameters
    ----------
    name
        One of ``DATASETS``.

    Raises
    ------
    InputError
        If there is no such data set.
    """
    if not isinstance(name, str) or name not in DATASETS:
        known = ", ".join(DATASETS)
        raise InputError(
            f"no data set '{name}'{nearest(str(name), DATASETS) or '.'} There are: {known}"
        )
    return read_csv(DATASETS[name].path)


def read_csv(
    path: str | os.PathLike[str],
    *,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> "pd.DataFrame":
    """Read a table from a file; its rows are numbered from 1.

    Text with any separator, decimal mark and encoding, packed by gzip, bzip2, xz or zip or not,
    and, with the extra ``files``, Parquet, Feather and the first sheet of an Excel file.
    What is guessed is in ``attrs["notes"]`` of the result: lists of sentences, under the name of
    each column that they are about, or under ``""``.

    In a column of numbers, NA, None, ``.``, ``-``, ``?`` and what spreadsheets write for errors
    are missing; among labels, NA and None are labels. Empty cells, NaN, N/A, #N/A, NULL and <NA>
    are missing in both.

    Parameters
    ----------
    path
        A file; ``-`` is the standard input.
    sep
        What separates columns, one character (" " is any number of blanks and tabs); guessed if
        not given.
    decimal
        The decimal mark, ``.`` or ``,``; guessed column by column if not given.
    encoding
        Such as ``utf-8``; guessed, as UTF-8, UTF-16 or cp1252, if not given.

    Raises
    ------
    InputError
        If the file cannot be read as a table whose first line names the columns.
    """
    from robust_dist._csv import read_table

    return read_table(path, sep, decimal, encoding)


def row_names(frame: "pd.DataFrame", positions: "np.ndarray") -> str:
    """Return what a user calls the rows at these positions, with their lines if from a file.

    Ten are named, the others counted.
    """
    named, others = positions[:10], len(positions) - 10
    names = [str(frame.index[position]) for position in named]
    text = _numbered("row", names)
    if "lines" in frame.attrs:
        from robust_dist._csv import line_numbers

        # rows are numbered from 1, whichever of them are left
        places = [int(name) - 1 for name in names]
        lines = line_numbers(frame.attrs["path"], frame.attrs["lines"], places)
        text += f" ({_numbered('line', list(map(str, lines)))} of the file)" if lines else ""
    return text + (f" and {others} more" if others > 0 else "")


def check_labels(name: str, frame: "pd.DataFrame") -> None:
    """Refuse a column of text from a file that may have been meant as one of numbers.

    Raises
    ------
    InputError
        Naming the column and a row.
    """
    if name not in frame.attrs.get("doubts", {}):
        return
    row, reason = frame.attrs["doubts"][name]
    where = row_names(frame, (frame.index == row).nonzero()[0]) or f"row {row}"
    raise InputError(
        f"column '{name}' is text, but may be meant as numbers: {reason} ({where}); correct the "
        f"file, or write C({name}) if these are labels"
    )


def _numbered(word: str, numbers: Sequence[str]) -> str:
    """Return "row 1" or "rows 1, 2"."""
    return f"{word}{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"
