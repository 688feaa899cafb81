r"""The laws of curves: what the weights of ``mo(x)`` and ``hsgp(x)`` are drawn from.

``hsgp(x)`` is a Gaussian process of sd s and length scale :math:`\ell`, with the squared
exponential covariance :math:`s^2 \exp(-(x-x')^2/(2\ell^2))`, in the basis of an interval's
Laplacian (Solin and Sarkka, Statistics and Computing 30, 2020; Riutort-Mayol et al., same journal
33, 2023): weights are independent, their variances the spectral density at the frequencies
:math:`\omega_j` of the basis functions, :math:`s^2 \sqrt{2\pi}\, \ell\,
\exp(-\ell^2\omega_j^2/2)`. Over the range of x in the fit a curve has mean zero.

``mo(x)`` climbs by :math:`b D \zeta_k` from step k to the next of D, with :math:`\zeta` on the
simplex: b is the mean step (Burkner and Charpentier, British Journal of Mathematical and
Statistical Psychology 73, 2020).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jax import Array
from numpyro import distributions as dist

from robust_dist.regression.design.curves import GAUSSIAN
from robust_dist.regression.design.design import WEIGHTS, CurveTerm

_NOTHING = -40.0
"""the logarithm of a weight's sd that is as good as zero, in units of the noise"""


class Layout(NamedTuple):
    """What the law of a curve depends on, whatever the data."""

    name: str
    kind: str
    size: int
    """how many weights"""
    reach: float
    """of ``hsgp``, how far its basis reaches, in half ranges of x"""

    @property
    def weights(self) -> str:
        """What the weights are called."""
        return self.name + WEIGHTS

    @property
    def scalars(self) -> tuple[str, ...]:
        """The parameters that are one number."""
        if self.kind == GAUSSIAN:
            return (f"{self.name}_sigma", f"{self.name}_ell")
        return (self.name,)

    @property
    def simplex(self) -> str | None:
        """The parameter that says how the climb is shared out."""
        return None if self.kind == GAUSSIAN else f"{self.name}_simplex"


def layout_of(term: CurveTerm) -> Layout:
    """Return the layout of a term."""
    return Layout(term.name, term.kind, len(term.parts), term.reach)


def default_priors(term: CurveTerm, width: float) -> dict[str, dist.Distribution]:
    """Return the default priors of a curve that moves the response by some width."""
    if term.kind == GAUSSIAN:
        return {
            f"{term.name}_sigma": dist.HalfNormal(np.float32(width)),
            f"{term.name}_ell": dist.InverseGamma(3.0, np.float32(1.5 * term.unit)),
        }
    steps = len(term.parts)
    return {
        term.name: dist.Normal(0.0, np.float32(width / steps)),
        f"{term.name}_simplex": dist.Dirichlet(np.ones(steps, np.float32)),
    }


def units(term: CurveTerm, scale: float) -> dict[str, float]:
    """Return the user's units of a curve's parameters, over those of the sampler."""
    if term.kind == GAUSSIAN:
        return {f"{term.name}_sigma": scale, f"{term.name}_ell": term.unit}
    return {term.name: scale, f"{term.name}_simplex": 1.0}


def sample_weights(layout: Layout, laws: Mapping[str, Any]) -> Array:
    """Return the weights of a curve in a model, in the sampler's units."""
    values = {name: _sampled(name, laws[name]) for name in layout.scalars}
    if layout.simplex is not None:
        values[layout.simplex] = _sampled(layout.simplex, laws[layout.simplex])
    else:
        # independent of the hyperparameters: with the length scale the sd of a high frequency moves
        # by tens of orders of magnitude
        law = dist.Normal().expand([layout.size]).to_event(1)
        values[_offset(layout)] = numpyro.sample(_offset(layout), law)
    return weights_of(layout, values)


def _sampled(name: str, law: Any) -> Any:
    return numpyro.sample(f"{name}_z", law) if isinstance(law, dist.Distribution) else law


def _offset(layout: Layout) -> str:
    return f"{layout.name}_offset"


def _log_sds(layout: Layout, values: Mapping[str, Any]) -> Array:
    """Return the logarithms of the weights' sds, which themselves may round to zero."""
    sd, ell = (jnp.asarray(values[name]) for name in layout.scalars)
    frequency = jnp.arange(1, layout.size + 1) * (np.pi / (2 * layout.reach))
    log_density = jnp.log(sd**2 * ell * np.sqrt(2 * np.pi)) - 0.5 * (ell * frequency) ** 2
    return jnp.maximum(0.5 * log_density, _NOTHING)


def weights_of(layout: Layout, values: Mapping[str, Any]) -> Array:
    """Return the weights of a curve of its parameters, of one draw."""
    if layout.simplex is not None:
        climb = layout.size * jnp.asarray(values[layout.name])
        return climb * values[layout.simplex]
    spread = jnp.exp(_log_sds(layout, values))
    return spread * values[_offset(layout)]


def drawn_weights(
    layout: Layout, draws: Mapping[str, np.ndarray], fixed: Mapping[str, float]
) -> np.ndarray:
    """Return the weights of draws, shape (..., k), all in the sampler's units.

    Parameters
    ----------
    layout
        Of the curve.
    draws
        The sites' draws by name, any dimensions leading.
    fixed
        The parameters that are numbers, in the same units.
    """
    names: Sequence[str] = layout.scalars
    further = [_offset(layout)] if layout.simplex is None else [f"{layout.simplex}_z"]
    lead = draws[further[0]].shape[:-1]
    flat: dict[str, Any] = {
        name: np.reshape(draws[f"{name}_z"], -1)
        if f"{name}_z" in draws
        else np.full(int(np.prod(lead)), fixed[name])
        for name in names
    }
    for name in further:
        flat[name.removesuffix("_z")] = draws[name].reshape(-1, layout.size)
    with jax.enable_x64(True):
        weights = jax.vmap(lambda values: weights_of(layout, values))(flat)
    return np.asarray(weights).reshape(*lead, layout.size)
