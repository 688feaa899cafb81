"""How to sample, whichever sampler it is."""

from typing import NamedTuple


class Run(NamedTuple):
    """How to sample."""

    draws: int
    warmup: int
    chains: int
    target_accept: float
    dense: bool = False
    """whether to adapt to correlations"""
    progress: bool = False
    """whether to show a bar on stderr"""
    in_turns: bool = False
    """whether chains run one after the other, where all would take too much memory"""


NOWHERE = (
    "the density is not finite near the robust fit, where chains start: a prior leaves nothing of "
    "that neighbourhood; give it more room"
)
"""what is said where no chain can start"""
