"""The command ``robust-dist``: a thin shell over ``regression``, ``diagnostics`` and ``plots``.

JAX, ArviZ and matplotlib are imported by the command that needs them, so that ``--help`` and a
mistyped option answer at once.
"""

import contextlib
import gc
import io
import os
import threading
from collections.abc import Sequence

from robust_dist._errors import InputError
from robust_dist.cli._options import make_parser as _parser
from robust_dist.cli._signals import ended_by_signals
from robust_dist.cli._streams import complain, open_streams, show

__all__ = ["main"]

_TRACEBACK = "ROBUST_DIST_TRACEBACK"
# new objects between two searches for garbage: libraries make millions that all stay, and to go
# through them at every 700th is a twentieth of the time of a command
_GARBAGE = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0, or 2 for a mistake of the user or a lack of memory or disk, 1 for a fault of the program, and
    128 + n where signal n ended it. Whatever fails is said in one line on stderr; with
    ``ROBUST_DIST_TRACEBACK=1`` in the environment a fault of the program is raised instead.

    What the command prints is shown when it has ended, and its files been written, so that a reader
    who leaves early takes nothing with him.

    Parameters
    ----------
    argv
        The arguments; by default those of the process, which then ends itself when it is signalled.
    """
    open_streams()
    if argv is None:
        gc.set_threshold(_GARBAGE, *gc.get_threshold()[1:])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), _signals(argv):
        status, complaint = _run(argv)
    unseen = show(printed.getvalue())
    for text in filter(None, (complaint, unseen and f"error: {unseen}")):
        complain(text)
    return status or (2 if unseen else 0)


def _signals(argv: Sequence[str] | None) -> contextlib.AbstractContextManager[None]:
    """Return what waits for signals, if the process is this command's own."""
    own = argv is None and threading.current_thread() is threading.main_thread()
    return ended_by_signals() if own else contextlib.nullcontext()


def _run(argv: Sequence[str] | None) -> tuple[int, str]:
    """Run a command, and return its exit status and what it complains of."""
    try:
        options = _parser().parse_args(argv)
        options.run(options)
    except InputError as error:
        return 2, f"error: {error}"
    except KeyboardInterrupt:
        return 130, "interrupted; nothing was written"
    except SystemExit:  # of --help and --version
        return 0, ""
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        return _fault(error)
    return 0, ""


def _fault(error: Exception) -> tuple[int, str]:
    """Return the exit status, and the words, of what no code foresaw."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return 2, "error: out of memory; take fewer --draws or --chains, or --method svi"
    kind = type(error).__name__
    return 1, f"error: {kind}: {text} (a fault of this program; {_TRACEBACK}=1 shows where)"
