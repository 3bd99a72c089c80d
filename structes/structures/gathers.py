"""Sums of a few scattered numbers each, arranged once so that they run as whole-array operations.

A sparse matrix times a vector is one such family of sums: every coordinate gathers those that its
row names. So is a product of two sparse matrices: every entry gathers its chains. Here the targets
of the sums are put into a working order, by level (substitution then finds what it needs) and by
number of terms; a group of targets with equally many terms is one gather, one product and one sum,
without padding and without scattered writes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

CHUNK = 2**15  # terms that a group holds, unless one target alone has more


class Group(NamedTuple):
    """Targets begin … end − 1 of a working order, `count` terms each: first … last − 1."""

    begin: int
    end: int
    first: int
    last: int
    count: int


class Plan(NamedTuple):
    """Sums of terms into targets: index arrays of one array library, and the groups.

    order    (targets,) the targets in working order
    place    (targets,) where each target stands in it
    terms    (terms,) the terms in working order: those of a group as (count, targets), flat;
             None where they are in that order already
    sources  tuple of (terms,) in working order: what each term gathers
    groups   list of Group
    """

    order: Any
    place: Any
    terms: Any
    sources: tuple
    groups: list

    def on(self, xp):
        """Return the same with arrays of the library xp."""
        order, place, terms = (None if a is None else xp.asarray(a) for a in self[:3])
        return Plan(order, place, terms, tuple(map(xp.asarray, self.sources)), self.groups)


def arrange(target, size: int, level) -> Plan:
    """Return the plan of sums in which term k goes to target[k], lower level (size,) first;
    sources empty."""
    count = np.bincount(target, minlength=size)
    order = np.lexsort((count, level))
    place = np.empty(size, dtype=np.int64)
    place[order] = np.arange(size)
    terms = np.argsort(place[target], kind="stable")
    count, level = count[order], level[order]
    starts = 1 + np.flatnonzero((np.diff(count) != 0) | (np.diff(level) != 0))
    groups, first = [], 0
    for start, stop in zip([0, *starts.tolist()], [*starts.tolist(), size], strict=True):
        c = int(count[start]) if size else 0
        step = max(1, CHUNK // c) if c else size + 1
        for begin in range(start, stop, step):
            end = min(begin + step, stop)
            last = first + c * (end - begin)
            terms[first:last] = terms[first:last].reshape(-1, c or 1).T.reshape(-1)
            groups.append(Group(begin, end, first, last, c))
            first = last
    return Plan(order, place, terms, (), groups)


def levels(target, source, size: int):
    """Return (size,) length of the longest chain of terms that ends in each target, −1 for those
    on or behind a cycle. Term k makes target[k] wait for source[k]."""
    waiting = np.bincount(target, minlength=size)
    by_source = np.argsort(source, kind="stable")
    start = np.searchsorted(source[by_source], np.arange(size + 1))
    level = np.full(size, -1, dtype=np.int64)
    ready, current = np.flatnonzero(waiting == 0), 0
    while len(ready):
        level[ready] = current
        reached = target[by_source[ranges(start[ready], start[ready + 1])]]
        reached, times = np.unique(reached, return_counts=True)
        waiting[reached] -= times
        ready, current = reached[waiting[reached] == 0], current + 1
    return level


def ranges(start, stop):
    """Return the numbers start[0] … stop[0] − 1, start[1] … stop[1] − 1, … in one array."""
    count = stop - start
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(start - ends + count, count)
