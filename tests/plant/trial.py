"""A trial: a fault is planted in a copy of the tree, and its tests are run there."""

from __future__ import annotations

import hashlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import cache_from_source
from pathlib import Path
from typing import NamedTuple

from . import Fault, NotPlantable, planted_text

NOTICED, HANGS, SURVIVES = "noticed", "noticed (hangs)", "SURVIVES"
NOT_PLANTED, NOT_RUN = "NOT PLANTED", "NOT RUN"
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


class Trial(NamedTuple):
    """What came of a fault: an outcome, the seconds that its tests took, and the first test that
    failed, or why there was no trial."""

    id: str
    outcome: str
    seconds: float
    test: str = ""


def tree_files(root: Path) -> list[str]:
    """Return the names of the files of a working tree that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    names = sorted(set(listed.decode().split("\0")) - {""})
    return [name for name in names if os.path.lexists(root / name)]  # not those just deleted


def tree_digest(root: Path) -> str:
    """Return a digest of the files of a working tree, as they are now."""
    digest = hashlib.sha256()
    for name in tree_files(root):
        path = root / name
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def copy_tree(root: Path, folder: Path) -> None:
    """Copy the files of a working tree, as they are now, to a new folder."""
    for name in tree_files(root):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target, follow_symlinks=False)


@contextmanager
def planted(folder: Path, fault: Fault) -> Iterator[None]:
    """Have a fault in the tree in `folder`. Raises NotPlantable."""
    path = folder / fault.file
    if not path.is_file():
        raise NotPlantable(f"{fault.id}: there is no {fault.file}")
    text = path.read_text(encoding="utf-8")
    try:
        _write(path, planted_text(text, fault))
        yield
    finally:
        _write(path, text)


def _write(path: Path, text: str) -> None:
    """Write a source, and forget what was compiled of the former one: where both are as long and
    written within a second, Python takes the one for the other."""
    path.write_text(text, encoding="utf-8")
    if path.suffix == ".py":
        Path(cache_from_source(str(path))).unlink(missing_ok=True)


class Runs:
    """Runs of pytest, all of which can be ended from another thread."""

    def __init__(self):
        self._lock, self._processes, self._is_over = threading.Lock(), set(), False

    def pytest(self, folder: Path, tests, timeout: float | None) -> tuple[int | None, str]:
        """Return the exit status of pytest for tests of the tree in `folder`, and what it has
        written; the status is None where it took longer than `timeout` seconds."""
        with tempfile.TemporaryFile() as output:
            process = self._started(folder, tests, output)
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _end(process)
                self._processes.discard(process)
            output.seek(0)
            return status, output.read().decode(errors="replace")

    def _started(self, folder, tests, output):
        options = ["-x", "-q", "-m", "fast", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *options, *tests]
        environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"}
        environment.pop("PYTEST_ADDOPTS", None)
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        with self._lock:
            if self._is_over:
                raise RuntimeError("the trials were ended")
            process = subprocess.Popen(
                command, cwd=folder, env=environment, start_new_session=True, **streams
            )
            self._processes.add(process)
        return process

    def end(self) -> None:
        """End all that are running, and let no other begin."""
        with self._lock:
            self._is_over = True
            for process in list(self._processes):
                _end(process)


def _end(process) -> None:
    """End a run, and what it has started and left."""
    if hasattr(os, "killpg"):  # it leads a group of its own
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def tried(folder: Path, fault: Fault, timeout: float, runs: Runs | None = None) -> Trial:
    """Return what came of a fault in the tree in `folder`, which is afterwards as it was."""
    start, runs = time.monotonic(), runs or Runs()
    try:
        with planted(folder, fault):
            status, output = runs.pytest(folder, fault.tests, timeout)
    except NotPlantable as error:
        return Trial(fault.id, NOT_PLANTED, 0.0, str(error))
    seconds = round(time.monotonic() - start, 2)
    if status is None:
        return Trial(fault.id, HANGS, seconds, f"after {timeout:g} s")
    if status == 0:
        return Trial(fault.id, SURVIVES, seconds)
    failed = _FAILED.search(output)
    if status in (1, 2) and failed:
        return Trial(fault.id, NOTICED, seconds, failed[1])
    if status < 0:
        return Trial(fault.id, NOTICED, seconds, f"killed by signal {-status}")
    words = output.strip().splitlines()[-1:] or ["nothing"]
    return Trial(fault.id, NOT_RUN, seconds, f"pytest ended with {status}: {words[0]}")


def check_tests(folder: Path, faults: list[Fault], runs: Runs) -> None:
    """Raise RuntimeError where one of the tests of these faults does not pass as it is."""
    tests = dict.fromkeys(test for fault in faults for test in fault.tests)
    status, output = runs.pytest(folder, tests, None)
    if status != 0:
        lines = "\n".join(output.strip().splitlines()[-20:])
        raise RuntimeError(f"without any fault pytest ends with {status}:\n{lines}")


def trials(
    root: Path, faults: list[Fault], copies: int, timeout: float, is_checked: bool = True
) -> Iterator[Trial]:
    """Try faults in copies of the tree `root`, several at a time, and yield the trials as they
    end.

    With `is_checked` all of their tests are run first with no fault at all: only a test that
    passes then can notice anything.

    Raises RuntimeError where one of them does not pass.
    """
    waiting, done, runs = queue.SimpleQueue(), queue.SimpleQueue(), Runs()
    for fault in faults:
        waiting.put(fault)

    def work(folder):
        try:
            while True:
                done.put(tried(folder, waiting.get_nowait(), timeout, runs))
        except queue.Empty:
            pass
        except BaseException as error:
            done.put(error)

    with tempfile.TemporaryDirectory(prefix="structes-plant-") as name:
        folders = [Path(name) / str(k) for k in range(min(copies, len(faults)))]
        for folder in folders:
            copy_tree(root, folder)
        threads = [threading.Thread(target=work, args=(folder,)) for folder in folders]
        try:
            if is_checked:
                check_tests(folders[0], faults, runs)
            for thread in threads:
                thread.start()
            for _ in faults:
                trial = done.get()
                if isinstance(trial, BaseException):
                    raise trial
                yield trial
        finally:
            runs.end()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
