"""Draw the picture of the README: density, influence and weight of GeneralRobust across alpha.

    python docs/draw_family.py [FILE]

Writes docs/_static/family.png unless told otherwise.
"""

import sys
from pathlib import Path

from robust_dist.plots import plot_family

if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "_static" / "family.png"
    axes = plot_family(kinds=("density", "influence", "weight"))
    axes[0].figure.savefig(target, dpi=130)
