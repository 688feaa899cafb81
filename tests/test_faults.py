"""Streams, disks, folders, signals and memory that fail: nothing is lost, and it is one line."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import xarray as xr
from fits import compare_made_up, made_up

from robust_dist import datasets, diagnostics, regression
from robust_dist.cli import _files, _fit, _folder, _plot, _report, _streams, main
from robust_dist.cli._likelihoods import COMPARED

OUTPUTS = {"posterior.nc", "rows.csv", "alpha.png", "fit.png", "report.html"}
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Run in an empty folder, with another for the temporary files."""
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def _ready(monkeypatch):
    """Give back a fit made up before, of which little is computed, said and drawn."""
    dt = made_up()
    picture = _report.Picture(b"\x89PNG", "")
    monkeypatch.setattr(_fit, "_fitted", lambda *arguments: (dt.copy(), None, {}))
    monkeypatch.setattr(_fit, "_print", lambda *arguments: print("y ~ x"))
    monkeypatch.setattr(_fit, "_document", lambda dt, *arguments: {"data": dt.attrs["data"]})
    monkeypatch.setattr(_report, "fit_pictures", lambda dt: {"alpha": picture, "fit": picture})
    monkeypatch.setattr(_report, "fit_report", lambda *arguments: "<html>")
    for name in ("outliers", "sampling_problems", "leverage_problems"):
        monkeypatch.setattr(diagnostics, name, lambda dt: [])


@pytest.fixture
def _compared(monkeypatch):
    """Give back a comparison made up before."""
    picture = _report.Picture(b"\x89PNG", "")
    monkeypatch.setattr(regression, "compare", compare_made_up)
    monkeypatch.setattr(_report, "comparison_picture", lambda comparison: picture)
    monkeypatch.setattr(_report, "comparison_report", lambda *arguments: "<html>")
    monkeypatch.setattr(diagnostics, "sampling_problems", lambda dt: [])


@pytest.fixture
def _picture(monkeypatch):
    """Draw nothing into the pictures of a file, of which none is read."""
    monkeypatch.setattr(_plot, "read_posterior", lambda path: None)
    monkeypatch.setattr(_plot, "_draw", lambda *arguments: None)


def files(folder="."):
    """Return the paths of all files and empty folders below a folder, hidden ones too."""
    found = set()
    for path in Path(folder).rglob("*"):
        if not path.is_dir() or not any(path.iterdir()):
            found.add(str(path.relative_to(folder)))
    return found


# --- streams ----------------------------------------------------------------------------------


class Broken(io.TextIOBase):
    """A stream that nobody reads, or on a full disk."""

    def __init__(self, error):
        self.error = error

    def write(self, text):
        """Fail."""
        raise self.error


COMMANDS = {
    "fit": ["fit", "stackloss", "--out", "o"],
    "fit --json": ["fit", "stackloss", "--out", "o", "--json"],
    "compare": ["compare", "stackloss", "--out", "o"],
    "plot": ["plot", "made.nc", "--out", "o.png"],
    "datasets": ["datasets"],
    "--help": ["--help"],
}


@pytest.mark.usefixtures("_ready", "_compared", "_picture")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), FULL], ids=repr)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_fails_loses_no_result(command, error, stream, capsys, monkeypatch):
    """And is no error if its reader has left; if its disk is full one line says so."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, stream, Broken(error))
        status = main(command)
    heard = capsys.readouterr().err.splitlines()
    unseen = stream == "stdout" and error is FULL
    assert status == (2 if unseen else 0)
    lines = [line for line in heard if not line.endswith("...")]
    assert lines == (
        ["robust-dist: error: cannot print: No space left on device"] if unseen else []
    )
    made = {path.split("/")[-1] for path in files()}
    posteriors = {f"posterior-{name}.nc" for name in COMPARED}
    expected = {
        "fit": OUTPUTS,
        "compare": posteriors | {"comparison.png", "report.html"},
        "plot": {"o.png"},
    }
    assert made == expected.get(command[0], set())


PROGRAM = """
import sys
from robust_dist.cli import _options, main

def run(options):
    print("word " * 50_000)

