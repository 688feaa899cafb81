"""Tiles together are what the whole arrays would give, by one program whatever the shapes."""

import jax
import numpy as np
import pytest

from robust_dist.regression.likelihoods import _tiles
from robust_dist.regression.likelihoods._tiles import over_tiles


@pytest.fixture
def traced(monkeypatch):
    """Return a function, and the list of the lengths it was traced for; tiles of 8 and 64."""
    monkeypatch.setattr(_tiles, "_TILE", 8)
    monkeypatch.setattr(_tiles, "_LARGE", 64)
    lengths = []

    @jax.jit
    def function(tile):
        lengths.append(tile["a"].size)
        return tile["a"] * tile["b"], tile["a"].astype(np.float32)

    return function, lengths


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (((), ()), [8]),
        (((5, 1), (1, 1)), [8]),
        (((8,), (8,)), [8]),
        (((7, 1), (7, 5)), [8]),
        (((1, 8), (8, 1)), [64]),
        (((5, 27), (5, 27)), [64, 8]),
    ],
    ids=str,
)
def test_tiles_together_are_the_whole(shapes, expected, traced):
    function, lengths = traced
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape) for shape in shapes)
    product, single = over_tiles(function, {"a": a, "b": b})
    np.testing.assert_array_equal(product, a * b, strict=True)
    whole = np.broadcast_to(a.astype(np.float32).astype(float), product.shape)
    np.testing.assert_array_equal(single, whole, strict=True)
    assert lengths == expected
