"""Files that are whole whenever one looks, locks that hold, a record that waits for the disk."""

import errno
import fcntl
import json
import os
import re
import stat
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from structes import ES
from structes.evaluators.failures import SAMPLES
from structes.files import checkpoint, locks
from structes.files import folders as files
from structes.files.folders import Folder, replace
from structes.files.locks import Lock, is_locked
from structes.files.writes import NotWritten
from structes.runs import log
from structes.runs import recorder as record
from structes.runs.experiment import experiment_from
from structes.runs.log import Lines
from structes.runs.reader import read_run
from structes.runs.recorder import Recorder
from structes.runs.resume import resume_experiment
from structes.runs.running import run_experiment
from structes.search.kinds import restored
from structes.shell.cli import cli

from .test_resume import facts

CONFIG = {
    "problems": ["rastrigin", "sphere"],
    "dim": 3,
    "seed": 7,
    "restarts": "ipop",
    "tolfun": 5.0,
    "max_evaluations": 120,
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(record, "_EVERY", 0.0)
    monkeypatch.setattr(record, "_SHARE", 0.0)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) == str(tmp_path / f"{name}.py"):
            del sys.modules[name]


# -- one file -------------------------------------------------------------------------------------


def put(path, text):
    replace(path, lambda file: file.write(text.encode()))


def test_a_link_stays_one_and_a_mode_stays(here):
    put("file", "a")
    os.chmod("file", 0o640)
    os.symlink("file", "link")
    os.symlink("link", "further")
    put("further", "b")
    assert os.readlink("further") == "link" and os.readlink("link") == "file"
    assert (here / "file").read_text() == "b"
    assert stat.S_IMODE(os.stat("file").st_mode) == 0o640
    os.symlink("nothing", "dangling")
    put("dangling", "c")
    assert os.path.islink("dangling") and (here / "nothing").read_text() == "c"


def test_what_is_no_file_is_not_replaced(here):
    os.mkfifo("pipe")
    os.mkdir("folder")
    for path in ("pipe", "folder", "/dev/null"):
        with pytest.raises(OSError, match=r"regular file") as raised:
            put(path, "a")
        assert raised.value.filename == path
        with pytest.raises(OSError, match=r"regular file"):
            ES([1.0, 2.0], 1.0).save(path)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode) and os.listdir("folder") == []
    with pytest.raises(FileNotFoundError) as raised:
        put("nowhere/file", "a")
    assert raised.value.filename == "nowhere/file"


def test_many_write_one_file_and_it_is_always_whole(here, monkeypatch):
    """Also where all have one process number, as in containers."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    texts = {f"{i}" * 50_000 for i in range(4)}
    put("file", min(texts))
    wrong, stop = [], threading.Event()

    def write(text):
        try:
            for _ in range(40):
                put("file", text)
        except BaseException as error:
            wrong.append(error)

    def read():
        while not stop.is_set():
            if (here / "file").read_text() not in texts:
                wrong.append("half")

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert wrong == [] and os.listdir(".") == ["file"]


def test_a_folder_is_written_where_it_is_now(here):
    os.mkdir("before")
    with Folder("before") as folder:
        folder.replace("a", lambda file: file.write(b"1"))
        os.rename("before", "after")
        folder.replace("a", lambda file: file.write(b"2"))
        assert folder.where == here / "after" and not folder.is_gone
        os.symlink("/etc/hostname", "after/link")
        with pytest.raises(OSError):
            folder.open("link", os.O_RDONLY)
        for name in ("../a", "b/c", "", "..", "."):
            with pytest.raises(ValueError, match="called by its name"):
                folder.open(name, os.O_RDONLY)
        os.mkdir("elsewhere")
        os.rename("after", "elsewhere/last")
    assert folder.path == here / "elsewhere" / "last"
    assert (folder.path / "a").read_bytes() == b"2"


# -- lines ----------------------------------------------------------------------------------------


def test_lines_wait_and_are_never_torn(here, monkeypatch):
    """A disk that takes half a line, and then nothing."""
    lines, write = Lines(Folder("."), "log"), os.write
    lines.add("one\n")
    lines.write()
    room = [6]

    def full(fd, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        n = write(fd, bytes(data)[: room[0]])
        room[0] -= n
        return n

    monkeypatch.setattr(log.os, "write", full)
    lines.add("two\n")
    lines.write()
    for word in ("three\n", "four\n"):  # of the first of which there is room for a half
        lines.add(word)
        with pytest.raises(OSError, match="No space"):
            lines.write()
    assert lines.waiting == 2 and (here / "log").read_text().startswith("one\ntwo\n")
    monkeypatch.setattr(log.os, "write", write)
    lines.write()
    assert (here / "log").read_text() == "one\ntwo\nthree\nfour\n" and not lines.waiting


def test_lines_go_on_behind_a_torn_one_and_in_another_file(here):
    (here / "log").write_text("one\nto")
    lines = Lines(Folder("."), "log")
    lines.add("two\n")
    lines.sync()
    assert (here / "log").read_text() == "one\ntwo\n"
    lines.add("three\n")
    lines.write()
    os.unlink("log")  # it comes again, whole
    lines.add("four\n")
    lines.sync()
    assert (here / "log").read_text() == "one\ntwo\nthree\nfour\n"
    (here / "edited").write_text("one, edited\n")
    os.replace("edited", "log")  # as an editor does it
    lines.add("five\n")
    lines.sync()
    lines.add("six\n")
    lines.sync()
    assert (here / "log").read_text() == "one, edited\nfive\nsix\n"


# -- the lock -------------------------------------------------------------------------------------

FORKS = """
import os, sys, time
from structes.files.folders import Folder
from structes.files.locks import Lock
lock = Lock(Folder(sys.argv[1]))
if os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


