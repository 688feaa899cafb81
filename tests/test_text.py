"""What a stranger named reaches a screen as letters, and does nothing there."""

import io
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from fits import compared, made_up
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from xarray import Dataset, DataTree

from robust_dist import diagnostics, plots
from robust_dist._errors import InputError
from robust_dist._words.text import is_control, printable
from robust_dist.cli._report import comparison_picture, comparison_report, fit_pictures, fit_report
from robust_dist.cli._results import print_json
from robust_dist.cli._session import teller, warn

# an escape sequence, C1, a title, a line, bidi, a surrogate, DEL, line separators, HTML, TeX
HOSTILE = "\x1b[31mred\x1b]0;t\x07\x9b\n\r\u202e\u2066\ud800\x7f\u2028\x85<b>&$\\frac$"


def is_clean(text, layout="\n"):
    """Whether a text holds no control character but those of its layout."""
    return not any(is_control(letter) and letter not in layout for letter in text)


@given(st.text(st.characters()))
def test_printable_text_controls_nothing(text):
    """It is one line, can be encoded, and is as it was if nothing in it was a control."""
    shown = printable(text)
    assert is_clean(shown, layout="")
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    assert shown == text or not is_clean(text, layout="")


def test_letters_of_all_scripts_are_left_alone():
    text = "größe 日本 λ² Ñ می‌خواهم हिन्दी ½ €"
    assert printable(text) == text


@given(st.text(st.characters(), max_size=3000))
def test_an_error_is_one_line_of_bounded_length(text):
    message = str(InputError(f"no column '{text}' in the data; rename it"))
    assert is_clean(message, layout="")
    assert len(message) <= 1010
    assert message.startswith("no column '")
    assert message.endswith("; rename it")


def test_a_document_of_json_controls_nothing_and_says_the_same(capsys):
    """JSON's own escapes end at C0; those of an astral character come in pairs."""
    name = HOSTILE.replace("\ud800", "") + "\U000e0001"
    print_json({name: [name, 1.5, None]})
    text = capsys.readouterr().out
    assert is_clean(text)
    assert json.loads(text) == {name: [name, 1.5, None]}


# half of a letter is in no table: Arrow's strings, which pandas makes where it can, do not hold it
NAME = HOSTILE.replace("\ud800", "")


def hostile_fit():
    """Return a fit whose coefficients, rows, response and formula have hostile names."""
    dt = made_up(coefficients=("Intercept", NAME, f"{NAME}2"), rows=12)
    for name in ("observed_data", "constant_data"):
        dataset = dt[name].to_dataset()
        dt[name] = dataset.assign_coords(row=[f"{NAME}{row}" for row in range(12)])
    dt.attrs.update(response=NAME, formula=NAME, data=NAME, seed=0, warmup=10)
    return dt


def hostile_comparison():
    """Return a comparison of regressions whose coefficient has a hostile name."""
    comparison = compared(["normal", "cauchy"])
    names = [NAME if name == "x" else name for name in comparison.coefficients.index]
    return replace(comparison, coefficients=comparison.coefficients.set_axis(names))


def test_tables_and_sentences_control_nothing(capsys):
    dt = hostile_fit()
    table = diagnostics.outliers(dt)
    assert is_clean(diagnostics.format_summary(diagnostics.summary(dt)))
    assert is_clean(diagnostics.name_outliers(table), layout="")
    assert is_clean(str(hostile_comparison()))
    teller(quiet=False)(HOSTILE)
    warn([HOSTILE])
    assert is_clean(capsys.readouterr().err)


def test_a_leverage_point_with_a_hostile_name_is_told_in_letters():
    dt = hostile_fit()
    names = dt["posterior"].dataset["coefficient"].values
    both = ("explanation", "coefficient")
    values = np.outer([0.0, 9.0], np.ones(names.size))
    dt["explanations"] = DataTree(
        Dataset(
            {
                "mean": (both, values),
                "sd": (both, np.ones_like(values)),
                "shift": (both, values),
                "weight": ("explanation", [1.0, np.nan]),
                "elsewhere": ("explanation", [False, True]),
            },
            coords={"explanation": ["posterior", "downweighted"], "coefficient": names},
        )
    )
    far = np.r_[9.0, np.zeros(11)]
    constants = dt["constant_data"].to_dataset()
    dt["constant_data"] = DataTree(constants.assign(predictor_distance=("row", far)))
    (problem,) = diagnostics.leverage_problems(dt)
    assert "\\x1b" in problem
    assert is_clean(problem, layout="")
    assert is_clean(diagnostics.format_explanations(dt))


def test_pictures_and_reports_control_nothing():
    """Names are no mathematics to matplotlib, which fails at unknown ones, and no tags to HTML."""
    dt = hostile_fit()
    comparison = hostile_comparison()
    with warnings.catch_warnings(action="error"):
        pictures = fit_pictures(dt)
        page = fit_report(
            dt, HOSTILE, pictures, diagnostics.outliers(dt), comparison, [HOSTILE], HOSTILE
        )
        other = comparison_report(comparison, comparison_picture(comparison), [HOSTILE])
    for text in (page, other):
        assert is_clean(text)
        text.encode("utf-8")
        assert "<b>" not in text
        assert "\\x1b[31mred" in text


@pytest.mark.parametrize("name", ["$x$", "$\\frac$", "price ($)", "a_b^c", "$$"])
def test_a_label_shows_dollars_as_they_are(name):
    dt = made_up(coefficients=("Intercept", name))
    ax = plots.plot_fit(dt, Figure().add_subplot())
    ax.get_figure().savefig(io.BytesIO())
    assert ax.get_xlabel().replace("\\$", "$") == name
