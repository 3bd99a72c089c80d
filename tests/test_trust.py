"""Whose run it is: what names code is resumed by whoever ran it, and by nobody else unasked."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from structes.runs import trust
from structes.runs.config import load_config
from structes.runs.experiment import experiment_from
from structes.runs.resume import resume_experiment
from structes.runs.running import run_experiment
from structes.shell.cli import cli

CONFIG = {"problems": ["trust_own:f"], "dim": 3, "seed": 1, "max_evaluations": 40}
NOT_YOURS = "names code, which would be imported and run here"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a module of the user's, who has no key yet. The module says when it is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("trust_own.py").write_text(
        "from pathlib import Path\n\nPath('ran').write_text('x')\n"
        "def f(x): return float(x @ x)\nclass Own: pass\n"
    )
    yield tmp_path
    sys.modules.pop("trust_own", None)


def run(**changes):
    """The folder of a run; the module is forgotten afterwards, as in another process."""
    folder = run_experiment(experiment_from({**CONFIG, **changes})).folder
    forget()
    return folder


def forget():
    sys.modules.pop("trust_own", None)
    Path("ran").unlink(missing_ok=True)


def edit(folder, **changes):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def contents(folder):
    """All that is in a folder, but for the lock, which says who has looked last."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def call(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="structes")


def test_a_run_of_ones_own_is_resumed_edited_renamed_and_copied(here):
    folder = run()
    assert resume_experiment(folder, changes={"max_evaluations": 60}).result["status"] == "done"
    edit(folder, max_evaluations=80, target=1e-9, name="another")
    shutil.copytree(folder, here / "elsewhere")
    folder.rename(here / "renamed")
    results = [resume_experiment(here / name).result for name in ("elsewhere", "renamed")]
    assert [r["problems"][0]["evaluations"] for r in results] == [80, 80]


def test_a_run_of_somebody_elses_is_resumed_by_those_who_say_so(here, monkeypatch):
    folder = run()
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "another user"))
    before = contents(folder)
    for act in (
        lambda: resume_experiment(folder, changes={"max_evaluations": 60}),
        lambda: resume_experiment(folder, changes={"max_evaluations": 60}, workers=1),
    ):
        with pytest.raises(ValueError, match=NOT_YOURS) as caught:
            act()
        assert "problems[0]: trust_own:f" in str(caught.value) and "--trust" in str(caught.value)
    for words in (("resume", folder, "--max-evaluations", 60), ("run", folder)):
        done = call(*words, "-q")
        assert done.exit_code == 2 and NOT_YOURS in done.stderr and "--trust" in done.stderr
    assert contents(folder) == before
    assert call("show", folder).exit_code == 0 and call("list", "runs").exit_code == 0
    assert not Path("ran").exists() and "trust_own" not in sys.modules
    assert not (here / "another user").exists()  # who only looks leaves nothing

    done = resume_experiment(folder, changes={"max_evaluations": 60}, trust=True)
    assert done.result["problems"][0]["evaluations"] == 60 and Path("ran").exists()
    assert call("resume", folder, "--max-evaluations", 80, "-q", "--trust").exit_code == 0
    assert call("run", folder, "-q", "--trust").exit_code == 0


@pytest.mark.parametrize(
    "change",
    [
        {"problems": ["trust_own:g"]},
        {"problems": [{"name": "trust_own:f", "minimum": 1.0}]},
        {"problems": [{"name": "trust_own:f", "space": {"command": "rm -r ~"}}]},
        {"structure": "trust_own:Own"},
        {"structure": {"name": "direct_sum", "blocks": {"a": {"name": "trust_own:Own"}}}},
        {"engine": {"name": "trust_own:Own"}},
        {"restarts": "trust_own:Own"},
        {"noise": "trust_own:Own"},
        {"workers": {"count": 1, "environment": {"LD_PRELOAD": "x.so"}}},
        {"workers": {"name": "ray", "address": "ray://elsewhere:1"}},
        {"workers": "ray://elsewhere:1"},
    ],
    ids=str,
)
def test_a_signature_holds_for_what_was_run_and_for_nothing_else(here, change):
    folder = run()
    edit(folder, **change)
    with pytest.raises(ValueError, match="its signature is not yours, or what it names has been"):
        resume_experiment(folder)
    assert not Path("ran").exists()


def test_a_signature_of_another_run_does_not_help(here):
    shutil.copy(run() / "signature", here)
    folder = run(problems=["sphere"])
    assert not (folder / "signature").exists()
    edit(folder, problems=["trust_own:f"])
    for said in (None, "0" * 64, "", "\xff", (here / "signature").read_text() + "x", "x" * 2000):
        (folder / "signature").unlink(missing_ok=True)
        if said is not None:
            (folder / "signature").write_text(said, encoding="latin-1")
        with pytest.raises(ValueError, match=NOT_YOURS):
            resume_experiment(folder)
    (folder / "signature").unlink()
    (folder / "signature").symlink_to(here / "signature")
    with pytest.raises(ValueError, match="its signature cannot be checked: is a link"):
        resume_experiment(folder)
    assert not Path("ran").exists()


