"""Who is in a document and what they do there: the last state of each client; no I/O, no clock.

- A state counts if its clock is newer than the last; null says that the client has left. The clock
  is remembered for a while beyond that, so that an echo does not bring it back.
- Clients repeat to the server what they hear of others. Only the connection that introduced a
  client is believed; the rest is passed over, not punished.
- What is not renewed for 30 s is gone; y-websocket renews each 15 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from longwire.documents.options import DocumentOptions
from longwire.documents.sync import AwarenessEntry
from longwire.errors import LimitExceeded

OUTDATED_AFTER = 30.0
"""Seconds without a renewal; y-protocols' own figure, so that everybody forgets at once."""


@dataclass(slots=True)
class Known:
    """The last that was heard of a client; `owner` is who may speak for it."""

    entry: AwarenessEntry
    owner: Hashable
    heard_at: float


class Awareness:
    """The states of one document; `now` is in seconds of any clock that does not go back."""

    def __init__(self, options: DocumentOptions) -> None:
        self._options = options
        self._known: dict[int, Known] = {}
        self._present = 0
        self._owned: Counter[Hashable] = Counter()  # clients of each owner
        self._size = 0

    def __len__(self) -> int:
        return self._present

    def entries(self) -> tuple[AwarenessEntry, ...]:
        """Return the states of all who are here, for somebody who has just come."""
        return tuple(known.entry for known in self._known.values() if known.entry.state is not None)

    def take(
        self,
        entries: Iterable[AwarenessEntry],
        owner: Hashable,
        now: float,
        speakers: int | None = None,
    ) -> tuple[AwarenessEntry, ...]:
        """Take what `owner` says, of so many clients at most; return the last news of each.

        Raises LimitExceeded for a state that is too large; what stands before it is taken.
        """
        news = {e.client: e for e in entries if self._take(e, owner, now, speakers)}
        return tuple(news.values())

    def departed(self, entries: Iterable[AwarenessEntry]) -> tuple[AwarenessEntry, ...]:
        """Return the ends of those clients that were said to be here, and are known to have left.

        Told to whoever said so: a client that has come back answers with its next clock, at once.
        """
        present = {entry.client for entry in entries if entry.state is not None}
        found = (self._known.get(client) for client in present)
        return tuple(
            known.entry for known in found if known is not None and known.entry.state is None
        )

    def _take(
        self, entry: AwarenessEntry, owner: Hashable, now: float, speakers: int | None
    ) -> bool:
        size = len(entry.state or "")
        if size > self._options.max_state:
            raise LimitExceeded(
                f"an awareness state has {self._options.max_state} bytes at most; got {size}"
            )
        known = self._known.get(entry.client)
        if known is not None and not _is_news(entry, owner, known):
            return False
        if known is None or known.entry.state is None:
            if entry.state is None or not self._has_room(owner, size, speakers):
                return False
        elif self._size - len(known.entry.state) + size > self._options.max_awareness:
            return False
        self._put(entry, owner, now)
        return True

    def leave(self, owner: Hashable, now: float) -> tuple[AwarenessEntry, ...]:
        """Note that a connection has ended; return that its clients have left."""
        return self._remove([k for k in self._known.values() if k.owner == owner], now)

    def expire(self, now: float) -> tuple[AwarenessEntry, ...]:
        """Forget what was not renewed; return who has left by that."""
        outdated = [k for k in self._known.values() if now - k.heard_at >= OUTDATED_AFTER]
        for known in outdated:
            if known.entry.state is None:
                self._forget(known)
        return self._remove(outdated, now)

    def _remove(self, leaving: Iterable[Known], now: float) -> tuple[AwarenessEntry, ...]:
        left = []
        for known in leaving:
            if known.entry.state is not None:
                # With the same clock: whoever is still there answers with the next one.
                entry = AwarenessEntry(known.entry.client, known.entry.clock, None)
                self._put(entry, known.owner, now)
                left.append(entry)
        return tuple(left)

    def _put(self, entry: AwarenessEntry, owner: Hashable, now: float) -> None:
        known = self._known.get(entry.client)
        if known is not None:
            self._forget(known)
        self._present += entry.state is not None
        self._owned[owner] += 1
        self._size += len(entry.state or "")
        self._known[entry.client] = Known(entry, owner, now)

    def _forget(self, known: Known) -> None:
        del self._known[known.entry.client]
        self._present -= known.entry.state is not None
        self._owned[known.owner] -= 1
        if not self._owned[known.owner]:
            del self._owned[known.owner]
        self._size -= len(known.entry.state or "")

    def _has_room(self, owner: Hashable, size: int, speakers: int | None) -> bool:
        """Return whether one client more may be known, and spoken for by this owner."""
        options = self._options
        if len(self._known) >= 2 * options.max_clients or len(self) >= options.max_clients:
            return False
        if self._size + size > options.max_awareness:
            return False
        if speakers is None:
            return True
        return self._owned[owner] < speakers


def _is_news(entry: AwarenessEntry, owner: Hashable, known: Known) -> bool:
    """Return whether an owner may say this, and it is newer than what is known."""
    if known.entry.state is None:
        return entry.clock > known.entry.clock
    if known.owner != owner:
        return False
    return entry.clock > known.entry.clock or (
        entry.clock == known.entry.clock and entry.state is None
    )
