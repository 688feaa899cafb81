"""Approximations of the posterior: a Normal on the sampler's axes, by optimisation.

``laplace`` puts it at the mode, with the curvature there; ``map`` is the mode alone. ``svi`` makes
it as near to the posterior as the evidence lower bound can tell. If there are many rows, it looks
at parts of them at a time, which finds the mean well, but the covariance only roughly, so noisy are
such parts; the covariance is then the inverse curvature of all rows at this mean. Curvatures are
those over a standard deviation to either side, since Laplace noise has none at a point.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpyro.infer import SVI, Trace_ELBO, init_to_uniform
from numpyro.infer.autoguide import (
    AutoContinuous,
    AutoDiagonalNormal,
    AutoLaplaceApproximation,
    AutoMultivariateNormal,
)
from numpyro.optim import Adam

from robust_dist._errors import InputError
from robust_dist.many_rows import mean_log_density

_PILOT = 20_000
"""rows that tell the mean log density of all"""
BATCH = 4096
"""rows that a step of SVI looks at"""
_STEPS = {"svi": 10_000, "laplace": 3_000, "map": 3_000}
_BLOCKS = 20
# of the width over which curvature is taken, each of which may shrink or widen it tenfold
_SECANT_STEPS = 8
# beyond, a full covariance has more numbers than a Normal without correlations is wrong
_CORRELATED = 100


def batch_size(method: str, rows: int) -> int | None:
    """Return how many rows a step looks at, None for all."""
    return BATCH if method == "svi" and rows > BATCH else None


def approximate(
    model: Callable[..., None],
    part_model: Callable[..., None],
    method: str,
    key: Array,
    data: Mapping[str, Any],
    shape: tuple[int, int],
    progress: bool,
) -> dict[str, Array]:
    """Return draws of the sampled sites, of shape (chains, draws, ...).

    Parameters
    ----------
    model
        Of all rows.
    part_model
        The same, each row of which stands for as many as the data have per row of a batch.
    method
        ``"svi"``, ``"laplace"`` or ``"map"``.
    key
        Of JAX.
    data
        The arguments of the model, all rows.
    shape
        Of the draws.
    progress
        Whether to show a progress bar on stderr.

    Raises
    ------
    InputError
        If the posterior has no curvature at its mode.
    """
    start, optimise, draw = jax.random.split(key, 3)
    rows = len(data["y"])
    batch = batch_size(method, rows)
    guide = _guide(part_model, method, start, data)
    steps = _STEPS[method]
    # from steps as wide as the axes are to a hundredth of the posterior's width and less
    optimizer = Adam(lambda step: 0.03 * 10 ** (-3.5 * step / steps))
    svi = SVI(part_model, guide, optimizer, Trace_ELBO())
    arrays = jax.tree.map(jnp.asarray, dict(data))

    def part(key: Array, arrays: dict[str, Any]) -> dict[str, Any]:
        if batch is None:
            return arrays
        chosen = jax.random.randint(key, (batch,), 0, rows)
        return jax.tree.map(lambda values: values[chosen], arrays)

    @jax.jit
    def block(state: Any, keys: Array, arrays: dict[str, Any]) -> Any:
        return lax.scan(lambda s, key: svi.update(s, **part(key, arrays)), state, keys)[0]

    state = svi.init(start, **part(start, arrays))
    for keys in _with_bar(jax.random.split(optimise, (_BLOCKS, steps // _BLOCKS)), progress):
        state = block(state, keys, arrays)
    params = svi.get_params(state)
    if batch is not None and isinstance(guide, AutoMultivariateNormal):
        params |= _covariance(model, start, arrays, params)
    if method == "map":
        return {name: value[None, None] for name, value in guide.median(params).items()}
    with warnings.catch_warnings():
        # of a singular Hessian, of which the zeros below tell
        warnings.simplefilter("ignore", UserWarning)
        draws = guide.sample_posterior(draw, params, sample_shape=shape)
    # what follows from the sites, in the user's units, may be rounded to a single number
    if not all(np.ptp(draws[name], axis=(0, 1)).all() for name in _latent(guide.prototype_trace)):
        raise InputError(
            "the posterior has no peak with a curvature at its mode, so there is no Laplace "
            "approximation; use method 'nuts'"
        )
    return draws


def mean_density(model: Callable[..., None], key: Array, data: Mapping[str, Any]) -> float:
    """Return about the mean log density of a row, at the mode of some of the rows."""
    step = -(-len(data["y"]) // _PILOT)
    some = jax.tree.map(lambda values: values[::step], dict(data))
    mode = approximate(model, model, "map", key, some, (1, 1), False)
    return mean_log_density(model, {name: value[0, 0] for name, value in mode.items()}, **some)


def _guide(
    model: Callable[..., None], method: str, key: Array, data: Mapping[str, Any]
) -> AutoContinuous:
    """Return the family of Normals to choose from, at first around the robust fit."""
    origin = init_to_uniform(radius=0.01)
    if method != "svi":
        return AutoLaplaceApproximation(model, init_loc_fn=origin, hessian_fn=_curvature)
    from numpyro.handlers import seed, trace

    one = jax.tree.map(lambda values: values[:1], dict(data))
    size = sum(map(np.size, _latent(trace(seed(model, key)).get_trace(**one)).values()))
    kind = AutoMultivariateNormal if size <= _CORRELATED else AutoDiagonalNormal
    return kind(model, init_loc_fn=origin, init_scale=min(0.1, 3 / len(data["y"]) ** 0.5))


def _latent(traced: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the sites of a trace that are sampled."""
    return {
        name: site["value"]
        for name, site in traced.items()
        if site["type"] == "sample" and not site["is_observed"]
    }


