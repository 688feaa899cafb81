"""How probable a statement about coefficients, or about estimates, is a posteriori."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from xarray import DataArray, Dataset, DataTree

from robust_dist._arguments import check_type, probability, shown
from robust_dist._errors import InputError
from robust_dist.effects.result import Result, by_chain, summarise
from robust_dist.effects.sentence import read_sentence
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.row_laws import stacked


def hypothesis(
    source: DataTree | Result,
    sentence: str | Sequence[str],
    *,
    rope: tuple[float, float] | None = None,
    prob: float = 0.95,
    use_hdi: bool = False,
) -> pd.DataFrame:
    """Return how probable statements such as ``"x1 - x2 > 0"`` are a posteriori.

    Nothing is evaluated but +, -, * and / of numbers and draws.

    Parameters
    ----------
    source
        A fit, of which names are those of ``diagnostics.summary``: coefficients such as ``x1`` or
        ``brand[b]``, and parameters such as ``alpha``, ``beta_sigma[x]`` and
        ``1|plant_sigma``. Or a result of ``predictions``, ``comparisons`` or ``slopes``, of which
        the lines are ``b1``, ``b2``, ..., as in marginaleffects.
    sentence
        Two sides with < or > (or <=, >=) between them, or several sentences. Names with blanks or
        signs go in backticks: ``"`log(x)` + 1 > 0"``.
    rope
        The region of practical equivalence: the lowest and the highest difference of the sides that
        is as good as none.
    prob, use_hdi
        The probability of the interval, and whether it is that of highest density.

    Returns
    -------
    pandas.DataFrame
        For each sentence, of left side minus right side, the posterior mean ``estimate``, standard
        deviation ``est_error``, and interval from ``lower`` to ``upper``; as of brms the posterior
        probability ``post_prob`` of the sentence and ``evid_ratio``, its ratio to that of the
        contrary; and with a rope, the share of the draws ``in_rope``.

    Raises
    ------
    InputError
        If a sentence cannot be read, or names what there is not.

    References
    ----------
    P.-C. Bürkner, brms: an R package for Bayesian multilevel models using Stan, Journal of
    Statistical Software 80 (2017). J. K. Kruschke, Rejecting or accepting parameter values in
    Bayesian estimation, Advances in Methods and Practices in Psychological Science 1 (2018).
    """
    prob = probability("prob", prob)
    sentences = [sentence] if isinstance(sentence, str) else list(sentence)
    for text in sentences:
        check_type("a hypothesis", text, str, "text such as 'x > 0'")
    if not sentences:
        raise InputError("no hypothesis is given; write one such as 'x > 0'")
    region = None if rope is None else _region(rope)
    if isinstance(source, Result):
        like: Dataset | DataArray = source.draws
        draws = _of_result(source)
    else:
        check_fit(source)
        like = source["posterior"].dataset
        draws = named_draws(source)
    readings = [read_sentence(text, draws) for text in sentences]
    size = like.sizes["chain"] * like.sizes["draw"]
    differences = np.stack([np.broadcast_to(each.difference, size) for each in readings], axis=1)
    table = pd.DataFrame({"hypothesis": sentences})
    summary = summarise(table, by_chain(like, differences), prob, use_hdi).summary
    summary.insert(2, "est_error", differences.std(axis=0, ddof=1))
    signs = [1 if each.greater else -1 for each in readings]
    share = (differences * signs > 0).mean(axis=0)
    with np.errstate(divide="ignore"):  # of what all draws say
        summary = summary.assign(evid_ratio=share / (1 - share), post_prob=share)
    if region is not None:
        low, high = region
        summary["in_rope"] = ((low <= differences) & (differences <= high)).mean(axis=0)
    return summary


def named_draws(dt: DataTree) -> dict[str, np.ndarray]:
    """Return the draws of each number of the posterior, by the name that the summary has for it."""
    posterior = dt["posterior"].dataset
    names: dict[str, np.ndarray] = {}
    for variable in map(str, posterior.data_vars):
        values = stacked(dt, variable)
        assert values is not None
        dims = [dim for dim in posterior[variable].dims if dim not in ("chain", "draw")]
        levels = [map(str, posterior[variable][dim].values) for dim in dims]
        for column, place in zip(values.reshape(len(values), -1).T, product(*levels), strict=True):
            name = f"{variable}[{', '.join(place)}]" if place else variable
            if variable == "beta" and place[0] not in posterior:
                name = place[0]
            names[name] = column
    return names


def _of_result(result: Result) -> dict[str, np.ndarray]:
    """Return the draws of each line of a table, which are counted from 1."""
    lines = result.draws.stack(sample=("chain", "draw")).transpose("row", "sample").values
    return {f"b{number}": line for number, line in enumerate(lines, start=1)}


def _region(rope: Any) -> tuple[float, float]:
    """Return the ends of a region of practical equivalence."""
    try:
        low, high = map(float, rope)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not low < high:
        raise InputError(f"rope must be two numbers in ascending order, not {shown(rope)}")
    return low, high
