"""Hold the default fits against classical robust ones, on many kinds of noise and bad rows.

    python benchmarks/robustness.py --out FOLDER [--sets N] [--cells TEXT ...] [--fits NAME ...]
        [--full] [--quick] [--pictures FOLDER]

Data: slopes 2, -1 and 0.5 of three Normal predictors. A cell is a kind of noise (Normal, t(3),
Laplace, hyperbolic, Cauchy, 5, 10 or 20 % of sd 10, 10 % one-sided at +10, log-normal of median 0,
sd proportional to exp(x1/2)), a share of bad leverage rows (0, 5, 10, 20 or 30 %, at x1 = 10 and
y = -20, where the line has 21) and a number of rows (20, 50 or 500). Besides there are four cells
where nothing is to be warned of. By default run are the 19 cells of 50 rows that have Normal noise
or no bad rows; ``--full`` runs all 169, and ``--cells`` those whose names contain one of the texts.

Fits: ``Regression.fit`` with the laws general_robust, contaminated, student_t and normal, and
general_robust with ``leverage="downweight"`` (4 chains of 500 draws after as many of warmup, all
else by default); least squares; statsmodels' Huber and bisquare estimates, and its deterministic
MM. They are looped over data sets, not mapped: what is studied is the pipeline that users run, with
its search for modes, compiled sampler and comparisons, none of which JAX could map.

Each data set has seeds of its own, and its results are written to ``--out`` when they are there: a
run goes on where it was stopped, and one of more sets, cells or fits adds to what is there. All
nine fits of a set of 50 rows take some 2.5 seconds of one core: 100 sets of the default cells an
hour and a half, of all cells, of which a third have 500 rows, a day. ``--quick`` runs two sets of
three cells, without bars.

Printed are, with Monte Carlo standard errors: the mean squared error of the slopes; the coverage
and mean width of their 95 % intervals (classical ones by standard errors); the coverage of 95 %
predictive intervals of new rows; the share of bad rows called outliers, and of good ones (robust
residual beyond 3; of the contaminated law, probability above 1/2); how often the slope of x1 is
more than 1 off, a failure, and which share of these was warned of by another explanation; how often
there was a warning at all; and how often the slope of x1, or that of a reported explanation, is
within 3 sds of the truth. Then the bars, those of shares that are to be large against the one-sided
lower 95 % bound of Clopper and Pearson. Exit status 1 if one is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from _noisy_lines import CELLS, HARMLESS, SLOPES, Cell, simulate
from _report import against, at_least, header, table
from _robust_fits import FITS
from scipy.stats import beta

DEFAULT = tuple(c for c in CELLS if c.rows == 50 and (c.noise == "Normal" or c.share == 0))
QUICK = (Cell("Normal", 0, 50), Cell("10 % of sd 10", 0, 50), Cell("Normal", 10, 50))
FAILED = 1.0
"""error of the slope of x1 from which on a fit is ruined"""
_ORDER = [str(cell) for cell in CELLS]


def results(folder: Path, cells: Iterable[Cell]) -> pd.DataFrame:
    """Return the results of these cells that are there, one line a data set and fit."""
    files = [(cell, _file(folder, cell)) for cell in cells]
    parts = [pd.read_csv(file).assign(cell=str(cell)) for cell, file in files if file.exists()]
    return pd.concat(parts, ignore_index=True)


def run(folder: Path, cell: Cell, fits: Iterable[str], sets: int, seed: int) -> None:
    """Add to the results of a cell what is not there yet."""
    file = _file(folder, cell)
    known = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["set", "fit"])
    there = set(zip(known["set"], known["fit"], strict=True))
    lines = known.to_dict("records")
    for number in range(sets):
        missing = [name for name in fits if (number, name) not in there]
        if not missing:
            continue
        data = simulate(cell, seed, number)
        lines += [
            {"set": number, "fit": name} | FITS[name](data, number)._asdict() for name in missing
        ]
        # whole or not at all, whenever the run is stopped
        new = file.with_suffix(".new")
        pd.DataFrame(lines).to_csv(new, index=False)
        os.replace(new, file)


def _file(folder: Path, cell: Cell) -> Path:
    return folder / f"{cell}.csv"


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard error of each figure by cell and fit, and the number of sets."""
    found = found.assign(failed=_failed(found).astype(float))
    found["caught"] = found["warned"].where(found["failed"] == 1)
    grouped = found.drop(columns="set").groupby(["cell", "fit"])
    parts = {"mean": grouped.mean(), "error": grouped.sem(), "sets": grouped.count()}
    whole = pd.concat(parts, axis=1).swaplevel(axis=1)
    places = {name: place for place, name in enumerate([*_ORDER, *FITS])}
    return whole.sort_index(key=lambda names: names.map(places))


def _failed(found: pd.DataFrame) -> pd.Series:
    return (found["x1"] - SLOPES[0]).abs() > FAILED


def figures(whole: pd.DataFrame) -> str:
    """Return the table of all figures."""
    columns = {
        "MSE": ("error", 1, "{:.3g} ± {:.1g}"),
        "95 % covers": ("covered", 100, "{:.1f} ± {:.1f}"),
        "width": ("width", 1, "{:.3g} ± {:.1g}"),
        "new rows": ("predicted", 100, "{:.1f} ± {:.1f}"),
        "found": ("found", 100, "{:.0f} ± {:.0f}"),
        "falsely": ("false", 100, "{:.1f} ± {:.1f}"),
        "failed": ("failed", 100, "{:.0f} ± {:.0f}"),
        "warned of": ("caught", 100, "{:.0f} ± {:.0f}"),
        "warned": ("warned", 100, "{:.0f} ± {:.0f}"),
        "right": ("right", 100, "{:.0f} ± {:.0f}"),
    }
    lines = []
    for names, values in whole.iterrows():
        line = [": ".join(names), str(int(values["x1", "sets"]))]
        for name, unit, form in columns.values():
            mean, error = (unit * values[name, what] for what in ("mean", "error"))
            line.append("-" if np.isnan(mean) else form.format(mean, np.nan_to_num(error)))
        lines.append(line)
    return table(["cell: fit", "sets", *columns], lines)


