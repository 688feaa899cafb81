"""A prior as it is written on the command line."""

import math
import re
from collections.abc import Sequence
from typing import Any

from robust_dist._errors import InputError
from robust_dist._words.names import nearest
from robust_dist.cli._read_numbers import read_number

# A name may hold anything, as those of C(k)[T.b] and bs(x, df=4)[0] do: it ends at the first equals
# sign behind which there is nothing but one distribution of numbers, or one word.
_PRIOR = re.compile(
    r"(?P<name>.+?)=\s*(?:(?P<law>[^\W\d]\w*)\s*\((?P<arguments>[^()]*)\)|(?P<number>[^\s=()]+))\s*",
    re.DOTALL,
)


def read_priors(texts: Sequence[str]) -> dict[str, Any]:
    """Return the priors of texts such as ``air_flow=Normal(0, 1)`` and ``sigma=1``.

    Raises
    ------
    InputError
        If a text is no name, an equals sign, and a number or a distribution of numbers.
    """
    priors: dict[str, Any] = {}
    for text in texts:
        parts = _PRIOR.fullmatch(text)
        name = parts["name"].strip() if parts else ""
        if parts is None or not name:
            raise InputError(f"cannot read the prior '{text}'; write it as 'alpha=Beta(2, 2)'")
        if name in priors:
            raise InputError(f"two priors for '{name}'")
        if parts["law"]:
            priors[name] = _law(parts["law"], parts["arguments"])
        else:
            priors[name] = _number(parts["number"])
    return priors


def _law(name: str, arguments: str) -> Any:
    """Return a distribution."""
    from numpyro import distributions

    from robust_dist import ReferenceAlpha

    laws = {law: getattr(distributions, law) for law in distributions.__all__ if law[0].isupper()}
    laws["ReferenceAlpha"] = ReferenceAlpha
    if name not in laws:
        raise InputError(
            f"no distribution '{name}'{nearest(name, laws)}; NumPyro's names are understood"
        )
    text = f"{name}({arguments})"
    places: list[float] = []
    words: dict[str, float] = {}
    for argument in arguments.split(",") if arguments.strip() else ():
        word, equals, number = map(str.strip, argument.partition("="))
        if word in words:
            raise InputError(f"'{text}' has two values for '{word}'")
        if equals:
            words[word] = _number(number)
        else:
            places.append(_number(word))
    try:
        law = laws[name](*places, **words, validate_args=True)
    except Exception as error:  # of any kind: what each law does with numbers it is not made for
        reason = " ".join(str(error).split())
        raise InputError(f"'{text}' is no distribution: {reason or type(error).__name__}") from None
    if not isinstance(law, distributions.Distribution):  # of a law, where a number was given
        raise InputError(f"'{text}' is no distribution of numbers")
    return law


def _number(text: str) -> float:
    """Return the number that a part of a prior writes."""
    number = read_number(text)
    if math.isnan(number):
        raise InputError(f"cannot read the prior's '{text}' as a number")
    if math.isfinite(number) and number and not 1e-30 < abs(number) < 1e30:
        raise InputError(f"the prior's '{text}' is out of the reach of single precision")
    return number
