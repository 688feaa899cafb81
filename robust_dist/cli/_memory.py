"""Limits on memory under which JAX's compiler would end the process without a word."""

import os
from importlib import import_module
from importlib.util import find_spec

from robust_dist._errors import InputError

_GB = 10**9


def check_memory() -> None:
    """Refuse limits on the address space that are too low.

    A small fit takes 2.2 GB of addresses on two cores, most of them never used: the libraries, and
    for each thread of XLA's, some eight a core, a stack and a heap. A larger one takes twice that.

    Raises
    ------
    InputError
        If a limit is lower.
    """
    if find_spec("resource") is None:  # Windows has no such limits
        return
    resource = import_module("resource")
    needed = (3.5 + 0.25 * (os.cpu_count() or 1)) * _GB
    for kind, option in (("RLIMIT_AS", "-v"), ("RLIMIT_DATA", "-d")):
        limit, _ = resource.getrlimit(getattr(resource, kind))
        if limit != resource.RLIM_INFINITY and limit < needed:
            raise InputError(
                f"memory is limited to {limit / _GB:.2g} GB (ulimit {option}), too little for the "
                f"compiler of JAX; allow {needed / _GB:.2g} GB or more"
            )
