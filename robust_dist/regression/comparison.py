"""Several likelihoods on the same data: which predicts best, and whether the data can tell."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import arviz_stats
import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist._arguments import check_type, whole_number
from robust_dist._errors import InputError
from robust_dist._words.numbers import decimal
from robust_dist._words.text import printable
from robust_dist.regression.fit import Regression
from robust_dist.regression.likelihoods import NAMES, find_likelihood
from robust_dist.regression.loo import LeaveOneOut, leave_one_out, rows_to_leave_out

DEFAULT = NAMES[:3]
# importance sampling smooths a tail of at least five draws
_FEWEST = 25
METHODS = ("nuts", "svi", "laplace")


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found; prints as tables and sentences."""

    table: pd.DataFrame
    """ArviZ's comparison, best first, with ``elpd`` (expected log density of a new row, summed over
    the rows), ``elpd_diff`` from the best, ``dse`` its standard error, ``weight`` of
    stacking, ..."""
    coefficients: pd.DataFrame
    """posterior mean and sd of each coefficient, in columns (likelihood, mean or sd)"""
    verdict: str
    """which likelihoods the data can tell apart, in words"""
    notes: tuple[str, ...]
    """what was done to columns, and about rows with a high Pareto k, and what remains"""
    fits: Mapping[str, DataTree]
    loo: Mapping[str, LeaveOneOut]
    """of the rows that were left out"""

    def __str__(self) -> str:
        """Return the tables and the words."""
        shown = self.table[["elpd", "se", "elpd_diff", "dse", "weight"]].to_string(
            float_format=lambda value: decimal(value, 2)
        )
        coefficients = self.coefficients.rename(index=printable).to_string(
            float_format=lambda value: f"{value:.4g}"
        )
        return "\n\n".join([shown, coefficients, self.verdict, *self.notes])


def compare(
    formula: str | Mapping[str, str],
    data: Any,
    likelihoods: Sequence[str] = DEFAULT,
    *,
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    draws: int = 1000,
    warmup: int = 1000,
    chains: int = 4,
    seed: int = 0,
    target_accept: float = 0.8,
    method: str = "nuts",
    sampler: str = "auto",
    refits: int = 10,
    exact: bool = False,
    stage: Callable[[str], None] | None = None,
    **arguments: Any,
) -> Comparison:
    """Fit each likelihood and compare them by leave-one-out cross-validation.

    Rows whose Pareto k is high, so that importance sampling cannot say what the fit would be
    without them, are left out and the model fitted anew. Of more than some 50,000 rows, so many
    that a fit keeps few draws of each, 5,000 drawn at random are left out, the same under every
    likelihood; the notes say so.

    Parameters
    ----------
    formula, data
        As for ``Regression``.
    likelihoods
        Their names, at least two.
    priors
        For each likelihood those that replace its default priors.
    draws, warmup, chains, seed, target_accept, sampler
        As for ``Regression.fit``.
    method
        ``"nuts"``; or ``"svi"`` or ``"laplace"``, for very many rows.
    refits
        The most refits for each likelihood, by NUTS and after NUTS only; if more rows have a high
        Pareto k, none is made, and the notes say so.
    exact
        Whether to fit anew without each of the rows in turn, with no importance sampling to doubt:
        for up to some hundred rows, each of which takes a fraction of a second.
    stage
        Called with a few words as each stage starts.
    arguments
        Further ones of ``Regression``: weights, offset, ...

    Raises
    ------
    InputError
        If a regression cannot be made, the likelihoods are not at least two different ones, or the
        method has no draws to compare.
    """
    check_type("likelihoods", likelihoods, Iterable, "a list of names")
    names = [] if isinstance(likelihoods, str) else list(likelihoods)
    for name in names:
        find_likelihood(name)
    names = list(dict.fromkeys(names))
    if len(names) < 2:
        raise InputError("a comparison needs at least two different likelihoods")
    check_type("priors", priors, (Mapping, type(None)), "a mapping of likelihoods to priors")
    unknown = set(priors or {}) - set(names)
    if unknown:
        raise InputError(f"priors for '{min(unknown, key=str)}', which is not compared")
    if method not in METHODS:
        raise InputError(f"no comparison by '{method}'; there are: {', '.join(METHODS)}")
    refits = whole_number("refits", refits, 0)
    check_type("exact", exact, (bool, np.bool_), "True or False")
    if exact and method != "nuts":
        raise InputError(
            f"exact refits are by method 'nuts', not '{method}'; leave one of them out"
        )
    draws, chains = whole_number("draws", draws, 1), whole_number("chains", chains, 1)
    if draws * chains < _FEWEST:
        raise InputError(
            f"{draws * chains} draws in all are too few to leave rows out; draw at least {_FEWEST}"
        )
    options: dict[str, Any] = {
        "draws": draws,
        "warmup": warmup,
        "chains": chains,
        "seed": seed,
        "target_accept": target_accept,
        "sampler": sampler,
    }
    say = stage or (lambda text: None)
    # all before the first is fitted, so that a mistake in the last costs no time
    regressions = {
        name: Regression(formula, data, name, (priors or {}).get(name), **arguments)
        for name in names
    }
    count = len(regressions[names[0]].design.y)
    rows = rows_to_leave_out(count, draws * chains, seed)
    if exact and rows.size < count:
        raise InputError(
            f"{count} rows are too many to fit anew without each; leave exact out, which takes "
            f"{rows.size} of them"
        )
    allowed = refits if method == "nuts" and rows.size == count else 0
    fits, loo = {}, {}
    for name, regression in regressions.items():
        say(f"fitting {name}")
        fits[name] = regression.fit(**options, method=method, progress=False)
        say(f"leaving rows out of {name}")
        loo[name] = leave_one_out(
            *(regression, fits[name], options, allowed, rows, bool(exact)),
            progress=_tenths(say, count),
        )
    table = arviz_stats.compare({name: loo[name].elpd for name in names}, round_to="none")
    # sums over all rows, as estimated from those left out
    table[["elpd", "se", "p", "elpd_diff", "dse"]] *= count / rows.size
    labels = [printable(row) for row in fits[names[0]]["observed_data"].dataset["row"].values[rows]]
    notes = _notes(loo, allowed, exact)
    if rows.size < count:
        notes.append(
            f"elpd is estimated from {rows.size} of the {count} rows, drawn at random and left out "
            "one at a time."
        )
    return Comparison(
        table=table,
        coefficients=_coefficients(fits),
        verdict=_verdict(table, {name: loo[name].elpd.elpd_i.values for name in names}, labels),
        notes=(*regressions[names[0]].notes, *notes),
        fits=fits,
        loo=loo,
    )


