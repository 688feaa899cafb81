"""A distribution as a tree whose leaves have the same order in every process.

NumPyro keeps the names of a distribution's fields in a set, the order of which changes from one
process to the next. A program whose arguments come in another order is another program to JAX's
cache on disk, which would never find one again.
"""

from typing import Any

import jax
from numpyro.distributions import Distribution


@jax.tree_util.register_pytree_node_class
class OrderedLaw:
    """A distribution whose fields are ordered by name, as are those of distributions within it."""

    def __init__(self, law: Distribution) -> None:
        self.law = law

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        """Return the fields, and what else there is to the law."""
        fields, rest = self.law.tree_flatten()
        names = type(self.law).gather_pytree_data_fields()
        order = tuple(sorted(range(len(fields)), key=lambda i: names[i] if names else i))
        return tuple(ordered(fields[i]) for i in order), (type(self.law), order, rest)

    @classmethod
    def tree_unflatten(cls, auxiliary: Any, children: Any) -> "OrderedLaw":
        """Return the law of its fields."""
        kind, order, rest = auxiliary
        fields = dict(zip(order, map(unordered, children), strict=True))
        return cls(kind.tree_unflatten(rest, tuple(fields[i] for i in range(len(order)))))


def ordered(tree: Any) -> Any:
    """Return a tree with its distributions ordered."""
    return jax.tree.map(
        lambda leaf: OrderedLaw(leaf) if isinstance(leaf, Distribution) else leaf,
        tree,
        is_leaf=lambda leaf: isinstance(leaf, Distribution),
    )


def unordered(tree: Any) -> Any:
    """Return a tree with its distributions as they were."""
    return jax.tree.map(
        lambda leaf: leaf.law if isinstance(leaf, OrderedLaw) else leaf,
        tree,
        is_leaf=lambda leaf: isinstance(leaf, OrderedLaw),
    )