def test_what_names_only_structes_own_needs_neither_key_nor_trust(here):
    spec = {"name": "structes.problems.tuning:kernel_ridge", "space": load_tuning()}
    folder = run(problems=[spec, "bbob:f1:i1:dim5"], description="a note: with a colon", dim=None)
    assert not (here / "state").exists() and not (folder / "signature").exists()
    resume_experiment(folder, changes={"max_evaluations": 60})
    for config in ("quickstart", "classics", "units"):
        assert trust.code_of(load_config(config)) == {}
    assert trust.code_of({"structure": {"name": "block_upper", "k": 3}, "workers": "ray"}) == {}
    assert trust.code_of({"workers": {"name": "ray", "address": "auto"}, "problems": None}) == {}


def load_tuning():
    return load_config("tuning")["problems"][0]["space"]


def test_the_key_is_the_users_and_nobody_elses(here):
    run()
    folder = here / "state" / "structes"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["key"]
    key = folder / "key"
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
    before = key.read_bytes()
    run()
    assert key.read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: folder.chmod(0o770), "others may use it"),
        (lambda folder: (folder / "key").chmod(0o640), "others may use it"),
        (lambda folder: (folder / "key").chmod(0o606), "others may use it"),
        (lambda folder: (folder / "key").write_bytes(b"short"), "the key is damaged"),
        (lambda folder: as_link(folder / "key"), "is a link"),
    ],
)
def test_a_key_that_others_know_is_none(here, spoil, why):
    folder = run()
    spoil(here / "state" / "structes")
    with pytest.raises(ValueError, match=f"its signature cannot be checked: .*{why}"):
        resume_experiment(folder, changes={"max_evaluations": 60})
    with pytest.warns(RuntimeWarning, match=f"cannot be signed as your own .*{why}.*--trust"):
        other = run()
    assert not (other / "signature").exists()


def as_link(path):
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def test_a_key_of_another_user_is_refused(here, monkeypatch):
    folder = run()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ValueError, match="its signature cannot be checked: it belongs to another"):
        resume_experiment(folder, changes={"max_evaluations": 60})


def test_root_makes_no_key_in_the_home_of_another_user(here, monkeypatch):
    """With sudo the home is that of the user, who could not read the key afterwards."""
    its = os.stat(here)
    values = list(its)
    values[4] = 1234  # st_uid
    monkeypatch.setattr(os, "stat", lambda *_, **__: os.stat_result(values))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(PermissionError, match="belongs to another user"):
        trust._make(here / "state" / "structes", here / "state" / "structes" / "key")
    monkeypatch.undo()
    assert not (here / "state").exists()


@pytest.mark.parametrize("place", ["a file", "relative", "no home"])
def test_where_no_state_can_be_kept_the_run_goes_on(here, monkeypatch, place):
    if place == "a file":
        Path("file").write_text("")
        monkeypatch.setenv("XDG_STATE_HOME", str(here / "file"))
    else:
        monkeypatch.setenv("XDG_STATE_HOME", "relative" if place == "relative" else "")
        monkeypatch.setenv("HOME", "")
    with pytest.warns(RuntimeWarning, match="cannot be signed as your own .*--trust"):
        folder = run()
    assert not Path("relative").exists() and not Path(".local").exists()
    with pytest.raises(ValueError, match=NOT_YOURS):
        resume_experiment(folder)


@pytest.mark.slow
def test_two_runs_that_begin_at_once_have_one_key(here):
    code = "from structes.runs import trust; print(trust._key(make=True).hex())"
    several = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    keys = [process.communicate()[0].strip() for process in several]
    assert len(set(keys)) == 1 and len(keys[0]) == 64
    assert [path.name for path in (here / "state" / "structes").iterdir()] == ["key"]


def test_a_key_that_came_first_stays(here, monkeypatch):
    folder = here / "state" / "structes"
    folder.mkdir(parents=True)
    link = os.link

    def late(*its):
        (folder / "key").write_bytes(b"k" * 32)
        (folder / "key").chmod(0o600)
        return link(*its)

    monkeypatch.setattr(os, "link", late)
    folder.chmod(0o700)
    assert trust._key(make=True) == b"k" * 32

    def none(*_):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", none)
    (folder / "key").unlink()
    assert len(trust._key(make=True)) == 32 and [p.name for p in folder.iterdir()] == ["key"]


def test_other_files_of_a_folder_import_nothing(here):
    """result.json and versions.json are words, whatever they say."""
    folder = run(problems=["sphere"])
    for name in ("result.json", "versions.json"):
        its = json.loads((folder / name).read_text())
        its.update(structure="trust_own:Own", name="trust_own:f", argv=["trust_own:f"])
        (folder / name).write_text(json.dumps(its))
    resume_experiment(folder, changes={"max_evaluations": 60})
    assert not Path("ran").exists()


def test_another_module_of_that_name_is_other_code(here):
    """In the working folder of whoever resumes, or in the place of the one that was run."""
    folder = run()
    edit(folder, max_evaluations=80)
    source = here / "trust_own.py"
    before = source.read_text()
    source.write_text(before + "\nprint('another one')\n")
    with pytest.raises(ValueError, match=r"names code.* has been changed since, or its file"):
        resume_experiment(folder)
    source.write_text(before)
    assert resume_experiment(folder).result["status"] == "done"
    source.write_text(before + "\n# edited\n")
    edit(folder, max_evaluations=120)
    assert resume_experiment(folder, trust=True).result["status"] == "done"
