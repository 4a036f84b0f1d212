"""What of an update fits a document: what depends on nothing that is missing there; no I/O.

An editor that hears of a change before what that depends on keeps it waiting, and says so when it
is asked for all that it has: Yjs and pycrdt put what waits into their answer. What does not depend
on it must not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from longwire.documents.sync import number
from longwire.documents.updates import Scanner

MAX_LACKING = 64
"""Clients whose changes are said to be lacking: one that comes is enough to ask once more."""


class Section:
    """The structs of one client: `left` of them from byte `position`, the first with `clock`.

    Before that are `fitting` structs that fit, from byte `start` and clock `first`.
    """

    __slots__ = ("client", "clock", "first", "fitting", "left", "position", "start")

    def __init__(self, client: int, count: int, first: int, start: int) -> None:
        self.client = client
        self.left = count
        self.first = self.clock = first
        self.start = self.position = start
        self.fitting = 0


class Fitter(Scanner):
    """Reads one update that scan() has taken. `reach` is what is known with the part that fits,
    `lacking` the clock that clients have to reach before more can fit.
    """

    __slots__ = ("lacking", "reach", "sections", "waiting")

    def __init__(self, update: bytes, known: Mapping[int, int]) -> None:
        super().__init__(update)
        self.reach = dict(known)
        self.lacking: dict[int, int] = {}
        self.sections: dict[int, Section] = {}
        self.waiting: dict[int, list[tuple[int, int]]] = {}  # for a client: clock needed, by whom

    def fit(self) -> bytes:
        """Return the part that fits, and note what the rest lacks."""
        for _ in range(self.number()):
            count, client, clock = self.number(), self.number(), self.number()
            self.sections[client] = Section(client, count, clock, self.position)
            for _ in range(count):
                clock = self.struct(client, clock)
        deletions = self.position
        ready = list(self.sections.values())
        while ready:
            section = ready.pop()
            self._advance(section)
            waiting = self.waiting.get(section.client, [])
            while waiting and waiting[0][0] <= self.reach.get(section.client, 0):
                ready.append(self.sections[heappop(waiting)[1]])
        for client, waiting in self.waiting.items():
            if waiting:
                self._lack(client, waiting[0][0])
        self.position = deletions
        return self._structs_that_fit() + self._deletions_that_fit()

    def _lack(self, client: int, clock: int) -> None:
        if len(self.lacking) < MAX_LACKING:
            self.lacking[client] = min(clock, self.lacking.get(client, clock))

    def _advance(self, section: Section) -> None:
        """Go on to the first struct that does not fit, and wait for what that needs."""
        client, reach = section.client, self.reach
        if section.clock > reach.get(client, 0):
            self._lack(client, section.clock)  # it comes in no other section
            return
        while section.left:
            self.position = section.position
            self.needs.clear()
            clock = self.struct(client, section.clock)
            for other, need in self.needs.items():
                if need > reach.get(other, 0):
                    heappush(self.waiting.setdefault(other, []), (need, client))
                    return
            section.clock, section.position = clock, self.position
            section.fitting += 1
            section.left -= 1
            reach[client] = max(clock, reach.get(client, 0))

    def _structs_that_fit(self) -> bytes:
        sections = [section for section in self.sections.values() if section.fitting]
        parts = [number(len(sections))]
        for section in sections:
            parts += number(section.fitting), number(section.client), number(section.first)
            parts.append(self._data[section.start : section.position])
        return b"".join(parts)

    def _deletions_that_fit(self) -> bytes:
        clients = []
        for _ in range(self.number()):
            client = self.number()
            reach = self.reach.get(client, 0)
            ranges = []
            for _ in range(self.number()):
                clock = self.number()
                behind = clock + self.number()
                end = min(behind, reach)
                if end < behind:
                    self._lack(client, behind)
                if clock < end:
                    ranges.append(number(clock) + number(end - clock))
            if ranges:
                clients.append(number(client) + number(len(ranges)) + b"".join(ranges))
        return number(len(clients)) + b"".join(clients)


def fitting(update: bytes, known: Mapping[int, int]) -> tuple[bytes, dict[int, int]]:
    """Return the part of an update that fits what is `known`, as an update, and what the rest
    lacks: once a client's changes are known up to that clock, more of it may fit. scan() it before.
    """
    fitter = Fitter(update, known)
    return fitter.fit(), fitter.lacking
