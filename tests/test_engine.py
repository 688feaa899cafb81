"""The instant engine: the density of the model, sampled exactly, wherever it says that it can."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpyro.infer.util import potential_energy

from robust_dist import ReferenceAlpha
from robust_dist._cache import cache_directory
from robust_dist._errors import FormulaWarning, InputError
from robust_dist._precompute import densities
from robust_dist.regression import Regression
from robust_dist.regression.likelihoods import LIKELIHOODS, NAMES, find_likelihood
from robust_dist.regression.posterior import engine
from robust_dist.regression.posterior.choice import choose_sampler
from robust_dist.regression.posterior.engine import compiled
from robust_dist.regression.posterior.engine.layout import lay_out
from robust_dist.regression.posterior.nuts import sample
from robust_dist.regression.posterior.run import Run

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


# most of what a test of one density takes is compiling the model's
FAST = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
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
    "contaminated": ((), ("sigma",), ("alpha",), ("alpha", "sigma")),
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
        if name == "contamination":
            choices = (None, 0.0, 0.2, 1.0, dist.Beta(2.0, 0.5), dist.Uniform(0.0, 0.5))
        chosen = draw(st.sampled_from(choices))
        priors |= {} if chosen is None else {name: chosen}
    if "g)" in location:
        # the default has a scale in single precision, of which NumPyro takes the logarithm as such
        priors["1|g_sigma"] = draw(st.sampled_from((dist.HalfNormal(2.0), 0.7)))
        if "x | g" in location:
            priors["x|g_sigma"] = dist.Exponential(1.0)
    formula = {"y": location}
    for name in formulas:
        groups = draw(st.sampled_from(GROUPS))
        formula[name] = f"~ x{groups}"
        # no wider: of scales beyond exp(9) a cell's nodes differ
        if groups:
            priors[f"{name}_1|g_sigma"] = draw(st.sampled_from((dist.Uniform(0.0, 1.0), 0.7)))
        if "x | g" in groups:
            priors[f"{name}_x|g_sigma"] = dist.Uniform(0.0, 0.5)
    columns = {name: draw(st.sampled_from((None, column))) for name, column in COLUMNS.items()}
    columns["resolution"] = draw(st.sampled_from((None, 0.5)))
    return {"formula": formula, "likelihood": law, "priors": priors, **columns}


COLUMNS = {"weights": "w", "measurement_error": "e", "offset": "z"}


def check(seed, keep=False, **arguments):
    """Check value and gradient of a regression's density against the model's, at two positions."""
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        with warnings.catch_warnings():
            # of a formula without an intercept, which is meant
            warnings.simplefilter("ignore", FormulaWarning)
            data, step = table(), arguments.get("resolution")
            if step:
                data["y"] = step * np.rint(data["y"] / step)
            regression = Regression(data=data, **arguments)
        data = regression.data
        if keep:
            data = {**data, "keep": jnp.asarray(rng.uniform(size=ROWS) < 0.7)}
        assert not engine.unsupported(regression.setting, data)
        layout = lay_out(regression.setting, data)
        assert [site.name for site in layout.sites] == regression.sites

        def energy(q):
            sites = {s.name: q[s.start : s.stop].reshape(s.shape) for s in layout.sites}
            return potential_energy(regression.model, (), data, sites)

        model = jax.jit(jax.value_and_grad(energy), compiler_options=FAST)
        density = engine.log_density(regression.setting, data)
        for reach in (1.0, 3.0):
            q = rng.uniform(-reach, reach, layout.size)
            # the nodes of a cell's integral differ: to 1e-9 of most, 1e-5 of slopes where scales of
            # exp(-9) make it 1e4 scales wide
            compare(density(q), *model(q), 1e-4 if step else 1e-10)


def compare(found, energy, energy_slope, bound=1e-10):
    """Check a log density and its gradient against what the model says."""
    value, gradient = found
    if not abs(energy) < 1e30:  # of alpha = inf, under which far rows are impossible
        assert not abs(value) < 1e29
        return
    # relative to the terms of the sum, which may cancel
    assert abs(value + energy) < bound * (abs(energy) + ROWS)
    size = np.abs(energy_slope)
    assert np.all(np.abs(gradient + energy_slope) < bound * (size + 1e-6 * size.max() + 1))


# far out, alpha = inf leaves a cell without any mass: the background alone says how likely it is
FAR_CELL = {
    "formula": {"y": "y ~ 1", "sigma": "~ x"},
    "likelihood": "contaminated",
    "priors": {"alpha": np.inf},
    "resolution": 0.5,
}

# tails as of nu = 0.1 in cells of a thousand scales
WIDE_CELL = {
    "formula": {"y": "y ~ 0 + x", "sigma": "~ x"},
    "likelihood": "student_t",
    "priors": {"x": dist.Gamma(2.0, 0.5)},
    "resolution": 0.5,
}


@given(structures(), st.integers(0, 2**32 - 1), st.booleans())
@example(FAR_CELL, 1, False)
@example(WIDE_CELL, 2**32 - 1, True)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_value_and_gradient_are_the_models(structure, seed, keep):
    check(seed, keep, **structure)


@pytest.mark.slow
@given(structures(), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_value_and_gradient_are_the_models_of_many_structures(structure, seed, keep):
    check(seed, keep, **structure)


@pytest.mark.parametrize("gap", [1e-12, 1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("law", ["general_robust", "asymmetric_general_robust"])
def test_value_and_gradient_hold_next_to_cauchy_and_to_normal(law, gap):
    with jax.enable_x64(True):
        regression = Regression("y ~ x", table(), law)
        layout = lay_out(regression.setting, regression.data)
        density = engine.log_density(regression.setting, regression.data)

        def energy(q):
            sites = {s.name: q[s.start : s.stop].reshape(s.shape) for s in layout.sites}
            return potential_energy(regression.model, (), regression.data, sites)

        model = jax.value_and_grad(energy)
        (alpha,) = (site.start for site in layout.sites if site.name == "alpha")
        for side in (-1, 1):
            q = np.full(layout.size, 0.3)
            q[alpha] = -side * np.log(gap / 2)
            compare(density(q), *model(jnp.asarray(q)))


# --- sampling -----------------------------------------------------------------------------------


def draw(regression, seed=1, starts=None, **options):
    given = {"draws": 200, "warmup": 200, "chains": 2, "target_accept": 0.8}
    run = Run(**{**given, "dense": regression.dense, **options})
    return engine.sample(regression.setting, regression.data, (seed,), run, starts)


@pytest.fixture(scope="module")
def groups():
    """Return a regression with group-specific effects."""
    rng = np.random.default_rng(7)
    g, x = np.repeat(np.arange(8), 15), rng.normal(size=120)
    y = 1 + x + rng.normal(size=8)[g] + 0.3 * rng.standard_t(3, 120)
    return Regression("y ~ x + (1 | g)", {"y": y, "x": x, "g": [f"g{i}" for i in g]}, "student_t")


@pytest.fixture(scope="module")
def plain():
    return Regression("y ~ x + z", table())


@pytest.mark.parametrize("which", ["plain", "groups"])
def test_posterior_is_that_of_numpyros_nuts(which, request):
    regression = request.getfixturevalue(which)
    found, _ = draw(regression, draws=2000, warmup=400, chains=4)
    run = Run(2000, 400, 4, 0.8, regression.dense)
    expected, _ = sample(*regression.parts, regression.data, jax.random.key(0), run)
    for name, draws in found.items():
        other = np.asarray(expected[name])
        assert draws.shape == other.shape
        # of some hundred effective draws or more: 5 standard errors of a mean, and of an sd
        sd = other.std((0, 1))
        assert np.all(np.abs(draws.mean((0, 1)) - other.mean((0, 1))) < 0.2 * sd), name
        assert np.all(np.abs(np.log(draws.std((0, 1)) / sd)) < 0.25), name


def test_draws_and_statistics_are_those_that_numpyros_nuts_gives(plain):
    sites, statistics = draw(plain)
    assert list(sites) == plain.sites
    assert all(values.dtype == float for values in sites.values())
    assert set(statistics) == {
        *("diverging", "num_steps", "accept_prob", "energy", "potential_energy"),
        "adapt_state.step_size",
    }
    assert {values.shape for values in statistics.values()} == {(2, 200)}
    assert np.all((sites["alpha"] > 0) & (sites["alpha"] < 2))
    density = engine.log_density(plain.setting, plain.data)
    # the potential is that of the draw beside it
    q = np.concatenate([np.ravel(sites[name][1, 7]) for name in plain.sites])
    at = {site.name: site.start for site in lay_out(plain.setting, plain.data).sites}
    q[at["alpha"]] = np.log(q[at["alpha"]] / (2 - q[at["alpha"]]))
    q[at["sigma_z"]] = np.log(q[at["sigma_z"]])
    assert statistics["potential_energy"][1, 7] == pytest.approx(-density(q)[0], rel=1e-9)


def test_the_same_seed_gives_the_same_draws(plain):
    first, again, other = (draw(plain, seed=seed)[0] for seed in (3, 3, 4))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert np.all(first[name][0] != first[name][1])
    assert np.all(first["beta_z"] != other["beta_z"])


def test_chains_start_where_they_are_told_to(plain):
    size = lay_out(plain.setting, plain.data).size
    starts = np.linspace(-1, 1, 2 * size).reshape(2, size)
    drawn = draw(plain, starts=starts, warmup=1, draws=5, seed=5)[0]
    elsewhere = draw(plain, starts=starts[::-1], warmup=1, draws=5, seed=5)[0]
    assert np.all(drawn["sigma_z"] != elsewhere["sigma_z"])
    with pytest.raises(ValueError, match="shape"):
        draw(plain, starts=starts[0])


def test_starts_of_no_finite_density_are_told_in_a_line(plain):
    size = lay_out(plain.setting, plain.data).size
    with pytest.raises(InputError, match="finite") as told:
        draw(plain, starts=np.full((2, size), np.nan))
    assert "\n" not in str(told.value)


def test_correlations_of_many_parameters_cost_no_more_than_draws():
    """Of a hundred groups they took forty times as long as all else; a few looks do as well."""
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(100), 6)
    x = rng.normal(size=600)
    y = 1 + x + rng.normal(size=(2, 100))[:, group].T @ [1, 0] + rng.standard_t(3, 600)
    data = {"x": x, "y": y, "g": [f"g{number}" for number in group]}
    regression = Regression("y ~ x + (x || g)", data)
    assert regression.dense
    assert regression.search.density.size > 200
    seconds = {}
    for dense in (True, False):
        start = time.process_time()
        regression.draw((0,), Run(100, 200, 2, 0.8, dense), "nutpie")
        seconds[dense] = time.process_time() - start
    assert seconds[True] < 6 * seconds[False]


def test_no_parameter_that_a_number_fixes_is_sampled():
    regression = Regression("y ~ x", table(), alpha=1.0, priors={"sigma": 1.0})
    assert list(draw(regression)[0]) == ["beta_z"]


def test_an_interrupt_stops_all_chains(plain):
    def threads():
        return len(os.listdir("/proc/self/task"))

    def interrupt():
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    if sys.platform != "linux":
        pytest.skip("counts threads as Linux does")
    draw(plain, draws=10)
    before = threads()
    threading.Thread(target=interrupt).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        draw(plain, draws=10_000_000 // 50)
    assert time.monotonic() - start < 5
    end = time.monotonic() + 5
    while threads() > before and time.monotonic() < end:
        time.sleep(0.05)
    assert threads() <= before


# --- what goes to NumPyro -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("priors", "told"),
    [
        ({"alpha": ReferenceAlpha()}, "the prior of 'alpha', ReferenceAlpha, has no compiled form"),
        ({"x": dist.Laplace(0.0, 1.0)}, "the prior of 'x', Laplace, has no compiled form"),
    ],
)
def test_a_prior_without_a_compiled_form_is_named(priors, told):
    regression = Regression("y ~ x", table(), priors=priors)
    assert engine.unsupported(regression.setting, regression.data) == told


def test_why_a_model_is_for_numpyro_is_said(plain, monkeypatch):
    setting, data = plain.setting, plain.data
    assert engine.unsupported(setting, data) is None
    assert "mesh" in engine.unsupported(setting, data, mesh=object())
    assert "rows" in engine.unsupported(setting, {**data, "y": np.zeros(200_000)})
    monkeypatch.setattr(type(plain.likelihood), "kernel", None)
    assert "'general_robust' has no compiled form" in engine.unsupported(setting, data)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    assert engine.unsupported(setting, data) == "llvmlite is not installed"


@pytest.mark.parametrize(("sampler", "used"), [("auto", "nutpie"), ("numpyro", "numpyro")])
def test_which_sampler_it_was_is_recorded(plain, sampler, used):
    options = {"draws": 20, "warmup": 20, "chains": 1, "progress": False}
    dt = plain.fit(sampler=sampler, **options)
    assert dt.attrs["inference_library"] == used
    assert dt.attrs["inference_library_version"] == version(used)


def test_a_sampler_that_cannot_or_is_none_is_refused(plain):
    with pytest.raises(InputError, match="no sampler 'stan'"):
        plain.fit(sampler="stan")
    with pytest.raises(InputError, match="a sampler is for method 'nuts', not 'map'"):
        plain.fit(sampler="nutpie", method="map")
    regression = Regression("y ~ x", table(), alpha=ReferenceAlpha())
    with pytest.raises(InputError, match=r"prior of 'alpha'.* use sampler 'numpyro'"):
        regression.fit(sampler="nutpie")


def test_where_no_density_can_be_compiled_numpyro_samples_and_it_is_said(plain, monkeypatch):
    def broken(kernel, rounded=False):
        raise OSError("no LLVM\nfor this machine")

    monkeypatch.setattr(compiled, "density_of", broken)
    with pytest.warns(RuntimeWarning, match="no LLVM.; NumPyro's NUTS samples instead"):
        assert choose_sampler("auto", plain.setting, plain.data) == "numpyro"
    with pytest.raises(InputError, match="no LLVM"):
        choose_sampler("nutpie", plain.setting, plain.data)


# --- what is shipped ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", densities.functions())
def test_what_is_shipped_was_made_of_these_sources(name):
    function, _, _ = densities.functions()[name]
    assert compiled.shipped(f"{name}.source").decode() == densities.source_digest(function), (
        "run `python -m robust_dist._precompute.densities` as CONTRIBUTING.md says"
    )


def test_every_compiled_law_is_shipped():
    kernels = [law.kernel for law in LIKELIHOODS.values() if law.kernel is not None]
    names = {compiled.name_of(kernel, rounded) for kernel in kernels for rounded in (False, True)}
    assert {"keep", *names} == set(densities.functions())


def test_a_density_needs_no_numba(plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    compiled.density_of.__wrapped__(plain.likelihood.kernel)


@pytest.mark.slow
def test_made_anew_it_is_the_same_density(plain):
    kernel = plain.likelihood.kernel
    function, pointers, inline = densities.functions()[kernel.name]
    anew = compiled._load(compiled._finish(densities.bitcode(function, pointers, inline)))
    density = engine.log_density(plain.setting, plain.data)
    position = np.full(density.size, 0.1)
    value, gradient = density(position)
    call = compiled.callable_at(anew)
    again, slope = np.zeros(1), np.zeros(density.size)
    assert call(density.size, *(x.ctypes.data for x in (position, slope, again, density.data))) == 0
    np.testing.assert_allclose(again[0], value, rtol=1e-13)
    np.testing.assert_allclose(slope, gradient, rtol=1e-11, atol=1e-12)


# --- the cache ----------------------------------------------------------------------------------


@pytest.fixture
def finished(monkeypatch):
    """Count how often LLVM finishes a function."""
    calls = []

    def finish(bitcode, original=compiled._finish):
        calls.append(bitcode)
        return original(bitcode)

    monkeypatch.setattr(compiled, "_finish", finish)
    return calls


def test_what_is_kept_is_not_compiled_again(tmp_path, monkeypatch, finished):
    monkeypatch.setenv("ROBUST_DIST_CACHE", str(tmp_path))
    for _ in range(2):
        compiled.keep.__wrapped__()
    assert len(finished) == 1


def test_a_damaged_file_is_made_anew(tmp_path, monkeypatch, finished):
    monkeypatch.setenv("ROBUST_DIST_CACHE", str(tmp_path))
    compiled.keep.__wrapped__()
    (file,) = (tmp_path / "engine").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    compiled.keep.__wrapped__()
    assert file.read_bytes()[:32] == compiled.digest(file.read_bytes()[32:])
    compiled.keep.__wrapped__()
    assert len(finished) == 2


@pytest.mark.parametrize("off", ["", "off"])
def test_without_a_cache_everything_is_compiled(off, tmp_path, monkeypatch):
    monkeypatch.setenv("ROBUST_DIST_CACHE", off)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() is None
    compiled.keep.__wrapped__()
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_everything_is_compiled(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    # root may write anywhere, but not below a file
    monkeypatch.setenv("ROBUST_DIST_CACHE", str(file / "folder"))
    assert cache_directory() is None
    compiled.keep.__wrapped__()
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "engine").touch()
    monkeypatch.setenv("ROBUST_DIST_CACHE", str(folder))
    assert cache_directory() == folder
    compiled.keep.__wrapped__()


def test_the_cache_stands_where_its_variables_say(tmp_path, monkeypatch):
    monkeypatch.delenv("ROBUST_DIST_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_directory() == tmp_path / ".cache" / "robust_dist"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "robust_dist"
    monkeypatch.setenv("ROBUST_DIST_CACHE", str(tmp_path / "own"))
    assert cache_directory() == tmp_path / "own"


@pytest.mark.slow
def test_nutpie_can_be_imported_after_the_engine_has_run():
    program = """
from robust_dist.regression.posterior.engine.chains import rust
module = rust()
import nutpie
assert nutpie._lib is module
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
