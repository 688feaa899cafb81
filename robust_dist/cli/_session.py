"""What the commands that fit share: the data, the model's arguments, words about the stage."""

import argparse
import json
import math
import os
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from robust_dist._errors import InputError
from robust_dist._text import is_control, printable
from robust_dist.datasets import DATASETS, STDIN, load, nearest, read_csv

if TYPE_CHECKING:
    import pandas as pd


def find_data(options: argparse.Namespace) -> "tuple[pd.DataFrame, str]":
    """Return the data and the formula to fit, and say what was guessed in reading them."""
    name, formula = options.data, options.formula
    given = {"sep": options.sep, "decimal": options.decimal, "encoding": options.encoding}
    if name in DATASETS:
        for option, value in given.items():
            if value is not None:
                raise InputError(f"--{option} is for files; leave it out for '{name}'")
        return load(name), formula or DATASETS[name].formula
    if name != STDIN and not os.path.exists(name):
        known = ", ".join(DATASETS)
        raise InputError(
            f"no file and no shipped data set '{name}'"
            f"{nearest(name, DATASETS) or ';'} shipped are: {known}"
        )
    data = read_csv(name, **given)
    if formula is None:
        columns = ", ".join(map(str, data.columns))
        raise InputError(
            f"no formula for '{name}'; give one by --formula 'y ~ x' with its columns: {columns}"
        )
    _tell_guesses(data, options)
    return data, formula


def _tell_guesses(data: "pd.DataFrame", options: argparse.Namespace) -> None:
    """Print on one line what was guessed of the file and of the columns that the options name."""
    named = " ".join(str(value) for value in vars(options).values())
    guesses = [
        sentence
        for column, sentences in data.attrs["notes"].items()
        if column in named
        for sentence in sentences
    ]
    if guesses:
        print(f"robust-dist: '{options.data}': {'; '.join(guesses)}", file=sys.stderr)


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
    """Return the arguments of ``Regression`` that name columns, and what to do with gaps."""
    return {
        "weights": options.weights,
        "offset": options.offset,
        "measurement_error": options.measurement_error,
        "drop_missing": options.drop_missing,
    }


def sampling_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of ``Regression.fit`` and ``compare`` alike."""
    return {
        "draws": options.draws,
        "warmup": options.warmup,
        "chains": options.chains,
        "target_accept": options.target_accept,
        "seed": options.seed,
    }


def teller(quiet: bool) -> Callable[[str], None]:
    """Return a function that says on stderr which stage starts."""

    def tell(text: str) -> None:
        if not quiet:
            print(f"robust-dist: {printable(text)} ...", file=sys.stderr, flush=True)

    return tell


def warn(problems: list[str]) -> None:
    """Print problems on stderr."""
    for problem in problems:
        print(f"robust-dist: warning: {printable(problem)}", file=sys.stderr)


def versions() -> dict[str, str]:
    """Return the versions of what computed a fit."""
    packages = ("robust-dist", "numpyro", "jax", "arviz", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def print_json(document: Mapping[str, Any]) -> None:
    """Print a JSON document; what is no number is null."""
    text = json.dumps(_plain(document), indent=2, allow_nan=False, ensure_ascii=False)
    print("".join(map(_json_letter, text)))


def _json_letter(letter: str) -> str:
    """Return a letter of a JSON document as a terminal can take it."""
    return json.dumps(letter)[1:-1] if is_control(letter) and letter != "\n" else letter


def _plain(value: Any) -> Any:
    """Return the same of what JSON knows."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # of NumPy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
