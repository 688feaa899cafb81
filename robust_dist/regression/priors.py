"""Default priors: weakly informative, and adapted to the data's scale by medians.

Every prior is a NumPyro distribution in the user's own units:

* ``beta``, the coefficients: one Normal law of the fit, the same in every direction of the span of
  the centred design (``regression/design/span.py``): a direction moves
  the fit by a root mean square of Normal(0, 2.5 spread(y)) over the rows. For a single predictor
  this is a slope of Normal(0, 2.5 spread(y)/sd(x)), with sd that of the predictor winsorised to
  its values within three robust spreads. The value where every column is at its mean is
  Normal(median(y), 2.5 spread(y)), as in rstanarm, Bambi and brms, because the value at x = 0 may
  lie far from any data. No shift, unit, order or reference level of predictors changes this law of
  the fit, where the formula's span stays the same.
* ``sigma`` (of ``general_robust``), ``scale`` (of the others), ``scale_left`` and ``scale_right``:
  InverseGamma(0.3, 0.1 s) with s the median absolute residual of a robust fit; of a rounded
  response that of residuals anywhere in their cells, so a quarter of its step at least. Beyond s/10
  it is nearly flat in the logarithm, falling as sigma^-0.3, since the same residuals are the data
  that it meets; below it vanishes as exp(-0.1 s/sigma), where ties in the response make the
  likelihood unbounded. Half of it lies below 1.4 s, a fortieth below s/19.
  ``benchmarks/default_priors.py`` measures what its intervals cover.
* ``alpha``: Uniform(0, 2), from Cauchy to Normal. Flat, so that the posterior can be read against
  it at a glance, and the quickest to compile, which is most of the time of a small fit. The
  reference prior, :class:`~robust_dist.ReferenceAlpha`, also allows for lighter tails. Of
  ``contaminated`` it is Uniform(1, 2), from hyperbolic to Normal: heavier tails are the
  background's.
* ``contamination``: Beta(1, 9), a tenth on average and most likely none: one row in ten is what
  outliers of a data set rarely exceed, and what a few rows say of a share moves it readily.
* ``background_loc`` and ``background_scale``, of the law that contaminates, are numbers: the median
  of the response, and 8 times its median absolute deviation, scaled to a Normal's sd. So much wider
  than the noise, it claims no row that the noise explains, and, independent of all parameters, it
  makes the posterior forget outliers (``docs/contamination.md``).
* ``nu``: Gamma(2, 0.1), as in brms and Stan's recommendations.
* ``1|g_sigma``, ``x|g_sigma``, the standard deviations of group-specific effects:
  HalfNormal(2.5 spread(y)/spread(x)), without 1/spread(x) for ``1|g``, which is that of the groups'
  values at the median of x. Of groups in the formula of sigma or alpha, ``sigma_1|g_sigma``,
  HalfNormal(1/spread(x)).
* ``hsgp(x)_sigma`` and ``hsgp(x)_ell``, the sd and the length scale of a curve: HalfNormal(2.5
  spread(y)), and InverseGamma(3, 1.5 r) with r half of the range of x, most likely 0.4 r.
* ``mo(x)``, the mean step of a monotonic effect of D steps: Normal(0, 2.5 spread(y)/D), and
  ``mo(x)_simplex``, the steps' shares: Dirichlet(1, ..., 1).
* ``beta_sigma``, the coefficients of the logarithm of the scale, in place of it: the value at the
  centre is Normal(log(1.5 s), 2), and each direction of the span moves the logarithm by a root mean
  square of Normal(0, 1).
* ``beta_alpha``, those of log(alpha/(2 - alpha)), in place of alpha: Normal(0, 1.5) at the centre,
  which is nearly uniform in alpha, and Normal(0, 1) in each direction.

* ``1 + x|g_correlation``, the correlations of the effects of ``(x | g)``: LKJ(1), uniform over the
  correlation matrices.

A prior of the user's is that of the parameter it names: ``"sigma"``, a coefficient such as
``"income"`` or ``"Intercept"`` (its value at x = 0), or ``"beta"`` for all slopes. It is exact;
what the other columns can say besides keeps the default.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpyro import distributions as dist

from robust_dist._errors import InputError
from robust_dist._words.text import printable, printable_lines
from robust_dist.optimize.frequencies import SD, median, median_of_others
from robust_dist.regression.coordinates import (
    Axes,
    Standardization,
    column_spreads,
    root_mean_square,
    spreads,
)
from robust_dist.regression.curves import default_priors
from robust_dist.regression.design.design import Columns, Design, GroupTerm, correlated_effects
from robust_dist.regression.design.frame import LARGEST, SMALLEST
from robust_dist.regression.likelihoods import BACKGROUND_LOC, BACKGROUND_SCALE, Likelihood
from robust_dist.regression.own_priors import Chosen, Prior, predictors
from robust_dist.regression.span_normal import SpanNormal


class Layout(NamedTuple):
    """A site of coefficients of one linear predictor that have one prior."""

    name: str
    """the key among the priors"""
    columns: tuple[int, ...]
    single: bool
    """whether it is one coefficient by its own name"""

    @property
    def site(self) -> str:
        """What the model calls them in the sampler's units."""
        return f"{self.name}_z"


