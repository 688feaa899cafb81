"""Compiled programs, kept on disk for the next process."""

import importlib.util
import os
import warnings
from pathlib import Path

import jax

from robust_dist._arguments import check_type
from robust_dist._cache import cache_directory

_LARGEST = 256 * 2**20
"""bytes of programs that are kept; the ones not used for longest go first"""
_QUICK = 0.05
"""seconds of compiling below which a program is not worth a file"""


def use_compilation_cache(directory: str | os.PathLike[str] | None = None) -> Path | None:
    """Keep what JAX compiles on disk, so that other processes need not compile it again.

    The programs of a fit depend on the structure of its model and on the size of the data, not on
    their values. It is JAX's own cache, bounded to 256 MB and locked against other processes; if it
    is in use already, by ``JAX_COMPILATION_CACHE_DIR`` or the like, nothing changes. Call it before
    anything is compiled.

    Parameters
    ----------
    directory
        Where; by default ``$ROBUST_DIST_CACHE``, else ``robust_dist`` among the user's caches
        (``$XDG_CACHE_HOME`` or ``~/.cache``).

    Returns
    -------
    Path or None
        The folder; None if none can be written to, ``ROBUST_DIST_CACHE`` is ``off``, or the package
        ``filelock`` (of the extra ``regression``) is missing.

    Raises
    ------
    InputError
        If the directory is no path.
    """
    check_type("directory", directory, (str, os.PathLike, type(None)), "a folder's name, or None")
    given = jax.config.jax_compilation_cache_dir
    if given is not None:
        return Path(given)
    folder = cache_directory() if directory is None else Path(directory)
    if folder is None or importlib.util.find_spec("filelock") is None:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder / "jax"))
    jax.config.update("jax_compilation_cache_max_size", _LARGEST)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _QUICK)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # a file that cannot be read or written costs a compilation and nothing else
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    return folder / "jax"
