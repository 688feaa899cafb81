r"""Log-likelihoods of so many rows that single precision would lose their differences.

The log-likelihood of 1e7 rows is about -1.4e7. There float32 has no digits after the point, while a
sampler decides by differences of a few hundredths. Three roundings do the damage:

- The total is rounded. So a constant, the *centre*, which is about the mean log density of a row,
  is taken from every row before the sum, and the total stays small.
- Partial sums are rounded. So they are formed in float64.
- What all rows share, such as log(scale) or log Z(alpha), has one rounding error, which the sum
  multiplies by the number of rows. So one row in 32 is evaluated in float64 as well, and the mean
  difference of these rows corrects all of them (survey sampling calls this a difference estimator).

Nothing of this needs to know the law. In float64 nothing has to be corrected.
"""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, ExpandedDistribution, MaskedDistribution
from numpyro.infer.util import compute_log_probs
from numpyro.primitives import Messenger

from robust_dist._arguments import check_real, shown

__all__ = ["compensated", "mean_log_density"]

CHUNKS = 64
"""The rows are cut into so many chunks, of each of which a part is evaluated in float64 too."""
_PART = 32
"""That part is the first 1/32 of the chunk: enough, as the rows' differences are nearly equal."""
_BLOCK = 65_536
"""Rows evaluated at a time: some arrays of so many numbers fit into a processor's cache."""


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
    sharded
        Whether rows lie on several devices. Else they are evaluated in blocks, in less memory and
        time, for which rows of other devices would have to be fetched.

    Notes
    -----
    Nothing is raised: sites whose events are vectors, or whose batch has other than one axis, are
    summed as NumPyro does.

    References
    ----------
    The correction is the difference estimator of W. G. Cochran, Sampling Techniques, 3rd ed., 1977,
    section 7.2.

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

    def __init__(
        self, fn: Callable[..., Any] | None = None, centre: float = 0.0, *, sharded: bool = False
    ) -> None:
        check_real(centre=centre)
        self.centre, self.sharded = float(centre), sharded
        super().__init__(fn)

    def process_message(self, msg: dict[str, Any]) -> None:
        """Hand the site a law that knows the total, and take its weights in."""
        if msg["type"] != "sample" or not msg["is_observed"] or msg["intermediates"]:
            return
        law = msg["fn"]
        if law.event_dim or len(law.batch_shape) != 1:
            return
        msg["fn"] = _Rows(law, _weights(law, msg["scale"]), self.sharded)
        msg["scale"] = None
        # with intermediates NumPyro's densities ask for the total, and its log_likelihood does not
        msg["intermediates"] = (self.centre,)


def mean_log_density(
    model: Callable[..., Any], params: Mapping[str, ArrayLike], *args: Any, **kwargs: Any
) -> float:
    r"""Return the mean log density of an observed row, weighted as the model weighs them.

    .. math:: \sum_i w_i \log p(y_i \mid \theta) \Big/ \sum_i w_i

    Parameters
    ----------
    model
        A NumPyro model.
    params
        The values of all its latent sites, such as a rough fit.
    *args, **kwargs
        The model's arguments; a random part of the rows is enough.

    Returns
    -------
    float
        The centre for :class:`compensated`, in nats.

    Raises
    ------
    ValueError
        If no observed site has one number per row and weights that are not all 0.

    References
    ----------
    As for :class:`compensated`.
    """
    if not callable(model):
        raise TypeError(f"model must be a NumPyro model, not {shown(model)}")
    if not isinstance(params, Mapping):
        raise TypeError(f"params must map names of sites to values, not {shown(params)}")
    densities, trace = compute_log_probs(model, args, kwargs, dict(params), sum_log_prob=False)
    total = weight = 0.0
    for name, density in densities.items():
        if trace[name]["is_observed"] and jnp.ndim(density) == 1:
            weights = _weights(trace[name]["fn"], trace[name]["scale"])
            total += np.asarray(density, float).sum()
            weight += np.broadcast_to(np.asarray(weights, float), density.shape).sum()
    if not weight:
        raise ValueError("the model observes no rows: no site of one number each, or all masked")
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

    pytree_aux_fields = ("sharded",)

    def __init__(self, law: Distribution, weights: ArrayLike, sharded: bool) -> None:
        self.law, self.weights, self.sharded = law, weights, sharded
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
        law = self.law
        if isinstance(law, MaskedDistribution):
            # the weights are 0 there; a value that is none must not leave a nan
            value = jnp.where(law._mask, value, law.support.feasible_like(value))
            law = law.base_dist
        while isinstance(law, ExpandedDistribution):
            law = law.base_dist
        return _centred_total(law, self.weights, value, intermediates[0], self.sharded)


