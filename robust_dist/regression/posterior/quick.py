"""How hard the compiler tries: little for few rows, of which compiling is most of the time."""

from typing import Any

_FEW = 300
"""rows up to which less optimised programs cost less than they save"""


def compiler_options(rows: int) -> tuple[tuple[str, Any], ...]:
    """Return the options of ``jax.jit`` for programs on so many rows, as pairs."""
    return (("xla_backend_optimization_level", 0),) if rows <= _FEW else ()
