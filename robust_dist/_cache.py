"""Where what was compiled is kept for the next process."""

import os
from pathlib import Path

VARIABLE = "ROBUST_DIST_CACHE"
"""names the folder; empty or ``off`` for none"""


def cache_directory() -> Path | None:
    """Return the folder for compiled programs, made if need be; None if there is to be none.

    ``$ROBUST_DIST_CACHE``, else ``robust_dist`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``. None
    as well where it cannot be written to, as in a read-only home: then everything is compiled.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen is not None and chosen.strip().lower() in ("", "off"):
        return None
    try:
        if chosen:
            folder = Path(chosen).expanduser()
        else:
            # the standard of XDG has a relative path ignored
            home = os.environ.get("XDG_CACHE_HOME", "")
            base = Path(home) if os.path.isabs(home) else Path.home() / ".cache"
            folder = base / "robust_dist"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None
