"""The instant engine: the density of the model, sampled exactly, wherever it says that it can."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from fits import stackloss
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpyro.infer.util import potential_energy

from robust_dist import ReferenceAlpha
from robust_dist._cache import cache_directory
from robust_dist.regression import Regression
from robust_dist.regression.likelihoods import NAMES, find_likelihood
from robust_dist.regression.posterior import engine
from robust_dist.regression.posterior.engine import compiled
from robust_dist.regression.posterior.engine.layout import lay_out
from robust_dist.regression.posterior.nuts import run, sampler

ROWS = 40


def table():
    rng = np.random.default_rng(3)
    return {
        "y": 3 + rng.standard_t(3, ROWS),
        "x": rng.normal(size=ROWS),
        "z": rng.uniform(1, 2, ROWS),
        "g": np.resize(["a", "b", "c", "d"], ROWS),
        "w": rng.uniform(0.5, 2, ROWS),
        "e": rng.uniform(0.5, 2, ROWS),
    }


LOCATIONS = ("y ~ x + z", "y ~ 0 + x", "y ~ 1")
GROUPS = ("", " + (1 | g)", " + (1 | g) + (0 + x | g)")
OWN = {
    "none": {},
    # an affine one, and two that live on half of the line or an interval of it
    "x": {"x": dist.Normal(0.5, 2.0)},
    "bounded": {"x": dist.Uniform(-3.0, 5.0)},
    "positive": {"x": dist.Gamma(2.0, 0.5)},
    "slopes": {"beta": dist.StudentT(3.0, 0.0, 2.0)},
}
SCALES = (None, dist.HalfNormal(2.0), dist.LogNormal(0.0, 1.0), dist.HalfCauchy(1.0), 1.5)
SHAPES = (None, 0.0, 1.0, 2.0, dist.Uniform(0.5, 3.5), dist.Exponential(1.0), np.inf)
FORMULAS = {
    "general_robust": ((), ("sigma",), ("alpha",), ("alpha", "sigma")),
    "asymmetric_general_robust": ((), ("alpha",)),
}


@st.composite
def structures(draw):
    """Return the arguments of a regression."""
    law = draw(st.sampled_from(NAMES))
    likelihood = find_likelihood(law)
    location = draw(st.sampled_from(LOCATIONS))
    formulas = draw(st.sampled_from(FORMULAS.get(law, ((), ("sigma",)))))
    priors = dict(OWN[draw(st.sampled_from(list(OWN) if "x" in location else ["none"]))])
    location += draw(st.sampled_from(GROUPS))
    for name in likelihood.shared(formulas):
        choices = SCALES if name in likelihood.scales else SHAPES
        if name == "nu":
            choices = (None, 3.0, dist.Exponential(0.1))
        chosen = draw(st.sampled_from(choices))
        priors |= {} if chosen is None else {name: chosen}
    if "g)" in location:
        # the default has a scale in single precision, of which NumPyro takes the logarithm as such
        priors["1|g_sigma"] = draw(st.sampled_from((dist.HalfNormal(2.0), 0.7)))
        if "x | g" in location:
            priors["x|g_sigma"] = dist.Exponential(1.0)
    formula = {"y": location} | dict.fromkeys(formulas, "~ x")
    columns = {name: draw(st.sampled_from((None, column))) for name, column in COLUMNS.items()}
    return {"formula": formula, "likelihood": law, "priors": priors, **columns}


COLUMNS = {"weights": "w", "measurement_error": "e", "offset": "z"}


def compare(q, value, gradient, regression, data):
    """Check a value and a gradient against the model's own."""
    layout = lay_out(regression.setting, data)

    def energy(q):
        sites = {s.name: q[s.start : s.stop].reshape(s.shape) for s in layout.sites}
        return potential_energy(regression.model, (), data, sites)

    expected, slope = jax.value_and_grad(energy)(jnp.asarray(q))
    assert [site.name for site in layout.sites] == regression.sites
    # relative to the terms of the sum, which may cancel
    assert abs(value + float(expected)) < 1e-10 * (abs(float(expected)) + ROWS)
    np.testing.assert_allclose(gradient, -np.asarray(slope), rtol=1e-10, atol=1e-10)


def check(seed, keep=False, **arguments):
    """Check the density of a regression at some positions."""
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        regression = Regression(data=table(), **arguments)
        data = regression.data
        if keep:
            data = {**data, "keep": jnp.asarray(rng.uniform(size=ROWS) < 0.7)}
        assert not engine.unsupported(regression.setting, data)
        density = engine.log_density(regression.setting, data)
        for reach in (1.0, 3.0):
            q = rng.uniform(-reach, reach, density.size)
            compare(q, *density(q), regression, data)


@given(structures(), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_value_and_gradient_are_the_models(structure, seed, keep):
    check(seed, keep, **structure)


@pytest.mark.slow
@given(structures(), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_value_and_gradient_are_the_models_of_many_structures(structure, seed, keep):
    check(seed, keep, **structure)
