"""Output never ends a search, and every terminal can show it."""

import errno
import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

import structes
from structes.report.structures import describe, figure_of
from structes.runs.reader import read_run
from structes.search.progress import progress_of
from structes.shell.cli import cli
from structes.structures.building import build_structure
from structes.terminal.output import Output, protect, readable, visible, warn, was_cut_off

COMMAND = [sys.executable, "-m", "structes"]
OWN = """
import sys, time

def slow(x):
    time.sleep(0.004)
    return float(x @ x)

def chatty(x):
    print("evaluated", flush=True)
    sys.stdout.buffer.write(b"in bytes")
    sys.stdout.flush()
    print("and said", file=sys.stderr)
    return float(x @ x)
"""
RUN = [*COMMAND, "run", "--problem", "own:slow", "--dim", "3", "--max-evaluations", "300"]
CHATTY = [word.replace("slow", "chatty") for word in RUN]
ASCII = {
    "PYTHONIOENCODING": {"PYTHONIOENCODING": "ascii"},
    "LC_ALL": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
}
posix = pytest.mark.skipif(os.name != "posix", reason="descriptors and pipes of a shell")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def whole(runs):
    """The only run: nothing of it is lost."""
    (folder,) = Path(runs).iterdir()
    run = read_run(folder)
    (entry,) = run.result["problems"]
    assert run.result["status"] == entry["status"] == "done"
    assert (
        entry["evaluations"] == 300 and entry["errors"] == 0 and "max_evaluations" in entry["stop"]
    )
    assert structes.load_runs(folder).evaluations.iloc[-1] == 300


class Broken(io.StringIO):
    """A stream of which every verb raises, from the given call of `write` on."""

    def __init__(self, error, good=0):
        super().__init__()
        self.error, self.good = error, good

    def write(self, text):
        self.good -= 1
        if self.good < 0:
            raise self.error
        return super().write(text)

    def flush(self):
        if self.good < 0:
            raise self.error

    def isatty(self):
        raise self.error


# -- streams


@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(), OSError(errno.ENOSPC, "full"), ValueError("closed"), KeyError("x")],
)
def test_a_stream_that_fails_is_silent_from_then_on(error):
    stream = Broken(error, good=1)
    output = Output(stream)
    assert output.write("one") == 3 and output.error is None
    for _ in range(3):
        assert output.write("two") == 3
        output.flush()
    assert output.error is error and stream.getvalue() == "one"
    assert output.isatty() is False
    print("more", file=output, flush=True)


def test_an_interrupt_is_no_failure_of_a_stream():
    with pytest.raises(KeyboardInterrupt):
        Output(Broken(KeyboardInterrupt())).write("x")


def test_what_is_no_text_is_refused_as_by_any_stream():
    output = Output(io.StringIO())
    for wrong in (b"bytes", 3, None):
        with pytest.raises(TypeError, match="takes text"):
            output.write(wrong)
    assert output.error is None


def test_there_may_be_no_stream():
    output = Output(None)
    print("x", file=output, flush=True)
    assert not output.isatty() and output.encoding == "utf-8" and output.error is None

    class Mute:
        said = ""

        def write(self, text):
            self.said += text

    mute = Mute()  # neither flush nor isatty nor encoding
    print("x", file=Output(mute), flush=True)
    assert mute.said == "x\n" and not Output(mute).isatty()


def test_a_reader_that_is_slow_loses_a_text_and_not_the_stream():
    stream = Broken(BlockingIOError())
    output = Output(stream)
    output.write("lost")
    stream.good = 5
    output.write("there")
    assert stream.getvalue() == "there" and output.error is None


@posix
def test_a_stream_of_the_process_is_pointed_at_nothing_when_it_is_lost():
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    output = Output(stream, is_own=True)
    output.write("x")
    output.flush()
    assert was_cut_off(output.error)
    os.write(write, b"what anybody else writes there")  # raises where the pipe is still there
    stream.close()  # which flushes what was buffered


@posix
def test_bytes_below_an_output_cannot_fail_either():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        output = Output(stream, is_own=True)
        assert output.buffer.write(b"xyz") == 3
        output.buffer.flush()
        assert was_cut_off(output.error)
        with pytest.raises(TypeError):
            output.buffer.write("text")


