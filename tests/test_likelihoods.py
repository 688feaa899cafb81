"""Everything that is known of a likelihood stands in one place, and a new one needs no other."""

import ast
from pathlib import Path

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro import distributions as dist
from scipy import stats

import robust_dist
from robust_dist import diagnostics
from robust_dist.regression import Regression, predict
from robust_dist.regression.likelihoods import LIKELIHOODS, NAMES, Shape
from robust_dist.regression.likelihoods._of_scipy import OfSciPy
from robust_dist.regression.row_laws import row_parameters

PACKAGE = Path(robust_dist.__file__).parent
FOLDER = PACKAGE / "regression" / "likelihoods"

# rooms below the regression, that know the laws themselves and no likelihood
BELOW = ("_numerics", "_precompute", "_tables", "distributions")
# what else a word stands for than a law or a parameter of one
EXCEPTIONS = {
    # where the public names live
    "__init__.py": {"robust_dist.distributions.general_robust"},
    # a key of NumPyro's messages
    "many_rows.py": {"scale"},
    # the sites of a user's own model, and arguments of a function
    "optimize/start.py": {"alpha", "scale", "sigma"},
    "optimize/noise.py": {"alpha", "scale"},
    # a function of formulas
    "regression/design/functions.py": {"scale"},
    # the argument alpha, short for a prior; and Laplace's approximation
    "regression/fit.py": {"alpha", "laplace"},
    "regression/comparison.py": {"laplace"},
    "regression/own_priors.py": {"alpha"},
    "sklearn/regressor.py": {"alpha"},
    # of the losses of training loops, which are the paper's
    "losses/image.py": {"alpha", "general_robust", "student_t"},
    "cli/_options.py": {"laplace"},
    # a column of a table: of Normal noise
    "diagnostics/tails.py": {"normal"},
    # the options --alpha, --alpha-formula and --sigma-formula, and the picture alpha.png
    "cli/_fit.py": {"alpha"},
    "cli/_plot.py": {"alpha"},
    "cli/_report.py": {"alpha"},
    "cli/_session.py": {"alpha", "sigma"},
}


def texts(source):
    """Return the literal texts of a program, but for those that are statements: docstrings."""
    tree = ast.parse(source)
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in statements
    }


def test_every_module_of_a_likelihood_is_listed_under_its_name():
    modules = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
    assert modules == {*NAMES}
    assert list(LIKELIHOODS) == list(NAMES)
    assert [likelihood.name for likelihood in LIKELIHOODS.values()] == list(NAMES)


def test_no_law_is_named_elsewhere():
    """Neither a likelihood nor a parameter of one, but for the exceptions, all of which occur."""
    parameters = {
        name
        for likelihood in LIKELIHOODS.values()
        for name in (*likelihood.parameters, *likelihood.law_scales)
    }
    # no word of English nor of NumPyro
    long = [name for name in NAMES if "_" in name]
    named = {}
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE)
        if place.parts[0] in BELOW or FOLDER in path.parents:
            continue
        words = {
            text
            for text in texts(path.read_text())
            if text in parameters | {*NAMES} or any(name in text for name in long)
        }
        if words:
            named[place.as_posix()] = words
    assert named == EXCEPTIONS


@pytest.mark.parametrize("name", NAMES)
def test_predictors_make_the_same_law_in_a_model_and_outside_of_one(name):
    """One function, of JAX arrays and of NumPy's."""
    likelihood = LIKELIHOODS[name]
    linear = {formula: np.linspace(-30.0, 3.0, 7) for formula in likelihood.links}
    shared = {name: np.full((2, 1), 1.7) for name in likelihood.shared(linear)}
    error = np.linspace(1.0, 2.0, 7)
    with jax.enable_x64(True):
        ours = likelihood.law_parameters(likelihood.row_parameters(shared, linear, error))
        traced = likelihood.law_parameters(
            likelihood.row_parameters(*jax.tree.map(jnp.asarray, (shared, linear, error)))
        )
        assert ours.keys() == traced.keys()
        for parameter, values in ours.items():
            assert isinstance(values, np.ndarray)
            # a few roundings of exp
            np.testing.assert_allclose(values, traced[parameter], rtol=2e-15)


