"""The command ``robust-dist``: a thin shell over ``regression``, ``diagnostics`` and ``plots``.

JAX, ArviZ and matplotlib are imported by the command that needs them, so that ``--help`` and a
mistyped option answer at once.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from robust_dist._errors import InputError
from robust_dist.datasets import DATASETS, load, nearest, read_csv

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataTree

_OUTPUTS = ("posterior.nc", "alpha.png", "fit.png")
_EXAMPLES = """examples:
  robust-dist fit stackloss
  robust-dist fit my.csv --formula "y ~ x1 + `name with blanks`" --out results
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    try:
        options = _parser().parse_args(argv)
        options.run(options)
    except InputError as error:
        print(f"robust-dist: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("robust-dist: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see '{self.prog} --help')")


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="robust-dist",
        description="Bayesian regression that infers how heavy the tails of its noise are.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('robust-dist')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser(
        "fit",
        help="fit a linear regression with GeneralRobust noise by NUTS",
        description="Fit a linear regression with GeneralRobust(alpha, 0, scale) noise by NUTS, "
        "print the posterior and what alpha says of the tails, and write posterior.nc, alpha.png "
        "and fit.png.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fit.add_argument(
        "data", metavar="DATA", help=f"a CSV file, or one of: {', '.join(sorted(DATASETS))}"
    )
    fit.add_argument(
        "--formula",
        metavar="F",
        help="such as 'y ~ x1 + x2'; shipped data have a default (robust-dist datasets)",
    )
    fit.add_argument("--out", metavar="DIR", type=Path, help="where to write (default: new folder)")
    fit.add_argument("--force", action="store_true", help="replace the outputs of an earlier run")
    fit.add_argument("--draws", type=_count, default=1000, help="kept per chain (default 1000)")
    fit.add_argument("--warmup", type=_count, default=1000, help="before them (default 1000)")
    fit.add_argument("--chains", type=_count, default=4, help="(default 4)")
    fit.add_argument("--seed", type=_seed, default=0, help="(default 0)")
    fit.add_argument("--no-progress", action="store_true", help="show no progress bar")
    fit.add_argument("--quiet", action="store_true", help="nor which stage runs")
    fit.set_defaults(run=_fit)

    datasets = commands.add_parser("datasets", help="list the data that ship with the package")
    datasets.set_defaults(run=_list_datasets)
    return parser


def _count(text: str) -> int:
    """Return a whole number of at least 1."""
    return _integer(text, 1)


def _seed(text: str) -> int:
    """Return a whole number that a 32-bit key can hold."""
    return _integer(text, 0)


def _integer(text: str, least: int) -> int:
    """Return a whole number in reach of 32 bits."""
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value < 2**31:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of {least} or more")
    return value


def _list_datasets(options: argparse.Namespace) -> None:
    """Print the shipped data sets."""
    for dataset in DATASETS.values():
        print(f"{dataset.name}: {dataset.description}")
        print(f"  formula: {dataset.formula}")
        print(f"  source:  {dataset.citation}")


def _fit(options: argparse.Namespace) -> None:
    """Fit, print and write."""
    data, formula = _find_data(options.data, options.formula)
    with _output_folder(options.out, Path(options.data).stem, options.force) as (folder, drafts):
        _fit_into(options, data, formula, drafts)
        for name in _OUTPUTS:
            (drafts / name).replace(folder / name)
    print(f"\nwritten to {folder}: {', '.join(_OUTPUTS)}")


def _find_data(name: str, formula: str | None) -> "tuple[pd.DataFrame, str]":
    """Return the data and the formula to fit."""
    if name in DATASETS:
        return load(name), formula or DATASETS[name].formula
    if not Path(name).exists():
        known = ", ".join(DATASETS)
        raise InputError(
            f"no file and no shipped data set '{name}'"
            f"{nearest(name, DATASETS) or ';'} shipped are: {known}"
        )
    data = read_csv(name)
    if formula is None:
        columns = ", ".join(map(str, data.columns))
        raise InputError(
            f"no formula for '{name}'; give one by --formula 'y ~ x' with its columns: {columns}"
        )
    return data, formula


