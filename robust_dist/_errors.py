"""The one exception for mistakes in what a user gave."""


class InputError(ValueError):
    """A mistake in a file, a formula or an option.

    The message is one line that names the thing at fault and says what to do about it; the command
    line prints it as it stands.
    """
