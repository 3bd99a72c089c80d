"""The table of behaviour: structes is in order, and no check of it is one that all would pass."""

import os
import pickle
import random
import signal
import time
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

pytest.importorskip("cocoex")

from structes.bench import kept as reference
from structes.bench.cli import bench
from structes.bench.trust import behaviour, cells, clients, one_cell
from structes.bench.trust.behaviour import SITUATIONS, Cell
from structes.population.generation import Generation

SLOW = [name for name in SITUATIONS if name.endswith("300")]
FILES = ["resume", "file"]


def look(name, client):
    """The cell of a situation and a class, observed in this process."""
    return behaviour.judge(name, "it", one_cell.cell(client, name))


def test_every_situation_says_what_is_in_order():
    assert len(SITUATIONS) > 20
    for situation in SITUATIONS.values():
        assert situation.title and situation.want


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in FILES else n for n in SITUATIONS],
)
def test_structes_is_in_order(name):
    cell = look(name, clients.Structes)
    assert cell.ok, cell.outcome


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solver", "package", "amiss"),
    [
        ("pycma", "cma", {"generators", "part-2-7", "ties", "nan"}),
        ("cmaes", "cmaes", {"part-5-10", "twice", "stale", "ties", "nan", "all-nan", "data"}),
    ],
)
def test_a_peer_is_run_and_found_out(solver, package, amiss):
    pytest.importorskip(package)
    found = {}
    for name in SITUATIONS:
        if name not in [*SLOW, *FILES, "bounds-optimum"]:
            facts = one_cell.cell(clients.CLIENTS[solver], name)
            assert "failed" not in facts, (name, facts)
            found[name] = behaviour.judge(name, solver, facts)
    assert amiss <= {name for name, cell in found.items() if not cell.ok}
    assert found["bounds"].ok and found["order"].ok and found["inf"].ok


# -- every check fails for a toy that does what it forbids ----------------------------------------


class Toy(clients.Structes):
    """structes with a fault; `asked` are the rows of the last ask."""

    def ask(self):
        self.asked = super().ask()
        return self.asked

    def is_last(self, X):
        return len(X) == len(self.asked) and np.isin(np.asarray(X), self.asked).all()


class ForgetsEarlierAsks(Toy):
    def give(self, X, values):
        if all(np.isin(x, self.asked).all() for x in X):
            super().give(X, values)


class WantsWholeGenerations(Toy):
    def give(self, X, values):
        assert len(X) == len(self.asked), "all of them"
        super().give(X, values)


class ThrownByOldValues(Toy):
    def give(self, X, values):
        super().give(X, values)
        if not self.is_last(X):
            self.es.state = self.es.state._replace(mean=np.mean(X, axis=0))


class CountsAgain(Toy):
    def give(self, X, values):
        told = getattr(self, "told", set())
        again = bytes(X[0]) in told
        self.told = told | {bytes(x) for x in X}
        super().give(np.asarray(X) + 1.0 if again else X, values)


class LosesTheLastRow(Toy):
    def give(self, X, values):
        super().give(X, [*values[:-1], float("nan")])


class LikesNan(Toy):
    def give(self, X, values):
        super().give(X, np.nan_to_num(values, nan=-1e9))


class MendsTheList(Toy):
    def give(self, X, values):
        for i, value in enumerate(values):
            if value != value:
                values[i] = 1e9
        super().give(X, values)


class Poisoned(Toy):
    def give(self, X, values):
        super().give(X, values)
        if not np.isfinite(values).all():
            self.es.state = self.es.state._replace(mean=self.es.state.mean * np.nan)


class NeverMovesAgain(Toy):
    def give(self, X, values):
        self.stuck = getattr(self, "stuck", False) or not np.isfinite(values).all()
        if not self.stuck:
            super().give(X, values)


class LikesInf(Toy):
    def give(self, X, values):
        super().give(X, np.nan_to_num(values, posinf=-1e9))


