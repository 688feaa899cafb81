r"""The coordinates NUTS works in: numbers of order one, whatever the user's units.

With a robust fit :math:`\hat\beta`, the scale s of its residuals, and an orthogonal basis of the
centred design, :math:`\beta = T \theta` (``design.span``), the sampler sees

.. math::

    \tilde y = (y - o - X \hat\beta)/s, \qquad \tilde X = (X - 1 m^T) T, \qquad
    \tilde\theta = T^{-1} (\beta - \hat\beta)/s,

with o the offset, so that y of 1e6, x of 1e-3 and residuals of 1e-6 of y all fit in single
precision, and coefficients of columns that nearly repeat each other, as ``year`` and ``year**2``,
are nearly independent. The map is affine and undone in double precision: it changes no result, only
rounding and the step size.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from robust_dist._errors import ExactFitError
from robust_dist.optimize.frequencies import SD, mean, median, smallest_left_out
from robust_dist.optimize.threads import one_thread
from robust_dist.regression.design.design import (
    BLOCK,
    Columns,
    Design,
    GroupTerm,
    center_owners,
)
from robust_dist.regression.design.span import constant, make_basis
from robust_dist.regression.likelihoods import FORMULAS
from robust_dist.regression.rounding import grid_step

# spreads of the response beyond which a row is held there, to start from
_FAR = 1e8
# where in a cell a rounded response may lie
_PLACES = (np.arange(16) + 0.5) / 16 - 0.5
LOG_SD = float(np.log(SD))
"""the logarithm of a Normal's sd over its median absolute residual"""


