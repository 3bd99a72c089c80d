"""A list that only grows, as a value.

A search is changed in one step or not at all (es.py), and a copy of it goes its own way, so
everything in it is a value: what changes it makes a new one. For a list that gets an item with
every generation a new copy would cost more and more. A persistent list shares its memory with the
shorter ones that it was made from, and none of them notices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_new = object.__new__


class Slotted:
    """What has slots and nothing else, and is pickled by every protocol: Python's own way leaves
    out 0 and 1."""

    __slots__ = ()

    def __getstate__(self):
        return [getattr(self, name) for name in self.__slots__]

    def __setstate__(self, state):
        for name, value in zip(self.__slots__, state, strict=True):
            setattr(self, name, value)


class PersistentList:
    """A sequence whose `append` returns the longer one, in constant time, and leaves it as it was.

    Appending to the same one twice copies it the second time: the two have different ends.

    >>> a = PersistentList([1, 2])
    >>> b, c = a.append(3), a.append(4)
    >>> list(a), list(b), list(c)
    ([1, 2], [1, 2, 3], [1, 2, 4])
    """

    __slots__ = ("_items", "_length")

    def __init__(self, items: Iterable = ()):
        self._items = list(items)
        self._length = len(self._items)

    def append(self, item) -> PersistentList:
        """Return the list with this item at its end."""
        items, length = self._items, self._length
        if len(items) == length:
            items.append(item)
        if items[length] is not item:  # somebody else has appended to the shared memory
            items = [*items[:length], item]
        longer = _new(PersistentList)
        longer._items, longer._length = items, length + 1
        return longer

    def last(self, n: int) -> list:
        """Return the last n items, all of them where they are fewer; a list of its own."""
        return self._items[max(0, self._length - n) : self._length]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, i: int):
        """Return the item at i, which counts from the end where it is negative."""
        if not -self._length <= i < self._length:
            raise IndexError(f"a list of {self._length} has no item {i}")
        return self._items[i if i >= 0 else self._length + i]

    def __iter__(self) -> Iterator:
        return iter(self.last(self._length))

    def __reduce__(self):
        return PersistentList, (list(self),)

    def __eq__(self, other):
        return isinstance(other, PersistentList) and list(self) == list(other)

    __hash__ = None

    def __repr__(self):
        return f"PersistentList({list(self)!r})"


EMPTY = PersistentList()
