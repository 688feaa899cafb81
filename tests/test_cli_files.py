"""The command line reads files and pipes, says what it guessed of them, and obeys the options."""

import io
import os
import sys
from pathlib import Path

import pytest

from robust_dist.cli import main

GERMAN = "x;y;z\n1,5;2;7 %\n2,5;3;8 %\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Run in an empty folder."""
    monkeypatch.chdir(tmp_path)


def stop_after_reading(capsys, data, *options, formula="y ~ x + nosuch"):
    """Return what is printed until a column is not found."""
    assert main(["fit", data, "--formula", formula, *options]) == 2
    return [line for line in capsys.readouterr().err.splitlines() if "loading" not in line]


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_guesses_are_one_line_of_the_file_and_of_the_columns_that_are_used(capsys, quiet):
    """A wrong guess must be seen, even where the stages are not."""
    Path("de.csv").write_text(GERMAN)
    guess, error = stop_after_reading(capsys, "de.csv", *quiet)
    assert guess == "robust-dist: 'de.csv': columns separated by semicolons; decimal comma"
    assert "no column 'nosuch'" in error
    guess, _ = stop_after_reading(capsys, "de.csv", *quiet, formula="nosuch ~ z")
    assert guess.endswith("; '7 %' in column 'z' read as 7")
    Path("plain.csv").write_text("x,y\n1,2\n2,3\n")
    (error,) = stop_after_reading(capsys, "plain.csv", *quiet)
    assert "no column 'nosuch'" in error


def test_the_options_reach_the_reader(capsys):
    Path("odd.csv").write_bytes("größe|y;x\n1|2;3\n".encode("latin-1"))
    for options, columns in (
        (["--sep", ";"], "größe|y, x"),
        (["--sep", "|"], "größe, y;x"),
        (["--sep", "|", "--encoding", "cp437"], "gr÷▀e, y;x"),
    ):
        assert stop_after_reading(capsys, "odd.csv", *options)[-1].endswith(columns)
    Path("two.csv").write_text('x,y\n"1,234",1\n"5,678",2\n')
    assert "read as 1234 (with" in stop_after_reading(capsys, "two.csv")[0]
    assert "decimal comma" not in stop_after_reading(capsys, "two.csv", "--decimal", ",")[-1]
    assert main(["fit", "two.csv", "--formula", "y ~ x", "--decimal", ";"]) == 2
    assert main(["compare", "two.csv", "--formula", "y ~ x", "--sep", "ab"]) == 2
    assert main(["fit", "stackloss", "--sep", ";"]) == 2
    err = capsys.readouterr().err
    assert "decimal mark" in err
    assert "separator 'ab'" in err
    assert "leave it out for 'stackloss'" in err


def test_data_come_from_the_standard_input_and_from_pipes(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GERMAN.encode())))
    assert "There are: x, y, z" in stop_after_reading(capsys, "-")[-1]
    reader, writer = os.pipe()
    os.write(writer, GERMAN.encode())
    os.close(writer)
    assert "There are: x, y, z" in stop_after_reading(capsys, f"/dev/fd/{reader}")[-1]
    os.close(reader)


def test_numbers_written_as_text_do_not_become_levels(capsys):
    """Neither a stray word nor units nor two ways of writing make indicators of a predictor."""
    for cells in (("5 kg", "6 kg", "7 kg"), ("5%", "0.1", "0.2"), ("n/d", "6", "7")):
        rows = "".join(f"{cell},{place}\n" for place, cell in enumerate(cells * 4))
        Path("units.csv").write_text("x,y\n" + rows)
        said, error = stop_after_reading(capsys, "units.csv", formula="y ~ x")
        assert f"column 'x' is kept as text: '{cells[0]}'" in said
        assert error.startswith("robust-dist: error: column 'x' ")
        assert "of the file)" in error