def test_a_lock_ends_with_its_owner_though_a_fork_lives_on(here):
    owner = subprocess.Popen([sys.executable, "-c", FORKS, "."], stdout=subprocess.PIPE, text=True)
    try:
        child = int(owner.stdout.readline())
        assert is_locked(".")
        with pytest.raises(ValueError, match=rf"is still running \(process {owner.pid} on "):
            Lock(Folder("."), patience=0.0)
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    try:
        assert not is_locked(".")
        Lock(Folder(".")).close()
    finally:
        os.kill(child, 9)


def test_who_deletes_the_file_of_a_lock_has_not_got_the_folder(here):
    first = Lock(Folder("."))
    os.unlink("lock")
    assert is_locked(".")
    with pytest.raises(ValueError, match="still running"):
        Lock(Folder("."), patience=0.0)
    first.close()
    assert not is_locked(".")
    Lock(Folder(".")).close()


def test_where_there_are_no_locks_the_process_is_looked_for(here, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    its = {"pid": sleeper.pid, "host": os.uname().nodename, "started": locks._started(sleeper.pid)}
    try:
        (here / "lock").write_text(json.dumps(its))
        assert is_locked(".")
        with pytest.raises(ValueError, match=f"still running .process {sleeper.pid}"):
            Lock(Folder("."), patience=0.0)
        (here / "lock").write_text(json.dumps({**its, "started": "earlier"}))  # an old number
        assert not is_locked(".")
    finally:
        sleeper.kill()
        sleeper.wait()
    (here / "lock").write_text(json.dumps(its))
    assert not is_locked(".")
    Lock(Folder(".")).close()
    for odd in ("", "[1]", "[" * 4000, '{"pid": "x"}', "\0\0"):
        (here / "lock").write_text(odd)
        Lock(Folder(".")).close()


# -- a run that cannot be written -----------------------------------------------------------------


class Trouble:
    """Whatever is written raises, as long as `error` says so."""

    def __init__(self, monkeypatch):
        self.error, self.hit = None, 0
        for name in ("write", "replace", "fsync", "ftruncate"):
            monkeypatch.setattr(files.os, name, self.around(getattr(os, name)))

    def around(self, function):
        def call(*arguments, **more):
            if self.error is not None:
                self.hit += 1
                raise self.error
            return function(*arguments, **more)

        return call


def after(n, then):
    """A problem of the user's that does something else in its n-th evaluation."""
    calls = []

    def f(x):
        calls.append(x)
        if len(calls) == n:
            then()
        return float(x @ x)

    return f


def run_of(f, monkeypatch, **more):
    """Run a function as a problem of a module."""
    module = type(sys)("its")
    module.f = f
    monkeypatch.setitem(sys.modules, "its", module)
    config = {**CONFIG, "problems": ["its:f"], **more}
    return run_experiment(experiment_from(config), "runs")


def parts(run):
    rows, entries, states, _ = facts(run.folder)
    return rows, entries, states


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (MemoryError("no memory"), "MemoryError: no memory"),
    ],
)
def test_a_disk_that_is_full_for_a_while_changes_nothing(error, said, monkeypatch, capsys):
    whole = parts(run_of(after(-1, None), monkeypatch))
    trouble, due = Trouble(monkeypatch), []
    monkeypatch.setattr("structes.files.writes._PAUSE", 0.0)
    both = iter([error, None])

    def turn():
        trouble.error = next(both)

    f = after(30, turn)
    later = after(70, turn)
    run = run_of(lambda x: (f(x), later(x))[1], monkeypatch)
    assert trouble.hit > 2 and parts(run) == whole and not due
    err = capsys.readouterr().err
    assert err.count("The search goes on") == 1 and err.count("everything is written again") == 1
    assert re.search(rf"runs/\S*/log.csv': {said}. .* structes resume {run.folder}", err)
    assert read_run(run.folder).result["status"] == "done"


