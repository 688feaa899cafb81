"""Default priors: weakly informative, and adapted to the data's scale by medians.

Every prior is a NumPyro distribution in the user's own units:

* ``beta``, one per coefficient: Normal(0, 2.5 spread(y)/spread(x)) for a slope. The intercept's
  is about the response where every column of the design is at its median,
  Normal(median(y), 2.5 spread(y)), as in rstanarm, Bambi and brms, because the value at x = 0 may
  lie far from any data.
* ``scale``: InverseGamma(2, 2 s) with s the median absolute residual of a robust fit. From
  s = 0.7 c (Normal tails, c = 1.5 s) to s = 1.4 c (Cauchy) it is nearly flat in log c, and it
  vanishes fast towards c = 0, where ties in the response make the likelihood unbounded.
* ``alpha``: Uniform(0, 2), from Cauchy to Normal.
"""

from collections.abc import Mapping

import numpy as np
from numpyro import distributions as dist

from robust_dist._errors import InputError
from robust_dist.regression.formula import Design
from robust_dist.regression.standardize import Standardization, spreads

NAMES = ("beta", "scale", "alpha")


def default_priors(design: Design, coordinates: Standardization) -> dict[str, dist.Distribution]:
    """Return the default priors of a regression, by name."""
    middle = 0.0 if design.intercept is None else float(np.median(design.y))
    spread_y = np.array(spreads(design.y, middle))
    spread_x = np.array(spreads(design.x, coordinates.center))
    # The wider of two ratios: median deviations ignore outliers, but say nothing of a column that
    # is mostly one value, where mean deviations do. Too wide does no harm, too narrow does.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(spread_x > 0, spread_y[:, None] / spread_x, 0.0)
    width = 2.5 * ratios.max(axis=0)
    loc = np.zeros_like(width)
    if design.intercept is not None:
        loc[design.intercept] = middle
        width[design.intercept] = 2.5 * spread_y.max()
    _refuse_extreme(design, width)
    return {
        "beta": dist.Normal(loc.astype(np.float32), width.astype(np.float32)),
        "scale": dist.InverseGamma(2.0, 2.0 * coordinates.scale),
        "alpha": dist.Uniform(0.0, 2.0),
    }


def _refuse_extreme(design: Design, width: np.ndarray) -> None:
    """Refuse units in which a coefficient is out of reach of single precision."""
    for name, value in zip(design.coefficients, width, strict=True):
        if not 1e-30 < value < 1e30:
            raise InputError(
                f"the coefficient of '{name}' would be of the order {value:.0e}, beyond single "
                f"precision; express '{name}' or '{design.response}' in other units"
            )


def replace_priors(
    defaults: Mapping[str, dist.Distribution], replacements: Mapping[str, dist.Distribution] | None
) -> dict[str, dist.Distribution]:
    """Return the default priors with some of them replaced.

    Raises
    ------
    InputError
        If a replacement is for no parameter of the model.
    """
    unknown = set(replacements or {}) - set(defaults)
    if unknown:
        raise InputError(
            f"no parameter '{min(unknown)}' to give a prior; there are: {', '.join(defaults)}"
        )
    return {**defaults, **(replacements or {})}