class MadeUp(OfSciPy):
    """Student's t under names that occur nowhere else."""

    name = "made_up"
    title = "made up"
    shapes = (Shape("thickness", prior=lambda: dist.Gamma(4.0, 1.0), landmarks=(3,)),)
    scales = law_scales = ("spread",)

    def row_law(self, **parameters):
        """Return the law."""
        return dist.StudentT(parameters["thickness"], parameters["loc"], parameters["spread"])

    def irls_weight(self, z, law):
        """Return the weights."""
        return 1 / (1 + z**2 / law["thickness"])

    def scipy_law(self, law):
        """Return SciPy's law."""
        return stats.t(law["thickness"])


@pytest.fixture(scope="module")
def _registered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LIKELIHOODS, MadeUp.name, MadeUp())
        yield


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    error = rng.uniform(0.5, 2.0, 30)
    y = 1 + 2 * x + 0.3 * error * rng.normal(size=30)
    y[7] += 40
    return pd.DataFrame({"x": x, "error": error, "y": y})


@pytest.fixture(scope="module")
def fit(_registered, data):
    regression = Regression("y ~ x", data, "made_up", measurement_error="error")
    assert regression.priors.in_words().keys() == {
        "beta[Intercept]",
        "beta[x]",
        "thickness",
        "spread",
    }
    return regression.fit(draws=30, warmup=100, chains=2, progress=False)


@pytest.mark.usefixtures("_registered")
def test_a_new_likelihood_is_fitted_and_read_like_any_other(fit, data):
    posterior = fit["posterior"].dataset
    table = diagnostics.summary(fit)
    assert {"thickness", "spread", "x", "Intercept"} == {*table.index}
    assert table["mean"]["x"] == pytest.approx(2, abs=0.3)
    parameters = row_parameters(fit)
    assert parameters.keys() == {"loc", "thickness", "spread"}
    spread = posterior["spread"].values.reshape(-1, 1) * data["error"].to_numpy()
    np.testing.assert_allclose(parameters["spread"], spread)
    residual = (data["y"].to_numpy() - parameters["loc"]) / spread
    nu = parameters["thickness"]
    weight = (1 / (1 + residual**2 / nu)).mean(axis=0)
    np.testing.assert_allclose(diagnostics.observation_weights(fit)["mean"], weight)
    unit = spread * stats.t(nu).ppf(0.75) / stats.norm.ppf(0.75)
    np.testing.assert_allclose(
        diagnostics.standardized_residuals(fit), (residual * spread / unit).mean(axis=0)
    )
    pit = stats.t(nu).cdf(residual).mean(axis=0)
    np.testing.assert_allclose(diagnostics.pit_residuals(fit)["pit"], pit, rtol=1e-6)
    outliers = diagnostics.outliers(fit)
    assert outliers.index[0] == 7
    assert "P(thickness < 3)" in diagnostics.tail_summary(fit).index
    assert diagnostics.read_tails(fit).startswith("thickness is ")
    assert isinstance(diagnostics.prior_problems(fit), list)
    for kind in ("mean", "response"):
        assert predict(fit, data, kind).shape == (2, 30, 30)


@pytest.mark.usefixtures("_registered")
def test_a_new_likelihood_has_a_report(fit):
    from robust_dist.cli._fit import _heading
    from robust_dist.cli._report import fit_pictures, fit_report

    pictures = fit_pictures(fit)
    assert "alpha" not in pictures
    page = fit_report(fit, _heading(fit), pictures, diagnostics.outliers(fit), None, [], "priors")
    for words in ("made_up", "thickness is ", "P(thickness &lt; 3)", "spread"):
        assert words in page


@pytest.mark.usefixtures("_registered")
def test_the_scale_of_a_new_likelihood_may_have_a_formula(data):
    regression = Regression({"y": "y ~ x", "sigma": "~ x"}, data, "made_up", {"thickness": 5.0})
    assert "the logarithm of the scale (beta_sigma)" in str(regression.priors)
    dt = regression.fit(method="map", progress=False)
    parameters = row_parameters(dt)
    assert parameters["spread"].shape == (1, 30)
    assert np.ptp(parameters["spread"]) > 0
    assert diagnostics.read_tails(dt).startswith("thickness is fixed at 5. ")
    assert isinstance(arviz_base.extract(dt)["beta_sigma"].values, np.ndarray)
