"""Files as people have them are read as their authors meant them, and what is guessed is said."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust_dist._errors import InputError
from robust_dist.datasets import check_labels, read_csv, row_names

Y = [3.7, 6.8, 8.7]


@pytest.fixture
def read(tmp_path):
    """Write a file and read it."""

    def write_and_read(content, name="a.csv", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_csv(path, **options)

    return write_and_read


def said(frame):
    """Return all that was noted of a file and its columns."""
    return "; ".join(note for notes in frame.attrs["notes"].values() for note in notes)


# --- layouts ----------------------------------------------------------------------------------

_NAME = st.text("abxyzÄé _.(){}€", min_size=1, max_size=8).filter(lambda name: name == name.strip())
# no label is a gap, and none begins or ends with a blank
_LABEL = st.sampled_from(
    ["a", "b c", "größe", "x;y", "p,q", 'say "hi"', "it's", "A1", "y|z", "#2", "1st", "a\tb"]
)
_NUMBER = st.one_of(
    st.integers(-(10**9), 10**9),
    # with a digit that no thousands could end in, in one place at least
    st.integers(-(10**9), 10**9).map(lambda number: number / 16),
)


@st.composite
def _tables(draw):
    rows = draw(st.integers(1, 30))
    names = draw(st.lists(_NAME, min_size=2, max_size=5, unique=True))
    columns = {}
    for name in names:
        cells = draw(st.sampled_from([_LABEL, _NUMBER]))
        columns[name] = draw(st.lists(cells, min_size=rows, max_size=rows))
    # a first column of words, that rows cannot be taken for names, and a number that tells
    columns["word"] = draw(st.lists(_LABEL, min_size=rows, max_size=rows))
    columns["number"] = [0.0625 + row for row in range(rows)]
    return pd.DataFrame(columns)


# reading touches the disk, whose time is no property
@settings(deadline=None, max_examples=80)
@given(
    frame=_tables(),
    style=st.sampled_from(
        [(",", "."), (";", ","), (";", "."), ("\t", ","), ("\t", "."), ("|", ",")]
    ),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([0, 1, 2]),
    packed=st.sampled_from([bytes, gzip.compress, bz2.compress, lzma.compress]),
)
def test_any_separator_decimal_encoding_and_packing_is_read_as_written(
    tmp_path_factory, frame, style, encoding, newline, quoting, packed
):
    """What pandas writes comes back equal, and a guess that is not the usual one is said."""
    separator, decimal = style
    text = frame.to_csv(
        sep=separator, decimal=decimal, index=False, lineterminator=newline, quoting=quoting
    )
    path = tmp_path_factory.mktemp("made") / "a.csv"
    path.write_bytes(packed(text.encode(encoding)))
    found = read_csv(path)
    expected = frame.set_axis(found.index)
    assert list(found.columns) == list(frame.columns)
    for name in frame:
        if pd.api.types.is_numeric_dtype(frame[name]):
            np.testing.assert_allclose(found[name].astype(float), expected[name], rtol=1e-15)
        else:
            assert found[name].tolist() == expected[name].tolist()
    notes = said(found)
    assert ("decimal comma" in notes) == (decimal == ",")
    assert ("separated by" in notes) == (separator != ",")
    assert ("utf-16" in notes) == (encoding == "utf-16")


def test_a_separator_line_title_lines_and_comments_are_no_rows(read):
    """Lines before the header, and those that begin with #, are left out, and that is said."""
    assert read("sep=;\nx;y\n1;2\n")["y"].tolist() == [2]
    titled = read("Report of 2031,,\n,,\nx,y,\n1,2,\n3,4,\n")
    assert titled.to_dict("list") == {"x": [1, 3], "y": [2, 4]}
    assert "2 lines before the header left out" in said(titled)
    station = read("Station,Bern,,,,\na,b,c,d,e,f\n1,2,3,4,5,6\n2,3,4,5,6,7\n")
    assert list(station) == ["a", "b", "c", "d", "e", "f"]
    logged = read("# logger 9\nx,g\n1,site #2\n# restarted, twice\n3,#4\n")
    assert logged.to_dict("list") == {"x": [1, 3], "g": ["site #2", "#4"]}
    assert "begin with # left out" in said(logged)
    assert list(read("#x,y\n1,2\n3,4\n")) == ["x", "y"]


