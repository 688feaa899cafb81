"""From a formula and a data frame to a response and a design matrix, or a clear error."""

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from robust_dist._errors import InputError
from robust_dist.datasets import nearest, row_name

# What a formula may call, besides what formulae itself provides. Formulae would otherwise look
# names up among the local variables of whoever called it.
_FUNCTIONS = {
    "np": np,
    **{
        name: getattr(np, name)
        for name in ("abs", "cos", "exp", "expm1", "log", "log10", "log1p", "log2", "sin", "sqrt")
    },
}


@dataclass(frozen=True)
class Design:
    """The numbers of a regression, in the user's own units and double precision."""

    y: np.ndarray
    """the response, shape (n,)"""
    x: np.ndarray
    """the design matrix, shape (n, p)"""
    response: str
    coefficients: tuple[str, ...]
    rows: tuple[Any, ...]
    """the labels of the rows"""

    @property
    def intercept(self) -> int | None:
        """The column that holds the constant, if the formula has one."""
        return self.coefficients.index("Intercept") if "Intercept" in self.coefficients else None


def make_design(formula: str, data: pd.DataFrame) -> Design:
    """Evaluate a formula in a data frame.

    Parameters
    ----------
    formula
        Such as ``"y ~ x1 + log(x2) + group"``. A name that is no Python identifier goes in
        backticks.
    data
        The columns that the formula names. Strings and categories become indicator columns.

    Raises
    ------
    InputError
        If the formula or the data cannot be used; the message says why.
    """
    description = _parse(formula)
    _check_columns(formula, description.var_names, data)
    matrices = _evaluate(formula, description, data)
    if matrices.response is None:
        raise InputError(f"the formula '{formula}' names no response; write 'y ~ ...'")
    if matrices.group is not None:
        raise InputError(f"group-specific terms are not supported yet; drop them from '{formula}'")
    if matrices.common is None:
        raise InputError(f"the formula '{formula}' leaves no coefficient to fit")
    x = matrices.common.as_dataframe()
    if any(name.startswith("offset(") for name in x.columns):
        raise InputError(f"offset() is not supported yet; drop it from '{formula}'")
    design = Design(
        y=_response(matrices.response, data),
        x=np.asarray(x, float),
        response=matrices.response.name,
        coefficients=tuple(str(name) for name in x.columns),
        rows=tuple(data.index.tolist()),
    )
    _check_numbers(design, data)
    return design


def _parse(formula: str) -> Any:
    """Return formulae's description of the model."""
    from formulae.parser import ParseError, Parser
    from formulae.resolver import Resolver, ResolverError
    from formulae.scanner import ScanError, Scanner
    from formulae.terms.terms import Model

    hint = "; names with blanks or signs go in backticks"
    if formula.count("`") % 2:
        raise InputError(f"cannot read the formula '{formula}': a backtick is not closed")
    try:
        parser = Parser(Scanner(formula).scan())
        tree = parser.parse()
        if not parser.at_end():
            # formulae ignores what follows a complete formula, such as the "| g" of "y ~ x | g"
            rest = parser.peek().lexeme
            raise InputError(f"cannot read the formula '{formula}' from '{rest}' on{hint}")
        description = Resolver(tree).resolve()
    except (ScanError, ParseError, ResolverError) as error:
        reason = str(error).rstrip(".")
        if reason.endswith("''"):
            reason = "it ends too early"
        raise InputError(f"cannot read the formula '{formula}': {reason}{hint}") from None
    return description if isinstance(description, Model) else Model(description)


def _check_columns(formula: str, names: set[Any], data: pd.DataFrame) -> None:
    """Refuse names that are no columns, and columns with missing or misread values."""
    for name in sorted(names, key=str):
        if name == "":  # a literal in a call, as the 2 of poly(x, 2)
            continue
        if not isinstance(name, str):
            raise InputError(
                f"the formula '{formula}' uses the number {name} as a term; "
                f"write I({name} * x) for arithmetic"
            )
        if name not in data.columns:
            known = ", ".join(map(str, data.columns))
            suggestion = nearest(name, map(str, data.columns)) or ";"
            raise InputError(f"no column '{name}' in the data{suggestion} There are: {known}")
        _check_column(name, data)


