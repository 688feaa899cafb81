"""Leave-one-out by fits without each row agrees with a sampler that is not this package's."""

import numpy as np
import pytest
from numpyro import distributions as dist

from robust_dist import datasets
from robust_dist.regression import Regression
from robust_dist.regression.loo import leave_one_out

# by random-walk Metropolis, from the priors of all rows, with its Monte Carlo error
ELPD, ERROR = -57.69, 0.09


def test_stackloss_without_each_of_its_days():
    """Under independent priors of slopes, and of the value at the medians of predictors."""
    data = datasets.load("stackloss")
    predictors = ("air_flow", "water_temp", "acid_conc")
    for name in predictors:
        data[f"{name}_c"] = data[name] - data[name].median()
    formula = "stack_loss ~ " + " + ".join(f"{name}_c" for name in predictors)
    noise = Regression(formula, data).coordinates.noise
    widths = (2.68518519, 6.59090909, 4.47530864)
    priors = {f"{n}_c": dist.Normal(0, w) for n, w in zip(predictors, widths, strict=True)}
    priors |= {"Intercept": dist.Normal(15, 21.63434524), "sigma": dist.InverseGamma(2, 3 * noise)}
    regression = Regression(formula, data, priors=priors)
    options = {"draws": 1000, "warmup": 500, "chains": 4, "seed": 1}
    options |= {"target_accept": 0.9, "sampler": "auto"}
    fit = regression.fit(progress=False, **options)
    exact = leave_one_out(regression, fit, options, 0, np.arange(21), True)
    assert len(exact.refitted) == 21
    assert exact.elpd.elpd == pytest.approx(ELPD, abs=3 * ERROR)
