"""Sentences such as ``x1 - x2 > 0``, read without evaluating anything but arithmetic of draws."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np

from robust_dist._errors import InputError
from robust_dist._words.names import listed, nearest

# letters, and brackets within brackets
_LONGEST, _NESTING = 10_000, 40
# a name may carry a level, as brand[b], and others after a colon, as x1:brand[b]
_NAME = r"[^\W\d][\w.]*(?:\[[^\]]*\])?"
_TOKEN = re.compile(
    rf"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | `(?P<quoted>[^`]+)`
    | (?P<name>{_NAME}(?::{_NAME})*)
    | (?P<sign>[-+*/()]|[<>]=?|=+)
    )""",
    re.VERBOSE,
)
_SUM = {"+": operator.add, "-": operator.sub}
_PRODUCT = {"*": operator.mul, "/": operator.truediv}


class Sentence(NamedTuple):
    """What a sentence says."""

    difference: np.ndarray
    """the left side minus the right side, of each draw"""
    greater: bool
    """whether that is said to be positive, not negative"""


def read_sentence(text: str, draws: Mapping[str, np.ndarray]) -> Sentence:
    """Return what a sentence says of these draws.

    Parameters
    ----------
    text
        Two sums, products or quotients of names and numbers with one of <, <=, > and >= between.
    draws
        Of each name.

    Raises
    ------
    InputError
        If the text is no such sentence, or has another name.
    """
    reader = _Reader(text, draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = reader.sum()
        comparison = reader.take("<", "<=", ">", ">=")
        if comparison is None:
            reader.refuse("a sign such as > is wanted")
        difference = np.asarray(left - reader.sum(), float)
    if reader.token is not None:
        reader.refuse("the sentence should end")
    return Sentence(difference, comparison in (">", ">="))


class _Reader:
    """The grammar, a method for each level of precedence."""

    def __init__(self, text: str, draws: Mapping[str, np.ndarray]) -> None:
        self.text, self.draws = text, draws
        if len(text) > _LONGEST:
            raise InputError(f"the hypothesis is longer than {_LONGEST} letters")
        self.tokens = self._tokens()
        self.token = next(self.tokens, None)
        self.depth = 0

    def _tokens(self) -> Any:
        """Yield the kind and the text of each token."""
        place, text = 0, self.text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise InputError(
                    f"cannot read the hypothesis '{self.text}' from '{text[place:].lstrip()}' on; "
                    "names with blanks or signs go in backticks"
                )
            place = match.end()
            yield match.lastgroup, match[str(match.lastgroup)]

    def refuse(self, reason: str) -> NoReturn:
        """Say what is wrong with the current token."""
        where = "at its end" if self.token is None else f"at '{self.token[1]}'"
        if self.token is not None and self.token[1].startswith("="):
            reason = "ask how probable a range is by > or <, or by rope="
        raise InputError(f"cannot read the hypothesis '{self.text}' {where}: {reason}")

    def take(self, *signs: str) -> str | None:
        """Return the current token if it is one of these signs, and go on."""
        if self.token is None or self.token[0] != "sign" or self.token[1] not in signs:
            return None
        sign = str(self.token[1])
        self.token = next(self.tokens, None)
        return sign

    def sum(self) -> Any:
        return self._chain(self.product, _SUM)

    def product(self) -> Any:
        return self._chain(self.factor, _PRODUCT)

    def _chain(self, operand: Callable[[], Any], operations: Mapping[str, Any]) -> Any:
        value = operand()
        while sign := self.take(*operations):
            value = operations[sign](value, operand())
        return value

    def factor(self) -> Any:
        """Return a number, the draws of a name, or what stands in brackets, with its sign."""
        sign = 1.0
        while negative := self.take("-", "+"):
            sign = -sign if negative == "-" else sign
        if self.take("("):
            self.depth += 1
            if self.depth > _NESTING:
                self.refuse(f"more than {_NESTING} brackets are open at once")
            value = self.sum()
            self.depth -= 1
            if self.take(")") is None:
                self.refuse("a bracket is not closed")
            return sign * value
        if self.token is None or self.token[0] == "sign":
            self.refuse("a name or a number is wanted")
        kind, text = self.token
        self.token = next(self.tokens, None)
        return sign * (np.float64(text) if kind == "number" else self._named(text))

    def _named(self, name: str) -> np.ndarray:
        if name not in self.draws:
            known = list(self.draws)
            raise InputError(
                f"no '{name}' to make a hypothesis of{nearest(name, known) or ';'} "
                f"there are: {listed(known, 20)}"
            )
        return self.draws[name]
