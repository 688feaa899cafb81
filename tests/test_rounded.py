"""Rounded outcomes: the probability of a cell, of any law, at any width, and far out.

References are mpmath's at the exact inputs: of laws whose cdf it knows, and integrals of the
density of GeneralRobust.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from robust_dist import AsymmetricGeneralRobust, GeneralRobust, Rounded


def normal(u):
    return mp.erfc(-u / mp.sqrt(2)) / 2


def cauchy(u):
    # the same far below, where the other form cancels
    return mp.atan(-1 / u) / mp.pi if u < -1 else mp.mpf(1) / 2 + mp.atan(u) / mp.pi


def laplace(u):
    return mp.exp(u) / 2 if u < 0 else 1 - mp.exp(-u) / 2


def student(u, nu=3):
    tail = mp.betainc(mp.mpf(nu) / 2, 0.5, 0, nu / (nu + u * u), regularized=True) / 2
    return tail if u < 0 else 1 - tail


LAWS = {
    "normal": (dist.Normal, normal),
    "cauchy": (dist.Cauchy, cauchy),
    "laplace": (dist.Laplace, laplace),
    "student": (lambda loc, scale: dist.StudentT(3.0, loc, scale), student),
}
# values from inside of the middle cell to far out; cells of a thousandth of the scale to 100 of it
U = np.array([0.0, 0.25, -0.75, 2.0, -5.5, 14.0, -30.0])
H = np.array([1e-3, 0.5, 3.0, 50.0])


def exact(cdf, u, half):
    """Return the probability from u - half to u + half, of the tail that is smaller."""
    u = abs(u)
    return cdf(-(u - half)) - cdf(-(u + half))


@pytest.mark.parametrize("name", LAWS)
def test_cells_have_their_probability(name, dtype, assert_below):
    """To 1e-9; in float32 to 4 roundings of the numbers that come in, and of the logarithm."""
    make, cdf = LAWS[name]
    u, half = (np.ravel(part) for part in np.meshgrid(U, H))
    u, half = u.astype(dtype), half.astype(dtype)
    with mp.workdps(60):
        cells = [(mp.mpf(float(a)), mp.mpf(float(b))) for a, b in zip(u, half, strict=True)]
        truth = np.array([float(mp.log(exact(cdf, a, b) / (2 * b))) for a, b in cells])
    law = Rounded(make(dtype.type(0), dtype.type(1)), 2 * half)
    found = law.log_prob(jnp.asarray(u))
    assert found.dtype == dtype
    bound = {"float64": 1e-9, "float32": 4e-6}[str(dtype)]
    assert_below(np.abs(found - truth), bound * (1 + np.abs(truth)), u=u, half=half)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 1.9, 2.0])
@pytest.mark.parametrize(("u", "half"), [(0.2, 0.5), (3.0, 0.5), (1.0, 20.0), (-40.0, 1.0)])
def test_cells_of_the_general_robust_law(alpha, u, half, x64):
    a = mp.mpf(alpha)
    b = abs(a - 2)

    def density(x):
        if alpha == 2:
            return mp.exp(-x * x / 2)
        if alpha == 0:
            return 1 / (1 + x * x / 2)
        return mp.exp(-b / a * ((x * x / b + 1) ** (a / 2) - 1))

    edges = sorted({u - half, u + half, *(e for e in (-3, 0, 3) if abs(e - u) < half)})
    total = mp.quad(density, [-mp.inf, -30, -3, 0, 3, 30, mp.inf])
    # relative to its largest value: mpmath's integrals have an absolute error
    peak = max(map(density, edges))
    cell = peak * mp.quad(lambda x: density(x) / peak, edges)
    truth = float(mp.log(cell / total / (2 * half)))
    found = float(Rounded(GeneralRobust(alpha), 2.0 * half).log_prob(u))
    assert found == pytest.approx(truth, rel=1e-9)


GRIDS = {
    "normal": lambda loc, scale: dist.Normal(loc, scale),
    "student": lambda loc, scale: dist.StudentT(3.0, loc, scale),
    "laplace": lambda loc, scale: dist.Laplace(loc, scale),
    "general": lambda loc, scale: GeneralRobust(0.7, loc, scale),
    "asymmetric": lambda loc, scale: AsymmetricGeneralRobust(1.3, loc, scale, 0.2 * scale),
}


@given(st.sampled_from(list(GRIDS)), st.floats(0.05, 30.0), st.floats(-0.5, 0.5))
@settings(max_examples=30, deadline=None)
def test_the_cells_of_a_grid_sum_to_one(name, scale, loc):
    """Over the grid, but for what of Student's t lies beyond 4,000 steps of a quarter."""
    with jax.enable_x64(True):
        law = Rounded(GRIDS[name](loc, scale), 0.25)
        total = 0.25 * np.exp(law.log_prob(0.25 * np.arange(-4000, 4001))).sum()
    # 2 * 1.1 * (scale/1000)^3 of Student's t with nu = 3
    assert total == pytest.approx(1, abs=1e-8 + 3e-9 * scale**3)


