"""A recorded run that is disturbed at each of its file operations: what `resume` makes of it.

    python -m tests.disturbed FOLDER MODE [FIRST [STEP]]

runs one experiment undisturbed, and then again and again; each time a later operation fails, or
is the last one (SQLite's way of testing). It prints a line for every outcome that differs, and how
many operations there were. MODE:

    error   the operation raises EIO, once
    after   it is done, and raises EIO
    short   a write leaves half of the bytes and raises ENOSPC; others as `error`
    interrupt   Ctrl-C comes there; then it is resumed
    kill    the process ends there by SIGKILL, before the operation; then it is resumed, and where
            the number is even it is killed once more on the way

Every run is a fork of this process, which has imported all that it needs.
"""

import csv
import errno
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np

from structes.files import folders as files
from structes.files import locks
from structes.runs import log
from structes.runs import recorder as record
from structes.shell.cli import cli

CONFIG = {
    "seed": 7,
    "max_evaluations": 26,
    "problems": [{"name": "rastrigin", "dim": 3}, {"name": "sphere", "dim": 2}],
    "restarts": "ipop",
    "tolfun": 5.0,
    "popsize": 6,
    "structure": "dense",
}
OPERATIONS = ("open", "write", "fsync", "replace", "ftruncate", "fchmod", "unlink", "close")
PATHS = ("mkdir", "rename")
NOT_BEGUN = 77  # exit code: it could not begin, and has said why


class Disturbed:
    """The module `os`, of which one operation is disturbed.

    at   which one, by its number; n: how many there were; names: which
    """

    def __init__(self, mode: str, at: int):
        self.mode, self.at, self.n, self.names = mode, at, 0, []

    def __getattr__(self, name):
        function = getattr(os, name)
        return self.around(name, function) if name in OPERATIONS else function

    def around(self, name, function):
        def call(*arguments, **more):
            self.n += 1
            self.names.append(name)
            if self.n != self.at:
                return function(*arguments, **more)
            if self.mode == "interrupt":
                raise KeyboardInterrupt
            if self.mode == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.mode == "short" and name == "write":
                fd, data = arguments
                function(fd, bytes(data)[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            if self.mode == "after" or name == "close":  # what fails to close is closed
                function(*arguments, **more)
            raise OSError(errno.EIO, "Input/output error")

        return call


def disturb(mode: str, at: int) -> Disturbed:
    """From here on, in this process."""
    there = Disturbed(mode, at)
    files.os = locks.os = log.os = there
    for name in PATHS:
        setattr(pathlib.Path, name, there.around(name, getattr(pathlib.Path, name)))
    record._EVERY = record._SHARE = 0.0  # every checkpoint and every note is written
    return there


def command(words, mode="none", at=-1):
    """(exit code, operations, stderr) of a command line in a fork of this process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        there, said = disturb(mode, at), io.StringIO()
        code = 0
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(said):
                cli(words, prog_name="structes")
        except SystemExit as ended:
            code = ended.code
        except BaseException as error:
            code, text = 70, f"{type(error).__name__}: {error}"
            said.write(text)
        os.write(writer, json.dumps([there.n, said.getvalue()]).encode())
        os._exit(code)
    os.close(writer)
    with open(reader, "rb") as pipe:
        found = pipe.read()
    status = os.waitpid(pid, 0)[1]
    n, said = json.loads(found) if found else (-1, "")
    return os.waitstatus_to_exitcode(status), n, said


def folder_of(runs):
    """The only folder that is not hidden; None where there is none."""
    names = [name for name in os.listdir(runs) if name[0] != "."] if os.path.isdir(runs) else []
    return os.path.join(runs, names[0]) if names else None


def facts(folder):
    """All that a run has found, but for its seconds."""
    with open(os.path.join(folder, "result.json"), encoding="utf-8") as file:
        entries = json.load(file)["problems"]
    states = []
    for entry in entries:
        with np.load(os.path.join(folder, entry["state"])) as arrays:
            names = sorted(arrays.files)
            states.append([(n, hashlib.sha256(arrays[n].tobytes()).hexdigest()) for n in names])
        entry.pop("seconds")
    with open(os.path.join(folder, "log.csv"), newline="", encoding="utf-8") as file:
        rows = sorted(row[:-1] for row in csv.reader(file))
    return rows, entries, states


def main(place: str, mode: str, first: str = "1", step: str = "1") -> int:
    """The number of outcomes that differ."""
    os.chdir(place)
    os.fsync = os.fstat  # no power is cut here: nothing need reach the disk
    cli(["run", "--problem", "sphere", "--dim", "2", "-q"], standalone_mode=False)  # imports
    with open("c.yaml", "w", encoding="utf-8") as file:
        json.dump(CONFIG, file)
    run = ["run", "c.yaml", "-q", "--runs"]
    code, n, said = command([*run, "whole"])
    assert code == 0, said
    whole, wrong = facts(folder_of("whole")), []
    for at in range(int(first), n + 1, int(step)):
        shutil.rmtree("it", ignore_errors=True)
        code, _, said = command([*run, "it"], mode, at)
        folder = folder_of("it")
        if folder is None:  # it could not begin: nothing was evaluated
            said_so = code == 130 if mode == "interrupt" else "cannot be recorded" in said
            left = os.listdir("it") if os.path.isdir("it") else []
            if mode != "kill" and (left or not said_so):
                wrong.append(f"{at}: it did not begin: exit code {code}, {said!r}, {left}")
            continue
        if mode == "interrupt" and code == 130:
            code, _, said = command(["resume", folder, "-q"])
        if mode == "kill":
            code, _, said = command(["resume", folder, "-q"], mode, at // 2 if at % 2 == 0 else -1)
            while code == -signal.SIGKILL:
                code, _, said = command(["resume", folder, "-q"])
        if code:
            wrong.append(f"{at}: exit code {code}: {said!r}")
        elif facts(folder) != whole:
            names = ("log", "result", "state")
            parts = zip(names, facts(folder), whole, strict=True)
            wrong.append(f"{at}: other {', '.join(name for name, a, b in parts if a != b)}")
        elif litter := [name for name in os.listdir(folder) if name[0] == "."]:
            wrong.append(f"{at}: left behind: {litter}")
    print(*wrong, f"{n} operations", sep="\n")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(min(99, main(*sys.argv[1:])))
