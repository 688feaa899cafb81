"""Several models of the same response: which predicts best, and whether the data can tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import arviz_stats
import numpy as np
import pandas as pd
from xarray import DataArray, DataTree

from robust_dist._arguments import check_type, seed_number, whole_number
from robust_dist._errors import InputError
from robust_dist._words.numbers import decimal
from robust_dist._words.text import printable
from robust_dist.regression.comparison_models import (
    DEFAULT,
    Formula,
    check_alike,
    models_to_compare,
)
from robust_dist.regression.comparison_words import notes_on_rows, verdict
from robust_dist.regression.fit import Regression
from robust_dist.regression.loo import LeaveOneOut, leave_one_out, rows_to_leave_out
from robust_dist.regression.posterior.mixture import allotted
from robust_dist.regression.predict import predict

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
    """posterior mean and sd of each coefficient, in columns (model, mean or sd); NaN where a model
    has no such coefficient"""
    verdict: str
    """which models the data can tell apart, in words"""
    notes: tuple[str, ...]
    """what was done to columns, and about rows with a high Pareto k, and what remains"""
    fits: Mapping[str, DataTree]
    loo: Mapping[str, LeaveOneOut]
    """of the rows that were left out"""
    models: Mapping[str, tuple[Formula, str]]
    """formula and likelihood of each"""

    def __str__(self) -> str:
        """Return the tables and the words."""
        shown = comparison_texts(self).to_string()
        coefficients = coefficient_texts(self).to_string()
        return "\n\n".join([shown, coefficients, self.verdict, *self.notes])

    def predict(
        self, new_data: Any = None, kind: str = "response", *, seed: int = 0, **options: Any
    ) -> DataArray:
        """Return draws of what all models say of new rows, as many of each as its weight says.

        They are of the mixture of the predictive laws by the weights of stacking (Yao, Vehtari,
        Simpson and Gelman, 2018), which is what these weights were chosen for.

        Parameters
        ----------
        new_data, kind, seed, options
            As for ``robust_dist.regression.predict``.

        Returns
        -------
        DataArray
            Of dimensions chain, draw and row, in the response's units.

        Raises
        ------
        InputError
            If a model cannot predict the new rows.
        """
        names, generator = list(self.fits), np.random.default_rng(seed_number(seed))
        parts = {
            name: predict(self.fits[name], new_data, kind, seed=seed, **options) for name in names
        }
        shape = parts[names[0]].shape[:2]
        # each position of chain and draw is one model's
        weights = self.table["weight"].reindex(names).to_numpy(float)
        owners = allotted(weights / weights.sum(), shape[0] * shape[1], generator)
        owner = owners.reshape(*shape, 1)
        values = np.select([owner == number for number in range(len(names))], list(parts.values()))
        return parts[names[0]].copy(data=values)


def compare(
    formula: Formula | Sequence[Formula] | Mapping[str, tuple[Formula, str]],
    data: Any,
    likelihoods: Sequence[str] | None = None,
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
    """Fit several models and compare them by leave-one-out cross-validation.

    Rows whose Pareto k is high, so that importance sampling cannot say what the fit would be
    without them, are left out and the model fitted anew. Of more than some 50,000 rows, so many
    that a fit keeps few draws of each, 5,000 drawn at random are left out, the same under every
    model; the notes say so.

    Parameters
    ----------
    formula
        As for ``Regression``, to compare likelihoods; a list of such, to compare formulas of one
        response, each of which is its model's name; or models by name,
        ``{"with z": ("y ~ x + z", "student_t"), ...}``.
    data
        As for ``Regression``.
    likelihoods
        Their names; each is fitted with each formula. By default the first four of those there are
        if there is one formula, without those that cannot have it, as the notes say; and the first
        alone if there are several.
    priors
        For each model, by name, those that replace its default priors. The name is that of the
        likelihood if there is one formula; the formula if there is one likelihood.
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
        If a regression cannot be made, the models are not at least two different ones of the same
        response and rows, or the method has no draws to compare.
    """
    models = models_to_compare(formula, likelihoods)
    names = list(models)
    check_type("priors", priors, (Mapping, type(None)), "a mapping of models to priors")
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
    regressions: dict[str, Regression] = {}
    left_out: dict[str, InputError] = {}
    for name, (part, likelihood) in models.items():
        try:
            regressions[name] = Regression(
                part, data, likelihood, (priors or {}).get(name), **arguments
            )
        except InputError as error:
            # of the defaults those that can have the formula: nobody has asked for the others
            if likelihoods is not None or tuple(models) != DEFAULT or name in (priors or {}):
                raise
            left_out[name] = error
    if len(regressions) < 2:
        raise next(iter(left_out.values()))
    check_alike(regressions)
    names = list(regressions)
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
    notes = [f"{name} is left out: {error}." for name, error in left_out.items()]
    notes += notes_on_rows(loo, allowed, exact)
    if rows.size < count:
        notes.append(
            f"elpd is estimated from {rows.size} of the {count} rows, drawn at random and left out "
            "one at a time."
        )
    return Comparison(
        table=table,
        coefficients=_coefficients(fits),
        verdict=verdict(table, {name: loo[name].elpd.elpd_i.values for name in names}, labels),
        notes=(*dict.fromkeys(note for name in names for note in regressions[name].notes), *notes),
        fits=fits,
        loo=loo,
        models=models,
    )


def _tenths(say: Callable[[str], None], count: int) -> Callable[[int], None]:
    """Return what tells of each tenth of the rows, if they are many."""

    def tell(done: int) -> None:
        if count >= 50 and 10 * done // count > 10 * (done - 1) // count:
            say(f"fitted anew without {done} of {count} rows")

    return tell


def comparison_texts(comparison: Comparison) -> pd.DataFrame:
    """Return the table as it is shown."""
    table = comparison.table[["elpd", "se", "elpd_diff", "dse", "weight"]]
    # the optimiser of the weights leaves 1e-16 where there is nothing
    table = table.assign(weight=table["weight"].where(table["weight"] > 5e-3, 0.0))
    return table.rename(index=printable).map(lambda value: decimal(value, 2))


def coefficient_texts(comparison: Comparison) -> pd.DataFrame:
    """Return means and standard deviations as they are shown."""
    table = comparison.coefficients.rename(index=printable, columns=printable)
    return table.map(lambda value: "-" if np.isnan(value) else f"{value:.4g}")


def _coefficients(fits: Mapping[str, DataTree]) -> pd.DataFrame:
    """Return means and standard deviations side by side."""
    columns = {}
    for name, dt in fits.items():
        beta = dt["posterior"].dataset["beta"]
        columns[name, "mean"] = beta.mean(("chain", "draw")).to_series()
        columns[name, "sd"] = beta.std(("chain", "draw"), ddof=1).to_series()
    # in the order of the formulas, not of the alphabet
    names = dict.fromkeys(name for column in columns.values() for name in column.index)
    return pd.DataFrame(columns).reindex(list(names)).rename_axis("coefficient")
