"""What is known of a likelihood: a law of the noise, and its parameters."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import jax
import numpy as np
from jax import Array
from numpyro import distributions as dist
from numpyro.distributions import Distribution
from scipy.special import ndtri

from robust_dist.regression.likelihoods._kernel import Kernel
from robust_dist.regression.likelihoods._link import LOG_SCALE, Link
from robust_dist.regression.likelihoods._tiles import over_tiles

SCALE_FORMULA = "sigma"
"""the name under which the scale has a formula, whatever a likelihood calls it"""

CONTAMINATION = "contamination"
"""the share of rows that follow the background, where there is one"""
BACKGROUND_LOC, BACKGROUND_SCALE = "background_loc", "background_scale"
"""of the background, numbers that are given; of a row the first is the distance from its loc"""

_SD_OF_QUARTILE = 1 / float(ndtri(0.75))
"""of the Normal law whose quartiles are -1 and 1"""

type Parameters = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Shape:
    """A parameter without a unit, positive or zero, that says how heavy the tails are.

    Of several, the first is that of the likelihood's compiled form.
    """

    name: str
    prior: Callable[[], Distribution]
    """makes the default prior"""
    link: Link | None = None
    """what a formula makes linear, if the parameter may have one"""
    closed: bool = False
    """whether it may be fixed at zero, and at its upper end"""
    upper: float = math.inf
    """what it cannot be above"""
    landmarks: tuple[float, ...] = ()
    """below which it is told how probable the shape is, the one that matters most first"""
    members: Mapping[float, str] = field(default_factory=dict)
    """laws that a picture of the shape marks, by their shape"""
    symbol: str = ""
    """as that picture writes it"""

    def read(self, draws: np.ndarray, prior: np.ndarray | None, rows: int) -> str:
        """Return in words, without a full stop, what draws of the posterior say.

        Parameters
        ----------
        draws, prior
            Of a shape that all rows share; None if there are none of the prior.
        rows
            How many rows were fitted.
        """
        low, high = np.quantile(draws, [0.025, 0.975])
        return f"{self.name} is {draws.mean():.2g} (95% interval {low:.2g} to {high:.2g})"


class Likelihood(ABC):
    """A law that the noise may follow.

    Its parameters come in two forms: those that are sampled, ``shapes`` and ``scales``, and those
    that the law of a row is written in, ``shapes`` and ``law_scales``. Arrays of parameters are
    JAX's in a model and NumPy's outside of one. What is said of a residual is said of it over the
    first of the law's scales, in double precision: a response of 1e6 with noise of 0.01 would leave
    nothing of it in single precision.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """as in a sentence"""
    shapes: ClassVar[tuple[Shape, ...]] = ()
    scales: ClassVar[tuple[str, ...]] = ("scale",)
    law_scales: ClassVar[tuple[str, ...]] = ("scale",)
    symmetric: ClassVar[bool] = True
    tails: ClassVar[bool] = True
    """whether JAX computes both its tails, which responses that are not observed in full need"""
    kernel: ClassVar[Kernel | None] = None
    """its compiled form, without the background; a law without one is sampled by NumPyro"""
    background_width: ClassVar[float | None] = None
    """of the law, no parameter's, that a share of the rows follows besides: its scale in spreads of
    the response, about whose median it lies; if there is such a law"""

    @property
    def parameters(self) -> tuple[str, ...]:
        """What is sampled."""
        return (*(shape.name for shape in self.shapes), *self.scales)

    @property
    def given(self) -> tuple[str, ...]:
        """What no data inform: numbers, of which the priors hold the values."""
        return () if self.background_width is None else (BACKGROUND_LOC, BACKGROUND_SCALE)

    @property
    def links(self) -> dict[str, tuple[str, Link]]:
        """The parameter that a formula is for, and its link, by the name of the formula."""
        links = {shape.name: (shape.name, shape.link) for shape in self.shapes if shape.link}
        # of two scales it would be unclear which one a formula is for
        if len(self.scales) == 1:
            links[SCALE_FORMULA] = (self.scales[0], LOG_SCALE)
        return links

    def shared(self, formulas: Collection[str]) -> list[str]:
        """Return the parameters that all rows share, where these have formulas."""
        own = {name for formula, (name, _) in self.links.items() if formula in formulas}
        return [name for name in self.parameters if name not in own]

    # --- priors -------------------------------------------------------------------------------

    def prior(self, name: str, unit: float) -> Distribution:
        """Return the default prior of a parameter that all rows share.

        Parameters
        ----------
        name
            One of ``parameters``.
        unit
            The median absolute residual of a robust fit.
        """
        shapes = {shape.name: shape for shape in self.shapes}
        return shapes[name].prior() if name in shapes else dist.InverseGamma(0.3, 0.1 * unit)

    # --- from predictors to the law of a row --------------------------------------------------

    def row_parameters(
        self, shared: Mapping[str, Any], linear: Mapping[str, Any], error: Any = None
    ) -> dict[str, Any]:
        """Return each row's parameters, as they are sampled.

        Parameters
        ----------
        shared
            Those that all rows share.
        linear
            The linear predictors, by the name of the formula.
        error
            What multiplies the scales of each row, if anything does.
        """
        values = dict(shared)
        for formula, predictor in linear.items():
            name, link = self.links[formula]
            values[name] = link.inverse(predictor)
        if error is not None:
            values |= {name: values[name] * error for name in self.scales}
        return values

    def derived(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the law's scales where they are not those that are sampled but follow from them.

        In the precision of JAX's mode, or double of NumPy's arrays.
        """
        return {}

    def law_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of the law of those that are sampled."""
        derived = self.derived(parameters)
        followed = self.scales if derived else ()
        own = {name: value for name, value in parameters.items() if name not in followed}
        return own | derived

    @abstractmethod
    def row_law(self, **parameters: Any) -> Distribution:
        """Return the law with loc, shapes and law_scales."""

    def sampled_law(self, **parameters: Any) -> Distribution:
        """Return the law with loc and what is sampled."""
        return self.row_law(**parameters)

    def background_log_density(self, z: np.ndarray, cell: float = 0.0) -> np.ndarray:
        """Return the log density of the background at a distance from its loc over its scale.

        Of a cell of this width about there, if it has one, its mean.
        """
        raise NotImplementedError

    # --- what the law says of residuals -------------------------------------------------------

    def mean(self, parameters: Parameters) -> np.ndarray:
        """Return the mean of the response; of symmetric noise the centre, mean or no mean."""
        if self.symmetric:
            return parameters["loc"]
        with jax.enable_x64(True):
            return np.asarray(self.row_law(**parameters).mean)

    def noise(self, parameters: Parameters, unit: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameters of the law of the residual over a unit."""
        lengths = {*self.law_scales, BACKGROUND_LOC, BACKGROUND_SCALE} & parameters.keys()
        over = {name: parameters[name] / unit for name in lengths}
        return {**parameters, **over, "loc": np.zeros((1, 1))}

    def reduced(self, y: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, np.ndarray, dict]:
        """Return residual over scale, the scale, and the parameters of the law it follows."""
        unit = parameters[self.law_scales[0]]
        return (y - parameters["loc"]) / unit, unit, self.noise(parameters, unit)

    def outlier_probability(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        """Return the probability that a reduced residual is of the background."""
        raise NotImplementedError

    @abstractmethod
    def irls_weight(self, z: np.ndarray, law: Parameters) -> np.ndarray:
        """Return the weights of reduced residuals in least squares, 1 at zero."""

    def log_tails(self, z: np.ndarray, law: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Return log P(Z <= z) and log P(Z > z) of reduced residuals."""
        if not self.symmetric:
            lower, upper = over_tiles(partial(_both_tails, self), {**law, _POINT: z})
            return lower, upper
        # one evaluation serves both tails of a symmetric law
        (small,) = over_tiles(partial(_lower_tail, self), {**law, _POINT: -np.abs(z)})
        large = np.log1p(-np.exp(small))
        return np.where(z < 0, small, large), np.where(z < 0, large, small)

    def quartile(self, law: Parameters) -> np.ndarray:
        """Return half of the distance between the quartiles of the reduced law."""
        half_range = _upper_quartile if self.symmetric else _half_range
        return over_tiles(partial(half_range, self), law)[0]

    def robust_sd(self, parameters: Parameters) -> np.ndarray:
        """Return the sd of the Normal law of the noise's quartiles, which 1.4826 MAD estimates."""
        _, unit, law = self.reduced(np.zeros(1), parameters)
        return unit * self.quartile(law) * _SD_OF_QUARTILE


# beside a law's parameters, of which none has this name
_POINT = "point"


@partial(jax.jit, static_argnums=0)
def _lower_tail(likelihood: Likelihood, tile: Mapping[str, Array]) -> tuple[Array]:
    return (_law(likelihood, tile).log_cdf(tile[_POINT]),)


@partial(jax.jit, static_argnums=0)
def _both_tails(likelihood: Likelihood, tile: Mapping[str, Array]) -> tuple[Array, Array]:
    law = _law(likelihood, tile)
    return law.log_cdf(tile[_POINT]), law.log_sf(tile[_POINT])


@partial(jax.jit, static_argnums=0)
def _upper_quartile(likelihood: Likelihood, tile: Mapping[str, Array]) -> tuple[Array]:
    return (_law(likelihood, tile).icdf(0.75),)


@partial(jax.jit, static_argnums=0)
def _half_range(likelihood: Likelihood, tile: Mapping[str, Array]) -> tuple[Array]:
    law = _law(likelihood, tile)
    return ((law.icdf(0.75) - law.icdf(0.25)) / 2,)


def _law(likelihood: Likelihood, tile: Mapping[str, Array]) -> Distribution:
    return likelihood.row_law(**{name: value for name, value in tile.items() if name != _POINT})
