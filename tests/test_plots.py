"""The pictures show what they say: numbers behind the marks, whatever their look."""

import numpy as np
import pytest
from fits import made_up, stackloss
from matplotlib.figure import Figure

from robust_dist.diagnostics import observation_weights
from robust_dist.plots import plot_alpha, plot_fit


def words(ax):
    """Return the texts on the axes."""
    return {text.get_text() for text in ax.texts}


def test_alpha_has_its_landmarks_and_integrates_to_one():
    ax = plot_alpha(stackloss())
    assert words(ax) == {"Cauchy", "hyperbolic", "Normal"}
    vertical = {line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1}
    assert {0.0, 1.0, 2.0} <= vertical
    bars = sum(
        bar.get_width() * bar.get_height() for bar in ax.patches if hasattr(bar, "get_width")
    )
    assert bars == pytest.approx(1.0)


def test_points_carry_their_weights_and_the_lowest_their_row():
    dt = stackloss()
    ax = plot_fit(dt)
    weights = observation_weights(dt)
    (points,) = ax.collections
    np.testing.assert_allclose(np.sort(points.get_array()), np.sort(weights))
    lowest = str(int(weights["row"][np.argmin(weights.values)]))
    assert lowest in words(ax)
    assert len(words(ax)) <= 5
    np.testing.assert_allclose(
        np.sort(points.get_offsets()[:, 1]), np.sort(dt["observed_data"]["y"])
    )
    assert ax.get_ylabel() == "observed stack_loss"


def test_one_predictor_draws_the_posterior_mean_line():
    dt = made_up(alpha=(1.2, 1.6))
    ax = plot_fit(dt)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    (line,) = ax.lines
    intercept, slope = dt["posterior"]["beta"].mean(dim=("chain", "draw")).values
    np.testing.assert_allclose(line.get_ydata(), intercept + slope * line.get_xdata())
    assert "40" in words(ax)  # the row that lies off the line


def test_a_slope_alone_is_a_line_too():
    dt = made_up().isel(coefficient=[1])
    (line,) = plot_fit(dt).lines
    slope = float(dt["posterior"]["beta"].mean())
    np.testing.assert_allclose(line.get_ydata(), slope * line.get_xdata())


def test_no_predictor_shows_the_rows_in_order():
    ax = plot_fit(made_up(coefficients=("Intercept",)))
    assert ax.get_xlabel() == "row"
    np.testing.assert_array_equal(np.sort(ax.collections[-1].get_offsets()[:, 0]), np.arange(1, 41))


@pytest.mark.parametrize("plot", [plot_alpha, plot_fit])
def test_axes_given_are_drawn_on(plot):
    ax = Figure().add_subplot()
    assert plot(made_up(), ax) is ax
    assert ax.has_data()
