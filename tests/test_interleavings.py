"""Ask and tell in any order at all, driven by hypothesis against a list of what was asked.

Whatever comes in between — parts, late values, repetitions, NaN, points of one's own, a file and
back — nothing is lost, nothing counts twice, and the state stays one.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from structes import ES, RestartES
from structes.population.asked import KEPT

STRUCTURES = ("dense", "diagonal", "auto", {"name": "block_lower", "k": 1}, {"name": "low_rank"})
VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, np.nan, np.inf]), st.floats(-1e6, 1e6, allow_nan=False)
)


class Conversation(RuleBasedStateMachine):
    """A search, and what a careful user would have noted of it."""

    @initialize(
        structure=st.sampled_from(STRUCTURES),
        popsize=st.sampled_from([None, 2, 7]),
        restarts=st.sampled_from([None, "ipop"]),
        bounded=st.booleans(),
        integers=st.sampled_from([None, [1]]),
    )
    def begin(self, structure, popsize, restarts, bounded, integers):
        options = {"bounds": [(-2, 9)] * 4 if bounded else None, "integers": integers}
        options |= {"max_evaluations": 10**6, "flat": 3, "failures": 3, "target": -1e9}
        make = ES if restarts is None else RestartES
        if restarts:
            options["restarts"] = restarts
        x0 = [1.0, 2.0, 3.0, 4.0]
        self.es = make(x0, 0.7, structure, 5, popsize, **options)
        self.kind, self.bounded = make, bounded
        self.out = []  # (point, generation) that were not told
        self.told = []  # (point, where it was asked) of those that were
        self.replaced = set()  # points in whose place one of the user's own came
        self.asks = 0
        self.evaluations, self.best = 0, np.inf

    @precondition(lambda self: not self.es.stop())
    @rule(n=st.one_of(st.none(), st.integers(1, 12)))
    def ask(self, n):
        X = self.es.ask(n)
        assert len(X) == (self.es.popsize if n is None else n)
        if self.bounded:
            assert ((X >= -2) & (X <= 9)).all()
        self.out += [(x, self.now()) for x in X]
        self.asks += 1

    def now(self):
        """The open generation, of whichever run."""
        return getattr(self.es, "restart", 0), self.es.generation

    def tell(self, X, values):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.es.tell(X, values)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def tell_some(self, data):
        """In any order, of any age, each once."""
        order = data.draw(st.permutations(range(len(self.out))))
        chosen = order[: data.draw(st.integers(1, len(order)))]
        values = [data.draw(VALUES) for _ in chosen]
        self.note([self.out[i][0] for i in chosen], values)
        for i in sorted(chosen, reverse=True):
            self.told.append(self.out.pop(i))

    def note(self, X, values):
        self.tell(np.array(X), values)
        self.evaluations += len(X)
        known = [v for v in values if not np.isnan(v)]
        self.best = min([self.best, *known])

    @precondition(lambda self: self.told)
    @rule(data=st.data(), value=VALUES)
    def tell_again(self, data, value):
        """Once more: of the open generation the value is replaced, else it is ignored. A point of
        the user's own is evaluated anew where something was asked in between, or is waited for:
        it may be a candidate that was repaired."""
        i = data.draw(st.integers(max(0, len(self.told) - 30), len(self.told) - 1))
        x, asked = self.told[i]
        if isinstance(asked, int):
            waits = len(getattr(self.es, "es", self.es).ledger.open.waits)
            if asked == self.asks and not waits:
                self.tell(x[None, :], [value])
            elif not self.es.domain.has_integers:
                self.told[i] = x, self.asks
                self.note_own(x, value)
            return
        if asked == self.now() and not np.isnan(value):
            self.best = min(self.best, value)
        self.tell(x[None, :], [value])

    @rule(x=st.lists(st.floats(-1.5, 8.5), min_size=4, max_size=4), value=VALUES)
    def tell_own(self, x, value):
        x = np.array(x)
        if self.es.domain.has_integers or any(np.array_equal(x, y) for y, _ in self.told):
            return
        self.told.append((x, self.asks))
        self.note_own(x, value)

    def note_own(self, x, value):
        """It may come in the place of one candidate, of which a value may still come."""
        before = {y.tobytes() for y in self.es.pending}
        self.note([x], [value])
        if self.kind is ES and self.es.generation <= KEPT:
            gone = before - {y.tobytes() for y in self.es.pending}
            assert len(gone) <= 1
            self.replaced |= gone

    @rule(bad=st.sampled_from([-np.inf, 1j, "low", None]))
    def tell_nonsense(self, bad):
        if not self.out:
            return
        before = self.es.evaluations, self.es.generation, self.es.sigma
        with pytest.raises((TypeError, ValueError)):
            self.es.tell(self.out[0][0][None, :], [bad])
        assert (self.es.evaluations, self.es.generation, self.es.sigma) == before

    @rule()
    def advance(self):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.es.advance()
        except ValueError as error:
            assert "at least one value" in str(error)

    @rule()
    def save_and_load(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "search"
            self.es.save(path)
            twin = self.kind.load(path)
        assert twin.sigma == self.es.sigma and twin.generation == self.es.generation
        np.testing.assert_array_equal(twin.pending, self.es.pending)
        self.es = twin

    @invariant()
    def nothing_is_lost_and_the_state_is_sound(self):
        if not hasattr(self, "es"):
            return
        es, state = self.es, self.es.state
        assert 0 < state.sigma < np.inf and (np.asarray(state.scale) > 0).all()
        assert np.isfinite(state.mean).all() and np.isfinite(es.structure.logdet(state.factor))
        assert np.isfinite(state.path).all() and np.isfinite(state.path_sigma).all()
        if self.es.domain.has_integers:
            return  # points may coincide there: then one value is taken for either
        assert es.evaluations == self.evaluations
        assert es.best.fun == self.best
        waited = {x.tobytes() for x, _ in self.out}
        pending = {x.tobytes() for x in es.pending}
        assert pending <= waited
        if es.generation <= KEPT and self.kind is ES:
            assert waited - pending <= self.replaced


TestConversation = Conversation.TestCase
TestConversation.pytestmark = pytest.mark.slow
TestConversation.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
)
