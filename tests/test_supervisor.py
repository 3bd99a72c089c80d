"""The supervisor: whatever workers do, each point has its value or a reason why it has none. And
what it exchanges with workers."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structes import EvaluationError, Evaluator
from structes.evaluators import as_it_is, spans, supervisor
from structes.evaluators.channel import Event
from structes.evaluators.evaluator import _Made
from structes.evaluators.serial import Serial
from structes.evaluators.spans import Batch, Span
from structes.evaluators.supervisor import Supervisor
from structes.evaluators.worker import Objective, Outcome, Runner
from structes.evaluators.worker_slots import StartBackoff, WorkerSlot
from structes.rowwise import rowwise

from . import crew
from .crew import X, bits

LATER = 1000  # first row of the second batch


def objective(unit):
    wrap = as_it_is if unit > 1 else rowwise
    return Objective(_Made(crew.of_rows if unit > 1 else crew.of_point, False, wrap))


def batches_of(sizes, units):
    found = []
    for k, (n, unit) in enumerate(zip(sizes, units, strict=True)):
        points = crew.points(n, seed=k)
        points[:, 0] += LATER * k
        found.append(Batch(f"f{k}", points, unit))
    return found


def worked_off(crewed, batches):
    """The Done of all batches; every row of them in exactly one."""
    done = []
    for batch in batches:
        crewed.submit(batch)
    while crewed.busy:
        done += crewed.wait()
    assert crewed.wait() == []
    for batch in batches:
        rows = [r for d in done if d.batch is batch for r in range(d.start, d.stop)]
        assert sorted(rows) == list(range(batch.size))
    return done


@pytest.mark.filterwarnings("ignore:a worker could not be started")
@settings(max_examples=150)
@given(
    moods=st.integers(0, 2**32),
    sizes=st.tuples(st.integers(1, 70), st.integers(1, 30)),
    units=st.tuples(st.integers(1, 9), st.integers(1, 3)),
    count=st.integers(1, 5),
    attempts=st.integers(1, 3),
    traps=st.dictionaries(st.integers(0, 69), st.sampled_from(["deadly", "slow"]), max_size=4),
    timed=st.booleans(),
    luck=st.sampled_from([0.0, 0.1, 0.4]),
    max_calls=st.sampled_from([None, 1, 4, 30]),
)
def test_chaos(moods, sizes, units, count, attempts, traps, timed, luck, max_calls):
    traps = {row: how for row, how in traps.items() if row < sizes[0]}
    deadly = {row for row, how in traps.items() if how == "deadly" or not timed}
    slow = traps.keys() - deadly
    timeout = 100.0 if timed else None
    things = {f"f{k}": objective(unit) for k, unit in enumerate(units)}
    expected = batches_of(sizes, units)
    worked_off(Supervisor(Serial(), things), expected)

    clock = crew.Clock()
    unit_of = dict.fromkeys(range(sizes[0]), units[0])
    unit_of.update(dict.fromkeys(range(LATER, LATER + sizes[1]), units[1]))
    chaos = crew.Chaos(
        random.Random(moods),
        clock,
        count,
        unit_of,
        deadly=deadly,
        slow=slow,
        attempts=attempts,
        luck=luck,
        max_calls=max_calls,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "time", clock)
        crewed = Supervisor(chaos, things, timeout, attempts, max_calls=max_calls)
        batches = batches_of(sizes, units)
        done = worked_off(crewed, batches)
        crewed.close()

    # who failed, and why
    failed = [(d.batch, f.row, f.kind) for d in done for f in d.failures]
    wanted = [(batches[0], row, "WorkerDied") for row in deadly]
    wanted += [(batches[0], row, "Timeout") for row in slow]
    assert sorted(failed, key=lambda f: f[1]) == sorted(wanted, key=lambda f: f[1])

    # the values: to the bit, where the unit could be evaluated as one
    unit = units[0]
    spoilt = {
        row for trap in traps for row in range(trap - trap % unit, trap - trap % unit + unit)
    }
    for k, (batch, other) in enumerate(zip(batches, expected, strict=True)):
        away = sorted(spoilt & set(range(batch.size))) if k == 0 else []
        whole = np.setdiff1d(np.arange(batch.size), away)
        assert bits(batch.values[whole]) == bits(other.values[whole])
        alone = [row for row in away if row not in traps]
        np.testing.assert_allclose(batch.values[alone], other.values[alone], rtol=1e-9)
    assert np.isnan(batches[0].values[sorted(traps)]).all()

    # spans are runs of whole units, or single rows of one that has failed
    for rows, of in chaos.calls:
        first = LATER * (rows[0] >= LATER)
        size = batches[first > 0].size
        assert rows == list(range(rows[0], rows[0] + len(rows)))
        if of == unit_of[rows[0]]:
            assert (rows[0] - first) % of == 0
            assert len(rows) % of == 0 or rows[-1] == first + size - 1
        else:
            assert of == 1 and len(rows) == 1 and rows[0] in spoilt

    # how often they were tried
    for row in deadly:
        first = row - row % unit
        together = range(first, min(first + unit, sizes[0]))
        if slow & set(together):
            continue
        as_unit = [1 for rows, of in chaos.tries[row] if of == unit and rows == tuple(together)]
        assert len(as_unit) == attempts
        if len(together) > 1:
            alone = [1 for rows, of in chaos.tries[row] if of == 1]
            assert len(alone) == 1


class Scripted(crew.Chaos):
    """Workers that do what `script`, a list of functions of the workers, says, poll by poll."""

    def __init__(self, script, count=2, depth=1):
        super().__init__(random.Random(1), None, count, {})
        self.script, self.depth = list(script), depth

    def capacity(self):
        return self.count

    def poll(self, seconds):
        act = self.script.pop(0)
        return act(list(self.clerks))


def ready(*numbers):
    def act(clerks):
        for k in numbers:
            clerks[k].ready = True
        return [Event(clerks[k]) for k in numbers]

    return act


def answered(clerk):
    return Event(clerk, clerk.runner.run(clerk.calls.pop(0)))


def gone(transport, clerk):
    transport.clerks.remove(clerk)
    return Event(clerk, ending="bad luck")


def test_work_queued_behind_a_death_costs_no_attempt(monkeypatch):
    (batch,) = batches_of([2], [1])
    transport = Scripted([], count=1, depth=2)
    die = lambda clerks: [gone(transport, clerks[0])]  # noqa: E731
    # the second row waits behind the first one, twice, and is then tried by itself, and dies once
    transport.script = [ready(0), die, ready(0), die, ready(0), die, ready(0)]
    transport.script += [lambda clerks: [answered(clerks[0])]]
    crewed = Supervisor(transport, {"f0": objective(1)}, attempts=2)
    crewed.costs["f0"] = 1e-4
    monkeypatch.setattr(supervisor, "rows_for", lambda *_: 1)
    done = worked_off(crewed, [batch])
    assert [f.row for d in done for f in d.failures] == [0]
    assert batch.values[1] == crew.of_point(batch.points[1])
    assert not transport.script


def test_after_a_death_nothing_is_shared_for_ten_seconds(monkeypatch):
    """Unless a row is so cheap that its call would cost more: which of them was it?"""
    clock, seen = crew.Clock(), []
    monkeypatch.setattr(supervisor, "time", clock)

    def rows_for(span, cost, latency, share, is_calm):
        seen.append(is_calm)
        return 1

    def later(seconds):
        def act(clerks):
            clock.now += seconds
            return [answered(clerks[0])]

        return act

    (batch,) = batches_of([4], [1])
    transport = Scripted([], count=1)
    die = lambda clerks: [gone(transport, clerks[0])]  # noqa: E731
    transport.script = [ready(0), die, ready(0), later(6), later(3), later(2), later(1)]
    crewed = Supervisor(transport, {"f0": objective(1)})
    monkeypatch.setattr(supervisor, "rows_for", rows_for)
    worked_off(crewed, [batch])
    assert seen == [True, False, False, False, True]
    span = Span(batch, 0, 4)
    assert spans.rows_for(span, 1.0, 1e-3, 4, False) == 1
    assert spans.rows_for(span, 1e-4, 1e-3, 4, False) == spans.rows_for(span, 1e-4, 1e-3, 4, True)


@pytest.mark.parametrize("timeout, kinds", [(0.5, []), (60, ["Timeout"])])
def test_late_news_of_a_death_is_no_timeout(timeout, kinds, monkeypatch):
    """Nobody says whether the alarm ended the worker, and it was heard of late: with a short
    timeout that may have been the fault of what waited behind, and its answer was lost."""
    clock = crew.Clock()
    monkeypatch.setattr(supervisor, "time", clock)
    (batch,) = batches_of([2], [1])
    transport = Scripted([], count=1, depth=2)

    def late(clerks):
        assert len(clerks[0].calls) == 2
        clock.now += timeout + 0.4
        return [gone(transport, clerks[0])]

    def answer(clerks):
        assert len(clerks[0].calls) == 1  # nothing waits behind a last try
        return [answered(clerks[0])]

    transport.script = [ready(0), late, ready(0), *[answer] * (2 - len(kinds))]
    crewed = Supervisor(transport, {"f0": objective(1)}, timeout=timeout)
    crewed.costs["f0"] = 1e-4
    monkeypatch.setattr(supervisor, "rows_for", lambda *_: 1)
    done = worked_off(crewed, [batch])
    assert [f.kind for d in done for f in d.failures] == kinds
    assert not transport.script


def test_a_failure_has_the_row_of_its_batch(monkeypatch):
    """Also where the span that it was in does not begin with the batch."""

    def fails(x):
        if round(x[0]) in (1, 4, 5):
            raise ArithmeticError(f"of row {x[0]:g}")
        return float(x[0])

    (batch,) = batches_of([7], [1])
    answers = [lambda clerks, k=k: [answered(clerks[k])] for k in (1, 0, 1, 0)]
    transport = Scripted([ready(0, 1), *answers])
    function = Objective(_Made(fails, False, rowwise))
    monkeypatch.setattr(supervisor, "rows_for", lambda *_: 2)
    done = worked_off(Supervisor(transport, {"f0": function}), [batch])
    failures = sorted((f.row, f.message) for d in done for f in d.failures)
    assert failures == [(row, f"of row {row}") for row in (1, 4, 5)]
    np.testing.assert_array_equal(batch.values, [0, np.nan, 2, 3, np.nan, np.nan, 6])


def test_what_happened_beside_an_error_is_not_lost():
    """One worker says that the function is none, another one in the same moment that it is ready:
    the next search has both."""
    (batch,) = batches_of([2], [1])
    wrong = Outcome(np.empty(0), 0.0, [], "no function")
    transport = Scripted([ready(0)])
    transport.script.append(lambda clerks: [Event(clerks[0], wrong), *ready(1)(clerks)])
    crewed = Supervisor(transport, {"f0": objective(1)})
    crewed.submit(batch)
    with pytest.raises(EvaluationError, match="no function"):
        crewed.wait()
    crewed.abandon()
    transport.clerks[0].calls.clear()
    (batch,) = batches_of([2], [1])
    transport.script = [lambda clerks: [answered(clerk) for clerk in clerks]]
    worked_off(crewed, [batch])
    assert len(transport.clerks) == 2 and not transport.script


def test_a_worker_that_has_done_its_calls_is_replaced_at_once(monkeypatch):
    """Also where nothing more is to do: its memory is wanted back."""
    (batch,) = batches_of([5], [1])
    answer = lambda clerks: [answered(clerks[0])]  # noqa: E731
    transport = Scripted([ready(0), answer, answer, ready(0), answer, answer, ready(0), answer])
    transport.count, seen = 1, []
    transport.start_worker = lambda: seen.append(Scripted.start_worker(transport)) or seen[-1]
    crewed = Supervisor(transport, {"f0": objective(1)}, max_calls=2)
    monkeypatch.setattr(supervisor, "rows_for", lambda *_: 1)
    worked_off(crewed, [batch])
    assert [clerk.rows for clerk in seen] == [2, 2, 1]
    assert transport.clerks == seen[2:] == [slot.worker for slot in crewed.slots]
    (batch,) = batches_of([1], [1])
    transport.script = [answer]
    worked_off(crewed, [batch])
    assert transport.clerks == crewed.slots == []


def test_a_worker_whose_last_call_shows_a_wrong_function_is_replaced_too():
    wrong = Outcome(np.empty(0), 0.0, [], "no function")
    transport = Scripted([ready(0), lambda clerks: [Event(clerks[0], wrong)]], count=1)
    crewed = Supervisor(transport, {"f0": objective(1)}, max_calls=1)
    (batch,) = batches_of([2], [1])
    crewed.submit(batch)
    with pytest.raises(EvaluationError, match="no function"):
        crewed.wait()
    crewed.abandon()
    transport.script = [ready(0), lambda clerks: [answered(clerks[0])]] * 2
    (batch,) = batches_of([2], [1])
    worked_off(crewed, [batch])


def test_no_worker_to_be_had(monkeypatch):
    clock = crew.Clock()
    monkeypatch.setattr(supervisor, "time", clock)

    def nothing(clerks):
        clock.now += 0.5
        return []

    (batch,) = batches_of([2], [1])
    began = clock.now
    crewed = Supervisor(Scripted([nothing] * 100), {"f0": objective(1)}, patience=20.0)
    crewed.submit(batch)
    with pytest.raises(EvaluationError, match="no worker could be had for 20 s"):
        crewed.wait()
    assert 20 <= clock.now - began < 22


def test_a_worker_has_left_what_it_was_given_less_what_it_has_had_time_for():
    slot = WorkerSlot("worker", 100.0)
    assert slot.ahead(0.5, 103.0) == 0
    spans = [SimpleNamespace(size=n) for n in (10, 4)]
    slot.calls.extend((span, None) for span in spans)
    assert slot.ahead(None, 103.0) == 14  # nobody knows what a row costs
    assert slot.ahead(0.5, 103.0) == 14 - 6
    assert slot.ahead(0.5, 150.0) == 4  # its first call may be late, and its second has not begun


def test_the_pause_after_bad_starts_grows_from_a_fifth_of_a_second_to_five():
    backoff = StartBackoff()
    assert backoff.may_try(0.0)
    for pause in (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        backoff.went_badly("no memory", 10.0, False, False)
        assert not backoff.may_try(10.0 + pause - 1e-6) and backoff.may_try(10.0 + pause + 1e-6)
    assert backoff.seconds(120.0, 2.0) == 120.0  # 2 s and twice as many after each bad start
    backoff.went_well()
    assert backoff.may_try(10.0) and backoff.seconds(120.0, 2.0) == 2.0


def test_wait_returns_in_time_and_at_once_where_nothing_is_to_do(monkeypatch):
    clock = crew.Clock()
    monkeypatch.setattr(supervisor, "time", clock)
    waited = []

    class Idle(Scripted):
        def poll(self, seconds):
            clock.now += seconds + 1e-9
            waited.append(seconds)
            return []

    crewed = Supervisor(Idle([]), {"f0": objective(1)})
    assert crewed.wait(7.0) == [] and not waited
    crewed.submit(*batches_of([2], [1]))
    assert crewed.wait(7.0) == []
    assert sum(waited) == pytest.approx(7.0)


@pytest.mark.parametrize("n", [0, 3])
def test_outcomes_as_bytes(n):
    failures = Evaluator("serial").bind(lambda x: 1 / 0)
    failures(X[:1])
    said = [failures.failures[0]._replace(message="line\nline \udc80 é", point=None)] * min(n, 1)
    outcome = Outcome(np.arange(n) / 3, 0.25, said, None)
    back = Outcome.of_bytes(outcome.to_bytes())
    assert bits(back.values) == bits(outcome.values)
    assert back[1:] == outcome[1:]


def test_a_desk_makes_a_thing_once_and_forgets_it():
    made, runner = [], Runner()
    runner.put("f", Objective(lambda: made.append(1) or rowwise(crew.of_point)))
    assert runner.made("f") is runner.made("f")
    assert len(made) == 1
    runner.drop("f")
    runner.drop("f")
    with pytest.raises(KeyError):
        runner.made("f")
