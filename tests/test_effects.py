"""Effects agree with the coefficients, with predict and with calculus; their pictures with both."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from numpy.testing import assert_allclose, assert_array_equal
from xarray import open_datatree

from robust_dist._errors import InputError
from robust_dist.diagnostics import summary
from robust_dist.effects import comparisons, hypothesis, predictions, slopes
from robust_dist.effects.hypothesis import named_draws
from robust_dist.plots import plot_comparisons, plot_predictions, plot_slopes
from robust_dist.regression import Regression
from robust_dist.regression.predict import predict

ROWS = 80


@pytest.fixture(scope="module")
def mixed():
    """Return a fit with an interaction, a number far from zero, groups and a gross outlier."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "x": rng.normal(3, 1, ROWS),
            "brand": rng.choice(["a", "b", "c"], ROWS, p=[0.2, 0.5, 0.3]),
            "plant": rng.choice(["p1", "p2", "p3"], ROWS),
            "year": rng.integers(1990, 2030, ROWS),
            "dose": rng.uniform(0, 1, ROWS),
        }
    )
    data["y"] = 1 + 2 * data.x + (data.brand == "b") * data.x + rng.normal(0, 0.3, ROWS)
    data["y"] += data.plant.map({"p1": -1, "p2": 0, "p3": 1}) * data.x + data.dose
    data.loc[3, "y"] = 1000.0
    regression = Regression("y ~ x * brand + year + (x | plant)", data, offset="dose")
    return regression.fit(draws=50, warmup=200, chains=2, seed=1), data


@pytest.fixture(scope="module")
def curved():
    """Return a fit of a spline along dates, with noise that grows along another predictor."""
    rng = np.random.default_rng(1)
    day = np.arange(ROWS)
    data = pd.DataFrame(
        {
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(day, unit="D"),
            "z": rng.uniform(0, 1, ROWS),
            "smoker": rng.random(ROWS) < 0.4,
        }
    )
    data["y"] = 0.1 * day + np.sin(3 * data.z) + data.smoker
    data["y"] += np.exp(data.z) * rng.normal(0, 0.1, ROWS)
    formula = {"y": "y ~ when + bs(z, df=5) + smoker", "sigma": "~ z"}
    return Regression(formula, data).fit(draws=50, warmup=200, chains=2, seed=1), data


def draws_of(result):
    """Return the draws of a result, shape (draws, lines)."""
    return result.draws.transpose("chain", "draw", "row").values.reshape(100, -1)


def test_predictions_in_the_observed_rows_are_those_of_predict(mixed, curved):
    """Effects are no second predict: mean and new observations agree with it, draw by draw."""
    for dt, _ in (mixed, curved):
        result = predictions(dt)
        assert_allclose(result.draws, predict(dt), rtol=1e-12)
        assert_array_equal(result.draws["row"], predict(dt)["row"])
        assert_allclose(result.summary["estimate"], predict(dt).mean(["chain", "draw"]))
        new = predictions(dt, pps=True, seed=5)
        assert_allclose(new.draws, predict(dt, kind="response", seed=5), rtol=1e-5)
        assert_array_equal(new.summary["estimate"], result.summary["estimate"])
        width = new.summary["upper"] - new.summary["lower"]
        assert (width > result.summary["upper"] - result.summary["lower"]).all()


def test_a_grid_holds_what_is_not_named_at_mean_and_mode(mixed):
    """The first number runs evenly over its range, the second over five numbers."""
    dt, data = mixed
    table = predictions(dt, ["x", "year"]).summary
    assert_allclose(table["x"].unique(), np.linspace(data.x.min(), data.x.max(), 50))
    assert_allclose(table["year"].unique(), np.quantile(data.year, [0, 0.25, 0.5, 0.75, 1]))
    assert (table["brand"] == data.brand.mode()[0]).all()
    assert_allclose(table["dose"], data.dose.mean())
    assert "plant" not in table
    table = predictions(dt, {"brand": ["c", "a"], "x": 2}).summary
    assert list(table["brand"]) == ["c", "a"]
    assert (table["x"] == 2).all()


