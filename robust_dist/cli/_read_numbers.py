"""Numbers of the command line, not as Python reads its own: ``1_0`` is a slip of the finger."""

import math
import re


def read_number(text: str) -> float:
    """Return the number that a text writes, or NaN if it writes none, or one beyond all floats."""
    try:
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan
    return math.nan if math.isinf(number) and "inf" not in text.lower() else number


def read_whole(text: str) -> int:
    """Return the whole number that up to ten digits write, or -1."""
    return int(text) if re.fullmatch("[0-9]{1,10}", text) else -1
