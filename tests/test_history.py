"""Reading run folders, also those that a full disk, a hand or a stranger has left."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import structes
from structes.files.folders import Folder
from structes.runs.experiment import experiment_from
from structes.runs.log import COLUMNS, keep_rows, rows_of
from structes.runs.reader import find_run, read_run, recorded, tail_log
from structes.runs.resume import resume_experiment
from structes.runs.running import run_experiment
from structes.shell.cli import cli

from .test_opening import KINDS, put, word


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A run folder; copies of it are what the tests damage."""
    config = {"problems": ["sphere"], "dim": 3, "seed": 1, "max_evaluations": 60}
    return run_experiment(experiment_from(config), tmp_path_factory.mktemp("one")).folder


@pytest.fixture
def copy(one, here):
    """A function that puts a copy of the run into runs/, with another start."""

    def make(name, started="2026-01-01T00:00:00+00:00"):
        folder = here / "runs" / name
        shutil.copytree(one, folder)
        change(folder, started=started)
        return folder

    return make


def change(folder, **what):
    result = json.loads((folder / "result.json").read_text())
    result.update(what)
    (folder / "result.json").write_text(json.dumps(result))


def change_entry(folder, **what):
    result = json.loads((folder / "result.json").read_text())
    result["problems"][0].update(what)
    (folder / "result.json").write_text(json.dumps(result))


def call(*words):
    result = CliRunner().invoke(cli, words, prog_name="structes")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


DAMAGE = {
    "empty": b"",
    "half": None,
    "null": b"null\n",
    "a list": b"[1, 2]\n",
    "another mapping": b"{}\n",
    "binary": bytes(range(256)),
    "deep": b"[" * 500,
}
WRONG = {
    "status": 3,
    "problem": None,
    "x": "abc",
    "fun": "abc",
    "stop": None,
    "seconds": "x",
    "restarts": [1],
    "params": [1],
    "evaluations": True,
    "traceback": 3,
    "checkpoint": "../elsewhere.ckpt",
    "state": "/tmp/state.npz",
}


# -- which run is meant


def test_latest_is_the_run_that_started_last_and_is_not_damaged(copy, here):
    for name, started in (("c", "2026-03"), ("a", "2026-05"), ("b", "2026-04")):
        copy(name, f"{started}-01T00:00:00+00:00")
    assert [folder.name for folder in recorded()] == ["c", "b", "a"]
    assert find_run() == find_run("latest") == Path("runs/a") and find_run("b") == Path("runs/b")
    assert find_run("runs/c") == Path("runs/c")
    (here / "runs" / "a" / "config.yaml").unlink()
    assert find_run() == Path("runs/b")
    (here / "runs" / "b" / "result.json").write_text("{")
    assert find_run() == Path("runs/c")
    (here / "runs" / ".17.tmp").mkdir()  # one that is being made
    (here / "runs" / ".17.tmp" / "result.json").write_text("{}")
    (here / "runs" / "notes.txt").write_text("")
    assert len(recorded()) == 3
    shutil.rmtree(here / "runs" / "c")
    with pytest.raises(ValueError, match=r"no run in 'runs' can be read; the latest: .*a' "):
        find_run()
    with pytest.raises(ValueError, match=r"there is no run 'latst'.*did you mean 'latest'"):
        find_run("latst")


def test_there_may_be_no_run(here):
    assert recorded() == []
    with pytest.raises(ValueError, match="no run is recorded in 'runs' yet"):
        find_run()
    (here / "file").write_text("")
    with pytest.raises(
        ValueError, match="runs must be a folder that holds runs; 'file' is a file"
    ):
        find_run("latest", "file")


def test_the_latest_run_is_what_is_meant_where_none_is_named(copy):
    copy("old", "2026-01-01T00:00:00+00:00")
    copy("new", "2026-02-01T00:00:00+00:00")
    assert call("show").stdout == call("show", "latest").stdout == call("show", "new").stdout
    assert "new  done" in call("show").stdout.splitlines()[0]
    assert call("resume", "-q").stdout.splitlines()[-1] == f"recorded in {Path('runs/new')}"
    assert set(structes.load_runs("latest").run) == {"new"}
    assert set(structes.load_runs(["latest", "runs/old"]).run) == {"new", "old"}
    assert call("run", "latest", "-q").exit_code == 0
    assert call("run", "old", "-q").exit_code == 0
    assert len(recorded()) == 4