class Block(NamedTuple):
    """Coefficients of one linear predictor that have one prior."""

    name: str
    """the key among the priors"""
    columns: tuple[int, ...]
    prior: dist.Distribution
    directions: tuple[np.ndarray, np.ndarray] | None
    """location and sd of the orthogonal basis' coefficients, if the prior is the default"""

    @property
    def single(self) -> bool:
        """Whether it is one coefficient by its own name."""
        return self.directions is None and len(self.columns) == 1 and not self.prior.batch_shape

    @property
    def layout(self) -> Layout:
        """Its site, without the prior."""
        return Layout(self.name, self.columns, self.single)


class Priors(dict[str, Prior]):
    """Priors by name; printed as a table, in the user's units."""

    def __init__(
        self,
        priors: Mapping[str, Prior],
        names: Mapping[str, tuple[str, ...]],
        blocks: Mapping[str, tuple[Block, ...]],
        words: str,
    ) -> None:
        super().__init__(priors)
        self.names = names
        """the names of the elements of those that are vectors"""
        self.blocks = blocks
        """the coefficients of each linear predictor, by ``"beta"``, ``"beta_alpha"``,
        ``"beta_sigma"``"""
        self.words = words
        """what the defaults of coefficients are, in sentences"""

    def in_words(self) -> dict[str, str]:
        """Return the prior of each parameter, and of each element of a vector, as one writes it."""
        words: dict[str, str] = {}
        for name, prior in self.items():
            elements = self.names.get(name, ())
            shape = () if isinstance(prior, float) else prior.batch_shape + prior.event_shape
            if elements and shape == (len(elements),):
                words |= {f"{name}[{e}]": describe(prior, i) for i, e in enumerate(elements)}
            else:
                words[name] = describe(prior)
        return words

    def __repr__(self) -> str:
        """Return one line for each parameter, and what the defaults of coefficients are."""
        words = {printable(name): text for name, text in self.in_words().items()}
        width = max(map(len, words))
        lines = [f"{name:<{width}}  {text}" for name, text in words.items()]
        return "\n".join([*lines, *(["", printable_lines(self.words)] if self.words else [])])


def describe(prior: Prior, element: int | None = None) -> str:
    """Return a distribution as one would write it, such as ``Normal(0, 2.5)``."""
    if not isinstance(prior, dist.Distribution):
        return f"fixed at {prior:g}"
    if isinstance(prior, SpanNormal):
        prior = dist.Normal(prior.loc, prior.scale)
    values = []
    for name in type(prior).arg_constraints:
        value = np.asarray(getattr(prior, name))
        if value.ndim:
            value = value[element or 0] if element is not None or value.size == 1 else value
        values.append(f"{float(value):.4g}" if value.ndim == 0 else str(value.tolist()))
    return f"{type(prior).__name__}({', '.join(values)})"


