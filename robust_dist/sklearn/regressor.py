"""The estimator."""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from robust_dist._arguments import check_type
from robust_dist._errors import ExactFitError, InputError
from robust_dist.regression.fit import LEVERAGE, METHODS
from robust_dist.regression.likelihoods import BACKGROUND_LOC, NAMES, find_likelihood
from robust_dist.regression.own_priors import Prior
from robust_dist.sklearn.fits import Fit, Problem, at_mode, by_draws, through_all_rows

_MODE = "map"
# attributes that only some fits have
_SOME = ("alpha_", "nu_", "contamination_", "posterior_")


class RobustRegressor(RegressorMixin, BaseEstimator):
    r"""Linear regression with heavy-tailed noise, the heaviness of which is inferred.

    The model of :class:`robust_dist.regression.Regression`, of all columns of X and an intercept,

    .. math:: y_i \sim \mathrm{likelihood}(b_0 + x_i^T b, c, \alpha),

    fitted by its posterior mode unless ``method`` says otherwise. Its default priors know the units
    of the data, so that nothing need be scaled. ``sample_weight`` counts rows: a row of weight 2 is
    two rows in every respect.

    Parameters
    ----------
    likelihood
        ``"general_robust"``, ``"contaminated"``, ``"student_t"``, ``"normal"``, ``"laplace"``,
        ``"cauchy"`` or ``"asymmetric_general_robust"``.
    priors
        NumPyro distributions in place of default priors, by the name of a column
        (``feature_names_in_``, else ``"x0"``, ``"x1"``, ...), ``"Intercept"``, ``"beta"`` (all
        slopes), ``"sigma"`` or another parameter, as for ``Regression``.
    alpha
        Short for ``priors={"alpha": alpha}``: a number, or a distribution.
    method
        ``"map"``, the posterior's mode on the sampler's axes, a fraction of a second; ``"nuts"``,
        ``"laplace"`` or ``"svi"``, draws of the posterior, as for ``Regression.fit``. Coefficients
        are the draws' means then.
    leverage
        ``"report"``, rows far out in X count in full; or ``"downweight"``, they count for less, and
        for nothing from twice the limit on (``optimize.robust_distances``).
    fit_intercept
        Whether there is a constant besides the columns.
    draws, warmup, chains
        As for ``Regression.fit``, if there are draws.
    random_state
        Of the draws; a mode has nothing random in it.

    Attributes
    ----------
    coef_
        Shape (p,). Of columns that determine each other those of least length, in units of the
        columns' spreads.
    intercept_
        A number, 0 without an intercept.
    alpha_, nu_, contamination_
        Shapes of the noise, those that the likelihood has.
    scale_
        Of the noise: c of the paper, of ``"asymmetric_general_robust"`` that to the left and to the
        right. It is 0, and the shapes nan, where the columns fit all rows exactly; a
        ``ConvergenceWarning`` says so.
    weights_
        Shape (n,), how much the fit believes each row, from 0 (ignored) to 1, at these values
        (``diagnostics.observation_weights`` says how); ``sample_weight`` has no part in it.
    posterior_
        The ``DataTree`` of the draws, which ``diagnostics`` and ``plots`` read, if there are any.
    n_features_in_, feature_names_in_
        As of every estimator.
    """

    def __init__(
        self,
        likelihood: str = NAMES[0],
        *,
        priors: Mapping[str, Prior] | None = None,
        alpha: Prior | None = None,
        method: str = _MODE,
        leverage: str = LEVERAGE[0],
        fit_intercept: bool = True,
        draws: int = 1000,
        warmup: int = 1000,
        chains: int = 4,
        random_state: Any = None,
    ) -> None:
        self.likelihood = likelihood
        self.priors = priors
        self.alpha = alpha
        self.method = method
        self.leverage = leverage
        self.fit_intercept = fit_intercept
        self.draws = draws
        self.warmup = warmup
        self.chains = chains
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Fit the coefficients and the law of the noise.

        Parameters
        ----------
        X
            Numbers, shape (n, p), none missing.
        y
            Numbers, shape (n,).
        sample_weight
            How many rows each row stands for, shape (n,), not negative; by default one.

        Raises
        ------
        ValueError
            If X, y or the weights cannot be used; in scikit-learn's words, or as an ``InputError``.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)  # noqa: N806
        y = np.asarray(y, float)
        weights = None if sample_weight is None else _weights(sample_weight, X)
        problem = self._problem(X, y, weights)
        try:
            fit = self._fit(problem)
        except ExactFitError as error:
            warnings.warn(
                f"{error}: scale_ is 0 and the shape of the noise unknown",
                ConvergenceWarning,
                stacklevel=2,
            )
            fit = through_all_rows(problem)
        for name in _SOME:
            self.__dict__.pop(name, None)
        self.coef_ = fit.coefficients.mean(axis=0)
        self.intercept_ = float(fit.intercept.mean())
        for shape in problem.likelihood.shapes:
            setattr(self, f"{shape.name}_", fit.noise[shape.name])
        scales = [fit.noise[name] for name in problem.likelihood.law_scales]
        self.scale_ = scales[0] if len(scales) == 1 else np.array(scales)
        self._noise = fit.noise
        self._covariance = None
        if fit.posterior is not None:
            self.posterior_ = fit.posterior
            both = np.column_stack([fit.coefficients, fit.intercept])
            self._covariance = np.cov(both.T)
        self._likelihood = problem.likelihood.name
        self.weights_ = self._weights_of(y, X @ self.coef_ + self.intercept_)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:  # noqa: N803
        """Return the location of the response's law, which of symmetric noise is its median.

        Parameters
        ----------
        X
            Numbers, shape (n, p).
        return_std
            Whether to return a standard deviation besides: the robust one, which is half of the
            distance between the quartiles over 0.674. Of Normal noise it is the standard deviation;
            heavy tails have none, or one that a few draws in a million make. (Of a contaminated law
            it is that of what most rows follow.) Where the fit is of draws, those of the location
            widen it, squares added; at a mode it is the noise's alone, the same in each row.

        Returns
        -------
        ndarray or tuple
            Shape (n,), and, if asked for, the standard deviations, of the same shape.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)  # noqa: N806
        loc = X @ self.coef_ + self.intercept_
        if not return_std:
            return loc
        variance = np.full(len(loc), self._robust_sd() ** 2)
        if self._covariance is not None:
            with_one = np.column_stack([X, np.ones(len(X))])
            variance += np.einsum("ij,jk,ik->i", with_one, self._covariance, with_one)
        return loc, np.sqrt(variance)

    def _problem(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Problem:
        """Return what is to be fitted, the parameters of the estimator checked."""
        for name, value, known in (
            ("method", self.method, METHODS),
            ("leverage", self.leverage, LEVERAGE),
        ):
            if value not in known:
                raise InputError(f"no {name} '{value}'; there are: {', '.join(known)}")
        check_type("priors", self.priors, (Mapping, type(None)), "a mapping of names to priors")
        priors = dict(self.priors or {})
        if self.alpha is not None:
            if "alpha" in priors:
                raise InputError("alpha is given twice, alone and among the priors; leave one out")
            priors["alpha"] = self.alpha
        rows = np.arange(len(y)) if weights is None else np.flatnonzero(weights)
        return Problem(
            x=x[rows],
            y=y[rows],
            names=self._names(),
            rows=rows,
            weights=None if weights is None else weights[rows],
            intercept=bool(self.fit_intercept),
            likelihood=find_likelihood(self.likelihood),
            priors=priors,
            leverage=self.leverage,
        )

    def _names(self) -> tuple[str, ...]:
        """Return the names of the columns, those of X where a formula can have them."""
        names = tuple(map(str, getattr(self, "feature_names_in_", ())))
        if names and len({*names}) == len(names) and not any(map(_unusable, names)):
            return names
        return tuple(f"x{number}" for number in range(self.n_features_in_))

    def _fit(self, problem: Problem) -> Fit:
        if self.method == _MODE:
            return at_mode(problem)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        run = {"draws": self.draws, "warmup": self.warmup, "chains": self.chains}
        return by_draws(problem, self.method, seed=seed, **run)

    def _parameters(self, loc: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameters of the law of rows with these locations."""
        parameters = {name: np.full(1, value) for name, value in self._noise.items()}
        if BACKGROUND_LOC in parameters:
            parameters[BACKGROUND_LOC] = parameters[BACKGROUND_LOC] - loc
        return parameters | {"loc": loc}

    def _weights_of(self, y: np.ndarray, loc: np.ndarray) -> np.ndarray:
        """Return how much rows are believed."""
        if not np.all(self.scale_):
            return np.ones_like(y)
        likelihood = find_likelihood(self._likelihood)
        z, _, law = likelihood.reduced(y, self._parameters(loc))
        return np.broadcast_to(likelihood.irls_weight(z, law), (1, y.size))[0].copy()

    def _robust_sd(self) -> float:
        if not np.all(self.scale_):
            return 0.0
        likelihood = find_likelihood(self._likelihood)
        return float(likelihood.robust_sd(self._parameters(np.zeros(1))).item())


def _weights(sample_weight: Any, x: np.ndarray) -> np.ndarray:
    """Return the weights of rows, some of which may be 0."""
    weights = np.asarray(_check_sample_weight(sample_weight, x, dtype=np.float64), float)
    if (weights < 0).any():
        raise ValueError("Negative values in data passed to `sample_weight`")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def _unusable(name: str) -> bool:
    """Return whether a formula cannot hold a name, or means something else by it."""
    return name == "Intercept" or not name.strip() or not name.isprintable() or "`" in name