def _covariance(
    model: Callable[..., None], key: Array, arrays: Mapping[str, Any], params: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the Cholesky factor of the covariance at the mean, nothing if there is none."""
    guide = AutoLaplaceApproximation(model, hessian_fn=_curvature)
    svi = SVI(model, guide, Adam(0.1), Trace_ELBO())
    svi.init(key, **arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        factor = guide.get_transform({"auto_loc": params["auto_loc"]}).scale_tril
    return {"auto_scale_tril": factor} if bool((jnp.diag(factor) > 0).all()) else {}


def _curvature(potential: Callable[[Array], Array], at: Array) -> Array:
    r"""Return H, the second derivatives over a standard deviation of the Normal that they make.

    With H^-1 = L L^T, the potential's gradient g and the unit vectors e_k,

    .. math:: L^T H L e_k = L^T \bigl(g(\mu + L e_k) - g(\mu - L e_k)\bigr) / 2 = e_k .

    It is the mean curvature under that Normal as far as a cubature of 2 d points can tell, which
    a variational Normal has, and the Hessian where that is constant.
    """
    slope = jax.grad(potential)

    def rise(step: Array) -> Array:
        return 0.5 * (slope(at + step) - slope(at - step))

    def seen(factor: Array) -> Array:
        # one after the other: all together would hold the data as often as there are parameters
        product = lax.map(rise, factor.T) @ factor
        return 0.5 * (product + product.T)

    def improve(_: int, factor: Array) -> Array:
        values, axes = jnp.linalg.eigh(seen(factor))
        return factor @ (axes / jnp.sqrt(jnp.clip(values, 1e-2, 1e2)))

    @jax.jit
    def search() -> tuple[Array, Array]:
        start = jnp.eye(at.size, dtype=at.dtype) * 1e-2
        factor = lax.fori_loop(0, _SECANT_STEPS, improve, start)
        return factor, jnp.linalg.eigvalsh(seen(factor))

    factor, values = search()
    if not bool((values > 0.1).all()):
        return jnp.zeros_like(factor)  # no peak, however far one looks
    inverse = jnp.linalg.inv(factor)
    return inverse.T @ inverse


def _with_bar(blocks: Any, progress: bool) -> Any:
    """Return the blocks, counted by a bar on stderr."""
    if not progress:
        return blocks
    from tqdm import tqdm

    return tqdm(blocks, desc="optimising")