@functools.partial(jax.jit, static_argnames="sharded")  # also where NumPyro looks for a start
def _centred_total(
    law: Distribution, weights: ArrayLike, value: ArrayLike, centre: ArrayLike, sharded: bool
) -> Array:
    rows = jnp.shape(value)[0]
    if sharded or rows < _BLOCK:
        return _centred_sum(law, weights, value, centre)
    leaves, structure = jax.tree.flatten((law, weights, value))
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    # real numbers, which have a derivative, are either of all rows or one per row
    kinds: dict[str, list[int]] = {"of all": [], "by row": [], "discrete": []}
    for index, leaf in enumerate(leaves):
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        by_row = "by row" if _is_by_row(leaf, rows) else "of all"
        kinds[by_row if floating else "discrete"].append(index)

    def of_block(parts: dict[str, list[Array]], centre: ArrayLike, fresh: Array) -> Array:
        block: list[Any] = [None] * len(leaves)
        for kind, indices in kinds.items():
            for index, leaf in zip(indices, parts[kind], strict=True):
                block[index] = leaf
        law, weights, value = jax.tree.unflatten(structure, block)
        return _centred_sum(law, jnp.where(fresh, weights, 0), value, centre)

    parts = {kind: [leaves[index] for index in indices] for kind, indices in kinds.items()}
    return _in_blocks(of_block, parts, centre, rows)


def _is_by_row(leaf: Array, rows: int) -> bool:
    return leaf.ndim > 0 and leaf.shape[-1] == rows