def test_a_full_disk_is_told_from_a_pipe_that_was_closed():
    assert was_cut_off(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert not was_cut_off(OSError(errno.ENOSPC, "No space left on device"))
    assert not was_cut_off(None)


# -- characters


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("λ = 4 + ⌊3 ln d⌋ ≥ 2 …", "lambda = 4 + floor(3 ln d) >= 2 ..."),
        ("5 × 3 – 2 — σ Σ ∞", "5 x 3 - 2 - sigma Sigma inf"),
        ("d² 2⁶⁴ 10⁻¹² x₁ Bᵀ", "d^2 2^64 10^-12 x1 B^T"),
        ("Müller, São, naïve, Größe", "Muller, Sao, naive, Grosse"),
        ("中 \udc80", "\\u4e2d \\udc80"),
        ("plain", "plain"),
    ],
)
def test_what_a_terminal_cannot_show_is_said_in_characters_that_it_can(text, said):
    assert readable(text, "ascii") == said
    assert readable(text, "no-such-encoding") == said
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Output(stream).write(text)
    stream.flush()
    assert raw.getvalue().decode() == said


def test_what_a_terminal_can_show_stays():
    text = "Größe × 2², λ"
    assert readable(text, "utf-8") == text
    assert readable(text, "latin-1") == "Größe × 2², lambda"
    assert readable("a\udc80", "utf-8") == "a\\udc80"


def test_control_characters_are_shown():
    assert visible("a\x1b[31mb\x07\r\n\tc\x9b") == "a\\x1b[31mb\\x07\\r\n\tc\\x9b"
    assert visible("λ – ok") == "λ – ok" and visible(3) == "3"
    assert visible("\x85a\u202eb\u2066\ud800\u2028") == "\\x85a\\u202eb\\u2066\\ud800\\u2028"
    assert visible("a\nb\tc", lines=False) == "a\\nb\\tc"
    assert visible("x" * 10**6, 5) == "xxxxx… (999995 characters more)"


EVIL = "\x1b]0;owned\x07\x9b31m\u202e\ud800\r" + "x" * 10**6


def is_legible(text):
    return len(text) < 30_000 and all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize(
    "line",
    [
        [EVIL[:40]],
        ["--" + EVIL[:40]],
        ["list", EVIL],
        ["run", EVIL],
        ["run", "--problem", EVIL],
        ["run", "--problem", EVIL + ":f", "--dim", "3"],
        ["run", "--problem", "sphere", "--dim", EVIL],
        ["run", "--problem", "sphere", "--structure", EVIL],
        ["run", "--problem", "sphere", "--set", EVIL],
        ["run", "--problem", "sphere", "--set", f"{EVIL}=1"],
        ["run", "--problem", "sphere", "--set", f"structure={EVIL}"],
        ["show", EVIL],
        ["show", "--rows", EVIL],
        ["resume", EVIL],
        ["draw", EVIL],
    ],
    ids=lambda line: "-".join(word.replace(EVIL, "EVIL")[:12] for word in line).encode(),
)
def test_words_of_the_command_line_come_back_legible(line):
    done = CliRunner().invoke(cli, line, prog_name="structes")
    assert done.exit_code in (1, 2) and is_legible(done.stderr) and "Error: " in done.stderr
    assert done.stdout == ""


def test_words_that_are_warned_of_or_shown_on_the_way_are_legible(here):
    with pytest.warns(RuntimeWarning) as caught:
        warn(EVIL)
    assert is_legible(str(caught[0].message))
    es, stream = structes.ES([1.0], 1.0, seed=1), io.StringIO()
    with progress_of(True, es, EVIL, stream=stream, every=0.0) as report:
        report(es)
    assert is_legible(stream.getvalue()) and len(stream.getvalue()) < 700
    assert is_legible("".join(describe(build_structure("dense", 2), EVIL)))
    name = "costs $\\frac"  # no formula, which would be a wrong one
    figure_of(build_structure("dense", 2), name).savefig(io.BytesIO())


@pytest.mark.slow
@pytest.mark.parametrize("env", ASCII.values(), ids=ASCII)
def test_all_that_the_command_line_says_can_be_said_in_ascii(here, env):
    words = [["--help"], ["list"], ["list", "nothíng"]]
    words += [[c, "--help"] for c in ("run", "resume", "show", "list", "draw", "bench")]
    for line in words:
        done = subprocess.run([*COMMAND, *line], capture_output=True, env={**os.environ, **env})
        text = (done.stdout + done.stderr).decode("latin-1")
        assert done.returncode == (2 if "nothíng" in line else 0), text
        assert len(text) > 40 and "Traceback" not in text and "PYTHONIOENCODING" not in text
        if "nothíng" not in line:
            assert "\\u" not in text, "a character has no word in ASCII: give it one in output.py"
        if "latin-1" not in env.values():
            assert text.isascii()


# -- in a search


