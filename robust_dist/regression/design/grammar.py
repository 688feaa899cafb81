"""From the text of a formula to formulae's model of it, with nothing evaluated on the way.

The text may come from a stranger's file. So its parsed tree is checked against a list: of functions
(``functions``), and of what may stand where. How far it may reach is limited before
anything is expanded or computed.
"""

import math
from collections.abc import Collection, Iterable
from copy import deepcopy
from typing import Any, NamedTuple

from formulae.expr import Assign, Binary, Call, Grouping, Literal, QuotedName, Unary, Variable
from formulae.parser import ParseError, Parser
from formulae.resolver import Resolver, ResolverError
from formulae.scanner import ScanError, Scanner
from formulae.terms.terms import Intercept, Model, NegatedIntercept
from formulae.terms.variable import Variable as Column
from formulae.token import Token

from robust_dist._errors import InputError
from robust_dist.regression.design.curves import GAUSSIAN, Curve
from robust_dist.regression.design.curves import take_off as take_off_curves
from robust_dist.regression.design.functions import (
    BASES,
    CATEGORICAL,
    CONTRASTS,
    ELEMENTWISE,
    REMEMBERING,
    plain_name,
    why_not,
)
from robust_dist.regression.design.observed import Observed, take_off

# characters; brackets within brackets; terms after expansion; operations within a function;
# columns of a spline or polynomial
_LENGTH, _NESTING, _TERMS, _DEPTH, _SIZE = 100_000, 40, 2000, 100, 2000

_ARITHMETIC = ("PLUS", "MINUS", "STAR", "SLASH", "STAR_STAR")
# options of splines that are no size
_UNLIMITED = ("lower_bound", "upper_bound", "period", "seed")
_EQUALITY = ("EQUAL_EQUAL", "BANG_EQUAL")
_COMPARISON = (*_EQUALITY, "LESS_EQUAL", "LESS", "GREATER_EQUAL", "GREATER")
_SUM, _CROSSING = ("PLUS", "MINUS"), ("COLON", "STAR", "SLASH")


class Formula(NamedTuple):
    """A formula that may be evaluated."""

    model: Any
    """formulae's description"""
    columns: tuple[str, ...]
    """what it names"""
    numeric: tuple[str, ...]
    """those of them that it computes with, which must be numbers"""
    correlated: tuple[tuple[str, ...], ...]
    """the group-specific terms whose effects are correlated, as by ``(x | g)``"""
    observed: Observed | None
    """how the response is observed, if not all of it is; expressions as formulae's description"""
    curves: tuple[Curve, ...]
    """the terms that are no columns"""


def read_formula(text: str, functions: Collection[str] = ()) -> Formula:
    """Return the formula that a text holds.

    Parameters
    ----------
    text
        Such as ``"y ~ x1 + log(x2) + (1 | group)"``.
    functions
        The names of those that may be called besides the listed ones.

    Raises
    ------
    InputError
        If the text is no formula, calls what is not listed, or is too long, too deep or too wide.
    """
    try:
        tree = _parse(text)
        reader = _Reader(text, functions)
        observed = take_off(tree, reader.refusal)
        tree, curves = take_off_curves(tree, reader.refusal)
        reader.read(tree)
        resolver = _Resolver(text)
        model = _resolved(text, tree, resolver)
        _check_use(text, model, reader.columns)
        for curve in curves:
            reader.columns[curve.column] = None
            if curve.kind == GAUSSIAN:
                reader.numeric[curve.column] = None
        if observed is not None:
            observed = _read_bounds(text, reader, observed)
    except RecursionError:
        raise InputError(f"cannot read the formula '{text}': it is nested too deeply") from None
    correlated = tuple(map(tuple, resolver.correlated))
    return Formula(
        model, tuple(reader.columns), tuple(reader.numeric), correlated, observed, curves
    )


def _read_bounds(text: str, reader: "_Reader", observed: Observed) -> Observed:
    """Return what is known of a response, its expressions checked and resolved as terms."""
    bounds = {}
    for name, bound in observed.bounds.items():
        if not isinstance(bound, float):
            bound = Binary(bound, Token("TILDE", "~"), Literal(1))
            reader.read_bound(bound.left)
            bound = _resolved(text, bound, _Resolver(text))
        bounds[name] = bound
    if observed.status is not None:
        reader.columns[observed.status] = None
    return observed._replace(bounds=bounds)


