"""How hard the compiler tries: little where compiling is most of the time."""

from typing import Any

_FEW = 100
"""laws of rows, up to which a program less optimised costs less than it saves"""


def compiler_options(rows: int, laws: int = 1) -> tuple[tuple[str, Any], ...]:
    """Return the options of ``jax.jit``, as pairs.

    Parameters
    ----------
    rows
        On which the program works.
    laws
        How many alphas, or other shapes, they have: tables are evaluated for each.
    """
    return (("xla_backend_optimization_level", 0),) if rows * laws <= _FEW else ()
