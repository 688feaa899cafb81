"""A number in a table can be read back, is no longer than it need be, and never a row of zeros."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust_dist._words.numbers import decimal, to_precision
from robust_dist.diagnostics import format_summary

# rounding the largest doubles up gives infinity, and the smallest have few digits
positive = st.floats(1e-300, 1e300)
finite = st.just(0.0) | positive | positive.map(lambda size: -size)


@given(value=finite, sd=positive)
def test_a_number_is_as_near_as_its_standard_deviation_deserves(value, sd):
    """Within a twentieth of it, or to the last digits of a double."""
    text = to_precision(value, sd)
    assert abs(float(text) - value) <= 0.05 * sd + 1e-15 * abs(value) + 0.05 * abs(value) * (
        abs(value) < 1e-9
    )
    assert len(text) <= 28


@given(value=finite, sd=positive)
def test_only_scientific_notation_is_used_for_the_very_small_and_the_very_large(value, sd):
    text = to_precision(value, sd)
    assert ("e" in text) == (value != 0 and not 1e-9 <= abs(value) < 1e9)
    if "e" in text:
        assert float(text) != 0  # never a row of zeros


@given(value=finite)
def test_a_standard_deviation_shows_two_digits_of_itself(value):
    sd = abs(value)
    text = to_precision(sd, sd)
    assert math.isclose(float(text), sd, rel_tol=0.05)


@pytest.mark.parametrize("sd", [0.0, math.nan, math.inf])
@given(value=finite)
def test_a_number_without_a_standard_deviation_has_five_digits(sd, value):
    assert math.isclose(float(to_precision(value, sd)), value, rel_tol=1e-4)


@given(value=finite, places=st.integers(0, 4))
def test_decimals_are_those_asked_for_where_the_number_is_plain(value, places):
    text = decimal(value, places, "+")
    assert text[0] in "+-"
    if 1e-9 <= abs(value) < 1e9:
        assert text == f"{value:+.{places}f}"


def test_what_is_no_number_is_written_as_such():
    assert [decimal(value, 2) for value in (math.nan, math.inf, -math.inf)] == [
        "nan",
        "inf",
        "-inf",
    ]


@pytest.mark.parametrize("unit", [1e-300, 3e-13, 2e-10, 1.0, 7e11, 1e300])
def test_the_table_of_a_posterior_is_readable_in_any_unit(unit):
    """The same digits, whatever the unit."""
    numbers = np.array([[2.345, 0.12, 2.1, 2.6]]) * unit
    table = pd.DataFrame(numbers, ["slope"], ["mean", "sd", "eti95_lb", "eti95_ub"])
    cells = format_summary(table).splitlines()[1].split()[1:]
    assert [float(cell) for cell in cells] == pytest.approx(
        [2.35 * unit, 0.12 * unit, 2.1 * unit, 2.6 * unit], rel=3e-3
    )