def test_a_folder_that_is_called_latest_is_that_folder(copy):
    copy("new")
    shutil.copytree("runs/new", "latest")
    assert find_run("latest") == Path("latest")
    assert set(structes.load_runs("latest").run) == {"latest"}


# -- damaged folders


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("name", ["config.yaml", "versions.json", "result.json", "log.csv"])
def test_a_damaged_file_is_a_clear_error_or_none(copy, name, what):
    folder = copy("it")
    data = DAMAGE[what]
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if data is None else data)
    for words in (["show", "it"], ["list", "runs"], ["resume", "it", "-q"]):
        result = call(*words)
        if result.exit_code:
            (line,) = result.stderr.splitlines()
            assert result.exit_code == 2 and line.startswith("Error: ")
    if what not in ("half", "another mapping") and name != "log.csv":
        with pytest.raises(ValueError, match=f"'.*it' is damaged: {name}: "):
            read_run(folder)
    if name == "result.json":
        assert "damaged" in call("list", "runs").stdout


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value_in_a_result_is_named(copy, key):
    folder = copy("it")
    change_entry(folder, **{key: WRONG[key]})
    with pytest.raises(ValueError, match=rf"damaged: result.json: problems\[0\].*{key}"):
        read_run(folder)
    assert call("show", "it").exit_code == 2


def test_a_damaged_folder_hides_no_other(copy, here):
    copy("good")
    (copy("bad") / "config.yaml").unlink()
    (copy("worse") / "log.csv").write_text("x,y\n1,2\n")
    assert call("show").stdout.startswith("runs")
    listed = call("list", "runs").stdout.splitlines()
    assert [line.split()[1] for line in listed[2:5]].count("damaged") == 1
    with pytest.warns(RuntimeWarning) as said:
        frame = structes.load_runs("runs/*")
    assert set(frame.run) == {"good"}
    assert sorted(str(w.message)[:9] for w in said) == ["left out:"] * 2
    assert said[0].filename == __file__
    for name, why in (("bad", "it has no config.yaml"), ("worse", "log.csv: it has no column")):
        with pytest.raises(ValueError, match=why):
            structes.load_runs(f"runs/{name}")
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match=r"all runs .* are damaged"):
        structes.load_runs("runs/b*")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_may_not_be_read_is_a_clear_error(copy):
    folder = copy("it")
    (folder / "result.json").chmod(0)
    with pytest.raises(ValueError, match="may not be read"):
        read_run(folder)


def test_nothing_is_written_through_a_link(copy, here):
    folder, victim = copy("it"), here / "mine.txt"
    for name in ("log.csv", "failures.jsonl"):
        victim.write_bytes((folder / "log.csv").read_bytes())
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim)
        change_entry(folder, status="interrupted")
        with pytest.raises(ValueError, match=f"{name} is a link"):
            resume_experiment(folder)
        (folder / name).unlink()
        (folder / "log.csv").write_bytes(victim.read_bytes())


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "loop", "too large", "no end"])
@pytest.mark.parametrize(
    "name", ["config.yaml", "versions.json", "result.json", "log.csv", "lock"]
)
def test_what_is_no_file_of_a_run_hides_no_other(copy, here, name, kind):
    copy("good")
    path = copy("bad", "2030-01-01") / name
    path.unlink(missing_ok=True)
    if name == "lock" and kind not in KINDS:
        pytest.skip("nobody reads more of a lock than its head")
    if kind in ("too large", "no end"):
        with open(path, "wb") as file:
            file.truncate(2**20 if kind == "no end" else 2**40)  # zeros, which take no room
    else:
        put(path, kind)
    why = f"{name} is a {word(kind)}, and no file" if kind in KINDS else f"{name}: "
    if name != "log.csv" or kind in KINDS:  # of a log `show` reads the end
        with pytest.raises(ValueError, match=why):
            read_run(path.parent)
        assert "Error: 'runs/bad' is damaged: " + why in call("show", "runs/bad").stderr
        assert "good" in call("show", "latest").stdout
    listed = call("list", "runs")
    assert listed.exit_code == 0 and "good" in listed.stdout and "bad" in listed.stdout
    with pytest.raises(ValueError, match="log|" + why):
        resume_experiment("runs/bad")
    why = "a line of more than" if (name, kind) == ("log.csv", "no end") else ""
    with pytest.warns(RuntimeWarning, match=f"left out: 'runs/bad' is damaged: {name}.*{why}"):
        assert set(structes.load_runs("runs/*")["run"]) == {"good"}