@contextmanager
def _output_folder(out: Path | None, stem: str, force: bool) -> Iterator[tuple[Path, Path]]:
    """Yield the folder for the outputs, and one inside it where they are first written.

    Both are made before sampling starts: that the drafts' folder can be made shows that the outputs
    can be written. A folder made here is removed again if nothing comes of the run.
    """
    made = []
    try:
        if out is None:
            folder = _new_folder(stem)
            made.append(folder)
        else:
            folder = out
            existing = [name for name in _OUTPUTS if (folder / name).exists()]
            if existing and not force:
                raise InputError(
                    f"'{folder / existing[0]}' exists; choose another --out, or replace it "
                    "with --force"
                )
            for parent in (folder, *folder.parents):
                if parent.exists():
                    break
                made.append(parent)
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".robust-dist-", dir=folder) as drafts:
            yield folder, Path(drafts)
    except OSError as error:
        where = out or "the current folder"
        raise InputError(f"cannot write to '{where}': {error.strerror or error}") from None
    finally:
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _new_folder(stem: str) -> Path:
    """Make and return the first free one of robust-dist-STEM, robust-dist-STEM-2, ..."""
    base = "robust-dist-" + (re.sub(r"[^\w.-]+", "-", stem) or "fit")
    number = 1
    while True:
        folder = Path(base if number == 1 else f"{base}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _fit_into(
    options: argparse.Namespace, data: "pd.DataFrame", formula: str, folder: Path
) -> None:
    """Fit the regression, print what came of it and write the outputs to a folder."""
    say = _teller(options.quiet)
    say("loading JAX, NumPyro and ArviZ")
    from robust_dist.regression import Regression

    regression = Regression(formula, data)
    dt = regression.fit(
        draws=options.draws,
        warmup=options.warmup,
        chains=options.chains,
        seed=options.seed,
        progress=sys.stderr.isatty() and not (options.quiet or options.no_progress),
        stage=say,
    )
    say("summarising and drawing")
    dt.attrs["data"] = options.data
    _print_summary(dt)
    _write(dt, folder)


def _teller(quiet: bool) -> Callable[[str], None]:
    """Return a function that says on stderr which stage starts."""

    def tell(text: str) -> None:
        if not quiet:
            print(f"robust-dist: {text} ...", file=sys.stderr, flush=True)

    return tell


def _print_summary(dt: "DataTree") -> None:
    """Print the posterior, its diagnostics and what alpha says."""
    from robust_dist import diagnostics

    rows = dt["observed_data"].sizes["row"]
    chains, draws = (dt["posterior"].sizes[name] for name in ("chain", "draw"))
    print(f"\n{dt.attrs['formula']}   ({rows} rows, {chains} chains of {draws} draws)\n")
    print(diagnostics.format_summary(diagnostics.summary(dt)))
    print(f"\ndivergences: {diagnostics.divergences(dt)}")
    print(f"\n{diagnostics.read_tails(dt)}", flush=True)
    for problem in diagnostics.sampling_problems(dt):
        print(f"robust-dist: warning: {problem}", file=sys.stderr)


def _write(dt: "DataTree", folder: Path) -> None:
    """Write the DataTree and the two pictures."""
    from matplotlib.figure import Figure

    from robust_dist import plots

    dt.to_netcdf(folder / "posterior.nc", engine="h5netcdf")
    for name, plot in (("alpha.png", plots.plot_alpha), ("fit.png", plots.plot_fit)):
        figure = Figure(figsize=(7.0, 4.6), layout="constrained")
        plot(dt, figure.add_subplot())
        figure.savefig(folder / name, dpi=150)


if __name__ == "__main__":
    sys.exit(main())
