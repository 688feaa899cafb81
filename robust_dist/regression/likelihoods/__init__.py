"""The laws that the noise of a regression may follow, and the names of their parameters.

======================================  =================================  =========================
likelihood                              parameters                         scale of the laws below
======================================  =================================  =========================
``"general_robust"``                    ``alpha``, ``sigma``               orthogonal sigma
``"contaminated"``                      ``alpha``,                         orthogonal sigma
                                        ``contamination``, ``sigma``
``"student_t"``                         ``nu``, ``scale``                  of NumPyro's ``StudentT``
``"normal"``, ``"laplace"``,            ``scale``                          of NumPyro's laws
``"cauchy"``
``"asymmetric_general_robust"``         ``alpha``, ``scale_left``,         c of the paper, either
                                        ``scale_right``                    side of loc
======================================  =================================  =========================

``general_robust`` is sampled in its orthogonal scale sigma, which the data determine whatever alpha
is; ``scale``, c of the paper, follows from it.
"""

# Everything that is known of one likelihood stands in the module of its name; ``_names`` lists
# them, ``_base`` says what there is to know. Nothing else in the package names a law.

from importlib import import_module
from typing import Any

from xarray import DataTree

from robust_dist._errors import InputError
from robust_dist._words.names import nearest
from robust_dist.regression.likelihoods._alpha import ALPHA
from robust_dist.regression.likelihoods._alpha import alphas as alphas
from robust_dist.regression.likelihoods._base import BACKGROUND_LOC as BACKGROUND_LOC
from robust_dist.regression.likelihoods._base import BACKGROUND_SCALE as BACKGROUND_SCALE
from robust_dist.regression.likelihoods._base import CONTAMINATION as CONTAMINATION
from robust_dist.regression.likelihoods._base import SCALE_FORMULA
from robust_dist.regression.likelihoods._base import Likelihood as Likelihood
from robust_dist.regression.likelihoods._base import Parameters as Parameters
from robust_dist.regression.likelihoods._base import Shape as Shape
from robust_dist.regression.likelihoods._names import CONTAMINATED as CONTAMINATED
from robust_dist.regression.likelihoods._names import NAMES as NAMES

LIKELIHOODS: dict[str, Likelihood] = {
    name: import_module(f"{__name__}.{name}").LIKELIHOOD for name in NAMES
}

FORMULAS = (ALPHA.name, SCALE_FORMULA)
"""what may have a formula besides the location, if the likelihood has it"""


def find_likelihood(name: Any) -> Likelihood:
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


def likelihood_of(dt: DataTree) -> Likelihood:
    """Return the likelihood of a fit."""
    return find_likelihood(dt.attrs["likelihood"])
