"""A prior as it is written on the command line."""

import ast
from collections.abc import Sequence
from typing import Any

from robust_dist._errors import InputError
from robust_dist.datasets import nearest


def read_priors(texts: Sequence[str]) -> dict[str, Any]:
    """Return the priors of texts such as ``alpha=Beta(2, 2)`` and ``sigma=1``.

    Raises
    ------
    InputError
        If a text is no name, an equals sign, and a number or a distribution of numbers.
    """
    priors = {}
    for text in texts:
        name, equals, law = text.partition("=")
        if not equals or not name.strip() or not law.strip():
            raise InputError(f"cannot read the prior '{text}'; write it as 'alpha=Beta(2, 2)'")
        if name.strip() in priors:
            raise InputError(f"two priors for '{name.strip()}'")
        priors[name.strip()] = _law(law.strip())
    return priors


def _law(text: str) -> Any:
    """Return a number, or a distribution."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise InputError(f"cannot read the prior's '{text}'") from None
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return _number(node, text)
    from numpyro import distributions

    from robust_dist import ReferenceAlpha

    laws = {
        name: law
        for name, law in vars(distributions).items()
        if isinstance(law, type) and issubclass(law, distributions.Distribution)
    } | {"ReferenceAlpha": ReferenceAlpha}
    name = node.func.id
    if name not in laws:
        raise InputError(
            f"no distribution '{name}'{nearest(name, laws)}; NumPyro's names are understood"
        )
    places = [_number(value, text) for value in node.args]
    named = {str(word.arg): _number(word.value, text) for word in node.keywords}
    try:
        return laws[name](*places, **named, validate_args=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"'{text}' is no distribution: {' '.join(str(error).split())}") from None


def _number(node: ast.expr, text: str) -> float:
    """Return the number that a part of the text writes."""
    try:
        return float(ast.unparse(node))
    except ValueError:
        raise InputError(
            f"cannot read '{ast.unparse(node)}' in the prior's '{text}' as a number"
        ) from None