def _parse(text: str) -> Any:
    """Return the tree of a text."""
    start = f"cannot read the formula '{text}'"
    hint = "; names with blanks or signs go in backticks"
    if len(text) > _LENGTH:
        raise InputError(f"{start}: it is longer than {_LENGTH} letters")
    if text.count("`") % 2:
        raise InputError(f"{start}: a backtick is not closed")
    try:
        tokens = Scanner(text).scan()
        _check_nesting(tokens, start)
        parser = Parser(_with_double_pipes(tokens))
        tree = parser.parse()
    except InputError:
        raise
    except (ScanError, ParseError) as error:
        reason = str(error).rstrip(".")
        if not text.strip() or reason.endswith("''"):
            reason = "it ends too early"
        raise InputError(f"{start}: {reason}{hint}") from None
    except (ValueError, IndexError):  # of digits that are no number, of quotes around a backtick
        raise InputError(f"{start}: a number or a name in it is none") from None
    if not parser.at_end():
        # formulae ignores what follows a complete formula, such as the "| g" of "y ~ x | g"
        remainder = parser.peek().lexeme
        raise InputError(f"{start} from '{remainder}' on{hint}")
    return tree


def _with_double_pipes(tokens: list[Any]) -> list[Any]:
    """Return tokens in which '||', which formulae does not know, is one and of the kind of '|'."""
    joined: list[Any] = []
    for token in tokens:
        before = joined[-1] if joined else token
        if token.kind == before.kind == "PIPE" and before is not token and before.lexeme == "|":
            joined[-1] = Token("PIPE", "||")
        else:
            joined.append(token)
    return joined


def _check_nesting(tokens: list[Any], start: str) -> None:
    """Refuse brackets so deep that a parser might run out of stack."""
    depth = 0
    for token in tokens:
        depth += token.kind.startswith("LEFT_") - token.kind.startswith("RIGHT_")
        if depth > _NESTING:
            raise InputError(f"{start}: more than {_NESTING} brackets are open at once")


def _resolved(text: str, tree: Any, resolver: "_Resolver") -> Any:
    """Return formulae's model of a tree."""
    try:
        model = tree.accept(resolver)
        model = model if isinstance(model, Model) else Model(model)
    except InputError:
        raise
    except (ResolverError, TypeError, ValueError, AttributeError, NameError) as error:
        spline = next((name for name in BASES if f"'{name}'" in str(error)), None)
        if spline is not None:
            raise InputError(
                f"the formula '{text}' multiplies {spline}(...), which formulae does not; "
                "poly(x, 3) can be multiplied"
            ) from None
        # formulae does not expect every combination of terms
        raise InputError(
            f"the terms of the formula '{text}' do not combine; arithmetic goes into I(...)"
        ) from None
    names = [str(term.name) for term in model.terms]
    if len({*names}) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"two terms of the formula '{text}' are called '{name}'; make a column of one of them"
        )
    for term in model.group_terms:
        for part in term.factor.components:
            if getattr(getattr(part, "call", None), "callee", None) in (*CATEGORICAL, *BASES):
                raise InputError(
                    f"the formula '{text}' groups by {part.name}; any column makes groups, as "
                    "(1 | g) does"
                )
    # formulae shares a column among the terms of a product, although their coding may differ
    model.common_terms = [deepcopy(term) for term in model.common_terms]
    return model


def _check_use(text: str, model: Any, columns: Iterable[str]) -> None:
    """Refuse columns that are named to no effect: taken away again, or a term of themselves."""
    for name in columns:
        if name not in model.var_names:
            raise InputError(
                f"the formula '{text}' adds '{name}' and takes it away again; leave both out"
            )
    for term in model.group_terms:
        for part in term.factor.components:
            if isinstance(part, Column) and part.name in term.expr.var_names:
                raise InputError(
                    f"'({term.name})' in the formula '{text}' varies with itself: within a "
                    f"level of '{part.name}' it is constant; write (1 | {part.name})"
                )
    response = model.response.term.var_names if model.response is not None else set()
    terms = [*model.common_terms, *model.group_terms]
    if len(response) == 1 and any(response & term.var_names for term in terms):
        raise InputError(
            f"'{min(response)}' stands on both sides of the '~' in the formula '{text}'; "
            "take it off the right"
        )


