"""Robust Bayesian regression: the object, and how it is fitted."""

import gc
import json
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
import numpyro
from jax.sharding import Mesh
from xarray import DataArray, DataTree

from robust_dist._arguments import check_type, probability, seed_number, whole_number
from robust_dist._errors import FormulaWarning, InputError
from robust_dist.optimize.distances import Distances, robust_distances
from robust_dist.regression import training_data
from robust_dist.regression.coordinates import standardize
from robust_dist.regression.datatree import (
    Draws,
    Setting,
    make_datatree,
    make_prior_datatree,
)
from robust_dist.regression.description import describe
from robust_dist.regression.design.columns import notes
from robust_dist.regression.design.curves import GAUSSIAN
from robust_dist.regression.design.formula import make_design, split_formulas
from robust_dist.regression.design.frame import to_frame
from robust_dist.regression.design.functions import Functions, check_functions
from robust_dist.regression.explanations import (
    Doubts,
    explain,
    of_draws,
    of_modes,
    other_fits,
)
from robust_dist.regression.fitted import EXPLANATIONS
from robust_dist.regression.likelihoods import NAMES, find_likelihood
from robust_dist.regression.model import (
    Constants,
    in_mode,
    make_constants,
    make_data,
    make_model,
    make_structure,
    model_of,
)
from robust_dist.regression.observation import check_bounds
from robust_dist.regression.observation import noted as noted_bounds
from robust_dist.regression.own_priors import Prior, choose
from robust_dist.regression.posterior.approximate import approximate
from robust_dist.regression.posterior.choice import SAMPLERS, choose_sampler
from robust_dist.regression.posterior.draw import draw
from robust_dist.regression.posterior.mixture import Mixture
from robust_dist.regression.posterior.pointwise import MANY, draw_prior, prepare, thinning
from robust_dist.regression.posterior.run import Run
from robust_dist.regression.posterior.search import Search, search
from robust_dist.regression.posterior.sites import Model
from robust_dist.regression.predict import predict
from robust_dist.regression.priors import choose_priors
from robust_dist.regression.rounding import check_resolution, noted, unstated

METHODS = ("nuts", "svi", "laplace", "map")
LEVERAGE = ("report", "downweight")
"""what becomes of rows far out in the predictors"""


