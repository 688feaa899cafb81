"""The options of every command."""

import argparse
import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from robust_dist._errors import NEGATIVE_ALPHA, InputError
from robust_dist.cli import _compare, _datasets, _fit, _plot, _predict
from robust_dist.cli._likelihoods import LIKELIHOODS
from robust_dist.cli._read_numbers import read_number, read_whole
from robust_dist.datasets import DATASETS

METHODS = ("nuts", "svi", "laplace", "map")
SAMPLERS = ("auto", "nutpie", "numpyro")
LEVERAGE = ("report", "downweight")
KINDS = ("mean", "response", "linear")
GROUPS = ("fitted", "population", "new")
UNSEEN = ("mixed", "draw", "refuse")
_METHOD = "(default nuts; svi for very many rows)"

_FIT = """examples:
  robust-dist fit stackloss
  robust-dist fit my.csv --formula "y ~ x1 + `name with blanks`" --out results
  robust-dist fit hogg2010 --measurement-error sigma_y --prior sigma=1
  robust-dist fit my.csv --formula "y ~ x + (1 | group)" --sigma-formula "~ x"
  robust-dist fit my.csv --formula "y ~ x" --likelihood {1} --compare {2}
  robust-dist fit my.csv --formula "y ~ x" --prior "alpha=Beta(2, 2)" --json
  robust-dist fit stackloss --prior "air_flow=Normal(0, 1)" --prior "beta=Normal(0, 5)"

--measurement-error multiplies the scale of each row. With --prior sigma=1 it is the scale itself.
A prior is a distribution of NumPyro with its numbers, or a number, which fixes the parameter. It is
given by the name of a coefficient as the output prints it, such as "kind[b]", or of a parameter:
alpha, sigma, or beta for all slopes.
""".format(*LIKELIHOODS)
_COMPARE = """examples:
  robust-dist compare stackloss
  robust-dist compare my.csv --formula "y ~ x" --likelihood {0} --likelihood {3}
  robust-dist compare my.csv --formula "y ~ x" --formula "y ~ x + z"
""".format(*LIKELIHOODS)
_PREDICT = """examples:
  robust-dist predict results new.csv
  robust-dist predict results/posterior.nc new.csv --kind response --prob 0.9 --out new-90.csv
  robust-dist predict results new.csv --groups population

mean is the mean of the response, for symmetric noise its centre; response are new observations,
noise included; linear is the linear predictor, without the offset. The file of new rows needs the
columns that predict, and not the response.
"""
_PLOT = """examples:
  robust-dist plot results
  robust-dist plot results/posterior.nc --kind fit --predictor x1 --out x1.svg
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see '{self.prog} --help')")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="robust-dist",
        description="Bayesian regression that infers how heavy the tails of its noise are.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('robust-dist')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable, summary: str, text: str, examples: str) -> _Parser:
        command = commands.add_parser(
            name,
            help=summary,
            description=text,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        return command

    fit = add(
        "fit",
        _fit.run,
        "fit a regression whose noise may have heavy tails",
        "Fit a regression, print the posterior, what it says of the tails, and the outlying rows;\n"
        "write posterior.nc, pictures, and report.html, which holds everything and needs no net.",
        _FIT,
    )
    model = _add_model(fit)
    model.add_argument(
        "--likelihood", choices=LIKELIHOODS, default=LIKELIHOODS[0], help="(default %(default)s)"
    )
    model.add_argument(
        "--alpha", type=_alpha, metavar="A", help="fix alpha: 0 Cauchy, 1 hyperbolic, 2 Normal"
    )
    model.add_argument(
        "--prior",
        action="append",
        default=[],
        metavar="NAME=LAW",
        help="in place of a default prior; may be given several times",
    )
    model.add_argument(
        "--compare",
        action="append",
        choices=LIKELIHOODS,
        default=[],
        metavar="L",
        help="compare with another likelihood by leave-one-out; may be given several times",
    )
    sampling = _add_sampling(fit)
    sampling.add_argument("--method", choices=METHODS, default="nuts", help=_METHOD)
    _add_output(fit)

    compare = add(
        "compare",
        _compare.run,
        "compare likelihoods or formulas by leave-one-out cross-validation",
        "Fit each likelihood, or formula, compare how well they predict rows left out, and write\n"
        "comparison.png, report.html and each posterior.",
        _COMPARE,
    )
    model = _add_model(compare, several=True)
    model.add_argument(
        "--likelihood",
        action="append",
        choices=LIKELIHOODS,
        metavar="L",
        help=f"some of {', '.join(LIKELIHOODS)}, each fitted by each formula (default: the first "
        "four; the first alone, if there are several formulas)",
    )
    model.add_argument(
        "--refits",
        type=_seed,
        default=10,
        help="the most refits by NUTS for rows of high Pareto k (default 10)",
    )
    model.add_argument(
        "--exact",
        action="store_true",
        help="fit anew without each row in turn; for up to some hundred rows",
    )
    sampling = _add_sampling(compare)
    # the mode alone has no draws to compare
    sampling.add_argument("--method", choices=METHODS[:-1], default="nuts", help=_METHOD)
    _add_output(compare)

    predict = add(
        "predict",
        _predict.run,
        "predict new rows from a fit",
        "Predict new rows from a fit that was written before, and write a line for each with its\n"
        "mean, median and interval.",
        _PREDICT,
    )
    predict.add_argument(
        "posterior", metavar="POSTERIOR", help="a posterior.nc that fit wrote, or its folder"
    )
    _add_data(predict)
    predict.add_argument(
        "--kind", choices=KINDS, default=KINDS[0], help="what to predict (default %(default)s)"
    )
    predict.add_argument(
        "--prob",
        type=_probability,
        default=0.95,
        metavar="P",
        help="the probability of the interval (default 0.95)",
    )
    predict.add_argument(
        "--groups",
        choices=GROUPS,
        default=GROUPS[0],
        help="the effects of groups: as fitted, none (population), or those of levels yet to come "
        "(default %(default)s)",
    )
    predict.add_argument(
        "--unseen",
        choices=UNSEEN,
        default=UNSEEN[0],
        help="effects of levels that the fit has not seen: draw or refuse them, or draw them if "
        "some other row has a level of the fit (default %(default)s)",
    )
    predict.add_argument("--offset", metavar="COL", help="if the fit was given one as an array")
    predict.add_argument(
        "--measurement-error", metavar="COL", help="if the fit was given them as an array"
    )
    predict.add_argument(
        "--drop-missing", action="store_true", help="leave rows with missing values out"
    )
    predict.add_argument("--seed", type=_seed, default=0, help="(default 0)")
    predict.add_argument(
        "--out", metavar="FILE", type=_path, help=".csv (default: predictions.csv)"
    )
    predict.add_argument("--force", action="store_true", help="replace FILE if it exists")
    predict.add_argument("--json", action="store_true", help="print one JSON document instead")
    predict.add_argument("--quiet", action="store_true", help="do not say which stage runs")

    plot = add("plot", _plot.run, "draw a picture of a fit", "Draw a picture of a fit.", _PLOT)
    plot.add_argument(
        "posterior", metavar="POSTERIOR", help="a posterior.nc that fit wrote, or its folder"
    )
    plot.add_argument(
        "--kind", choices=_plot.KINDS, default="fit", help="what to draw (default %(default)s)"
    )
    plot.add_argument(
        "--predictor",
        metavar="X",
        help="the column that --kind predictions goes along, or the column or coefficient whose "
        "partial residuals --kind fit draws",
    )
    plot.add_argument(
        "--out", metavar="FILE", type=_path, help=".png, .svg or .pdf (default: KIND.png)"
    )
    plot.add_argument("--force", action="store_true", help="replace FILE if it exists")

    datasets = commands.add_parser("datasets", help="list the data that ship with the package")
    datasets.set_defaults(run=_datasets.run)
    return parser


def _add_data(parser: _Parser) -> None:
    """Add what says which data to read, and how."""
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a file of text (CSV and its kin, also packed by gzip, bzip2, xz or zip), Parquet, "
        "Feather or Excel; - for the standard input; or one of: " + ", ".join(sorted(DATASETS)),
    )
    command = parser.add_argument_group("file", "what is guessed of a file, if not given")
    command.add_argument("--sep", metavar="CHAR", help="what separates columns, such as ';' or tab")
    command.add_argument("--decimal", metavar="MARK", help="the decimal mark, . or ,")
    command.add_argument("--encoding", metavar="NAME", help="such as utf-8 or cp1252")


def _add_model(parser: _Parser, several: bool = False) -> argparse._ArgumentGroup:
    """Add what says which model to fit to which data, and return the group for more of it."""
    _add_data(parser)
    command = parser.add_argument_group("model")
    command.add_argument(
        "--formula",
        metavar="F",
        action="append" if several else "store",
        help="such as 'y ~ x1 + x2'; shipped data have a default (robust-dist datasets)"
        + ("; may be given several times" if several else ""),
    )
    command.add_argument(
        "--alpha-formula", metavar="F", help="such as '~ x', if alpha differs from row to row"
    )
    command.add_argument(
        "--sigma-formula", metavar="F", help="such as '~ x', if the scale differs from row to row"
    )
    command.add_argument("--weights", metavar="COL", help="multiply the rows' log-likelihoods")
    command.add_argument("--offset", metavar="COL", help="is added to the fit as it is")
    command.add_argument(
        "--measurement-error", metavar="COL", help="known errors, which multiply the rows' scales"
    )
    command.add_argument(
        "--leverage",
        choices=LEVERAGE,
        default=LEVERAGE[0],
        help="what becomes of rows far out in the predictors: say what the fit is with less weight "
        "for them, or give them less weight (default report)",
    )
    command.add_argument(
        "--resolution",
        type=_step,
        metavar="R",
        help="the step to which the response was rounded, such as 1 for whole numbers",
    )
    command.add_argument(
        "--drop-missing", action="store_true", help="leave rows with missing values out"
    )
    return command


def _add_sampling(parser: _Parser) -> argparse._ArgumentGroup:
    """Add what says how to sample, and return the group for more of it."""
    command = parser.add_argument_group("sampling")
    command.add_argument("--draws", type=_count, default=1000, help="kept per chain (default 1000)")
    command.add_argument("--warmup", type=_count, default=1000, help="before them (default 1000)")
    command.add_argument("--chains", type=_count, default=4, help="(default 4)")
    command.add_argument(
        "--target-accept",
        type=_probability,
        default=0.8,
        metavar="P",
        help="nearer to 1 if transitions diverge (default 0.8)",
    )
    command.add_argument("--seed", type=_seed, default=0, help="(default 0)")
    command.add_argument(
        "--sampler",
        choices=SAMPLERS,
        default="auto",
        help="of NUTS: nutpie where it can, NumPyro's for all models (default auto)",
    )
    command.add_argument(
        "--no-cache",
        action="store_true",
        help="keep no compiled programs on disk for the next run, and use none",
    )
    return command


def _add_output(parser: _Parser) -> None:
    """Add what says what to print and where to write."""
    command = parser.add_argument_group("output")
    command.add_argument(
        "--out", metavar="DIR", type=_path, help="where to write (default: new folder)"
    )
    command.add_argument(
        "--force", action="store_true", help="replace the outputs of an earlier run"
    )
    command.add_argument("--json", action="store_true", help="print one JSON document instead")
    command.add_argument("--no-progress", action="store_true", help="show no progress bar")
    command.add_argument("--quiet", action="store_true", help="nor which stage runs")


def _path(text: str) -> Path:
    """Return a path, which the name of an unset variable of the shell is not."""
    if not text:
        raise argparse.ArgumentTypeError("'' is no name")
    return Path(text)


def _count(text: str) -> int:
    """Return a whole number of at least 1."""
    return _integer(text, 1)


def _seed(text: str) -> int:
    """Return a whole number that a 32-bit key can hold."""
    return _integer(text, 0)


def _integer(text: str, least: int) -> int:
    """Return a whole number in reach of 32 bits."""
    value = read_whole(text)
    if not least <= value < 2**31:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a whole number from {least} to {2**31 - 1}"
        )
    return value


def _alpha(text: str) -> float:
    """Return a shape, a number of at least 0."""
    value = read_number(text)
    if not value >= 0:
        mend = f"; {NEGATIVE_ALPHA}" if value < 0 else ""
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 0 or more{mend}")
    return value


def _step(text: str) -> float:
    """Return a positive number."""
    value = read_number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return value


def _probability(text: str) -> float:
    """Return a number between 0 and 1."""
    value = read_number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number between 0 and 1")
    return value
