"""The command predicts from a file, to a file that is whole or not there, and says what it did."""

import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from fits import grouped, grouped_data, made_up

from robust_dist.cli import _files, main
from robust_dist.regression import prediction_table


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Run in a folder that holds a fit and new rows."""
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    grouped().to_netcdf("results/posterior.nc", engine="h5netcdf")
    grouped_data()[0].drop(columns="y").iloc[:12].to_csv("new.csv", index=False)


def run(*options, posterior="results", data="new.csv"):
    return main(["predict", posterior, data, *options])


def here():
    return {path.name for path in Path().iterdir()}


def test_the_file_holds_a_line_for_each_row(capsys):
    """The folder stands for the posterior.nc in it; rows are called as the file's are."""
    assert run("--quiet") == 0
    out, err = capsys.readouterr()
    assert err == ""
    for words in ("mean of 12 rows, 95% interval", "and 2 more", "written: predictions.csv"):
        assert words in out
    written = pd.read_csv("predictions.csv", index_col="row")
    expected = prediction_table(grouped(), pd.read_csv("new.csv"))
    assert list(written.index) == list(range(1, 13))
    pd.testing.assert_frame_equal(written, expected.set_index(written.index), rtol=1e-9)
    assert here() == {"results", "new.csv", "predictions.csv"}


def test_every_option_reaches_the_prediction(capsys):
    options = ["--kind", "response", "--prob", "0.5", "--groups", "new", "--seed", "7"]
    assert run(*options, "--out", "new-50.csv", posterior="results/posterior.nc") == 0
    assert "loading JAX" in capsys.readouterr().err
    given = {"kind": "response", "prob": 0.5, "groups": "new", "seed": 7}
    expected = prediction_table(grouped(), pd.read_csv("new.csv"), **given)
    written = pd.read_csv("new-50.csv", index_col="row")
    pd.testing.assert_frame_equal(written, expected.set_index(written.index), rtol=1e-9)


def test_a_file_is_replaced_only_by_force(capsys, monkeypatch):
    Path("predictions.csv").write_text("mine")
    assert run() == 2
    assert "'predictions.csv' exists; choose another --out" in capsys.readouterr().err
    assert Path("predictions.csv").read_text() == "mine"

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(_files.os, "fsync", full)
        assert run("--force", "--quiet") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert Path("predictions.csv").read_text() == "mine"
    assert here() == {"results", "new.csv", "predictions.csv"}
    assert run("--force", "--quiet") == 0
    assert Path("predictions.csv").read_text().startswith("row,mean,median,lower,upper\n")


def test_json_is_one_document(capsys):
    Path("some.csv").write_text("g;k;x;o\ng1;u;0,5;1,5\n;u;0,5;1,5\n")
    assert run("--json", "--drop-missing", data="some.csv") == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["predictions"][0].keys() == {"row", "mean", "median", "lower", "upper"}
    assert len(document["predictions"]) == document["dropped"] == 1
    assert document["files"] == ["predictions.csv"]
    assert "decimal comma" in document["notes"]
    assert "leaving out 1 of 2 rows" in err
    assert "decimal comma" in err


def test_new_rows_come_from_the_standard_input(capsys, monkeypatch):
    text = io.TextIOWrapper(io.BytesIO(Path("new.csv").read_bytes()))
    monkeypatch.setattr(sys, "stdin", text)
    assert run("--groups", "population", "--quiet", data="-") == 0
    assert len(pd.read_csv("predictions.csv")) == 12


@pytest.mark.parametrize(
    ("row", "options", "complaint"),
    [
        ("k,x,o\nu,1,2", [], "no column 'g' in the data"),
        ("g,k,x,o\ng1,u,,2", [], "column 'x' has no value (NaN) in row 1 (line 2 of the file)"),
        (
            "g,k,x,o\ng1,zz,1,2",
            [],
            "column 'k' holds 'zz', which the fit has not seen (it has u and v), in row 1 (line 2",
        ),
        ("g,k,x,o\nnew,u,1,2", [], "no row of the new data has a level of the group 'g'"),
        ("g,k,x,o\nnew,u,1,2\ng1,u,1,2", ["--unseen", "refuse"], "unseen='draw' (--unseen draw)"),
        ("g,k,x,o\ng1,u,1,2", ["--measurement-error", "x"], "was given no measurement error"),
        ("g,k,x,o", [], "has a header but no rows"),
    ],
)
def test_what_cannot_be_predicted_is_one_line_and_writes_nothing(row, options, complaint, capsys):
    Path("bad.csv").write_text(row + "\n")
    assert run(*options, "--quiet", data="bad.csv") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("robust-dist: error: ")
    assert complaint in err
    assert err.count("\n") == 1
    assert here() == {"results", "new.csv", "bad.csv"}


def test_a_fit_without_what_predicts_says_so(capsys):
    """As one that another program has made."""
    made_up().to_netcdf("other.nc", engine="h5netcdf")
    assert run("--quiet", posterior="other.nc") == 2
    assert "it is no fit of Regression" in capsys.readouterr().err
