"""Measuring: turns, regions of many calls, processes of their own, tables, provenance."""

import json
import math
import subprocess

import pytest

from structes.bench import measuring, tables
from structes.bench.measuring import geometric_mean, in_own_process, turns


def test_turns_keep_the_smallest_and_all_take_one_after_the_other():
    order, times = [], {"a": iter([3.0, 1.0, 2.0]), "b": iter([5.0, 6.0, 4.0])}

    def measure(name):
        order.append(name)
        return next(times[name])

    asked = []

    def goes_on(rounds, passed):
        asked.append(rounds)
        assert passed >= 0
        return rounds < 3

    found = turns({name: lambda name=name: measure(name) for name in times}, goes_on)
    assert found == ({"a": 1.0, "b": 4.0}, 3)
    assert order == ["a", "b"] * 3 and asked == [1, 2, 3]


def test_the_geometric_mean_is_that_of_the_factors():
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert math.isnan(geometric_mean([]))


def test_answers_of_another_process_are_found_among_what_libraries_print(monkeypatch):
    printed = f'INFO hello\n{measuring.PREFIX}[10, "text"]\n{measuring.PREFIX}[20, '.encode()

    def late(*_, timeout, **__):
        raise subprocess.TimeoutExpired("peer", timeout, output=printed)

    monkeypatch.setattr(subprocess, "run", late)
    # the last line was torn when the process was ended
    assert in_own_process("a:b", [], timeout=7) == ([[10, "text"]], "ended after 7 s")


def test_a_process_of_its_own_says_why_it_ended():
    found, why = in_own_process("peers.gpu:answers", ["no such", "numpy", "float64", 1, 1.0, []])
    assert found == [] and "StopIteration" in why


def test_what_a_generator_yields_goes_through_json(monkeypatch, capsys):
    monkeypatch.setattr("structes.bench.tables.twice", lambda n: iter([n, 2 * n]), raising=False)
    monkeypatch.setattr(measuring.sys, "argv", ["-c", json.dumps([21])])
    measuring.answer("tables", "twice")
    assert measuring._answers(capsys.readouterr().out.encode()) == [21, 42]


def test_a_process_that_is_killed_says_by_which_signal(monkeypatch):
    ended = subprocess.CompletedProcess([], -9, f"{measuring.PREFIX}1\n".encode(), b"a line\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    assert in_own_process("a:b", []) == ([1], "killed by signal 9")


def test_tables_are_aligned_and_in_markdown():
    table = [["name", "n"], ["a", "10"], ["long one", "7"]]
    assert tables.aligned(table, {0}) == ["name       n", "a         10", "long one   7"]
    assert tables.markdown(table) == [
        "| name | n |",
        "| --- | --- |",
        "| a | 10 |",
        "| long one | 7 |",
    ]
