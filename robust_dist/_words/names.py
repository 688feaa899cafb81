"""Names: a list of them in a sentence, and the one that was probably meant."""

import difflib
from collections.abc import Iterable, Sequence


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return "a, b and c", or the first few and how many more."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" for the known word most like this one, or nothing."""
    known = list(known)
    folded = {name.casefold(): name for name in known}
    matches = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean '{folded[matches[0]]}'?" if matches else ""
