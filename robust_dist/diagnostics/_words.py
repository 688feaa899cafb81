"""Lists in sentences."""

from collections.abc import Sequence


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return "a, b and c", or the first few and how many more."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