def coefficient_places(layouts: Sequence[Layout]) -> list[tuple[str, int]]:
    """Return the site of each coefficient of one linear predictor, and its place there."""
    places = {
        column: (layout.site, place)
        for layout in layouts
        for place, column in enumerate(layout.columns)
    }
    return [places[column] for column in sorted(places)]


def joined(values: Mapping[str, Any], layouts: Sequence[Layout]) -> Any:
    """Return the sampler's coefficients of one linear predictor, along the last axis.

    Of JAX or NumPy arrays by site.
    """
    parts = [values[b.site][..., None] if b.single else values[b.site] for b in layouts]
    order = np.argsort([column for layout in layouts for column in layout.columns])
    library = np if isinstance(parts[0], np.ndarray) else jnp
    return library.concatenate(parts, axis=-1)[..., order]


def choose_priors(
    design: Design, coordinates: Standardization, likelihood: Likelihood, chosen: Chosen
) -> Priors:
    """Return the default priors, some of them replaced by the user's.

    The coordinates are those that know which coefficients have priors of their own.

    Raises
    ------
    InputError
        If a default is beyond single precision in the units of the data.
    """
    y = design.y if design.offset is None else design.y - design.offset
    weights = design.weights
    middle = 0.0 if coordinates.level is None else median(y, weights)
    spread_y = spreads(y, middle, weights)
    width = 2.5 * float(spread_y.max())
    _refuse_extreme(design, coordinates, width)
    parts = predictors(design)
    defaults = {"beta": (middle, width, width)}
    for formula in design.distributional:
        parameter, link = likelihood.links[formula]
        level = coordinates.log_scale if parameter in likelihood.scales else 0.0
        defaults[f"beta_{formula}"] = (level, link.level_sd, 1.0)
    blocks = {
        part: tuple(_blocks(part, axes, chosen.coefficients[part], *defaults[part]))
        for part, axes in coordinates.predictors.items()
    }
    priors: dict[str, Prior] = {}
    names: dict[str, tuple[str, ...]] = {}
    for part, columns in parts.items():
        for block in blocks[part]:
            priors[block.name] = block.prior
            if block.name == part and not block.single:
                names[part] = tuple(columns.coefficients[c] for c in block.columns)
    for name in likelihood.shared(design.distributional):
        priors[name] = likelihood.prior(name, coordinates.noise)
    if likelihood.background_width is not None:
        priors[BACKGROUND_LOC] = median(y, weights)
        priors[BACKGROUND_SCALE] = likelihood.background_width * _spread(y, weights)
    for term, center in zip(design.groups, coordinates.group_centers, strict=True):
        # as the coefficients of the same formula
        of_formula = np.ones(2) if term.formula else 2.5 * spread_y
        priors[f"{term.name}_sigma"] = _group_prior(term, center, of_formula, weights)
        if len(term.effects) > 1:
            names[f"{term.name}_sigma"] = term.effects
    for curve in design.curves:
        priors |= default_priors(curve, width)
    for together in correlated_effects(design.groups):
        priors[together.correlation] = dist.LKJ(len(together.effects), 1.0)
    predicted = {"beta": ("the fitted values", f"{width:.4g}, 2.5 spreads of '{design.response}'")}
    predicted |= {f"beta_{f}": (likelihood.links[f][1].words, "1") for f in design.distributional}
    words = _in_words(parts, blocks, predicted)
    return Priors(priors | chosen.scalars, names, blocks, words)


