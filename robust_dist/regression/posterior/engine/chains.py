"""nutpie's NUTS on the compiled density: one sampler for each chain, as many at once as cores."""

# nutpie takes C pointers only through classes that it does not document, and has one starting point
# for all chains of a sampler: hence the pin in pyproject.toml, and a sampler for each chain, which
# also makes the draws of a chain independent of the order in which threads come to run. Its module
# in Rust is loaded by itself: the package imports PyMC's whole world.

import contextlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robust_dist.regression.likelihoods._kernel import Kernel
from robust_dist.regression.posterior.engine import compiled
from robust_dist.regression.posterior.engine.layout import Layout
from robust_dist.regression.posterior.run import Run

_POLL = 0.002
"""seconds between two looks at the chains"""
_LARGE, _SELDOM = 100, 200
"""parameters beyond which correlations are learnt after so many draws of the warm-up, in place of
twenty: each time takes a decomposition, half a second of two hundred parameters"""
_STATISTICS = {
    "diverging": ("diverging", bool),
    "num_steps": ("n_steps", int),
    "accept_prob": ("mean_tree_accept", float),
    "energy": ("energy", float),
    "adapt_state.step_size": ("step_size", float),
}
"""what NumPyro calls them, and what nutpie does"""


def rust() -> Any:
    """Return nutpie's compiled module."""
    name = "nutpie._lib"
    if name not in sys.modules:
        package = importlib.util.find_spec("nutpie")
        if package is None:
            raise ModuleNotFoundError("no module named 'nutpie'", name="nutpie")
        for folder in package.submodule_search_locations or ():
            for path in Path(folder).glob("_lib.*"):
                if path.suffix in (".so", ".pyd"):
                    spec = importlib.util.spec_from_file_location(name, path)
                    assert spec is not None
                    assert spec.loader is not None
                    module = importlib.util.module_from_spec(spec)
                    spec.loader.exec_module(module)
                    sys.modules[name] = module
        if name not in sys.modules:
            raise ModuleNotFoundError("nutpie comes without its compiled module", name=name)
    return sys.modules[name]


class Density:
    """The log density of a model as machine code, and the memory that one thread works in."""

    def __init__(self, kernel: Kernel, layout: Layout) -> None:
        self.layout, self.size = layout, layout.size
        self.address = compiled.density_of(kernel, layout.rounded)
        self._numbers = (layout.problem, np.zeros(layout.scratch), kernel.tables())
        self.data = _pointers(*self._numbers)

    def __call__(self, position: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the log density and its gradient; nan where they are not finite."""
        position = np.ascontiguousarray(position, float)
        if position.shape != (self.size,):
            raise ValueError(f"a position has {self.size} numbers, not {position.shape}")
        value, gradient = np.full(1, np.nan), np.zeros(self.size)
        places = [array.ctypes.data for array in (position, gradient, value, self.data)]
        status = compiled.callable_at(self.address)(self.size, *places)
        return (float(value[0]) if status == 0 else np.nan), gradient


class _Chain:
    """A chain, which runs in a thread of its own from when it is made."""

    def __init__(self, density: Density, start: np.ndarray, settings: Any, run: Run) -> None:
        lib = rust()
        self.warmup, self.size = run.warmup, density.size
        self._kept = np.zeros(1 + (run.warmup + run.draws) * density.size)
        self._data = _pointers(self._kept)
        # what a pointer leads to must live as long as the thread
        alive = (density, self._kept, self._data)
        self.sampler = lib.PySampler.from_pymc(
            settings,
            1,
            lib.PyMcModel(
                lib.LogpFunc(density.address, density.data.ctypes.data, alive),
                lib.ExpandFunc(density.size, 1, compiled.keep(), self._data.ctypes.data, alive),
                lib.PyVariable.new_variables(["nothing"], ["float64"], [()], {}, {}),
                density.size,
                {},
                {},
                lambda seed: start,
                None,
            ),
            lib.ProgressType.none(),
            None,
            1000,
            lib.PyStorage.arrow(),
        )

    @property
    def done(self) -> int:
        """How many draws there are, those of the warm-up included."""
        return int(self._kept[0])

    def running(self) -> bool:
        """Return whether there is more to come; a signal is noticed here."""
        try:
            # is_finished() raises TimeoutError in place of returning False
            self.sampler.wait(0.001)
        except TimeoutError:
            return True
        return False

    def results(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the positions after the warm-up, and nutpie's statistics."""
        _, (table,) = self.sampler.take_results().get_arrow_trace()
        positions = self._kept[1:].reshape(-1, self.size)[self.warmup :]
        if self.done != self.warmup + len(positions):
            raise RuntimeError(f"nutpie stopped after {self.done} draws")
        statistics = {
            name: np.asarray(table.column(theirs).to_numpy(), kind)[self.warmup :]
            for name, (theirs, kind) in _STATISTICS.items()
        }
        potential = -np.asarray(table.column("logp").to_numpy(), float)[self.warmup :]
        # nutpie's energy has a constant of the chain's mass matrix in it, where NumPyro's is that
        # of potential and momentum, which is size/2 on average
        shift = 0.5 * self.size - np.mean(statistics["energy"] - potential)
        statistics["energy"] = statistics["energy"] + shift
        return positions, {**statistics, "potential_energy": potential}


def sample_chains(
    densities: Sequence[Density],
    starts: np.ndarray,
    seeds: Sequence[int],
    run: Run,
    progress: Callable[[int], None],
) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Return the positions and statistics of each chain.

    Parameters
    ----------
    densities, starts, seeds
        One for each chain.
    run
        How to sample.
    progress
        Called with the number of all draws so far, again and again.
    """
    make = rust().PyNutsSettings.LowRank if run.dense else rust().PyNutsSettings.Diag
    chains: list[_Chain] = []
    try:
        while True:
            running = sum(chain.running() for chain in chains)
            for number in range(len(chains), min(len(densities), len(chains) + _cores() - running)):
                settings = make(seeds[number])
                if run.dense and densities[number].size > _LARGE:
                    _update_seldom(settings)
                settings.update(
                    {
                        "num_tune": run.warmup,
                        "num_draws": run.draws,
                        "num_chains": 1,
                        "target_accept": run.target_accept,
                    }
                )
                chains.append(_Chain(densities[number], starts[number], settings, run))
                running += 1
            progress(sum(chain.done for chain in chains))
            if running == 0:
                return [chain.results() for chain in chains]
            time.sleep(_POLL)
    except BaseException:
        # Ctrl-C, above all: no thread may go on
        for chain in chains:
            with contextlib.suppress(Exception):
                chain.sampler.abort()
        raise


def _update_seldom(settings: Any) -> None:
    """Let the correlations be learnt at the ends of windows only."""
    options = settings.as_dict()["settings"]
    options["adapt_options"]["mass_matrix_update_freq"] = _SELDOM
    settings.update_settings(options)


def _pointers(*arrays: np.ndarray) -> np.ndarray:
    return np.array([array.ctypes.data for array in arrays], np.uint64)


def _cores() -> int:
    """Return how many threads may run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
