"""What waits for somebody who is slower than the room: bounded, with a named policy."""

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
    """Items in the order in which they came; `dropped` counts those that were given up."""

    __slots__ = ("_items", "_size", "dropped", "options")

    def __init__(self, options: OutboxOptions) -> None:
        self.options = options
        self._items: OrderedDict[object, tuple[Item, int]] = OrderedDict()
        self._size = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_half_full(self) -> bool:
        """Whether half of the messages, or of the bytes, that may be here are."""
        options = self.options
        return 2 * len(self._items) >= options.messages or 2 * self._size >= options.bytes

    def put(self, item: Item, size: int, key: str | None = None) -> Offered:
        """Add an item of `size` bytes, by the policy; alone in the queue it may be of any size."""
        options = self.options
        place: object = object()
        if key is not None and options.overflow is Overflow.KEEP_LATEST:
            place = key
            if key in self._items:
                self._drop(key)
        while self._items and (
            len(self._items) >= options.messages or self._size + size > options.bytes
        ):
            if options.overflow is Overflow.DISCONNECT:
                return Offered.TOO_MUCH
            if options.overflow is Overflow.DROP_NEWEST:
                self.dropped += 1
                return Offered.REFUSED
            self._drop(next(iter(self._items)))
        self._items[place] = item, size
        self._size += size
        return Offered.KEPT

    def get(self) -> Item:
        """Take the oldest; KeyError if there is none."""
        _, (item, size) = self._items.popitem(last=False)
        self._size -= size
        return item

    def clear(self) -> None:
        """Give up everything."""
        self._items.clear()
        self._size = 0

    def _drop(self, place: object) -> None:
        _, size = self._items.pop(place)
        self._size -= size
        self.dropped += 1
