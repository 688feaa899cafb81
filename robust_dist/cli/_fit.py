"""``robust-dist fit``."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust_dist._errors import InputError
from robust_dist._words.text import printable
from robust_dist.cli._folder import find_output
from robust_dist.cli._likelihoods import LIKELIHOODS
from robust_dist.cli._memory import check_memory
from robust_dist.cli._priors import read_priors
from robust_dist.cli._results import Results, netcdf, written
from robust_dist.cli._session import (
    add_origin,
    all_formulas,
    find_data,
    guesses_told,
    keep_programs,
    problems_later,
    row_arguments,
    sampling_arguments,
    teller,
    versions,
    warn,
)

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataTree

    from robust_dist.regression import Comparison
    from robust_dist.regression.priors import Priors

OUTPUTS = ("posterior.nc", "rows.csv", "alpha.png", "fit.png", "report.html")
# more effects of single groups than this are left to the file
_EFFECTS = 20


def run(options: argparse.Namespace) -> None:
    """Fit, write and print."""
    check_memory()
    data, (formula,) = find_data(options)
    if options.compare and options.method == "map":
        raise InputError("--compare needs draws, and the mode is one; give another --method")
    output = find_output(options.out, Path(options.data).stem, options.force, OUTPUTS)
    say = teller(options.quiet)
    say("loading JAX, NumPyro and ArviZ")
    with problems_later():
        dt, comparison, priors = _fitted(options, data, formula)
    say("summarising and drawing")
    from robust_dist import diagnostics
    from robust_dist.diagnostics.row_statistics import one_walk
    from robust_dist.regression.row_laws import with_design

    notes = json.loads(dt.attrs.get("notes", "[]"))
    add_origin(dt, data, options)
    with written(output, options.json) as results:
        results.files["posterior.nc"] = netcdf(dt)
        # the design that a fit of many rows does without, made once for all that follows
        dt = with_design(dt)
        with one_walk(dt):
            table = diagnostics.outliers(dt)
            problems = diagnostics.problems(dt)
            warn(problems)
            results.files["rows.csv"] = diagnostics.row_table(dt).to_csv().encode()
            _draw(dt, results, table, comparison, problems, priors)
            if options.json:
                results.document = _document(dt, table, comparison, problems, priors)
            else:
                _print(dt, notes, table, comparison)


def _fitted(
    options: argparse.Namespace, data: "pd.DataFrame", formula: str
) -> "tuple[DataTree, Comparison | None, Priors]":
    """Return the fit, the comparison if one is asked for, and the priors."""
    from robust_dist.regression import Regression

    keep_programs(options)
    say = teller(options.quiet)
    priors = read_priors(options.prior)
    if options.alpha is not None:
        if "alpha" in priors:
            raise InputError("--alpha fixes alpha; leave --prior alpha=... out")
        priors["alpha"] = options.alpha
    formulas, arguments = all_formulas(options, formula), row_arguments(options)
    with guesses_told(data, options):
        regression = Regression(formulas, data, options.likelihood, priors, **arguments)
    if regression.dropped:
        say(f"leaving out {regression.dropped} of {len(data)} rows, which have missing values")
    sampling = sampling_arguments(options)
    others = [name for name in dict.fromkeys(options.compare) if name != options.likelihood]
    if options.compare and not others:
        raise InputError("--compare names the likelihood that is fitted; name another")
    if not others:
        progress = sys.stderr.isatty() and not (options.quiet or options.no_progress)
        fit = regression.fit(method=options.method, progress=progress, stage=say, **sampling)
        return fit, None, regression.priors
    from robust_dist.regression import compare

    comparison = compare(
        formulas,
        data,
        [options.likelihood, *others],
        priors={options.likelihood: priors},
        method=options.method,
        stage=say,
        **sampling,
        **arguments,
    )
    return comparison.fits[options.likelihood], comparison, regression.priors


def _heading(dt: "DataTree") -> str:
    """Return the formula and what was fitted to how much."""
    rows = dt["observed_data"].sizes["row"]
    chains, draws = (dt["posterior"].sizes[name] for name in ("chain", "draw"))
    parts = [f"{rows} rows"]
    if "dropped" in dt.attrs:
        parts.append(f"{dt.attrs['dropped']} left out")
    if dt.attrs["likelihood"] != LIKELIHOODS[0]:
        parts.append(str(dt.attrs["likelihood"]))
    method = dt.attrs["method"]
    drawn = f"{chains} chains of {draws}" if method == "nuts" else f"{chains * draws}"
    parts.append(f"{drawn} draws" if method == "nuts" else f"{drawn} draws by {method}")
    further = {
        name: text
        for name, text in json.loads(dt.attrs.get("formulas", "{}")).items()
        if text.strip().startswith("~")
    }
    formulas = [dt.attrs["formula"], *(f"{name} {text.strip()}" for name, text in further.items())]
    return f"{', '.join(formulas)}   ({', '.join(parts)})"


def _print(
    dt: "DataTree",
    notes: list[str],
    outliers: "pd.DataFrame",
    comparison: "Comparison | None",
) -> None:
    """Print the posterior, its diagnostics, and what it says of tails and rows."""
    from robust_dist import diagnostics
    from robust_dist.regression.design.design import WEIGHTS

    print(f"\n{printable(_heading(dt))}\n")
    if notes and comparison is None:  # which has them at its end
        print(f"{printable('; '.join(notes))}\n")
    table = diagnostics.summary(dt)
    effects = [name for name in table.index if "|" in name and "_sigma" not in name]
    hidden = effects if len(effects) > _EFFECTS else []
    # single weights of a curve say nothing to anybody
    weights = [name for name in table.index if f"){WEIGHTS}[" in name]
    print(diagnostics.format_summary(table.drop(index=[*hidden, *weights])))
    if hidden:
        print(f"and the effects of single groups, {len(hidden)} of them, in posterior.nc")
    if weights:
        print(f"and the {len(weights)} weights of curves, in posterior.nc")
    if "sample_stats" in dt.children:
        print(f"\ndivergences: {diagnostics.divergences(dt)}")
    other = diagnostics.format_explanations(dt)
    if other:
        print(f"\nThe data have more than one explanation (mean ± sd):\n\n{other}")
    else:
        moved = diagnostics.leverage_in_words(dt)
        if moved:
            print(f"\n{moved}")
    print(f"\n{diagnostics.r2_in_words(dt)}")
    print(f"\n{diagnostics.read_tails(dt)}")
    print(f"\n{diagnostics.name_outliers(outliers)}")
    if comparison is not None:
        print(f"\n{comparison}")


def _draw(
    dt: "DataTree",
    results: Results,
    outliers: "pd.DataFrame",
    comparison: "Comparison | None",
    problems: list[str],
    priors: "Priors",
) -> None:
    """Draw the pictures and write the report."""
    from robust_dist.cli._report import fit_pictures, fit_report

    pictures = fit_pictures(dt)
    for name in ("alpha", "fit"):
        if name in pictures:
            results.files[f"{name}.png"] = pictures[name].png
    report = fit_report(dt, _heading(dt), pictures, outliers, comparison, problems, str(priors))
    results.files["report.html"] = report.encode()


def _document(
    dt: "DataTree",
    outliers: "pd.DataFrame",
    comparison: "Comparison | None",
    problems: list[str],
    priors: "Priors",
) -> dict[str, Any]:
    """Return what was found, for machines."""
    from robust_dist import diagnostics
    from robust_dist.cli._compare import comparison_document
    from robust_dist.diagnostics.explanations import explanations_document
    from robust_dist.diagnostics.r2 import r2_summary
    from robust_dist.diagnostics.tails import tails_in_words

    far = outliers[outliers["outlier"]]
    tails = diagnostics.tail_summary(dt)
    sizes = dt["posterior"].sizes
    return {
        "data": dt.attrs["data"],
        "formula": dt.attrs["formula"],
        "likelihood": dt.attrs["likelihood"],
        "method": dt.attrs["method"],
        "rows": dt["observed_data"].sizes["row"],
        "dropped": dt.attrs.get("dropped", 0),
        "resolution": dt.attrs.get("resolution"),
        "notes": json.loads(dt.attrs.get("notes", "[]")),
        "chains": sizes["chain"],
        "draws": sizes["draw"],
        "warmup": dt.attrs["warmup"],
        "seed": dt.attrs["seed"],
        "priors": priors.in_words(),
        "summary": diagnostics.summary(dt).to_dict(orient="index"),
        "divergences": diagnostics.divergences(dt),
        "explanations": explanations_document(dt),
        "r2": r2_summary(dt).rename_axis("kind").reset_index().to_dict(orient="records")[0],
        "tails": tails.to_dict(orient="index"),
        "tails_in_words": tails_in_words(dt, tails),
        "outliers": [
            {"row": row, **values}
            for row, values in far.drop(columns="outlier").to_dict(orient="index").items()
        ],
        "warnings": problems,
        "comparison": None if comparison is None else comparison_document(comparison),
        "versions": versions(),
    }