def _check_column(name: str, data: pd.DataFrame) -> None:
    """Refuse missing values, and a column of numbers that one stray word turned into labels."""
    column = data[name]
    if isinstance(column, pd.DataFrame):
        raise InputError(f"the data have several columns named '{name}'; rename them")
    missing = np.flatnonzero(column.isna())
    if missing.size:
        raise InputError(
            f"column '{name}' has no value (NaN) in {_rows(data, missing)}; "
            "fill it in or delete the row"
        )
    if pd.api.types.is_string_dtype(column.dtype):
        words = np.flatnonzero(pd.to_numeric(column, errors="coerce").isna())
        if words.size < len(column) / 2:
            raise InputError(
                f"column '{name}' holds '{column.iloc[words[0]]}', which is no number, "
                f"in {_rows(data, words)}; correct it or delete the row"
                if words.size
                else f"column '{name}' holds numbers as text; convert it first"
            )


def _evaluate(formula: str, description: Any, data: pd.DataFrame) -> Any:
    """Return formulae's matrices."""
    from formulae.environment import Environment
    from formulae.matrices import DesignMatrices

    try:
        # formulae prints before it raises; infinities and NaN are looked for afterwards
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            return DesignMatrices(description, data, Environment([_FUNCTIONS]))
    except KeyError as error:
        raise InputError(
            f"cannot evaluate the formula '{formula}': there is no function {error}"
        ) from None
    except Exception as error:
        # a formula may call any function, which may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot evaluate the formula '{formula}': {reason}") from None


def _response(response: Any, data: pd.DataFrame) -> np.ndarray:
    """Return the response, which must be a column of numbers."""
    values = np.asarray(response.design_matrix)
    if response.kind != "numeric" or values.ndim != 1 or values.dtype == bool:
        example = f" (it holds '{data[response.name].iloc[0]}')" if response.name in data else ""
        raise InputError(
            f"the response '{response.name}' is not numeric{example}; "
            "a regression needs a column of numbers on the left"
        )
    return values.astype(float)


def _rows(data: pd.DataFrame, positions: np.ndarray) -> str:
    """Return the name of the first of these rows, and how many more there are."""
    more = f" and {positions.size - 1} more" if positions.size > 1 else ""
    return row_name(data, int(positions[0])) + more


def _check_numbers(design: Design, data: pd.DataFrame) -> None:
    """Refuse what no regression can be fitted to."""
    n, p = design.x.shape
    columns = {design.response: design.y, **dict(zip(design.coefficients, design.x.T, strict=True))}
    for name, values in columns.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            what = "no number (NaN)" if np.isnan(values[bad[0]]) else "an infinite value"
            raise InputError(
                f"'{name}' is {what} in {_rows(data, bad)}; correct it or delete the row"
            )
    if n < p:
        raise InputError(f"fewer rows ({n}) than coefficients ({p}); simplify the formula")
    if np.ptp(design.y) == 0:
        raise InputError(f"the response '{design.response}' is constant: there is nothing to fit")
    _check_rank(design)
    if n == p:
        raise InputError(
            f"as many coefficients as rows ({n}): the fit passes through every point and leaves "
            "no noise to learn from; simplify the formula"
        )


def _check_rank(design: Design) -> None:
    """Refuse a column that the columns before it determine."""
    size = np.abs(design.x).max(axis=0)
    constant = np.ptp(design.x, axis=0) == 0
    for column, name in enumerate(design.coefficients):
        redundant = design.intercept is not None and column != design.intercept
        if size[column] == 0 or (constant[column] and redundant):
            raise InputError(f"column '{name}' of the design is constant; drop it from the formula")
    upper = np.linalg.qr(design.x / size, mode="r")
    norm = np.linalg.norm(upper, axis=0)
    # what rounding leaves of a column that is an exact combination of those before it
    dependent = np.flatnonzero(np.abs(np.diag(upper)) <= 1e-12 * norm)
    if dependent.size:
        raise InputError(
            f"the design is rank-deficient: column '{design.coefficients[dependent[0]]}' is a "
            "combination of the columns before it; drop it from the formula"
        )
