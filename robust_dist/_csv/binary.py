"""Tables of other programs than text editors: workbooks, Parquet and Feather."""

import io
import warnings
from collections.abc import Callable
from typing import IO

import pandas as pd

from robust_dist._errors import InputError

_EXTRA = "python -m pip install 'robust-dist[files]'"


def is_workbook(stream: IO[bytes]) -> bool:
    """Return whether this is an Excel file, which is a zip archive that was not unpacked."""
    mark = stream.read(4)
    stream.seek(0)
    return mark == b"PK\x03\x04"


def workbook_text(stream: IO[bytes], name: str) -> tuple[IO[bytes], list[str]]:
    """Return the first sheet that holds anything as comma-separated UTF-8, and what was left out.

    So a sheet has its title rows, its header and its cells read by the rules of text files.
    """
    sheets = _read("an Excel file", name, lambda: _sheets(stream))
    filled = {sheet: cells for sheet, cells in sheets.items() if cells.notna().any(axis=None)}
    if not filled:
        raise InputError(f"'{name}' is empty; it should hold a header line and rows")
    sheet, *others = filled
    notes = [f"sheet '{sheet}' (not '{', '.join(map(str, others))}')"] if others else []
    return io.BytesIO(filled[sheet].to_csv(index=False, header=False).encode()), notes


def _sheets(stream: IO[bytes]) -> dict[str, pd.DataFrame]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and other extensions that openpyxl leaves out
        return pd.read_excel(
            stream,
            sheet_name=None,
            header=None,
            dtype=object,
            keep_default_na=False,
            na_values=[""],
            engine="openpyxl",
        )


def binary_table(stream: IO[bytes], name: str) -> pd.DataFrame | None:
    """Return the table of a Parquet or Feather file, or nothing if it is another file."""
    mark = stream.read(6)
    stream.seek(0)
    if mark.startswith(b"PAR1"):
        frame = _read("a Parquet file", name, lambda: pd.read_parquet(stream, engine="pyarrow"))
    elif mark == b"ARROW1" or mark.startswith(b"FEA1"):
        frame = _read("a Feather file", name, lambda: pd.read_feather(stream))
    else:
        return None
    named = [level is not None for level in frame.index.names]
    return frame.reset_index(drop=not any(named))


def _read[Table](what: str, name: str, read: Callable[[], Table]) -> Table:
    """Return what pandas reads, which raises anything on a damaged file."""
    try:
        return read()
    except ImportError:
        raise InputError(f"'{name}' is {what}, which needs an extra: {_EXTRA}") from None
    except OSError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"cannot read '{name}', {what}: {reason}") from None
