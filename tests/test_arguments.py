"""What holds no real numbers is refused by the argument's name, before JAX meets it."""

from __future__ import annotations

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import robust_dist
from robust_dist import (
    AsymmetricGeneralRobust,
    GeneralRobust,
    MultivariateGeneralRobust,
    ReferenceAlpha,
    TruncatedGeneralRobust,
)
from robust_dist.many_rows import compensated, mean_log_density
from robust_dist.optimize import alpha_schedule, anneal, irls, least_absolute
from robust_dist.transforms import ScaledYUV

X, Y = np.column_stack([np.ones(5), np.arange(5.0)]), np.arange(5.0)

NO_NUMBERS = [
    "1",
    None,
    b"x",
    1j,
    np.array([1 + 0j]),
    np.array(["a"]),
    np.array([1, "a"], dtype=object),
    [1, [2, 3]],
    {"a": 1},
    np.datetime64("2020"),
    dist.Normal(0, 1),
]
CALLS = [
    ("alpha", GeneralRobust),
    ("loc", lambda v: GeneralRobust(1.0, v)),
    ("scale", lambda v: GeneralRobust(1.0, 0.0, v)),
    ("loc", lambda v: GeneralRobust.with_orthogonal_scale(1.0, v)),
    ("low", lambda v: TruncatedGeneralRobust(1.0, low=v, high=1.0)),
    ("scale_left", lambda v: AsymmetricGeneralRobust(1.0, 0.0, v)),
    ("loc", lambda v: MultivariateGeneralRobust(1.0, v, np.eye(2))),
    ("low", lambda v: ReferenceAlpha(v, 2.0)),
    ("value", lambda v: GeneralRobust(1.0).log_prob(v)),
    ("value", lambda v: GeneralRobust(1.0).cdf(v)),
    ("x", lambda v: irls(v, Y, 1.0, 1.0)),
    ("y", lambda v: least_absolute(X, v)),
    ("alpha", lambda v: alpha_schedule(v, 3)),
    ("x", lambda v: ScaledYUV()(v)),
    ("centre", lambda v: compensated(None, v)),
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda v: repr(v)[:12])
@pytest.mark.parametrize(("name", "call"), CALLS, ids=[f"{i}-{c[0]}" for i, c in enumerate(CALLS)])
def test_no_numbers(name, call, value):
    with pytest.raises(TypeError, match=rf"^{name} must be a real number") as caught:
        call(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("f", ["rho", "psi", "weight"])
@pytest.mark.parametrize("value", ["1", None, 1j], ids=repr)
def test_no_numbers_in_compiled_functions(f, value):
    """There JAX refuses text, by the argument's name as well."""
    with pytest.raises(TypeError, match=r"\balpha\b"):
        getattr(robust_dist, f)(1.0, value)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("max_steps", lambda v: irls(X, Y, 1.0, 1.0, max_steps=v)),
        ("max_steps", lambda v: least_absolute(X, Y, max_steps=v)),
        ("stages", lambda v: anneal(X, Y, 1.0, 1.0, stages=v)),
    ],
)
def test_counts_are_integers(name, call):
    """NumPy's integers are integers; fractions, text and nothing are refused by name."""
    for value in ("5", None, 1.5, 1j):
        with pytest.raises(TypeError, match=f"{name} must be an integer"):
            call(value)
    with pytest.raises(ValueError, match=f"{name} must be . or more"):
        call(0)
    call(np.int64(5))


def test_what_numbers_may_come_in():
    """Lists, integers, bools, NumPy's scalars, traced values and half precision."""
    for value in (1, True, [0.5, 1.5], np.float16(1), np.int8(1), np.array(1, dtype=np.uint64)):
        assert np.isfinite(robust_dist.rho(2.0, np.asarray(value))).all()
    assert jax.jit(lambda a: GeneralRobust(a).log_prob(0.0))(1.0) < 0


def test_models_and_params_of_many_rows():
    with pytest.raises(TypeError, match="model must be"):
        mean_log_density(None, {})
    with pytest.raises(TypeError, match="params must map"):
        mean_log_density(lambda: None, None)


@pytest.mark.parametrize(
    "law",
    [
        GeneralRobust,
        GeneralRobust.with_orthogonal_scale,
        AsymmetricGeneralRobust,
        lambda a, **options: MultivariateGeneralRobust(a, 0.0, np.eye(2), **options),
    ],
)
@pytest.mark.parametrize("alpha", [-2.0, np.array([1.0, -0.25])], ids=repr)
def test_a_negative_alpha_is_named_with_the_law_that_takes_it(law, alpha):
    pattern = rf"alpha parameter {np.min(alpha):g}.*TruncatedGeneralRobust"
    with pytest.raises(ValueError, match=pattern) as caught:
        law(alpha)
    assert "\n" not in str(caught.value)
    # within a gradient, too, where the value is that of a tracer
    with pytest.raises(ValueError, match=pattern):
        jax.grad(lambda alpha: law(alpha).entropy().sum())(alpha)
