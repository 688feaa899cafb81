"""The pictures show what they say: numbers behind the marks, whatever their look."""

import numpy as np
import pytest
from fits import compared, made_up, stackloss
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from xarray import DataTree

from robust_dist import GeneralRobust, psi, rho, weight
from robust_dist._errors import InputError
from robust_dist.diagnostics import observation_weights, pit_residuals, standardized_residuals
from robust_dist.plots import (
    plot_alpha,
    plot_comparison,
    plot_family,
    plot_fit,
    plot_tails,
    plot_weights,
)
from robust_dist.regression import row_laws
from robust_dist.regression.row_laws import row_parameters


def words(ax):
    """Return the texts on the axes."""
    return {text.get_text() for text in ax.texts}


def rows_of(ax):
    """Return the points that stand for rows."""
    (points,) = (drawn for drawn in ax.collections if isinstance(drawn, PathCollection))
    return points


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
    weights = observation_weights(dt)["mean"]
    points = rows_of(ax)
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
    np.testing.assert_array_equal(np.sort(rows_of(ax).get_offsets()[:, 0]), np.arange(1, 41))


def test_partial_residuals_are_residuals_about_the_line_of_one_predictor():
    dt = stackloss()
    ax = plot_fit(dt, predictor="water_temp")
    assert ax.get_xlabel() == "water_temp"
    assert ax.get_ylabel() == "stack_loss, the rest at its median"
    beta = dt["posterior"]["beta"].mean(("chain", "draw"))
    (line,) = ax.lines
    slope = np.diff(line.get_ydata()) / np.diff(line.get_xdata())
    np.testing.assert_allclose(slope, float(beta.sel(coefficient="water_temp")))
    at, y = np.asarray(rows_of(ax).get_offsets()).T
    found = y - np.interp(at, line.get_xdata(), line.get_ydata())
    design = dt["constant_data"]["x"].values
    np.testing.assert_allclose(
        np.sort(found), np.sort(dt["observed_data"]["y"].values - design @ beta.values), atol=1e-9
    )
    with pytest.raises(InputError, match="did you mean 'water_temp'"):
        plot_fit(dt, predictor="water_tmp")


def test_rows_of_different_sigma_have_bars_of_their_own():
    """As with measurement errors, which the rows' laws carry in their scales."""
    dt = made_up(alpha=(2.0, 2.0))
    error = np.linspace(1, 3, 40)
    constant = dt["constant_data"].to_dataset().assign(measurement_error=("row", error))
    dt["constant_data"] = DataTree(constant)
    scale = dt["posterior"]["scale"].mean().item()

    def of_unequal_scales(dt, some=slice(None)):
        return {**row_parameters(dt, some), "scale": scale * error[None, some]}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_laws, "row_parameters", of_unequal_scales)
        ax = plot_fit(dt)
    (bars,) = (drawn for drawn in ax.collections if isinstance(drawn, LineCollection))
    lengths = [np.ptp(bar[:, 1]) for bar in bars.get_segments()]
    np.testing.assert_allclose(lengths, 2 * scale * error)


def test_weights_are_drawn_against_residuals_with_their_intervals():
    dt = made_up()
    ax = plot_weights(dt)
    weights = observation_weights(dt)
    at, mean = np.asarray(rows_of(ax).get_offsets()).T
    np.testing.assert_allclose(np.sort(at), np.sort(standardized_residuals(dt)))
    np.testing.assert_allclose(np.sort(mean), np.sort(weights["mean"]))
    assert "40" in words(ax)
    bars = ax.collections[0].get_segments()
    np.testing.assert_allclose([bar[1, 1] for bar in bars], weights["upper"])


def test_tails_are_the_ordered_quantiles_and_name_what_leaves_the_band():
    dt = made_up(alpha=(2.0, 2.0))
    ax = plot_tails(dt)
    expected, found = np.asarray(rows_of(ax).get_offsets()).T
    quantile = pit_residuals(dt)["quantile"]
    np.testing.assert_allclose(np.sort(found), np.sort(quantile))
    assert (np.argsort(expected) == np.argsort(found)).all()
    # median ranks of 40: Phi^-1(0.5/40)
    assert expected.min() == pytest.approx(-2.2414, abs=1e-4)
    assert "40" in words(ax)  # 20 scales off a Normal law
    assert words(plot_tails(dt, label=0)) == set()


def test_family_shows_what_the_functions_give():
    panels = plot_family()
    for panel, function in zip(panels[1:], (rho, psi, weight), strict=True):
        for line, alpha in zip(panel.lines, (0.0, 0.5, 1.0, 1.5, 2.0), strict=True):
            np.testing.assert_allclose(line.get_ydata(), function(line.get_xdata(), alpha, 1.0))
    density = panels[0].lines[2]
    law = GeneralRobust(1.0)
    np.testing.assert_allclose(
        density.get_ydata(), np.exp(law.log_prob(density.get_xdata())), rtol=1e-6
    )
    assert panels[0].get_yscale() == "log"


def test_family_draws_losses_that_are_no_laws():
    """As figure 1 of the paper: there is no density below 0."""
    axes = Figure().subplots(1, 2)
    panels = plot_family(axes, kinds=("loss", "density"), alphas=(-np.inf, 0.0))
    assert panels[0] is axes[0]
    assert np.isfinite(panels[0].lines[0].get_ydata()).all()
    assert np.isnan(panels[1].lines[0].get_ydata()).all()
    assert "Welsch" in panels[0].get_legend().get_texts()[0].get_text()
    with pytest.raises(InputError, match="no kind 'los'"):
        plot_family(kinds=("los",))
    with pytest.raises(InputError, match="2 axes for 1 kinds"):
        plot_family(axes, kinds=("loss",))


def test_comparison_shows_differences_and_twice_their_errors():
    comparison = compared(["laplace", "normal", "cauchy"])
    ax = plot_comparison(comparison)
    (points, _, (bars,)) = ax.containers[0]
    np.testing.assert_allclose(points.get_xdata(), [0, -10, -11])
    widths = [np.ptp(bar[:, 0]) for bar in bars.get_segments()]
    np.testing.assert_allclose(widths, [0, 8, 8])
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names[0] == "laplace\nstacking 0.90"
    assert (np.diff(points.get_ydata()) < 0).all()  # the best on top
    assert plot_comparison(comparison.table).get_xlabel() == ax.get_xlabel()


def test_alpha_that_is_not_inferred_cannot_be_drawn():
    dt = made_up()
    dt["posterior"] = DataTree(dt["posterior"].to_dataset().drop_vars("alpha"))
    dt.attrs["alpha_fixed"] = 1.0
    with pytest.raises(InputError, match="no single alpha"):
        plot_alpha(dt)


@pytest.mark.parametrize("plot", [plot_alpha, plot_fit, plot_weights, plot_tails])
def test_axes_given_are_drawn_on(plot):
    ax = Figure().add_subplot()
    assert plot(made_up(), ax) is ax
    assert ax.has_data()