def test_what_could_not_be_written_at_the_end_is_shown(here, monkeypatch):
    """And an old state is in the folder, whole, from which it goes on to the same bits."""
    (here / "its.py").write_text("def f(x):\n    return float(x @ x)\n")
    whole = parts(run_experiment(experiment_from({**CONFIG, "problems": ["its:f"]}), "whole"))
    trouble, calls = Trouble(monkeypatch), []
    monkeypatch.setattr("structes.files.writes._LAST", 0.2)
    plain = Recorder.generation

    def generation(self, es):
        calls.append(es)
        if len(calls) == 6:
            trouble.error = OSError(errno.ENOSPC, "No space left on device")
        plain(self, es)

    monkeypatch.setattr(Recorder, "generation", generation)
    (here / "c.yaml").write_text(json.dumps({**CONFIG, "problems": ["its:f"]}))
    done = CliRunner().invoke(cli, ["run", "c.yaml", "-q"])
    assert done.exit_code == 1 and "its:f: best value" in done.stdout
    (folder,) = (here / "runs").iterdir()
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("Error: 'runs/") and "No space left on device" in said
    assert said.endswith(f"structes resume runs/{folder.name}")
    trouble.error = None
    assert len(log.rows_of(folder / "log.csv", "its:f")) < len(whole[0]) - 1
    assert parts(resume_experiment(folder)) == whole


def test_a_folder_that_is_renamed_or_deleted_is_written(here, monkeypatch, capsys):
    whole = parts(run_of(after(-1, None), monkeypatch))
    (here / "runs").rename("whole")
    run = run_of(after(50, lambda: next((here / "runs").iterdir()).rename("moved")), monkeypatch)
    assert run.folder == here / "moved" and parts(run) == whole
    assert "Warning" not in capsys.readouterr().err
    run = run_of(after(50, lambda: subprocess.run(["rm", "-r", "runs"], check=True)), monkeypatch)
    assert parts(run) == whole
    assert sorted(os.listdir(run.folder)) == sorted(os.listdir("moved"))
    assert read_run(run.folder).versions == run.versions


@pytest.mark.parametrize("first", ["checkpoint", "result"])
def test_a_folder_that_is_deleted_loses_no_row(first, here, monkeypatch):
    """Whichever file it is noticed at."""
    whole = parts(run_of(after(-1, None), monkeypatch))
    late = {"checkpoint": "_note", "result": "_save"}[first]
    plain, gone = getattr(Recorder, late), []

    def delete():
        subprocess.run(["rm", "-r", "runs"], check=True)
        gone.append(True)

    def later(self, *arguments):  # not before the other one has seen it
        if not gone or len(gone) > 3:
            plain(self, *arguments)
        if gone:
            gone.append(True)

    monkeypatch.setattr(Recorder, late, later)
    assert parts(run_of(after(50, delete), monkeypatch)) == whole


