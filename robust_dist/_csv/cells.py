"""The cells of a column of text: numbers as people write them, gaps, labels."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from robust_dist._errors import InputError

# Missing wherever they stand.
LABEL_GAPS = ("", "NaN", "nan", "N/A", "n/a", "#N/A", "NULL", "null", "<NA>")
# Missing among numbers; among labels they are labels: Namibia, and no education.
NUMBER_GAPS = (*LABEL_GAPS, "NA", "None")
# What spreadsheets and other programs write where there is no number; said when met.
_ERRORS = ("#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!")
_FAILURES = ("-nan", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", ".", "-", "--", "?", "n.a.")
_ANY_GAPS = frozenset(word.casefold() for word in (*NUMBER_GAPS, *_ERRORS, *_FAILURES))

_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"), "-")
_APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u02bc"), "'")
# blanks of any width, and none, and the end of files of DOS
_EDGES = (
    "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\x1a\u200b\u200e\u200f\u2060\ufeff"
)
_BLANK = "[ \u00a0\u2007\u2009\u202f]"
_ZEROS_FIRST = "[-+]?0[0-9]+"
# 5 kg, <0.5, 1_000, but neither 18-24 nor 10:30
_WITH_UNIT = r"\W*\d(?:[\d_]|[^\w:/-])*+[^\W\d_]{0,5}+[^\w:/-]*"
# in characters; the csv module's limit too
LONGEST = 131_072
# so many texts show what a column is not, however long it is
_FEW = 1000
# from which part of numbers on a column of words is suspected to be one of numbers
_SUSPECT = 0.1


class Format(NamedTuple):
    """How a column writes its numbers."""

    decimal: str
    thousands: str

    @property
    def _mark(self) -> str:
        return _BLANK if self.thousands == " " else re.escape(self.thousands)

    @property
    def pattern(self) -> str:
        """A regular expression of such a number."""
        decimal, whole = re.escape(self.decimal), "[0-9]+"
        if self.thousands:
            whole = rf"(?:[1-9][0-9]{{0,2}}(?:{self._mark}[0-9]{{3}})+|[0-9]+)"
        finite = rf"(?:{whole}(?:{decimal}[0-9]*)?|{decimal}[0-9]+)(?:[eE][-+]?[0-9]+)?"
        return rf"[-+]?(?:{finite}|(?i:inf|infinity))"

    def numbers(self, texts: pd.Series) -> pd.Series:
        """Return what texts of this format say."""
        if self.thousands:
            texts = texts.str.replace(self._mark, "", regex=True)
        texts = texts.str.replace(self.decimal, ".", regex=False)
        whole = texts.str.fullmatch("[-+]?[0-9]{1,18}").all()
        return texts.astype("int64" if whole else "float64")


FORMATS = tuple(
    Format(decimal, thousands)
    for thousands in ("", ",", ".", " ", "'")
    for decimal in (".", ",")
    if decimal != thousands
)
_ANY_NUMBER = "|".join(form.pattern for form in FORMATS)


@dataclass
class Column:
    """A column as it was read."""

    values: pd.Series
    notes: list[str] = field(default_factory=list)
    doubt: tuple[int, str] | None = None
    """a row, and what in it suggests that a column of text is not one of labels"""


def strip(texts: pd.Series) -> pd.Series:
    """Return texts without the blanks around them, of any width."""
    return texts.str.strip(_EDGES)


def is_gap(texts: pd.Series) -> pd.Series:
    """Return which texts would stand for no number in a column of numbers."""
    return texts.str.casefold().isin(_ANY_GAPS)


def bare(texts: pd.Series) -> pd.Series:
    """Return numbers without the sign of their currency or percent, if it is the same for all.

    A minus may be any dash, or, as in accounts, parentheses around the number.
    """
    texts = texts.str.translate(_DASHES | _APOSTROPHES)
    texts = texts.str.replace(r"^\(([^()]*)\)$", r"-\1", regex=True)
    signs = {letter for letter in set("".join(texts)) if unicodedata.category(letter) == "Sc"}
    if len(signs) == 1:
        sign = signs.pop()
        before = rf"^([-+]?){_BLANK}*{re.escape(sign)}{_BLANK}*"
        texts = texts.str.replace(before, r"\1", regex=True)
        return strip(texts.str.removesuffix(sign))
    if texts.str.endswith("%").all():  # 5% beside 0.05 would be two units
        return strip(texts.str.removesuffix("%"))
    return texts


def formats(texts: pd.Series) -> list[Format]:
    """Return the formats in which all of the bare texts are numbers."""
    return [form for form in FORMATS if texts.str.fullmatch(form.pattern).all()]


def is_number(texts: pd.Series) -> pd.Series:
    """Return which bare texts are a number in some format."""
    return texts.str.fullmatch(_ANY_NUMBER)


def is_plain(texts: pd.Series, decimal: str) -> bool:
    """Return whether all texts are numbers as pandas itself reads them."""
    plain = texts.str.fullmatch(Format(decimal, "").pattern)
    return bool(len(texts) and plain.all() and not texts.str.fullmatch(_ZEROS_FIRST).any())


def different_cells(table: Sequence[Sequence[str]], place: int) -> pd.Series:
    """Return the different cells of a column that are not missing."""
    cells = dict.fromkeys(row[place] for row in table if len(row) > place)
    texts = strip(pd.Series(list(cells), dtype=object))
    return texts[~is_gap(texts)]


def read_column(name: str, column: pd.Series, decimal: str, given: bool) -> Column:
    """Return a column of text as what its author meant.

    Parameters
    ----------
    name
        What the notes call it.
    column
        Texts and gaps.
    decimal
        The file's decimal mark, which decides what can be read in two ways.
    given
        Whether the user gave it, so that no other mark is meant.
    """
    codes, uniques = pd.factorize(column)
    # each text once, however many rows hold it
    written = pd.Series(uniques, dtype=object)
    texts = strip(written)
    if (lengths := texts.str.len()).max() > LONGEST:
        row = _first_row(column, int(lengths.to_numpy().argmax()))
        raise InputError(
            f"column '{name}' holds a cell of {lengths.max()} characters in row {row}; is a "
            "quotation mark missing?"
        )
    numbers = texts[~is_gap(texts)]
    notes = [
        f"'{word}' in column '{name}' read as missing"
        for word in texts[is_gap(texts)]
        if word not in NUMBER_GAPS
    ]
    if numbers.empty:
        read = Column(pd.Series(np.nan, texts.index), notes)
    elif numbers.str.casefold().isin(["true", "false"]).all():
        truth = numbers.str.casefold() == "true"
        complete = len(numbers) == len(texts) and codes.min() >= 0
        read = Column(truth if complete else truth.astype("boolean"), notes)
    elif (parsed := _numbers(name, numbers, decimal, given)) is not None:
        read = Column(parsed.values, notes + parsed.notes)
    else:
        read = _labels(name, texts, column)
    read.values = read.values.reindex(codes).set_axis(column.index)
    return read


def _first_row(column: pd.Series, place: int) -> int:
    """Return the row in which the unique text of this place is met first."""
    return int(column.index[column.notna() & ~column.duplicated()][place])


def _numbers(name: str, texts: pd.Series, decimal: str, given: bool) -> Column | None:
    """Return the numbers that texts write, if all of them do, and none is a label as 007 is."""
    if not formats(bare(texts.iloc[:_FEW])):
        return None
    plain = bare(texts)
    candidates = formats(plain)
    chosen = [form for form in candidates if form.decimal == decimal]
    if not given:
        chosen += candidates
    whole = plain.str.fullmatch("[-+]?[0-9]+").all()
    if not chosen or (whole and plain.str.fullmatch(_ZEROS_FIRST).any()):
        return None
    values = chosen[0].numbers(plain)
    notes = []
    if whole and values.dtype != "int64":
        notes.append(f"column '{name}' has integers of more digits than double precision keeps")
    odd = texts[~texts.str.fullmatch(Format(decimal, "").pattern)]
    if odd.empty:
        return Column(values, notes)
    note = f"'{shorten(odd.iloc[0])}' in column '{name}' read as {values[odd.index[0]]:.15g}"
    for form in candidates:
        if form.decimal != chosen[0].decimal and not given:
            other = form.numbers(plain)[odd.index[0]]
            if other == values[odd.index[0]]:
                continue
            note += f" (with --decimal {form.decimal} as {other:.15g})"
            break
    return Column(values, [*notes, note])


def _labels(name: str, texts: pd.Series, column: pd.Series) -> Column:
    """Return labels, with what may be wrong about them and in which row of the column."""
    labels = texts[~texts.isin([*LABEL_GAPS, *_ERRORS])]
    notes = [f"'{word}' in column '{name}' read as missing" for word in texts if word in _ERRORS]
    for word in ("NA", "None"):
        if (labels == word).any():
            notes.append(
                f"'{word}' in column '{name}' is kept as a label (leave the cell empty where the "
                "value is missing)"
            )
    if labels.duplicated().any():
        label = labels[labels.duplicated()].iloc[0]
        notes.append(
            f"'{shorten(label)}' in column '{name}' is one label with and without blanks around it"
        )
    if labels.str.contains("\n", regex=False).any():
        notes.append(f"a cell of column '{name}' goes over several lines: is a quote missing?")
    doubt = None
    if suspect := _suspect(labels):
        place, reason = suspect
        row = _first_row(column, labels.index[place])
        doubt = (row, f"'{shorten(labels.iloc[place])}' {reason}")
        notes.append(f"column '{name}' is kept as text: {doubt[1]} (row {row})")
    return Column(labels.astype("str"), notes, doubt)


def _suspect(labels: pd.Series) -> tuple[int, str] | None:
    """Return the place of a label which suggests that these are to be numbers, and why."""
    few = labels.iloc[:_FEW]
    if not (is_number(bare(few)) | few.str.fullmatch(_WITH_UNIT)).any():
        return None
    plain = bare(labels)
    number = is_number(plain)
    if (number | is_gap(labels)).all():
        zeros = plain.str.fullmatch(_ZEROS_FIRST)
        if zeros.any():
            return int(zeros.to_numpy().argmax()), "begins with 0"
        usual = max(FORMATS, key=lambda form: plain.str.fullmatch(form.pattern).mean())
        others = number & ~plain.str.fullmatch(usual.pattern)
        return int(others.to_numpy().argmax()), "is not written as the other numbers are"
    if number.mean() >= _SUSPECT:
        return int((~number).to_numpy().argmax()), "is no number"
    united = labels.str.fullmatch(_WITH_UNIT)
    if united.mean() >= 1 - _SUSPECT:
        return int(united.to_numpy().argmax()), "is a number with other signs"
    return None


def shorten(text: str) -> str:
    """Return a text of a length that a message can hold."""
    return text if len(text) <= 40 else f"{text[:30]}...({len(text)} characters)"
