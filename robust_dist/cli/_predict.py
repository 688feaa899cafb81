"""``robust-dist predict``."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust_dist._words.numbers import to_precision
from robust_dist._words.text import printable
from robust_dist.cli._files import check_out, write_file
from robust_dist.cli._memory import check_memory
from robust_dist.cli._plot import read_posterior
from robust_dist.cli._results import print_json
from robust_dist.cli._session import guesses_told, read_data, reading_notes, teller, versions

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataTree

_SUFFIX = ".csv"
# rows that are printed
_SHOWN = 10


def run(options: argparse.Namespace) -> None:
    """Predict new rows from a fit that was written before."""
    check_memory()
    out = options.out or Path(f"predictions{_SUFFIX}")
    check_out(out, (_SUFFIX,), "write predictions to", options.force)
    dt = read_posterior(options.posterior)
    # whose columns are the ones that notes of the file are about
    options.formula = " ".join(_formulas(dt))
    data = read_data(options)
    say = teller(options.quiet)
    say("loading JAX, NumPyro and ArviZ")
    from robust_dist.regression import prediction_table

    with guesses_told(data, options):
        table = prediction_table(
            dt,
            data,
            options.kind,
            prob=options.prob,
            groups=options.groups,
            unseen=options.unseen,
            offset=options.offset,
            measurement_error=options.measurement_error,
            drop_missing=options.drop_missing,
            seed=options.seed,
        )
    dropped = len(data) - len(table)
    if dropped:
        say(f"leaving out {dropped} of {len(data)} rows, which have missing values")
    write_file(out, table.to_csv().encode(), options.force)
    if options.json:
        print_json(_document(dt, data, table, options) | {"files": [str(out)]})
    else:
        _print(dt, table, options)
        print(f"\nwritten: {printable(out)}")


def _formulas(dt: "DataTree") -> list[str]:
    """Return all formulas of a fit."""
    further = json.loads(dt.attrs.get("formulas", "{}"))
    return list(dict.fromkeys([dt.attrs["formula"], *further.values()]))


def _print(dt: "DataTree", table: "pd.DataFrame", options: argparse.Namespace) -> None:
    """Print the first rows, each number as precise as the interval deserves."""
    shown = table.head(_SHOWN)
    spread = (shown["upper"] - shown["lower"]) / 4
    text = shown.copy().astype(object)
    for name in shown:
        text[name] = [to_precision(*pair) for pair in zip(shown[name], spread, strict=True)]
    rows = f"{len(table)} row{'' if len(table) == 1 else 's'}"
    facts = f"{options.kind} of {rows}, {100 * options.prob:.4g}% interval"
    heading = f"{', '.join(_formulas(dt))}   ({facts})"
    print(f"\n{printable(heading)}\n\n{text.rename_axis(None).to_string()}")
    if len(table) > _SHOWN:
        print(f"and {len(table) - _SHOWN} more")


def _document(
    dt: "DataTree", data: "pd.DataFrame", table: "pd.DataFrame", options: argparse.Namespace
) -> dict[str, Any]:
    """Return the predictions and what they are of, for machines."""
    return {
        "posterior": options.posterior,
        "data": options.data,
        "formula": dt.attrs["formula"],
        "likelihood": dt.attrs["likelihood"],
        "response": dt.attrs["response"],
        "kind": options.kind,
        "prob": options.prob,
        "groups": options.groups,
        "unseen": options.unseen,
        "dropped": len(data) - len(table),
        "notes": reading_notes(data, options),
        "seed": options.seed,
        "predictions": table.reset_index().to_dict(orient="records"),
        "versions": versions(),
    }
