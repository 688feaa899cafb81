"""Several responses of the same rows, each with noise of its own."""

from collections.abc import Mapping
from typing import Any

from xarray import DataTree

from robust_dist._arguments import check_type
from robust_dist._errors import InputError
from robust_dist.regression.fit import Regression
from robust_dist.regression.likelihoods import NAMES


def fit_responses(
    formulas: Mapping[str, str | Mapping[str, str]],
    data: Any,
    likelihood: str | Mapping[str, str] = NAMES[0],
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> dict[str, DataTree]:
    r"""Fit several responses, each by a formula and with noise of its own.

    Parameters and noise of one response are independent of those of the others, a priori and given
    the predictors, so that the posterior is the product of theirs:

    .. math:: p(\theta_1, \theta_2, \dots \mid y_1, y_2, \dots) = \prod_k p(\theta_k \mid y_k).

    Each is a fit like any other, sampled by itself; what is compiled of one serves those of the
    same structure. Draws of the same number may be combined: they are of one joint posterior.

    Parameters
    ----------
    formulas
        By response: ``"y ~ x"``, ``"~ x"``, or a dictionary as for ``Regression``.
    data
        As for ``Regression``.
    likelihood
        Of all responses, or by response, the default of those that are not named.
    priors
        By response, as for ``Regression``.
    seed
        Of the first response; each takes the next one.
    options
        Further arguments of ``Regression``, the same for all.
    settings
        Arguments of ``Regression.fit``.

    Returns
    -------
    dict
        The fits by response.

    Raises
    ------
    InputError
        If a formula is of another response than its name says, or if one cannot be fitted.

    Examples
    --------
    >>> from robust_dist import datasets
    >>> from robust_dist.regression import fit_responses
    >>> fits = fit_responses(
    ...     {"stack_loss": "~ air_flow", "water_temp": "~ air_flow"},
    ...     datasets.load("stackloss"),
    ...     method="map",
    ... )
    >>> list(fits)
    ['stack_loss', 'water_temp']
    """
    check_type("formulas", formulas, Mapping, "a dictionary of formulas by response")
    if not formulas:
        raise InputError("formulas names no response; give one such as {'y': 'y ~ x'}")
    laws = dict.fromkeys(formulas, likelihood) if isinstance(likelihood, str) else likelihood
    priors = priors or {}
    for what, given in (("likelihood", laws), ("priors", priors)):
        unknown = [name for name in given if name not in formulas]
        if unknown:
            raise InputError(f"{what} names '{unknown[0]}', which is no response of the formulas")
    regressions = {}
    for name, formula in formulas.items():
        own = {name: formula} if isinstance(formula, str) else formula
        law = laws.get(name, NAMES[0])
        regression = Regression(own, data, law, priors.get(name), **(options or {}))
        if regression.design.response != name:
            raise InputError(
                f"the formula of '{name}' has the response '{regression.design.response}'"
            )
        regressions[name] = regression
    return {
        name: regression.fit(seed=seed + place, **settings)
        for place, (name, regression) in enumerate(regressions.items())
    }
