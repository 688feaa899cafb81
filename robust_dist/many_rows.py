r"""Log-likelihoods of so many rows that single precision would lose their differences.

The log-likelihood of 1e7 rows is some -1.4e7, where float32 has no digits after the point, while a
sampler asks for differences of energy to a few hundredths. Three errors stand in the way:

- the total itself is rounded: each row gives up a constant, its *centre*, so that it stays small;
- so are partial sums: they are formed in float64;
- what all rows share, such as log(scale) or log Z(alpha), is rounded alike in every row. On some
  65,000 of the rows the density is evaluated in float64 too, and by what it differs there all rows
  are corrected (a difference estimator, as survey sampling calls it).

None of it needs to know the law. In float64 there is nothing to correct.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, ExpandedDistribution, MaskedDistribution
from numpyro.infer.util import compute_log_probs
from numpyro.primitives import Messenger

__all__ = ["compensated", "mean_log_density"]

CHUNKS = 64
"""at how many places of the data float64 is asked"""
_CHUNK = 1024
"""how many rows there"""


class compensated(Messenger):  # noqa: N801 - handlers have lower-case names in NumPyro
    r"""Sum the log-likelihood of observed rows so that float32 keeps its differences.

    A NumPyro handler, around a model or a ``with`` block. For every observed site with one number
    per row the log density of the whole,

    .. math:: \sum_i w_i (\log p(y_i \mid \theta) - \mathrm{centre}),

    with the weights w of ``handlers.scale`` and plates, is right to a few hundredths at 1e7 rows in
    float32; that of NumPyro to about 1. Posterior and gradients are those of the model: the centre
    is a constant. ``log_likelihood`` and ``Predictive`` see the model unchanged, without it.

    Parameters
    ----------
    fn
        A NumPyro model.
    centre
        About the mean log density of a row where the posterior is, from :func:`mean_log_density`;
        to 0.01 is near enough.

    Examples
    --------
    >>> import jax, numpyro
    >>> from numpyro import distributions as dist
    >>> from robust_dist import GeneralRobust
    >>> from robust_dist.many_rows import compensated, mean_log_density
    >>> def model(y):
    ...     loc = numpyro.sample("loc", dist.Normal(0, 1))
    ...     with numpyro.plate("row", len(y)):
    ...         numpyro.sample("y", GeneralRobust(1.0, loc, 1.0), obs=y)
    >>> y = GeneralRobust(1.0).sample(jax.random.key(0), (100_000,))
    >>> kernel = numpyro.infer.NUTS(compensated(model, mean_log_density(model, {"loc": 0.0}, y)))
    """

    def __init__(self, fn: Callable[..., Any] | None = None, centre: float = 0.0) -> None:
        self.centre = float(centre)
        super().__init__(fn)

    def process_message(self, msg: dict[str, Any]) -> None:
        """Hand the site a law that knows the total, and take its weights in."""
        if msg["type"] != "sample" or not msg["is_observed"] or msg["intermediates"]:
            return
        law = msg["fn"]
        if law.event_dim or len(law.batch_shape) != 1:
            return
        msg["fn"] = _Rows(law, _weights(law, msg["scale"]))
        msg["scale"] = None
        # with intermediates NumPyro's densities ask for the total, and its log_likelihood does not
        msg["intermediates"] = (self.centre,)


def mean_log_density(
    model: Callable[..., Any], params: Mapping[str, ArrayLike], *args: Any, **kwargs: Any
) -> float:
    """Return the mean log density of an observed row, weighted as the model weighs them.

    Parameters
    ----------
    model
        A NumPyro model.
    params
        The values of all its latent sites, such as a rough fit.
    *args, **kwargs
        The model's arguments; a random part of the rows is enough.
    """
    densities, trace = compute_log_probs(model, args, kwargs, dict(params), sum_log_prob=False)
    total = weight = 0.0
    for name, density in densities.items():
        if trace[name]["is_observed"] and jnp.ndim(density) == 1:
            weights = _weights(trace[name]["fn"], trace[name]["scale"])
            total += np.asarray(density, float).sum()
            weight += np.broadcast_to(np.asarray(weights, float), density.shape).sum()
    return float(total / weight)


def _weights(law: Distribution, scale: ArrayLike | None) -> ArrayLike:
    """Return how much each row counts."""
    scale = 1.0 if scale is None else scale
    if isinstance(law, MaskedDistribution):
        return jnp.where(law._mask, scale, 0.0).astype(jnp.result_type(float, scale))
    return scale


class _Rows(Distribution):
    """A law of rows; its log density is by row, or, given the centre, the total."""

    pytree_data_fields = ("law", "weights")

    def __init__(self, law: Distribution, weights: ArrayLike) -> None:
        self.law, self.weights = law, weights
        super().__init__(law.batch_shape, law.event_shape, validate_args=False)

    @property
    def support(self) -> Any:
        """The law's."""
        return self.law.support

    @property
    def has_rsample(self) -> bool:
        """The law's."""
        return self.law.has_rsample

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Return draws of the law."""
        return self.law.sample(key, sample_shape)

    def log_prob(self, value: ArrayLike, intermediates: tuple[float] | None = None) -> Array:
        """Return the log density of each row, or the centred and weighted total."""
        if not intermediates:
            return self.law.log_prob(value)
        return _centred_total(self.law, self.weights, value, intermediates[0])


@jax.jit  # for NumPyro, which looks for a start without compiling, in several times the memory
def _centred_total(
    law: Distribution, weights: ArrayLike, value: ArrayLike, centre: ArrayLike
) -> Array:
    # the same numbers for both: evaluated twice, they would be rounded differently
    density = lax.optimization_barrier(law.log_prob(value))
    terms = weights * (density - jnp.asarray(centre, density.dtype))
    return _total(terms) + lax.stop_gradient(_lost(law, weights, value, density))


def _lost(law: Distribution, weights: ArrayLike, value: ArrayLike, density: Array) -> ArrayLike:
    """Return by how much float64 exceeds the sum of these densities."""
    rows = density.shape[0]
    if density.dtype != jnp.float32 or rows < CHUNKS * _CHUNK:
        return 0.0
    law = _without_expansion(law)
    with jax.enable_x64(True):
        law, weights, value, single = jax.tree.map(
            lambda leaf: _some(lax.stop_gradient(jnp.asarray(leaf)), rows),
            (law, weights, value, density),
        )
        lost = (weights * (law.log_prob(value) - single)).sum() * (rows / (CHUNKS * _CHUNK))
        return lost.astype(jnp.float32)


def _without_expansion(law: Distribution) -> Distribution:
    """Return the law with its parameters as they were given."""
    while isinstance(law, ExpandedDistribution):
        law = law.base_dist
    if isinstance(law, MaskedDistribution):
        return MaskedDistribution(_without_expansion(law.base_dist), law._mask)
    return law


def _some(leaf: Array, rows: int) -> Array:
    """Return what belongs to the chosen rows, in float64."""
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        leaf = leaf.astype(jnp.float64)
    if leaf.ndim == 0 or leaf.shape[-1] != rows:
        return leaf
    each = rows // CHUNKS
    return leaf[: CHUNKS * each].reshape(CHUNKS, each)[:, :_CHUNK].ravel()


@jax.custom_jvp
def _total(terms: Array) -> Array:
    """Return the sum, formed in float64."""
    with jax.enable_x64(True):
        return terms.astype(jnp.float64).sum().astype(terms.dtype)


@_total.defjvp
def _total_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # a derivative needs no more digits, and no float64 for each row
    return _total(*primals), tangents[0].sum()
