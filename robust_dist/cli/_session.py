"""What the commands that fit share: the data, the model's arguments, words about the stage."""

import argparse
import json
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from robust_dist._cache import VARIABLE
from robust_dist._errors import FormulaWarning, InputError
from robust_dist._words.names import nearest
from robust_dist._words.text import printable
from robust_dist.cli._streams import complain
from robust_dist.datasets import DATASETS, STDIN, load, read_csv

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataTree


def find_data(options: argparse.Namespace) -> "tuple[pd.DataFrame, list[str]]":
    """Return the data and the formulas to fit, one if the command takes one only."""
    name, given = options.data, options.formula
    formulas = [given] if isinstance(given, str) else list(dict.fromkeys(given or ()))
    data = read_data(options)
    if not formulas and name in DATASETS:
        formulas = [DATASETS[name].formula]
    if not formulas:
        columns = ", ".join(map(str, data.columns))
        raise InputError(
            f"no formula for '{name}'; give one by --formula 'y ~ x' with its columns: {columns}"
        )
    return data, formulas


def read_data(options: argparse.Namespace) -> "pd.DataFrame":
    """Return the data of a file, or those that ship with the package."""
    name = options.data
    given = {"sep": options.sep, "decimal": options.decimal, "encoding": options.encoding}
    if name in DATASETS:
        for option, value in given.items():
            if value is not None:
                raise InputError(f"--{option} is for files; leave it out for '{name}'")
        return load(name)
    if name != STDIN and not os.path.exists(name):
        known = ", ".join(DATASETS)
        raise InputError(
            f"no file and no shipped data set '{name}'"
            f"{nearest(name, DATASETS) or ';'} shipped are: {known}"
        )
    return read_csv(name, **given)


def reading_notes(data: "pd.DataFrame", options: argparse.Namespace) -> list[str]:
    """Return what was guessed of the file and of the columns that the options name."""
    named = " ".join(str(value) for value in vars(options).values())
    return [
        sentence
        for column, sentences in data.attrs.get("notes", {}).items()
        if column in named
        for sentence in sentences
    ]


@contextmanager
def guesses_told(data: "pd.DataFrame", options: argparse.Namespace) -> Iterator[None]:
    """Say on one line what was guessed of the file; if an error ends the block, on the error's."""
    notes = "; ".join(reading_notes(data, options))
    try:
        yield
    except InputError as error:
        raise InputError(f"{error} (as read: {notes})") if notes else error from None
    if notes:
        complain(f"'{options.data}': {notes}")


def add_origin(dt: "DataTree", data: "pd.DataFrame", options: argparse.Namespace) -> None:
    """Put into a fit where its data are from, and what was guessed in reading them."""
    dt.attrs["data"] = printable(options.data)
    notes = [*reading_notes(data, options), *json.loads(dt.attrs.get("notes", "[]"))]
    if notes:
        dt.attrs["notes"] = json.dumps(notes)


def all_formulas(options: argparse.Namespace, formula: str) -> str | dict[str, str]:
    """Return the formula, or all of them if alpha or sigma has one."""
    further = {"alpha": options.alpha_formula, "sigma": options.sigma_formula}
    given = {
        name: text if text.strip().startswith("~") else f"~ {text}"
        for name, text in further.items()
        if text is not None
    }
    response = formula.split("~")[0].strip()
    return {response: formula, **given} if given else formula


def row_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of ``Regression`` about rows: columns, rounding, gaps."""
    return {
        "weights": options.weights,
        "offset": options.offset,
        "measurement_error": options.measurement_error,
        "resolution": options.resolution,
        "drop_missing": options.drop_missing,
        "leverage": options.leverage,
    }


def sampling_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of ``Regression.fit`` and ``compare`` alike."""
    return {
        "draws": options.draws,
        "warmup": options.warmup,
        "chains": options.chains,
        "target_accept": options.target_accept,
        "seed": options.seed,
        "sampler": options.sampler,
    }


def keep_programs(options: argparse.Namespace) -> None:
    """Keep what is compiled for the next run, unless that is not wanted."""
    if options.no_cache:
        os.environ[VARIABLE] = "off"
    from robust_dist.regression.compilation_cache import use_compilation_cache

    use_compilation_cache()


def teller(quiet: bool) -> Callable[[str], None]:
    """Return a function that says on stderr which stage starts."""

    def tell(text: str) -> None:
        if not quiet:
            complain(f"{text} ...")

    return tell


@contextmanager
def problems_later() -> Iterator[None]:
    """Keep what is wrong with a formula from being said twice: the fit's problems have it too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormulaWarning)
        yield


def warn(problems: list[str]) -> None:
    """Print problems on stderr."""
    for problem in problems:
        complain(f"warning: {problem}")


def versions() -> dict[str, str]:
    """Return the versions of what computed a fit."""
    packages = ("robust-dist", "numpyro", "jax", "arviz", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