def _least(share: pd.Series) -> float:
    """Return the lower 95 % bound of a proportion, of Clopper and Pearson."""
    good, count = int(share.sum()), len(share)
    return float(beta.ppf(0.05, good, count - good + 1)) if good else 0.0


def _ratio(found: pd.DataFrame, fit: str, reference: str) -> tuple[float, float, int]:
    """Return a ratio of mean squared errors over the same sets, with its error (jackknife)."""
    errors = found.pivot(index="set", columns="fit", values="error")[[fit, reference]].dropna()
    sums, count = errors.sum(), len(errors)
    without = sums - errors
    ratios = without[fit] / without[reference]
    error = np.sqrt((count - 1) / count * ((ratios - ratios.mean()) ** 2).sum())
    return float(sums[fit] / sums[reference]), float(error), count


def bars(found: pd.DataFrame) -> str:
    """Return the table of the figures that have bars, of the cells that are there."""
    lines = []

    def of(cell: str, fit: str) -> pd.DataFrame:
        return found[(found["cell"] == cell) & (found["fit"] == fit)]

    ruined = []
    for fit, least in (
        ("general_robust", {10: 0.95, 20: 0.9, 30: None}),
        ("downweighted", {10: 0.95, 20: 0.95, 30: 0.95}),
    ):
        for share, bar in least.items():
            part = of(str(Cell("Normal", share, 50)), fit)
            if fit == "general_robust":
                ruined.append(part.loc[_failed(part), "warned"])
            if len(part):
                text = f"{100 * part['right'].mean():.1f} %, >= {100 * _least(part['right']):.1f} %"
                verdict = at_least(_least(part["right"]), bar)
                lines.append((f"{share} % bad rows, right: {fit}", str(len(part)), text, *verdict))
    warned = pd.concat(ruined)
    if len(warned):
        text = f"{100 * warned.mean():.1f} %, >= {100 * _least(warned):.1f} %"
        verdict = at_least(warned.mean(), 0.98)
        lines.append(("warned when ruined: general_robust", str(len(warned)), text, *verdict))
    clean = str(Cell("Normal", 0, 50))
    for cell in (clean, *HARMLESS):
        part = of(cell, "general_robust")
        part = part[~_failed(part)]
        if len(part):
            share = part["warned"].mean()
            text = f"{100 * share:.1f} ± {100 * part['warned'].sem():.1f} %"
            lines.append(
                (f"false alarms: {cell}", str(len(part)), text, *against(share, 0.05)),
            )
    noisy = str(Cell("10 % of sd 10", 0, 50))
    for cell, fit, reference, bar in (
        (noisy, "contaminated", "student_t", 0.95),
        (noisy, "general_robust", "student_t", None),
        (clean, "general_robust", "least squares", 1.06),
        (clean, "contaminated", "least squares", 1.06),
    ):
        part = found[(found["cell"] == cell)]
        if len(of(cell, fit)) and len(of(cell, reference)):
            ratio, error, count = _ratio(part, fit, reference)
            name = f"MSE over {reference}, {cell.split(',')[0]}: {fit}"
            text = f"{ratio:.3f} ± {error:.3f}"
            lines.append((name, str(count), text, *against(ratio, bar)))
    for fit in ("contaminated", "general_robust"):
        part = of(noisy, fit)
        if len(part):
            covered, error = part["covered"].mean(), part["covered"].sem()
            off = abs(covered - 0.95)
            bar = 0.02 if fit == "contaminated" else None
            text = f"{100 * covered:.1f} ± {100 * error:.1f} %"
            name = f"coverage less 95 %, {noisy.split(',')[0]}: {fit}"
            lines.append((name, str(len(part)), text, *against(off, bar)))
    return table(["what", "sets", "figure", "bar", "verdict"], lines)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--sets", type=int, default=100, help="of data, in each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", nargs="+", metavar="TEXT", help="that a cell's name contains")
    parser.add_argument("--fits", nargs="+", choices=FITS, default=FITS, metavar="NAME")
    parser.add_argument("--full", action="store_true", help="all cells")
    parser.add_argument("--quick", action="store_true", help="two sets of three cells")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    cells, sets = (CELLS if arguments.full or arguments.cells else DEFAULT), arguments.sets
    if arguments.quick:
        cells, sets = QUICK, 2
    if arguments.cells:
        cells = tuple(c for c in cells if any(text in str(c) for text in arguments.cells))
    if not cells:
        parser.error("no cell has such a name; there are: " + "; ".join(_ORDER))
    print(header(f"Robustness, {sets} sets"), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for cell in cells:
        run(arguments.out, cell, arguments.fits, sets, arguments.seed)
        print(f"{cell}: done", file=sys.stderr, flush=True)
    found = results(arguments.out, CELLS)
    whole = summary(found)
    print(figures(whole), end="\n\n")
    # two sets prove nothing
    printed = "" if arguments.quick else bars(found)
    print(printed)
    if arguments.pictures:
        from _robustness_pictures import draw

        draw(whole, arguments.pictures)
    return int("MISSED" in printed)


if __name__ == "__main__":
    sys.exit(main())