def test_a_named_group_has_its_effect_and_others_that_of_the_population(mixed):
    """They differ by the group's effects, which are zero where no group is named."""
    dt, _ = mixed
    given = {"x": [1.0, 4.0], "brand": "a", "year": 2000.0, "dose": 0.5}
    named = predictions(dt, {**given, "plant": ["p1", "p3"]})
    frame = named.summary[["x", "brand", "year", "dose", "plant"]]
    assert_allclose(named.draws, predict(dt, frame), rtol=1e-12)
    population = predictions(dt, given)
    again = predictions(dt, {**given, "plant": ["p1", "p3"]}, groups="population")
    assert_allclose(draws_of(again)[:, [0, 2]], draws_of(population))
    draws = named_draws(dt)
    effect = draws["1|plant[p3]"] + 4.0 * draws["x|plant[p3]"]
    assert_allclose(draws_of(named)[:, 3] - draws_of(population)[:, 1], effect, rtol=1e-9)


def test_the_slope_of_a_linear_term_is_its_coefficient_to_the_last_digit(mixed, curved):
    """Neither a predictor far from zero nor the step leaves a trace."""
    dt, _ = mixed
    draws = named_draws(dt)
    assert_array_equal(draws_of(slopes(dt, "year", "brand"))[:, 0], draws["year"])
    average = draws_of(slopes(dt, "year", average_by=True))[:, 0]
    assert_allclose(average, draws["year"], rtol=1e-14)
    # per day
    assert_array_equal(
        draws_of(slopes(curved[0], "when", "when"))[:, 7], named_draws(curved[0])["when"]
    )


def test_slopes_and_comparisons_of_an_interaction_are_right_by_algebra(mixed):
    """The slope of x at brand b is x + x:brand[b]; b - a at x is brand[b] + x * x:brand[b]."""
    dt, _ = mixed
    draws = named_draws(dt)
    steep = slopes(dt, "x", "brand")
    assert list(steep.summary["brand"]) == ["a", "b", "c"]
    expected = draws["x"] + draws["x:brand[b]"]
    assert_allclose(draws_of(steep)[:, 1], expected, rtol=1e-12)
    named = slopes(dt, "x", {"brand": "b", "plant": "p2"})
    assert_allclose(draws_of(named)[:, 0], expected + draws["x|plant[p2]"], rtol=1e-12)
    result = comparisons(dt, "brand", {"x": [0.0, 2.5]})
    assert list(result.summary["contrast"]) == [
        text for text in ("b - a", "c - a", "c - b") for _ in range(2)
    ]
    expected = draws["brand[b]"] + 2.5 * draws["x:brand[b]"]
    assert_allclose(draws_of(result)[:, 1], expected, rtol=1e-9)
    # half a unit below and above the mean
    unit = comparisons(dt, "year", "brand")
    assert_allclose(draws_of(unit)[:, 0], draws["year"], rtol=1e-6, atol=1e-9)
    assert comparisons(dt, {"plant": ["p1", "p3"]}, {"x": 0.0}).summary["contrast"][0] == "p3 - p1"
    effect = draws["1|plant[p3]"] - draws["1|plant[p1]"]
    groups = comparisons(dt, {"plant": ["p1", "p3"]}, {"x": 0.0})
    assert_allclose(draws_of(groups)[:, 0], effect, rtol=1e-6, atol=1e-9)


