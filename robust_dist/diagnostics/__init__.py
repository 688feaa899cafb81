"""What a fit says of its rows, its tails and itself: DataTree in, xarray, pandas or words out.

ArviZ computes whatever ArviZ can: summaries, R-hat, leave-one-out, prior sensitivity.
"""

from robust_dist.diagnostics.explanations import (
    explanation_problems,
    explanations,
    format_explanations,
    leverage_in_words,
    leverage_problems,
)
from robust_dist.diagnostics.leverage import leverage
from robust_dist.diagnostics.misfit import loo_pit, misfit_problems
from robust_dist.diagnostics.outliers import name_outliers, outliers
from robust_dist.diagnostics.priors import prior_problems
from robust_dist.diagnostics.problems import problems
from robust_dist.diagnostics.r2 import r2, r2_in_words
from robust_dist.diagnostics.residuals import pit_residuals, standardized_residuals
from robust_dist.diagnostics.rows import row_table
from robust_dist.diagnostics.sampling import (
    divergences,
    format_summary,
    sampling_problems,
    summary,
)
from robust_dist.diagnostics.sensitivity import add_log_prior
from robust_dist.diagnostics.tails import read_tails, tail_summary
from robust_dist.diagnostics.weights import observation_weights

__all__ = [
    "add_log_prior",
    "divergences",
    "explanation_problems",
    "explanations",
    "format_explanations",
    "format_summary",
    "leverage",
    "leverage_in_words",
    "leverage_problems",
    "loo_pit",
    "misfit_problems",
    "name_outliers",
    "observation_weights",
    "outliers",
    "pit_residuals",
    "prior_problems",
    "problems",
    "r2",
    "r2_in_words",
    "read_tails",
    "row_table",
    "sampling_problems",
    "standardized_residuals",
    "summary",
    "tail_summary",
]