class BlindToMinusInf(Toy):
    def give(self, X, values):
        super().give(X, np.nan_to_num(values, neginf=1e9))


class BreaksTiesByPlace(Toy):
    def give(self, X, values):
        super().give(X, np.asarray(values) + 1e-9 * np.arange(len(values)))


class LeavesTheBox(Toy):
    def ask(self):
        return super().ask() - 1.0

    def give(self, X, values):
        super().give(np.asarray(X) + 1.0, values)


class ClipsTheStart(Toy):
    def __init__(self, x0, sigma0, options):
        super().__init__(np.clip(x0, 1.0, 4.0), sigma0, options)


class AvoidsBounds(Toy):
    @staticmethod
    def native(seed, popsize, bounds):
        box = None if bounds is None else [(a + 0.1, b - 0.1) for a, b in bounds]
        return Toy.native(seed, popsize, box)


class ForgetsItsNoise(Toy):
    @classmethod
    def load(cls, path):
        client = super().load(path)
        its = client.es._search
        old = its.ledger.open.generation
        new = Generation(old.strategy, old.state, old.seed + 1, old.origin, old.portions)
        client.es._search = its._replace(ledger=its.ledger.asked(new), seed=its.seed + 1)
        return client


class Pickles(Toy):
    def save(self, path):
        super().save(path)
        Path(path).write_bytes(pickle.dumps((Fraction(1, 2), Path(path).read_bytes())))

    @classmethod
    def load(cls, path):
        _, data = pickle.loads(Path(path).read_bytes())
        Path(path).write_bytes(data)
        return super().load(path)


class DrawsFromNumpy(Toy):
    def ask(self):
        np.random.random()  # noqa: NPY002
        return super().ask()


class DrawsFromRandom(Toy):
    def ask(self):
        random.random()
        return super().ask()


class SeededElsewhere(Toy):
    """Puts the generator back, but depends on it."""

    def ask(self):
        state = np.random.get_state()  # noqa: NPY002
        shift = np.random.random()  # noqa: NPY002
        np.random.set_state(state)  # noqa: NPY002
        return super().ask() + shift


class KeepsTheStart(Toy):
    def __init__(self, x0, sigma0, options):
        super().__init__(x0, sigma0, options)
        self.mine = x0

    def give(self, X, values):
        super().give(X, values)
        self.mine += 0.1


class EatsOptions(Toy):
    def __init__(self, x0, sigma0, options):
        options["bounds"] = options.pop("bounds", None) and [(-8.0, 8.0)] * len(x0)
        super().__init__(x0, sigma0, options)


class SortsTheValues(Toy):
    def give(self, X, values):
        super().give(X, values)
        values.sort()


class NeverTheSame(Toy):
    @staticmethod
    def native(seed, popsize, bounds):
        return {**Toy.native(seed, popsize, bounds), "seed": time.monotonic_ns()}


FAULTS = [
    (ForgetsEarlierAsks, {"ask-twice", "ask-twice-once", "late"}),
    (WantsWholeGenerations, {"part-5-10", "part-2-7", "ask-twice-once"}),
    (ThrownByOldValues, {"stale"}),
    (CountsAgain, {"twice", "twice-later"}),
    (LosesTheLastRow, {"order"}),
    (LikesNan, {"nan"}),
    (MendsTheList, {"nan", "all-nan"}),
    (Poisoned, {"nan", "all-nan", "inf", "infs"}),
    (NeverMovesAgain, {"nan", "all-nan", "inf", "infs", "minus-inf"}),
    (LikesInf, {"inf", "infs"}),
    (BlindToMinusInf, {"minus-inf"}),
    (BreaksTiesByPlace, {"ties"}),
    (LeavesTheBox, {"bounds"}),
    (ClipsTheStart, {"bounds-start"}),
    (AvoidsBounds, {"bounds-optimum"}),
    (ForgetsItsNoise, {"resume"}),
    (Pickles, {"file"}),
    (DrawsFromNumpy, {"generators"}),
    (DrawsFromRandom, {"generators"}),
    (SeededElsewhere, {"generators"}),
    (KeepsTheStart, {"data"}),
    (EatsOptions, {"data"}),
    (SortsTheValues, {"data"}),
    (NeverTheSame, {"ask-twice", "part-5-10", "late"}),
]