def test_averages_are_those_of_the_draws(mixed):
    """An average has the interval of the averaged draws, not the average of intervals."""
    dt, data = mixed
    each = predict(dt).values.reshape(100, -1)
    result = predictions(dt, average_by="brand")
    assert list(result.summary["brand"]) == ["a", "b", "c"]
    for place, brand in enumerate("abc"):
        mean = each[:, (data.brand == brand).to_numpy()].mean(axis=1)
        assert_allclose(draws_of(result)[:, place], mean)
        ends = result.summary[["lower", "upper"]].iloc[place]
        assert_allclose(ends, np.quantile(mean, [0.025, 0.975]))
    whole = predictions(dt, average_by=True, prob=0.5, use_hdi=True)
    assert_allclose(draws_of(whole)[:, 0], each.mean(axis=1))
    inside = (whole.summary["lower"][0] <= each.mean(axis=1)) & (
        each.mean(axis=1) <= whole.summary["upper"][0]
    )
    assert inside.mean() == pytest.approx(0.5, abs=0.02)
    twice = predictions(dt, average_by=["plant", "brand"])
    assert list(twice.summary.columns[:2]) == ["plant", "brand"]
    assert len(twice.summary) == 9


def test_blocks_of_rows_make_no_difference(mixed, monkeypatch):
    """Averages add up over blocks that cut through the groups of rows."""
    dt, _ = mixed
    whole = comparisons(dt, "brand", average_by=["plant"])
    monkeypatch.setattr("robust_dist.effects.result._BLOCK", 700)
    assert_allclose(comparisons(dt, "brand", average_by=["plant"]).draws, whole.draws)


def test_elasticities_and_ratios_are_what_their_names_say(mixed):
    """Each follows from the slope or the predictions, the point and the prediction there."""
    dt, _ = mixed
    x, brand = 2.0, {"brand": ["b"]}
    y = draws_of(predictions(dt, {"x": [x], **brand}))
    steep = draws_of(slopes(dt, {"x": x}, brand))
    for kind, expected in (
        ("eyex", steep * x / y),
        ("eydx", steep / y),
        ("dyex", steep * x),
    ):
        assert_allclose(draws_of(slopes(dt, {"x": x}, brand, slope=kind)), expected)
    ends = draws_of(predictions(dt, {"x": [1.0, 3.0], **brand}))
    low, high = ends[:, :1], ends[:, 1:]
    for kind, expected in (("ratio", high / low), ("lift", high / low - 1)):
        result = comparisons(dt, {"x": [1.0, 3.0]}, brand, comparison=kind)
        assert_allclose(draws_of(result), expected)
    assert result.summary["contrast"][0] == "(3 - 1) / 1"


def test_the_slope_of_a_spline_is_its_derivative(curved):
    """It agrees with differences of predict over another step, and sums to the rise."""
    dt, data = curved
    z = np.linspace(data.z.min(), data.z.max(), 9)[1:-1]
    result = slopes(dt, {"z": z}, "smoker")
    frame = pd.DataFrame({"when": data["when"].mean(), "smoker": False, "z": np.r_[z, z]})
    step = 1e-6
    frame["z"] += np.repeat([-step, step], z.size)
    low, high = np.split(predict(dt, frame).values.reshape(100, -1), 2, axis=1)
    assert_allclose(draws_of(result)[:, : z.size], (high - low) / (2 * step), rtol=1e-5, atol=1e-6)
    # the ends of the data are the ends of the spline
    assert np.isfinite(slopes(dt, "z", "z").draws).all()


def test_a_formula_of_the_noise_is_a_target(curved):
    """The scale is exp of its linear predictor, and its slope in z sigma times the coefficient."""
    dt, _ = curved
    draws = named_draws(dt)
    sigma = np.exp(draws["beta_sigma[Intercept]"] + 0.5 * draws["beta_sigma[z]"])
    assert_allclose(draws_of(predictions(dt, {"z": 0.5}, target="sigma"))[:, 0], sigma)
    result = slopes(dt, {"z": 0.5}, "smoker", target="sigma")
    assert_allclose(draws_of(result)[:, 0], sigma * draws["beta_sigma[z]"], rtol=1e-6)
    ratio = comparisons(dt, {"z": [0, 1]}, "smoker", target="sigma", comparison="ratio")
    assert_allclose(draws_of(ratio)[:, 0], np.exp(draws["beta_sigma[z]"]))


