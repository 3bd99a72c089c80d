"""Reading run folders, also those that a full disk, a hand or a stranger has left."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import structes
from structes.cli import cli
from structes.experiment import experiment_from, run_experiment
from structes.history import find_run, read_run, recorded, tail_log
from structes.resume import resume_experiment


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
