"""A fuzz of tame searches: each is drawn at random from all that is documented, and must work.

    python -m tests.fuzz 4711         # this case alone: its options, and what went wrong
    python -m tests.fuzz 0 2000       # these cases, one after the other

What is checked: nothing is raised and nothing is said that is not documented; candidates are
finite, inside the bounds, integers where they must be; evaluations are counted; the best value is
the least that was told; a search that was saved, pickled or copied goes on to the same bits; the
same case gives the same bits again; the fields of a result agree with each other.
"""

from __future__ import annotations

import copy
import hashlib
import pickle
import signal
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from structes import ES, RestartES, ShardedES, minimize

from .fuzz_cases import Case, chance, drawn, pick, value

SECONDS = 30  # a case that takes longer hangs
# What may be said, and by what it is called for.
SAID = {
    "told": "values of candidates that were told before are ignored",
    "nothing": "all values of a generation were",
    "strangers": "none of the points that were told is one that was asked",
    "failed": "evaluations of fun failed and count as missing",
    "prior": "prior: ",
}


def told_of(case: Case) -> set:
    """What may be said in this case."""
    may = {"told", "strangers"} if case.way == "tell" else set()
    if case.faults:
        may |= {"nothing", "failed"}
    return may | ({"nothing"} if case.way == "tell" else set())


