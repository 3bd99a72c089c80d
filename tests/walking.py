"""Every field of a search, found by walking the tree of its objects.

`leaves` goes down through attributes, slots, tuples, dicts and lists, and knows no field by its
name, so that one that is added tomorrow is found, too. What a file does not hold as it is stands
in two tables: LEFT_OUT says what a loaded search need not have, and why, VIEWS what is compared in
place of it. Both name attributes that must exist.
"""

import functools
import types
from collections import deque
from collections.abc import Mapping

import numpy as np

from structes.arrays.libraries import to_numpy
from structes.arrays.persistent import PersistentList
from structes.population.asked import Entry
from structes.population.generation import Generation
from structes.population.known_points import KnownPoints
from structes.search.arguments import Arguments
from structes.search.base import BaseSearch
from structes.search.restart_es import RestartES
from structes.search.state import Best
from structes.sharded.replica import Replica
from structes.space.fixed import Fixed
from structes.strategy.monitor import Monitor
from structes.structures.building import build_structure

LEFT_OUT = {
    "BaseSearch._lock": "a lock; every search has its own",
    "Ledger.family": "the name of the search; a loaded one has another",
    "DrawnGeneration.origin": "the name of the search",
    "Ledger.told_masks": "what was told by address, and addresses end with the process",
    "DrawnGeneration._index": "worked out",
    "DrawnGeneration._recipe": "worked out",
    "DrawnGeneration._redrawn": "worked out",
    "DrawnGeneration._volume": "worked out",
    "Portion.Z": "drawn again from the state and the seed; `points` of Generation says which",
    "Portion.Y": "as Z",
    "Portion.X": "as Z",
    "Portion.indices": "of which candidates Z, Y and X are kept",
    "Portion.prints": "of Generation: the fingerprints of `points`",
    "Portion.sample": "worked out",
    "Arguments.prior": "used: what it said is in the state",
    "Replica._drawn": "of the generation under way, which is evaluated again",
    "Replica._sums": "as _drawn",
    "KnownPoints._index": "worked out",
    "KnownPoints._points": "worked out",
    "KnownPoints._size": "worked out",
    "Lockstep._finalizer": "what ends the replicas",
    "ShardedES._beginning": "where replicas begin that are all lost: the file, once there is one",
    "Lockstep._beginning": "as of ShardedES",
    "ShardedES._shown_best": "a weak reference to a point that somebody looks at",
    "ShardedES._answers": "of a search that was closed; no such one can be saved",
    "ShardedES.failures": "of evaluations, to be looked at; a file holds none",
}

seen_left_out: set = set()  # by any walk so far


def _search(es):
    return {"_start": es.seconds}


def _with_restarts(es):
    return {"_start": es.seconds, "_warned": es.es._warned}  # the runs are who warns


def _arguments(arguments):
    domain, sigma0 = arguments.domain(arguments.start())
    structure = arguments.structure_for(domain)
    built = structure if isinstance(structure, str) and structure == "auto" else None
    return {
        "sigma0": sigma0,
        "structure": built or build_structure(structure, domain.dim),
        "popsize": arguments.popsize_for(domain),
        "limits": domain,
        "noise": arguments.noise and "auto",  # of Strategy: its switches
    }


def _entry(entry):
    n, answers = len(entry.generation), entry.answers
    waits, is_told = answers.waits(n), answers.is_told(n)
    return {"answers": (answers.n_told, is_told, answers.values(n), waits)}


def _generation(generation):
    portions = list(generation.portions)
    lazy = [portion.X is None and portion.prints is None for portion in portions]
    indices = range(len(generation))
    points = to_numpy(generation.recipe().draw(indices)) if len(generation) else None
    return {"portions": portions, "lazy": lazy, "points": points}


def _known_points(points):
    return {"parts": points.prints()}


def _best(best):
    return {"_x": best.x}


def _monitor(monitor):
    history = monitor.history._asdict()
    return {"history": {**history, "values": list(monitor.history.values.last(monitor._kept))}}


def _fixed(domain):
    values = domain.values.copy()
    values[domain.free] = 0.0  # of those that move it says nothing
    return {"values": values}