def test_dates_and_truth_values_are_shown_as_such(curved):
    """A grid runs over dates, takes them as text, and holds a truth value at the commoner one."""
    dt, data = curved
    table = predictions(dt, "when").summary
    assert table["when"].iloc[0] == pd.Timestamp("2020-01-01")
    assert table["when"].iloc[-1] == data["when"].max()
    assert not table["smoker"].any()
    given = predictions(dt, {"when": ["2020-01-05", "2020-02-01"], "smoker": True})
    frame = given.summary[["when", "smoker", "z"]]
    assert_allclose(given.draws, predict(dt, frame), rtol=1e-12)
    result = comparisons(dt, "smoker", average_by=True)
    assert result.summary["contrast"][0] == "True - False"
    assert_allclose(draws_of(result)[:, 0], named_draws(dt)["smoker"], rtol=1e-9)


def test_a_file_tells_the_same(mixed, curved, tmp_path):
    """Nothing but what the file holds is needed."""
    for name, (dt, _) in (("mixed", mixed), ("curved", curved)):
        dt.to_netcdf(tmp_path / f"{name}.nc")
        with open_datatree(tmp_path / f"{name}.nc") as file:
            assert_array_equal(predictions(file).draws, predictions(dt).draws)
    with open_datatree(tmp_path / "mixed.nc") as file:
        pd.testing.assert_frame_equal(
            comparisons(file, "brand", "x").summary, comparisons(mixed[0], "brand", "x").summary
        )


def test_effects_do_not_depend_on_the_precision(curved, x64):
    """All is computed in double precision, whatever JAX's mode is."""
    dt, _ = curved
    draws = named_draws(dt)
    assert_array_equal(draws_of(slopes(dt, "when", "smoker"))[:, 0], draws["when"])
    result = slopes(dt, {"z": 0.5}, "smoker", target="sigma")
    sigma = np.exp(draws["beta_sigma[Intercept]"] + 0.5 * draws["beta_sigma[z]"])
    assert_allclose(draws_of(result)[:, 0], sigma * draws["beta_sigma[z]"], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda dt: predictions(dt, "bramd"), "no predictor 'bramd'; did you mean 'brand'"),
        (lambda dt: predictions(dt, ["x", 3]), "no predictor '3'"),
        (lambda dt: predictions(dt, {"brand": "d"}), "no level 'd' of 'brand'; there are: a, b"),
        (lambda dt: predictions(dt, {"x": []}), "no values of 'x'"),
        (lambda dt: predictions(dt, {"x": "much"}), "holds labels in the new data"),
        (lambda dt: predictions(dt, {"x": [np.inf]}), "must be finite"),
        (lambda dt: predictions(dt, {}), "names no predictor"),
        (lambda dt: predictions(dt, {"x": range(2000), "year": range(2000)}), "4,000,000 rows"),
        (lambda dt: predictions(dt, average_by="z"), "no predictor 'z'"),
        (lambda dt: predictions(dt, average_by=[]), "average_by names no predictor"),
        (lambda dt: predictions(dt, target="sigma"), "no target 'sigma'"),
        (lambda dt: predictions(dt, groups="none"), "groups must be one of"),
        (lambda dt: predictions(dt, prob=95), "prob must lie between 0 and 1"),
        (lambda dt: predictions(dt, pps=True, average_by=True), "single observations"),
        (lambda dt: comparisons(dt, "brand", "brand"), "'brand' is contrasted"),
        (lambda dt: comparisons(dt, {"x": [1]}), "takes two values of 'x' or more, not 1"),
        (lambda dt: comparisons(dt, {"x": [1, 2], "year": [1, 2]}), "one predictor, not 2"),
        (lambda dt: comparisons(dt, "x", comparison="odds"), "no comparison 'odds'"),
        (lambda dt: slopes(dt, "brand"), "'brand' is no number"),
        (lambda dt: slopes(dt, {"x": 1}, {"x": 2}), "'x' has its values twice"),
        (lambda dt: slopes(dt, "x", slope="dxdy"), "no slope 'dxdy'"),
        (lambda dt: hypothesis(dt, "x > "), "a name or a number is wanted"),
        (lambda dt: hypothesis(dt, "x - 1"), "a sign such as > is wanted"),
        (lambda dt: hypothesis(dt, "x = 0"), "by rope="),
        (lambda dt: hypothesis(dt, "x > 0 > year"), "the sentence should end"),
        (lambda dt: hypothesis(dt, "yeer > 0"), "no 'yeer'.*did you mean 'year'"),
        (lambda dt: hypothesis(dt, "(x > 0"), "a bracket is not closed"),
        (lambda dt: hypothesis(dt, "x > " + "(" * 50), "more than 40 brackets"),
        (lambda dt: hypothesis(dt, "x ; 2 > 0"), "from '; 2 > 0' on"),
        (lambda dt: hypothesis(dt, "x > 0", rope=0.1), "rope must be two numbers"),
        (lambda dt: hypothesis(dt, []), "no hypothesis is given"),
        (lambda dt: plot_predictions(dt), "one to three variables.*here are 0"),
        (lambda dt: plot_slopes(dt, "x", average_by=True), "one to three variables"),
        (lambda dt: plot_predictions(dt, ["x", "brand", "plant", "year"]), "here are 4"),
        (lambda dt: plot_predictions(dt, {"x": 1, "year": range(20)}), "20 values of 'year'"),
    ],
)
def test_mistakes_are_named_in_one_line(mixed, call, message):
    """Whoever mistypes a name, a level or an option reads what there is."""
    with pytest.raises(InputError, match=message) as caught:
        call(mixed[0])
    assert "\n" not in str(caught.value)


