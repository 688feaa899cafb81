"""RobustRegressor keeps scikit-learn's contract, and weights count rows in everything."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpyro import distributions as dist
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from robust_dist import GeneralRobust
from robust_dist._errors import InputError
from robust_dist.optimize.frequencies import median, smallest_left_out, spaced_rows
from robust_dist.regression import Regression
from robust_dist.regression.likelihoods import NAMES
from robust_dist.sklearn import RobustRegressor

TRUTH = np.array([1.0, -2.0, 0.5])


def data(rows=80, outliers=16, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    y = 4 + x @ TRUTH + 0.3 * rng.normal(size=rows)
    y[:outliers] += 40
    return x, y


@pytest.fixture(scope="module")
def drawn():
    x, y = data()
    frame = pd.DataFrame(x, columns=["a", "b c", "d"])
    weights = np.ones(len(y))
    weights[:10] = 0
    model = RobustRegressor(method="nuts", draws=100, warmup=200, chains=2, random_state=1)
    return model.fit(frame, y, sample_weight=weights), frame, y


# --- scikit-learn's contract --------------------------------------------------------------------


@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.SkipTestWarning",
)
@parametrize_with_checks([RobustRegressor()])
def test_checks_of_scikit_learn(estimator, check):
    """All of them, none expected to fail."""
    check(estimator)


def test_grid_search_and_pipeline():
    """It is one step among others, and its parameters are searched and cloned."""
    x, y = data()
    steps = make_pipeline(StandardScaler(), PolynomialFeatures(2), RobustRegressor())
    steps.set_output(transform="pandas")
    grid = {"robustregressor__alpha": [0.5, dist.Uniform(0.0, 2.0)]}
    # the outliers come first: unmixed, they would be most of a fold
    folds = KFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(steps, grid, cv=folds, scoring="neg_median_absolute_error").fit(x, y)
    assert search.best_score_ > -1
    last = search.best_estimator_[-1]
    assert last.coef_[list(last.feature_names_in_).index("x1")] == pytest.approx(-2, abs=0.3)


def test_a_pickled_fit_predicts_alike():
    """What a file holds is enough for predictions and their sd."""
    x, y = data()
    model = RobustRegressor(priors={"sigma": dist.HalfNormal(1.0)}).fit(x, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.predict(x, return_std=True), model.predict(x, return_std=True)
    )
    assert clone(model).get_params()["priors"].keys() == {"sigma"}


def test_bad_input_is_told_in_words():
    """Of parameters in this package's, of data in scikit-learn's."""
    x, y = data()
    for parameters, words in (
        ({"method": "mcmc"}, "no method 'mcmc'"),
        ({"leverage": "x"}, "no leverage 'x'"),
        ({"likelihood": "huber"}, "huber"),
        ({"priors": {"x9": dist.Normal(0, 1)}}, "no parameter 'x9'"),
        ({"priors": {"alpha": 1.0}, "alpha": 1.0}, "given twice"),
    ):
        with pytest.raises(InputError, match=words):
            RobustRegressor(**parameters).fit(x, y)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        RobustRegressor().fit(sparse.csr_array(x), y)
    with pytest.raises(ValueError, match="Negative"):
        RobustRegressor().fit(x, y, sample_weight=np.r_[-1, np.ones(len(y) - 1)])
    with pytest.raises(InputError, match="priors of their own"):
        RobustRegressor(priors={"beta": dist.Normal(0, 1)}).fit(x[:, [0, 0]], y)


# --- the fit ------------------------------------------------------------------------------------


def test_outliers_do_not_move_it():
    """A fifth of gross outliers get no weight, and the rest is found."""
    x, y = data()
    model = RobustRegressor().fit(x, y)
    np.testing.assert_allclose(model.coef_, TRUTH, atol=0.2)
    assert model.intercept_ == pytest.approx(4, abs=0.2)
    assert model.weights_[:16].max() < 0.02 < model.weights_[16:].min()


def test_it_is_the_mode_that_regression_finds():
    """Without a formula it is the same model: the same mode, to single precision."""
    x, y = data(40, 4)
    model = RobustRegressor().fit(x, y)
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=y)
    posterior = Regression("y ~ a + b + c", frame).fit(method="map")["posterior"].dataset
    beta = posterior["beta"].values.ravel()
    np.testing.assert_allclose(np.r_[model.intercept_, model.coef_], beta, rtol=1e-4)
    assert model.alpha_ == pytest.approx(posterior["alpha"].item(), abs=1e-4)
    assert model.scale_ == pytest.approx(posterior["scale"].item(), rel=1e-4)


@pytest.mark.parametrize("likelihood", NAMES)
@pytest.mark.parametrize("leverage", ["report", "downweight"])
def test_weights_count_rows(likelihood, leverage):
    """To the last digit, whatever the order of the rows."""
    x, y = data(40, 4)
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, len(y))
    model = RobustRegressor(likelihood, leverage=leverage).fit(x, y, sample_weight=weights)
    shuffled = rng.permutation(np.repeat(np.arange(len(y)), weights))
    again = clone(model).fit(x[shuffled], y[shuffled])
    np.testing.assert_array_equal(again.coef_, model.coef_)
    assert again.intercept_ == model.intercept_
    np.testing.assert_array_equal(again.scale_, model.scale_)


def test_the_sd_is_the_robust_one():
    """Of Normal noise it is the sd, of others that of the Normal law with the same quartiles."""
    x, y = data(outliers=0)
    normal = RobustRegressor("normal").fit(x, y)
    np.testing.assert_allclose(normal.predict(x, return_std=True)[1], normal.scale_, rtol=1e-6)
    other = RobustRegressor(alpha=0.5).fit(x, y)
    upper = float(GeneralRobust(0.5, 0.0, other.scale_).icdf(0.75))
    np.testing.assert_allclose(other.predict(x, return_std=True)[1], upper / 0.67449, rtol=1e-4)


def test_draws(drawn):
    """Means of draws, the sd of the location on top of the noise's, and a whole DataTree."""
    model, frame, y = drawn
    np.testing.assert_allclose(model.coef_, TRUTH, atol=0.2)
    loc, sd = model.predict(frame, return_std=True)
    far = 100 * frame
    assert (model.predict(far, return_std=True)[1] > 2 * sd).mean() > 0.9
    posterior = model.posterior_
    assert posterior["posterior"]["coefficient"].values.tolist() == ["Intercept", "a", "b c", "d"]
    assert posterior["observed_data"]["row"].values.tolist() == list(range(10, len(y)))
    draws = posterior["posterior"]["beta"].values.reshape(-1, 4)
    x = np.column_stack([np.ones(len(y)), frame])
    np.testing.assert_allclose(loc, (draws @ x.T).mean(axis=0), rtol=1e-6)
    assert model.weights_.shape == y.shape
    # fitted anew by another likelihood, nothing is left of what it had
    again = clone(model).set_params(method="map", likelihood="normal").fit(frame, y)
    model_vars = vars(clone(model).set_params(method="map").fit(frame, y).set_params())
    assert "alpha_" in model_vars
    assert not {"alpha_", "posterior_"} & vars(again).keys()