def test_a_search_whose_rows_are_not_in_the_log_has_not_ended(here, monkeypatch):
    """`resume` makes them, though nothing else is wrong."""
    (here / "its.py").write_text("def f(x):\n    return float(x @ x)\n")
    config = experiment_from({**CONFIG, "problems": ["sphere", "its:f"]})
    whole = parts(run_experiment(config, "whole"))
    write, n = os.write, [0]

    def full(fd, data):
        n[0] += os.readlink(f"/proc/self/fd/{fd}").endswith("log.csv")
        if n[0] > 25:
            raise OSError(errno.EFBIG, "File too large")
        return write(fd, data)

    monkeypatch.setattr(log.os, "write", full)
    monkeypatch.setattr("structes.files.writes._LAST", 0.1)
    with pytest.raises(NotWritten, match=r"log.csv': File too large") as its:
        run_experiment(config, "runs")
    monkeypatch.setattr(log.os, "write", write)
    folder = its.value.run.folder
    assert its.value.run.result["status"] == "done"  # that is known, and not written
    found = read_run(folder).result
    assert found["status"] == "unfinished (killed?)"
    assert [e["status"] for e in found["problems"]] == ["done", "unfinished"]
    assert parts(resume_experiment(folder)) == whole


def test_a_log_that_is_gone_or_torn_in_its_head_is_begun_anew(here, capsys):
    config = experiment_from({**CONFIG, "problems": ["sphere"], "max_evaluations": 91})
    for text in (None, "", "problem,rest"):
        run = run_experiment(config, "runs")
        path = run.folder / "log.csv"
        path.unlink()
        if text is not None:
            path.write_text(text)
        resume_experiment(run.folder, changes={"max_evaluations": 140})
        assert (
            "lacks 13 of the 13 rows of 'sphere' (generations 1 to 13)" in capsys.readouterr().err
        )
        rows = facts(run.folder)[0]
        assert rows[0][0] == "problem" and [int(row[2]) for row in rows[1:]] == list(range(14, 21))
    path.write_text("other,columns\n")
    with pytest.raises(ValueError, match="columns of another version"):
        resume_experiment(run.folder, changes={"max_evaluations": 160})


def test_a_log_that_somebody_shortens_is_said(here, monkeypatch, capsys):
    f = after(60, lambda: os.truncate(next((here / "runs").glob("*/log.csv")), 300))
    rows = facts(run_of(f, monkeypatch).folder)[0]
    assert "somebody has shortened" in capsys.readouterr().err
    assert all(len(row) == len(rows[0]) for row in rows) and len(rows) > 3


FORKS_ONCE = """
import os
k = [0]
def f(x):
    k[0] += 1
    if k[0] == 20:
        os.fork()
    return float(x @ x)
"""