@pytest.mark.parametrize("missing", ["stderr", "stdout", "both"])
def test_progress_where_there_are_no_streams(monkeypatch, missing):
    """As under pythonw, and in daemons."""
    for name in ("stderr", "stdout"):
        if missing in (name, "both"):
            monkeypatch.setattr(sys, name, None)
    result = structes.minimize(
        lambda x: x @ x, [1.0, 1.0], 1.0, seed=1, max_evaluations=50, progress=True
    )
    assert result.nfev == 50


@pytest.mark.parametrize("good", [0, 1, 2])
@pytest.mark.parametrize("terminal", [True, False])
def test_progress_on_a_stream_that_breaks_changes_nothing(good, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Broken(ValueError("I/O operation on closed file"), good)
    if terminal:
        stream.isatty = lambda: True
    es = structes.ES([1.0, 1.0], 1.0, seed=1, max_evaluations=60)
    with progress_of(True, es, "here", stream=stream, every=0.0) as report:
        while not es.stop():
            X = es.ask()
            es.tell(X, [x @ x for x in X])
            report(es)
    assert es.evaluations == 60


def test_a_warning_that_cannot_be_shown_is_no_exception(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Broken(ValueError("I/O operation on closed file")))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda *a: print("x", file=sys.stderr))
        with pytest.raises(ValueError):
            warnings.warn("x", RuntimeWarning, stacklevel=1)  # or the test shows nothing
        warn("x")
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match=r"^x$"):
            warn("x")


def test_a_warning_names_the_line_of_the_caller(recwarn):
    warnings.simplefilter("always")
    warn("here", stacklevel=1)
    assert recwarn[0].filename == __file__


def test_protect_opens_what_was_closed(here):
    """A process without descriptors 1 and 2: its files must not be given these numbers."""
    code = (
        "import os; os.close(1); os.close(2); import structes.terminal.output as o; o.protect()\n"
        "f = open('own.log', 'w'); print('x'); os.write(1, b'y'); os.write(2, b'z')\n"
        "f.write(str(f.fileno())); f.close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert int((here / "own.log").read_text()) > 2


def test_protect_takes_the_streams_of_the_process(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)
    out, err = protect()
    assert (sys.stdout, sys.stderr) == (out, err)
    print("x", file=sys.stderr)
    print("y")
    assert out._stream.getvalue() == "y\n"


@posix
@pytest.mark.slow
@pytest.mark.parametrize("words", [RUN, CHATTY], ids=["slow", "chatty"])
@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("{} 2>&1 | head -1; exit ${{PIPESTATUS[0]}}", 0),
        ("{} | head -c 1; exit ${{PIPESTATUS[0]}}", 0),
        ("{} 2> >(true)", 0),
        ("{} >&- 2>&-", 0),
        ("{} <&- >&- 2>&-", 0),
        ("{} 2> /dev/full", 0),
        ("{} > /dev/full", 1),
        ("{} > /dev/full 2>&1", 1),
    ],
)
def test_a_run_that_loses_its_output_goes_on_to_its_end(here, words, shell, code):
    line = shell.format(" ".join(words))
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    if shell == "{} > /dev/full":
        assert "Error: the output was lost" in done.stderr and "No space left" in done.stderr
    whole("runs")


@posix
@pytest.mark.slow
@pytest.mark.parametrize("line", ["list", "show", "show --rows 100", "list runs", "bench list"])
def test_a_pipe_that_its_reader_closes_is_no_failure(here, line):
    subprocess.run([*RUN, "-q"], check=True, capture_output=True)
    for reader in ("head -1", "true"):
        command = f"{' '.join(COMMAND)} {line} | {reader}; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    full = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} {line} > /dev/full"], capture_output=True, text=True
    )
    assert full.returncode == 1 and full.stderr.startswith("Error: the output was lost: ")


@pytest.mark.slow
@pytest.mark.parametrize("env", ASCII.values(), ids=ASCII)
def test_a_run_on_a_poor_terminal(here, env):
    (here / "own.py").write_text("def f(x):\n    raise ValueError('\\udcff \\u2603 größer')\n")
    config = {"name": "überlauf→", "problems": ["own:f"], "dim": 3, "max_evaluations": 20}
    (here / "c.yaml").write_text(json.dumps(config))
    for line in ("run c.yaml", "show", "list runs"):
        done = subprocess.run(
            [*COMMAND, *line.split()], capture_output=True, env={**os.environ, **env}
        )
        said = (done.stdout + done.stderr).decode("latin-1")
        assert done.returncode == (1 if line == "run c.yaml" else 0), said
        assert "Traceback (most recent call last):\n" not in done.stderr.decode("latin-1")
        if line != "list runs":
            assert "\\udcff" in said and ("grosser" in said or "gr\xf6\xdfer" in said)
