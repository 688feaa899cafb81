"""``robust-dist compare``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust_dist._text import printable
from robust_dist.cli._folder import output_folder
from robust_dist.cli._session import (
    all_formulas,
    find_data,
    print_json,
    row_arguments,
    sampling_arguments,
    teller,
    versions,
    warn,
)

if TYPE_CHECKING:
    from robust_dist.regression import Comparison

_DEFAULT = ("general_robust", "student_t", "normal")


def run(options: argparse.Namespace) -> None:
    """Compare, print and write."""
    data, formula = find_data(options)
    likelihoods = list(dict.fromkeys(options.likelihood or _DEFAULT))
    posteriors = [f"posterior-{name}.nc" for name in likelihoods]
    outputs = ["comparison.png", "report.html", *posteriors]
    stem = f"compare-{Path(options.data).stem}"
    with output_folder(options.out, stem, options.force, outputs) as (folder, drafts):
        say = teller(options.quiet)
        say("loading JAX, NumPyro and ArviZ")
        from robust_dist import diagnostics
        from robust_dist._report import comparison_picture, comparison_report
        from robust_dist.regression import compare

        comparison = compare(
            all_formulas(options, formula),
            data,
            likelihoods,
            method=options.method,
            refits=options.refits,
            stage=say,
            **sampling_arguments(options),
            **row_arguments(options),
        )
        problems = [
            f"{name}: {problem}"
            for name, dt in comparison.fits.items()
            for problem in diagnostics.sampling_problems(dt)
        ]
        if not options.json:
            rows = next(iter(comparison.fits.values()))["observed_data"].sizes["row"]
            print(f"\n{printable(formula)}   ({rows} rows)\n\n{comparison}", flush=True)
        warn(problems)
        for name, dt in comparison.fits.items():
            dt.attrs["data"] = options.data
            dt.to_netcdf(drafts / f"posterior-{name}.nc", engine="h5netcdf")
        picture = comparison_picture(comparison)
        (drafts / "comparison.png").write_bytes(picture.png)
        report = comparison_report(comparison, picture, problems)
        (drafts / "report.html").write_text(report, encoding="utf-8")
    if options.json:
        print_json(
            {
                "data": options.data,
                "formula": formula,
                **comparison_document(comparison),
                "warnings": problems,
                "seed": options.seed,
                "versions": versions(),
                "files": [str(folder / name) for name in outputs],
            }
        )
    else:
        print(f"\nwritten to {printable(folder)}: {', '.join(outputs)}")


def comparison_document(comparison: "Comparison") -> dict[str, Any]:
    """Return what was found, for machines."""
    coefficients = {
        name: {
            likelihood: {key: row[likelihood, key] for key in ("mean", "sd")}
            for likelihood in comparison.fits
        }
        for name, row in comparison.coefficients.iterrows()
    }
    return {
        "comparison": comparison.table.to_dict(orient="index"),
        "coefficients": coefficients,
        "verdict": comparison.verdict,
        "notes": list(comparison.notes),
    }
