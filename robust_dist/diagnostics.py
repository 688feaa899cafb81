"""What a fit says of its rows, its tails and itself: DataTree in, xarray, pandas or words out."""

import arviz_stats
import jax
import numpy as np
import pandas as pd
from xarray import DataArray, DataTree

from robust_dist import weight

__all__ = [
    "divergences",
    "format_summary",
    "observation_weights",
    "read_tails",
    "sampling_problems",
    "summary",
]

# bounds the memory of one block of draws x rows
_BLOCK = 10_000_000


def observation_weights(dt: DataTree) -> DataArray:
    """Return each row's posterior-mean weight, from 0 (ignored) to 1 (counted in full).

    The weight is that of iteratively reweighted least squares at the row's residual, times
    ``scale**2`` so that a residual of zero has weight one.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    """
    draws = dt["posterior"].to_dataset().stack(sample=("chain", "draw"))
    beta = draws["beta"].transpose("sample", "coefficient").values
    scale, alpha = draws["scale"].values, draws["alpha"].values
    x, y = dt["constant_data"].dataset["x"].values, dt["observed_data"].dataset["y"]
    mean_weight = jax.jit(
        lambda residual: weight(residual, alpha.astype(np.float32)[:, None], 1.0).mean(axis=0)
    )
    rows = max(1, _BLOCK // len(alpha))
    blocks = []
    for start in range(0, y.size, rows):
        block = slice(start, start + rows)
        residual = (y.values[block] - beta @ x[block].T) / scale[:, None]
        blocks.append(np.asarray(mean_weight(residual.astype(np.float32))))
    return DataArray(np.concatenate(blocks), coords=y.coords, dims=y.dims, name="weight")


def summary(dt: DataTree) -> pd.DataFrame:
    """Return ArviZ's summary of the parameters, the coefficients under their own names."""
    parameters = list(dt["posterior"].data_vars)
    with np.errstate(invalid="ignore", divide="ignore"):  # a handful of draws has no diagnostics
        table = arviz_stats.summary(dt, ci_prob=0.95, ci_kind="eti", round_to="none")
    table = table.drop(columns=["mcse_mean", "mcse_sd"])
    # a coefficient that is called as a parameter keeps the name "beta[alpha]"
    names = {
        f"beta[{name}]": str(name)
        for name in dt["posterior"].dataset["coefficient"].values
        if name not in parameters
    }
    return table.rename(index=names)


def format_summary(table: pd.DataFrame) -> str:
    """Return a summary as text, every number as precise as its standard deviation deserves."""
    text = pd.DataFrame(index=table.index)
    decimals = [
        int(np.clip(1 - np.floor(np.log10(sd)), 0, 12)) if sd > 0 else 3 for sd in table["sd"]
    ]
    headings = {"mean": "mean", "sd": "sd", "eti95_lb": "2.5%", "eti95_ub": "97.5%"}
    for column, heading in headings.items():
        text[heading] = [
            f"{value:.{places}f}" for value, places in zip(table[column], decimals, strict=True)
        ]
    text["ESS bulk"] = [f"{value:.0f}" for value in table["ess_bulk"]]
    text["ESS tail"] = [f"{value:.0f}" for value in table["ess_tail"]]
    text["R-hat"] = [f"{value:.3f}" for value in table["r_hat"]]
    return text.to_string()


def divergences(dt: DataTree) -> int:
    """Return the number of divergent transitions."""
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
    rhat = float(summary(dt)["r_hat"].max(skipna=False))
    if np.isnan(rhat):
        problems.append("too few draws to tell whether the chains agree; raise --draws")
    elif rhat > 1.01:
        problems.append(
            f"the largest R-hat is {rhat:.3f}, above 1.01: the chains do not agree yet; run longer "
            "with --draws and --warmup"
        )
    return problems


def read_tails(dt: DataTree) -> str:
    """Return in a sentence or two what the posterior of alpha says about the tails.

    The landmarks are 0 (Cauchy), 1 (hyperbolic, as the smooth Huber loss) and 2 (Normal).
    """
    alpha, prior = (dt[group].dataset["alpha"].values.ravel() for group in ("posterior", "prior"))
    low, high = np.quantile(alpha, [0.025, 0.975])
    below = float(np.mean(alpha < 1))
    figures = (
        f"alpha is {alpha.mean():.2f} (95% interval {low:.2f} to {high:.2f}), "
        f"P(alpha < 1) = {below:.2f}"
    )
    n = dt["observed_data"].dataset["y"].size
    # how much of the prior's spread is left says whether the data have spoken at all
    if alpha.std() > 0.85 * prior.std():
        verdict = (
            f"{n} rows cannot tell heavy tails from Normal ones: "
            "the posterior of alpha is nearly as wide as its prior"
        )
    elif high < 1:
        verdict = (
            "the tails are heavy, between Cauchy (0) and hyperbolic (1): "
            "outlying rows count for little"
        )
    elif low > 1:
        verdict = (
            "the tails are lighter than hyperbolic (1) and nearer to Normal (2): "
            "no row is set aside"
        )
    else:
        side = "heavier than hyperbolic (1), towards Cauchy (0)"
        other = "lighter than hyperbolic (1), towards Normal (2)"
        likely, unlikely = (side, other) if below > 0.5 else (other, side)
        sure = "probably" if max(below, 1 - below) > 0.8 else "perhaps"
        verdict = f"the tails are {sure} {likely}, but {n} rows do not rule out {unlikely}"
    return f"{figures}: {verdict}."
