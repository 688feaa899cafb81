"""The recipes of hierarchical_and_heteroskedastic.md run, and find what they simulate.

    pytest -o addopts= tests/slow/test_recipes.py

Runs the page's own code, once. Takes a minute and a half on one core.
"""

from __future__ import annotations

import re
from pathlib import Path

import arviz_stats
import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs/howto/hierarchical_and_heteroskedastic.md"


@pytest.fixture(scope="module")
def page():
    """Return what the page's code defines, run from top to bottom."""
    namespace = {}
    cells = re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    for cell in cells:
        exec(cell, namespace)
    return namespace


@pytest.fixture
def draws(page):
    """Return a function that gives a fit's draws, by chain, once it has mixed."""

    def of(fit):
        assert page[fit].get_extra_fields()["diverging"].sum() <= 2
        values = page[fit].get_samples(group_by_chain=True)
        values = {name: np.asarray(value, float) for name, value in values.items()}
        for name, value in values.items():
            assert np.max(arviz_stats.rhat(value, chain_axis=0, draw_axis=1)) < 1.03, name
        return {name: value.reshape(-1, *value.shape[2:]) for name, value in values.items()}

    return of


def away(draws, truth):
    """Return the distance of posterior means from the truth, in posterior standard deviations."""
    return np.abs(draws.mean(0) - truth) / draws.std(0)


def test_axis_of_alpha(page):
    """The quantiles of the reference prior, those of the Normal mapped."""
    z = np.array([-1.0, 0.0, 1.0])
    prior = page["ReferenceAlpha"](0.0, 2.0)
    np.testing.assert_allclose(prior.cdf(page["to_alpha"](z)), [0.1587, 0.5, 0.8413], atol=1e-4)


def test_alpha_per_group(draws):
    """The Cauchy group is told from the Normal ones, and every sigma found."""
    found = draws("groups")
    assert found["alpha"].shape[1:] == found["sigma"].shape[1:] == (4,)
    assert np.quantile(found["alpha"][:, 3], 0.95) < 0.5
    assert np.all(np.quantile(found["alpha"][:, :3], 0.5, axis=0) > 1)
    # sigma of Cauchy(0, 1), whose c is 1/sqrt(2), is 3.13/sqrt(2)
    assert np.all(away(np.log(found["sigma"]), np.log([0.5, 1.0, 2.0, 2.22])) < 3.5)
    assert np.all(away(found["beta"], [1.0, -2.0]) < 3.5)


def test_alpha_and_sigma_from_covariates(draws):
    found = draws("covariates")
    assert np.all(away(found["a"], [0.2, -1.0]) < 3.5)
    assert np.all(away(found["s"], [0.0, 0.5]) < 3.5)
    assert np.all(away(found["beta"], [1.0, -2.0]) < 3.5)
    # the slopes are there to be seen
    assert np.quantile(found["a"][:, 1], 0.99) < 0 < np.quantile(found["s"][:, 1], 0.01)


def test_alpha_per_output(draws):
    """Normal, Laplace and t(2) noise come in this order."""
    found = draws("outputs")
    assert found["alpha"].shape[1:] == found["sigma"].shape[1:] == (3,)
    assert np.all(np.diff(np.median(found["alpha"], axis=0)) < 0)
    assert np.all(away(found["beta"], [[1.0, 0.0, 3.0], [-2.0, 1.0, 0.5]]) < 3.5)
