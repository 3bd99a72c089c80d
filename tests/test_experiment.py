"""Configs and experiments: what is refused, what is recorded, and that a run can be repeated."""

import copy

import numpy as np
import pytest
import yaml

import structes
from structes.runs import plan as plans
from structes.runs import running
from structes.runs.config import configs, load_config, with_setting
from structes.runs.experiment import experiment_from
from structes.runs.plan import label_of, plan, start
from structes.runs.reader import read_run
from structes.runs.running import run_experiment
from structes.search.options import LIMITS

SPHERE = {"problems": ["sphere"], "dim": 3, "seed": 1}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user's own, on the path."""
    (tmp_path / "own_functions.py").write_text(
        """
def bowl(x):
    return float(x @ x)

calls = 0

def stops(x):
    global calls
    calls += 1
    if calls == 30:
        raise KeyboardInterrupt
    return float(x @ x)

def breaks(x):
    return 1 / 0

def leaves(x):
    raise SystemExit(0)

def gone(dim):
    raise KeyError("the data")
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_functions"
    import sys

    sys.modules.pop("own_functions", None)


# -- what a config may hold


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dmi": 3}, "unknown config key 'dmi' .did you mean 'dim'"),
        ({"max_evalutions": 3}, "did you mean 'max_evaluations'"),
        ({True: 1}, r"keys must be words; got True \(YAML reads on"),
        ({3: 1}, "keys must be words; got 3$"),
        ({"problems": []}, "problems must be a list"),
        ({"problems": [3]}, r"problems\[0\] must be a name or a mapping; got 3"),
        ({"dim": "many"}, "dim must be an integer or null; got 'many'"),
        ({"dim": 2.5}, "dim must be an integer or null; got 2.5"),
        ({"dim": True}, "dim must be an integer or null; got True"),
        ({"dim": 0}, "dim must be an integer ≥ 1; got 0"),
        ({"popsize": 1}, "popsize must be an integer ≥ 2; got 1"),
        ({"seed": -1}, "seed must lie in"),
        ({"sigma0": "wide"}, r"sigma0 must be a number or a list of numbers \(1,2,3 or .* 'wide'"),
        (
            {"x0": "1;2"},
            r"x0 must be a list of numbers \(1,2,3 or \[1, 2, 3\]\) or null; got '1;2'",
        ),
        ({"x0": "1,,2"}, r"x0\[1\] must be a number; got ''"),
        ({"x0": 10**400}, "x0 must be a list .* got an integer of 401 digits"),
        ({"max_evaluations": "x" * 999}, r"got 'x{56}\.\.\.$"),
        ({"target": 10**5000}, "target is too large for a number: an integer of 5001 digits"),
        ({"sigma0": [1, "x"]}, r"sigma0\[1\] must be a number; got 'x'"),
        ({"target_error": 0}, "target_error must be a positive number; got 0"),
        ({"tolx": -1}, "tolx must be a positive number"),
        ({"noeffect": 1}, "noeffect must be true or false; got 1"),
        ({"max_evaluations": float("inf")}, "max_evaluations must be an integer"),
        ({"structure": 3}, "structure must be text or a mapping; got 3"),
        ({"name": 3}, "name must be text; got 3"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        experiment_from({**SPHERE, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problems": ["sphre"]}, "did you mean 'sphere'"),
        ({"structure": "dens"}, "did you mean 'dense'"),
        ({"structure": {"name": "dense", "k": 3}}, "has no argument 'k'"),
        ({"sigma0": [1, 1]}, "sigma0 must be a positive number or 3 of them"),
        ({"sigma0": -1}, "sigma0 must be positive"),
        ({"x0": [1, 1]}, "x0 must have 3 numbers; got 2"),
        ({"dim": None}, "needs the argument 'dim'"),
    ],
)
def test_all_is_checked_before_anything_is_written(changes, message, tmp_path):
    experiment = experiment_from({**SPHERE, **changes})
    with pytest.raises(ValueError, match=message):
        run_experiment(experiment, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_config_takes_all_limits_of_the_parameters(tmp_path):
    config = yaml.safe_load(
        """
        problems: sphere
        dim: 6
        seed: 1
        max_evaluations: 60
        bounds: [[-9, 9], [-9, 9], [0.1, 9], [-9, 9], [-9, 9], [-9, 9]]
        boundary: reflect
        integers: [1]
        transforms: {2: log}
        choices: [[3, 4]]
        fixed: {0: "5e-1"}
        x0: [0.5, 1, 1, 0, 0, 1]
        """
    )
    experiment = experiment_from(config)
    assert experiment_from(experiment.config()).config() == experiment.config()
    (task,) = plan(experiment)
    assert set(task.arguments.limits) == set(LIMITS) and task.arguments.seed == 1
    run = run_experiment(experiment, tmp_path / "runs")
    best = run.result["problems"][0]["x"]
    assert best[0] == 0.5 and best[1] == round(best[1]) and best[2] > 0
    choices = start(experiment, task).domain.moving.choices
    assert [list(choice) for choice in choices] == [[2, 3]]  # of those that move


def test_an_experiment_and_an_es_are_given_the_same(tmp_path):
    (task,) = plan(experiment_from({**SPHERE, "structure": "dense", "tolx": 1e-5, "popsize": 7}))
    x0, sigma0 = task.problem.x0(), task.problem.sigma0()
    es = structes.ES(x0, sigma0, "dense", 1, 7, tolx=1e-5)
    for name, value in vars(es.arguments).items():
        np.testing.assert_array_equal(getattr(task.arguments, name), value)


def test_numbers_may_be_strings_because_yaml_says_so():
    given = yaml.safe_load(
        """
        problems: sphere
        dim: "3"
        seed: 1
        sigma0: [1e-3, 2, "3"]
        tolx: 1e-9
        max_evaluations: 1e4
        stagnation: "20"
        """
    )
    assert given["tolx"] == "1e-9"  # or the test shows nothing
    e = experiment_from(given)
    assert e.problems == ("sphere",) and e.dim == 3 and e.sigma0 == [0.001, 2.0, 3.0]
    s = e.stopping
    assert s.tolx == 1e-9 and s.max_evaluations == 10_000 and s.stagnation == 20
    assert isinstance(s.max_evaluations, int) and experiment_from(SPHERE).stopping.tolx == 1e-12
    assert experiment_from({**SPHERE, "seed": 2**64 - 1}).seed == 2**64 - 1
    assert experiment_from({**SPHERE, "sigma0": np.array([1.0, 2, 3])}).sigma0 == [1, 2, 3]


def test_a_mapping_is_never_changed_and_never_shared():
    given = {"problems": [{"name": "sphere", "shift": 1}], "dim": 3, "x0": [1, 2, 3]}
    before = copy.deepcopy(given)
    e = experiment_from(given)
    assert given == before
    given["problems"][0]["shift"] = 2
    e.config()["x0"][0] = 9
    assert e.problems[0]["shift"] == 1 and e.x0 == [1, 2, 3]
    nested = {"structure": {"name": "a"}, "problems": []}
    assert with_setting(nested, "structure.k", 5)["structure"] == {"name": "a", "k": 5}
    assert nested == {"structure": {"name": "a"}, "problems": []}


def test_an_experiment_and_its_config_are_the_same():
    e = experiment_from({**SPHERE, "structure": {"name": "dense"}, "target": "-inf", "tolx": None})
    again = yaml.safe_load(yaml.safe_dump(e.config()))
    assert experiment_from(again) == e
    assert set(again) >= {"tolfun", "max_seconds", "sigma0"}  # every key is there


def test_settings_reach_into_sections():
    config = {"structure": "dense", "dim": 3}
    assert with_setting(config, "structure.k", 5)["structure"] == {"name": "dense", "k": 5}
    assert with_setting(config, "dim", 4) == {"structure": "dense", "dim": 4}
    with pytest.raises(ValueError, match="'dim' must be a section"):
        with_setting(config, "dim.x", 4)
    with pytest.raises(ValueError, match="did you mean 'structure'"):
        with_setting(config, "structur.k", 4)


def test_labels():
    assert label_of({"name": "ellipsoid", "condition": 1e8}) == "ellipsoid:condition100000000"
    assert label_of({"name": "m:f", "lower": [1, 2], "minimum": 0, "dim": 3}) == "m:f:dim3"
    assert label_of({"name": "svm:loss", "space": {"C": {"kind": "float"}}}) == "svm:loss"
    assert label_of({"name": "kronecker", "left": "lower", "rows": 2}) == "kronecker:left:rows2"
    tasks = plan(experiment_from({**SPHERE, "problems": ["sphere", "sphere", {"name": "sphere"}]}))
    assert [t.label for t in tasks] == ["sphere", "sphere #2", "sphere #3"]


# -- config files


def test_config_files_that_cannot_be_read(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("dim: 3\nproblems: [sphere\nseed: 1\n")
    listing = tmp_path / "list.yaml"
    listing.write_text("- 1\n")
    twice = tmp_path / "twice.yaml"
    twice.write_text("dim: 3\nproblems:\n  - {name: sphere,\n     dim: 4}\nseed: 1\ndim: 5\n")
    inner = tmp_path / "inner.yaml"
    inner.write_text("problems:\n  - name: sphere\n    dim: 4\n    rotate: 1\n    dim: 4\n")
    bomb = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    bomb.write_text("\n".join(lines))
    itself = tmp_path / "itself.yaml"
    itself.write_text("structure: &a {name: dense, x: *a}\n")
    deep = tmp_path / "deep.yaml"
    deep.write_text("problems: " + "[" * 5000)
    date = tmp_path / "date.yaml"
    date.write_text("seed: 2026-99-99\n")
    for name, message in [
        ("quickstrt", "unknown config 'quickstrt' .did you mean 'quickstart'"),
        (tmp_path / "none.yaml", "no config file '.*none.yaml'"),
        (broken, "broken.yaml, line 3: not YAML"),
        (twice, "twice.yaml, line 6: the key 'dim' is there twice, first in line 1"),
        (inner, "inner.yaml, line 5: the key 'dim' is there twice, first in line 3"),
        (bomb, "its aliases stand for far more than it says"),
        (itself, "it holds itself"),
        (deep, "nested too deeply"),
        (date, "date.yaml: month must be in 1..12"),
        (listing, "must hold a mapping"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_config(name)


SLOW = {"cluster"}  # starts Ray


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in configs()]
)
def test_every_config_runs(name, tmp_path):
    config = load_config(name)
    assert config["description"] and config["name"] == name
    if "bbob" in str(config["problems"]):
        pytest.importorskip("cocoex")
    e = experiment_from({**config, "max_evaluations": 60})
    done = run_experiment(e, tmp_path)
    assert done.result["status"] == "done"
    assert len(done.result["problems"]) == len(e.problems)
    assert all(p["evaluations"] == 60 for p in done.result["problems"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", "units"])
def test_what_the_configs_say_is_so(name, tmp_path):
    if name == "quickstart":
        pytest.importorskip("cocoex")
    done = run_experiment(experiment_from(load_config(name)), tmp_path)
    errors = [p["error"] for p in done.result["problems"]]
    solved = errors[:3] if name == "quickstart" else errors
    assert solved and max(solved) <= 1e-8


# -- running


def test_target_error_is_a_distance_from_the_minimum(tmp_path):
    config = {"problems": ["styblinski_tang"], "dim": 2, "seed": 1, "x0": [-2, -2]}
    e = experiment_from({**config, "target_error": 1})
    (task,) = plan(e)
    assert task.stopping.target == task.problem.minimum + 1
    assert plan(experiment_from({**e.config(), "target": 50}))[0].stopping.target == 50
    assert plan(experiment_from({**e.config(), "target": -99}))[0].stopping == task.stopping
    done = run_experiment(e, tmp_path).result["problems"][0]
    assert "target" in done["stop"] and 0 <= done["error"] <= 1
    assert done["error"] == pytest.approx(done["fun"] - task.problem.minimum)


def test_target_error_needs_a_minimum(mine):
    e = experiment_from({"problems": [f"{mine}:bowl"], "dim": 2, "target_error": 1e-8})
    with pytest.raises(ValueError, match="target_error needs the minimum"):
        plan(e)
    known = {"name": f"{mine}:bowl", "minimum": 0.0}
    assert plan(experiment_from({**e.config(), "problems": [known]}))[0].stopping.target == 1e-8


def test_running_the_recorded_config_repeats_the_run(tmp_path):
    config = {"problems": ["rosenbrock", {"name": "sphere", "rotate": 3}], "dim": 4}
    config |= {"structure": "lower", "max_evaluations": 500, "sigma0": [1, "1e-1", 1, 1]}
    first = run_experiment(experiment_from(config), tmp_path)
    assert first.config["seed"] is not None  # a random one was taken, and written down
    again = run_experiment(experiment_from(load_config(first.folder)), tmp_path)
    assert first.folder != again.folder and first.config == again.config
    one, two = (
        structes.load_runs(r.folder).drop(columns=["run", "seconds"]) for r in (first, again)
    )
    assert len(one) > 50 and one.equals(two)
    other = run_experiment(experiment_from({**config, "seed": 1}), tmp_path)
    assert not one.best.equals(structes.load_runs(other.folder).best)


def test_the_last_row_is_the_result(tmp_path):
    """Also where the budget cuts a generation short."""
    done = run_experiment(experiment_from({**SPHERE, "max_evaluations": 100}), tmp_path)
    frame, entry = structes.load_runs(done.folder), done.result["problems"][0]
    assert entry["evaluations"] == 100 and entry["generations"] == 14
    last = frame.iloc[-1]
    assert last.evaluations == 100 and last.best == entry["fun"] and last.generation == 14
    assert np.isnan(last.generation_best) and not frame.generation_best[:-1].isna().any()


def test_ctrl_c_keeps_the_best_so_far(mine, tmp_path):
    problems = ["sphere", f"{mine}:stops", "rosenbrock"]
    e = experiment_from({"problems": problems, "dim": 3, "seed": 1, "max_evaluations": 100})
    run = run_experiment(e, tmp_path)
    assert run.result["status"] == "interrupted"
    one, two, three = run.result["problems"]
    assert one["status"] == "done" and three == {"problem": "rosenbrock", "status": "not run"}
    assert two["status"] == "interrupted" and two["evaluations"] == 29
    assert two["fun"] == pytest.approx(np.dot(two["x"], two["x"]))
    assert (run.folder / two["state"]).exists()


def test_ctrl_c_between_two_searches(tmp_path, monkeypatch):
    original, calls = plans.start, []

    def start(*arguments):
        calls.append(1)
        if len(calls) == 4:  # two checks, then two searches
            raise KeyboardInterrupt
        return original(*arguments)

    for module in (plans, running):
        monkeypatch.setattr(module, "start", start)
    config = {**SPHERE, "problems": ["sphere", "cigar"], "max_evaluations": 50}
    result = run_experiment(experiment_from(config), tmp_path).result
    assert result["status"] == "interrupted"
    assert [p["status"] for p in result["problems"]] == ["done", "not run"]


@pytest.mark.filterwarnings("ignore:all values of a generation were NaN")
def test_a_failing_problem_does_not_stop_the_others(mine, tmp_path):
    problems = [f"{mine}:breaks", f"{mine}:leaves", "sphere"]
    e = experiment_from({"problems": problems, "dim": 3, "seed": 1, "max_evaluations": 50})
    run = read_run(run_experiment(e, tmp_path).folder)
    one, two, three = run.result["problems"]
    assert run.result["status"] == "failed"
    assert [p["status"] for p in (one, two, three)] == ["failed", "failed", "done"]
    assert "return 1 / 0" in one["traceback"] and "ZeroDivisionError" in one["traceback"]
    assert "SystemExit" in two["traceback"] and "traceback" not in three
    assert one["x"] is None and one["errors"] == one["evaluations"] == 50


def test_a_key_that_a_merge_brings_may_be_there_once_more(tmp_path):
    path = tmp_path / "merged.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: [*a, *b], x: 4}\n")
    assert load_config(path)["b"] == {"x": 1, "y": 3} and load_config(path)["c"]["x"] == 4


def test_a_list_may_be_written_as_on_the_command_line():
    e = experiment_from({**SPHERE, "x0": "1, -2,3e-1", "sigma0": "1,.5,2"})
    assert e.x0 == [1, -2, 0.3] and e.sigma0 == [1, 0.5, 2]
    assert experiment_from({**SPHERE, "dim": 1, "x0": "4,"}).x0 == [4]
    assert experiment_from({**SPHERE, "name": "3", "mode": "generations"}).name == "3"


def test_a_fault_while_loading_names_the_problem(mine):
    with pytest.raises(plans.LoadError, match="own_functions:gone' raised KeyError: 'the data'"):
        plan(experiment_from({"problems": [f"{mine}:gone"], "dim": 2}))