def test_a_narrow_cell_has_the_density(dtype):
    """Of a millionth of the scale, by which the probability and the density differ in 1e-12."""
    law = GeneralRobust(0.7, dtype.type(0.3), dtype.type(1))
    value = jnp.linspace(-20, 20, 101, dtype=dtype)
    expected = law.log_prob(value)
    np.testing.assert_allclose(
        Rounded(law, 1e-6).log_prob(value), expected, rtol=3e-6 if dtype == np.float32 else 1e-11
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda p: dist.Normal(p[0], p[1]),
        lambda p: dist.StudentT(p[2], p[0], p[1]),
        lambda p: GeneralRobust.with_orthogonal_scale(p[2], p[0], p[1]),
        lambda p: AsymmetricGeneralRobust(p[2], p[0], p[1], 2 * p[1]),
    ],
    ids=["normal", "student", "general", "asymmetric"],
)
def test_gradients_are_finite_and_lead_back_far_out(make, dtype):
    def log_prob(parameters, value):
        return Rounded(make(parameters), dtype.type(1)).log_prob(value)

    scale, far = np.meshgrid([1e-6, 1.0, 1e3], [1e2, 1e6, 1e12])
    # beyond the cell of 0, and so many scales
    value = np.ravel(far * scale + 1)
    parameters = np.stack([np.zeros(9), scale.ravel(), np.ones(9)], axis=1).astype(dtype)
    for side in (1, -1):
        found, slope = jax.jit(jax.vmap(jax.value_and_grad(log_prob)))(
            jnp.asarray(parameters), jnp.asarray(side * value, dtype)
        )
        assert np.isfinite(found).all()
        assert np.isfinite(slope).all()
        assert np.all(side * slope[:, 0] > 0)
        assert np.all(slope[:, 1] > 0)


def test_gradients_are_those_of_the_probability(x64):
    """Against differences of the Normal's exact logarithm, in and beyond the cell."""

    def truth(loc, scale, value):
        u, half = (value - loc) / scale, mp.mpf("0.5") / scale
        return (
            mp.log(exact(normal, u, half))
            if abs(u) > half
            else mp.log(normal(u + half) - normal(u - half))
        )

    for loc, scale, value in ((0.1, 0.05, 0.0), (0.1, 0.7, 1.0), (0.0, 0.3, 4.0), (0.2, 2.0, -9.0)):
        slope = jax.grad(lambda p, y: Rounded(dist.Normal(*p), 1.0).log_prob(y))(
            jnp.asarray([loc, scale]), value
        )
        with mp.workdps(60):
            for k in range(2):
                step = [mp.mpf("1e-20") * (j == k) for j in range(2)]
                ends = [
                    truth(mp.mpf(loc) + s * step[0], mp.mpf(scale) + s * step[1], mp.mpf(value))
                    for s in (1, -1)
                ]
                expected = float((ends[0] - ends[1]) / mp.mpf("2e-20"))
                assert float(slope[k]) == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_draws_lie_on_the_grid_as_often_as_they_should():
    law = Rounded(GeneralRobust(1.0, 0.3, 0.5), 0.5, 0.2)
    draws = np.asarray(law.sample(jax.random.key(0), (20_000,)))
    steps = (draws - 0.2) / 0.5
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-5)
    for value in (-0.3, 0.2, 0.7):
        share = np.mean(np.isclose(draws, value, atol=1e-3))
        # four standard errors of a share of 20,000
        assert share == pytest.approx(0.5 * float(jnp.exp(law.log_prob(value))), abs=0.015)


def test_it_is_a_distribution_of_numpyros():
    def model(value):
        loc = numpyro.sample("loc", dist.Normal(0, 1))
        with numpyro.plate("row", 4):
            numpyro.sample("value", Rounded(dist.Normal(loc, 1.0), 1.0), obs=value)

    value = jnp.arange(4.0)
    density = jax.jit(
        lambda loc: numpyro.infer.util.log_density(model, (value,), {}, {"loc": loc})[0]
    )(0.5)
    expected = Rounded(dist.Normal(0.5, 1.0).expand((4,)), 1.0).log_prob(value).sum()
    assert float(density) == pytest.approx(
        float(expected + dist.Normal(0, 1).log_prob(0.5)), rel=1e-5
    )
    leaves, tree = jax.tree.flatten(Rounded(dist.Normal(0.5, 1.0), 2.0, 1.0))
    assert jax.tree.unflatten(tree, leaves).log_prob(1.0) == Rounded(
        dist.Normal(0.5, 1.0), 2.0, 1.0
    ).log_prob(1.0)


@pytest.mark.parametrize("law", [dist.LogNormal(0.0, 1.0), dist.Gamma(2.0), dist.Poisson(3.0)])
def test_a_law_whose_mode_is_unknown_is_refused(law):
    with pytest.raises(TypeError, match="loc"):
        Rounded(law, 1.0)


def test_a_step_is_positive():
    with pytest.raises(ValueError, match="step"):
        Rounded(dist.Normal(0.0, 1.0), -1.0, validate_args=True)
