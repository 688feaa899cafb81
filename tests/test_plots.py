"""The pictures show what they say: numbers behind the marks, whatever their look."""

import numpy as np
import pytest
from fits import compared, grouped, grouped_data, made_up, stackloss
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
from robust_dist.regression import predict, row_laws
from robust_dist.regression.row_laws import row_parameters


def words(ax):
    """Return the texts on the axes."""
    return {text.get_text() for text in ax.texts}


def rows_of(ax):
    """Return the points that stand for rows within the axes; those at the rim come behind."""
    return next(drawn for drawn in ax.collections if isinstance(drawn, PathCollection))


def at_the_rim(ax):
    """Return where the arrows stand of rows that lie beyond the axes, shape (rows, 2)."""
    points = [drawn for drawn in ax.collections if isinstance(drawn, PathCollection)][1:]
    return np.concatenate([np.empty((0, 2)), *(drawn.get_offsets() for drawn in points)])


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
    places = np.concatenate([rows_of(ax).get_offsets(), at_the_rim(ax)])[:, 0]
    np.testing.assert_array_equal(np.sort(places), np.arange(1, 41))


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
    residuals = standardized_residuals(dt)
    # the last row lies far off, and is told at the rim
    np.testing.assert_allclose(np.sort(at), np.sort(residuals[:-1]))
    np.testing.assert_allclose(np.sort(mean), np.sort(weights["mean"][:-1]))
    assert len(at_the_rim(ax)) == 1
    assert f"40: {float(residuals[-1]):.3g}" in words(ax)
    bars = ax.collections[0].get_segments()
    np.testing.assert_allclose([bar[1, 1] for bar in bars], weights["upper"][:-1])


def test_tails_are_the_ordered_quantiles_and_name_what_leaves_the_band():
    dt = made_up(alpha=(2.0, 2.0))
    ax = plot_tails(dt)
    expected, found = np.concatenate([rows_of(ax).get_offsets(), at_the_rim(ax)]).T
    quantile = pit_residuals(dt)["quantile"]
    within = len(rows_of(ax).get_offsets())
    np.testing.assert_allclose(np.sort(found[:within]), np.sort(quantile)[:within])
    assert (np.argsort(expected) == np.argsort(found)).all()
    # median ranks of 40: Phi^-1(0.5/40)
    assert expected.min() == pytest.approx(-2.2414, abs=1e-4)
    assert any(text.startswith("40: ") for text in words(ax))  # 20 scales off a Normal law
    assert words(plot_tails(dt, label=0)) == set()


# --- gross outliers -----------------------------------------------------------------------------

PLOTS = {"fit": plot_fit, "weights": plot_weights, "tails": plot_tails}


def with_outliers(count, size):
    """Return a fit of forty rows, so many of which are so far off."""
    dt = made_up(alpha=(0.2, 0.4))
    observed = dt["observed_data"].to_dataset().copy(deep=True)
    observed["y"][:count] += size * (-1.0) ** np.arange(count)
    dt["observed_data"] = DataTree(observed)
    return dt


def boxes(ax, texts):
    """Return where texts are drawn, in pixels."""
    ax.figure.draw_without_rendering()
    return [text.get_window_extent() for text in texts if text.get_visible()]


@pytest.mark.parametrize("kind", ["fit", "weights"])
def test_axes_follow_the_rows_that_count(kind):
    """Whether outliers are a thousand or a million spreads off, the axes are the same."""
    limits = [
        (ax.get_xlim(), ax.get_ylim())
        for size in (1e4, 1e7)
        for ax in [PLOTS[kind](with_outliers(8, size))]
    ]
    np.testing.assert_allclose(limits[0], limits[1])


@pytest.mark.parametrize("kind", PLOTS)
@pytest.mark.parametrize("count", [0, 1, 8])
def test_no_name_lies_on_another_or_outside_and_no_legend_on_a_row(kind, count):
    ax = PLOTS[kind](with_outliers(count, 1e5))
    named = boxes(ax, ax.texts)
    frame = ax.get_window_extent()
    for number, box in enumerate(named):
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        assert frame.y0 <= box.y0
        assert box.y1 <= frame.y1
        assert not any(box.overlaps(other) for other in named[:number])
    legend = ax.get_legend()
    if legend is not None:
        points = [drawn for drawn in ax.collections if isinstance(drawn, PathCollection)]
        places = np.concatenate([ax.transData.transform(drawn.get_offsets()) for drawn in points])
        box = legend.get_window_extent()
        assert not any(box.contains(*place) for place in places)


def test_rows_beyond_the_axes_are_counted_and_named_with_their_values():
    ax = plot_fit(with_outliers(1, 12345.0))
    assert len(at_the_rim(ax)) >= 1
    first = str(made_up()["observed_data"]["row"].values[0])
    value = next(text for text in words(ax) if text.startswith(f"{first}: ")).split(": ")[1]
    assert float(value) == pytest.approx(12345, rel=0.01)
    assert any("beyond the axes" in text.get_text() for text in ax.get_legend().get_texts())


