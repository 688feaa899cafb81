"""The default law of coefficients."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpyro import distributions as dist
from numpyro.distributions import constraints


class SpanNormal(dist.Distribution):
    r"""The Normal law of coefficients that is independent in an orthogonal basis of the fit.

    .. math:: \beta = \mathrm{loc} + A\, \epsilon, \qquad \epsilon_j \sim \mathrm{Normal}(0, 1)

    Parameters
    ----------
    loc
        Shape (p,), in the user's units; that of an intercept is the value at the centre.
    transform
        A, shape (p, p), invertible.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "transform": constraints.independent(constraints.real, 2),
    }
    support = constraints.real_vector
    reparametrized_params: ClassVar[list[str]] = ["loc", "transform"]

    def __init__(
        self, loc: ArrayLike, transform: ArrayLike, *, validate_args: bool | None = None
    ) -> None:
        # NumPy's arrays stay NumPy's: to check and to print them JAX would compile a dozen programs
        self.loc, self.transform = (
            value if isinstance(value, np.ndarray) else jnp.asarray(value)
            for value in (loc, transform)
        )
        super().__init__((), np.shape(loc), validate_args=validate_args)

    @property
    def scale(self) -> Array | np.ndarray:
        """The standard deviation of each coefficient by itself, shape (p,)."""
        if isinstance(self.transform, np.ndarray):
            return np.linalg.norm(self.transform, axis=-1)
        return jnp.linalg.norm(self.transform, axis=-1)

    @property
    def mean(self) -> Array | np.ndarray:
        """The location."""
        return self.loc

    @property
    def variance(self) -> Array | np.ndarray:
        """Of each coefficient by itself."""
        return self.scale**2

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw coefficients."""
        noise = jax.random.normal(key, (*sample_shape, *self.event_shape))
        return noise @ self.transform.T + self.loc

    def log_prob(self, value: ArrayLike) -> Array:
        """Return the joint log density of coefficients along the last axis."""
        size = self.scale
        scaled = self.transform / size[:, None]
        noise = jnp.linalg.solve(scaled, ((jnp.asarray(value) - self.loc) / size)[..., None])[
            ..., 0
        ]
        volume = jnp.linalg.slogdet(scaled)[1] + jnp.log(size).sum()
        return dist.Normal().log_prob(noise).sum(-1) - volume
