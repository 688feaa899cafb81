"""Default priors: weakly informative, and adapted to the data's scale by medians.

Every prior is a NumPyro distribution in the user's own units:

* ``beta``, one per coefficient: Normal(0, 2.5 spread(y)/spread(x)) for a slope. The intercept's
  is about the response where every column of the design is at its median,
  Normal(median(y), 2.5 spread(y)), as in rstanarm, Bambi and brms, because the value at x = 0 may
  lie far from any data.
* ``sigma`` (of ``general_robust``), ``scale`` (of the others), ``scale_left`` and ``scale_right``:
  InverseGamma(2, 3 s) with s the median absolute residual of a robust fit. From sigma = 1.5 s
  (Normal tails) to a scale of s (Cauchy) it is nearly flat in the logarithm, and it vanishes fast
  towards 0, where ties in the response make the likelihood unbounded.
* ``alpha``: Uniform(0, 2), from Cauchy to Normal. Flat, so that the posterior can be read against
  it at a glance, and the quickest to compile, which is most of the time of a small fit. The
  reference prior, :class:`~robust_dist.ReferenceAlpha`, also allows for lighter tails.
* ``nu``: Gamma(2, 0.1), as in brms and Stan's recommendations.
* ``1|g_sigma``, ``x|g_sigma``, the standard deviations of group-specific effects:
  HalfNormal(2.5 spread(y)/spread(x)), without 1/spread(x) for ``1|g``.
* ``beta_sigma``, the coefficients of the logarithm of the scale, in place of it: for the intercept
  at the centre Normal(log(1.5 s), 1), for a slope Normal(0, 1/spread(x)).
* ``beta_alpha``, those of log(alpha/(2 - alpha)), in place of alpha: Normal(0, 1.5) at the centre,
  which is nearly uniform in alpha, and Normal(0, 1/spread(x)).
"""

from collections.abc import Mapping

import numpy as np
from numpyro import distributions as dist

from robust_dist._errors import InputError
from robust_dist.regression.design import Columns, Design
from robust_dist.regression.likelihoods import Likelihood
from robust_dist.regression.prior_checks import check_prior
from robust_dist.regression.standardize import (
    Axes,
    Standardization,
    column_spreads,
    root_mean_square,
    spreads,
)

type Prior = dist.Distribution | float