@contextmanager
def listening(case: Case):
    """Around a case: what is said must be allowed, and it must come to an end."""

    def late(*_):
        raise AssertionError(f"it takes longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    allowed = [SAID[name] for name in told_of(case)]
    for its in said:
        assert any(start in str(its.message) for start in allowed), f"it says: {its.message}"


def check_points(case: Case, X, dtype: str | None = None) -> None:
    """Points are as candidates must be."""
    X, dtype = np.asarray(X), dtype or case.options.get("dtype", "float64")
    assert X.ndim == 2 and X.shape[1] == case.dim, f"candidates have shape {X.shape}"
    assert X.dtype.name == dtype, f"candidates are {X.dtype}"
    assert np.isfinite(X).all(), "a candidate is not finite"
    P = X.astype(float)
    assert not ((case.low > P) | (case.high < P)).any(), "a candidate is out of bounds"
    assert (P[:, case.integer] == np.round(P[:, case.integer])).all(), "no integer"
    assert (P[:, case.log] > 0).all(), "a logarithm of what is not positive"
    kept = np.dtype(case.options.get("dtype", "float64"))
    for i, fixed in case.fixed.items():
        its = X[:, i].astype(kept)
        assert (its == kept.type(fixed)).all(), f"coordinate {i} was fixed"


def check_search(case: Case, es) -> None:
    """Its state is one from which it can go on."""
    assert np.isfinite(es.sigma) and es.sigma > 0, f"sigma is {es.sigma}"
    deviations = np.asarray(es.deviations)
    assert np.isfinite(deviations).all() and (deviations >= 0).all(), "deviations"
    assert np.isfinite(es.mean).all(), "the mean is not finite"
    check_points(case, np.asarray(es.mean)[None, :], "float64")
    es.check()


class Player:
    """Asks and tells in every way that there is, and keeps account."""

    def __init__(self, case: Case, folder: Path):
        self.case, self.folder = case, folder
        self.rng = np.random.default_rng(case.plan["own"])
        options = dict(case.options)
        if case.restarts is not None:
            self.es = RestartES(**options, restarts=case.restarts, max_evaluations=10**6)
        else:
            self.es = ES(**options)
        self.sign = -1 if options.get("maximize") else 1
        self.out: list = []  # rows that wait
        self.known: list = []  # rows that were told
        self.told = 0  # first values
        self.best = np.inf
        self.digest = hashlib.sha256()
        # may two candidates be one point? then nobody can say how often each was told
        narrow = np.isfinite(case.low).any() or np.isfinite(case.high).any()
        whole = case.integer.any() or "choices" in options or self.es.space is not None
        small = options.get("dtype") == "float32" or case.plan["scale"] != 1
        self.unique = not (narrow or whole or small or options.get("noise"))

    def play(self) -> str:
        case, rng = self.case, self.rng
        while self.told < case.plan["evaluations"] and not self.es.stop():
            self.ask()
            self.tell()
            if self.known and chance(rng, 0.1):
                self.tell_again()
            if chance(rng, 0.08):
                self.tell_own()
            if chance(rng, 0.1) and (self.es.gathered.samples or self.es.ledger.open.n_told):
                self.es.advance()
            if chance(rng, 0.08):
                self.replace()
            check_search(case, self.es)
            self.check_account()
        self.note(self.es.mean, self.es.sigma, self.es.best.fun, self.es.evaluations)
        self.note(sorted(self.es.stop()), repr(self.es.info))
        repr(self.es)
        return self.digest.hexdigest()

    def note(self, *what):
        for its in what:
            its = its.tobytes() if isinstance(its, np.ndarray) else repr(its).encode()
            self.digest.update(its)

    def ask(self):
        kind = pick(self.rng, ["whole", "some", "lazy", "none"], [6, 2, 1, 1])
        if kind == "none" and self.out:
            return
        n = None if kind != "some" else int(self.rng.integers(1, 6))
        X = self.es.ask(n, lazy=kind == "lazy")
        X = X.points() if kind == "lazy" else X
        check_points(self.case, X)
        assert len(X) == (self.es.popsize if n is None else n), "how many it asks"
        self.note(X)
        self.out += list(np.array(X))

    def value(self, x):
        try:
            return value(self.case, x)
        except ArithmeticError:
            return np.nan

    def tell(self):
        rng, out = self.rng, self.out
        kind = pick(rng, ["all", "shuffled", "portion", "one by one"], [5, 2, 3, 1])
        if kind == "shuffled":
            rng.shuffle(out)
        n = len(out) if kind != "portion" else int(rng.integers(1, len(out) + 1))
        if kind == "portion" and chance(rng, 0.2):
            rng.shuffle(out)
        rows, self.out = out[:n], out[n:]
        if chance(rng, 0.03):
            self.out = []  # nobody evaluates these
        if not rows:
            return
        values = [self.value(x) for x in rows]
        if chance(rng, 0.1):
            values[int(rng.integers(n))] = np.nan
        es = self.es
        fresh = not (es.gathered.samples or es.ledger.open.n_told or es.ledger.late)
        fresh = fresh and self.unique and n == len(es.ledger.open.generation) >= es.popsize
        before = es.generation if fresh and kind != "one by one" else None
        self.hand_over(kind, rows, values)
        if before is not None:
            assert es.generation == before + 1, "a whole generation does not close it"
            self.check_info(es.info, np.array(values))
        self.known += list(zip(rows, values, strict=True))
        self.known = self.known[-100:]
        self.count(values)

    def check_info(self, info, values):
        """What an update says of a generation that was told as a whole."""
        good = np.sort(self.sign * values[values == values])
        assert info.missing == len(values) - len(good), f"{info.missing} missing of {values}"
        assert info.late == info.stale == info.injected == 0, f"{info}"
        if len(good):
            assert self.sign * info.best == good[0], f"the best of {values} is {info.best}"
        if len(good) == len(values):
            assert self.sign * info.worst == good[-1], f"the worst of {values} is {info.worst}"

    def hand_over(self, kind, rows, values):
        """Tell values of rows in any form."""
        rng = self.rng
        if kind == "one by one":
            for x, v in zip(rows, values, strict=True):
                self.es.tell(x, v)
        else:
            form = pick(rng, ["arrays", "lists", "pairs", "dicts"])
            if form == "lists":
                self.es.tell([x.tolist() for x in rows], values)
            elif form == "pairs":
                self.es.tell(list(zip(rows, values, strict=True)))
            elif form == "dicts" and self.es.space is not None and self.whole_dicts():
                self.es.tell([self.es.space.to_dict(x) for x in rows], values)
                self.unique = False
            else:
                self.es.tell(np.array(rows), np.array(values))

    def whole_dicts(self):
        """A dict holds all of a point but how far ahead an option is: that is one's own point."""
        return "choices" not in self.es.space.arguments()

    def count(self, values):
        self.told += len(values)
        good = [self.sign * v for v in values if v == v]
        self.best = min([self.best, *good])

    def tell_again(self):
        """Values of what was told before: they count for nothing, or are no better."""
        x, v = self.known[int(self.rng.integers(len(self.known)))]
        v = v if chance(self.rng, 0.5) or v != v else v + self.sign * abs(v)
        if v == v and abs(v) < np.inf:
            before = self.es.evaluations
            self.es.tell(x, v)
            self.told += self.es.evaluations - before
            if self.unique:
                assert self.es.evaluations == before, "a value that came again was counted"
            self.best = min(self.best, self.sign * v)

    def tell_own(self):
        """A point that nobody asked."""
        x = np.array(self.es.mean, dtype=float)
        if self.es.best.x is not None and chance(self.rng, 0.5):
            y = self.es.best.x
            inside = (x + y) / 2
            inside[self.case.integer] = y[self.case.integer]
            x = np.clip(inside, self.case.low, self.case.high)
            for i, fixed in self.case.fixed.items():
                x[i] = fixed
        before, v, waiting = self.es.evaluations, self.value(x), len(self.es.pending)
        generation = self.es.generation
        self.es.tell(x[None, :], [v])
        if generation != self.es.generation or len(self.es.pending) < waiting:
            self.unique = False  # it may have been taken for a candidate
        added = self.es.evaluations - before
        assert added in (0, 1), f"one point counts {added} times"
        self.told += added
        if added and v == v:
            self.best = min(self.best, self.sign * v)
        elif v == v:  # it was told before, or took the place of a value
            self.best = min(self.best, self.sign * self.es.best.fun)

    def replace(self):
        """A file, a pickle, a copy goes on to the same bits."""
        way = pick(self.rng, ["file", "pickle", "copy", "deepcopy"])
        if way == "file":
            path = self.folder / "search"
            self.es.save(path)
            twin = type(self.es).load(path)
        elif way == "pickle":
            twin = pickle.loads(pickle.dumps(self.es))
        else:
            twin = getattr(copy, way)(self.es)
        assert np.array_equal(self.es.pending, twin.pending), f"{way}: other points wait"
        n = int(self.rng.integers(1, 6))
        X, Y = self.es.ask(n), twin.ask(n)
        assert np.array_equal(X, Y) and X.dtype == Y.dtype, f"{way}: it asks other points"
        values = [self.value(x) for x in X]
        pending = np.array(self.es.pending)
        for es in (self.es, twin):
            es.tell(X, values)
        for name in ("sigma", "evaluations", "generation", "best", "info", "popsize", "switches"):
            a, b = repr(getattr(self.es, name)), repr(getattr(twin, name))
            assert a == b, f"{way}: {name} is {b}, and was {a}"
        seen = (self.es.monitor.history._asdict(), twin.monitor.history._asdict())
        for name in seen[0].keys() - {"values"}:  # of which a file holds those that are wanted
            a, b = (repr(its[name]) for its in seen)
            assert a == b, f"{way}: the monitor's {name} is {b}, and was {a}"
        assert self.es.stop().keys() == twin.stop().keys(), f"{way}: it stops for other reasons"
        if self.out and not len(pending):
            self.out = []
        self.count(values)
        self.es = twin

    def check_account(self):
        es = self.es
        if self.unique:
            assert es.evaluations == self.told, f"{es.evaluations} evaluations, {self.told} told"
        else:
            assert es.evaluations <= self.told, f"{es.evaluations} evaluations, {self.told} told"
            self.told = max(es.evaluations, self.told - 1)
        best = self.sign * es.best.fun
        assert best == self.best, f"the best is {best}, the least value told {self.best}"
        if es.best.x is not None:
            check_points(self.case, es.best.x[None, :], "float64")
        assert (es.best.x is None) == (best == np.inf), "a best value without a point"


def told(case: Case, folder: Path) -> str:
    return Player(case, folder).play()


def value_of_user(case: Case, x) -> float:
    """Of a point, or of a dict of parameters."""
    return value(case, case.options["x0"].from_dict(x) if hasattr(x, "keys") else x)


def minimized(case: Case, folder: Path) -> str:
    """The search in one call, and on from there with a larger budget."""
    calls: list = []
    options = dict(case.options)
    space = hasattr(options.get("x0"), "to_dict")
    sign = -1 if options.get("maximize") else 1

    def fun(x):
        x = options["x0"].from_dict(x) if space else x
        try:
            v = value(case, x)
        except ArithmeticError:
            calls.append((np.array(x, float), np.nan))
            raise
        calls.append((np.array(x, float), v))
        return v

    rng = np.random.default_rng(case.plan["own"])
    seen: list = []
    most = case.plan["evaluations"]
    extra: dict = {"max_evaluations": most}
    if case.restarts is not None:
        extra["restarts"] = case.restarts
    if chance(rng, 0.3):
        extra["callback"] = lambda es: seen.append(es.generation)
    elif chance(rng, 0.2):
        extra["callback"] = lambda intermediate_result: (
            seen.append(intermediate_result.nit) or (len(seen) == 5)
        )
    if chance(rng, 0.1):
        extra["first"] = True
    if case.plan["workers"]:
        extra["workers"] = 2
        fun = partial(value_of_user, case)
    try:
        result = minimize(fun, **options, **extra)
    except ArithmeticError as error:
        assert "exception" in case.faults and not any(abs(v) < np.inf for _, v in calls)
        assert not hasattr(error, "result") or error.result.nfev == len(calls)
        return "raised"
    check_result(case, result, calls, most, sign, counted=not case.plan["workers"])
    es = result.es
    digest = hashlib.sha256(np.asarray(es.mean).tobytes())
    if chance(rng, 0.4) and not case.plan["workers"]:
        if chance(rng, 0.5):
            es.save(folder / "search")
            es = type(es).load(folder / "search")
        before = result.nfev
        try:
            again = minimize(fun, es=es, max_evaluations=most + 30)
        except ArithmeticError:
            assert not any(abs(v) < np.inf for _, v in calls)
            return "raised"
        check_result(case, again, calls, most + 30, sign)
        assert again.nfev >= before
        digest.update(np.asarray(again.x).tobytes())
    return digest.hexdigest() + repr(result.nfev)


def check_result(case, result, calls, most, sign, counted=True) -> None:
    """The fields of a result agree with each other, and with what was evaluated."""
    es = result.es
    assert result.nfev == es.evaluations <= most, f"{result.nfev} of {most} evaluations"
    assert result.nit == es.generation and result.stop and isinstance(result.message, str)
    assert isinstance(result.success, (bool, np.bool_))
    check_search(case, es)
    assert sum(run.evaluations for run in result.restarts) == result.nfev, "evaluations of runs"
    assert sum(run.generations for run in result.restarts) == result.nit, "generations of runs"
    if "target" in result.stop:
        assert sign * result.fun <= sign * es.stopping.target * sign, "the target"
    if not counted:
        return
    dtype = case.options.get("dtype", "float64")
    check_points(case, np.array([x for x, _ in calls], dtype=dtype))
    assert result.nfev == len(calls), f"nfev is {result.nfev} after {len(calls)} calls"
    point = result.x if es.space is None else es.space.from_dict(result.params)
    good = [sign * v for _, v in calls if v == v and abs(v) < np.inf]
    if good:
        assert sign * result.fun == min(good), f"fun is {result.fun}, the best was {min(good)}"
        there = [x for x, v in calls if sign * v == min(good)]
        assert any(np.array_equal(x, point) for x in there), "x is not where fun is"
    else:
        assert not np.isfinite(result.fun)
    failed = sum(v != v for _, v in calls) if "exception" in case.faults else 0
    assert result.errors <= failed


def sharded(case: Case, folder: Path) -> str:
    """The search where the candidates are."""

    def fun(X):
        rows = [x if not hasattr(x, "keys") else case.options["x0"].from_dict(x) for x in X]
        check_points(case, np.array(rows, dtype=case.options.get("dtype", "float64")))
        values = []
        for x in rows:
            try:
                values.append(value(case, x))
            except ArithmeticError:
                values.append(np.nan)
        return np.array(values)

    with ShardedES(fun, **case.options) as es:
        for k in range(4):
            if es.stop():
                break
            es.step()
            assert np.isfinite(es.sigma) and es.sigma > 0
            check_points(case, es.mean[None, :], "float64")
            if k == 1:
                es.save(folder / "sharded")
                with ShardedES.load(folder / "sharded", fun, replicas=1) as twin:
                    assert np.array_equal(es.mean, twin.mean) and es.sigma == twin.sigma
                    assert repr(es.best) == repr(twin.best) and es.stop() == twin.stop()
                    if not es.stop():
                        twin.step()
                        es.step()
                        assert np.array_equal(es.mean, twin.mean), "a loaded search goes astray"
        return repr((es.mean.tobytes(), es.sigma, es.best.fun, es.evaluations))


WAYS = {"tell": told, "minimize": minimized, "sharded": sharded}


def run_case(number: int) -> None:
    """Run a case; AssertionError, or whatever was raised, where it fails."""
    case = drawn(number)
    with tempfile.TemporaryDirectory() as folder:
        play = partial(WAYS[case.way], case, Path(folder))
        with listening(case):
            first = play()
            if case.plan["again"]:
                assert play() == first, "the same case gives other bits"


def failures_of(numbers) -> dict:
    """{number: what went wrong} of these cases."""
    failed = {}
    for number in numbers:
        try:
            run_case(number)
        except Exception:
            failed[number] = traceback.format_exc(limit=-6)
    return failed


def main(words) -> int:
    first = int(words[0])
    numbers = range(first, int(words[1])) if len(words) > 1 else [first]
    if len(numbers) == 1:
        print(drawn(first))
    began, failed = time.monotonic(), 0
    for number in numbers:
        for its, said in failures_of([number]).items():
            failed += 1
            print(f"case {its} fails (python -m tests.fuzz {its}):\n{said}", flush=True)
    print(f"{failed} of {len(numbers)} failed, in {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
