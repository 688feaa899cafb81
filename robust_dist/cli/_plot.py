"""``robust-dist plot``."""

import argparse
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from robust_dist._errors import InputError
from robust_dist._words.text import printable
from robust_dist.cli._files import check_out, write_file
from robust_dist.cli._memory import check_memory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import DataTree

KINDS = ("fit", "alpha", "weights", "tails", "predictions")
# along a predictor
_ALONG = ("fit", "predictions")
# the draws among what fit writes
POSTERIOR = "posterior.nc"
_SUFFIXES = (".png", ".svg", ".pdf")


def run(options: argparse.Namespace) -> None:
    """Draw a picture of a fit that was written before."""
    check_memory()
    out = options.out or Path(f"{options.kind}.png")
    check_out(out, _SUFFIXES, "draw", options.force)
    if options.predictor is not None and options.kind not in _ALONG:
        raise InputError(
            f"--predictor goes with --kind {' or '.join(_ALONG)}, not with --kind {options.kind}"
        )
    if options.predictor is None and options.kind == "predictions":
        raise InputError("--kind predictions needs a column to go along, by --predictor X")
    dt = read_posterior(options.posterior)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    _draw(dt, figure.add_subplot(), options.kind, options.predictor)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=150, format=out.suffix[1:].lower())
    write_file(out, picture.getbuffer(), options.force)
    print(f"written: {printable(out)}")


def read_posterior(path: str) -> "DataTree":
    """Return the DataTree of a file, or of a folder that ``fit`` wrote.

    Raises
    ------
    InputError
        If the file holds no fit.
    """
    if os.path.isdir(path):
        folder, path = path, os.path.join(path, POSTERIOR)
        if not os.path.isfile(path):
            raise InputError(
                f"the folder '{folder}' holds no {POSTERIOR}, which robust-dist fit writes"
            )
    if not os.path.isfile(path):
        raise InputError(f"no file '{path}'")
    import xarray

    try:
        with xarray.open_datatree(path, engine="h5netcdf") as opened:
            dt = opened.load()
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, MemoryError):
        raise InputError(f"'{path}' is not a posterior.nc that robust-dist fit wrote") from None
    if "formula" not in dt.attrs or "posterior" not in dt.children:
        raise InputError(f"'{path}' holds no fit of robust-dist")
    return dt


def _draw(dt: "DataTree", ax: "Axes", kind: str, predictor: str | None) -> None:
    """Draw a picture of a fit."""
    from robust_dist import plots

    if kind == "fit":
        plots.plot_fit(dt, ax, predictor=predictor)
    elif kind == "predictions":
        plots.plot_predictions(dt, predictor, ax=ax)
    else:
        getattr(plots, f"plot_{kind}")(dt, ax)