class Priors(dict[str, Prior]):
    """Priors by name; printed as a table, in the user's units."""

    def __init__(self, priors: Mapping[str, Prior], names: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__(priors)
        self.names = names
        """the names of the elements of those that are vectors"""

    def in_words(self) -> dict[str, str]:
        """Return the prior of each parameter, and of each element of a vector, as one writes it."""
        words: dict[str, str] = {}
        for name, prior in self.items():
            elements = self.names.get(name, ())
            shape = () if isinstance(prior, float) else prior.batch_shape
            if shape == (len(elements),):
                words |= {f"{name}[{e}]": describe(prior, i) for i, e in enumerate(elements)}
            else:
                words[name] = describe(prior)
        return words

    def __repr__(self) -> str:
        """Return one line for each parameter."""
        words = self.in_words()
        width = max(map(len, words))
        return "\n".join(f"{name:<{width}}  {text}" for name, text in words.items())


def describe(prior: Prior, element: int | None = None) -> str:
    """Return a distribution as one would write it, such as ``Normal(0, 2.5)``."""
    if not isinstance(prior, dist.Distribution):
        return f"fixed at {prior:g}"
    values = []
    for name in type(prior).arg_constraints:
        value = np.asarray(getattr(prior, name))
        if value.ndim:
            value = value[element or 0] if element is not None or value.size == 1 else value
        values.append(f"{float(value):.4g}" if value.ndim == 0 else str(value.tolist()))
    return f"{type(prior).__name__}({', '.join(values)})"


def default_priors(
    design: Design, coordinates: Standardization, likelihood: Likelihood
) -> dict[str, dist.Distribution]:
    """Return the default priors of a regression, by name."""
    y = design.y if design.offset is None else design.y - design.offset
    middle = 0.0 if design.intercept is None else float(np.median(y))
    spread_y = spreads(y, middle)
    width = 2.5 * _ratios(spread_y, column_spreads(design.values, coordinates.center))
    loc = np.zeros_like(width)
    if design.intercept is not None:
        loc[design.intercept] = middle
        width[design.intercept] = 2.5 * spread_y.max()
    _refuse_extreme(design, width)
    priors: dict[str, dist.Distribution] = {"beta": _normal(loc, width)}
    if design.alpha and coordinates.alpha:
        priors["beta_alpha"] = _slopes(design.alpha, coordinates.alpha, 1.5)
    elif likelihood.shape == "alpha":
        priors["alpha"] = dist.Uniform(0.0, 2.0)
    elif likelihood.shape == "nu":
        priors["nu"] = dist.Gamma(2.0, 0.1)
    if design.sigma and coordinates.sigma:
        priors["beta_sigma"] = _slopes(design.sigma, coordinates.sigma, 1.0)
    else:
        for name in likelihood.scales:
            priors[name] = dist.InverseGamma(2.0, 3.0 * coordinates.noise)
    for term in design.groups:
        spread_x = column_spreads(term.x.T, np.median(term.x, axis=0))
        slope = 2.5 * _ratios(spread_y, spread_x)
        constant = 2.5 * spread_y.max() / root_mean_square(term.x)
        sd = np.where(spread_x.max(axis=0) > 0, slope, constant)
        if term.effects == ("1",):
            sd = constant
        priors[f"{term.name}_sigma"] = dist.HalfNormal(sd.astype(np.float32))
    return priors


def _ratios(spread_y: np.ndarray, spread_x: np.ndarray) -> np.ndarray:
    """Return the order of a slope for each column.

    The wider of two ratios: median deviations ignore outliers, but say nothing of a column that is
    mostly one value, where mean deviations do. Too wide does no harm, too narrow does.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread_x > 0, spread_y[:, None] / spread_x, 0.0).max(axis=0)


def _normal(loc: np.ndarray, width: np.ndarray) -> dist.Distribution:
    return dist.Normal(loc.astype(np.float32), width.astype(np.float32))


def _slopes(columns: Columns, axes: Axes, at_center: float) -> dist.Distribution:
    """Return the prior of the coefficients of a linear predictor of order one."""
    width = np.where(np.arange(axes.fit.size) == columns.intercept, at_center, axes.unit)
    return _normal(axes.fit, width)


def _refuse_extreme(design: Design, width: np.ndarray) -> None:
    """Refuse units in which a coefficient is out of reach of single precision."""
    for name, value in zip(design.coefficients, width, strict=True):
        if not 1e-30 < value < 1e30:
            raise InputError(
                f"the coefficient of '{name}' would be of the order {value:.0e}, beyond single "
                f"precision; express '{name}' or '{design.response}' in other units"
            )


def choose_priors(
    design: Design,
    coordinates: Standardization,
    likelihood: Likelihood,
    replacements: Mapping[str, Prior],
) -> Priors:
    """Return the default priors with some of them replaced by distributions or fixed numbers.

    Raises
    ------
    InputError
        If a replacement is for no parameter of the model, or none that the parameter can have.
    """
    priors: dict[str, Prior] = dict(default_priors(design, coordinates, likelihood))
    names = {
        "beta": design.coefficients,
        "beta_alpha": design.alpha.coefficients if design.alpha else (),
        "beta_sigma": design.sigma.coefficients if design.sigma else (),
        **{f"{term.name}_sigma": term.effects for term in design.groups if len(term.effects) > 1},
    }
    for name, prior in replacements.items():
        if name not in priors:
            raise InputError(
                f"no parameter '{name}' to give a prior; there are: {', '.join(priors)}"
            )
        if isinstance(prior, dist.Distribution):
            _check_law(name, prior, len(names.get(name, (name,))))
            priors[name] = prior
        elif name.startswith("beta"):
            raise InputError(f"the prior of '{name}' is no NumPyro distribution but {prior!r}")
        else:
            priors[name] = _fixed(name, prior)
    return Priors(priors, names)


def _check_law(name: str, prior: dist.Distribution, elements: int) -> None:
    """Refuse laws of another shape, or that go where the parameter cannot."""
    check_prior(name, prior)
    if prior.event_shape or prior.batch_shape not in ((), (1,), (elements,)):
        raise InputError(
            f"the prior of '{name}' has batch shape {prior.batch_shape} and event shape "
            f"{prior.event_shape}; it needs () or ({elements},), and ()"
        )
    if not name.startswith("beta") and bool(np.any(prior.support(-1.0))):
        raise InputError(f"the prior of '{name}', which is positive, reaches below 0")


def _fixed(name: str, value: object) -> float:
    """Return the number that a parameter is fixed at."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(
            f"the prior of '{name}' is neither a NumPyro distribution nor a number but {value!r}"
        ) from None
    if not (number >= 0 if name == "alpha" else 0 < number < np.inf):
        raise InputError(f"'{name}' cannot be fixed at {number:g}; it must be positive, and finite")
    return number
