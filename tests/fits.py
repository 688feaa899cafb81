"""Fits that several test files look at, made once per process; a fit takes seconds to compile."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import arviz_base
import numpy as np
import pandas as pd
from scipy import stats
from xarray import DataTree

if TYPE_CHECKING:
    from robust_dist.regression import Comparison, Regression


@cache
def stackloss() -> DataTree:
    """Return a fit of the stackloss data, long enough to need no warning on any machine."""
    from robust_dist.datasets import DATASETS, load
    from robust_dist.regression import Regression

    regression = Regression(DATASETS["stackloss"].formula, load("stackloss"))
    return regression.fit(draws=1000, warmup=500, chains=4, seed=1)


def made_up(
    coefficients: tuple[str, ...] = ("Intercept", "x"),
    alpha: tuple[float, float] = (0.0, 2.0),
    rows: int = 40,
    diverging: int = 0,
    drift: float = 0.0,
) -> DataTree:
    """Return a DataTree as a fit would, of a line through zero, without fitting.

    The posterior of alpha is uniform in an interval; the last row lies 20 scales off the line. The
    chains' means differ by ``drift`` standard deviations of alpha.
    """
    rng = np.random.default_rng(0)
    p = len(coefficients)
    x = np.column_stack([np.ones(rows), *(np.linspace(-1, 1, rows),) * (p - 1)])
    truth = np.r_[0.0, np.ones(p - 1)]
    y = x @ truth + rng.normal(0, 0.1, rows)
    y[-1] += 2.0
    low, high = alpha
    draws = rng.uniform(low, high, (2, 500)) + drift * (high - low) * np.arange(2)[:, None]
    scale = rng.uniform(0.09, 0.11, (2, 500))
    diverges = np.zeros((2, 500), bool)
    diverges.flat[:diverging] = True
    return arviz_base.from_dict(
        {
            "posterior": {
                "beta": truth + rng.normal(0, 0.02, (2, 500, p)),
                "sigma": orthogonal(draws, scale),
                "alpha": draws,
                "scale": scale,
            },
            "prior": {"alpha": rng.uniform(0, 2, (1, 1000))},
            "sample_stats": {"diverging": diverges},
            "observed_data": {"y": y},
            "constant_data": {"x": x},
        },
        coords={"coefficient": list(coefficients), "row": list(range(1, rows + 1))},
        dims={"beta": ["coefficient"], "y": ["row"], "x": ["row", "coefficient"]},
        attrs={
            "/": {
                "response": "y",
                "formula": "y ~ x",
                "likelihood": "general_robust",
                "method": "nuts",
            }
        },
    )


def normal_fit(
    x: np.ndarray,
    y: np.ndarray,
    spread: float,
    draws: int = 2000,
    prior: tuple[np.ndarray, np.ndarray] | None = None,
) -> DataTree:
    """Return the exact posterior of a line, or plane, with Normal noise of known spread.

    The prior of the coefficients, the intercept's first, is Normal with these means and standard
    deviations; flat, and without draws of it, if None.
    """
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(len(y)), x])
    p = design.shape[1]
    names = ["Intercept", *(["x"] if p == 2 else [f"x{k}" for k in range(1, p)])]
    loc, width = (np.zeros(p), np.full(p, np.inf)) if prior is None else prior
    # in units of the columns, which may differ by orders of magnitude
    size = np.linalg.norm(design, axis=0)
    unit = spread / np.where(size > 0, size, 1.0)
    precision = (design * unit).T @ (design * unit) / spread**2 + np.diag((unit / width) ** 2)
    pull = (design * unit).T @ (y - design @ loc) / spread**2
    covariance = np.linalg.inv(precision)
    z = rng.multivariate_normal(covariance @ pull, covariance, size=(2, draws))
    beta = loc + unit * z
    scalar = np.ones((2, draws))
    groups = {
        "posterior": {
            "beta": beta,
            "scale": spread * scalar,
            "sigma": spread * scalar,
            "alpha": 2.0 * scalar,
        },
        "log_likelihood": {"y": stats.norm.logpdf(y, beta @ design.T, spread)},
        "observed_data": {"y": y},
        "constant_data": {"x": design},
    }
    if prior is not None:
        groups["prior"] = {"beta": rng.normal(loc, width, (1, 1000, p))}
    return arviz_base.from_dict(
        groups,
        coords={"coefficient": names, "row": np.arange(1, len(y) + 1)},
        dims={"beta": ["coefficient"], "y": ["row"], "x": ["row", "coefficient"]},
        attrs={"/": {"response": "y", "formula": "y ~ x", "likelihood": "general_robust"}},
    )


def orthogonal(alpha: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the orthogonal scale in double precision."""
    import jax

    from robust_dist import orthogonal_scale

    with jax.enable_x64(True):
        return np.asarray(orthogonal_scale(alpha, scale))