def _tenths(say: Callable[[str], None], count: int) -> Callable[[int], None]:
    """Return what tells of each tenth of the rows, if they are many."""

    def tell(done: int) -> None:
        if count >= 50 and 10 * done // count > 10 * (done - 1) // count:
            say(f"fitted anew without {done} of {count} rows")

    return tell


def _coefficients(fits: Mapping[str, DataTree]) -> pd.DataFrame:
    """Return means and standard deviations side by side."""
    columns = {}
    for name, dt in fits.items():
        beta = dt["posterior"].dataset["beta"]
        columns[name, "mean"] = beta.mean(("chain", "draw")).to_series()
        columns[name, "sd"] = beta.std(("chain", "draw"), ddof=1).to_series()
    return pd.DataFrame(columns)


def _verdict(
    table: pd.DataFrame, pointwise: Mapping[str, np.ndarray], labels: Sequence[str]
) -> str:
    """Return which likelihoods the data can tell apart.

    A difference below 4 says nothing (Sivula, Magnusson, Matamoros and Vehtari, 2020). One that is
    within two of its standard errors rests on a few rows, as where one law alone expects outliers.
    """
    best, *others = table.index
    sentences = []
    equal = [name for name in others if -table.loc[name, "elpd_diff"] <= 4]
    if equal:
        sentences.append(
            f"The data cannot tell {_listed([best, *equal])} apart: their differences in elpd are "
            "4 or less."
        )
    for name in others:
        difference, error = -table.loc[name, "elpd_diff"], table.loc[name, "dse"]
        if name in equal:
            continue
        words = f"{name} predicts worse than {best}, by {difference:.1f} +- {error:.1f} in elpd"
        if difference <= 2 * error:
            rows = _half_of(pointwise[best] - pointwise[name], labels)
            words += f", but more than half of that rests on {rows}"
        sentences.append(words + ".")
    return " ".join(sentences)


def _half_of(differences: np.ndarray, labels: Sequence[str]) -> str:
    """Return the fewest rows that make up half of the sum."""
    order = np.argsort(-differences)
    count = int(np.argmax(np.cumsum(differences[order]) >= differences.sum() / 2)) + 1
    if count > 3:
        return f"{count} of {len(labels)} rows"
    return _rows([labels[row] for row in order[:count]])


def _notes(loo: Mapping[str, LeaveOneOut], refits: int, exact: bool) -> list[str]:
    """Return what was done about high Pareto k."""
    notes = []
    for name, result in loo.items():
        if exact:
            notes.append(f"{name}: the model was fitted anew without each of the rows.")
        elif result.refitted:
            rows = _rows([printable(row) for row in result.refitted])
            notes.append(
                f"{name}: Pareto k was high in {rows}; the model was fitted anew without each."
            )
        elif result.doubtful:
            count = len(result.doubtful)
            notes.append(
                f"{name}: Pareto k is high in {count} row{'s' * (count > 1)}, more than the "
                f"{refits} refits allowed: its elpd is not reliable."
            )
    return notes


def _rows(labels: Sequence[str]) -> str:
    """Return "row a" or "rows a and b"."""
    return f"row{'s' if len(labels) > 1 else ''} {_listed(labels)}"


def _listed(words: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
