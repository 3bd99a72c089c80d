"""The command line as a user meets it: what is printed, what is recorded, which exit code."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import structes
from structes.runs.config import configs
from structes.runs.reader import read_run
from structes.search.progress import name_of, progress_of
from structes.shell.cli import cli
from structes.shell.flags import find_local_modules
from structes.shell.tables import print_table
from structes.structures.building import build_structure
from structes.structures.random_elements import example
from structes.terminal.command_line import leave_working_folder

COMMAND = [sys.executable, "-c", "from structes.shell.cli import main; main()"]
OWN = """
import time

def bowl(x):
    return float(x @ x)

def slow(x):
    time.sleep(0.004)
    return float(x @ x)

def breaks(x):
    raise OSError("the disk is gone")

def chatty(x):
    print("evaluated")
    return float(x @ x)

def gone(dim):
    raise KeyError("the data")
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working directory with a module of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own.py").write_text(OWN)
    yield tmp_path
    sys.modules.pop("own", None)


def call(line):
    """Result of `structes LINE`; `line` is split at blanks, or a list."""
    words = line.split() if isinstance(line, str) else line
    result = CliRunner().invoke(cli, words, prog_name="structes")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def only_run():
    (folder,) = Path("runs").iterdir()
    return read_run(folder)


# -- what is there


@pytest.mark.parametrize("line", ["--help", "-h", "run --help", "list --help", "show --help"])
def test_help(line):
    result = call(line)
    assert result.exit_code == 0 and "Usage: structes" in result.stdout
    if line == "run --help":
        for code in ("0 ended normally", "1 a function", "2 wrong", "3 a target", "130 interr"):
            assert code in result.stdout


def test_the_bench_is_listed_but_not_imported():
    code = (
        "import sys; from structes.shell.cli import cli; cli(['--help'], standalone_mode=False); "
    )
    code += "print([m for m in sys.modules if m.startswith(('structes.bench', 'yaml', 'rich'))])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "\n  bench " in out.stdout and out.stdout.strip().endswith("[]"), out


def test_the_bench_says_what_it_needs(monkeypatch):
    Path("own_bench.py").write_text("import a_package_that_nobody_has\nbench = None\n")
    monkeypatch.syspath_prepend(os.getcwd())
    monkeypatch.setattr(cli.commands["bench"], "path", "own_bench:bench")
    result = call("bench bbob")
    assert result.exit_code == 1
    assert "pip install 'structes[bench]'" in result.stderr
    assert "a_package_that_nobody_has" in result.stderr


def test_version():
    assert call("--version").stdout == f"structes {structes.__version__}\n"


