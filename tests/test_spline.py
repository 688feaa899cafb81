"""Tables of Hermite cells: how they are searched, made and checked, whatever their size."""

from types import ModuleType, SimpleNamespace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust_dist._numerics import draws, reference_prior
from robust_dist._numerics.alpha_table import AlphaTable, SingularTable
from robust_dist._numerics.elliptical import radius
from robust_dist._numerics.log_normalizer import TABLE
from robust_dist._numerics.spline import checked_nodes, cubic_cells, evaluate, quintic_cells, search
from robust_dist._numerics.window import quantile as window
from robust_dist._numerics.window.mass import Bounds
from robust_dist._tables import log_normalizer, orthogonal
from robust_dist._tables import reference_prior as prior_table

SHARE = np.linspace(0.001, 0.999, 97)


LARGEST, TABLES = 700, 3


@settings(max_examples=60, deadline=None)
@given(cells=st.integers(1, LARGEST), seed=st.integers(0, 2**32 - 1))
def test_search_equals_numpys(cells: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = np.sort(rng.integers(0, 2 * cells, (TABLES, cells + 1)), -1)  # many nodes coincide
    x = rng.integers(-2, 2 * cells + 2, (50, TABLES))
    expected = [np.searchsorted(*table, side="right") for table in zip(nodes, x.T, strict=True)]
    first = np.arange(TABLES) * (cells + 1)
    # of one length for every size of the table, so that little is compiled
    flat = np.full(TABLES * (LARGEST + 1), -1)
    flat[: nodes.size] = nodes.ravel()
    cell = search(jnp.asarray(flat), jnp.asarray(first), cells, jnp.asarray(x))
    np.testing.assert_array_equal(cell, np.clip(np.stack(expected, -1) - 1, 0, cells - 1))


@pytest.mark.parametrize(("make", "degree"), [(quintic_cells, 5), (cubic_cells, 3)])
def test_cells_hold_the_polynomials_of_their_degree(make: Any, degree: int) -> None:
    nodes = np.array([-1.0, -0.3, 0.1, 2.0])
    polynomial = np.polynomial.Polynomial([0.3, -1, 0.5, 2, -0.7, 0.1][: degree + 1])
    data = [polynomial.deriv(order)(nodes) for order in range((degree + 1) // 2)]
    width = np.diff(nodes)
    t = np.linspace(0, 1, 7)[:, None]
    values = evaluate(
        [jnp.asarray(part) for part in make(*data, width)], jnp.broadcast_to(t, (7, 3))
    )
    tolerance = 50 * np.finfo(values.dtype).eps
    np.testing.assert_allclose(values, polynomial(nodes[:-1] + width * t), tolerance, tolerance)


def _draws() -> Any:
    alpha = jnp.asarray([0.4, 1.3])
    quantile = draws._find(jnp.asarray(-np.log(SHARE))[:, None], alpha)
    return quantile.tau, quantile.shift


def _radius() -> Any:
    alpha = jnp.asarray([0.4, 1.3])
    quantile = radius._find(3, jnp.asarray(4 * SHARE - 2)[:, None], alpha)
    return quantile.u, quantile.shift


def _window() -> Any:
    bounds = Bounds(*(jnp.asarray(length) for length in (0.0, 8.0, 1.0)))
    return window.quantile(jnp.asarray(SHARE), bounds, jnp.asarray(1.3)).distance


@pytest.mark.parametrize(
    ("module", "quantiles"), [(draws, _draws), (radius, _radius), (window, _window)]
)
def test_a_table_of_another_size_gives_the_same_quantiles(
    module: ModuleType, quantiles: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 300 cells: no power of two, and more than 224 and 256, fewer than 1024, as they were."""
    # what is compiled below knows nothing of another size: each lambda is traced anew
    expected = jax.jit(lambda: quantiles())()
    monkeypatch.setattr(module, "_CELLS", 300)
    changed = jax.jit(lambda: quantiles())()
    for before, after in zip(jax.tree.leaves(expected), jax.tree.leaves(changed), strict=True):
        # the tables' own error is some 1e-9, and in float32 that of their sums
        tolerance = 1e-7 if before.dtype == jnp.float64 else 2e-5
        np.testing.assert_allclose(after, before, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "nodes", [[0.0], [0.0, 2.0, 1.0, 3.0], [0.0, 1.0, 1.0, 3.0], [0.0, np.nan, 3.0], [0.0, 1.0]]
)
def test_nodes_that_make_no_table_are_refused(nodes: list[float]) -> None:
    with pytest.raises(ValueError, match="table"):
        checked_nodes(np.array(nodes), 0.0, 3.0)


def _source(table: ModuleType, **changes: Any) -> ModuleType:
    """Return the table's data with some of it replaced."""
    return cast(ModuleType, SimpleNamespace(**{**vars(table), **changes}))


def test_a_table_with_a_number_that_is_none_is_refused() -> None:
    broken = np.array(log_normalizer.low)
    broken[7, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        AlphaTable(_source(log_normalizer, low=broken))
    with pytest.raises(ValueError, match="two derivatives"):
        AlphaTable(_source(log_normalizer, low=broken[:, :2]))


@pytest.mark.parametrize("region", ["low", "below", "above", "high"])
def test_a_table_whose_regions_do_not_meet_is_refused(region: str) -> None:
    # as where a region is cut, turned round, or taken from another table
    for part in (
        np.array(getattr(log_normalizer, region))[1:-1],
        np.array(getattr(log_normalizer, region))[::-1],
        np.array(getattr(orthogonal, region)),
    ):
        if region in ("below", "above") and np.array_equal(part[0], [0, 0, 0]):
            continue
        source = _source(log_normalizer, **{region: part})
        with pytest.raises(ValueError, match="must meet"):
            SingularTable(source, TABLE.at_two, TABLE.c)


@pytest.mark.parametrize("region", ["low", "below", "above", "high"])
def test_a_prior_whose_masses_do_not_rise_or_meet_is_refused(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in (
        np.array(getattr(prior_table, region))[:-1],
        np.array(getattr(prior_table, region))[::-1],
    ):
        table = AlphaTable(_source(prior_table, **{region: part}))
        monkeypatch.setattr(reference_prior, "TABLE", table)
        with pytest.raises(ValueError, match="table"):
            reference_prior._nodes()