def spreads(values: np.ndarray, center: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the median and the mean absolute deviation, of rows that count by their weights.

    The first ignores outliers, but is zero where more than half of the values agree, as in an
    indicator column; the second is zero for constants only. Both are scaled to a Normal's sd.
    """
    deviations = np.abs(values - np.float64(center))
    return np.array([SD * median(deviations, weights), 1.2533 * mean(deviations, weights)])


def column_spreads(
    columns: Iterable[np.ndarray], centers: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return both of each column, shape (2, p)."""
    each = [
        spreads(column, middle, weights) for column, middle in zip(columns, centers, strict=True)
    ]
    return np.reshape(each, (-1, 2)).T


class AxesConstants(NamedTuple):
    """From the sampler's coefficients to the user's: numbers, as NumPy's or JAX' arrays."""

    fit: Any
    """coefficients where the sampler's are zero, shape (p,)"""
    moves: Any
    """what a unit of each of the sampler's adds to them, shape (p, p)"""
    center: Any
    """shape (p,)"""
    ones: Any
    """1 for the intercept, shape (p,)"""

    def coefficients(self, z: Any) -> Any:
        """Return the user's coefficients of the sampler's, along the last axis."""
        beta = self.fit + z @ self.moves.T
        return beta - (beta @ self.center)[..., None] * self.ones


@dataclass(frozen=True)
class Axes:
    """The affine map between the user's coefficients of a design and the sampler's.

    In ``fit`` and ``transform`` an intercept without a prior of its own stands for the value at the
    centre.
    """

    fit: np.ndarray
    """coefficients where the sampler's are zero, shape (p,)"""
    center: np.ndarray
    """m, shape (p,); zero for the intercept, and throughout if there is none"""
    transform: np.ndarray
    """T, shape (p, p)"""
    scale: float
    """s, what one unit of the sampler's coefficients moves the linear predictor by"""
    intercept: int | None
    """the column of ones"""
    constant: np.ndarray | None
    """the coefficients by which the columns add up to 1, if there are any"""
    level: int | None
    """the sampler's coefficient that moves all rows alike, if there is one"""

    def standardized(self, columns: Columns, kind: type = np.float32) -> np.ndarray:
        """Return the design in the sampler's basis, in single precision or another."""
        rows = len(columns.values[0])
        design: np.ndarray = np.empty((rows, self.fit.size), kind)
        start = 0
        for block in columns.blocks():
            design[start : start + len(block)] = (block - self.center) @ self.transform
            start += len(block)
        return design

    @property
    def constants(self) -> AxesConstants:
        """The map's numbers alone."""
        ones = (np.arange(self.fit.size) == self.intercept).astype(float)
        return AxesConstants(self.fit, self.scale * self.transform, self.center, ones)

    def coefficients(self, z: np.ndarray) -> np.ndarray:
        """Return the user's coefficients of the sampler's, along the last axis."""
        return self.constants.coefficients(z)

    def directions(self, beta: np.ndarray) -> np.ndarray:
        """Return theta, the orthogonal basis' coefficients, of coefficients at the centre."""
        size = np.linalg.norm(self.transform, axis=1)
        return np.linalg.solve(self.transform / size[:, None], beta / size)


@dataclass(frozen=True)
class Standardization(Axes):
    """The map between the user's units and the sampler's, of everything."""

    noise: float
    """the user's unit of the scale parameter: s, or, with measurement errors, that per error"""
    error: np.ndarray | None
    """what multiplies the sampler's scale in each row"""
    alpha: Axes | None
    sigma: Axes | None
    group_centers: tuple[float, ...]
    """what is subtracted from x in each group-specific term: its median where the group has an
    effect of its own, else zero"""
    group_units: tuple[np.ndarray, ...]
    """the user's unit of each effect of each group-specific term, shape (k,)"""
    centering: tuple[np.ndarray, ...]
    """from 0, where effects are sampled in units of their standard deviation, to 1, in the
    sampler's; shape (k, levels)"""

    @property
    def predictors(self) -> dict[str, Axes]:
        """The coordinates of each linear predictor, by the name of its coefficients."""
        return {"beta": self} | {f"beta_{n}": axes for n, axes in self.distributional.items()}

    @property
    def distributional(self) -> dict[str, Axes]:
        """The coordinates besides those of the location, by the name of their formula."""
        coordinates = {name: getattr(self, name) for name in FORMULAS}
        return {name: axes for name, axes in coordinates.items() if axes is not None}

    def unit_of(self, formula: str) -> float:
        """Return what a unit of the sampler's moves the linear predictor of a formula by."""
        return self.distributional[formula].scale if formula else self.scale

    @property
    def log_scale(self) -> float:
        """The logarithm of a Normal's sd with these residuals."""
        return LOG_SD + float(np.log(self.noise))

    def standardized_response(
        self, design: Design, y: np.ndarray | None = None, kind: type = np.float32
    ) -> np.ndarray:
        """Return the response, or another of its rows, in the sampler's units.

        Parameters
        ----------
        design
            The design.
        y
            In the response's units, offset included.
        kind
            The precision.
        """
        y = design.y if y is None else y
        z: np.ndarray = np.empty(y.size, kind)
        for rows, fitted in self.fitted(design):
            z[rows] = (y[rows] - fitted) / self.scale
        return z

    def response(self, z: np.ndarray, design: Design) -> np.ndarray:
        """Put z, rows along the last axis, into the response's units in place, and return it."""
        for rows, fitted in self.fitted(design):
            z[..., rows] *= self.scale
            z[..., rows] += fitted
        return z

    def fitted(self, design: Design) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield some rows at a time, and the robust fit's value for each, offset included."""
        for start in range(0, design.y.size, BLOCK):
            rows = slice(start, start + BLOCK)
            yield rows, _fitted(design, self.center, self.fit, rows)


def standardize(design: Design, own: Mapping[str, Sequence[int]] | None = None) -> Standardization:
    """Return the sampler's coordinates for a design.

    Parameters
    ----------
    design
        The design, whose columns have their factors.
    own
        Columns whose coefficients have priors of their own, by ``"beta"``, ``"beta_alpha"`` and
        ``"beta_sigma"``.

    Raises
    ------
    ExactFitError
        If the formula fits the data exactly, so that there is no noise.
    """
    own = own or {}
    weights = design.weights
    ones = constant(design)
    center, transform, level = make_basis(
        design.factor, design.intercept, own.get("beta", ()), ones
    )
    offset = 0.0 if design.offset is None else design.offset
    error = np.ones_like(design.y) if design.measurement_error is None else design.measurement_error
    # the starting fit needs no more rows than a block
    step = -(-design.y.size // BLOCK)
    sample = slice(None, None, step)
    response = design.y - offset
    middle = median(response, weights)
    spread = float(spreads(response, middle, weights)[0])
    # of what is far off only the side counts, and no digits of the others are to be lost to it
    reach = _FAR * spread or np.inf
    directions = least_absolute(
        (design.matrix(sample) - center) @ transform / error[sample, None],
        (np.clip(response, middle - reach, middle + reach) / error)[sample],
        frequencies=None if weights is None else weights[sample],
    )
    fit = transform @ directions
    residuals = design.y - _fitted(design, center, fit, slice(None))
    skip = fit.size
    cell = 0.0 if design.resolution is None else design.resolution
    known = _known_rows(design, skip)
    counts = None if weights is None else weights[known]
    scale = _residual_scale(residuals[known], skip, spread, cell, counts)
    # beside the fit, whose rounding it may be; an outlier has no part in that
    if scale <= 1e-12 * np.abs(design.y - residuals).max():
        grid = grid_step(design.y)
        mend = "" if grid is None else f"; if it was rounded, give resolution={grid:g}"
        raise ExactFitError(
            f"the formula fits '{design.response}' exactly: there is no noise to learn from{mend}"
        )
    centers = _group_centers(design.groups, weights)
    terms = tuple(
        replace(term, x=term.x - middle)
        for term, middle in zip(design.groups, centers, strict=True)
    )
    of_location = [term for term in terms if not term.formula]
    within, rough = _without_groups(residuals, of_location, weights)
    levels = sum(effect.size for effect in rough.values())
    most = (within[known].size if counts is None else counts.sum()) // 2
    if of_location:
        some = min(skip + levels, most)
        scale = _residual_scale(within[known], some, spread, cell, counts) or scale
    noise = scale
    if design.measurement_error is not None:
        spread /= median(error, weights)
        skip = min(skip + levels, most)
        cells = (cell / error)[known]
        noise = _residual_scale((within / error)[known], skip, spread, cells, counts)
    return Standardization(
        fit=fit,
        center=center,
        transform=transform,
        scale=scale,
        intercept=design.intercept,
        constant=ones,
        level=level,
        noise=noise,
        error=None if design.measurement_error is None else error * (noise / scale),
        alpha=_axes(design.alpha, 0.0, own.get("beta_alpha", ())),
        sigma=_axes(design.sigma, LOG_SD + float(np.log(noise)), own.get("beta_sigma", ())),
        group_centers=centers,
        group_units=tuple(
            (1.0 if term.formula else scale) / root_mean_square(term.x, weights) for term in terms
        ),
        centering=tuple(
            # of correlated effects a centered one is no multiple of its own sd, and of the noise's
            # nothing is known yet
            np.zeros((len(term.effects), len(term.levels)))
            if term.block or term.formula
            else _centering(term, rough[term.name], SD * scale, weights)
            for term in terms
        ),
    )


def _known_rows(design: Design, coefficients: int) -> Any:
    """Return the rows whose responses are known exactly, or all where these are too few."""
    if design.censored is None:
        return slice(None)
    exact = design.censored.low == design.censored.high
    return exact if exact.sum() > 2 * coefficients else slice(None)


def _group_centers(terms: tuple[GroupTerm, ...], weights: np.ndarray | None) -> tuple[float, ...]:
    """Return the median of each term's x where the group has an effect of its own.

    Effects of x then are those of its distance from there, and the group's own effect is that at
    the centre: their standard deviations do not depend on where x is zero.
    """
    owners = center_owners(terms)
    # of those the effects are one column
    return tuple(median(term.x[:, 0], weights) if term.name in owners else 0.0 for term in terms)


def root_mean_square(x: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the size of each column, which is 1 for a constant 1."""
    return np.sqrt(mean(x**2, weights))


def _axes(columns: Columns | None, middle: float, own: Sequence[int]) -> Axes | None:
    """Return the coordinates of a linear predictor that is about ``middle``, if there is one."""
    if columns is None:
        return None
    ones = constant(columns)
    center, transform, level = make_basis(columns.factor, columns.intercept, own, ones)
    return Axes(
        fit=np.zeros(center.size) if ones is None else middle * ones,
        center=center,
        transform=transform,
        scale=1.0,
        intercept=columns.intercept,
        constant=ones,
        level=level,
    )


def _fitted(design: Design, center: np.ndarray, fit: np.ndarray, rows: slice) -> np.ndarray:
    """Return the robust fit's value for some rows, one column in memory at a time."""
    fitted = np.zeros_like(design.y[rows])
    if design.offset is not None:
        fitted += design.offset[rows]
    for column, values in enumerate(design.values):
        fitted += (values[rows] - center[column]) * fit[column]
    return fitted


def _without_groups(
    residuals: np.ndarray, groups: Sequence[GroupTerm], weights: np.ndarray | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the residuals less what varies from group to group, roughly, and that, by term.

    Each effect is the median of the ratios of residual and column in its group, term by term, a few
    times over.
    """
    import pandas as pd

    within = residuals.copy()
    effects = {term.name: np.zeros((len(term.effects), len(term.levels))) for term in groups}
    for _ in range(5 if groups else 0):
        for term in groups:
            effect = effects[term.name]
            for column, x in enumerate(term.x.T):
                ratios = pd.Series(within / np.where(x == 0, np.nan, x))
                if weights is None:
                    medians = ratios.groupby(term.index).median()
                else:
                    counts = pd.DataFrame({"ratio": ratios, "count": weights}).dropna()
                    medians = counts.groupby(term.index[counts.index])[["ratio", "count"]].apply(
                        lambda rows: median(rows["ratio"].to_numpy(), rows["count"].to_numpy())
                    )
                step = medians.reindex(range(len(term.levels))).fillna(0.0).to_numpy()
                effect[column] += step
                within = within - x * step[term.index]
    return within, effects


def _centering(
    term: GroupTerm, effects: np.ndarray, noise: float, weights: np.ndarray | None
) -> np.ndarray:
    """Return how centered to sample each effect, shape (k, levels): its share of information.

    That of the data over that of the data and the group's law together, with the spread of the
    rough effects for the law's.
    """
    spread = SD * np.median(np.abs(effects), axis=1, keepdims=True)
    data = np.zeros_like(effects)
    for column, x in enumerate(term.x.T):
        information = (x / noise) ** 2 if weights is None else weights * (x / noise) ** 2
        np.add.at(data[column], term.index, information)
    return data * spread**2 / (1 + data * spread**2)


def _residual_scale(
    residuals: np.ndarray,
    coefficients: float,
    spread: float,
    cell: np.ndarray | float = 0.0,
    weights: np.ndarray | None = None,
) -> float:
    """Return the median absolute residual, or the mean where half of the rows fit exactly.

    So they do if it is nothing beside the response's spread, which no outlier stretches. Of rounded
    responses it is that of residuals anywhere in their cells, of these widths, as a quarter of the
    width where all are 0.
    """
    if np.any(cell):
        step = -(-residuals.size // BLOCK)
        some = np.abs(residuals[::step])
        counts = None if weights is None else weights[::step]
        kept, counts = smallest_left_out(some, coefficients // step, counts)
        cells = np.broadcast_to(cell, residuals.shape)[::step]
        away = np.abs(some[kept, None] + cells[kept, None] * _PLACES)
        return median(away.ravel(), None if counts is None else np.repeat(counts, _PLACES.size))
    size = np.abs(residuals)
    # least absolute deviations passes through as many points as there are coefficients
    kept, counts = smallest_left_out(size, coefficients, weights)
    middle, largest = median(size[kept], counts), float(size.max())
    least = 1e-9 * (min(largest, spread) or largest)
    return (
        middle
        if middle > least
        else float(mean(np.sort(size) if weights is None else size, weights))
    )


@one_thread()
def least_absolute(
    x: np.ndarray, y: np.ndarray, iterations: int = 50, frequencies: np.ndarray | None = None
) -> np.ndarray:
    """Return the coefficients of least absolute deviations, near enough to start from.

    Reweighted least squares on a convex sum; the best of its steps, the first of which is least
    squares, so that data without noise are fitted to the last digit.

    In NumPy, unlike :func:`robust_dist.optimize.least_absolute`: in double precision whatever JAX's
    mode, with nothing to compile, and on many rows ten times as fast. Rows may stand for several:
    as many as their ``frequencies`` say.
    """
    weights = np.ones_like(y)
    counts = 1.0 if frequencies is None else frequencies
    best, least = np.zeros(x.shape[1]), np.inf
    for _ in range(iterations):
        root = np.sqrt(counts * weights)
        coefficients = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
        size = np.abs(y - x @ coefficients)
        total = float((counts * size).sum())
        if total < least:
            best, least = coefficients, total
        if least == 0:
            break
        # the floor keeps the weights of points on the line finite; of the median, for beside the
        # largest, which may be any number, all others are as good as on it
        weights = 1 / np.maximum(size / (median(size, frequencies) or size.max()), 1e-10)
        weights /= weights.max()
    return best
