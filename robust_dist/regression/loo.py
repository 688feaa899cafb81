"""Leave-one-out cross-validation of a fit, exact where importance sampling fails."""

import warnings
from typing import Any, NamedTuple

import arviz_stats
import jax
import numpy as np
from arviz_stats import SamplingWrapper
from xarray import DataArray, DataTree

from robust_dist.regression.datatree import posterior_alone
from robust_dist.regression.fit import Regression
from robust_dist.regression.nuts import run, sampler
from robust_dist.regression.rows import evaluate_rows, row_law, rows_of


class LeaveOneOut(NamedTuple):
    """The result, and which rows were doubtful."""

    elpd: Any
    """ArviZ's ELPDData"""
    refitted: tuple[Any, ...]
    """the rows without which the model was fitted anew"""
    doubtful: tuple[Any, ...]
    """the rows whose Pareto k is high, and that there were too many of to fit anew"""


def leave_one_out(
    regression: Regression, dt: DataTree, options: dict[str, Any], refits: int
) -> LeaveOneOut:
    """Return ArviZ's LOO, with an exact refit for each row whose Pareto k is high.

    Parameters
    ----------
    regression, dt
        A regression and its fit.
    options
        ``draws``, ``warmup``, ``chains``, ``seed`` and ``target_accept`` of the refits.
    refits
        How many to make; none are made if more would be needed.
    """
    labels = dt["log_likelihood"].dataset["row"].values
    # ArviZ finds rows by label, of which the user may have given several rows the same
    numbered = DataTree.from_dict(
        {
            group: dt[group].to_dataset().drop_vars("row", errors="ignore")
            for group in ("posterior", "log_likelihood")
        }
    )
    numbered["log_likelihood"] = DataTree(
        numbered["log_likelihood"].to_dataset().assign_coords(row=np.arange(labels.size))
    )
    with warnings.catch_warnings():
        # of high Pareto k, which the result tells
        warnings.simplefilter("ignore", UserWarning)
        elpd = arviz_stats.loo(numbered, var_name="y", pointwise=True)
    high = np.flatnonzero(~(elpd.pareto_k.values <= elpd.good_k))
    rows = tuple(labels[high].tolist())
    if not rows or len(rows) > refits:
        return LeaveOneOut(elpd, (), rows)
    wrapper = _Refitting(regression, numbered, options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        elpd = arviz_stats.reloo(wrapper, loo_orig=elpd, var_name="y", pointwise=True)
    return LeaveOneOut(elpd, rows, ())


class _Refitting(SamplingWrapper):
    """What ArviZ asks for to fit the model anew without a row."""

    def __init__(self, regression: Regression, numbered: DataTree, options: dict[str, Any]) -> None:
        super().__init__(regression.model, idata_orig=numbered)
        self._regression = regression
        self._seed = options["seed"]
        # one sampler: the row to leave out is an argument, so that it is compiled once
        self._mcmc = sampler(
            regression.model,
            options["draws"],
            options["warmup"],
            options["chains"],
            options["target_accept"],
            progress=False,
            dense=regression.dense,
            reuse=True,
        )

    def sel_observations(self, idx: int) -> tuple[int, int]:
        """Return the row to leave out, and the row to predict."""
        return int(idx), int(idx)

    def sample(self, modified_observed_data: int) -> DataTree:
        """Return the posterior without the row."""
        keep = np.arange(len(self._regression.design.y)) != modified_observed_data
        key = jax.random.fold_in(jax.random.key(self._seed), modified_observed_data)
        sites, _ = run(self._mcmc, key, {**self._regression.data, "keep": keep})
        latent = {name: sites[name] for name in self._regression.sites}
        return posterior_alone(self._regression.setting, latent)

    def get_inference_data(self, fitted_model: DataTree) -> DataTree:
        """Return it as it is."""
        return fitted_model

    def log_likelihood__i(self, excluded_obs: int, idata__i: DataTree) -> DataArray:
        """Return the log density of the row that was left out."""
        row = [excluded_obs]
        parameters = evaluate_rows(idata__i, rows_of(idata__i, row))
        with jax.enable_x64(True):
            law = row_law(idata__i, parameters)
            density = np.asarray(law.log_prob(self._regression.design.y[row]))
        if self._regression.design.weights is not None:
            density = density * self._regression.design.weights[row]
        posterior = idata__i["posterior"].sizes
        return DataArray(
            density.reshape(posterior["chain"], posterior["draw"]), dims=("chain", "draw")
        )
