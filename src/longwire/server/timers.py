"""One timer wheel for all connections, instead of one event-loop timer each.

Ten thousand idle sockets that ping every 20 s would keep ten thousand loop timers, each with its
handle, callback and heap entry; here an entry costs its place in a set. An entry is told once its
deadline has passed, at most one TICK late. Scheduling an entry again moves it.

A process that stood still judges nobody at once: a loop may run its timers before it reads, and the
pongs that were late by its own fault are still unread.
"""

from __future__ import annotations

import asyncio

TICK = 0.05
"""Seconds a slot spans: timeouts here are whole seconds, tests use tenths."""

SLOTS = 1024
"""The wheel spans SLOTS * TICK = 51.2 s; a later deadline goes around more than once."""

LONGEST = 10 * 365 * 86_400.0
"""Seconds: to whom a delay is longer than ten years it is the same, and C's numbers have an end."""

STANDSTILL = 1.0
"""Seconds: a turn so late means that the process stood still, stopped by its system or held up by
its application. What has come meanwhile is read for as long again before any entry is told, and
once more if that is too late as well: the first that was read may have held it up anew."""

UNSCHEDULED = -1
NEVER = float("inf")


class Timed:
    """What can wait in the wheel; both attributes belong to the wheel."""

    __slots__ = ("deadline", "timer_slot")

    def __init__(self) -> None:
        self.deadline = NEVER  # seconds on the loop's clock
        self.timer_slot = UNSCHEDULED  # or the slot that holds the entry

    def on_timer(self) -> None:
        """The deadline has passed."""
        raise NotImplementedError


class TimerWheel:
    """Tells each entry when its deadline has passed. Costs nothing while it is empty."""

    __slots__ = ("_due", "_handle", "_loop", "_position", "_size", "_slots")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: list[set[Timed] | None] = [None] * SLOTS
        self._position = 0  # ticks on the loop's clock up to which slots were emptied
        self._size = 0
        self._handle: asyncio.TimerHandle | None = None
        self._due = NEVER  # when the next turn is to be, on the loop's clock

    def __len__(self) -> int:
        return self._size

    def schedule(self, entry: Timed, delay: float) -> None:
        """Call entry.on_timer() `delay` seconds from now, and not at any earlier deadline."""
        now = self._loop.time()
        deadline = now + min(delay, LONGEST)
        if entry.timer_slot != UNSCHEDULED and deadline >= entry.deadline:
            entry.deadline = deadline  # its slot comes sooner, and it is inserted anew from there
            return
        self.cancel(entry)
        entry.deadline = deadline
        if self._handle is None:
            self._position = int(now / TICK)
            self._turn_at((self._position + 1) * TICK)
        self._insert(entry)

    def cancel(self, entry: Timed) -> None:
        """Forget the entry; harmless if it is not scheduled."""
        entry.deadline = NEVER
        if entry.timer_slot == UNSCHEDULED:
            return
        slot = self._slots[entry.timer_slot]
        assert slot is not None
        slot.discard(entry)
        if not slot:
            self._slots[entry.timer_slot] = None
        entry.timer_slot = UNSCHEDULED
        self._size -= 1

    def close(self) -> None:
        """Stop turning; no entry is told any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _insert(self, entry: Timed) -> None:
        # The first tick at which the deadline has passed, at least the next one to come; one
        # beyond the horizon waits in the furthest slot and is inserted again from there.
        tick = min(max(int(entry.deadline / TICK) + 1, self._position + 1), self._position + SLOTS)
        entry.timer_slot = tick % SLOTS
        slot = self._slots[entry.timer_slot]
        if slot is None:
            self._slots[entry.timer_slot] = {entry}
        else:
            slot.add(entry)
        self._size += 1

    def _turn_at(self, when: float) -> None:
        self._due = when
        self._handle = self._loop.call_at(when, self._turn)

    def _turn(self) -> None:
        now = self._loop.time()
        if now - self._due > STANDSTILL:
            self._turn_at(now + STANDSTILL)
            return
        until = int(now / TICK)
        while self._position < until:
            self._position += 1
            slot = self._slots[self._position % SLOTS]
            if slot is not None:
                self._slots[self._position % SLOTS] = None
                self._size -= len(slot)
                self._tell(slot, now)
        if self._size:
            self._turn_at((self._position + 1) * TICK)
        else:
            self._handle = None

    def _tell(self, slot: set[Timed], now: float) -> None:
        for entry in slot:
            entry.timer_slot = UNSCHEDULED
        for entry in slot:
            if entry.timer_slot != UNSCHEDULED:
                continue  # an earlier entry's callback scheduled this one anew
            if entry.deadline == NEVER:
                continue  # an earlier entry's callback cancelled this one
            if entry.deadline > now:
                self._insert(entry)
            else:
                self._call(entry)

    def _call(self, entry: Timed) -> None:
        """Tell one entry; what it raises must not stop the wheel for all the others."""
        try:
            entry.on_timer()
        except Exception as error:
            self._loop.call_exception_handler(
                {"message": "a connection's timer failed", "exception": error}
            )
