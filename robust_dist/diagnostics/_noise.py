"""What the law of the noise says of a residual: its weight, tail probabilities and robust sd.

Everything is computed for the residual over the row's scale, taken in double precision: a response
of 1e6 with noise of 0.01 would leave nothing of it in single precision.
"""

import jax
import numpy as np
from jax import Array
from numpyro.distributions import Distribution
from scipy import stats
from xarray import DataTree

from robust_dist import weight
from robust_dist.diagnostics._blocks import Parameters
from robust_dist.regression.row_laws import row_law

# sd of the Normal law whose quartiles are -1 and 1
_SD_OF_QUARTILE = 1 / stats.norm.ppf(0.75)


def likelihood(dt: DataTree) -> str:
    """Return the name of the fit's law."""
    return str(dt.attrs.get("likelihood", "general_robust"))


def reduced(y: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, np.ndarray, dict]:
    """Return residual over scale, the scale, and the parameters of the law it follows."""
    unit = parameters["scale"] if "scale" in parameters else parameters["scale_left"]
    scales = {name: value / unit for name, value in parameters.items() if name.startswith("scale")}
    rest = {name: value for name, value in parameters.items() if name not in ("loc", *scales)}
    return (y - parameters["loc"]) / unit, unit, {"loc": np.zeros((1, 1)), **scales, **rest}


def irls_weight(dt: DataTree, y: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the weights, of shape (samples, rows), 1 where the residual is zero."""
    z, _, law = reduced(y, parameters)
    match likelihood(dt):
        case "normal":
            return np.ones_like(z)
        case "laplace":
            return 1 / np.maximum(np.abs(z), 1.0)
        case "cauchy":
            return 1 / (1 + z**2)
        case "student_t":
            return 1 / (1 + z**2 / law["nu"])
        case "asymmetric_general_robust":
            z = np.where(z < 0, z, z / law["scale_right"])
    # single precision is ample for a weight, and twice as fast
    return np.asarray(_robust_weight(z.astype(np.float32), law["alpha"].astype(np.float32)), float)


@jax.jit
def _robust_weight(z: Array, alpha: Array) -> Array:
    return weight(z, alpha, 1.0)


def log_tails(dt: DataTree, y: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Return log P(Y <= y) and log P(Y > y) of each row, of shape (samples, rows)."""
    z, _, law = reduced(y, parameters)
    frozen = _scipy_law(dt, law)
    if frozen is not None:
        return frozen.logcdf(z), frozen.logsf(z)
    with jax.enable_x64(True):
        if "scale_left" in law:
            lower, upper = _both_tails(row_law(dt, law), z)
            return np.asarray(lower), np.asarray(upper)
        # one evaluation serves both tails of a symmetric law
        small = np.asarray(_lower_tail(row_law(dt, law), -np.abs(z)))
    large = np.log1p(-np.exp(small))
    return np.where(z < 0, small, large), np.where(z < 0, large, small)


@jax.jit
def _lower_tail(law: Distribution, z: Array) -> Array:
    return law.log_cdf(z)


@jax.jit
def _both_tails(law: Distribution, z: Array) -> tuple[Array, Array]:
    return law.log_cdf(z), law.log_sf(z)


def robust_sd(dt: DataTree, parameters: Parameters) -> np.ndarray:
    """Return the sd of the Normal law with the quartiles of the noise, as 1.4826 MAD estimates."""
    _, unit, law = reduced(np.zeros(1), parameters)
    frozen = _scipy_law(dt, law)
    if frozen is not None:
        quartile = frozen.ppf(0.75)
    else:
        with jax.enable_x64(True):
            quartile = np.asarray(
                (_half_range if "scale_left" in law else _quartile)(row_law(dt, law))
            )
    return unit * quartile * _SD_OF_QUARTILE


@jax.jit
def _quartile(law: Distribution) -> Array:
    return law.icdf(0.75)


@jax.jit
def _half_range(law: Distribution) -> Array:
    return (law.icdf(0.75) - law.icdf(0.25)) / 2


def _scipy_law(dt: DataTree, law: dict[str, np.ndarray]):  # type: ignore[no-untyped-def]
    """Return SciPy's law of the reduced residual, in double precision; None for our own."""
    match likelihood(dt):
        case "normal":
            return stats.norm()
        case "laplace":
            return stats.laplace()
        case "cauchy":
            return stats.cauchy()
        case "student_t":
            return stats.t(law["nu"])
    return None
