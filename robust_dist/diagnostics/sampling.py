"""What the draws are worth: ArviZ's summary, and the signs that they are not to be trusted."""

import arviz_stats
import numpy as np
import pandas as pd
from xarray import DataTree

from robust_dist._arguments import check_type
from robust_dist._text import printable
from robust_dist.regression.fitted import check_fit


def summary(dt: DataTree) -> pd.DataFrame:
    """Return ArviZ's summary of the parameters, the coefficients under their own names.

    ``mean``, ``sd``, the 95% interval ``eti95_lb`` to ``eti95_ub``; for draws of NUTS also
    ``ess_bulk``, ``ess_tail`` and ``r_hat``.
    """
    check_fit(dt)
    parameters = list(dt["posterior"].data_vars)
    with np.errstate(invalid="ignore", divide="ignore"):  # a handful of draws has no diagnostics
        table = arviz_stats.summary(dt, ci_prob=0.95, ci_kind="eti", round_to="none")
    table = table.drop(columns=["mcse_mean", "mcse_sd"])
    if not _is_mcmc(dt):
        table = table.drop(columns=["ess_bulk", "ess_tail", "r_hat"])
    # a coefficient that is called as a parameter keeps the name "beta[alpha]"
    names = {
        f"beta[{name}]": str(name)
        for name in dt["posterior"].dataset["coefficient"].values
        if name not in parameters
    }
    return table.rename(index=names)


def format_summary(table: pd.DataFrame) -> str:
    """Return a summary as text, every number as precise as its standard deviation deserves."""
    check_type("table", table, pd.DataFrame, "the table that summary() returns")
    return summary_texts(table).to_string()


def summary_texts(table: pd.DataFrame) -> pd.DataFrame:
    """Return the same as a table of texts."""
    text = pd.DataFrame(index=table.index.map(printable))
    decimals = [
        int(np.clip(1 - np.floor(np.log10(sd)), 0, 12)) if sd > 0 else 3 for sd in table["sd"]
    ]
    headings = {"mean": "mean", "sd": "sd", "eti95_lb": "2.5%", "eti95_ub": "97.5%"}
    for column, heading in headings.items():
        text[heading] = [
            f"{value:.{places}f}" for value, places in zip(table[column], decimals, strict=True)
        ]
    if "r_hat" in table:
        text["ESS bulk"] = [f"{value:.0f}" for value in table["ess_bulk"]]
        text["ESS tail"] = [f"{value:.0f}" for value in table["ess_tail"]]
        text["R-hat"] = [f"{value:.3f}" for value in table["r_hat"]]
    return text


def divergences(dt: DataTree) -> int:
    """Return the number of divergent transitions; 0 for a fit that was not made by NUTS."""
    check_fit(dt)
    if "sample_stats" not in dt.children or "diverging" not in dt["sample_stats"].dataset:
        return 0
    return int(dt["sample_stats"].dataset["diverging"].sum())


def sampling_problems(dt: DataTree) -> list[str]:
    """Return one sentence for each sign that the draws are not to be trusted."""
    problems = []
    diverging = divergences(dt)
    if diverging:
        total = dt["sample_stats"].dataset["diverging"].size
        problems.append(
            f"{diverging} of {total} transitions diverged: the draws may miss part of the "
            "posterior; run longer with --warmup, or simplify the formula"
        )
    if not _is_mcmc(dt):
        return problems
    rhat = float(summary(dt)["r_hat"].max(skipna=False))
    if np.isnan(rhat):
        problems.append("too few draws to tell whether the chains agree; raise --draws")
    elif rhat > 1.01:
        problems.append(
            f"the largest R-hat is {rhat:.3f}, above 1.01: the chains do not agree yet; run longer "
            "with --draws and --warmup"
        )
    return problems


def _is_mcmc(dt: DataTree) -> bool:
    """Whether the draws are a chain, of which R-hat and effective sample sizes have a meaning."""
    return bool(dt.attrs.get("method", "nuts") == "nuts")
