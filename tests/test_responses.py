"""Several responses: each as if it were fitted alone."""

import numpy as np
import numpyro.distributions as dist
import pytest

from robust_dist import datasets
from robust_dist._errors import InputError
from robust_dist.regression import Regression, fit_responses

FORMULAS = {
    "stack_loss": "~ air_flow",
    "water_temp": {"water_temp": "water_temp ~ air_flow", "sigma": "~ air_flow"},
}
DATA = datasets.load("stackloss")


def test_each_response_is_fitted_as_alone():
    laws = {"stack_loss": "student_t"}
    priors = {"stack_loss": {"air_flow": dist.Normal(0, 0.1)}}
    fits = fit_responses(FORMULAS, DATA, laws, priors, seed=3, method="laplace", draws=50)
    assert list(fits) == ["stack_loss", "water_temp"]
    alone = {
        "stack_loss": Regression(
            {"stack_loss": "~ air_flow"}, DATA, "student_t", priors["stack_loss"]
        ),
        "water_temp": Regression(FORMULAS["water_temp"], DATA),
    }
    for place, (name, regression) in enumerate(alone.items()):
        expected = regression.fit(seed=3 + place, method="laplace", draws=50)
        np.testing.assert_array_equal(
            fits[name]["posterior"]["beta"], expected["posterior"]["beta"]
        )
    # draws of the two are independent of each other, not the same random numbers
    first, second = (fit["posterior"]["beta"].values[0, :, 1] for fit in fits.values())
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.5


@pytest.mark.parametrize(
    ("formulas", "arguments", "told"),
    [
        ({}, {}, "formulas names no response"),
        ({"stack_loss": "air_flow ~ water_temp"}, {}, "has the response 'air_flow'"),
        ({"stack_loss": "~ air_flow"}, {"likelihood": {"x": "normal"}}, "likelihood names 'x'"),
        ({"stack_loss": "~ air_flow"}, {"priors": {"x": {}}}, "priors names 'x'"),
    ],
)
def test_what_fits_no_response_is_refused(formulas, arguments, told):
    with pytest.raises(InputError, match=told):
        fit_responses(formulas, DATA, **arguments)


def test_a_regression_of_several_responses_names_the_mend():
    with pytest.raises(InputError, match="several responses are for fit_responses"):
        Regression({"stack_loss": "~ air_flow", "water_temp": "~ air_flow"}, DATA)