def compare_made_up(
    formula: Any, data: Any, likelihoods: Sequence[str] | None = None, **options: Any
) -> Comparison:
    """Stand in for ``regression.compare``: the models that it would take, without fitting."""
    from robust_dist.regression.comparison_models import models_to_compare

    return compared(list(models_to_compare(formula, likelihoods)))


def compared(likelihoods: Sequence[str]) -> Comparison:
    """Return a comparison as ``compare`` would, without fitting."""
    from robust_dist.regression import Comparison

    best, *others = likelihoods
    fits = {name: made_up() for name in likelihoods}
    for dt in fits.values():
        dt.attrs.update(seed=0, warmup=10)
    count = len(others)
    table = pd.DataFrame(
        {
            "elpd": [-50.0, *(-60.0 - k for k in range(count))],
            "se": 3.0,
            "elpd_diff": [0.0, *(-10.0 - k for k in range(count))],
            "dse": [0.0] + [2.0] * count,
            "weight": [0.9] + [0.1 / count] * count,
        },
        index=pd.Index(likelihoods),
    )
    numbers = {(name, key): [0.0, 1.0] for name in likelihoods for key in ("mean", "sd")}
    return Comparison(
        table=table,
        coefficients=pd.DataFrame(numbers, index=["Intercept", "x"]),
        verdict=f"{others[0]} predicts worse than {best}.",
        notes=(f"{best}: Pareto k was high in row 3.",),
        fits=fits,
        loo={},
        models={name: ("y ~ x", name) for name in likelihoods},
    )


def share_below(regression: Regression, middle: float) -> float:
    """Return the posterior probability of a location below a number, by quadrature.

    The regression has an intercept alone, and all else fixed.
    """
    density = regression.search.density
    z = np.linspace(-20, 20, 8001)
    heights = np.array([density.slope(np.array([value]))[0] for value in z])
    location = regression.coordinates.coefficients(z[:, None])[:, 0]
    mass = np.exp(heights - heights.max())
    return float(mass[location < middle].sum() / mass.sum())


@cache
def grouped_data() -> tuple[pd.DataFrame, np.ndarray]:
    """Return rows of ten groups, and the true intercept of each."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(10), 8)
    x = rng.uniform(-1, 1, g.size)
    intercepts = 5 + rng.normal(0, 3, 10)
    o = rng.normal(0, 10, g.size)
    y = intercepts[g] + o + np.sin(3 * x) + 0.5 * rng.standard_t(3, g.size)
    k = np.resize(["u", "v"], g.size)
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{i}" for i in g], "o": o, "k": k}), intercepts


@cache
def grouped() -> DataTree:
    """Return a short fit of them, with a spline, a category and an offset."""
    from robust_dist.regression import Regression

    # Cauchy: what is looked at does not depend on the law, and it compiles quickest
    formula = "y ~ bs(x, df=3) + k + (1 | g)"
    regression = Regression(formula, grouped_data()[0], "cauchy", offset="o")
    return regression.fit(draws=250, warmup=200, chains=2, seed=1)
