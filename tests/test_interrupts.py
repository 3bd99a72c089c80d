"""Ctrl-C and other signals end the command line without a traceback, and with what was found."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from structes.runs.reader import read_run
from structes.terminal import interrupts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")
SCRIPT = Path(sys.executable).with_name("structes")
OWN = """
import os, signal, time

def slow(x):
    time.sleep(0.004)
    return float(x @ x)

def forks(x):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(child, signal.SIGTERM)
    return float(os.waitpid(child, 0)[1])
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def start(*words, command=(sys.executable, "-m", "structes"), **more):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, *words], **pipes, **more)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["module", "script"])
@pytest.mark.parametrize("what", ["numpy", "click", "yaml"])
def test_ctrl_c_while_it_is_imported(here, what, how):
    """A package that takes long to import stands for all of them."""
    if how == "script" and not SCRIPT.exists():
        pytest.skip("structes is not installed beside this Python")
    (here / what).mkdir()
    slow = "import os, time\nos.write(1, b'importing\\n')\ntime.sleep(60)\n"
    (here / what / "__init__.py").write_text(slow)
    command = [SCRIPT] if how == "script" else [sys.executable, "-m", "structes"]
    line = ["run", "--problem", "sphere", "--dim", "3"]
    process = start(*line, command=command, env={**os.environ, "PYTHONPATH": str(here)})
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in out + err, err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_other_processes_keep_their_signals():
    code = (
        "import signal, sys; before = signal.getsignal(signal.SIGINT); import structes.shell.cli\n"
        "from structes.terminal import interrupts; interrupts.raise_from_here()\n"
        "assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("argv", "original", "is_it"),
    [
        (["/usr/bin/structes", "run"], None, True),
        (["C:\\bin\\structes.exe".replace("\\", os.sep), "run"], None, True),
        (["-m", "run", "-q"], ["python", "-X", "dev", "-m", "structes", "run", "-q"], True),
        (["-m"], ["python", "-mstructes"], True),
        (["/lib/structes/__main__.py", "run"], None, True),
        (["-m", "structes"], ["python", "-m", "pytest", "structes"], False),
        (["/home/me/structes.py"], None, False),
        (["-c"], ["python", "-c", "import structes"], False),
        ([""], ["python"], False),
        ([], ["python"], False),
    ],
)
def test_how_the_command_line_is_known(monkeypatch, argv, original, is_it):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", original or ["python", *argv])
    assert interrupts.is_command_line() is is_it


def wait_for_rows(n, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for log in Path("runs").glob("[!.]*/log.csv"):
            if len(log.read_text().splitlines()) > n:
                return log.parent
        time.sleep(0.02)
    raise AssertionError("the run did not start")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["here", "workers"])
def test_what_was_found_is_recorded(here, name, workers):
    process = start("run", "--problem", "own:slow", "--dim", "3", *workers)
    folder = wait_for_rows(5)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + getattr(signal, name)
    assert f"recorded in {folder}" in out
    assert "Traceback" not in out + err
    result = read_run(folder).result
    assert result["status"] == "interrupted" and len(result["problems"][0]["x"]) == 3


@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_ignored(here):
    """As SIGHUP under nohup."""
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start(
            "run", "--problem", "own:slow", "--dim", "3", "--max-evaluations", "200", "-q"
        )
    finally:
        signal.signal(signal.SIGHUP, ignored)
    folder = wait_for_rows(5)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    assert process.returncode == 0 and read_run(folder).result["status"] == "done"


@pytest.mark.slow
def test_children_that_a_function_forks_end_by_their_signal(here):
    line = "run --problem own:forks --dim 2 --max-evaluations 6 --popsize 3 -q"
    process = start(*line.split())
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0 and err == ""
    (folder,) = Path("runs").iterdir()
    assert read_run(folder).result["problems"][0]["fun"] == signal.SIGTERM
