"""A run folder: nothing is lost, nothing is half written, nothing is shared."""

import csv
import errno
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import structes
from structes.files.folders import Folder
from structes.files.locks import Lock
from structes.runs import own_folder
from structes.runs.reader import read_run, tail_log
from structes.runs.recorder import COLUMNS, Recorder


def recorder(folder, name="try", problems=("p",), config=None):
    return Recorder(folder, name, config or {"a": 1}, problems, {"structure": "dense", "seed": 1})


def search(log, es, generations, f=lambda x: float(x @ x)):
    """Rows as they were while the search ran: (evaluations, best, sigma)."""
    rows = []
    for _ in range(generations):
        X = es.ask()
        es.tell(X, [f(x) for x in X])
        log.generation(es)
        rows.append((es.evaluations, es.best.fun, es.sigma))
    return rows


def new_es(**more):
    return structes.ES([3.0, -1.0, 2.0], 0.5, seed=1, **more)


def test_what_was_written_is_read_back_to_the_bit(tmp_path):
    es = new_es()
    with recorder(tmp_path, problems=["p", "later"]) as log:
        log.begin("p", es, minimum=0.25)
        rows = search(log, es, 25)
        log.end("done")
        log.finish()
    frame = structes.load_runs(tmp_path / "*")
    assert list(frame) == ["run", "structure", "seed", "dim", *COLUMNS]
    assert list(zip(frame.evaluations, frame.best, frame.sigma, strict=True)) == rows
    assert (frame.generation == np.arange(1, 26)).all()
    assert (frame.error == frame.best - 0.25).all()
    assert set(frame.run) == {log.folder.name} and set(frame.problem) == {"p"}
    assert set(frame.dim) == {3} and set(frame.seed) == {1}
    last = frame.iloc[19]  # deviations are measured every tenth generation
    assert 0 < last.deviation_min <= last.deviation_max
    result = read_run(log.folder).result
    assert result["status"] == "done"
    first, second = result["problems"]
    assert first["x"] == es.best.x.tolist() and first["fun"] == es.best.fun
    assert first["evaluations"] == es.evaluations and first["error"] == es.best.fun - 0.25
    assert second == {"problem": "later", "status": "not run"}


def test_deviations_are_those_of_the_coordinates(tmp_path):
    es = structes.ES([0.0, 0.0], [1.0, 100.0], seed=1)
    with recorder(tmp_path) as log:
        log.begin("p", es, None)
        search(log, es, 10)
        row = tail_log(log.folder, 1)[0]
    assert float(row["deviation_min"]) == pytest.approx(es.deviations.min(), rel=1e-12)
    assert float(row["deviation_max"]) == pytest.approx(es.deviations.max(), rel=1e-12)


def test_a_row_is_on_disk_before_the_next_generation(tmp_path):
    es = new_es()
    with recorder(tmp_path) as log:
        log.begin("p", es, None)
        for n in range(1, 4):
            search(log, es, 1)
            assert len((log.folder / "log.csv").read_text().splitlines()) == 1 + n
            assert read_run(log.folder).result["status"] == "running"
        # the best point of the search under way is there as well
        entry = read_run(log.folder).result["problems"][0]
        assert entry["status"] == "running" and len(entry["x"]) == 3


def test_a_torn_last_line_is_dropped(tmp_path):
    es = new_es()
    with recorder(tmp_path) as log:
        log.begin("p", es, None)
        search(log, es, 3)
    path = log.folder / "log.csv"
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines()[-1]) + 1):
        path.write_bytes(whole[:-cut])
        assert len(structes.load_runs(log.folder)) == 2
        assert [row["generation"] for row in tail_log(log.folder, 9)] == ["1", "2"]
    path.write_bytes(whole)
    assert len(structes.load_runs(log.folder)) == 3
    path.write_bytes(b"")
    assert len(structes.load_runs(log.folder)) == 0 and tail_log(log.folder, 9) == []
    path.write_bytes(whole.splitlines()[0])
    assert len(structes.load_runs(log.folder)) == 0 and tail_log(log.folder, 9) == []


def test_a_run_that_never_ended_says_so(tmp_path):
    log = recorder(tmp_path)
    log.begin("p", new_es(), None)
    assert read_run(log.folder).result["status"] == "running"
    log.__exit__()  # as when its process is gone
    result = read_run(log.folder).result
    assert result["status"] == "unfinished (killed?)"
    assert result["problems"][0]["status"] == "unfinished"


def test_no_two_runs_share_a_folder(tmp_path):
    def one(_):
        with recorder(tmp_path) as log:
            log.finish()
        return log.folder

    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(one, range(24)))
    assert len(set(folders)) == 24
    assert sorted(tmp_path.iterdir()) == sorted(folders)  # nothing hidden is left behind
    assert all(read_run(f).result["status"] == "done" for f in folders)


