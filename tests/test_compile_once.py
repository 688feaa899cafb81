"""Programs depend on the structure of a model, not on its data: compiled once, they serve all."""

import os
import subprocess
import sys
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from jax import monitoring

from robust_dist import ReferenceAlpha
from robust_dist.regression import Regression
from robust_dist.regression.ordered_law import OrderedLaw, ordered, unordered
from robust_dist.regression.posterior.padding import fill, padded
from robust_dist.regression.posterior.sites import potential, unconstrained

COMPILED = "/jax/core/compile/backend_compile_duration"
SHORT = {"draws": 30, "warmup": 30, "chains": 2, "progress": False}


def table(seed=0, rows=21, shift=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "x": shift + x,
            "k": rng.exponential(size=rows),
            "g": np.resize(list("abc"), rows),
            "y": 100 * seed + (1 + seed) * (x + rng.standard_t(3, size=rows)),
        }
    )


_durations = []


def _count(event, duration, **_):
    if event == COMPILED:
        _durations.append(duration)


monitoring.register_event_duration_secs_listener(_count)


@contextmanager
def compilations():
    """Collect how long XLA compiles, program by program, in the block."""
    before, counted = len(_durations), []
    yield counted
    counted += _durations[before:]


OWN = {"x": dist.StudentT(4.0, 0.0, 2.0), "sigma": dist.Uniform(0.01, 1e4)}


@pytest.mark.parametrize(
    ("formula", "options", "method"),
    [
        ("y ~ x", {}, "nuts"),
        ("y ~ x + (k || g)", {}, "nuts"),
        ({"y": "y ~ x", "sigma": "~ k"}, {}, "nuts"),
        ("y ~ x", {"priors": OWN, "alpha": ReferenceAlpha()}, "nuts"),
        ("y ~ x", {"likelihood": "normal", "weights": "k"}, "laplace"),
        pytest.param("y ~ x", {"likelihood": "normal"}, "svi", marks=pytest.mark.slow),
        pytest.param({"y": "y ~ x", "alpha": "~ k"}, {}, "map", marks=pytest.mark.slow),
    ],
    ids=["plain", "groups", "sigma", "own priors", "laplace", "svi", "map of alpha"],
)
@pytest.mark.parametrize("sampler", ["auto", "numpyro"])
def test_other_data_of_like_size_compile_nothing(formula, options, method, sampler):
    """Nor do they trace anything of more than a moment."""
    if method != "nuts" and sampler != "auto":
        pytest.skip("a sampler is NUTS")

    def fit(data, **changes):
        options_of_fit = {**SHORT, "method": method, "sampler": sampler, **changes}
        return Regression(formula, data, **options).fit(**options_of_fit)

    fit(table(rows=22))
    fit(table())
    with compilations() as counted:
        dt = fit(table(1, rows=22, shift=50.0), seed=3)
        fit(table(2))
    assert counted == []
    assert np.isfinite(dt["log_likelihood"]["y"]).all()


def test_more_draws_or_a_longer_warmup_need_no_sampler_anew():
    """What follows from draws is compiled for their number, up to some hundred."""
    data = table()
    Regression("y ~ x", data).fit(**{**SHORT, "draws": 1500})
    with compilations() as counted:
        Regression("y ~ x", data).fit(**{**SHORT, "draws": 1990})
    assert counted == []


MANY_FITS = """
import gc, os, sys
sys.path.insert(0, sys.argv[1])
from test_compile_once import SHORT, Regression, table

def used():
    gc.collect()
    with open("/proc/self/maps") as maps, open("/proc/self/statm") as memory:
        return len(maps.readlines()), int(memory.read().split()[1]) * os.sysconf("SC_PAGESIZE")

def fits(seeds):
    for seed in seeds:
        Regression("y ~ x", table(seed)).fit(**SHORT)

fits(range(30))
maps, memory = used()
fits(range(30, 130))
more_maps, more_memory = used()
print(more_maps - maps, more_memory - memory)
"""


