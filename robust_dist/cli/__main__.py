"""``python -m robust_dist.cli``, where the command is not on the path."""

import sys

from robust_dist.cli import main

if __name__ == "__main__":
    sys.exit(main())