# --- where columns or rows are few --------------------------------------------------------------


def test_columns_that_determine_each_other():
    """The fit is that of the columns without the repetition, which share its coefficient."""
    x, y = data()
    twice = np.column_stack([x, 10 * x[:, 0], np.full(len(y), 3.0)])
    plain, model = RobustRegressor().fit(x, y), RobustRegressor().fit(twice, y)
    np.testing.assert_allclose(model.predict(twice), plain.predict(x), atol=1e-5)
    assert model.coef_[0] == pytest.approx(10 * model.coef_[3])
    assert model.coef_[4] == 0


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([[1.0, 2.0]], [3.0]),
        ([[1.0], [2.0], [3.0]], [2.0, 2.0, 2.0]),
        (np.eye(4, 9), np.arange(4.0)),
        (np.linspace(0, 1, 20)[:, None], 3 * np.linspace(0, 1, 20) - 1),
    ],
    ids=["one row", "constant response", "more columns than rows", "no noise"],
)
def test_exact_fits_are_fitted_exactly(x, y):
    """And a warning says that they tell nothing of the noise."""
    with pytest.warns(ConvergenceWarning, match="scale_ is 0"):
        model = RobustRegressor().fit(x, y)
    loc, sd = model.predict(x, return_std=True)
    np.testing.assert_allclose(loc, y, atol=1e-9)
    assert model.scale_ == 0
    assert np.isnan(model.alpha_)
    assert not sd.any()


def test_without_an_intercept():
    """The line goes through 0, also where a column is constant."""
    x, y = data(outliers=0)
    model = RobustRegressor(fit_intercept=False).fit(np.column_stack([x, np.full(len(y), 2.0)]), y)
    assert model.intercept_ == 0
    assert model.coef_[3] == pytest.approx(2, abs=0.1)
    with pytest.raises(InputError, match="no intercept"):
        RobustRegressor(fit_intercept=False).fit(np.zeros((9, 2)), y[:9])


# --- statistics of rows that stand for several ----------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_weighted_statistics_are_those_of_repeated_rows(seed):
    """Medians, rows left out and evenly spaced rows."""
    rng = np.random.default_rng(seed)
    values, weights = rng.normal(size=30), rng.integers(1, 5, 30)
    repeated, counts = np.repeat(values, weights), weights.astype(float)
    assert median(values, counts) == np.median(repeated)
    for count in (0, 3, 7):
        kept, left = smallest_left_out(values, count, counts)
        np.testing.assert_array_equal(
            np.repeat(values[kept], left.astype(int)), np.sort(repeated)[count:]
        )
    for most in (1000, 17, 9):
        step = -(-repeated.size // most)
        rows = spaced_rows(values.size, most, counts)
        np.testing.assert_array_equal(values[rows], repeated[::step])
    # of fractions, too
    assert median(values, counts / 7) == np.median(repeated)


def test_nothing_is_warned_of_in_an_ordinary_fit():
    """A warning would say that something is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RobustRegressor().fit(*data())
