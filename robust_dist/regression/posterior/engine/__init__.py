"""The instant engine: nutpie's NUTS on a compiled density, in double precision.

``layout`` writes a model and its data down as numbers, ``density`` is the function of them,
``compiled`` makes what is shipped of it machine code, and ``chains`` lets nutpie run on that.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpyro import distributions as dist

from robust_dist._errors import InputError
from robust_dist._words.text import printable
from robust_dist.regression.datatree import Setting
from robust_dist.regression.design.design import correlated_effects
from robust_dist.regression.posterior.pointwise import MANY
from robust_dist.regression.posterior.run import NOWHERE, Run

if TYPE_CHECKING:
    from robust_dist.regression.posterior.engine.chains import Density

_RADIUS = 1.0
_TRIES = 100


def unsupported(setting: Setting, data: Mapping[str, Any], mesh: Any = None) -> str | None:
    """Return in words why a model is for NumPyro's NUTS instead, if it is.

    Parameters
    ----------
    setting, data
        The model, and the arguments of its function.
    mesh
        Devices over which rows are to be spread.
    """
    from robust_dist.regression.posterior.engine.elements import known
    from robust_dist.regression.posterior.engine.layout import constants_of

    for module in ("nutpie", "llvmlite", "arro3"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    if mesh is not None:
        return "the rows are spread over a mesh of devices"
    if len(data["y"]) >= MANY:
        return f"there are {MANY} rows or more"
    if setting.likelihood.kernel is None:
        return f"the likelihood '{setting.likelihood.name}' has no compiled form"
    for block in correlated_effects(setting.design.groups):
        return f"the effects '{printable(block.name)}' are correlated, which has no compiled form"
    for curve in setting.design.curves:
        return f"{printable(curve.name)} has no compiled form"
    for what in setting.design.bounds:
        return f"the response is {what}, which has no compiled form"
    laws = constants_of(setting).laws
    for name, prior in setting.priors.items():
        if isinstance(prior, dist.Distribution) and not known(laws[name]):
            return f"the prior of '{printable(name)}', {type(prior).__name__}, has no compiled form"
    return None


def ready(setting: Setting) -> str | None:
    """Return in words why the density of a supported model cannot be compiled, if so."""
    from robust_dist.regression.posterior.engine.chains import rust
    from robust_dist.regression.posterior.engine.compiled import density_of

    kernel = setting.likelihood.kernel
    assert kernel is not None
    try:
        rust()
        density_of(kernel, setting.design.resolution is not None)
    except Exception as error:  # of LLVM's and the loader's own kinds
        first = str(error).strip().partition("\n")[0]
        return f"nutpie's density cannot be compiled here ({type(error).__name__}: {first})"
    return None


def log_density(setting: Setting, data: Mapping[str, Any]) -> "Density":
    """Return the function of an unconstrained position: log density and gradient.

    A position is what ``Regression.sites`` names, one after the other, as its ``layout`` tells.
    """
    from robust_dist.regression.posterior.engine.chains import Density
    from robust_dist.regression.posterior.engine.layout import lay_out

    layout = lay_out(setting, data)
    kernel = setting.likelihood.kernel
    assert kernel is not None
    return Density(kernel, layout)


def sample(
    setting: Setting,
    data: Mapping[str, Any],
    seed: Sequence[int],
    run: Run,
    starts: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return draws of every site and the sampler's statistics, as ``nuts.sample`` does.

    Parameters
    ----------
    setting, data
        A model of which ``unsupported`` says nothing.
    seed
        Numbers, all of which count.
    run
        How to sample; chains run in parallel.
    starts
        Unconstrained positions, shape (chains, size); by default within 1 of the origin.

    Raises
    ------
    InputError
        If the density is not finite where chains are to start.
    """
    from tqdm import tqdm

    from robust_dist.regression.posterior.engine.chains import Density, sample_chains
    from robust_dist.regression.posterior.engine.layout import lay_out

    layout = lay_out(setting, data)
    kernel = setting.likelihood.kernel
    assert kernel is not None
    densities = [Density(kernel, layout) for _ in range(run.chains)]
    generator = np.random.default_rng([number % 2**64 for number in seed])
    seeds = [int(number) for number in generator.integers(0, 2**63, run.chains)]
    if starts is None:
        starts = np.stack([_start(density, generator) for density in densities])
    else:
        starts = np.array(starts, float, order="C")
        if starts.shape != (run.chains, layout.size):
            shape = (run.chains, layout.size)
            raise ValueError(f"starts need the shape {shape}, not {starts.shape}")
        for density, start in zip(densities, starts, strict=True):
            if not np.isfinite(density(start)[0]):
                raise InputError(NOWHERE)
    with tqdm(
        total=run.chains * (run.warmup + run.draws), disable=not run.progress, unit="draw"
    ) as bar:

        def show(done: int) -> None:
            bar.update(done - bar.n)

        results = sample_chains(densities, starts, seeds, run, show)
    positions = np.stack([position for position, _ in results])
    statistics = {name: np.stack([each[name] for _, each in results]) for name in results[0][1]}
    return layout.constrained(positions), statistics


def _start(density: Any, generator: np.random.Generator) -> np.ndarray:
    """Return a position near the origin of a finite density."""
    for _ in range(_TRIES):
        start: np.ndarray = generator.uniform(-_RADIUS, _RADIUS, density.size)
        if np.isfinite(density(start)[0]):
            return start
    raise InputError(NOWHERE)
