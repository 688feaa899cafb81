"""Small real data sets with their source, and the reader of a user's own CSV file.

pandas is imported when data are read, not before: the command line lists the data sets and answers
``--help`` without it.
"""

import csv
import difflib
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from robust_dist._errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

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


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" for the known word most like this one, or nothing."""
    known = list(known)
    folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean '{folded[found[0]]}'?" if found else ""


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
        raise InputError(f"no data set '{name}'{nearest(str(name), DATASETS)} There are: {known}")
    return read_csv(DATASETS[name].path)


def read_csv(path: str | os.PathLike[str]) -> "pd.DataFrame":
    """Read a comma-separated file with a header line; its rows are numbered from 1.

    The path is kept in ``attrs``, so that a later complaint about a row can name its line.

    Raises
    ------
    InputError
        If the file cannot be read as such a table.
    """
    import pandas as pd

    path = Path(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(4096)
    except FileNotFoundError:
        raise InputError(f"no file '{path}'") from None
    except IsADirectoryError:
        raise InputError(f"'{path}' is a folder, not a CSV file") from None
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from None
    if not start.strip():
        raise InputError(f"'{path}' is empty; it should hold a header line and rows")
    if b"\0" in start:
        raise InputError(f"'{path}' is not a text file; save the table as CSV (UTF-8)")
    try:
        with warnings.catch_warnings():
            # Rows longer than the header: pandas would take the first column for row names, or,
            # with index_col=False, warn and drop the last.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, encoding="utf-8-sig", skipinitialspace=True, index_col=False)
    except pd.errors.ParserWarning:
        raise InputError(
            f"the rows of '{path}' have more fields than its header; give each column a name"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"'{path}' is not UTF-8 text; save the table as CSV (UTF-8)") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise InputError(f"'{path}' is not a table with commas: {reason}") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    if frame.shape[1] == 1:
        for mark, word in ((";", "semicolons"), ("\t", "tabs")):
            if mark in frame.columns[0]:
                raise InputError(f"'{path}' is separated by {word}; save it with commas")
    if frame.empty:
        raise InputError(f"'{path}' has a header but no rows")
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    frame.attrs["path"] = str(path)
    return frame


def row_names(frame: "pd.DataFrame", positions: "np.ndarray") -> str:
    """Return what a user calls the rows at these positions, with their lines if from a file.

    Ten are named, the others counted.
    """
    named, others = positions[:10], len(positions) - 10
    names = [str(frame.index[position]) for position in named]
    text = _numbered("row", names)
    if "path" in frame.attrs:
        # rows are numbered from 1, whichever of them are left
        lines = [_line_of_row(frame.attrs["path"], int(name) - 1) for name in names]
        text += f" ({_numbered('line', list(map(str, lines)))} of the file)"
    return text + (f" and {others} more" if others > 0 else "")


def _numbered(word: str, numbers: Sequence[str]) -> str:
    """Return "row 1" or "rows 1, 2"."""
    return f"{word}{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def _line_of_row(path: str, position: int) -> int:
    """Return the line on which a row ends: blank lines and quoted line breaks count."""
    with open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        # the header comes first; pandas skips blank lines, but not a line of commas
        rows = (reader.line_num for fields in reader if "".join(fields).strip() or len(fields) > 1)
        next(rows)
        for _ in range(position):
            next(rows)
        return next(rows)
