"""The command line reads files and pipes, says what it guessed of them, and obeys the options."""

import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fits import compare_made_up, made_up

from robust_dist import regression
from robust_dist.cli import _report, main

GERMAN = "x;y;z\n1,5;2;7 %\n2,5;3;8 %\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Run in an empty folder."""
    monkeypatch.chdir(tmp_path)


def stop_after_reading(capsys, data, *options, formula="y ~ x + nosuch"):
    """Return the line that is printed when a column is not found."""
    assert main(["fit", data, "--formula", formula, *options]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "loading" not in line)
    return line


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_an_error_says_what_was_guessed_of_the_columns_that_are_used(capsys, quiet):
    """On its own line: a wrong guess may be why the command failed."""
    Path("de.csv").write_text(GERMAN)
    error = stop_after_reading(capsys, "de.csv", *quiet)
    assert error.startswith("robust-dist: error: no column 'nosuch'")
    assert error.endswith("(as read: columns separated by semicolons; decimal comma)")
    error = stop_after_reading(capsys, "de.csv", *quiet, formula="nosuch ~ z")
    assert error.endswith("; '7 %' in column 'z' read as 7)")
    Path("plain.csv").write_text("x,y\n1,2\n2,3\n")
    assert "as read" not in stop_after_reading(capsys, "plain.csv", *quiet)


@pytest.mark.parametrize("command", ["fit", "fit --compare normal", "compare"])
def test_guesses_are_said_once_on_the_screen_and_kept_in_all_that_is_written(
    command, capsys, monkeypatch
):
    """A line of their own, even where the stages are not said; and what was done to columns."""
    rows = "".join(f"2024-01-{day};{day * day % 7},5\n" for day in range(10, 25))
    Path("de.csv").write_text("day;y\n" + rows)
    guess = "columns separated by semicolons; decimal comma"
    dates = "'day' counts days since 2024-01-10"

    def fitted():
        dt = made_up()
        dt.attrs.update(method="nuts", seed=0, warmup=10, notes=json.dumps([dates]))
        return dt

    def compare(*given, **options):
        comparison = compare_made_up(*given, **options)
        own = {name: fitted() for name in comparison.fits}
        return replace(comparison, fits=own, notes=(dates, *comparison.notes))

    monkeypatch.setattr(regression.Regression, "fit", lambda self, **options: fitted())
    monkeypatch.setattr(regression, "compare", compare)
    pictures = dict.fromkeys(("fit", "weights", "tails"), _report.Picture(b"", ""))
    monkeypatch.setattr(_report, "fit_pictures", lambda dt: pictures)
    for out, option in (("o", "--quiet"), ("json", "--json")):
        arguments = [*command.split()[1:], "--formula", "y ~ day", "--out", out, "--quiet", option]
        assert main([command.split()[0], "de.csv", *arguments]) == 0
        printed, err = capsys.readouterr()
        assert err.splitlines()[0] == f"robust-dist: 'de.csv': {guess}"
        assert err.count(guess) == 1
        report = Path(out, "report.html").read_text()
        assert report.count("decimal comma") == 1
        assert report.count("counts days since") == 1
        if option == "--json":
            assert json.loads(printed)["notes"][:3] == [*guess.split("; "), dates]
        else:
            assert printed.count(dates) == 1


def test_the_options_reach_the_reader(capsys):
    Path("odd.csv").write_bytes("größe|y;x\n1|2;3\n".encode("latin-1"))
    for options, columns in (
        (["--sep", ";"], "größe|y, x"),
        (["--sep", "|"], "größe, y;x"),
        (["--sep", "|", "--encoding", "cp437"], "gr÷▀e, y;x"),
    ):
        assert f"There are: {columns} (" in stop_after_reading(capsys, "odd.csv", *options)
    Path("two.csv").write_text('x,y\n"1,234",1\n"5,678",2\n')
    assert "read as 1234 (with" in stop_after_reading(capsys, "two.csv")
    assert "read as 1234" not in stop_after_reading(capsys, "two.csv", "--decimal", ",")
    assert main(["fit", "two.csv", "--formula", "y ~ x", "--decimal", ";"]) == 2
    assert main(["compare", "two.csv", "--formula", "y ~ x", "--sep", "ab"]) == 2
    assert main(["fit", "stackloss", "--sep", ";"]) == 2
    err = capsys.readouterr().err
    assert "decimal mark" in err
    assert "separator 'ab'" in err
    assert "leave it out for 'stackloss'" in err


def test_data_come_from_the_standard_input_and_from_pipes(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GERMAN.encode())))
    assert "There are: x, y, z" in stop_after_reading(capsys, "-")
    reader, writer = os.pipe()
    os.write(writer, GERMAN.encode())
    os.close(writer)
    assert "There are: x, y, z" in stop_after_reading(capsys, f"/dev/fd/{reader}")
    os.close(reader)


def test_numbers_written_as_text_do_not_become_levels(capsys):
    """Neither a stray word nor units nor two ways of writing make indicators of a predictor."""
    for cells in (("5 kg", "6 kg", "7 kg"), ("5%", "0.1", "0.2"), ("n/d", "6", "7")):
        rows = "".join(f"{cell},{place}\n" for place, cell in enumerate(cells * 4))
        Path("units.csv").write_text("x,y\n" + rows)
        error = stop_after_reading(capsys, "units.csv", formula="y ~ x")
        assert f"column 'x' is kept as text: '{cells[0]}'" in error
        assert error.startswith("robust-dist: error: column 'x' ")
        assert "of the file)" in error