def test_list():
    everything = call("list")
    assert everything.exit_code == 0
    names = {
        "structures": ["auto", *structes.STRUCTURES],
        "engines": list(structes.ENGINES),
        "restarts": list(structes.RESTARTS),
        "problems": list(structes.PROBLEMS),
        "configs": list(configs()),
    }
    for what, known in names.items():
        lines = call(f"list {what}").stdout.splitlines()
        assert lines[0].strip() == what
        rows = [line.split(maxsplit=1) for line in lines[2:] if line.strip()]
        assert [row[0] for row in rows] == known
        assert all(len(row) == 2 for row in rows), "each has a description"
        assert all(line in everything.stdout for line in lines)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rnu", "unknown command 'rnu' (did you mean 'run'?)"),
        ("list problms", "'problms' (did you mean 'problems'?)"),
        ("run --sed 1", "--seed"),
        ("run", None),
        ("run --dim 3", "nothing to run: give a CONFIG"),
        ("run quikstart", "unknown config 'quikstart' (did you mean 'quickstart'?)"),
        ("run ./none.yaml", "there is no config file 'none.yaml'"),
        ("run separable --set dmi=3", "unknown config key 'dmi' (did you mean 'dim'?)"),
        ("run separable --set dim", "--set needs KEY=VALUE; got 'dim'"),
        ("run separable --set x0=[1", "--set x0: not YAML"),
        ("run separable --set structure.k=3", "structure 'diagonal' has no argument 'k'"),
        ("run separable --structure diag", "unknown structure 'diag' (did you mean 'diagonal'?)"),
        ("run separable --set structure={name:_auto,_k:3}", "structure 'auto' stands alone"),
        ("run separable --structure atuo", "'atuo' (did you mean 'auto'?); known: auto, dense"),
        ("run separable --dim many", "dim must be an integer or null; got 'many'"),
        ("run separable --popsize 1", "popsize must be an integer ≥ 2; got 1"),
        ("run --problem sphre --dim 3", "unknown problem 'sphre' (did you mean 'sphere'?)"),
        ("run --problem sphere", "problem 'sphere' needs the argument 'dim'"),
        ("run --problem own:bwol --dim 3", "'own' has no 'bwol' (did you mean 'bowl'?)"),
        ("run --problem onw:bowl --dim 3", "there is no module 'onw'"),
        ("run --problem own.bowl --dim 3", "'own.bowl' (did you mean 'own:bowl'?)"),
        (
            "run --problem own.py:bowl --dim 3",
            "'own.py:bowl': there is no module 'own.py' (did you",
        ),
        ("run --problem ./own.py:bowl --dim 3", "(did you mean 'own:bowl'?)"),
        ("run --problem own --dim 3", "'own' (did you mean 'own:bowl' or 'own:slow' or"),
        ("run --problem own.py --dim 3", "'own.py' (did you mean 'own:bowl' or"),
        ("run --problem ./own.py --dim 3", "'./own.py' (did you mean 'own:bowl' or"),
        ("run --problem own: --dim 3", "(did you mean 'own:bowl' or"),
        ("run --problem :f --dim 3", "':f': 'module:attribute' is expected"),
        ("run --problem pkg/inner.py:f --dim 3", "(did you mean 'pkg.inner:f'?)"),
        ("run --problem pkg.inner.f --dim 3", "(did you mean 'pkg.inner:f'?)"),
        ("run own:bowl", "'own:bowl' is no config; a problem is given by --problem, as in: stru"),
        (
            "run own.py",
            "'own.py' is no config; a problem is given by --problem (did you mean 'own:",
        ),
        ("run sphere", "'sphere' is no config; a problem is given by --problem, as in: structes"),
        ("run .", "'.' is a folder without a config.yaml"),
        ("run --problem sphere --dim 3 --x0 1,2", "x0 must have 3 numbers; got 2"),
        ("run --problem sphere --dim 3 --x0 1,b,3", "x0[1] must be a number; got 'b'"),
        ("run --problem sphere --dim 3 --x0 1", "a list of numbers (1,2,3 or [1, 2, 3]) or null"),
        ("run --problem {name:_sphere,_dim:_3,_dim:_4}", "the key 'dim' is there twice"),
        (f"run --problem sphere --dim 3 --seed {10**200}", "got an integer of 201 digits"),
        (f"run --problem sphere --dim 3 --target {10**400}", "too large for a number: an integer"),
        (f"run --problem sphere --dim 3 --popsize {10**400}", ""),
        (f"run --problem {'x' * 500}", f"unknown problem '{'x' * 56}...;"),
        ("run --problem sphere --dim 3 --runs=", "--runs needs the name of a folder"),
        ("run --problem sphere --dim 3 --sigma0 [1,2]", "or 3 of them"),
        ("run --problem own:bowl --dim 3 --target-error 1", "target_error needs the minimum"),
        ("run --problem sphere --dim 3 --require-target", "--require-target needs a target"),
        ("show latest", "no run is recorded in 'runs' yet"),
        ("show x", "there is no run 'x'"),
        ("show .", "is not a run folder"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(line, message):
    Path("pkg").mkdir()
    Path("pkg/inner.py").write_text("def f(x):\n    return 1.0\n")
    result = call([word.replace("_", " ") if "{" in word else word for word in line.split()])
    assert result.exit_code == 2
    if message is not None:
        errors = [x for x in result.stderr.splitlines() if x.startswith("Error: ")]
        assert len(errors) == 1 and message in errors[0] and len(errors[0]) < 600
        assert "Traceback" not in result.output and not Path("runs").exists()


def test_faults_in_files_and_modules_are_exit_code_1():
    Path("runs").write_text("not a folder")
    result = call("run --problem sphere --dim 3 -q")
    assert result.exit_code == 1 and "Error: " in result.stderr and "'runs'" in result.stderr
    result = call("run --problem own:gone --dim 3 -q")
    line = OWN.splitlines().index('    raise KeyError("the data")') + 1
    said = f"problem 'own:gone' raised KeyError: 'the data' (own.py, line {line})"
    assert result.exit_code == 1 and said in result.stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import math\n\nimport nosuchlib\n", "No module named 'nosuchlib' (broken.py, line 3)"),
        ("import inner\n", "NameError: name 'gone' is not defined (inner.py, line 2)"),
        ("def f(x)\n    pass\n", "SyntaxError: expected ':' (broken.py, line 1)"),
        ("import json\njson.loads('{')\n", "JSONDecodeError: Expecting property name"),
        ("raise ValueError('no\\ndata')\n", "ValueError: no data (broken.py, line 1)"),
        ("from os import nothing\n", "cannot import name 'nothing' from 'os'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_its_line(source, said):
    Path("broken.py").write_text(source)
    Path("inner.py").write_text("x = 1\ny = gone\n")
    result = call("run --problem broken:f --dim 3 -q")
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 1 and line.startswith("Error: 'broken:f' cannot be imported: ")
    assert said in line and (".py, line " in line)
    for name in ("broken", "inner"):
        sys.modules.pop(name, None)


def test_a_file_that_another_module_hides_is_told_of():
    Path("json.py").write_text("def f(x):\n    return 1.0\n")
    result = call("run --problem json:f --dim 3")
    assert result.exit_code == 2 and "json" in result.stderr
    assert "not ./json.py: give that file another name" in result.stderr


@pytest.mark.slow
def test_files_that_happen_to_lie_there_are_not_imported(here):
    """csv.py and the like: the working folder is on the path only where a module is named."""
    for name in ("csv", "rich", "scipy", "random", "yaml"):
        (here / f"{name}.py").write_text("raise SystemExit('it was imported')\n")
    code = "import sys; sys.path.remove(''); from structes.shell.cli import main; main()"
    line = ["run", "--problem", "sphere", "--dim", "2", "--max-evaluations", "20", "-q"]
    command = [sys.executable, "-c", code, *line]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SHADOWS = ("csv", "json", "numpy", "scipy", "yaml", "rich", "click", "cloudpickle")


@pytest.mark.slow
@pytest.mark.parametrize("command", [["-m", "structes"], None], ids=["python -m", "script"])
def test_no_command_imports_what_happens_to_lie_there(here, command):
    """Also where a module of that folder is named, and in its workers."""
    for name in SHADOWS:
        (here / f"{name}.py").write_text(f"open('hijacked by {name}', 'w'); raise SystemExit(9)")
    (here / "own.py").write_text("def f(x):\n    return float(x @ x)\n")
    script = Path(sys.executable).with_name("structes")
    if command is None and not script.exists():
        pytest.skip("the console script is not installed")
    start = [str(script)] if command is None else [sys.executable, *command]
    line = ["--dim", "2", "--max-evaluations", "20", "-q"]
    for words in (
        ["run", "--problem", "sphere", *line],
        ["run", "--problem", "own:f", *line, "--workers", "1"],
        ["resume", "--max-evaluations", "40", "-q"],
        ["show"],
    ):
        done = subprocess.run([*start, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert not list(here.glob("hijacked*"))
    for name in ("csv", "yaml"):
        done = subprocess.run(
            [*start, "run", "--problem", f"{name}:f", *line], capture_output=True, text=True
        )
        assert done.returncode == 2 and f"not ./{name}.py: give that file another" in done.stderr
    assert not list(here.glob("hijacked*"))


def test_the_working_folder_is_the_last_place_and_only_where_a_module_is_named(here, monkeypatch):
    path = [p for p in sys.path if p not in ("", str(here))]
    monkeypatch.setattr(sys, "path", list(path))
    note = {"problems": ["sphere", "bbob:f1"], "description": "a: b", "workers": "ray://h:1"}
    find_local_modules({**note, "problems": [{"name": "sphere", "space": {"a": "b:c"}}]})
    assert sys.path == path
    find_local_modules({"problems": ["own:bowl"]})
    find_local_modules({"structure": {"name": "direct_sum", "blocks": {"a": "own:Own"}}})
    assert sys.path == [*path, str(here)]
    (here / "pytest").mkdir()
    (here / "pytest" / "__init__.py").write_text("")
    for name in ("test", "code", "platform"):
        (here / f"{name}.py").write_text("def f(x): return 1.0\n")
        with pytest.raises(ValueError, match=rf"'{name}' is .*, not \./{name}\.py: give"):
            find_local_modules({"problems": [f"{name}:f"]})
    with pytest.raises(ValueError, match=r"not \./pytest/__init__\.py"):
        find_local_modules({"problems": ["pytest.sub:f"]})


@pytest.mark.parametrize(
    ("argv", "original", "stays"),
    [
        (["-m", "run"], ["python", "-m", "structes", "run"], False),
        (["-m"], ["python", "-mstructes"], False),
        (["-m", "structes"], ["python", "-m", "pytest", "structes"], True),
        (["/usr/bin/structes"], None, True),
        (["-c"], None, True),
        ([], None, True),
    ],
)
def test_only_the_command_line_leaves_the_working_folder(here, monkeypatch, argv, original, stays):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", original or ["python", *argv])
    for place in ("", str(here)):
        monkeypatch.setattr(sys, "path", [place, "/elsewhere", str(here)])
        leave_working_folder()
        assert sys.path == [place, "/elsewhere", str(here)][0 if stays else 1 :]
    monkeypatch.setattr(sys, "path", ["/elsewhere", str(here)])  # -P
    leave_working_folder()
    assert sys.path == ["/elsewhere", str(here)]


@pytest.mark.parametrize("name", ["../../evil", "/evil", "..", ".", "a/b", "x\ny", "-", "e" * 300])
def test_a_run_stays_in_its_folder_whatever_its_name(here, name):
    before = {*here.parent.iterdir(), *here.iterdir()}
    config = {"problems": ["sphere"], "dim": 2, "max_evaluations": 20, "name": name}
    (here / "c.yaml").write_text(json.dumps(config))
    call("run c.yaml -q")
    (folder,) = (here / "runs").iterdir()
    assert folder.is_dir() and len(folder.name) < 110
    left = {*here.parent.iterdir(), *here.iterdir()} - before
    assert left == {here / "c.yaml", here / "runs"}


def test_where_nothing_can_be_recorded():
    Path("file").write_text("")
    for place, why in (("file", "it is a file"), ("file/deeper", "Not a directory")):
        result = call(f"run --problem sphere --dim 3 -q --runs {place}")
        assert result.exit_code == 1
        assert result.stderr == f"Error: runs cannot be recorded in {place!r}: {why}\n"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cocoex", None)
    result = call("run quickstart")
    assert result.exit_code == 1 and "pip install 'structes[coco]'" in result.stderr


# -- run


def test_run_from_flags_alone():
    line = "run --problem rosenbrock --dim 4 --structure dense --seed 1 --target-error 1e-8"
    line += " --problem sphere --max-evaluations 1e4 --x0 1,-2,3e-1,0"
    result = call(f"{line} --sigma0 1,.5,1,1e-1")
    assert result.exit_code == 0 and only_run().config["x0"] == [1, -2, 0.3, 0]
    run = only_run()
    assert run.config["sigma0"] == [1, 0.5, 1, 0.1] and run.config["max_evaluations"] == 10_000
    assert run.config["structure"] == "dense" and run.folder.name.endswith("-rosenbrock")
    lines = result.stdout.splitlines()
    assert re.split(r"\s{2,}", lines[0].strip()) == [
        *("problem", "error", "evaluations", "generations", "stopped by", "seconds")
    ]
    for line, entry in zip(lines[2:4], run.result["problems"], strict=True):
        name, error, evaluations, generations, reason, _ = line.split()
        assert name == entry["problem"] and float(error) == pytest.approx(entry["error"], 0.01)
        assert int(evaluations) == entry["evaluations"] < 10_000
        assert int(generations) == entry["generations"] and reason == "target"
    assert lines[-1] == f"recorded in {run.folder}"
    assert "rosenbrock" in result.stderr and "sphere" in result.stderr


def test_flags_and_settings_change_the_config():
    line = "run separable --dim 5 --set max_evaluations=70 --set structure.name=scalar"
    assert call(f"{line} --seed 7 --name other --set tolx=null --runs elsewhere").exit_code == 0
    (folder,) = Path("elsewhere").iterdir()
    config = read_run(folder).config
    assert config["dim"] == 5 and config["max_evaluations"] == 70 and config["seed"] == 7
    assert config["structure"] == {"name": "scalar"} and config["tolx"] is None
    assert folder.name.endswith("-other") and config["problems"] == ["ellipsoid"]


def test_a_run_is_repeated_from_its_config():
    assert call("run --problem cigar --dim 4 --max-evaluations 300 -q").exit_code == 0
    first = only_run().folder
    assert call(["run", str(first / "config.yaml"), "-q"]).exit_code == 0
    (second,) = (f for f in Path("runs").iterdir() if f != first)
    one, two = (structes.load_runs(f).drop(columns=["run", "seconds"]) for f in (first, second))
    assert len(one) > 30 and one.equals(two)


def test_quiet_and_the_users_own_function():
    result = call("run --problem own:bowl --dim 3 --seed 1 --max-evaluations 100 --quiet")
    assert result.exit_code == 0 and result.stderr == ""
    assert "value" in result.stdout and "error" not in result.stdout  # its minimum is not known
    (entry,) = only_run().result["problems"]
    best = f"own:bowl: best value {entry['fun']:.15g} at x = ["
    assert best in result.stdout and best in call("show").stdout


def test_a_choice_is_shown_by_its_option():
    space = {"kernel": {"kind": "choice", "options": ["rbf", "poly"]}, "on": {"kind": "bool"}}
    space["gamma"] = {"kind": "float", "low": 0, "high": 1}
    Path("own.py").write_text(
        "def f(p):\n    return p['gamma'] + (p['kernel'] != 'rbf') + p['on']\n"
    )
    spec = json.dumps({"name": "own:f", "space": space})
    result = call(["run", "--problem", spec, "--seed", "1", "--max-evaluations", "60"])
    shown = [x for x in result.stdout.splitlines() if x.startswith("own:f: best value ")]
    assert len(shown) == 1 and "at kernel = rbf, on = False, gamma = " in shown[0]
    assert result.stderr.splitlines()[0].startswith(
        "own:f  direct_sum of dense, 2 × scalar, d = 5,"
    )
    assert only_run().result["problems"][0]["problem"] == "own:f"


def test_exit_codes_of_targets():
    line = "run --problem sphere --dim 3 --seed 1 --max-evaluations 50 -q --require-target"
    assert call(f"{line} --target-error 1e-8").exit_code == 3
    assert call(f"{line} --target 1e3").exit_code == 0
    assert call(f"{line.replace('--require-target', '')} --target 1e-8").exit_code == 0


@pytest.mark.filterwarnings("ignore:all values of a generation were NaN")
def test_a_failing_function_is_exit_code_1_and_the_rest_is_run():
    line = "run --problem own:breaks --problem sphere --dim 3 --max-evaluations 50 -q"
    result = call(line)
    assert result.exit_code == 1
    assert "own:breaks failed: OSError: the disk is gone" in result.stderr
    assert "Traceback" not in result.output
    assert [p["status"] for p in only_run().result["problems"]] == ["failed", "done"]
    shown = call("show latest").stdout
    assert "Traceback" in shown and 'raise OSError("the disk is gone")' in shown


# -- show


def test_show():
    line = "run --problem rosenbrock --dim 12 --seed 1 --max-evaluations 400 -q"
    assert call(line).exit_code == 0
    folder = only_run().folder
    result = call(["show", str(folder), "--rows", "3"])
    assert result.exit_code == 0
    text = result.stdout
    assert text.startswith(f"{folder}  done\n") and f"structes {structes.__version__}," in text
    assert "dim: 12\n" in text and "max_evaluations: 400\n" in text
    assert "max_evaluations    " in text and "rosenbrock: best value " in text
    assert "(12 in all)]" in text
    tail = text[text.index("last rows of log.csv") :].strip().splitlines()
    assert len(tail) == 3 + 3 and tail[-1].split()[2] == "400"
    for name in (folder.name, "latest"):
        assert call(["show", name, "--rows", "3"]).stdout == text
    wrong = call(["show", folder.name[:-1]])
    assert wrong.exit_code == 2 and f"did you mean '{folder.name}'" in wrong.stderr


def test_latest_is_the_last_that_started():
    for name in ("b", "a"):
        line = f"run --problem sphere --dim 2 --max-evaluations 20 -q --name {name}"
        assert call(line).exit_code == 0
    assert call("show latest").stdout.splitlines()[0].endswith("-a  done")


# -- processes


def start(*words):
    return subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_rows(n, seconds=30):
    """The run folder, once its log has n rows."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for folder in Path("runs").glob("[!.]*/log.csv"):
            if len(folder.read_text().splitlines()) > n:
                return folder.parent
        time.sleep(0.02)
    raise AssertionError("the run did not start")


@pytest.mark.slow
def test_kill_9_leaves_a_readable_run():
    process = start("run", "--problem", "own:slow", "--problem", "sphere", "--dim", "3", "-q")
    folder = wait_for_rows(10)
    assert read_run(folder).result["status"] == "running"
    process.kill()
    process.communicate()
    run = read_run(folder)
    assert run.result["status"] == "unfinished (killed?)"
    assert [p["status"] for p in run.result["problems"]] == ["unfinished", "not run"]
    assert len(run.result["problems"][0]["x"]) == 3
    frame = structes.load_runs("runs/*")
    assert len(frame) >= 10 and (frame.best.diff().dropna() <= 0).all()
    shown = call("show latest")
    assert shown.exit_code == 0 and "unfinished (killed?)" in shown.stdout
    assert call(["run", str(folder), "--max-evaluations", "20", "-q"]).exit_code == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_with_the_best_so_far():
    process = start("run", "--problem", "own:slow", "--problem", "sphere", "--dim", "3")
    wait_for_rows(10)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in out and "not run" in out and "recorded in" in out
    assert "Traceback" not in out + err
    run = only_run()
    one, two = run.result["problems"]
    assert run.result["status"] == one["status"] == "interrupted" and two["status"] == "not run"
    assert one["fun"] == pytest.approx(sum(v * v for v in one["x"]))
    assert (run.folder / one["state"]).is_file()
    assert structes.load_runs("runs/*").best.iloc[-1] == one["fun"]


@pytest.mark.slow
def test_in_a_pipe_there_are_plain_lines():
    line = "run --problem own:slow --problem own:chatty --dim 3 --seed 1 --max-evaluations 250"
    process = start(*line.split())
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "\x1b" not in out + err and "\r" not in out + err
    lines = err.splitlines()
    assert lines[0] == "own:slow  dense, d = 3, 7 candidates a generation"  # at once
    assert sum("own:slow" in line for line in lines) >= 3  # and while it runs: a second in all
    assert "250 evaluations" in lines[-1] and lines[-1].endswith("max_evaluations")
    assert out.count("evaluated\n") == 250 and "own:chatty" in out


def test_the_installed_command_answers():
    command = Path(sys.executable).with_name("structes")
    if not command.exists():
        pytest.skip("structes is not installed beside this Python")
    out = subprocess.run([command, "lst"], capture_output=True, text=True)
    assert out.returncode == 2 and "did you mean 'list'" in out.stderr and out.stdout == ""


# -- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_no_number_is_cut_on_a_narrow_terminal(term, monkeypatch):
    for name, value in (("TERM", term), ("COLUMNS", "40"), ("LINES", "20"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    words = ["20260131-142500-quickstart", "1.234567890123", "2026-01-31 14:25:00"]
    print_table(
        ("run", "best", "started", "stopped by"), [[*words, "max_evaluations, target"]] * 2
    )
    text = sys.stdout.getvalue()
    assert all(text.count(word) == 2 for word in (*words, "max_evaluations,", "target"))
    assert "…" not in text


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
@pytest.mark.parametrize("limit", [None, 70])
def test_progress(kind, limit, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = kind()
    es = structes.ES([1.0, 1.0], 1.0, seed=1, popsize=7, max_evaluations=limit)
    with progress_of(True, es, "[odd]", minimum=0.0, stream=stream, every=0.0) as report:
        for _ in range(10):
            X = es.ask()
            es.tell(X, [x @ x for x in X])
            report(es)
    lines = stream.getvalue().splitlines()
    assert re.match(rf".*\[odd\]  error {es.best.fun:.1e} .*70 evaluations", lines[-1])
    assert lines[-1].endswith("stopped" if limit is None else "max_evaluations")
    if kind is Terminal:
        assert "\x1b[" in stream.getvalue()
    else:
        assert len(lines) == 12 and "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("name", [*structes.STRUCTURES])
def test_a_structure_is_said_in_a_few_words(name):
    said = name_of(build_structure(example(name, 24), 24))
    assert said.startswith(name) and len(said) <= 60 and "\n" not in said
    assert name_of(build_structure("block_upper:k3", 24)) == "block_upper (k=3)"


def test_a_structure_of_many_blocks_is_said_in_a_few_words():
    kinds = ["dense", "diagonal", "scalar", "lower", "upper", "toeplitz_lower", "toeplitz_upper"]
    blocks = {f"b{i}": {"name": kinds[i % 7], "dim": 2} for i in range(50)}
    said = name_of(build_structure({"name": "direct_sum", "blocks": blocks}, 100))
    assert said.startswith("direct_sum of 8 × dense, 7 × diagonal") and len(said) <= 60


def test_no_progress_is_silent(capsys):
    structes.minimize(lambda x: x @ x, [1.0, 1.0], 1.0, seed=1, max_evaluations=50)
    assert capsys.readouterr() == ("", "")
    structes.minimize(lambda x: x @ x, [1.0], 1.0, seed=1, max_evaluations=50, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "50 evaluations" in err


def test_a_key_that_is_none_is_named_before_what_it_should_have_said(here):
    (here / "one.yaml").write_text("problem: sphere\ndim: 3\n")
    result = call("run one.yaml")
    assert result.exit_code == 2 and "'problem' (did you mean 'problems'?)" in result.stderr