_options._datasets.run = run
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("shell", "status", "words"),
    [
        ("| head -c 1", 0, ""),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("<&-", 0, ""),
        (">/dev/full", 2, "robust-dist: error: cannot print: No space left on device\n"),
        ("2>&1 >/dev/full | head -c 0", 2, ""),
    ],
)
def test_a_process_ends_in_silence_or_one_line_on_streams_that_fail(shell, status, words):
    """Python adds complaints of its own, and another status, if it cannot flush at its end."""
    Path("program.py").write_text(PROGRAM)
    script = f'set -o pipefail; "{sys.executable}" program.py datasets {shell}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == status
    assert done.stderr == words


def test_letters_that_a_stream_does_not_know_are_written_out():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert _streams._write(stream, "größe \udcc3") is None
    assert stream.buffer.getvalue() == b"gr\\xf6\\xdfe \\udcc3"


@pytest.mark.usefixtures("_ready")
def test_json_is_valid_in_any_encoding(capsys, monkeypatch):
    data = datasets.load("stackloss")
    monkeypatch.setattr(_fit, "find_data", lambda options, *given: (data, ["y ~ x"]))
    assert main(["fit", "größe\x07\udcc3.csv", "--json", "--quiet", "--out", "o"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out)["data"] == "größe\\x07\\udcc3.csv"
    with xr.open_datatree("o/posterior.nc", engine="h5netcdf") as dt:
        assert dt.attrs["data"] == "größe\\x07\\udcc3.csv"


# --- disks and folders --------------------------------------------------------------------------


def full_after(count, monkeypatch):
    """Let the disk be full once so many files have been written."""
    written = []

    def fsync(descriptor):
        written.append(descriptor)
        if len(written) > count:
            raise FULL

    monkeypatch.setattr(_files.os, "fsync", fsync)


@pytest.mark.usefixtures("_ready")
@pytest.mark.parametrize("count", range(4))
@pytest.mark.parametrize("force", [False, True])
def test_a_full_disk_leaves_nothing_and_what_was_there(count, force, capsys, monkeypatch):
    """Whichever file it is that does not fit; what was found is still printed."""
    if force:
        Path("o").mkdir()
        for name in {*OUTPUTS, "notes.txt"}:
            Path("o", name).write_text("old")
    before = files()
    full_after(count, monkeypatch)
    assert main(["fit", "stackloss", "--quiet", "--out", "o", *["--force"][:force]]) == 2
    out, err = capsys.readouterr()
    assert err == "robust-dist: error: cannot write to 'o': No space left on device\n"
    assert "written to" not in out
    assert "y ~ x" in out
    assert files() == before
    assert all(Path(name).read_text() == "old" for name in before)
    assert files(tempfile.gettempdir()) == set()


def test_a_file_too_large_for_a_limit_leaves_nothing():
    """The operating system's own refusal, in a process that it limits."""
    program = (
        "import resource; from pathlib import Path; from robust_dist.cli import _folder\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "output = _folder.find_output(Path('a/o'), '', False, ['x'])\n"
        "print(output.write({'x': bytes(20_000)}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "([], \"cannot write to 'a/o': File too large\")\n"
    assert files() == set()


@pytest.mark.usefixtures("_ready")
def test_results_are_kept_elsewhere_when_their_place_is_lost(capsys, monkeypatch):
    """Beside a folder that has become a file, or else, where that is none, in a temporary one."""
    fitted = _fit._fitted

    def replace_folder(*arguments):
        Path("o").rmdir()
        Path("o").write_text("a file")
        return fitted(*arguments)

    Path("o").mkdir()
    monkeypatch.setattr(_fit, "_fitted", replace_folder)
    assert main(["fit", "stackloss", "--quiet", "--out", "o"]) == 2
    out, err = capsys.readouterr()
    assert err == (
        "robust-dist: error: cannot write to 'o': Not a directory; the results are in 'o-2'\n"
    )
    assert "written to o-2: posterior.nc" in out
    assert files() == {"o", *(f"o-2/{name}" for name in OUTPUTS)}

    shutil.rmtree("o-2")
    output = _folder.find_output(Path("a/b/o"), "", False, ["x"])
    Path("a").write_text("a file")
    paths, wrong = output.write({"x": b"1"})
    assert paths[0].read_bytes() == b"1"
    assert paths[0].is_relative_to(tempfile.gettempdir())
    assert str(paths[0].parent) in wrong


@pytest.mark.usefixtures("_ready")
def test_a_folder_that_is_gone_is_made_again(capsys, monkeypatch):
    output = _folder.find_output(Path("a/o"), "", False, ["x"])
    assert files() == set()  # nothing is left of the trial
    assert output.write({"x": b"1"}) == ([Path("a/o/x")], "")
    assert files() == {"a/o/x"}


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("a_file", "Not a directory"),
        ("a_file/deep/er", "Not a directory"),
        ("dangling", "No such file"),
        ("loop", "symbolic links"),
        ("x" * 300, "name too long"),
        ("a/" * 3000, "name too long"),
        ("a\0b", "null"),
        ("/proc/nosuch", "/proc/nosuch"),
    ],
)
def test_a_place_that_cannot_be_written_is_found_before_sampling(out, reason, capsys, monkeypatch):
    monkeypatch.setattr(_fit, "_fitted", lambda *arguments: pytest.fail("sampling started"))
    Path("a_file").write_text("")
    Path("dangling").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    before = files()
    assert main(["fit", "stackloss", "--out", out]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("robust-dist: error: cannot write to '")
    assert reason in line
    assert len(line) < 1200
    assert files() == before


def test_a_folder_without_permission_is_found_before_sampling(capsys, monkeypatch):
    """Permission bits do not stop the superuser, under whom tests may run."""

    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(_folder.tempfile, "TemporaryDirectory", refuse)
    monkeypatch.setattr(_fit, "_fitted", lambda *arguments: pytest.fail("sampling started"))
    assert main(["fit", "stackloss", "--out", "out"]) == 2
    assert capsys.readouterr().err == (
        "robust-dist: error: cannot write to 'out': Permission denied\n"
    )
    assert files() == set()


@pytest.mark.usefixtures("_ready")
def test_links_to_a_folder_are_followed_and_links_to_outputs_replaced():
    Path("real").mkdir()
    Path("link").symlink_to("real")
    Path("precious").write_text("mine")
    Path("real/posterior.nc").symlink_to("../precious")
    Path("real/fit.png").symlink_to("nowhere")
    assert main(["fit", "stackloss", "--quiet", "--out", "link"]) == 2
    assert main(["fit", "stackloss", "--quiet", "--out", "link", "--force"]) == 0
    assert Path("precious").read_text() == "mine"
    assert {path.name for path in Path("real").iterdir()} == OUTPUTS
    assert not Path("real/posterior.nc").is_symlink()


@pytest.mark.usefixtures("_ready")
def test_a_folder_in_the_place_of_an_output_stays(capsys):
    """Force replaces files of an earlier run, and a folder is none."""
    Path("o/report.html").mkdir(parents=True)
    Path("o/report.html/mine").write_text("mine")
    assert main(["fit", "stackloss", "--quiet", "--out", "o", "--force"]) == 2
    assert "'o/report.html' exists; choose another --out\n" in capsys.readouterr().err
    assert files() == {"o/report.html/mine"}


# --- two runs -----------------------------------------------------------------------------------


def test_a_second_run_into_one_folder_keeps_its_results_under_another_name():
    """As many as there are; the first to end has the name."""
    runs = [_folder.find_output(Path("o"), "", False, ["x", "y"]) for _ in range(4)]
    for number, output in enumerate(runs):
        paths, wrong = output.write({"x": b"%d" % number})
        folder = f"o-{number + 1}" if number else "o"
        assert [str(path) for path in paths] == [f"{folder}/x"]
        assert Path(folder, "x").read_bytes() == b"%d" % number
        assert wrong == (f"'o/x' exists; the results are in '{folder}'" if number else "")


def test_runs_without_a_name_for_their_folder_take_the_next_in_silence():
    runs = [_folder.find_output(None, "data", False, ["x"]) for _ in range(3)]
    ends = [output.write({"x": b"1"}) for output in runs]
    assert [wrong for _, wrong in ends] == ["", "", ""]
    assert len({paths[0].parent for paths, _ in ends}) == 3


@pytest.mark.parametrize("step", range(8))
def test_force_leaves_files_of_one_run_whenever_it_is_cut(step, monkeypatch):
    """Killed between any two steps: all files under their names are of one run, or there are none.

    Not even an error then brings both together; it brings back the old.
    """
    old, new = {"a": b"old", "b": b"old", "c": b"old"}, {"a": b"new", "b": b"new"}
    _files.fill(Path("o"), old, [*old], force=False)
    Path("o/notes.txt").write_text("mine")
    rename, states = Path.rename, []

    def state():
        return {path.name: path.read_bytes() for path in Path("o").iterdir() if path.is_file()}

    def rename_some(self, target):
        states.append(state())
        if len(states) == step + 1:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_some)
    if step < 5:  # three are moved out, and two in
        with pytest.raises(OSError, match="Input"):
            _files.fill(Path("o"), new, [*old], force=True)
        assert state() == {**old, "notes.txt": b"mine"}
    else:
        _files.fill(Path("o"), new, [*old], force=True)
        assert state() == {**new, "notes.txt": b"mine"}
    for found in states:
        assert found.pop("notes.txt") == b"mine"
        assert len({*found.values()}) <= 1
    assert files("o") == {*state()}


def test_two_runs_never_fill_a_folder_at_once():
    """Of many that try, each finds its files whole: its own in its own folder."""
    outputs = [_folder.find_output(Path("o"), "", True, ["x", "y"]) for _ in range(8)]
    ends = {}

    def write(number):
        ends[number] = outputs[number].write(dict.fromkeys(["x", "y"], b"%d" % number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for folder in Path().iterdir():
        assert (folder / "x").read_bytes() == (folder / "y").read_bytes()
        assert {path.name for path in folder.iterdir()} == {"x", "y"}
    assert all(paths for paths, _ in ends.values())


def test_what_a_killed_run_had_moved_out_is_not_run_over(capsys):
    """Power may fail between the old results' going and the new ones' coming: they are in there."""
    Path("o", _files.REPLACED).mkdir(parents=True)
    assert main(["fit", "stackloss", "--out", "o", "--force"]) == 2
    assert f"'o/{_files.REPLACED}' exists" in capsys.readouterr().err


@pytest.mark.usefixtures("_picture")
def test_a_picture_is_replaced_whole_or_not_at_all(capsys, monkeypatch):
    Path("fit.png").write_text("old")
    with monkeypatch.context() as patch:
        full_after(0, patch)
        assert main(["plot", "made.nc", "--force"]) == 2
    assert capsys.readouterr().err == (
        "robust-dist: error: cannot write to 'fit.png': No space left on device\n"
    )
    assert Path("fit.png").read_text() == "old"
    assert files() == {"fit.png"}
    assert main(["plot", "made.nc", "--out", "no/such.png"]) == 2
    assert "cannot write to 'no/such.png'" in capsys.readouterr().err


# --- signals ------------------------------------------------------------------------------------

# a command that does not load JAX, and sleeps as compiled code does, without a step of Python's
SLEEPER = """
import ctypes, os, signal, sys
from pathlib import Path
from robust_dist.cli import _files, _options, main
from robust_dist.cli._folder import find_output

def run(options):
    output = find_output(Path("a/o"), "", False, ["x"])
    if "write" in os.environ:
        _files.os.fsync = signalled
        output.write({"x": b"1"})
    else:
        sys.stderr.write("asleep\\n")
    ctypes.CDLL(None).sleep(60)

def signalled(descriptor):
    os.kill(os.getpid(), signal.SIGTERM)
    ctypes.CDLL(None).sleep(1)

# whatever the tests themselves were started to ignore
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if "nohup" in os.environ:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
_options._datasets.run = run
sys.exit(main())
"""


def asleep(word=""):
    """Start a command that sleeps, with a word in its environment."""
    Path("sleeper.py").write_text(SLEEPER)
    command = [sys.executable, "sleeper.py", "datasets"]
    environment = {**os.environ, **({word: "1"} if word else {})}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_run_at_once_in_one_line_and_leaves_nothing(name):
    """Also amid compiled code, which Python's own handlers wait for."""
    number = getattr(signal, name)
    with asleep() as process:
        assert process.stderr.readline() == "asleep\n"
        process.send_signal(number)
        assert process.wait(30) == 128 + number
        assert process.stderr.read() == f"robust-dist: interrupted by {name}; nothing was written\n"
    assert files() == {"sleeper.py"}


def test_a_signal_that_is_ignored_stays_ignored():
    """SIGHUP after nohup, say: the process ends by the next signal only."""
    with asleep("nohup") as process:
        process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM


def test_a_signal_amid_the_write_waits_until_all_is_written():
    with asleep("write") as process:
        assert process.wait(30) == 128 + signal.SIGTERM
        *_, line = process.stderr.read().splitlines()
        assert line == "robust-dist: interrupted by SIGTERM; the results are in 'a/o'"
    assert files() == {"sleeper.py", "a/o/x"}


@pytest.mark.usefixtures("_ready")
def test_an_interrupt_in_a_callers_process_leaves_nothing(capsys, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_report, "fit_pictures", interrupt)
    assert main(["fit", "stackloss", "--quiet"]) == 130
    assert capsys.readouterr().err == "robust-dist: interrupted; nothing was written\n"
    assert files() == set()


# --- memory, and what no code foresaw -----------------------------------------------------------


@pytest.mark.parametrize("command", [["fit", "stackloss"], ["compare", "stackloss"], ["plot", "x"]])
def test_too_little_memory_is_said_before_anything_is_loaded(command):
    """Of the failures of XLA's compiler for want of memory none can be caught."""
    program = (
        "import resource, sys; from robust_dist.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1_000_000_000, -1))\n"
        f"status = main({command})\n"
        "print('jax' in sys.modules); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == "False\n"
    assert done.stderr.startswith("robust-dist: error: memory is limited to 1 GB (ulimit -v)")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (MemoryError(), 2, "out of memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating"), 2, "out of memory"),
        (ZeroDivisionError("a\nb"), 1, "ZeroDivisionError: a b"),
        (ImportError("failed to map segment"), 1, "ImportError: failed to map segment"),
    ],
)
def test_a_fault_is_one_line_that_says_how_to_see_more(error, status, words, capsys, monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(_fit, "_fitted", fail)
    assert main(["fit", "stackloss", "--quiet"]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"robust-dist: error: {words}")
    assert ("ROBUST_DIST_TRACEBACK=1" in line) == (status == 1)
    monkeypatch.setenv("ROBUST_DIST_TRACEBACK", "1")
    with pytest.raises(type(error)):
        main(["fit", "stackloss", "--quiet"])


@pytest.mark.usefixtures("_ready", "_compared")
@pytest.mark.parametrize("picture", ["fit_pictures", "comparison_picture"])
def test_a_picture_that_fails_costs_no_draws(picture, capsys, monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(_report, picture, fail)
    command = "fit" if picture == "fit_pictures" else "compare"
    assert main([command, "stackloss", "--quiet", "--out", "o"]) == 1
    out, err = capsys.readouterr()
    assert "ZeroDivisionError" in err
    assert "written to o: posterior" in out
    assert any(path.endswith(".nc") for path in files())
    assert all(path.endswith((".nc", "rows.csv")) for path in files())


@pytest.mark.parametrize(
    "command",
    [
        ["fit", "a" * 5000],
        ["fit", "a/" * 5000],
        ["fit", "a\0b"],
        ["fit", "\x1b[31mred\n.csv"],
        ["plot", "a" * 5000],
        ["plot", "a\nb"],
        ["plot", __file__, "--out", "a" * 5000 + ".png"],
        ["fit", "stackloss", "--likelihood", "a" * 5000],
        ["fit", "stackloss", "--out", ""],
        ["fit", "stackloss", "--draws", "9" * 5000],
        ["fit", "stackloss", "--seed", "9" * 5000],
        ["fit", "stackloss", "--prior", "a" * 5000],
        ["x" * 5000],
        ["fit", "--" + "x" * 5000],
    ],
    ids=lambda command: " ".join(command)[:40].encode("unicode_escape").decode(),
)
def test_an_argument_of_any_kind_is_one_line_to_read(command, capsys, monkeypatch):
    from robust_dist.regression import Regression

    monkeypatch.setattr(Regression, "fit", lambda self, **named: pytest.fail("sampling started"))
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *_, line = err.removesuffix("\n").split("\n")
    assert line.startswith("robust-dist: error: ")
    assert line.isprintable()
    assert len(line) < 1200
    assert files() == set()
