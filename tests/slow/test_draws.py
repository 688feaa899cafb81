r"""Millions of draws of every member are those of its exact cdf.

    pytest -o addopts= -s tests/slow/test_draws.py

Kolmogorov and Smirnov's test sees a shift of the cdf, Anderson and Darling's also a wrong tail. The
draws, float32 or float64, are taken as the exact numbers they are and judged by the quadrature cdf
in float64, which shares no table with them. Full form: 1e7 draws per law; a float32 draw is one of
2**32 quantiles then, a grid that is 1e6 times finer than what the tests can see.
``ROBUST_DIST_SLOW=reduced`` takes 1e6. P-values are printed (``-s``) and recorded.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from robust_dist import GeneralRobust

COUNT = 10**6 if os.environ.get("ROBUST_DIST_SLOW") == "reduced" else 10**7
ALPHAS = (0.0, 0.1, 0.5, 1.0, 1.5, 1.99, 2.0, 2.5, 4.0, 10.0)
LEVEL = 1e-4


@jax.jit
def log_masses(x: jax.Array, alpha: jax.Array) -> tuple[jax.Array, jax.Array]:
    d = GeneralRobust(alpha)
    return d.log_cdf(x), d.log_sf(x)


def anderson_darling(log_below: np.ndarray, log_above: np.ndarray) -> float:
    """Return the statistic of sorted draws, from the logs of F and 1 - F at each."""
    n = len(log_below)
    odd = 2 * np.arange(1, n + 1) - 1
    return -n - float(np.sum(odd / n * (log_below + log_above[::-1])))


def anderson_darling_sf(statistic: float) -> float:
    """Return its tail probability for a fully specified law and many draws.

    T. W. Anderson and D. A. Darling, Asymptotic Theory of Certain "Goodness of Fit" Criteria Based
    on Stochastic Processes, Ann. Math. Statist. 23, 1952, p. 204.
    """
    total = 0.0
    for j in range(8):
        rate = (4 * j + 1) ** 2 * math.pi**2 / (8 * statistic)

        def integrand(w: float, rate: float = rate) -> float:
            return math.exp(statistic / (8 * (w * w + 1)) - rate * w * w)

        integral, _ = scipy.integrate.quad(integrand, 0, math.inf, epsabs=0, epsrel=1e-11)
        total += scipy.special.binom(-0.5, j) * (4 * j + 1) * math.exp(-rate) * integral
    return 1 - math.sqrt(2 * math.pi) / statistic * total


@pytest.fixture(scope="module")
def draw() -> Callable[[float, np.dtype], np.ndarray]:
    compiled = jax.jit(lambda key, alpha: GeneralRobust(alpha).sample(key, (COUNT,)))

    def call(alpha: float, dtype: np.dtype) -> np.ndarray:
        key = jax.random.key(2026 + ALPHAS.index(alpha))
        return np.asarray(compiled(key, jnp.asarray(alpha, dtype)))

    return call


def test_level_of_anderson_and_darling():
    """Of the statistic's published upper points (D'Agostino & Stephens 1986, table 4.2)."""
    for point, level in [(1.933, 0.1), (2.492, 0.05), (3.070, 0.025), (3.857, 0.01)]:
        # the table was found by simulation
        assert abs(anderson_darling_sf(point) / level - 1) < 0.03


@pytest.mark.parametrize("alpha", ALPHAS)
def test_draws_follow_the_law(alpha, dtype, draw, record_property):
    """Neither test rejects at 1e-4: of 40 p-values the smallest of a right sampler is near 0.02."""
    sample = np.sort(draw(alpha, dtype))
    assert sample.dtype == dtype
    with jax.enable_x64(True):
        exact = jnp.asarray(dtype.type(alpha), jnp.float64)  # that of the draws
        masses = log_masses(jnp.asarray(sample, jnp.float64), exact)
    log_below, log_above = (np.asarray(part) for part in masses)
    below = np.exp(log_below)
    edges = np.arange(COUNT + 1) / COUNT
    distance = max((edges[1:] - below).max(), (below - edges[:-1]).max())
    statistic = anderson_darling(log_below, log_above)
    kolmogorov = float(scipy.stats.kstwo.sf(distance, COUNT))
    darling = anderson_darling_sf(statistic)
    figures = f"KS D {distance:.3e} p {kolmogorov:.3g}; AD A2 {statistic:.3f} p {darling:.3g}"
    print(f"\nalpha {alpha:g} {dtype}: {figures}")
    record_property(f"alpha {alpha:g} {dtype}", figures)
    assert kolmogorov > LEVEL
    assert darling > LEVEL