@pytest.mark.parametrize(
    ("toy", "names"),
    [
        pytest.param(toy, names, marks=pytest.mark.slow if names & set(FILES) else ())
        for toy, names in FAULTS
    ],
    ids=[toy.__name__ for toy, _ in FAULTS],
)
def test_a_fault_is_found(toy, names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            cell = look(name, toy)
            assert cell.ok is False, (name, cell.outcome)


def test_every_check_has_a_fault_that_it_finds():
    assert set(SITUATIONS) - set(SLOW) == set().union(*(names for _, names in FAULTS))


# -- the processes, the command, the file ---------------------------------------------------------


class Hangs(Toy):
    def ask(self):
        time.sleep(60)


class Crashes(Toy):
    def ask(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Missing(Toy):
    @classmethod
    def check(cls):
        raise ImportError("it is not installed: pip install it")


@pytest.mark.slow
def test_a_cell_that_hangs_or_crashes_harms_no_other():
    assert cells.run("cell", cells.name_of(Hangs), "order", limit=3) == {
        "failed": "no end after 3 s"
    }
    made = behaviour.measure(["order"], [cells.name_of(Crashes), "structes"], jobs=2)
    assert made[0].ok is False and "killed by signal 9" in made[0].outcome
    assert made[1] == Cell("order", "structes", True, "the same bits")


@pytest.mark.slow
def test_what_is_missing_is_no_fault():
    (cell,) = behaviour.measure(["order"], [cells.name_of(Missing)])
    assert (cell.ok, cell.outcome) == (None, "it is not installed: pip install it")
    assert "Missing: it is not installed" in behaviour.lines([cell])[-1]


def test_the_command_prints_and_keeps_and_exits(tmp_path, monkeypatch):
    table = [
        Cell("order", "structes", True, "the same bits"),
        Cell("order", "pycma", False, "another | state"),
        Cell("data", "structes", False, "changed: x0"),
        Cell("data", "pycma", None, "not installed"),
    ]
    monkeypatch.setattr(behaviour, "measure", lambda *args: table)
    words = ["behaviour", "--against", "pycma", "--only", "order,data", "-o"]
    path = tmp_path / "behaviour.yaml"
    ran = CliRunner().invoke(bench, [*words, str(path)])
    assert ran.exit_code == 1 and "changed: x0" in ran.output
    assert behaviour.read(path)[0] == table
    made = yaml.safe_load(path.read_text(encoding="utf-8"))["made"]
    assert made["command"] == "structes bench behaviour --against pycma --only order,data"
    heads, *lines = reference.behaviour_table(path).splitlines()
    assert heads == "|  | in order is | structes | pycma |"
    assert lines[1].endswith("| the same bits | **no:** another / state |")
    assert lines[-1] == "| in order |  | 1 of 2 | 0 of 1 |"
    text = reference.with_tables("<!-- bench:behaviour -->\n<!-- /bench -->", tmp_path)
    assert "\n".join([heads, *lines]) in text
    with pytest.raises(ValueError, match=r"bench:behaviour.*there is no"):
        reference.with_tables("<!-- bench:behaviour -->\n<!-- /bench -->", tmp_path / "gone")
    monkeypatch.setattr(behaviour, "measure", lambda *args: table[:2])
    assert CliRunner().invoke(bench, words[:-1]).exit_code == 0


@pytest.mark.parametrize(("option", "word"), [("--only", "ordre"), ("--against", "pycme")])
def test_an_unknown_word_is_named(option, word):
    ran = CliRunner().invoke(bench, ["behaviour", option, word])
    assert ran.exit_code == 2 and "did you mean" in ran.output
