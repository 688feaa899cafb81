"""What the law of each row says of it, over all draws: one walk for all who ask.

To evaluate the laws of all rows at every draw is most of what diagnostics and pictures cost. So
whoever needs several columns asks for them together, and ``one_walk`` lends them to all functions
that are called inside of it, and besides the tables of those marked ``once``.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp, ndtri_exp
from xarray import DataArray, Dataset, DataTree

from robust_dist.diagnostics._blocks import over_rows
from robust_dist.diagnostics._loo import density_to_weigh
from robust_dist.diagnostics._noise import (
    differs,
    irls_weight,
    log_tails,
    outlier_probability,
    robust_sd,
)
from robust_dist.regression.design.design import Bounds
from robust_dist.regression.fitted import check_fit
from robust_dist.regression.likelihoods import Parameters, likelihood_of
from robust_dist.regression.row_laws import bounds_of, resolution_of, row_parameters, thinned

# of noise whose tails differ from row to row, so many evenly spaced rows are read
_SPACED = 500
# of the places of responses in their cells and intervals, and ArviZ's for ties
_SEED = 214


@dataclass(frozen=True)
class _Block:
    """A block of rows, and the laws of their responses at the draws that are read."""

    dt: DataTree
    y: np.ndarray
    parameters: Parameters
    density: DataArray | None
    """the rows' log-likelihood, at draws that are among those"""
    places: np.ndarray | None
    """of a rounded or censored response, where in its cell or interval it is taken to lie: of the
    probability that it has there, from 0 to 1"""
    bounds: Mapping[str, Bounds]
    """between which responses lie that are not observed in full"""

    @cached_property
    def spread(self) -> np.ndarray:
        """The rows' robust sds, which take longest where each row has a shape of its own."""
        return robust_sd(self.dt, self.parameters)

    @cached_property
    def nearest(self) -> np.ndarray:
        """The response, or of what it may be the value nearest to its location."""
        if "censored" not in self.bounds:
            return self.y
        return np.clip(self.parameters["loc"], *self.bounds["censored"])

    @property
    def log_tails(self) -> tuple[np.ndarray, np.ndarray]:
        """The log of P(Y <= y) and of P(Y > y), of an interval's response at its place there."""
        if "truncated" in self.bounds:
            return self._log_tails_in_window(*self.bounds["truncated"])
        if self.places is None:
            return self._log_tails_at(self.y)
        half = 0.5 * (resolution_of(self.dt) or 0.0)
        ends = self.bounds.get("censored", (self.y - half, self.y + half))
        low, high = (
            np.add(self._log_tails_at(end), np.log(share))
            for end, share in zip(ends, (1 - self.places, self.places), strict=True)
        )
        lower, upper = np.logaddexp(low, high)
        return lower, upper

    def _log_tails_at(self, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both log tails at numbers or infinities."""
        open_end = np.isinf(end)
        if not open_end.any():
            return log_tails(self.dt, end, self.parameters)
        lower, upper = log_tails(self.dt, np.where(open_end, self.y, end), self.parameters)
        lower = np.where(open_end, np.where(end > 0, 0.0, -np.inf), lower)
        return lower, np.where(open_end, np.where(end < 0, 0.0, -np.inf), upper)

    def _log_tails_in_window(
        self, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both log tails of responses that had to lie in a window."""
        at, below, above = (self._log_tails_at(end) for end in (self.y, low, high))
        lower, upper = _log_difference(at[0], below[0]), _log_difference(at[1], above[1])
        whole = np.logaddexp(lower, upper)
        return lower - whole, upper - whole


def _log_difference(more: np.ndarray, less: np.ndarray) -> np.ndarray:
    """Return log(exp(more) - exp(less))."""
    with np.errstate(divide="ignore"):  # of a response at its bound
        return more + np.log(-np.expm1(np.minimum(less - more, 0.0)))


def _of_residuals(block: _Block) -> dict[str, np.ndarray]:
    """Return where the law lies, how wide it is, and how far off the response is."""
    loc = block.parameters["loc"]
    return {
        "fitted": loc.mean(axis=0),
        "spread": np.broadcast_to(block.spread, loc.shape).mean(axis=0),
        "residual": ((block.nearest - loc) / block.spread).mean(axis=0),
    }


def _of_location(block: _Block) -> dict[str, np.ndarray]:
    """Return how surely it is known where the law lies."""
    lower, upper = np.quantile(block.parameters["loc"], [0.025, 0.975], axis=0)
    return {"fitted_lower": lower, "fitted_upper": upper}


def _of_weights(block: _Block) -> dict[str, np.ndarray]:
    """Return how much the row counts."""
    weights = irls_weight(block.dt, block.nearest, block.parameters)
    lower, upper = np.quantile(weights, [0.025, 0.975], axis=0)
    return {"weight": weights.mean(axis=0), "weight_lower": lower, "weight_upper": upper}


def _of_background(block: _Block) -> dict[str, np.ndarray]:
    """Return how likely the row is one of the background."""
    probability = outlier_probability(block.dt, block.nearest, block.parameters)
    return {"probability": probability.mean(axis=0)}


def _of_tails(block: _Block) -> dict[str, np.ndarray]:
    """Return the response's probability integral transform, also without the row itself."""
    tails = block.log_tails
    # the arithmetic mean over the draws of either tail, taken on the log scale
    lower, upper = (logsumexp(tail, axis=0) - np.log(len(tail)) for tail in tails)
    columns = {
        "pit": np.exp(lower),
        # of the smaller tail, which tells rows apart whose probability rounds to 0 or 1
        "quantile": np.where(lower < upper, ndtri_exp(lower), -ndtri_exp(upper)),
    }
    if block.density is not None:
        # of leaving a row out, of the density that it has
        weights, _ = block.density.azstats.psislw()
        known = block.dt["posterior"].dataset.get_index("draw")
        draws = known.get_indexer(block.density.get_index("draw"))
        weights = weights.transpose("chain", "draw", "row").values
        tail = tails[0].reshape(len(weights), -1, block.y.size)[:, draws]
        columns["loo_pit"] = np.minimum(np.exp(logsumexp(tail + weights, axis=(0, 1))), 1.0)
    return columns


_COLUMNS: Mapping[tuple[str, ...], Callable[[_Block], dict[str, np.ndarray]]] = {
    ("fitted", "spread", "residual"): _of_residuals,
    ("fitted_lower", "fitted_upper"): _of_location,
    ("weight", "weight_lower", "weight_upper"): _of_weights,
    ("probability",): _of_background,
    ("pit", "quantile", "loo_pit"): _of_tails,
}


class _Walk(NamedTuple):
    """What is known of the rows of a fit."""

    dt: DataTree
    columns: dict[str, DataArray]
    noise: dict[str, np.ndarray]
    """``noise_parameters``, and as "spread" ``noise_spread``, as far as they are known"""
    tables: dict[str, pd.DataFrame]
    """what functions marked ``once`` returned, by their names"""


_lent: ContextVar[_Walk | None] = ContextVar("lent", default=None)


@contextmanager
def one_walk(dt: DataTree, *columns: str) -> Iterator[None]:
    """Walk over the rows now, for all functions that are called with this very tree in the block.

    Nothing is kept beyond the block, nor looked up for another tree, be it a copy: a tree may
    change at any time, and no cache could tell. Inside the block it must not; so the block is to
    hold calls of this package alone.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    columns
        Those of ``row_statistics`` that will be asked for; all of them by default.
    """
    if _walk_of(dt) is not None:
        yield
        return
    walk = _Walk(dt, {}, {}, {})
    _add(walk, columns or [name for group in _COLUMNS for name in group])
    token = _lent.set(walk)
    try:
        yield
    finally:
        _lent.reset(token)


def once(tabulate: Callable[[DataTree], pd.DataFrame]) -> Callable[[DataTree], pd.DataFrame]:
    """Have a table of a fit made once for all who ask for it inside of ``one_walk``."""

    @wraps(tabulate)
    def tabulated(dt: DataTree) -> pd.DataFrame:
        walk = _walk_of(dt)
        if walk is None:
            return tabulate(dt)
        name = tabulate.__name__
        if name not in walk.tables:
            walk.tables[name] = tabulate(dt)
        return walk.tables[name].copy()

    return tabulated


def row_statistics(dt: DataTree, *columns: str) -> Dataset:
    """Return columns of what the posterior says of each row, with the rows' names.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    columns
        What is needed of:

        * ``fitted``, ``spread``: posterior means of the row's location and robust sd;
        * ``fitted_lower``, ``fitted_upper``: the 95% interval of the location;
        * ``residual``: of its residual in robust sd (``standardized_residuals``);
        * ``weight``, ``weight_lower``, ``weight_upper``: of ``observation_weights``;
        * ``probability``: of being an outlier, only if the likelihood is a contaminated one;
        * ``pit``, ``quantile``: of ``pit_residuals``;
        * ``loo_pit``: only if the fit holds enough draws of ``log_likelihood``.

    Returns
    -------
    Dataset
        Of dimension ``row``. A fit of more than 1e8 draws times rows is read at evenly spaced
        draws.
    """
    walk = _walk_of(dt) or _Walk(dt, {}, {}, {})
    _add(walk, [name for name in columns if name not in walk.columns])
    return Dataset({name: walk.columns[name] for name in columns if name in walk.columns})


def noise_parameters(dt: DataTree) -> Parameters:
    """Return the parameters of the noise, of shape (samples, rows), without their location.

    The rows are evenly spaced ones; a single one if the tails do not differ from row to row, since
    proportions in the tails do not depend on the scale.
    """
    walk = _walk_of(dt)
    if walk is not None and walk.noise:
        return {name: value for name, value in walk.noise.items() if name != "spread"}
    parameters = row_parameters(dt, slice(None, None, _spacing(dt)))
    return {name: value for name, value in parameters.items() if name != "loc"}


def noise_spread(dt: DataTree) -> np.ndarray:
    """Return the robust sd of noise with these parameters, of the same shape."""
    walk = _walk_of(dt)
    if walk is not None and "spread" in walk.noise:
        return walk.noise["spread"]
    return robust_sd(dt, {**noise_parameters(dt), "loc": np.zeros((1, 1))})


def _walk_of(dt: DataTree) -> _Walk | None:
    """Return what has been lent of this very tree."""
    walk = _lent.get()
    return walk if walk is not None and walk.dt is dt else None


def _add(walk: _Walk, columns: Collection[str]) -> None:
    """Add columns to what is known of the rows; those that can be told."""
    if not columns:
        return
    dt = walk.dt
    check_fit(dt)
    if likelihood_of(dt).background_width is None:
        columns = [name for name in columns if name != "probability"]
    whole = dt["posterior"].to_dataset()
    others = [name for name in columns if name != "loo_pit"]
    density = density_to_weigh(dt) if "loo_pit" in columns else None
    if density is None:
        if others:
            _read(walk, others, thinned(whole, dt["observed_data"].sizes["row"]))
        return
    posterior = thinned(whole, density.sizes["row"])
    # one walk serves both, unless the draws that are read are thinned to others
    together = density["draw"].isin(posterior["draw"]).all()
    if others and together:
        _read(walk, columns, posterior, density)
    else:
        _add(walk, others)
        _read(walk, ["loo_pit"], whole.sel(draw=density["draw"]), density)


def _read(
    walk: _Walk, columns: Collection[str], posterior: Dataset, density: DataArray | None = None
) -> None:
    """Add columns, and the parameters of the noise, of these draws of the posterior."""
    y = walk.dt["observed_data"].dataset["y"]
    tree = walk.dt.copy()
    tree["posterior"] = DataTree(posterior)
    groups = [group for names, group in _COLUMNS.items() if not {*names}.isdisjoint(columns)]
    spacing = _spacing(tree)
    places = None
    bounds = bounds_of(tree)
    if resolution_of(tree) is not None or "censored" in bounds:
        # the open interval: a place at an end would have no logarithm
        places = np.random.default_rng(_SEED).uniform(1e-12, 1 - 1e-12, y.size)
    noise: list[dict[str, np.ndarray]] = []

    def statistics(rows: np.ndarray, parameters: Parameters) -> dict[str, np.ndarray]:
        spaced = rows % spacing == 0
        kept = None if density is None else density.isel(row=rows)
        within = None if places is None else places[rows]
        ends = {what: Bounds(*(end[rows] for end in pair)) for what, pair in bounds.items()}
        block = _Block(tree, y.values[rows], parameters, kept, within, ends)
        known = {**parameters, "spread": block.spread} if _of_residuals in groups else parameters
        noise.append(
            {
                name: np.broadcast_to(value, (len(value), rows.size))[:, spaced]
                for name, value in known.items()
                if name != "loc"
            }
        )
        values = {name: value for group in groups for name, value in group(block).items()}
        return {name: values[name] for name in columns}

    walk.columns.update(over_rows(tree, statistics))
    if posterior.sizes["draw"] == walk.dt["posterior"].sizes["draw"]:
        walk.noise.update(
            {name: np.concatenate([part[name] for part in noise], axis=1) for name in noise[0]}
        )


def _spacing(dt: DataTree) -> int:
    """Return of how many rows one is read for its noise."""
    rows = dt["observed_data"].sizes["row"]
    likelihood = likelihood_of(dt)
    # each row lies somewhere else in the background
    differ = likelihood.background_width is not None
    differ |= any(differs(dt, shape) for shape in likelihood.shapes)
    return max(1, rows // _SPACED) if differ else rows
