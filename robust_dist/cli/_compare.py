"""``robust-dist compare``."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust_dist._words.text import printable
from robust_dist.cli._folder import find_output
from robust_dist.cli._likelihoods import COMPARED
from robust_dist.cli._memory import check_memory
from robust_dist.cli._results import netcdf, written
from robust_dist.cli._session import (
    add_origin,
    all_formulas,
    find_data,
    guesses_told,
    keep_programs,
    problems_later,
    reading_notes,
    row_arguments,
    sampling_arguments,
    teller,
    versions,
    warn,
)

if TYPE_CHECKING:
    from robust_dist.regression import Comparison


def run(options: argparse.Namespace) -> None:
    """Compare, write and print."""
    check_memory()
    data, formulas = find_data(options)
    default = COMPARED if len(formulas) == 1 else COMPARED[:1]
    likelihoods = list(dict.fromkeys(options.likelihood or default))
    names = ["comparison.png", "report.html", *_posteriors(formulas, likelihoods)]
    output = find_output(options.out, f"compare-{Path(options.data).stem}", options.force, names)
    say = teller(options.quiet)
    say("loading JAX, NumPyro and ArviZ")
    from robust_dist import diagnostics
    from robust_dist.cli._report import comparison_picture, comparison_report
    from robust_dist.regression import compare

    keep_programs(options)
    texts = [all_formulas(options, formula) for formula in formulas]
    with problems_later(), guesses_told(data, options):
        comparison = compare(
            # the defaults of one formula are more than those of several
            texts if len(texts) > 1 else texts[0],
            data,
            options.likelihood or None,
            method=options.method,
            refits=options.refits,
            exact=options.exact,
            stage=say,
            **sampling_arguments(options),
            **row_arguments(options),
        )
    if len(formulas) == 1:
        likelihoods = list(comparison.fits)
    posteriors = dict(zip(comparison.fits, _posteriors(formulas, likelihoods), strict=True))
    with written(output, options.json) as results:
        for name, dt in comparison.fits.items():
            add_origin(dt, data, options)
            results.files[posteriors[name]] = netcdf(dt)
        problems = _problems(
            {name: diagnostics.sampling_problems(dt) for name, dt in comparison.fits.items()}
        )
        warn(problems)
        picture = comparison_picture(comparison)
        results.files["comparison.png"] = picture.png
        results.files["report.html"] = comparison_report(comparison, picture, problems).encode()
        results.document = {
            "data": options.data,
            "formula": formulas[0] if len(formulas) == 1 else formulas,
            **comparison_document(comparison),
            "notes": [*reading_notes(data, options), *comparison.notes],
            "warnings": problems,
            "seed": options.seed,
            "versions": versions(),
        }
        if not options.json:
            rows = next(iter(comparison.fits.values()))["observed_data"].sizes["row"]
            print(f"\n{printable('; '.join(formulas))}   ({rows} rows)\n\n{comparison}")
            if len(formulas) > 1:
                print(
                    "\n"
                    + "\n".join(f"{posteriors[name]}: {printable(name)}" for name in posteriors)
                )


def _posteriors(formulas: Sequence[str], likelihoods: Sequence[str]) -> list[str]:
    """Return the names of the posteriors' files: by likelihood, or numbered if formulas differ."""
    if len(formulas) == 1:
        return [f"posterior-{name}.nc" for name in likelihoods]
    return [f"posterior-{n + 1}.nc" for n in range(len(formulas) * len(likelihoods))]


def _problems(problems: Mapping[str, list[str]]) -> list[str]:
    """Return once what all fits have, as what is wrong with the formula, and all else by name."""
    first, *others = problems.values()
    shared = [problem for problem in first if all(problem in other for other in others)]
    return shared + [
        f"{name}: {problem}"
        for name, own in problems.items()
        for problem in own
        if problem not in shared
    ]


def comparison_document(comparison: "Comparison") -> dict[str, Any]:
    """Return what was found, for machines."""
    coefficients = {
        name: {model: {key: row[model, key] for key in ("mean", "sd")} for model in comparison.fits}
        for name, row in comparison.coefficients.iterrows()
    }
    return {
        "comparison": comparison.table.to_dict(orient="index"),
        "coefficients": coefficients,
        "verdict": comparison.verdict,
        "notes": list(comparison.notes),
    }