def _spread(y: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the median absolute deviation, of a Normal's sd; that of the rows that have any.

    Unlike the mean deviation it does not move with outliers.
    """
    away = y - median(y, weights)
    return float(spreads(away, 0.0, weights)[0]) or SD * median_of_others(np.abs(away), weights)


def _blocks(
    part: str,
    axes: Axes,
    own: Sequence[tuple[str, tuple[int, ...], dist.Distribution]],
    level: float,
    level_width: float,
    width: float,
) -> Iterator[Block]:
    """Yield the block of coefficients with the default prior, and those of the user's."""
    taken = {column for _, columns, _ in own for column in columns}
    shared = [column for column in range(axes.fit.size) if column not in taken]
    if shared:
        at_level = np.array([column == axes.level for column in shared])
        loc, sd = np.zeros(len(shared)), np.where(at_level, level_width, width)
        if axes.level is not None and axes.constant is not None:
            loc = level * axes.directions(axes.constant)[shared]
        transform = axes.transform[np.ix_(shared, shared)]
        prior = SpanNormal(transform @ loc, transform * sd)
        replaced = any(name == part for name, _, _ in own)
        # without slopes only the intercept is left
        name = part
        if replaced:
            name = "Intercept" if part == "beta" else f"{part}[Intercept]"
        yield Block(name, tuple(shared), prior, (loc, sd))
    for name, columns, law in own:
        yield Block(name, columns, law, None)


def _group_prior(
    term: GroupTerm, center: float, width: np.ndarray, weights: np.ndarray | None
) -> dist.Distribution:
    """Return the prior of the standard deviations of a group-specific term's effects.

    Its width is that of what the effects times x come to, by median and by mean deviations.
    """
    x = term.x - center
    middle = np.array([median(column, weights) for column in x.T])
    spread_x = column_spreads(x.T, middle, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        # the wider of two ratios: median deviations ignore outliers, but say nothing of a column
        # that is mostly one value, where mean deviations do
        slope = np.where(spread_x > 0, width[:, None] / spread_x, 0.0).max(axis=0)
    constant = width.max() / root_mean_square(x, weights)
    varies = (spread_x.max(axis=0) > 0) & (term.effects != ("1",))
    return dist.HalfNormal(np.where(varies, slope, constant).astype(np.float32))


def _refuse_extreme(design: Design, coordinates: Standardization, width: float) -> None:
    """Refuse units in which a coefficient or the scale is out of reach of single precision."""
    if not SMALLEST < coordinates.noise < LARGEST:
        raise InputError(
            f"the scale would be of the order {coordinates.noise:.0e}, beyond single precision; "
            f"express '{design.response}' or the measurement errors in other units"
        )
    sizes = width * np.linalg.norm(coordinates.transform, axis=1)
    for name, size in zip(design.coefficients, sizes, strict=True):
        if not SMALLEST < size < LARGEST:
            raise InputError(
                f"the coefficient of '{name}' would be of the order {size:.0e}, beyond single "
                f"precision; express '{name}' or '{design.response}' in other units"
            )


def _in_words(
    parts: Mapping[str, Columns],
    blocks: Mapping[str, Sequence[Block]],
    predicted: Mapping[str, tuple[str, str]],
) -> str:
    """Return what the defaults of coefficients are, in sentences.

    Of what each linear predictor is in words, and by how much a direction moves it.
    """
    spanned, levels = [], []
    for part, each in blocks.items():
        columns = {c for block in each if block.directions is not None for c in block.columns}
        intercept = parts[part].intercept
        if columns - {intercept}:
            what, width = predicted[part]
            spanned.append(f"{what} ({part}) by a root mean square of sd {width}")
        if intercept in columns:
            levels.append("Intercept" if part == "beta" else f"{part}[Intercept]")
    sentences = []
    if spanned:
        sentences.append(
            "Coefficients have one Normal law, the same in every direction of what the columns of "
            f"the formula can say together: each moves {'; '.join(spanned)}. The sds above are "
            "what that makes of single coefficients."
        )
    if levels:
        sentences.append(f"{', '.join(levels)}: the value where every column is at its mean.")
    return "\n".join(sentences)