def test_a_byte_order_mark_and_stray_blanks_are_dropped_and_rows_numbered_from_one(read):
    frame = read(b"\xef\xbb\xbfx, y \r\n1, 2\r\n3, 4\r\n")  # as a spreadsheet may save it
    assert frame.to_dict("list") == {"x": [1, 3], "y": [2, 4]}
    assert frame.index.equals(pd.RangeIndex(1, 3))
    assert said(frame) == ""


def test_names_of_rows_and_empty_columns_get_no_other_columns_values(read):
    """A header one field short, as R writes it, must not shift the columns."""
    for text in (
        '"","x","y"\n"a",1,3.5\n"b",2,4.5\n',
        '"x","y"\n"a",1,3.5\n"b",2,4.5\n',
        '"x" "y"\n"a" 1 3.5\n"b" 2 4.5\n',
        "x,y\nr1,1,3.5\nr2,2,4.5\n",
    ):
        frame = read(text)
        assert frame["x"].tolist() == [1, 2]
        assert frame["y"].tolist() == [3.5, 4.5]
        assert "called 'column 1'" in said(frame)
    for text in ("x,y,,\n1,3.5,,\n2,4.5,,\n,,,\n", "x,y\n1,3.5,\n2,4.5,\n"):
        assert read(text).to_dict("list") == {"x": [1, 2], "y": [3.5, 4.5]}


def test_blanks_separate_columns_only_if_nothing_else_does(read):
    assert read("x   y\n 1  2.5\n10 3.5 \n").to_dict("list") == {"x": [1, 10], "y": [2.5, 3.5]}
    assert list(read("first name\nAnna Maria\nJean Paul\n")) == ["first name"]
    assert list(read("at time,y\n2031-01-01 10:00,5\n2031-01-02 11:00,6\n")) == ["at time", "y"]


def test_rows_without_any_value_are_dropped_and_the_others_keep_their_numbers(read):
    """A blank line and a line break inside quotes shift the lines after them, as in an editor."""
    frame = read('g,y\na,1\n\n"b\nb",2\n,\nc,3\n')
    assert frame.index.tolist() == [1, 2, 4]
    assert row_names(frame, np.arange(3)) == "rows 1, 2, 4 (lines 2, 5, 7 of the file)"
    assert "1 row without any value left out" in said(frame)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_are_counted_in_what_was_read(read, pack):
    """Behind a title, comments, another encoding and in a packed file, a row has its line."""
    text = "sep=;\n# made by größe 3\nx;g\n1,5;ä\n# pause\n\n2,5;ö\n"
    frame = read(pack(text.encode("utf-16")))
    assert row_names(frame, np.arange(2)) == "rows 1, 2 (lines 4, 7 of the file)"


def test_a_file_that_is_gone_has_rows_but_no_lines(read, tmp_path):
    frame = read("x,y\n1,2\n")
    (tmp_path / "a.csv").unlink()
    assert row_names(frame, np.array([0])) == "row 1"


# --- cells ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,234.5", "12", "2,345,678"], [1234.5, 12, 2345678]),
        (["1.234,5", "12", "2.345.678"], [1234.5, 12, 2345678]),
        (["1 234,5", "12", "2\u00a0345\u202f678"], [1234.5, 12, 2345678]),
        (["1'234.5", "12", "2’345’678"], [1234.5, 12, 2345678]),
        (["0,5", "12", "3,75"], [0.5, 12, 3.75]),
        (["$1.50", "-$2", "$-3"], [1.5, -2, -3]),
        (["1,50 €", "2 €", "1.234,00€"], [1.5, 2, 1234]),
        (["5%", "12.5 %", "0%"], [5, 12.5, 0]),
        (["\u22123.7", "2", "\u20131"], [-3.7, 2, -1]),
        (["(1,234.50)", "2", "3"], [-1234.5, 2, 3]),
        (["3.7\u00a0", " 2", "1\u2009"], [3.7, 2, 1]),
        (["#DIV/0!", "2.5", "."], [np.nan, 2.5, np.nan]),
        (["NA", "2.5", "None"], [np.nan, 2.5, np.nan]),
        (["inf", "2.5", "-Infinity"], [np.inf, 2.5, -np.inf]),
        (["100000000000000000001", "5", "6"], [1e20, 5, 6]),
        (["1e3", "2.5E-2", "-.5"], [1000, 0.025, -0.5]),
    ],
)
def test_numbers_as_people_write_them_are_numbers(read, cells, values):
    """Whatever is not a plain number is said, with what it is read as."""
    frame = read("x,y\n" + "".join(f'"{cell}",1.5\n' for cell in cells))
    np.testing.assert_array_equal(frame["x"].astype(float), values)
    plain = (cells[1] == "2.5" and "." not in cells) or cells[0] in ("3.7\u00a0", "1e3")
    assert bool(said(frame)) != plain