@pytest.mark.slow
def test_a_fork_that_returns_does_not_write_the_run_as_well(here):
    (here / "its.py").write_text(FORKS_ONCE)
    (here / "c.json").write_text(json.dumps({**CONFIG, "problems": ["its:f"]}))
    done = subprocess.run(
        [sys.executable, "-m", "structes", "run", "c.json", "-q"], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.count("recorded in") == 1
    (folder,) = (here / "runs").iterdir()
    generations = [generation for _, generation in log.rows_of(folder / "log.csv", "its:f")]
    assert generations == sorted(set(generations)) or generations[:-1] == sorted(set(generations))


def test_a_fault_of_the_record_is_not_one_of_the_function(monkeypatch, capsys):
    def broken(*_):
        raise KeyError("a fault")

    monkeypatch.setattr("structes.runs.recorder.to_numpy", broken)  # in the tenth generation
    with pytest.raises(NotWritten, match=r"record of the run in .* is not whole: KeyError") as its:
        run_of(after(-1, None), monkeypatch, restarts=None)
    (entry,) = its.value.run.result["problems"]
    assert entry["status"] == "done" and "traceback" not in entry
    assert capsys.readouterr().err.count("The search goes on") == 1


@pytest.mark.parametrize("where", ["__enter__", "report", "__exit__"])
def test_a_bar_that_fails_ends_nothing(where, here, monkeypatch, capsys):
    class Broken:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self.fail if where == "report" else self.fail() or (lambda es: None)

        def __exit__(self, *_):
            self.fail("__exit__")

        def fail(self, here="__enter__"):
            if here == where or (where == "report" and not isinstance(here, str)):
                raise ValueError("this terminal cannot show that")

    monkeypatch.setattr("structes.search.progress.contextmanager", lambda kind: Broken)
    config = experiment_from({**CONFIG, "problems": ["sphere"]})
    run = run_experiment(config, "runs", progress=True)
    assert run.result["status"] == "done"
    assert capsys.readouterr().err.count("the progress cannot be shown: ValueError") == 1


def test_a_search_that_has_overflowed_keeps_its_last_checkpoint(here, monkeypatch, capsys):
    broken = lambda es: (_ for _ in ()).throw(ValueError("sigma is inf"))  # noqa: E731
    f = after(
        50, lambda: monkeypatch.setattr("structes.search.restart_es.RestartES.check", broken)
    )
    run = run_of(f, monkeypatch)
    assert run.result["status"] == "done"
    assert capsys.readouterr().err.count("cannot be saved any more: sigma is inf") == 1
    _, tree = checkpoint.read(run.folder / "search-its-f.ckpt")
    monkeypatch.undo()
    assert restored(tree["kind"], tree["search"], None, None).evaluations < 50


# -- power cuts -----------------------------------------------------------------------------------


def test_a_gap_in_the_log_is_said_and_nothing_else_is_lost(here, capsys):
    config = {**CONFIG, "problems": ["sphere"], "tolfun": None, "max_evaluations": 399}
    whole = run_experiment(experiment_from({**config, "max_evaluations": 602}), "whole")
    run = run_experiment(experiment_from(config), "runs")
    path = run.folder / "log.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:20]) + b"\0" * 4096)
    done = resume_experiment(run.folder, changes={"max_evaluations": 602})
    err = capsys.readouterr().err
    n = len(lines) - 1
    assert f"log.csv in {str(run.folder)!r} lacks {n - 19} of the {n} rows of 'sphere'" in err
    assert "(generations 20 to " in err and "power cut" in err
    assert facts(done.folder)[1:3] == facts(whole.folder)[1:3]
    rows, theirs = facts(done.folder)[0], facts(whole.folder)[0]
    assert [r for r in rows if r in theirs] == rows and len(rows) == len(theirs) - (n - 19)


def test_the_log_is_on_disk_before_the_checkpoint_that_counts_on_it(monkeypatch):
    events, fsync, put = [], os.fsync, os.replace
    names = lambda fd: os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))  # noqa: E731
    monkeypatch.setattr(files.os, "fsync", lambda fd: (events.append(names(fd)), fsync(fd)))
    monkeypatch.setattr(
        files.os, "replace", lambda a, b, **k: (events.append(f"→ {b}"), put(a, b, **k))
    )
    run = run_experiment(experiment_from({**CONFIG, "problems": ["sphere"]}), "runs")
    folder = run.folder.name
    at = [i for i, event in enumerate(events) if event == "→ search-sphere.ckpt"]
    assert len(at) > 5
    for i in at:
        assert events[i - 2] == "log.csv" and events[i - 1].endswith(".tmp")
        assert events[i + 1] == folder  # and its name is


# -- failures -------------------------------------------------------------------------------------

FAILS = """
k = [0]
def f(x):
    k[0] += 1
    if k[0] % 3 == 0:
        raise ValueError("a" * 500_000)
    if k[0] % 7 == 0:
        raise type(f"Own{k[0]}", (Exception,), {})(1)
    return float(x @ x)
"""