def _in_blocks(
    function: Callable[..., Array], parts: dict[str, list[Array]], centre: ArrayLike, rows: int
) -> Array:
    """Return the sum of the function's values over blocks of rows.

    Value and derivatives come from one loop over the blocks: what is computed of a row never leaves
    the processor's cache, and nothing but the derivatives by row is as large as the data. JAX would
    differentiate the loop by keeping what every step computes, so the rule is written here.
    """
    # One block: its first row, its value as a function of what has a derivative, and its rows.

    def cut(leaf: Array, start: Array) -> Array:
        return lax.dynamic_slice(leaf, (start,), (_BLOCK,)) if _is_by_row(leaf, rows) else leaf

    def of_block(
        smooth: tuple[list[Array], list[Array]],
        discrete: list[Array],
        centre: ArrayLike,
        block: Array,
    ) -> tuple[Array, Callable[..., Array], list[Array]]:
        # all blocks are of one size: the last reaches back into rows that the one before it has
        # counted, and those get the weight 0
        start = jnp.minimum(block * _BLOCK, rows - _BLOCK)
        fresh = start + jnp.arange(_BLOCK) >= block * _BLOCK
        discrete = [cut(leaf, start) for leaf in discrete]

        def value(of_all: list[Array], by_row: list[Array]) -> Array:
            parts = {"of all": of_all, "by row": by_row, "discrete": discrete}
            return function(parts, centre, fresh)

        return start, value, [cut(leaf, start) for leaf in smooth[1]]

    count = -(-rows // _BLOCK)

    # The value alone, where nobody asks for a derivative.
    @jax.custom_jvp
    def total(
        smooth: tuple[list[Array], list[Array]], discrete: list[Array], centre: ArrayLike
    ) -> Array:
        def step(_: None, block: Array) -> tuple[None, Array]:
            _start, value, by_row = of_block(smooth, discrete, centre, block)
            return None, value(smooth[0], by_row)

        return _total(lax.scan(step, None, jnp.arange(count))[1])

    # Value and gradient together, from which the derivative along any tangent is an inner product.
    def jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
        smooth, discrete, centre = primals
        along_all, along_rows = tangents[0]
        # A gradient by row is as large as the data. Samplers move parameters, not data: leaves
        # whose tangent is known to be 0 are constants, and no gradient is made for them.
        moving = [
            i for i, tangent in enumerate(along_rows) if not isinstance(tangent, SymbolicZero)
        ]

        def select(by_row: list[Any]) -> list[Any]:
            return [by_row[i] for i in moving]

        def step(slopes: list[Array], block: Array) -> Any:
            start, value, by_row = of_block(smooth, discrete, centre, block)

            def of_moving(of_all: list[Array], moved_rows: list[Array]) -> Array:
                replaced = dict(zip(moving, moved_rows, strict=True))
                return value(of_all, [replaced.get(i, leaf) for i, leaf in enumerate(by_row)])

            value_and_slopes = jax.value_and_grad(of_moving, (0, 1))
            block_value, (by_all, by_moving) = value_and_slopes(smooth[0], select(by_row))
            # added to what is there, for the rows that the last block shares with the one before
            slopes = [
                lax.dynamic_update_slice(slope, cut(slope, start) + block_slope, (start,))
                for slope, block_slope in zip(slopes, by_moving, strict=True)
            ]
            return slopes, (block_value, by_all)

        zeros = [jnp.zeros_like(leaf) for leaf in select(smooth[1])]
        by_moving, (values, by_all) = lax.scan(step, zeros, jnp.arange(count))
        slopes = [*(slope.sum(0) for slope in by_all), *by_moving]
        terms = [
            jnp.vdot(slope, tangent)
            for slope, tangent in zip(slopes, [*along_all, *select(along_rows)], strict=True)
            if not isinstance(tangent, SymbolicZero)
        ]
        return _total(values), functools.reduce(operator.add, terms)

    total.defjvp(jvp, symbolic_zeros=True)

    return total((parts["of all"], parts["by row"]), parts["discrete"], centre)


def _centred_sum(
    law: Distribution, weights: ArrayLike, value: ArrayLike, centre: ArrayLike
) -> Array:
    # Evaluated once for both: without it the gradient of general robust rows takes 29 operations a
    # row for 24 (benchmarks/many_rows.py).
    density = lax.optimization_barrier(law.log_prob(value))
    terms = weights * (density - jnp.asarray(centre, density.dtype))
    return _total(terms) + lax.stop_gradient(_rounding(law, weights, value, density))


def _rounding(law: Distribution, weights: ArrayLike, value: ArrayLike, density: Array) -> ArrayLike:
    """Return by how much float64 exceeds the sum of these densities."""
    rows = density.shape[0]
    if density.dtype != jnp.float32 or rows < _BLOCK:
        return 0.0
    with jax.enable_x64(True):
        law, weights, value, single = jax.tree.map(
            lambda leaf: _sampled_rows(lax.stop_gradient(jnp.asarray(leaf)), rows),
            (law, weights, value, density),
        )
        error = (weights * (law.log_prob(value) - single)).sum() * (rows / single.size)
        return error.astype(jnp.float32)


def _sampled_rows(leaf: Array, rows: int) -> Array:
    """Return what belongs to the rows that float64 is asked for, in float64."""
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        leaf = leaf.astype(jnp.float64)
    if not _is_by_row(leaf, rows):
        return leaf
    each = rows // CHUNKS
    return leaf[: CHUNKS * each].reshape(CHUNKS, each)[:, : each // _PART].ravel()


@jax.custom_jvp
def _total(terms: Array) -> Array:
    """Return the sum, formed in float64."""
    with jax.enable_x64(True):
        return terms.astype(jnp.float64).sum().astype(terms.dtype)


@_total.defjvp
def _total_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # a derivative needs no more digits, and no float64 for each row
    return _total(*primals), tangents[0].sum()
