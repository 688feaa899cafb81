"""Text of unknown origin on its way to a screen."""

import unicodedata

# joiners, of which the spelling of Persian or Hindi has need
_JOINERS = "\u200c\u200d"


def printable(text: object) -> str:
    r"""Return a text with control characters written out, as ``\x1b`` or ``\u202e``.

    A column, a level or a file may be named with characters that move a terminal's cursor, start a
    new line, reverse the order of reading or cannot be encoded; a name that has passed here can do
    nothing but be read.
    """
    return "".join(
        letter.encode("unicode_escape").decode("ascii") if is_control(letter) else letter
        for letter in str(text)
    )


def is_control(letter: str) -> bool:
    """Whether a character controls a screen: C0, C1, line breaks, bidi and other formatting."""
    category = unicodedata.category(letter)
    return category in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in _JOINERS


def printable_lines(text: str) -> str:
    """Return a text of several lines, each :func:`printable`."""
    return "\n".join(map(printable, text.split("\n")))


def shortened(text: str, longest: int = 1000) -> str:
    """Return a text without its middle if it is longer than so many letters."""
    if len(text) <= longest:
        return text
    return f"{text[: 2 * longest // 3]} ... {text[-longest // 3 :]}"
