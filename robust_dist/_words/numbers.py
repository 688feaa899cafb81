"""Numbers as text: plain where a person can read that, else in scientific notation."""

import math

_SMALL, _LARGE = 1e-9, 1e9
# significant digits that a double holds
_DIGITS = 16


def decimal(value: float, places: int, sign: str = "-") -> str:
    """Return a number to so many decimals, but in scientific notation below 1e-9 and from 1e9 on.

    Scientific notation has the same last digit, and two digits at least; neither has more digits
    than a double holds.

    Parameters
    ----------
    value
        The number.
    places
        Decimals; below 0, and where the number is plain, none.
    sign
        ``"+"`` to write the sign of positive numbers too.
    """
    size = abs(value)
    if size == 0 or not math.isfinite(value):
        return f"{value:{sign}.{max(0, min(places, 3))}f}"
    exponent = math.floor(math.log10(size))
    if _SMALL <= size < _LARGE:
        return f"{value:{sign}.{max(0, min(places, _DIGITS - 1 - exponent))}f}"
    return f"{value:{sign}.{max(1, min(exponent + places, _DIGITS - 1))}e}"


def to_precision(value: float, sd: float) -> str:
    """Return a number to the second digit of its standard deviation, as ``decimal`` writes it.

    Five digits where there is no standard deviation, as for a single draw.
    """
    if not 0 < sd < math.inf:
        sd = 1e-3 * abs(value)
    places = 1 - math.floor(math.log10(sd)) if 0 < sd < math.inf else 3
    return decimal(value, places)