def _unrolled(tree: Any) -> tuple[Any, list[tuple[str, Any]]]:
    """Return the first term of a sum, and the signs and terms after it."""
    steps = []
    while isinstance(tree, Binary) and tree.operator.kind in _SUM:
        steps.append((tree.operator.kind, tree.right))
        tree = tree.left
    return tree, steps[::-1]


class _Reader:
    """Walks over a tree, refuses what is not listed, and notes the columns."""

    def __init__(self, text: str, functions: Collection[str]) -> None:
        self.text = text
        self.functions = functions
        self.columns: dict[str, None] = {}
        self.numeric: dict[str, None] = {}

    def read(self, tree: Any) -> None:
        """Read a whole formula."""
        if isinstance(tree, Binary) and tree.operator.kind == "TILDE":
            self._response(tree.left)
            tree = tree.right
        self._terms(tree)

    def read_bound(self, tree: Any) -> None:
        """Read a bound of the response: a column of numbers, or a function of columns."""
        if not isinstance(tree, Variable | QuotedName | Call):
            raise self.refusal(
                "a bound of the response is a number, a column, or a function such as log(limit)"
            )
        if isinstance(tree, Call):
            self._term_of_call(tree)
        else:
            self._column(tree, numeric=True)

    def refusal(self, reason: str) -> InputError:
        """Return the error that this formula cannot be used."""
        return InputError(f"cannot use the formula '{self.text}': {reason}")

    def _response(self, tree: Any) -> None:
        while isinstance(tree, Grouping):
            tree = tree.expression
        if not isinstance(tree, Variable | QuotedName | Call):
            raise self.refusal(
                "one column, or a function of it such as log(y), goes before the '~'"
            )
        self._terms(tree)

    # --- terms ---------------------------------------------------------------------------------

    def _terms(self, tree: Any) -> int:
        """Read terms, and return an upper bound of how many they expand to."""
        match tree:
            case Grouping():
                count = self._terms(tree.expression)
            case Variable() | QuotedName():
                self._column(tree)
                count = 1
            case Call():
                self._term_of_call(tree)
                count = 1
            case Literal():
                self._intercept(tree)
                count = 1
            case Unary():
                if tree.operator.kind == "MINUS" and not isinstance(tree.right, Literal):
                    raise self.refusal("a '-' stands before a term that is no number; write I(-x)")
                count = self._terms(tree.right)
            case Binary() if tree.operator.kind in _SUM:
                first, steps = _unrolled(tree)
                count = self._terms(first) + sum(self._terms(term) for _, term in steps)
            case Binary():
                count = self._crossed(tree)
            case _:
                raise self.refusal("'=' stands outside of a function")
        if count > _TERMS:
            raise self.refusal(f"there are more than {_TERMS} terms; leave some out")
        return count

    def _intercept(self, tree: Any) -> None:
        value = tree.value
        if isinstance(value, str):
            raise self.refusal(f"'{value}' is in quotes, as text; a column has none, or backticks")
        if isinstance(value, bool) or value is None:
            raise self.refusal(f"{value} is no term; write 0 or 1 for the intercept")
        if value not in (0, 1):
            raise self.refusal(_number_as_term(value, f"{value} * x"))

    def _crossed(self, tree: Any) -> int:
        """Read terms that are combined, and return an upper bound of how many come of it."""
        kind, left, right = tree.operator.kind, tree.left, tree.right
        if kind in _COMPARISON:
            raise self.refusal("a comparison stands outside of a function; write I(x > 0)")
        if kind == "STAR_STAR":
            return self._power(left, right)
        if kind == "PIPE":
            return self._grouped(left, right)
        if kind not in _CROSSING:
            raise self.refusal(f"'{tree.operator.lexeme}' stands where terms are expected")
        for side in (left, right):
            if isinstance(side, Literal):
                sign = "*" if kind == "COLON" else tree.operator.lexeme
                example = f"{side.value} {sign} x" if side is left else f"x {sign} {side.value}"
                raise self.refusal(_number_as_term(side.value, example))
        if left == right:
            raise self.refusal(
                "a term crossed with itself adds nothing; write I(x**2) for its square"
            )
        first, second = self._terms(left), self._terms(right)
        if kind == "COLON":
            return first * second
        return first + second + (first * second if kind == "STAR" else 0)

    def _power(self, left: Any, right: Any) -> int:
        order = right.value if isinstance(right, Literal) else None
        count = self._terms(left)
        if type(order) is not int or order < 1 or count < 2:
            raise self.refusal(
                "'**' outside of a function crosses terms, as (a + b)**2; write I(x**2)"
            )
        right.value = min(order, count)  # formulae counts up to it, however large
        total = 0
        for chosen in range(1, right.value + 1):
            total += math.comb(count, chosen)
            if total > _TERMS:
                break
        return total

    def _grouped(self, left: Any, right: Any) -> int:
        effect = left
        while isinstance(effect, Grouping):
            effect = effect.expression
        if isinstance(effect, Unary) or (isinstance(effect, Literal) and effect.value == 0):
            raise self.refusal("nothing varies with the group; write (1 | g), or (0 + x | g)")
        if any(isinstance(side, Binary) and side.operator.kind == "PIPE" for side in (left, right)):
            raise self.refusal("a '|' follows another; write (x | g) + (x | h)")
        if isinstance(right, Literal | Unary):
            raise self.refusal("no column stands after a '|'; write (1 | g)")
        return (self._terms(left) + 1) * self._terms(right)

    def _column(self, tree: Any, numeric: bool = False) -> None:
        if isinstance(tree, Variable) and tree.level is not None:
            raise self.refusal("a column is followed by '['; write I(x == 'a')")
        name = tree.name.lexeme if isinstance(tree, Variable) else tree.expression.lexeme[1:-1]
        self.columns[name] = None
        if numeric:
            self.numeric[name] = None

    # --- functions -----------------------------------------------------------------------------

    def _name(self, tree: Any) -> str:
        if not isinstance(tree.callee, Variable) or tree.callee.level is not None:
            raise self.refusal("what is called is no function's name")
        return str(tree.callee.name.lexeme)

    def _term_of_call(self, tree: Any) -> None:
        """Read a call that is a term."""
        name = self._name(tree)
        if name in (*CATEGORICAL, *BASES):
            varies = self._columns_of_call(name, tree)
        else:
            varies = self._call(tree, numeric=False, depth=0)
        if not varies:
            raise self.refusal(f"{name}(...) names no column")

    def _columns_of_call(self, name: str, tree: Any) -> bool:
        """Read a call that makes several columns: of an expression, and constants."""
        expression, *options = tree.args or [None]
        if expression is None or isinstance(expression, Assign):
            raise self.refusal(f"{name}() is given no column; write {name}(x)")
        for given in options:
            option = given.name.name.lexeme if isinstance(given, Assign) else "a number"
            value = _of_argument(given)
            contrast = isinstance(value, Call) and self._name(value) in CONTRASTS
            for part in value.args if name == "C" and contrast else [value]:
                constant = _of_argument(part)
                constant = constant.right if isinstance(constant, Unary) else constant
                if not isinstance(constant, Literal):
                    raise self.refusal(f"{name}(x, ...) takes numbers and text after its column")
                large = type(constant.value) is int and constant.value > _SIZE
                if name in BASES and large and option not in _UNLIMITED:
                    raise self.refusal(f"{name}(...) is given {option} above {_SIZE}")
        return self._value(expression, numeric=name in BASES, depth=0)

    def _call(self, tree: Any, numeric: bool, depth: int) -> bool:
        """Read a call that gives each row one value; return whether a column is in it."""
        name = self._name(tree)
        if name in (*CATEGORICAL, *BASES, *CONTRASTS):
            raise self.refusal(f"{name}(...) is part of another term; it must be a term of its own")
        if name in self.functions:
            return self._values(map(_of_argument, tree.args), False, depth)
        plain = plain_name(name)
        if plain not in ELEMENTWISE and name not in (*REMEMBERING, "I"):
            raise self.refusal(why_not(name, self.functions))
        counts = ELEMENTWISE[plain].arguments if plain in ELEMENTWISE else (1,)
        if len(tree.args) not in counts or any(isinstance(part, Assign) for part in tree.args):
            words = " or ".join(map(str, counts))
            raise self.refusal(
                f"{name}() takes {words} argument{'s' * (words != '1')}, without names"
            )
        numeric = numeric or name != "I"
        return self._values(tree.args, numeric, depth)

    def _value(self, tree: Any, numeric: bool, depth: int) -> bool:
        """Read an expression within a function; return whether a column is in it.

        numeric says that it is computed with. Then text is refused, and whole numbers are made
        floats: these neither wrap around nor, as ``9**9**9**9``, take for ever.
        """
        if depth > _DEPTH:
            raise self.refusal(f"more than {_DEPTH} operations are one within the other")
        depth += 1
        match tree:
            case Grouping():
                return self._value(tree.expression, numeric, depth)
            case Variable() | QuotedName():
                self._column(tree, numeric)
                return True
            case Call():
                return self._call(tree, numeric, depth)
            case Literal():
                self._constant(tree, numeric)
                return False
            case Unary():
                return self._value(tree.right, True, depth)
            case Binary() if tree.operator.kind in (*_COMPARISON, *_ARITHMETIC):
                numeric = tree.operator.kind not in _EQUALITY
                return self._values((tree.left, tree.right), numeric, depth)
        lexeme = tree.operator.lexeme if isinstance(tree, Binary) else "="
        raise self.refusal(f"'{lexeme}' is part of a function, where it has no meaning")

    def _values(self, trees: Iterable[Any], numeric: bool, depth: int) -> bool:
        """Read each of several expressions; return whether a column is in any."""
        varies = False
        for tree in trees:
            varies |= self._value(tree, numeric, depth)
        return varies

    def _constant(self, tree: Any, numeric: bool) -> None:
        if not numeric or isinstance(tree.value, bool):
            return
        if not isinstance(tree.value, int | float):
            raise self.refusal(f"{tree.value!r} is no number, and is computed with")
        tree.lexeme = str(tree.value)  # by which the coefficient is called
        try:
            tree.value = float(tree.value)
        except OverflowError:
            raise self.refusal(f"the number {tree.value} is too large") from None


