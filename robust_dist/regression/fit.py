"""Robust Bayesian regression: the object, and how it is fitted."""

import gc
import json
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from xarray import DataArray, DataTree

from robust_dist._arguments import check_type, probability, seed_number, whole_number
from robust_dist._errors import FormulaWarning, InputError
from robust_dist.many_rows import compensated
from robust_dist.regression import training_data
from robust_dist.regression.coordinates import standardize
from robust_dist.regression.datatree import Draws, Setting, make_datatree
from robust_dist.regression.design.columns import notes
from robust_dist.regression.design.formula import make_design, split_formulas
from robust_dist.regression.design.frame import to_frame
from robust_dist.regression.design.functions import Functions, check_functions
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
from robust_dist.regression.own_priors import Prior, choose
from robust_dist.regression.posterior import engine
from robust_dist.regression.posterior.approximate import approximate, mean_density
from robust_dist.regression.posterior.choice import SAMPLERS, choose_sampler
from robust_dist.regression.posterior.nuts import sample
from robust_dist.regression.posterior.padding import fill, padded
from robust_dist.regression.posterior.pointwise import MANY, prepare, thinning
from robust_dist.regression.posterior.run import Run
from robust_dist.regression.posterior.shard import shard
from robust_dist.regression.posterior.sites import Model
from robust_dist.regression.predict import predict
from robust_dist.regression.priors import choose_priors

METHODS = ("nuts", "svi", "laplace", "map")


class Regression:
    """A regression with heavy-tailed noise, the heaviness of which is inferred.

    The response is ``likelihood(loc, scale, ...)`` with loc linear in the coefficients.

    Parameters
    ----------
    formula
        Such as ``"y ~ x1 * log(x2) + group"``; ``(x | g)`` is an effect of x that varies with the
        level of g, drawn from a Normal of unknown standard deviation. Or, if the noise depends on
        the predictors too, a dictionary: ``{"y": "y ~ x", "alpha": "~ x", "sigma": "~ x"}``, in
        which log(alpha/(2 - alpha)) and the logarithm of the scale are linear.
    data
        A pandas DataFrame, any other frame that narwhals understands (polars, pyarrow, ...), or a
        mapping of names to columns. True counts 1; dates, times and periods count days since the
        first of them, durations days (``notes`` says so); text and categories are levels.
    likelihood
        ``"general_robust"``, ``"student_t"``, ``"normal"``, ``"laplace"``, ``"cauchy"`` or
        ``"asymmetric_general_robust"``.
    priors
        NumPyro distributions, in the user's units, in place of some of the default priors, by the
        name of a coefficient (``"income"``, ``"Intercept"``, ``"beta_sigma[income]"``) or another
        parameter (``"sigma"``, ``"alpha"``); ``"beta"`` means all slopes, with one element each or
        a single one for all. A number fixes a parameter that is no coefficient.
    alpha
        Short for ``priors={"alpha": alpha}``: a number, or a distribution.
    weights
        Multiply each row's log-likelihood: a column's name or an array, positive. A pandas Series,
        here and below, gives each row the number under the row's label.
    offset
        Is added to loc, with coefficient 1: a column's name or an array, in the response's units.
    measurement_error
        Multiplies the scale of each row: a column's name or an array, positive. With
        ``priors={"sigma": 1.0}`` (``"scale"`` for other likelihoods) it is the scale itself.
    drop_missing
        Leave rows with missing values out, and count them in ``dropped``, instead of refusing them.
    functions
        What the formulas may call besides the listed functions: ``{"f": f}`` for ``y ~ f(x)``. Each
        takes columns and returns a column, in which the value of a row depends on that row alone:
        prediction calls it with the new rows. ``predict`` is to be given it again; a file holds its
        name only.

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
        drop_missing: bool = False,
        functions: Functions | None = None,
    ) -> None:
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
        self.dropped = len(frame) - len(self._frame)
        self.notes = notes(self._frame)
        for name in self.design.distributional:
            if name not in self.likelihood.links:
                raise InputError(f"the likelihood '{likelihood}' has no {name} to give a formula")
        given = {**(priors or {}), **({} if alpha is None else {"alpha": alpha})}
        chosen = choose(self.design, self.likelihood, given)
        self.coordinates = standardize(self.design, chosen.own)
        self.priors = choose_priors(self.design, self.coordinates, self.likelihood, chosen)
        self.setting = Setting(self.design, self.coordinates, self.likelihood, self.priors)
        self.model = make_model(*self.setting)
        self.data = make_data(self.design, self.coordinates)
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
            to either side; or ``"map"``, the mode on these axes as a single draw.
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
            ``coefficient`` and ``row``. Where draws times rows exceed 2e7, the groups with a number
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
            sites, statistics = self.draw((seed, 0), run, used, mesh)
        else:
            say(f"optimising ({method})")
            sites, problems = approximate(
                model, constants, method, keys[0], self.data, (chains, draws), bar
            )
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
        training_data.save(dt, split_formulas(self.formula), self._frame)
        return dt

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
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return draws of every site and the sampler's statistics, by NUTS.

        Parameters
        ----------
        seed
            Numbers, all of which count.
        run
            How to sample.
        sampler
            ``"nutpie"``, of a model that it knows, or ``"numpyro"``.
        mesh
            As for ``fit``.
        keep
            Which rows to fit, of all.
        """
        rows = len(self.design.y)
        data = self.data if keep is None else {**self.data, "keep": keep}
        if sampler == "nutpie":
            return engine.sample(self.setting, data, seed, run)
        model, constants = self.parts
        many = rows >= MANY
        if many:
            # chains go in turns, to save memory, and float32's rounding of the total counts
            centre = mean_density(model, constants, self.data)
            model = compensated(model, centre, sharded=mesh is not None)
        if mesh is not None:
            data = shard(data, mesh)
        elif not many:
            data = fill(data, padded(rows))
        key = jax.random.key(seed[0])
        for number in seed[1:]:
            key = jax.random.fold_in(key, number)
        run = run._replace(in_turns=many or mesh is not None)
        return sample(model, constants, data, key, run)

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
        return names + [f"{term.name}_offset" for term in self.design.groups]

    def _attributes(
        self, method: str, seed: int, warmup: int, thin: int, used: str
    ) -> dict[str, Any]:
        formulas = split_formulas(self.formula)
        attributes: dict[str, Any] = {
            "formula": formulas[""],
            "method": method,
            "seed": seed,
            "warmup": warmup,
            "inference_library": used,
            "inference_library_version": version(used),
            **{f"{name}_column": column for name, column in self._columns.items()},
        }
        if not isinstance(self.formula, str):
            attributes["formulas"] = json.dumps(dict(self.formula))
        if self.dropped:
            attributes["dropped"] = self.dropped
        if self.notes:
            attributes["notes"] = json.dumps(self.notes)
        if thin > 1:
            attributes["thinned"] = thin
        return attributes
