"""One walk over the rows serves all who ask for columns of this tree, and of no other."""

from types import SimpleNamespace

import numpy as np
import pytest
from fits import made_up
from xarray import DataArray, DataTree
from xarray.testing import assert_identical

from robust_dist import diagnostics, plots
from robust_dist.cli import _fit, main
from robust_dist.diagnostics._noise import robust_sd
from robust_dist.diagnostics.row_statistics import one_walk, row_statistics
from robust_dist.regression import row_laws

ROWS = 40


@pytest.fixture(params=["alpha of all rows", "alpha of each row"])
def fit(request):
    """Return a made-up fit with all that a fit holds."""
    # as few draws as tell what leaving a row out does
    dt = made_up(coefficients=("Intercept", "x", "z")).isel(draw=slice(200))
    if request.param == "alpha of each row":
        _give_alpha_a_formula(dt)
    law = row_laws.row_law(dt, row_laws.row_parameters(dt))
    density = np.asarray(law.log_prob(dt["observed_data"]["y"].values))
    density = DataArray(density.reshape(2, 200, ROWS), dims=("chain", "draw", "row"))
    dt["log_likelihood"] = DataTree(
        density.assign_coords(dt["posterior"].coords["draw"].coords).to_dataset(name="y")
    )
    dt.attrs.update(seed=0, warmup=10)
    return dt


def _give_alpha_a_formula(dt):
    names = {"coefficient_alpha": ["Intercept", "x"]}
    beta = np.random.default_rng(0).normal(0, 0.2, (2, 200, 2))
    posterior = dt["posterior"].to_dataset().drop_vars(["alpha", "scale"])
    posterior["beta_alpha"] = (("chain", "draw", *names), beta)
    constant = dt["constant_data"].to_dataset()
    constant["x_alpha"] = (("row", *names), constant["x"].values[:, :2])
    dt["posterior"] = DataTree(posterior.assign_coords(names))
    dt["constant_data"] = DataTree(constant.assign_coords(names))


@pytest.fixture
def evaluated(monkeypatch):
    """Return the list of how many rows each evaluation of laws is of."""
    counts = []
    evaluate_rows = row_laws.evaluate_rows

    def counted(dt, rows, *effects):
        counts.append(len(rows.x))
        return evaluate_rows(dt, rows, *effects)

    monkeypatch.setattr(row_laws, "evaluate_rows", counted)
    return counts


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["words", "JSON"])
def test_the_command_evaluates_the_law_of_each_row_once(
    fit, evaluated, arguments, monkeypatch, tmp_path
):
    """For diagnostics, pictures, report and what is printed together, in blocks of seven rows.

    R-squared, of a part of the rows and draws, is computed once besides.
    """
    monkeypatch.setattr(row_laws, "_BLOCK", 7 * 400)
    priors = SimpleNamespace(in_words=dict)
    monkeypatch.setattr(_fit, "_fitted", lambda *arguments: (fit, None, priors))
    out = tmp_path / "out"
    assert main(["fit", "stackloss", "--quiet", "--out", str(out), *arguments]) == 0
    assert {path.name for path in out.iterdir()} >= {"fit.png", "report.html", "posterior.nc"}
    assert evaluated == [7, 7, 7, 7, 7, 5, ROWS]


@pytest.mark.parametrize(
    "reader",
    [
        diagnostics.outliers,
        diagnostics.problems,
        diagnostics.observation_weights,
        plots.plot_fit,
        plots.plot_weights,
        plots.plot_tails,
    ],
)
def test_a_reader_alone_evaluates_the_law_of_each_row_once(fit, evaluated, reader):
    reader(fit)
    assert evaluated == [ROWS]


def test_what_is_lent_is_what_each_reader_would_compute(fit):
    readers = [
        diagnostics.standardized_residuals,
        diagnostics.observation_weights,
        diagnostics.pit_residuals,
        diagnostics.leverage,
        diagnostics.loo_pit,
        lambda dt: diagnostics.tail_summary(dt).to_xarray(),
    ]
    alone = [reader(fit) for reader in readers]
    with one_walk(fit):
        for reader, expected in zip(readers, alone, strict=True):
            # loc alone is a sum that may be taken in another order
            np.testing.assert_allclose(*map(_numbers, (reader(fit), expected)), rtol=1e-9)


def test_the_spread_of_the_noise_is_lent_to_the_tails(fit, monkeypatch):
    """Where each row has an alpha, its quartile is what takes longest."""
    counts = []

    def counted(dt, parameters):
        counts.append(parameters["loc"].shape)
        return robust_sd(dt, parameters)

    monkeypatch.setattr("robust_dist.diagnostics.row_statistics.robust_sd", counted)
    with one_walk(fit):
        diagnostics.tail_summary(fit)
    assert counts == [(400, ROWS)]


def _numbers(columns):
    return columns.to_array() if hasattr(columns, "data_vars") else columns


def test_nothing_is_lent_of_another_tree_nor_after_the_block(fit):
    before = diagnostics.standardized_residuals(fit)
    with one_walk(fit):
        half = diagnostics.standardized_residuals(fit.isel(row=slice(20)))
        np.testing.assert_allclose(half, before[:20], rtol=1e-9)
        higher = fit.copy()
        higher["observed_data"] = DataTree(fit["observed_data"].to_dataset() + 1)
        assert (diagnostics.standardized_residuals(higher) > before).all()
        with one_walk(higher):
            assert_identical(diagnostics.standardized_residuals(fit), before)
    fit["observed_data"] = higher["observed_data"]
    assert (diagnostics.standardized_residuals(fit) > before).all()


def test_a_thinned_walk_leaves_the_leave_one_out_draws_alone(fit, monkeypatch):
    """Every third draw is read of the rows, but each row is left out by all that it has."""
    left_out = diagnostics.loo_pit(fit)
    monkeypatch.setattr(row_laws, "_TOTAL", 134 * ROWS)
    weights = diagnostics.observation_weights(fit)["mean"]
    columns = row_statistics(fit, "weight", "loo_pit")
    np.testing.assert_array_equal(columns["weight"], weights)
    np.testing.assert_array_equal(columns["loo_pit"], left_out)
