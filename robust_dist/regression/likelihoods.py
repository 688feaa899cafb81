"""The laws that the noise of a regression may follow, and the names of their parameters.

======================================  =================================  =========================
likelihood                              parameters                         scale of the laws below
======================================  =================================  =========================
``"general_robust"``                    ``alpha``, ``sigma``               orthogonal sigma
``"student_t"``                         ``nu``, ``scale``                  of NumPyro's ``StudentT``
``"normal"``, ``"laplace"``,            ``scale``                          of NumPyro's laws
``"cauchy"``
``"asymmetric_general_robust"``         ``alpha``, ``scale_left``,         c of the paper, either
                                        ``scale_right``                    side of loc
======================================  =================================  =========================

``general_robust`` is sampled in its orthogonal scale sigma, which the data determine whatever alpha
is; ``scale``, c of the paper, follows from it.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from numpyro import distributions as dist

from robust_dist import GeneralRobust
from robust_dist._errors import InputError
from robust_dist._words.names import nearest


class Likelihood(NamedTuple):
    """A law of the noise."""

    name: str
    shape: str | None
    """its shape parameter"""
    scales: tuple[str, ...]
    """its scale parameters"""
    law: Callable[..., dist.Distribution]
    """from ``loc`` and these parameters"""
    row_law: Callable[..., dist.Distribution]
    """from ``loc``, shape, and the scales that NumPyro's constructor takes"""

    @property
    def formulas(self) -> tuple[str, ...]:
        """What may have a formula: sigma stands for the scale, if there is one."""
        alpha = ("alpha",) if self.shape == "alpha" else ()
        return alpha + (("sigma",) if len(self.scales) == 1 else ())


def _asymmetric(**parameters: Any) -> dist.Distribution:
    # imported here: few fits need it
    return import_module("robust_dist").AsymmetricGeneralRobust(**parameters)


def _student_t(nu: Any, loc: Any, scale: Any) -> dist.Distribution:
    return dist.StudentT(nu, loc, scale)


LIKELIHOODS = {
    likelihood.name: likelihood
    for likelihood in (
        Likelihood(
            "general_robust",
            "alpha",
            ("sigma",),
            GeneralRobust.with_orthogonal_scale,
            GeneralRobust,
        ),
        Likelihood("student_t", "nu", ("scale",), _student_t, _student_t),
        Likelihood("normal", None, ("scale",), dist.Normal, dist.Normal),
        Likelihood("laplace", None, ("scale",), dist.Laplace, dist.Laplace),
        Likelihood("cauchy", None, ("scale",), dist.Cauchy, dist.Cauchy),
        Likelihood(
            "asymmetric_general_robust",
            "alpha",
            ("scale_left", "scale_right"),
            _asymmetric,
            _asymmetric,
        ),
    )
}


def find_likelihood(name: str) -> Likelihood:
    """Return a likelihood by its name.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if not isinstance(name, str) or name not in LIKELIHOODS:
        raise InputError(
            f"no likelihood '{name}'{nearest(str(name), LIKELIHOODS) or ';'} "
            f"there are: {', '.join(LIKELIHOODS)}"
        )
    return LIKELIHOODS[name]