def _replica(replica):
    return {"_best": replica.best()}


VIEWS = {
    RestartES: _with_restarts,
    BaseSearch: _search,
    Arguments: _arguments,
    Entry: _entry,
    Generation: _generation,
    KnownPoints: _known_points,
    Best: _best,
    Monitor: _monitor,
    Replica: _replica,
    Fixed: _fixed,
}


def attributes(value) -> dict:
    """All attributes of an object, but for cached properties, which are worked out."""
    if hasattr(value, "_fields"):
        return {name: getattr(value, name) for name in value._fields}
    found, kind = dict(getattr(value, "__dict__", {})), type(value)
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else slots
        found.update((name, getattr(value, name)) for name in names if hasattr(value, name))
    cached = functools.cached_property
    return {k: v for k, v in found.items() if not isinstance(getattr(kind, k, None), cached)}


def owner(kind, name) -> str:
    """Class.attribute as LEFT_OUT writes it; of a class that has it from another, the other's."""
    names = (f"{base.__name__}.{name}" for base in kind.__mro__)
    return next((full for full in names if full in LEFT_OUT), f"{kind.__name__}.{name}")


def leaves(value, path="", of="") -> dict:
    """{path: (owner, leaf)} of all that is below a value: `owner` is the attribute of one of
    structes' classes that it belongs to, and leaves are equal where they are the same bits."""
    found: dict = {}
    _walk(value, path, of, found, ())
    return found


def _walk(value, path, of, found, above):
    if id(value) in above:
        found[path] = of, ("object", "that it is within")
        return
    parts = _parts(value, path)
    if parts is None:
        found[path] = of, _leaf(value)
        return
    is_object = any(name for _, name, _ in parts)
    found[path] = of, ("object" if is_object else len(parts), type(value).__name__)
    for place, name, part in parts:
        if name in LEFT_OUT:
            seen_left_out.add(name)
        else:
            _walk(part, path + place, name or of, found, (*above, id(value)))


def _parts(value, path):
    """[(its place, its owner or None, part)]; None of a leaf."""
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", None, part) for key, part in value.items()]
    is_list = isinstance(value, (list, range, deque, PersistentList))
    if is_list or (isinstance(value, tuple) and not hasattr(value, "_fields")):
        return [(f"[{i}]", None, part) for i, part in enumerate(value)]
    if isinstance(value, functools.partial):
        return _parts([value.func, value.args, value.keywords], path)
    if isinstance(value, np.random.Generator):
        return _parts(value.bit_generator.state, path)
    if _is_leaf(value):
        return None
    kind = type(value)
    if not kind.__module__.startswith("structes"):
        raise TypeError(f"{path}: nobody knows how to walk {kind}")
    found = attributes(value)
    view = next((make(value) for base, make in VIEWS.items() if isinstance(value, base)), {})
    return [(f".{k}", owner(kind, k), part) for k, part in {**found, **view}.items()]


def _is_leaf(value):
    plain = (type(None), bool, int, float, str, bytes, np.generic, np.ndarray, type)
    calls = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.ModuleType)
    return isinstance(value, (*plain, *calls)) or hasattr(value, "__array_namespace__")


def _leaf(value):
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)):
        return value.__name__
    if isinstance(value, types.MethodType):
        return value.__qualname__
    if isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "__array_namespace__"):
        array = to_numpy(value)
        return array.dtype.str, array.shape, array.tobytes()
    return type(value).__name__, repr(value)


def differences(a: dict, b: dict) -> list:
    """The paths in which two walks differ."""
    return [path for path in {**a, **b} if a.get(path) != b.get(path)]


def moved(here: dict, fresh: dict) -> set:
    """The owners that have a leaf in one walk which the same owner does not have in the other."""
    known: dict = {}
    for of, leaf in fresh.values():
        known.setdefault(of, set()).add(leaf)
    return {of for of, leaf in here.values() if leaf not in known.get(of, ())}


def owners(walk: dict) -> set:
    """The attributes that hold anything but objects, of which the attributes are looked at."""
    return {of for of, leaf in walk.values() if leaf[0] != "object"} - {""}
