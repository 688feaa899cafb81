"""What a formula may call: a list, to which a user of the library may add and a file may not.

Every function here gives each row a value that depends on this row alone, or, as ``center``,
remembers what it has computed from the data of the fit. So a formula means the same in new data.
"""

from collections.abc import Callable, Collection, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from robust_dist._errors import InputError
from robust_dist._words.names import nearest

Functions = Mapping[str, Callable[..., Any]]

_UFUNCS = (
    *("abs", "absolute", "cbrt", "ceil", "exp", "exp2", "expm1", "fabs", "floor", "log", "log10"),
    *("log1p", "log2", "negative", "reciprocal", "rint", "sign", "sqrt", "square", "trunc"),
    *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cos", "cosh"),
    *("deg2rad", "degrees", "hypot", "rad2deg", "radians", "sin", "sinh", "tan", "tanh"),
    *("add", "divide", "float_power", "floor_divide", "fmod", "mod", "multiply", "power"),
    *("remainder", "subtract", "true_divide", "fmax", "fmin", "maximum", "minimum"),
    *("heaviside", "logaddexp", "logaddexp2"),
    *("logical_and", "logical_not", "logical_or", "logical_xor"),
)


class Elementwise(NamedTuple):
    """A function of the row's values."""

    call: Callable[..., Any]
    arguments: tuple[int, ...]
    """how many it takes; one more would be a ufunc's `out`, which writes into the data"""


ELEMENTWISE = {
    **{name: Elementwise(getattr(np, name), (getattr(np, name).nin,)) for name in _UFUNCS},
    "clip": Elementwise(np.clip, (3,)),
    # numbers in formulas are floats
    "round": Elementwise(lambda x, decimals=0.0: np.round(x, int(decimals)), (1, 2)),
    "where": Elementwise(np.where, (3,)),
}

# of formulae's own: those that make columns of one, of which C, S and T make indicators
CATEGORICAL = ("C", "S", "T")
BASES = ("bs", "cc", "cr", "poly", "tp")
CONTRASTS = ("Sum", "Treatment")
# and those that remember the data of the fit
REMEMBERING = ("center", "scale", "standardize")

LISTED = frozenset((*ELEMENTWISE, *CATEGORICAL, *BASES, *CONTRASTS, *REMEMBERING, "I"))

# terms that are no columns of the design
CURVES = ("mo", "hsgp")

# of the response, on the left alone
OBSERVED = ("censored", "truncated")

_OVER_ROWS = (
    *("amax", "amin", "argsort", "average", "cumprod", "cumsum", "diff", "mean", "median", "max"),
    *("min", "nanmax", "nanmean", "nanmedian", "nanmin", "nanstd", "nansum", "norm", "percentile"),
    *("prod", "ptp", "quantile", "rank", "shift", "sort", "std", "sum", "var"),
)
_MENDS = {
    "offset": "give the offset beside the formula (offset=, --offset)",
    "cut": "make the column of intervals before the fit",
    **dict.fromkeys(OBSERVED, "it stands alone on the left of the '~'"),
    **dict.fromkeys(CURVES, "it is a term of its own, of a column, in the sum of the response's"),
    **dict.fromkeys(("B", "binary"), "write I(x == 'a')"),
    **dict.fromkeys(("p", "prop", "proportion"), "the response is a column of numbers"),
}


def check_functions(functions: Any) -> Functions:
    """Return the functions that a user adds, or none.

    Raises
    ------
    InputError
        If they are no mapping of new names to functions.
    """
    if functions is None:
        return {}
    if not isinstance(functions, Mapping):
        raise InputError(
            f"functions must map names to functions, as {{'f': f}}, not {type(functions).__name__}"
        )
    for name, function in functions.items():
        if not (isinstance(name, str) and name.isidentifier() and name[0].isalpha()):
            raise InputError(f"a formula cannot call {name!r}; a function's name is as 'f' or 'f2'")
        if name in (*LISTED, *OBSERVED, *CURVES):
            raise InputError(f"formulas have a function '{name}' already; give yours another name")
        if not callable(function):
            raise InputError(f"functions['{name}'] is a {type(function).__name__}, not a function")
    return functions


def namespace(functions: Functions) -> dict[str, Any]:
    """Return what formulae finds under the names of functions."""
    listed = {name: function.call for name, function in ELEMENTWISE.items()}
    numpy = SimpleNamespace(**listed)
    return {**functions, **listed, "np": numpy, "numpy": numpy}


def plain_name(name: str) -> str:
    """Return ``log`` of ``np.log``."""
    for module in ("np.", "numpy."):
        if name.removeprefix(module) in ELEMENTWISE:
            return name.removeprefix(module)
    return name


def why_not(name: str, functions: Collection[str]) -> str:
    """Return why a formula may not call a function, and what to do instead."""
    *modules, last = name.split(".")
    if last in _MENDS and not modules:
        return f"a formula may not call '{name}'; {_MENDS[last]}"
    if "random" in modules:
        return f"'{name}' draws at random; add a column with the draws to the data"
    if last in _OVER_ROWS:
        return (
            f"'{name}' runs over the rows, and new data have others; write center(x) or scale(x), "
            "which keep to the data of the fit, or add a column to the data"
        )
    suggestion = nearest(last, {*LISTED, *functions}) or ";"
    # only a plain name can be the user's own
    passed = "" if modules else f", or pass it from Python as functions={{'{last}': {last}}}"
    return (
        f"there is no function '{name}' for formulas{suggestion} add a column with its values to "
        f"the data{passed}"
    )