def test_files_that_a_run_goes_on_with_are_its_own(copy, here):
    """They may be links where a run is only looked at."""
    folder = copy("it")
    (here / "real").write_bytes(next(folder.glob("*.ckpt")).read_bytes())
    for name in ("search-sphere.ckpt", "state-sphere.npz", "failures.jsonl"):
        path = folder / name
        before = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        path.symlink_to(here / "real")
        assert call("show", str(folder)).exit_code == 0
        with pytest.raises(ValueError, match=f"{name} is a link"):
            resume_experiment(folder, changes={"max_evaluations": 90})
        path.unlink()
        if before is not None:
            path.write_bytes(before)
    for name in ("log.csv", "failures.jsonl", "lock"):
        (folder / name).touch()
        os.link(folder / name, here / "another name")
        (here / "another name").write_text(before := (folder / name).read_text() + "mine\n")
        with pytest.raises(ValueError, match=f"{name} is one file under several names"):
            resume_experiment(folder, changes={"max_evaluations": 90})
        assert (here / "another name").read_text() == before  # a lock would have been emptied
        (here / "another name").write_text(before.removesuffix("mine\n"))
        os.unlink(here / "another name")
    assert resume_experiment(folder, changes={"max_evaluations": 90}).result["status"] == "done"


@pytest.mark.parametrize("key", ["checkpoint", "state"])
@pytest.mark.parametrize("name", ["..", ".", "", "/x.ckpt", "a/b.npz", "config.yaml", "x.ckpt\0"])
def test_a_result_names_files_of_its_own_folder(copy, key, name):
    folder = copy("it")
    change_entry(folder, **{key: name})
    with pytest.raises(ValueError, match=f"{key} is no file name"):
        read_run(folder)


def test_words_in_the_place_of_numbers_are_shown(copy):
    folder = copy("it")
    rows = [{"stop": {"x": 1}}, {"stop": {}, "number": [1], "fun": {}, "popsize": "x"}]
    change_entry(folder, restarts=rows, fun=None, error=None, params={"a": [1, {"b": 2}]})
    assert call("show", str(folder)).exit_code == 0
    for wrong in ({"fun": 10**400}, {"x": [10**400]}, {"seconds": 10**400}):
        change_entry(folder, **{"fun": 1.0, "x": [1.0], "seconds": 1.0, **wrong})
        with pytest.raises(ValueError, match=next(iter(wrong))):
            read_run(folder)
    change_entry(folder, fun=1.0, x=[1.0], seconds=1.0)
    change(folder, seconds="x")
    with pytest.raises(ValueError, match="its seconds cannot be 'x'"):
        read_run(folder)


def test_a_result_of_a_million_lists_is_not_read(copy):
    folder = copy("it")
    for text, said in (("[],", "more than 200000 lists"), ("1,,,,", "more than 3000000 values")):
        (folder / "result.json").write_text("[" + text * 1_000_000 + "1]")
        with pytest.raises(ValueError, match=said):
            read_run(folder)


def test_the_last_rows_of_a_long_log(copy):
    folder = copy("it")
    with open(folder / "log.csv", "a") as file:
        for i in range(5000):
            file.write(f"many,{i}" + ",1" * 20 + "," + "0" * 100 + "\n")
        file.write("torn,1")
    assert [row["restart"] for row in tail_log(folder, 3)] == ["4997", "4998", "4999"]
    assert len(tail_log(folder, 10_000)) > 5000 and tail_log(folder, 0) == []
    with open(folder / "log.csv", "a") as file:
        file.write("\n" + "x" * 10**6 + "\nlast,5" + ",1" * 20 + "\n")
    assert [row["problem"] for row in tail_log(folder, 1)] == ["last"]


def test_a_name_with_odd_line_ends_is_one_name(here):
    """What ends a line elsewhere (U+2028, U+0085) ends none in a log."""
    name = "a\u2028b\x85c\x0bd"
    path, folder = here / "log.csv", Folder(here)
    row = [name, 0, 1, *["1"] * (len(COLUMNS) - 3)]
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, row, ["other", *row[1:]], row])
        file.write("\0" * 10**6 + "\n")  # of a power cut: no row, and no harm
    assert rows_of(path, name) == [(0, 1), (0, 1)]
    keep_rows(folder, path.name, name, 1)
    folder.close()
    assert rows_of(path, name) == [(0, 1)] and rows_of(path, "other") == [(0, 1)]


