"""What the draws are worth: ArviZ's summary, and the signs that they are not to be trusted."""

import json

import arviz_stats
import numpy as np
import pandas as pd
from xarray import DataArray, DataTree

from robust_dist._arguments import check_type
from robust_dist._words.names import listed
from robust_dist._words.numbers import to_precision
from robust_dist._words.text import printable
from robust_dist.diagnostics.row_statistics import once
from robust_dist.regression.fitted import check_fit

# 1.01, and 400, which is 100 for each of four chains: Vehtari et al. (2021)
_HIGHEST_RHAT, _FEWEST_EFFECTIVE = 1.01, 400
# NumPyro's NUTS doubles a trajectory ten times at most; Stan warns where one reaches that
_LONGEST = 2**10 - 1
# Betancourt (2016); below it, as in Stan and ArviZ, momenta do not reach all energies
_LOWEST_BFMI = 0.3
_SHORTEST = 20
"""draws of a mode in a chain, of which a diagnostic has a meaning"""


@once
def summary(dt: DataTree) -> pd.DataFrame:
    """Return ArviZ's summary of the parameters, the coefficients under their own names.

    ``mean``, ``sd``, the 95% interval ``eti95_lb`` to ``eti95_ub``; for draws of NUTS also
    ``ess_bulk``, ``ess_tail`` and ``r_hat``. Of a posterior of several modes R-hat is the largest
    of those within modes, and effective sizes are sums of those.
    """
    check_fit(dt)
    parameters = list(dt["posterior"].data_vars)
    with np.errstate(invalid="ignore", divide="ignore"):  # a handful of draws has no diagnostics
        table = arviz_stats.summary(dt, ci_prob=0.95, ci_kind="eti", round_to="none")
        if _modes(dt) is not None:
            table = table.assign(**_within_modes(dt, table))
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
    headings = {"mean": "mean", "sd": "sd", "eti95_lb": "2.5%", "eti95_ub": "97.5%"}
    for column, heading in headings.items():
        text[heading] = [
            to_precision(value, sd) for value, sd in zip(table[column], table["sd"], strict=True)
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
    """Return one sentence for each sign that the draws are not to be trusted.

    First come those that the attributes ``design_problems`` (of the formula and the data) and
    ``fit_problems`` (of an optimisation or approximation) hold, each a JSON list of sentences.
    Draws of NUTS are judged besides by divergent transitions, R-hat above 1.01, an effective sample
    size below 400 (bulk or tail), trajectories of the greatest length, and E-BFMI below 0.3.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.

    References
    ----------
    A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Buerkner, Rank-normalization, folding,
    and localization: an improved R-hat, Bayesian Analysis 16 (2021), 667-718. M. Betancourt,
    Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo, arXiv:1604.00695.
    """
    check_fit(dt)
    problems = [
        str(problem)
        for name in ("design_problems", "fit_problems")
        for problem in json.loads(dt.attrs.get(name, "[]"))
    ]
    if _is_mcmc(dt):
        problems += _transition_problems(dt) + _chain_problems(summary(dt))
    return problems


def _transition_problems(dt: DataTree) -> list[str]:
    """Return what the sampler's statistics say of its trajectories."""
    if "sample_stats" not in dt.children:
        return []
    problems = []
    statistics = dt["sample_stats"].dataset
    diverging = divergences(dt)
    if diverging:
        problems.append(
            f"{diverging} of {statistics['diverging'].size} transitions diverged: the draws may "
            "miss part of the posterior; run longer with --warmup, or simplify the formula"
        )
    if "n_steps" in statistics:
        longest = int((statistics["n_steps"] >= _LONGEST).sum())
        if longest:
            problems.append(
                f"{longest} of {statistics['n_steps'].size} transitions took the most steps that "
                f"there may be ({_LONGEST}): the posterior is long and narrow, and one draw is "
                "much like the next; run longer with --warmup, or simplify the formula"
            )
    if "energy" in statistics and statistics.sizes["draw"] > 2:
        bfmi = np.asarray(arviz_stats.bfmi(dt)["energy"], float)
        if bfmi.min() < _LOWEST_BFMI:
            problems.append(
                f"E-BFMI is {bfmi.min():.2f} in the worst of {bfmi.size} chains, below "
                f"{_LOWEST_BFMI}: the draws may miss the tails of the posterior; run longer with "
                "--warmup, or simplify the formula"
            )
    return problems


def _chain_problems(table: pd.DataFrame) -> list[str]:
    """Return what the summary of chains says of their agreement and length."""
    rhat = float(table["r_hat"].max(skipna=False))
    if np.isnan(rhat):
        return ["too few draws to tell whether the chains agree; raise --draws"]
    problems = []
    if rhat > _HIGHEST_RHAT:
        problems.append(
            f"the largest R-hat is {rhat:.3f}, above {_HIGHEST_RHAT}: the chains do not agree yet; "
            "run longer with --draws and --warmup"
        )
    effective = table[["ess_bulk", "ess_tail"]].min(axis=1).sort_values(kind="stable")
    few = effective[effective < _FEWEST_EFFECTIVE]
    if not few.empty:
        names = listed([f"{name} ({size:.0f})" for name, size in few.items()], most=5)
        problems.append(
            f"the effective sample size is below {_FEWEST_EFFECTIVE} for {names}: the summary is "
            "rough there; run longer with --draws"
        )
    return problems


def _modes(dt: DataTree) -> np.ndarray | None:
    """Return which mode each draw is of, shape (chains, draws), if there are several."""
    statistics = dt["sample_stats"].dataset if "sample_stats" in dt.children else {}
    return statistics["mode"].values if "mode" in statistics else None


def _within_modes(dt: DataTree, table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return effective sample sizes and R-hat, from the draws of each mode by themselves.

    They are kept in the order of their chains; of chains of other lengths the ends are left out.
    """
    mode = _modes(dt)
    assert mode is not None
    tables = []
    for number in np.unique(mode):
        places = [np.flatnonzero(chain == number) for chain in mode]
        length = min(map(len, places))
        if length < _SHORTEST:
            continue
        draws = DataArray([each[:length] for each in places], dims=("chain", "draw"))
        chains = DataArray(np.arange(len(places)), dims="chain")
        part = dt["posterior"].to_dataset().drop_vars("draw").isel(chain=chains, draw=draws)
        tree = DataTree.from_dict({"posterior": part.assign_coords(draw=np.arange(length))})
        tables.append(arviz_stats.summary(tree, kind="diagnostics", round_to="none"))
    names = ("ess_bulk", "ess_tail", "r_hat")
    if not tables:
        return dict.fromkeys(names, pd.Series(np.nan, table.index))
    columns = {name: pd.concat([table[name] for table in tables], axis=1) for name in names}
    return {
        name: column.max(axis=1) if name == "r_hat" else column.sum(axis=1)
        for name, column in columns.items()
    }


def _is_mcmc(dt: DataTree) -> bool:
    """Whether the draws are a chain, of which R-hat and effective sample sizes have a meaning."""
    return bool(dt.attrs.get("method", "nuts") == "nuts")