@pytest.mark.slow
def test_neither_memory_nor_its_maps_grow_with_further_fits():
    """Each compiled program holds maps, of which Linux gives a process some 65,000.

    In a process of its own, for other tests leave garbage. It was 75,000 maps and 11 GB.
    """
    command = [sys.executable, "-c", MANY_FITS, os.path.dirname(__file__)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    maps, memory = map(int, done.stdout.split())
    assert maps <= 20
    assert memory <= 8 * 2**20  # what the allocator keeps goes up and down by some of these


CHILD = """
import sys
import numpy as np, pandas as pd, jax
from jax import monitoring
counted = []
monitoring.register_event_duration_secs_listener(
    lambda event, duration, **_: counted.append(duration) if "cache_retrieval" in event else None
)
from robust_dist.regression import Regression
from robust_dist.regression.compilation_cache import use_compilation_cache
assert use_compilation_cache(sys.argv[1]) is not None
rng = np.random.default_rng(int(sys.argv[2]))
data = pd.DataFrame({"x": rng.normal(size=21), "y": rng.normal(size=21)})
Regression("y ~ x", data).fit(draws=30, warmup=30, chains=2, progress=False, sampler="numpyro")
print(len(counted))
"""


def test_another_process_finds_the_programs_on_disk(tmp_path):
    """Whatever the order in which it hashes names, and with other data."""

    def run(seed):
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", CHILD, str(tmp_path), str(seed)],
            # what stands in the environment comes before what is asked for
            env={k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
            | {"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        )

    def programs():
        return {file.name for file in (tmp_path / "jax").iterdir() if "-cache" in file.name}

    run(1)
    # small programs are kept or not as the machine is slow or quick
    first = {name for name in programs() if name.startswith(("jit_pointwise", "jit_advance"))}
    assert len(first) == 2
    assert int(run(2).stdout) >= 2
    second = {name for name in programs() if name.startswith(("jit_pointwise", "jit_advance"))}
    assert second == first


LAWS = [
    dist.Normal(0.5, 2.0),
    dist.HalfNormal(3.0),
    dist.StudentT(4.0, 0.0, 2.0),
    dist.TransformedDistribution(
        dist.InverseGamma(0.3, 0.1), dist.transforms.AffineTransform(0.0, 2.0)
    ),
    dist.Normal(np.zeros(3), np.ones(3)).to_event(1),
    dist.Normal(0.0, 1.0).mask(True),
    dist.TruncatedNormal(0.0, 1.0, low=0.1),
    dist.MixtureSameFamily(dist.Categorical(np.ones(2) / 2), dist.Normal(np.zeros(2), 1.0)),
    ReferenceAlpha(0.0, 2.0),
]


class Deciding(dist.Normal):
    """A law of the user's own, which wants to know its parameters."""

    def log_prob(self, value, intermediates=None):
        """Return the density, of which a program is to know the scale."""
        return super().log_prob(value) if self.scale > 0 else jnp.nan


def test_a_law_of_the_users_own_may_decide_by_its_parameters():
    dt = Regression("y ~ x", table(), priors={"x": Deciding(0.0, 2.0)}).fit(**SHORT)
    assert np.isfinite(dt["log_prior"]["x"]).all()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_an_ordered_law_is_the_law(law):
    value = law.sample(jax.random.key(0))
    again = unordered(jax.tree.map(jnp.asarray, ordered({"a": [law]})))["a"][0]
    np.testing.assert_allclose(again.log_prob(value), law.log_prob(value), rtol=1e-6)
    names = [
        sorted(type(law).gather_pytree_data_fields()),
        [type(law).gather_pytree_data_fields()[i] for i in OrderedLaw(law).tree_flatten()[1][1]],
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x + (k || g)", {"weights": "k"}),
        ({"y": "y ~ x", "sigma": "~ k", "alpha": "~ x"}, {"measurement_error": "k"}),
        ("y ~ x", {"likelihood": "laplace"}),
    ],
    ids=str,
)
def test_rows_that_fill_up_say_nothing(formula, options, x64):
    """Density and gradient are those of the rows alone, to the last digits, and finite."""
    regression = Regression(formula, table(), **options)
    model, constants = regression.parts
    shapes = unconstrained(model, constants, regression.data)
    rng = np.random.default_rng(0)
    z = {name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()}
    slope = jax.value_and_grad(lambda z, data: potential(model, constants, data, z))
    alone = slope(z, regression.data)
    filled = slope(z, fill(regression.data, 48))
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(filled), strict=True):
        assert np.isfinite(other).all()
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)


def test_sizes_are_few_and_near():
    sizes = {count: padded(count) for count in range(1, 5000)}
    assert all(size >= count for count, size in sizes.items())
    assert all(size <= 1.125 * count + 1 for count, size in sizes.items() if count > 16)
    assert len(set(sizes.values())) <= 80
