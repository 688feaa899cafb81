"""A distribution as a tree whose leaves have the same order in every process.

NumPyro keeps the names of a distribution's fields in a set, the order of which changes from one
process to the next. A program whose arguments come in another order is another program to JAX's
cache on disk, which would never find one again.

A law of the user's own may decide by the values of its parameters, which a program that takes them
as arguments does not know: it stays as it is, and programs are for that very law.
"""

from typing import Any, NamedTuple

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


class _Itself(NamedTuple):
    """A law that is equal to itself alone."""

    law: Distribution

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.law is self.law

    def __hash__(self) -> int:
        return id(self.law)


@jax.tree_util.register_pytree_node_class
class OwnLaw:
    """A distribution that is a constant of programs."""

    def __init__(self, law: Distribution) -> None:
        self.law = law

    def tree_flatten(self) -> tuple[tuple[()], _Itself]:
        """Return no fields."""
        return (), _Itself(self.law)

    @classmethod
    def tree_unflatten(cls, auxiliary: _Itself, children: Any) -> "OwnLaw":
        """Return the law."""
        return cls(auxiliary.law)


def ordered(tree: Any) -> Any:
    """Return a tree with its distributions ordered."""

    def wrap(leaf: Any) -> Any:
        if not isinstance(leaf, Distribution):
            return leaf
        known = type(leaf).__module__.partition(".")[0] in ("numpyro", "robust_dist")
        return OrderedLaw(leaf) if known else OwnLaw(leaf)

    return jax.tree.map(wrap, tree, is_leaf=lambda leaf: isinstance(leaf, Distribution))


def unordered(tree: Any) -> Any:
    """Return a tree with its distributions as they were."""
    wrapped = (OrderedLaw, OwnLaw)
    return jax.tree.map(
        lambda leaf: leaf.law if isinstance(leaf, wrapped) else leaf,
        tree,
        is_leaf=lambda leaf: isinstance(leaf, wrapped),
    )