def test_too_many_estimates_are_refused(mixed, monkeypatch):
    """Memory is not filled with draws of rows that an average would do away with."""
    monkeypatch.setattr("robust_dist.effects.result._LARGEST", 100 * ROWS - 1)
    with pytest.raises(InputError, match="80 estimates of 100 draws are more than"):
        predictions(mixed[0])
    predictions(mixed[0], average_by=True)


def test_a_predictor_called_as_a_column_of_the_table_is_refused(mixed, monkeypatch):
    """A table with two columns of one name would be read wrongly."""
    monkeypatch.setattr("robust_dist.effects.result._COLUMNS", ("x",))
    with pytest.raises(InputError, match="called 'x', as a column of the table"):
        predictions(mixed[0])


def test_a_hypothesis_counts_draws(mixed):
    """Probability, evidence ratio and region of equivalence are shares of the draws."""
    dt, _ = mixed
    draws = named_draws(dt)
    assert set(draws) == {*summary(dt).index}
    table = hypothesis(
        dt, ["brand[b] - 2*`brand[c]` > -0.1", "x:brand[b] <= (1 + 1)/2"], rope=(-0.2, 0.3)
    )
    first = draws["brand[b]"] - 2 * draws["brand[c]"] + 0.1
    second = draws["x:brand[b]"] - 1.0
    for line, difference, sign in ((0, first, 1), (1, second, -1)):
        share = (sign * difference > 0).mean()
        with np.errstate(divide="ignore"):
            expected = {
                "estimate": difference.mean(),
                "est_error": difference.std(ddof=1),
                "lower": np.quantile(difference, 0.025),
                "upper": np.quantile(difference, 0.975),
                "evid_ratio": share / (1 - share),
                "post_prob": share,
                "in_rope": ((difference >= -0.2) & (difference <= 0.3)).mean(),
            }
        assert_allclose(table.loc[line, [*expected]].astype(float), [*expected.values()])
    assert 0 < hypothesis(dt, "`x|plant[p1]` > -1").post_prob[0] < 1


def test_a_hypothesis_may_be_of_the_lines_of_a_table(mixed):
    """b1, b2, ... are the estimates in their order, as in marginaleffects."""
    dt, _ = mixed
    result = slopes(dt, "x", "brand")
    table = hypothesis(result, "b2 - b1 > 0")
    assert_allclose(table["estimate"], named_draws(dt)["x:brand[b]"].mean())