def test_names_of_folders_that_are_no_text(copy, here):
    copy("good")
    for name in (b"\xff\x1b[2J", "a\nb‮c".encode(), b"-x"):
        shutil.copytree(b"runs/good", b"runs/" + name)
    listed = call("list", "runs")
    assert listed.exit_code == 0 and listed.stdout.count("done") == 4
    assert "\\udcff\\x1b[2J" in listed.stdout and "a\\nb\\u202ec" in listed.stdout
    assert not any(c in listed.stdout for c in "\x1b‮\udcff")


def test_a_config_and_a_result_that_do_not_belong_together(copy):
    folder = copy("it")
    text = (folder / "config.yaml").read_text().replace("- sphere", "- sphere\n- cigar")
    (folder / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config.yaml has 2 problems and its result.json 1"):
        resume_experiment(folder)


def test_the_last_rows_of_an_odd_log(copy):
    folder = copy("it")
    with open(folder / "log.csv", "ab") as file:
        file.write(b"\xff\xfe\0,1,2\n" + b"short\n" + b"no line end")
    rows = tail_log(folder, 2)
    assert rows[1]["problem"] == "short" and rows[0]["restart"] == "1"
    assert call("show", "it").exit_code == 0
    (folder / "log.csv").unlink()
    with pytest.raises(ValueError, match=r"it has no log.csv"):
        tail_log(folder, 2)


# -- what is shown


def test_list_runs(copy):
    copy("first", "2026-01-01T10:20:30+00:00")
    change_entry(copy("second", "2026-02-01T10:20:30+00:00"), status="interrupted", fun=None)
    change(Path("runs/second"), status="interrupted")
    result = call("list", "runs")
    assert result.exit_code == 0
    head, _, *rows = (line.split() for line in result.stdout.splitlines() if line.strip())
    assert head == ["run", "status", "problems", "best", "evaluations", "started"]
    assert [row[:3] for row in rows] == [
        ["first", "done", "sphere"],
        ["second", "interrupted", "sphere"],
    ]
    assert [row[4] for row in rows] == ["60", "60"] and rows[1][3] == "–"
    assert float(rows[0][3]) == pytest.approx(
        read_run("runs/first").result["problems"][0]["fun"], rel=0.01
    )
    assert rows[0][5] in ("2025-12-31", "2026-01-01", "2026-01-02")  # by the clock here
    empty = call("list", "runs", "--runs", "nowhere")
    assert empty.exit_code == 0 and empty.stdout.strip() == "no run is recorded in 'nowhere' yet"
    assert "runs" not in [line.strip() for line in call("list").stdout.splitlines()]


def test_words_of_a_strangers_folder_reach_no_terminal_raw(copy):
    escape = "\x1b]0;owned\x07\x1b[2J\x9b31m"
    folder = copy("red\x1b[31m")
    change_entry(
        folder,
        problem="p" + escape,
        params={"a" + escape: "v" + escape},
        traceback="Trace\n" + escape,
        status="failed",
    )
    versions = json.loads((folder / "versions.json").read_text())
    versions |= {"host": escape, "argv": [escape], "platform": escape, "started": escape}
    (folder / "versions.json").write_text(json.dumps(versions))
    with open(folder / "log.csv", "a") as file:
        file.write(f"p{escape},0,1,1,1{escape}\n")
    for words in (["show"], ["list", "runs"], ["resume", "-q"]):
        result = call(*words)
        assert not {"\x1b", "\x07", "\x9b"} & set(result.stdout + result.stderr)
    assert "\\x1b]0;owned" in call("show").stdout


def test_versions_that_say_little(copy):
    (copy("it") / "versions.json").write_text("{}")
    assert call("show").exit_code == 0


def test_a_run_is_called_by_the_name_that_it_was_given(here):
    config = {"problems": ["sphere"], "dim": 2, "max_evaluations": 20, "seed": 1}
    for name in ("svm", "svm-2nd", "svm"):
        experiment = experiment_from({**config, "name": name})
        last = run_experiment(experiment, "named").folder
    assert find_run("svm", "named") == last and find_run("svm-2nd", "named") != last
    for other in ("sv", "vm", "2nd", ".*", ""):
        with pytest.raises(ValueError, match="there is no run"):
            find_run(other, "named") if other else find_run("x", "named")