@pytest.mark.parametrize(
    ("cells", "cell"),
    [
        (["5%", "0.05", "0.1"], "5%"),
        (["$5", "€6", "7"], "$5"),
        (["1.5", "2,5", "3.5"], "2,5"),
        (["mm", "1", "2"], "mm"),
        (["5 kg", "6 kg", "300 g"], "5 kg"),
        (["007", "7", "070"], "007"),
        (["1_000", "2_000", "3_000"], "1_000"),
        (["<0.5", "0.7", "0.9"], "<0.5"),
        (["'1'", "'2'", "'3'"], "'1'"),
        (["1E5", "2E5", "1D5"], "1D5"),
    ],
)
def test_numbers_that_cannot_be_read_are_no_labels_in_silence(read, cells, cell):
    """They are kept as written, which is said; a formula that would make labels of them stops."""
    frame = read("x,y\n" + "".join(f'"{text}",1.5\n' for text in cells))
    assert frame["x"].tolist() == cells
    assert f"'{cell}'" in said(frame)
    with pytest.raises(InputError, match=r"column 'x' .*line \d of the file.*C\(x\)") as error:
        check_labels("x", frame)
    assert f"'{cell}'" in str(error.value)


def test_what_can_be_read_in_two_ways_is_said_with_the_other_or_refused(read):
    for text, number, other in (
        ('x,y\n"1,234",1\n"5,678",2\n', 1234, "--decimal , as 1.234"),
        ("x;y\n1,234;1\n5,678;2\n", 1.234, "--decimal . as thousands"),
        ("x;y\n1.234;1\n5.678;2\n", 1.234, "--decimal , as thousands"),
        ("x;y\n1.234;1,5\n5.678;2\n", 1234, "--decimal . as 1.234"),
    ):
        frame = read(text)
        assert frame["x"].iloc[0] == number
        assert other in said(frame)
        overruled = read(text, decimal=other.split()[1])
        assert overruled["x"].iloc[0] == pytest.approx({1234: 1.234, 1.234: 1234}[number])
    with pytest.raises(InputError, match="read in two ways; say which by --decimal"):
        read("x;y\n1.234;1,234\n5.678;2,345\n")


def test_a_cell_far_behind_the_beginning_is_judged_with_all_of_its_column(read):
    """The layout is guessed from the beginning; no later cell may change what a number means."""
    body = "x;y\n" + "1.234;2\n" * 60_000
    assert read(body + "1.234.567;2\n")["x"].iloc[0] == 1234
    assert read(body + "1,5;2\n")["x"].iloc[[0, -1]].tolist() == [1234, 1.5]
    late = read(body + "abc;3\n")
    assert late["x"].iloc[0] == "1.234"
    assert "'abc' is no number (row 60001)" in said(late)
    latin = read((body + "5;größe\n").encode("cp1252"))
    assert latin["y"].iloc[-1] == "größe"
    assert "encoding cp1252" in said(latin)
    with pytest.raises(InputError, match=r"line 60002 .* 3 fields"):
        read(body + "1;2;3\n")


def test_labels_are_one_with_and_without_blanks_around_them(read):
    frame = read("g,y\nctrl,1\nctrl ,2\n\u00a0ctrl,3\ntreat,4\n")
    assert frame["g"].tolist() == ["ctrl", "ctrl", "ctrl", "treat"]
    assert "'ctrl'" in said(frame)