def test_failures_are_counted_and_the_first_are_kept_with_their_parameters(here, monkeypatch):
    monkeypatch.setattr(record, "_EVERY", 9.0)  # not every generation needs a checkpoint here
    (here / "its.py").write_text(FAILS)
    config = {**CONFIG, "problems": ["its:f"], "dim": 2, "max_evaluations": 1500, "tolfun": None}
    run = run_experiment(experiment_from(config), "runs")
    (entry,) = run.result["problems"]
    own = {f"Own{k}": 1 for k in range(7, 1501, 7) if k % 3}
    assert entry["errors"] == 500 + len(own) == sum(entry["failures"].values())
    assert entry["failures"]["ValueError"] == 500 and len(entry["failures"]) == 51
    assert entry["failures"]["other"] == len(own) - 49
    text = (run.folder / "failures.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(text) < 1_000_000 and len(entry["traceback"]) < 20_000
    assert (run.folder / "result.json").stat().st_size < 100_000
    of = [line for line in lines if line["kind"] == "ValueError"]
    assert len(of) == SAMPLES and len(lines) == 2 * SAMPLES + 49
    assert [line["generation"] for line in of] == sorted(line["generation"] for line in of)
    for line in lines:
        assert len(line["params"]) == 2 and all(isinstance(v, float) for v in line["params"])
    assert "498000 characters" in of[0]["message"]


@pytest.mark.slow
def test_counts_of_failures_go_on_after_a_kill(here, monkeypatch):
    """To those of the run that was not killed, though the checkpoint is older than result.json."""
    (here / "its.py").write_text(FAILS.replace("k[0] % 7 == 0", "False").replace("500_000", "9"))
    config = {**CONFIG, "problems": ["its:f"], "max_evaluations": 300, "tolfun": None}
    program = "import json, sys; import its, os, signal\n"
    program += "from structes.runs.experiment import *; from structes.runs.running import *\n"
    program += "from structes.runs import recorder as record\n"
    program += "from structes.search import restart_es; record._EVERY = record._SHARE = 0.0\n"
    program += "save = record.Recorder._save\n"
    program += "seen = []\ndef late(self, es):\n"  # saves before the generation is in the log
    program += "    if es.generation < 6 and es.generation not in seen: save(self, es)\n"
    program += "    seen.append(es.generation)\n"
    program += "    if es.generation == 9: os.kill(os.getpid(), signal.SIGKILL)\n"
    program += "record.Recorder._save = late\n"
    program += "run_experiment(experiment_from(json.loads(sys.argv[1])), 'runs')"
    done = subprocess.run([sys.executable, "-c", program, json.dumps(config)])
    assert done.returncode == -9
    (folder,) = (here / "runs").iterdir()
    _, tree = checkpoint.read(folder / "search-its-f.ckpt")
    first = restored(tree["kind"], tree["search"], None, None).evaluations
    (before,) = read_run(folder).result["problems"]
    assert 10 < first < before["evaluations"]  # result.json is younger
    (entry,) = resume_experiment(folder).result["problems"]
    # the function of the new process counts anew: it fails at each third of its own calls
    assert entry["failures"] == {"ValueError": first // 3 + (300 - first) // 3}
    assert entry["errors"] == entry["failures"]["ValueError"]
    lines = (folder / "failures.jsonl").read_text().splitlines()
    at = [tuple(json.loads(line)["params"]) for line in lines]
    assert len(at) == len(set(at)) == SAMPLES  # none is there twice


def test_a_lock_whose_file_was_replaced_meanwhile_is_taken_anew(here, monkeypatch):
    """Another process deletes it, and makes its own, between our look at it and our lock."""
    take, others = locks._take, []

    def slow(fd):
        if not others:
            os.unlink("lock")
            others.append(os.open("lock", os.O_RDWR | os.O_CREAT))
            fcntl.flock(others[0], fcntl.LOCK_EX)
        return take(fd)

    monkeypatch.setattr(locks, "_take", slow)
    with pytest.raises(ValueError, match="still running"):
        Lock(Folder("."), patience=0.1)
    os.close(others[0])


def test_an_interrupted_search_is_saved_as_it_is(here, monkeypatch):
    whole = parts(run_of(after(-1, None), monkeypatch))
    monkeypatch.setattr(record, "_EVERY", 100.0)  # no other checkpoint comes in between

    def stop():
        raise KeyboardInterrupt

    run = run_of(after(61, stop), monkeypatch)
    assert run.result["status"] == "interrupted"
    calls = []
    monkeypatch.setattr(sys.modules["its"], "f", lambda x: calls.append(x) or float(x @ x))
    assert parts(resume_experiment(run.folder, trust=True)) == whole
    assert len(calls) <= 120 - 56  # but for the generation that was under way


# -- every operation ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "step"), [("error", 1), ("after", 3), ("short", 3), ("interrupt", 3), ("kill", 1)]
)
def test_a_run_that_is_disturbed_at_any_file_operation(mode, step, tmp_path):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run(
        [sys.executable, "-m", "tests.disturbed", str(tmp_path), mode, "1", str(step)],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-2]) > 80, done.stdout
