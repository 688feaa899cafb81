"""All that a user is to be warned of."""

from xarray import DataTree

from robust_dist.diagnostics.explanations import explanation_problems, leverage_problems
from robust_dist.diagnostics.misfit import misfit_problems
from robust_dist.diagnostics.priors import prior_problems
from robust_dist.diagnostics.row_statistics import one_walk
from robust_dist.diagnostics.sampling import sampling_problems


def problems(dt: DataTree) -> list[str]:
    """Return one sentence for each thing to be warned of: draws, explanations, priors, the law.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    """
    with one_walk(dt, "fitted", "spread", "residual", "loo_pit"):
        return [
            problem
            for check in (
                sampling_problems,
                explanation_problems,
                leverage_problems,
                prior_problems,
                misfit_problems,
            )
            for problem in check(dt)
        ]