def test_a_folder_that_is_there_is_never_replaced(tmp_path, monkeypatch):
    """Two runs that look for a free name at the same moment: the slower one takes the next."""
    first = recorder(tmp_path)
    place = first.folder
    hidden = tmp_path / ".second"
    hidden.mkdir()
    (hidden / "mark").write_text("")
    seen = []

    def blind(path):  # says once that the name is free
        seen.append(path)
        return len(seen) > 1 and path.is_dir()

    monkeypatch.setattr(type(place), "exists", blind)
    assert own_folder.settle(hidden, place) == place.with_name(place.name + "-2")
    assert (place / "result.json").is_file()
    first.__exit__()


def test_folders_that_were_never_filled_are_swept(tmp_path):
    """But for those of other processes that are at it, and of other programs."""
    names = (".1-1.tmp", ".1-2.tmp", ".1-3.tmp", ".other.tmp")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("a: 1\n")
    lock = Lock(Folder(tmp_path / ".1-2.tmp"))
    for name in names[:2] + names[3:]:
        os.utime(tmp_path / name, (1e9, 1e9))
    with recorder(tmp_path) as log:
        log.finish()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([log.folder.name, *names[1:]])
    lock.close()


def test_a_folder_that_cannot_be_filled_is_not_left_behind(tmp_path, monkeypatch):
    replace = Folder.replace

    def full(folder, name, write):
        if name == "log.csv":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(folder, name, write)

    monkeypatch.setattr(Folder, "replace", full)
    with pytest.raises(OSError, match=r"cannot be recorded in '.*': No space left on device$"):
        recorder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_final_state_is_plain_arrays(tmp_path):
    es = new_es()
    with recorder(tmp_path, problems=["bbob:f1", "bbob f1"]) as log:
        for name in ("bbob:f1", "bbob f1"):  # the same file name once they are made harmless
            log.begin(name, es, None)
            search(log, es, 5)
            log.end("done")
    files = [e["state"] for e in log.result["problems"]]
    assert files == ["state-bbob-f1.npz", "state-bbob-f1-2.npz"]
    with np.load(log.folder / files[1], allow_pickle=False) as state:
        assert (state["mean"] == es.mean).all() and state["sigma"] == es.sigma
        assert (state["factor_0"] == es.state.factor[0]).all()
        assert state["generation"] == 10 and state["seed"] == 1 and state["popsize"] == es.popsize


def test_files_are_strict_json_also_without_any_value(tmp_path):
    es = new_es()
    with recorder(tmp_path) as log, pytest.warns(RuntimeWarning, match="NaN"):
        log.begin("p", es, None)
        search(log, es, 2, lambda x: math.nan)
        log.end("done")
    for name in ("result.json", "versions.json"):

        def refuse(word):
            raise AssertionError(f"{word} is not JSON")

        json.loads((log.folder / name).read_text(), parse_constant=refuse)
    assert read_run(log.folder).result["problems"][0]["fun"] is None
    assert len(structes.load_runs(log.folder)) == 2
    assert read_run(log.folder).versions["structes"] == structes.__version__


def test_names_with_commas_and_slashes_come_back(tmp_path):
    odd = 'a,"b"/c: ü'
    es = new_es()
    with recorder(tmp_path, name=odd, problems=[odd], config={"name": odd}) as log:
        log.begin(odd, es, None)
        search(log, es, 2)
        log.end("done")
        log.finish()
    assert log.folder.parent == tmp_path
    run = read_run(log.folder)
    assert run.config == {"name": odd} and run.result["name"] == odd
    assert set(structes.load_runs(log.folder).problem) == {odd}
    with open(log.folder / "log.csv", newline="", encoding="utf-8") as file:
        assert {row["problem"] for row in csv.DictReader(file)} == {odd}


def test_load_runs_takes_folders_patterns_and_lists(tmp_path):
    folders = []
    for n in (1, 2):
        es = new_es()
        with recorder(tmp_path, name=f"r{n}") as log:
            log.begin("p", es, None)
            search(log, es, n)
            log.finish()
        folders.append(log.folder)
    (tmp_path / "notes.txt").write_text("no run")
    (tmp_path / "empty").mkdir()
    assert len(structes.load_runs(str(tmp_path / "*"))) == 3
    assert len(structes.load_runs(folders)) == 3
    assert len(structes.load_runs(str(folders[1]))) == 2
    for wrong, message in [
        (tmp_path / "x*", "no run matches"),
        (tmp_path, r"did you mean '.*\*'"),
        (tmp_path / "empty", "no log.csv"),
        ([], "got none"),
    ]:
        with pytest.raises(ValueError, match=message):
            structes.load_runs(wrong)
    with pytest.raises(ValueError, match=f"did you mean '{folders[0].name}'"):
        read_run(folders[0].with_name(folders[0].name + "x"))


def test_load_runs_says_how_to_get_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'structes\[plot\]'"):
        structes.load_runs("anything")


def test_import_stays_light():
    code = "import sys, structes; print([m for m in %r if m in sys.modules])"
    heavy = ["yaml", "click", "rich", "pandas", "matplotlib"]
    out = subprocess.run([sys.executable, "-c", code % heavy], capture_output=True, text=True)
    assert out.stdout.strip() == "[]", out
