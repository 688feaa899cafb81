"""The command ``robust-dist``: a thin shell over ``regression``, ``diagnostics`` and ``plots``.

JAX, ArviZ and matplotlib are imported by the command that needs them, so that ``--help`` and a
mistyped option answer at once.
"""

import sys
from collections.abc import Sequence

from robust_dist._errors import InputError
from robust_dist.cli._options import make_parser as _parser

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    try:
        options = _parser().parse_args(argv)
        options.run(options)
    except InputError as error:
        print(f"robust-dist: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("robust-dist: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0