def test_the_axes_do_not_follow_a_row_far_out_in_the_predictor():
    dt = made_up(alpha=(0.2, 0.4))
    constants = dt["constant_data"].to_dataset().copy(deep=True)
    constants["x"][5, 1] = 12345.0
    dt["constant_data"] = DataTree(constants)
    ax = plot_fit(dt)
    assert max(map(abs, ax.get_xlim())) < 1.3
    (line,) = ax.lines
    assert np.abs(line.get_xdata()).max() <= 1.0
    assert "6: 12345" in words(ax)


def test_every_side_of_the_axes_has_a_row_named_before_any_has_two():
    """One row far out in the predictor is not lost among many that are wrong in the response."""
    dt = with_outliers(12, 1e6)
    constants = dt["constant_data"].to_dataset().copy(deep=True)
    constants["x"][20, 1] = 500.0
    dt["constant_data"] = DataTree(constants)
    observed = dt["observed_data"].to_dataset().copy(deep=True)
    observed["y"][20] = 0.0
    dt["observed_data"] = DataTree(observed)
    assert any(text.startswith("21: ") for text in words(plot_fit(dt, label=3)))


def test_a_name_without_room_is_hidden_however_often_it_is_drawn():
    """A text that is hidden is measured as one pixel, for which there is room anywhere."""
    figure = Figure(figsize=(3, 2.5), layout="constrained")
    ax = plot_fit(with_outliers(30, 1e6), figure.add_subplot(), label=30, colorbar=False)
    for _ in range(3):
        figure.draw_without_rendering()
        frame = ax.get_window_extent()
        named = [text.get_window_extent() for text in ax.texts if text.get_visible()]
        assert 0 < len(named) < 30
        assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in named)
        assert not any(a.overlaps(b) for i, a in enumerate(named) for b in named[:i])


# --- columns of the data ------------------------------------------------------------------------


def test_a_category_has_the_mean_of_each_level_and_its_residuals_beside():
    dt = grouped()
    ax = plot_fit(dt, predictor="k")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["u", "v"]
    ((means, _, (bars,)),) = ax.containers
    beta = dt["posterior"]["beta"].stack(sample=("chain", "draw"))
    difference = beta.sel(coefficient="k[v]")
    assert np.diff(means.get_ydata()) == pytest.approx(float(difference.mean()))
    assert (np.array([np.ptp(bar[:, 1]) for bar in bars.get_segments()]) > 0).all()
    drawn = np.concatenate([rows_of(ax).get_offsets(), at_the_rim(ax)])
    level = np.round(drawn[:, 0] - 0.14).astype(int)
    codes = (grouped_data()[0]["k"] == "v").to_numpy(int)
    np.testing.assert_array_equal(np.bincount(level), np.bincount(codes))
    assert len(at_the_rim(ax)) == 0
    residual = drawn[:, 1] - means.get_ydata()[level]
    fitted = row_parameters(dt)["loc"].mean(axis=0)
    np.testing.assert_allclose(
        np.sort(residual), np.sort(dt["observed_data"]["y"].values - fitted), atol=1e-8
    )
    # not at random, so that two pictures are the same
    np.testing.assert_array_equal(
        rows_of(plot_fit(dt, predictor="k")).get_offsets(), rows_of(ax).get_offsets()
    )


def test_a_column_of_several_coefficients_is_drawn_as_one_line():
    """Of ``bs(x)``: the line is what is predicted for the population at the usual category."""
    dt = grouped()
    ax = plot_fit(dt, predictor="x")
    line = ax.lines[0]
    usual = grouped_data()[0]["k"].mode()[0]
    new = {"x": line.get_xdata(), "k": np.repeat(usual, line.get_xdata().size)}
    new |= {"g": np.repeat("g0", line.get_xdata().size), "o": np.zeros(line.get_xdata().size)}
    expected = predict(dt, new, "linear", groups="population").mean(("chain", "draw"))
    np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-9)
    assert ax.get_xlabel() == "x"


def test_columns_are_named_where_a_predictor_is_not_known():
    with pytest.raises(InputError, match=r"no predictor 'kk'.*there are: .*k\[v\], x, k$"):
        plot_fit(grouped(), predictor="kk")


def test_the_prior_of_alpha_is_a_smooth_line():
    """Of draws of a uniform law: as high as that law within 15%, and one for the area."""
    ax = plot_alpha(made_up())
    (prior,) = (line for line in ax.lines if line.get_label() == "prior")
    x, y = prior.get_data()
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose(y[1:-1], 0.5, rtol=0.15)
    assert (y[0], y[-1]) == (0, 0)


def test_a_model_far_worse_than_all_others_is_an_arrow_at_the_rim():
    comparison = compared(["laplace", "normal", "cauchy"])
    table = comparison.table.copy()
    table.loc["cauchy", "elpd_diff"] = -4.5e6
    ax = plot_comparison(table)
    assert ax.get_xlim()[0] > -100
    assert "-4.5e+06 ± 4" in words(ax)


def test_a_figure_has_one_scale_of_colours():
    figure = Figure(layout="constrained")
    for ax in figure.subplots(1, 2):
        plot_fit(made_up(), ax)
    assert len(figure.axes) == 3


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
