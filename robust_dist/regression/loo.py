"""Leave-one-out cross-validation of a fit, exact where importance sampling fails."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import arviz_stats
import jax
import numpy as np
from arviz_stats import SamplingWrapper
from xarray import DataArray, DataTree

from robust_dist.regression.datatree import posterior_alone
from robust_dist.regression.fit import Regression
from robust_dist.regression.posterior.choice import choose_sampler
from robust_dist.regression.posterior.pointwise import thinning
from robust_dist.regression.posterior.run import Run
from robust_dist.regression.row_laws import observed_law, parameters_in_blocks

# fewer draws have no tail to fit a Pareto law to
FEWEST = 400
_ROWS = 5000


def rows_to_leave_out(rows: int, draws: int, seed: int) -> np.ndarray:
    """Return positions of rows: all, or some at random where a fit keeps too few of their draws."""
    if rows <= _ROWS or draws // thinning(draws, rows) >= FEWEST:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, _ROWS, replace=False))


class LeaveOneOut(NamedTuple):
    """The result, and which rows were doubtful."""

    elpd: Any
    """ArviZ's ELPDData"""
    refitted: tuple[Any, ...]
    """the rows without which the model was fitted anew"""
    doubtful: tuple[Any, ...]
    """the rows whose Pareto k is high, and that there were too many of to fit anew"""


def leave_one_out(
    regression: Regression,
    dt: DataTree,
    options: dict[str, Any],
    refits: int,
    rows: np.ndarray,
    exact: bool = False,
    progress: Callable[[int], None] | None = None,
) -> LeaveOneOut:
    """Return ArviZ's LOO, with an exact refit for each row whose Pareto k is high, or for all.

    Parameters
    ----------
    regression, dt
        A regression and its fit.
    options
        ``draws``, ``warmup``, ``chains``, ``seed``, ``target_accept``, ``sampler`` of refits.
    refits
        How many to make; none are made if more would be needed.
    rows
        Positions of the rows to leave out, one at a time.
    exact
        Whether to fit anew without each of the rows, however many.
    progress
        Called with the number of fits made anew, after each.
    """
    labels = dt["observed_data"].dataset["row"].values[rows]
    density = dt["log_likelihood"].dataset["y"]
    if rows.size < density.sizes["row"]:
        density = _density(regression, dt, rows)
    # ArviZ finds rows by label, of which the user may have given several rows the same
    density = density.drop_vars("row", errors="ignore").assign_coords(row=rows)
    numbered = DataTree.from_dict(
        {"posterior": dt["posterior"].to_dataset(), "log_likelihood": density.to_dataset(name="y")}
    )
    with warnings.catch_warnings():
        # of high Pareto k, which the result tells
        warnings.simplefilter("ignore", UserWarning)
        elpd = arviz_stats.loo(numbered, var_name="y", pointwise=True)
    high = np.flatnonzero(~(elpd.pareto_k.values <= elpd.good_k))
    if exact:
        high = np.arange(rows.size)
    doubtful = tuple(labels[high].tolist())
    if not doubtful or (len(doubtful) > refits and not exact):
        return LeaveOneOut(elpd, (), doubtful)
    wrapper = _Refitting(regression, numbered, options, progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        elpd = arviz_stats.reloo(
            wrapper,
            loo_orig=elpd,
            var_name="y",
            k_threshold=-np.inf if exact else None,
            pointwise=True,
        )
    return LeaveOneOut(elpd, doubtful, ())


def _density(regression: Regression, dt: DataTree, rows: np.ndarray) -> DataArray:
    """Return the log density of rows of the regression, for each draw of a posterior."""
    parts = []
    for block, parameters in parameters_in_blocks(dt, rows):
        with jax.enable_x64(True):
            parts.append(
                np.asarray(observed_law(dt, parameters, block).log_prob(regression.design.y[block]))
            )
    density = np.concatenate(parts, axis=1)
    weights = regression.design.likelihood_weights
    if weights is not None:
        density = density * weights[rows]
    sizes = dt["posterior"].sizes
    return DataArray(
        density.reshape(sizes["chain"], sizes["draw"], rows.size), dims=("chain", "draw", "row")
    )


class _Refitting(SamplingWrapper):
    """What ArviZ asks for to fit the model anew without a row."""

    def __init__(
        self,
        regression: Regression,
        numbered: DataTree,
        options: dict[str, Any],
        progress: Callable[[int], None] | None,
    ) -> None:
        super().__init__(regression.model, idata_orig=numbered)
        self._progress, self._count = progress or (lambda count: None), 0
        self._regression = regression
        self._seed = options["seed"]
        self._sampler = choose_sampler(options["sampler"], regression.setting, regression.data)
        chosen = {name: options[name] for name in ("draws", "warmup", "chains", "target_accept")}
        self._run = Run(**chosen, dense=regression.dense)

    def sel_observations(self, idx: int) -> tuple[int, int]:
        """Return the row to leave out, and the row to predict."""
        return int(idx), int(idx)

    def sample(self, modified_observed_data: int) -> DataTree:
        """Return the posterior without the row."""
        keep = np.arange(len(self._regression.design.y)) != modified_observed_data
        seed = (self._seed, 1 + modified_observed_data)
        sites = self._regression.draw(seed, self._run, self._sampler, keep=keep).sites
        latent = {name: sites[name] for name in self._regression.sites}
        self._count += 1
        self._progress(self._count)
        return posterior_alone(self._regression.setting, latent)

    def get_inference_data(self, fitted_model: DataTree) -> DataTree:
        """Return it as it is."""
        return fitted_model

    def log_likelihood__i(self, excluded_obs: int, idata__i: DataTree) -> DataArray:
        """Return the log density of the row that was left out."""
        return _density(self._regression, idata__i, np.array([excluded_obs])).isel(row=0)