def test_a_picture_shows_the_table_and_the_rows(mixed):
    """Lines are the estimates; the axes follow them and the rows that count, not the outlier."""
    dt, data = mixed
    ax = plot_predictions(dt, "x")
    table = predictions(dt, "x").summary
    (line,) = ax.lines
    assert_allclose(line.get_data(), table[["x", "estimate"]].T)
    (rows,) = (drawn for drawn in ax.collections if len(drawn.get_offsets()) == ROWS - 1)
    assert_allclose(np.sort(rows.get_offsets()[:, 1]), np.sort(data.y)[:-1])
    assert ax.get_ylim()[1] < 100
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["posterior mean, 95% interval", "rows (hollow: ignored; 1 outside)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")


def rows_drawn(ax):
    """Return how many rows are drawn on axes, in all colours."""
    points = [drawn for drawn in ax.collections if isinstance(drawn, PathCollection)]
    return sum(len(drawn.get_offsets()) for drawn in points)


def test_colours_and_panels_tell_further_predictors(mixed):
    """The second is told by colour, the third by panels, each row in its own."""
    dt, _ = mixed
    first = plot_predictions(dt, ["brand", "plant", "year"])
    axes = first.get_figure().axes
    assert axes[0].get_title().startswith("year = 199")
    assert [len(ax.lines) for ax in axes] == [3] * 5
    assert sum(map(rows_drawn, axes)) == ROWS - 1
    assert rows_drawn(plot_predictions(dt, {"brand": ["a"], "plant": ["p1", "p2"]})) < ROWS / 2
    with pytest.raises(InputError, match="leave ax out"):
        plot_predictions(dt, ["x", "brand", "plant"], ax=first)


def test_changes_are_drawn_against_none(mixed):
    """Pairs are told apart by colour or along the axis, and the line of no change is there."""
    dt, _ = mixed
    pairs = ["b - a", "c - a", "c - b"]
    ax = plot_comparisons(dt, "brand", "x")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == pairs
    ax = plot_comparisons(dt, "brand")
    assert [label.get_text() for label in ax.get_xticklabels()] == pairs
    ax = plot_slopes(dt, "x", "brand")
    assert_allclose(ax.lines[0].get_ydata(), slopes(dt, "x", "brand").summary["estimate"])
    assert ax.get_ylim()[0] < 0
    ratio = plot_comparisons(dt, {"x": [1, 3]}, "brand", comparison="ratio")
    assert 1.0 in [line.get_ydata()[0] for line in ratio.lines]


def test_dates_run_along_the_axis(curved):
    """The axis has dates, and rows lie on the line's own axis."""
    ax = plot_predictions(curved[0], ["when", "smoker"])
    assert pd.Timestamp(ax.lines[0].get_xdata()[0]) == pd.Timestamp("2020-01-01")
    assert plot_predictions(curved[0], "smoker", target="sigma").get_ylabel() == "sigma"


@pytest.mark.slow
def test_the_mean_of_asymmetric_noise_changes_with_its_shape():
    """Effects on the mean are those of predict, though the mean is no linear predictor."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.uniform(0, 1, ROWS)})
    data["y"] = data.x + rng.exponential(1.0, ROWS)
    formula = {"y": "y ~ x", "alpha": "~ x"}
    regression = Regression(formula, data, likelihood="asymmetric_general_robust")
    dt = regression.fit(draws=25, warmup=200, chains=4, seed=1)
    step = 1e-4
    frame = pd.DataFrame({"x": [0.5 - step, 0.5 + step]})
    low, high = predict(dt, frame).values.reshape(100, 2).T
    finite = np.isfinite(low) & np.isfinite(high)
    assert finite.any()
    steep = draws_of(slopes(dt, {"x": 0.5}, average_by=True))[:, 0]
    assert_allclose(steep[finite], ((high - low) / (2 * step))[finite], rtol=1e-4)