def test_na_and_none_are_labels_among_labels(read):
    """Namibia and 'no education' are no gaps; a word that is never a label is one."""
    frame = read("g,y\nNA,1\nDE,NA\nNone,3\n,4\nN/A,5\n")
    assert frame["g"].fillna("gap").tolist() == ["NA", "DE", "None", "gap", "gap"]
    assert frame["y"].isna().tolist() == [False, True, False, False, False]
    assert "'NA' in column 'g' is kept as a label" in said(frame)
    assert "'None' in column 'g' is kept as a label" in said(frame)


def test_na_without_quotes_beside_labels_in_quotes_is_missing_as_r_writes_it(read):
    frame = read('"g","y"\n"a",1\nNA,2\n')
    assert frame["g"].isna().tolist() == [False, True]
    assert "NA without quotes" in said(frame)
    assert read('"g","y"\n"DE",1\n"NA",2\n')["g"].tolist() == ["DE", "NA"]


def test_truth_values_with_a_gap_stay_truth_values(read):
    assert read("x,y\nTRUE,1\nfalse,2\n")["x"].dtype == bool
    frame = read("x,y\nTRUE,1\n,2\nFALSE,3\n")
    assert frame["x"].dtype == "boolean"
    assert frame["x"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("word", [-999, 9999, -99])
def test_a_number_that_may_stand_for_a_gap_is_kept_and_said(read, word):
    frame = read(f"x,y\n1,2.5\n2,{word}\n3,4.5\n")
    assert frame["y"].tolist() == [2.5, word, 4.5]
    assert f"column 'y' holds {word}" in said(frame)
    assert "holds" not in said(read("x,y\n1,990\n2,999\n3,1005\n"))


def test_a_quotation_mark_that_swallows_rows_is_said(read):
    frame = read('g,y\n"ctrl,1\nctrl,2\n"ctrl,3\nb,4\n')
    assert "several lines" in said(frame)


# --- options ----------------------------------------------------------------------------------


def test_the_options_overrule_what_is_guessed(read):
    assert read("a;b,c\n1;2,3\n", sep=",").columns.tolist() == ["a;b", "c"]
    assert read("a|b;c\n1|2;3\n", sep="|").columns.tolist() == ["a", "b;c"]
    assert read("x\ty\n1\t2\n", sep="tab")["y"].tolist() == [2]
    assert list(read("высота,y\n1,2\n".encode("cp1251"), encoding="cp1251")) == ["высота", "y"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"sep": ";;"}, "separator ';;'"),
        ({"sep": "a"}, "separator 'a'"),
        ({"decimal": ";"}, "decimal mark"),
        ({"encoding": "nosuch"}, "no encoding 'nosuch'"),
        ({"encoding": "rot13"}, "no encoding 'rot13'"),
        ({"encoding": "ascii"}, "not ascii text"),
    ],
)
def test_options_that_no_file_has_are_refused(read, options, complaint):
    with pytest.raises(InputError, match=complaint):
        read("größe,y\n1,2\n", **options)


# --- other programs' files --------------------------------------------------------------------

TYPED = pd.DataFrame({"x": [1.5, 2.5, 3.0], "g": ["a", "NA", "b"], "t": ["1,5", "2,5", "3,25"]})


@pytest.mark.parametrize("kind", ["parquet", "feather", "excel"])
@pytest.mark.parametrize("name", ["a.bin", "a.csv"])
def test_tables_of_other_programs_are_told_by_their_content(tmp_path, kind, name):
    """A name may lie; cells of text are read by the rules of text files."""
    path = tmp_path / name
    with path.open("wb") as stream:
        if kind == "excel":
            TYPED.to_excel(stream, index=False)
        else:
            getattr(TYPED, f"to_{kind}")(stream)
    frame = read_csv(path)
    assert frame["x"].tolist() == [1.5, 2.5, 3.0]
    assert frame["g"].tolist() == ["a", "NA", "b"]
    assert frame["t"].tolist() == [1.5, 2.5, 3.25]
    assert frame.index.tolist() == [1, 2, 3]
    assert row_names(frame, np.array([1])) == "row 2"
    with pytest.raises(InputError, match="leave it out"):
        read_csv(path, sep=";")