def _number_as_term(value: object, example: str) -> str:
    return f"the number {value} is a term; arithmetic goes into I(...), as I({example})"


def _of_argument(given: Any) -> Any:
    """Return the value of an argument, with or without a name."""
    return given.value if isinstance(given, Assign) else given


class _Resolver(Resolver):
    """Formulae's, for sums of any length, and for subtracted terms that are there."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.correlated: list[list[str]] = []
        """the names of the terms of each ``|``, by group"""

    def visitBinaryExpr(self, tree: Any) -> Any:  # noqa: N802
        """Return the model of two that are combined."""
        if tree.operator.kind == "STAR":
            left, right = tree.left.accept(self), tree.right.accept(self)
            # formulae's own product hashes terms, which it cannot if there is a number in one
            cross = left @ right
            return left + right + cross
        if tree.operator.kind == "PIPE":
            return self._grouped(tree)
        if tree.operator.kind not in _SUM:
            return super().visitBinaryExpr(tree)
        first, steps = _unrolled(tree)
        model = first.accept(self)
        for sign, right in steps:
            term = right.accept(self)
            model = model + term if sign == "PLUS" else self._without(model, term)
        return model

    def _grouped(self, tree: Any) -> Any:
        """Return group-specific terms, and remember which are correlated."""
        model = super().visitBinaryExpr(tree)
        if tree.operator.lexeme == "|":
            by_group: dict[str, list[str]] = {}
            for term in model.terms if isinstance(model, Model) else [model]:
                by_group.setdefault(term.factor.name, []).append(term.name)
            self.correlated.extend(by_group.values())
        return model

    def _without(self, model: Any, term: Any) -> Any:
        """Return the model without a term that it has."""
        present = model.terms if isinstance(model, Model) else [model]
        for part in term.terms if isinstance(term, Model) else [term]:
            if not isinstance(part, Intercept | NegatedIntercept) and part not in present:
                raise InputError(
                    f"the formula '{self._text}' takes '{part.name}' away, which is not there"
                )
        return model - term