class Regression:
    """A regression with heavy-tailed noise, the heaviness of which is inferred.

    The response is ``likelihood(loc, scale, ...)`` with loc linear in the coefficients.

    Parameters
    ----------
    formula
        Such as ``"y ~ x1 * log(x2) + group"``; ``(x | g)`` are effects of 1 and x that vary with
        the level of g, drawn from Normal laws of unknown standard deviations and correlations, and
        ``(x || g)`` the same without correlations. Or, if the noise depends on
        the predictors too, a dictionary: ``{"y": "y ~ x", "alpha": "~ x", "sigma": "~ x"}``, in
        which log(alpha/(2 - alpha)) and the logarithm of the scale are linear. On the left,
        ``censored(y, status)`` says in a column of "none", "left", "right" and "interval" (with
        ``censored(low, high, status)``) which responses are known only to lie at or below their
        value, above it, or between two; ``truncated(y, lb, ub)`` says that only responses between
        two numbers or columns, of which one may be None, are among the data at all.
    data
        A pandas DataFrame, any other frame that narwhals understands (polars, pyarrow, ...), or a
        mapping of names to columns. True counts 1; dates, times and periods count days since the
        first of them, durations days (``notes`` says so); text and categories are levels.
    likelihood
        ``"general_robust"``, ``"contaminated"``, ``"student_t"``, ``"normal"``, ``"laplace"``,
        ``"cauchy"`` or ``"asymmetric_general_robust"``.
    priors
        NumPyro distributions, in the user's units, in place of some of the default priors, by the
        name of a coefficient (``"income"``, ``"Intercept"``, ``"beta_sigma[income]"``) or another
        parameter (``"sigma"``, ``"alpha"``); ``"beta"`` means all slopes, with one element each or
        a single one for all. A number fixes a parameter that is no coefficient.
    alpha
        Short for ``priors={"alpha": alpha}``: a number, or a distribution.
    weights
        How many rows each row stands for: a column's name or an array, positive. A row of weight 2
        is two rows, in the likelihood and in the centres and spreads that default priors rest on. A
        pandas Series, here and below, gives each row the number under the row's label.
    offset
        Is added to loc, with coefficient 1: a column's name or an array, in the response's units.
    measurement_error
        Multiplies the scale of each row: a column's name or an array, positive. With
        ``priors={"sigma": 1.0}`` (``"scale"`` for other likelihoods) it is the scale itself.
    resolution
        The step r to which the response was rounded, in its units: the likelihood of a row becomes
        that of its cell, P(y - r/2 < Y < y + r/2)/r (:class:`robust_dist.Rounded`). Without it
        responses count as exact; where they are rounded coarsely, a warning says so.
    drop_missing
        Leave rows with missing values out, and count them in ``dropped``, instead of refusing them.
    functions
        What the formulas may call besides the listed functions: ``{"f": f}`` for ``y ~ f(x)``. Each
        takes columns and returns a column, in which the value of a row depends on that row alone:
        prediction calls it with the new rows. ``predict`` is to be given it again; a file holds its
        name only.
    leverage
        What becomes of rows far out in the predictors (``optimize.robust_distances``): by
        ``"report"`` they count in full, and the fit is held against one where they do not; by
        ``"downweight"`` they count for less, and for nothing from twice the limit on.

    Attributes
    ----------
    model
        The NumPyro model, ``model(x, y=None, ...)``. It works in standardised units, so that single
        precision suffices; its sites without ``_z`` are in the user's.
    data
        The keyword arguments of the model, as JAX arrays:
        ``MCMC(NUTS(reg.model), ...).run(key, **reg.data)``.
    priors
        The priors by name; prints as a table.
    design
        The response and the design matrices in the user's units.
    dropped
        How many rows were left out.
    notes
        What was done to columns that their names do not say, as that one counts days since a date.
    setting
        Design, coordinates, likelihood and priors.

    Raises
    ------
    InputError
        If the formula, the data or a prior cannot be used; the message says why.
    """

    def __init__(
        self,
        formula: str | Mapping[str, str],
        data: Any,
        likelihood: str = NAMES[0],
        priors: Mapping[str, Prior] | None = None,
        *,
        alpha: Prior | None = None,
        weights: Any = None,
        offset: Any = None,
        measurement_error: Any = None,
        resolution: float | None = None,
        drop_missing: bool = False,
        functions: Functions | None = None,
        leverage: str = LEVERAGE[0],
    ) -> None:
        if leverage not in LEVERAGE:
            raise InputError(f"no leverage '{leverage}'; there are: {', '.join(LEVERAGE)}")
        check_type("drop_missing", drop_missing, (bool, np.bool_), "True or False")
        check_type("priors", priors, (Mapping, type(None)), "a mapping of names to priors")
        if alpha is not None and "alpha" in (priors or {}):
            raise InputError("alpha is given twice, alone and among the priors; leave one out")
        self.formula = formula
        self.functions = check_functions(functions)
        self.likelihood = find_likelihood(likelihood)
        frame = to_frame(data)
        self.design, self._frame = make_design(
            formula,
            frame,
            weights=weights,
            offset=offset,
            measurement_error=measurement_error,
            drop_missing=drop_missing,
            functions=self.functions,
        )
        resolution = check_resolution(resolution, self.design, self._frame)
        self.design = replace(self.design, resolution=resolution)
        check_bounds(self.design, self.likelihood)
        self.leverage = leverage
        if leverage == "downweight" and self.distances is not None:
            self.design = replace(self.design, leverage_weight=self.distances.weight)
        self.dropped = len(frame) - len(self._frame)
        self.notes = (*notes(self._frame), *noted(self.design), *noted_bounds(self.design))
        for name in self.design.distributional:
            if name not in self.likelihood.links:
                raise InputError(f"the likelihood '{likelihood}' has no {name} to give a formula")
        given = {**(priors or {}), **({} if alpha is None else {"alpha": alpha})}
        self._given = given
        chosen = choose(self.design, self.likelihood, given)
        self.coordinates = standardize(self.design, chosen.own)
        problems = unstated(
            self.design,
            self.coordinates.scale,
            lambda step: standardize(replace(self.design, resolution=step), chosen.own).scale,
        )
        self.design = replace(self.design, problems=self.design.problems + problems)
        self.priors = choose_priors(self.design, self.coordinates, self.likelihood, chosen)
        self.setting = Setting(self.design, self.coordinates, self.likelihood, self.priors)
        self.model = make_model(*self.setting)
        self.data = make_data(self.design, self.coordinates, self.priors)
        for problem in self.design.problems:
            warnings.warn(problem, FormulaWarning, stacklevel=2)
        # what the user named rather than gave: prediction looks for it in the new data
        self._columns = {
            name: given
            for name, given in (("offset", offset), ("measurement_error", measurement_error))
            if isinstance(given, str)
        }

    def fit(
        self,
        *,
        draws: int = 1000,
        warmup: int = 1000,
        chains: int = 4,
        seed: int = 0,
        target_accept: float = 0.8,
        method: str = "nuts",
        sampler: str = "auto",
        progress: bool | None = None,
        stage: Callable[[str], None] | None = None,
        mesh: Mesh | None = None,
    ) -> DataTree:
        """Draw from the posterior.

        Parameters
        ----------
        draws, warmup
            Kept and discarded draws of each chain.
        chains
            nutpie runs them in parallel, as many at once as there are cores; NumPyro runs them in
            parallel if there is a device for each, else vectorised on one, or, where they would
            take the memory several times over, one after the other.
        seed
            The same seed gives the same draws on the same machine.
        target_accept
            What NUTS adapts its step to; nearer to 1 if transitions diverge.
        method
            ``"nuts"``; ``"svi"``, the nearest Normal on the sampler's axes, for very many rows;
            ``"laplace"``, the Normal with the curvature about the mode, over a standard deviation
            to either side; or ``"map"``, the mode on these axes as a single draw. Of several
            modes ``"svi"`` and ``"laplace"`` have a Normal for each, by their masses.
        sampler
            Who does NUTS: ``"nutpie"``, on a compiled density in double precision, for the shipped
            likelihoods and the usual priors, or ``"numpyro"``, for all models; ``"auto"`` is nutpie
            wherever that can. The attribute ``inference_library`` says which it was.
        progress
            Whether to show a progress bar on stderr; by default if that is a terminal.
        stage
            Called with a few words as each stage starts.
        mesh
            Devices over which NUTS spreads the rows, such as
            ``jax.sharding.Mesh(jax.devices(), "row")``; by default one device has them all.

        Returns
        -------
        DataTree
            Groups ``posterior``, ``sample_stats`` (of NUTS), ``log_likelihood``, ``log_prior``,
            ``posterior_predictive``, ``prior``, ``prior_predictive``, ``observed_data``,
            ``constant_data`` and ``training_data``, in the user's units, with dimensions
            ``coefficient`` and ``row``; and ``explanations``, what modes of the posterior and fits
            that trust rows less say of the coefficients (``diagnostics.explanations``). Draws of
            several modes are there by their masses, and ``sample_stats["mode"]`` tells them apart.
            Where draws times rows exceed 2e7, the groups with a number
            for each row keep every so many draws only, and the attribute ``thinned`` says how many;
            from 1e6 rows on some four draws in all, in single precision where that resolves the
            noise. ``constant_data`` does without ``x``, the design, where it would take as much
            memory; whatever needs it makes it anew from ``training_data``.
        """
        draws = whole_number("draws", draws, 1)
        warmup = whole_number("warmup", warmup, 1)
        chains = whole_number("chains", chains, 1)
        seed = seed_number(seed)
        target_accept = probability("target_accept", target_accept)
        check_type("progress", progress, (bool, type(None)), "True, False or None")
        check_type("stage", stage, (Callable, type(None)), "a function of a text, or None")
        check_type("mesh", mesh, (Mesh, type(None)), "a jax.sharding.Mesh, or None")
        if sampler not in SAMPLERS:
            raise InputError(f"no sampler '{sampler}'; there are: {', '.join(SAMPLERS)}")
        if method not in METHODS:
            raise InputError(f"no method '{method}'; there are: {', '.join(METHODS)}")
        if mesh is not None and method != "nuts":
            raise InputError(f"a mesh is for method 'nuts', not '{method}'; leave one of them out")
        if sampler != "auto" and method != "nuts":
            raise InputError(
                f"a sampler is for method 'nuts', not '{method}'; leave one of them out"
            )
        free = [
            term.name
            for term in self.design.groups
            if not isinstance(self.priors[f"{term.name}_sigma"], float)
        ]
        if free and method in ("map", "laplace"):
            raise InputError(
                f"method '{method}' needs a mode, and the joint density of the effects of "
                f"'({free[0]})' and their standard deviation has none: it grows without bound as "
                "both go to 0; use method 'nuts' or 'svi', or fix "
                f"'{free[0]}_sigma' by a prior that is a number"
            )
        say = stage or (lambda text: None)
        bar = sys.stderr.isatty() if progress is None else progress
        keys = jax.random.split(jax.random.key(seed), 2)
        used = "numpyro"
        if method == "nuts":
            used = choose_sampler(sampler, self.setting, self.data, mesh)
        statistics: Mapping[str, Any] = {}
        problems: tuple[str, ...] = ()
        model, constants = self.parts
        rows = len(self.design.y)
        shape = (1, 1) if method == "map" else (chains, draws)
        thin = min(thinning(shape[0] * shape[1], rows), shape[1])
        kept = -(-shape[1] // thin)
        say("compiling")
        follow = prepare(model, constants, self.data, shape[0] * kept, thin)
        if method == "nuts":
            say(f"warming up and sampling {chains} chains of {warmup} + {draws} draws")
            run = Run(draws, warmup, chains, target_accept, self.dense, progress=bar)
            mixture = self.draw((seed, 0), run, used, mesh)
            sites, statistics = mixture.sites, mixture.statistics
            own = of_draws(self.setting, mixture)
        else:
            say(f"optimising ({method})")
            sites, problems = approximate(
                model, constants, method, keys[0], self.data, (chains, draws), bar, self._known
            )
            own = of_modes(self.setting, self.search)
            if len(own) > 1 and method == "map":
                problems += (
                    f"'map' is the highest of {len(own)} modes of the posterior; use method "
                    "'nuts', 'laplace' or 'svi' to draw from all of them",
                )
        explanations = None
        if own and mesh is None and rows < MANY:
            say("comparing with fits that trust rows less")
            doubts = Doubts(self.distances, self.design.weights, self.leverage)
            others = other_fits(self.setting, self.data, doubts, self._given)
            run = Run(draws, warmup, chains, target_accept, self.dense)
            explanations = explain(self.setting, own, others, self._near, run, seed)
        latent = {name: sites[name] for name in self.sites}
        say(
            "predicting and computing the log-likelihood"
            + (f", for one draw in {thin} to save memory" if thin > 1 else "")
        )
        every = {name: np.asarray(value)[:, ::thin] for name, value in latent.items()}
        flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in every.items()}
        following = follow(keys[1], flat)
        if rows >= MANY:
            gc.collect()  # JAX leaves arrays as long as the data behind, in cycles
        say("writing the draws in the units of the data")
        dt = make_datatree(
            self.setting,
            Draws(latent, statistics, following, thin),
            self._attributes(method, seed, warmup, thin, used),
        )
        dt.attrs["design_problems"] = json.dumps(self.design.problems)
        dt.attrs["fit_problems"] = json.dumps(problems)
        if explanations is not None:
            dt[EXPLANATIONS] = DataTree(explanations)
        self._add_distances(dt)
        training_data.save(dt, split_formulas(self.formula), self._frame)
        return dt

    def _add_distances(self, dt: DataTree) -> None:
        """Put into a fit how far out rows lie in the predictors, and what that leaves of them."""
        if self.distances is None:
            return
        columns = {"predictor_distance": ("row", self.distances.distance)}
        if self.leverage == "downweight":
            columns["leverage_weight"] = ("row", self.distances.weight)
        constants = dt["constant_data"].to_dataset()
        dt["constant_data"] = DataTree(constants.assign(columns))
        dt.attrs["leverage"] = self.leverage

    def prior_predictive(self, draws: int = 500, seed: int = 0) -> DataTree:
        """Draw from the prior, and responses from what it says of them, before any fit.

        Parameters
        ----------
        draws
            How many; fewer where draws times rows exceed 2e7, as in the groups of ``fit``.
        seed
            The same seed gives the same draws on the same machine.

        Returns
        -------
        DataTree
            Groups ``prior``, ``prior_predictive``, ``observed_data`` and ``constant_data``, as
            those of ``fit``.
        """
        draws = whole_number("draws", draws, 1)
        key = jax.random.key(seed_number(seed))
        model, constants = self.parts
        drawn = draw_prior(model, constants, self.data, draws, key)
        dt = make_prior_datatree(self.setting, *drawn, {**self._origin(), "seed": seed})
        self._add_distances(dt)
        return dt

    def graph(self) -> Any:
        """Return a picture of the model, a ``graphviz.Digraph``, by ``numpyro.render_model``.

        Its nodes are the sites of ``model``: those that end in ``_z`` and ``_offset`` are sampled,
        in standardised units, and follow from nothing else; dashed ones are what they are in the
        user's units. ``graph.render("model", format="png")`` writes a file, for which the program
        ``dot`` of Graphviz has to be installed; ``graph.source`` needs none.

        Raises
        ------
        InputError
            If the Python package ``graphviz`` is missing.
        """
        try:
            return numpyro.render_model(
                self.model, model_kwargs=self.data, render_distributions=True
            )
        except ImportError:
            raise InputError(
                "a graph needs the Python package graphviz (pip install graphviz), and to be drawn "
                "the program dot of https://graphviz.org"
            ) from None

    def __repr__(self) -> str:
        return describe(self.formula, self.setting, self.dropped)

    def predict(self, dt: DataTree, new_data: Any = None, **options: Any) -> DataArray:
        """Return predictions of new rows; see :func:`robust_dist.regression.predict`."""
        return predict(dt, new_data, functions=self.functions, **options)

    def draw(
        self,
        seed: tuple[int, ...],
        run: Run,
        sampler: str,
        mesh: Mesh | None = None,
        keep: np.ndarray | None = None,
    ) -> Mixture:
        """Return draws of every site and the sampler's statistics, by NUTS.

        Chains start in the modes of the posterior, and draws of several are put together by their
        masses (``posterior.mixture``).

        Parameters
        ----------
        seed
            Numbers, all of which count.
        run
            How to sample.
        sampler
            ``"nutpie"``, of a model that it knows, or ``"numpyro"``.
        mesh
            Devices over which NumPyro's NUTS spreads the rows.
        keep
            Which rows to fit, of all.
        """
        data = self.data if keep is None else {**self.data, "keep": keep}
        return draw(self.setting, data, self.search, seed, run, sampler, mesh)

    @cached_property
    def distances(self) -> Distances | None:
        """How far out each row lies among the predictors; None without numbers among them."""
        return robust_distances(self.design.predictors, self.design.weights)

    @cached_property
    def search(self) -> Search:
        """The modes of the posterior, where chains start."""
        return search(self.setting, self.data, self._near)

    @property
    def _known(self) -> Mapping[str, np.ndarray] | None:
        """The modes' unconstrained sites, modes leading, if there are any."""
        density, modes = self.search
        if not modes:
            return None
        return density.unraveled(np.array([mode.position for mode in modes]))

    @property
    def _near(self) -> np.ndarray | None:
        """Which rows do not lie far out among the predictors, if some do."""
        if self.distances is None or not self.distances.far.size:
            return None
        return self.distances.distance <= 1

    @property
    def parts(self) -> tuple[Model, Constants]:
        """The model of this structure, and the constants that it takes from the data."""
        return model_of(make_structure(*self.setting)), in_mode(make_constants(*self.setting))

    @property
    def dense(self) -> bool:
        """Whether NUTS adapts to correlations.

        As of group-specific effects with the intercept, or of coefficients with priors of their
        own, which are not orthogonal to each other.
        """
        effects = sum(term.x.shape[1] * len(term.levels) for term in self.design.groups)
        named = any(
            block.directions is None for part in self.priors.blocks.values() for block in part
        )
        effects += sum(len(curve.parts) for curve in self.design.curves)
        return 0 < effects <= 200 or named

    @property
    def sites(self) -> list[str]:
        """What the model samples."""
        shapes = {shape.name for shape in self.likelihood.shapes}
        names = [
            name if name in shapes else f"{name}_z"
            for name, prior in self.priors.items()
            if not isinstance(prior, float)
        ]
        names += [f"{term.name}_offset" for term in self.design.groups]
        return names + [f"{c.name}_offset" for c in self.design.curves if c.kind == GAUSSIAN]

    def _attributes(
        self, method: str, seed: int, warmup: int, thin: int, used: str
    ) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            **self._origin(),
            "method": method,
            "seed": seed,
            "warmup": warmup,
            "inference_library": used,
            "inference_library_version": version(used),
        }
        if thin > 1:
            attributes["thinned"] = thin
        return attributes

    def _origin(self) -> dict[str, Any]:
        """Return what to record of the formulas and the data."""
        attributes: dict[str, Any] = {
            "formula": split_formulas(self.formula)[""],
            **{f"{name}_column": column for name, column in self._columns.items()},
        }
        if not isinstance(self.formula, str):
            attributes["formulas"] = json.dumps(dict(self.formula))
        if self.dropped:
            attributes["dropped"] = self.dropped
        if self.notes:
            attributes["notes"] = json.dumps(self.notes)
        return attributes
