"""A regression in a few lines, as Python prints it."""

from collections.abc import Mapping

from robust_dist._words.names import listed
from robust_dist._words.text import printable
from robust_dist.regression.datatree import Setting
from robust_dist.regression.design.formula import split_formulas


def describe(formula: str | Mapping[str, str], setting: Setting, dropped: int) -> str:
    """Return what is fitted to what: a line each of formulas, likelihood, rows, parameters.

    Parameters
    ----------
    formula
        As for ``Regression``.
    setting
        The design, the likelihood and the priors.
    dropped
        How many rows were left out.
    """
    design = setting.design
    formulas = split_formulas(formula)
    lines = [("formula", formulas.pop(""))]
    lines += [(f"{name} formula", f"~ {text}") for name, text in formulas.items()]
    lines += [
        ("likelihood", setting.likelihood.name),
        ("rows", f"{len(design.y)}" + (f" ({dropped} left out)" if dropped else "")),
        ("coefficients", listed(design.coefficients)),
    ]
    lines += [
        (f"{name} coefficients", listed(columns.coefficients))
        for name, columns in design.distributional.items()
    ]
    groups = [f"({term.name}), {len(term.levels)} levels" for term in design.groups]
    if groups:
        lines.append(("groups", "; ".join(groups)))
    if design.curves:
        lines.append(("curves", listed([curve.name for curve in design.curves])))
    if design.resolution is not None:
        lines.append(("resolution", f"{design.resolution:g}"))
    lines.append(("priors", f"{listed(list(setting.priors))} (print .priors for a table)"))
    width = max(len(name) for name, _ in lines)
    body = "".join(f"\n  {name:<{width}}  {printable(text)}" for name, text in lines)
    return f"Regression{body}"