def test_the_first_filled_sheet_is_read_below_its_title(tmp_path):
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        pd.DataFrame().to_excel(book, sheet_name="nothing", index=False)
        TYPED.to_excel(book, sheet_name="data", index=False, startrow=3)
        TYPED.to_excel(book, sheet_name="more")
        book.sheets["data"]["A1"] = "Report of 2031"
    frame = read_csv(tmp_path / "a.xlsx")
    assert frame["x"].tolist() == [1.5, 2.5, 3.0]
    assert "sheet 'data' (not 'more')" in said(frame)
    assert "before the header" in said(frame)


@pytest.mark.parametrize(
    ("content", "module"),
    [(b"PAR1" + b"\0" * 20, "pyarrow"), (b"ARROW1" + b"\0" * 20, "pyarrow"), (None, "openpyxl")],
)
def test_what_needs_an_extra_names_it(read, monkeypatch, content, module):
    if content is None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as book:
            book.writestr("xl/workbook.xml", "")
        content = stream.getvalue()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"needs an extra: .*robust-dist\[files\]"):
        read(content)


def _zipped(**files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            # not the time of day, which would be in the names of tests
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def test_a_zip_archive_is_read_if_it_holds_one_file(read):
    assert read(_zipped(a="x;y\n1,5;2\n"))["x"].tolist() == [1.5]
    with pytest.raises(InputError, match="holds 2 files"):
        read(_zipped(a="x,y\n1,2\n", b="x,y\n1,2\n"))


# --- pipes ------------------------------------------------------------------------------------


def test_the_standard_input_is_read_once(monkeypatch):
    """A pipe cannot be read again: its rows have no lines, and nothing of it is lost."""

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise OSError("a pipe")

    content = ("x;y\n" + "1,5;2\n" * 100_000).encode()
    for packed in (content, gzip.compress(content)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe(packed))))
        frame = read_csv("-")
        assert len(frame) == 100_000
        assert frame["x"].eq(1.5).all()
        assert row_names(frame, np.array([2])) == "row 3"


# --- what is no table -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"# nothing else\n", "holds no rows"),
        (b"x,y\n", "has a header but no rows"),
        (b"x,y", "has a header but no rows"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "is not a text file"),
        (b"x,y\n1,2\n" + b"\0" * 10, "is not a text file"),
        (b"x,y\n" + b"1,2\n" * 100_000 + b"\0,3\n", "NUL"),
        (b"x,y\n\x81,\x8d\n", "is not cp1252 text"),
        ("größe,y\n1,2\n".encode() + b"\xff,3\n", "encoding"),
        (b"x,y\n1,2,3\n3,4,5\n", "more fields than its header"),
        (b"x,y\n1,2\n1,2,3\n", "line 3 .* 3 fields"),
        (b"x,y\n1,5,2,5\n2,5,3,5\n", "no line names the columns .* decimal comma"),
        (b'x,y\n"1,2\n3,4\n', "quotation mark is not closed"),
        (b"x,x,y\n1,2,3\n", "several columns named 'x'"),
        (b"1,3.7\n2,6.8\n", "should name the columns"),
        (b"ctrl,3.7\nctrl,4.5\ntreat,5.1\n", "looks like a row"),
        (b"x,y\n" + b"a" * 10_000_000 + b",2\n1,2\n", "10000000 characters in row 1"),
        (b"a" * 1_000_000, "longer"),
        (b"<!DOCTYPE html><p>x,y</p>", "HTML"),
        (b'[{"x": 1}]', "JSON"),
        (b"\x28\xb5\x2f\xfd...", "zstd"),
        (gzip.compress(b"x,y\n" + bytes(range(48, 58)) * 999, mtime=0)[:-9], "damaged"),
        (lzma.compress(b"x,y\n1,2\n" * 99)[:-9], "damaged"),
        (_zipped(a=b"x,y\n1,2\n" * 99)[:-9], "damaged"),
        (b"PAR1 and no more", "Parquet"),
        (b"ARROW1 and no more", "Feather"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(read, content, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        read(content, "bad.csv")
    assert "bad.csv" in str(error.value) or "column 'x'" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("none.csv", "no file"),
        (".", "is a folder"),
        ("a" * 5000, "too long"),
        ("a\0b", "null byte"),
    ],
)
def test_a_name_that_is_no_file_is_refused_in_one_line(path, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        read_csv(path)
    assert len(str(error.value)) < 400
