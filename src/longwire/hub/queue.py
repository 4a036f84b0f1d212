"""What waits for somebody who is slower than the room: bounded, with a named policy.

With KEEP_LATEST, too, everything leaves in the order in which it came: a value in the place of an
older one would be ahead of what comes behind it, and a client that had read it, and came back with
its position, would not be sent that. So a value that replaces another goes to the end. Whoever is
replaced all the time would never be sent; so a value stays once the first one that it has replaced
would have been taken, and what comes next of its key waits behind it:

    a1 b2 c3       and a4 comes:                    b2 c3 a4
    b2 c3 a4       one is taken, d5 and a6 come:    c3 a4 d5 a6

A key that waits is sent after as many others as there were when its value was last replaced, and
once more as many, at most; if there is room for that, see OutboxOptions. Without it, whose values
are given up is a matter of who publishes when.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import Generic, TypeVar

from longwire.hub.options import OutboxOptions, Overflow

Item = TypeVar("Item")


class Offered(Enum):
    """What became of an item."""

    KEPT = "kept"
    REFUSED = "refused"  # DROP_NEWEST
    TOO_MUCH = "too much"  # DISCONNECT: whoever reads this is to be let go


class BoundedQueue(Generic[Item]):
    """Items in the order in which they came; `dropped` counts those that were given up.

    With KEEP_LATEST a key has two items here at most. The first of two is outdated: it is no part
    of the messages that may wait, and of the bytes it is what goes first.
    """

    __slots__ = (
        "_items",
        "_latest",
        "_outdated",
        "_place",
        "_size",
        "_taken",
        "dropped",
        "options",
    )

    def __init__(self, options: OutboxOptions) -> None:
        self.options = options
        self._items: OrderedDict[int, tuple[Item, int, str | None]] = OrderedDict()  # by place
        self._latest: dict[str, tuple[int, int]] = {}  # of each key: place, and when it is due
        self._outdated: OrderedDict[int, None] = OrderedDict()  # places
        self._place = 0  # of the item that came last
        self._taken = 0
        self._size = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_half_full(self) -> bool:
        """Whether half of the messages, or of the bytes, that may be here are; outdated ones count
        as messages here.
        """
        options = self.options
        return 2 * len(self._items) >= options.messages or 2 * self._size >= options.bytes

    def put(self, item: Item, size: int, key: str | None = None) -> Offered:
        """Add an item of `size` bytes, by the policy; alone in the queue it may be of any size."""
        policy = self.options.overflow
        if policy is not Overflow.KEEP_LATEST:
            key = None
        due_at = 0 if key is None else self._due_at(key)
        if key is not None:
            self._make_way(key)
        while self._items:
            is_heavy = self._size + size > self.options.bytes
            counted = len(self._items) - len(self._outdated)
            if not is_heavy and counted < max(self.options.messages, 1):
                break
            if policy is Overflow.DISCONNECT:
                return Offered.TOO_MUCH
            if policy is Overflow.DROP_NEWEST:
                self.dropped += 1
                return Offered.REFUSED
            self._drop(self._oldest(is_heavy and bool(self._outdated)))
        self._place += 1
        self._items[self._place] = item, size, key
        self._size += size
        if key is not None:
            self._latest[key] = self._place, due_at
        return Offered.KEPT

    def get(self) -> Item:
        """Take the oldest; KeyError if there is none."""
        place, entry = self._items.popitem(last=False)
        self._taken += 1
        return self._forget(place, entry)

    def clear(self) -> None:
        """Give up everything."""
        self._items.clear()
        self._latest.clear()
        self._outdated.clear()
        self._size = 0

    def _due_at(self, key: str) -> int:
        """Return how many items will have been taken when what comes now of a key is to be."""
        _, due_at = self._latest.get(key, (0, 0))
        return due_at if self._taken < due_at else self._taken + len(self._items) + 1

    def _make_way(self, key: str) -> None:
        """Drop what waits of a key, unless it is due: then it stays, and is outdated."""
        waiting = self._latest.get(key)
        if waiting is not None:
            place, due_at = waiting
            if self._taken < due_at:
                self._drop(place)
            else:
                self._outdated[place] = None

    def _oldest(self, is_outdated: bool) -> int:
        """Return the place of the oldest item that is outdated, or that is not."""
        return next(place for place in self._items if (place in self._outdated) is is_outdated)

    def _drop(self, place: int) -> None:
        self._forget(place, self._items.pop(place))
        self.dropped += 1

    def _forget(self, place: int, entry: tuple[Item, int, str | None]) -> Item:
        item, size, key = entry
        self._size -= size
        if place in self._outdated:
            del self._outdated[place]
        elif key is not None:
            del self._latest[key]
        return item
