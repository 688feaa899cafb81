"""What a fit says of its predictors: predictions, comparisons, slopes and hypotheses.

The names are those of Bambi's ``interpret`` and R's marginaleffects; a hypothesis is one of brms'.
Everything is computed from a DataTree, also one that was read back from a file.
"""

from robust_dist.effects.comparisons import comparisons
from robust_dist.effects.hypothesis import hypothesis
from robust_dist.effects.predictions import predictions
from robust_dist.effects.result import Result
from robust_dist.effects.slopes import slopes

__all__ = ["Result", "comparisons", "hypothesis", "predictions", "slopes"]
