"""The one exception for mistakes in what a user gave."""

from robust_dist._words.text import printable, shortened

NEGATIVE_ALPHA = (
    "for a negative alpha the loss is bounded and has a law on a bounded window only: "
    "TruncatedGeneralRobust(alpha, loc, scale, low=..., high=...)"
)


class InputError(ValueError):
    """A mistake in a file, a formula or an option.

    The message is one line that names the thing at fault and says what to do about it; the command
    line prints it as it stands. Control characters in names it quotes are written out, and names of
    thousands of letters are cut in the middle.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shortened(printable(shortened(message))))


class FormulaWarning(UserWarning):
    """A formula is fitted as it is, but its answer may not be the one that was meant."""


class ExactFitError(InputError):
    """A formula passes through every row, which leaves no noise to learn from."""
