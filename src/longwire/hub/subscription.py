"""What the application itself reads of a room, on the server's side."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from longwire.errors import HubError
from longwire.hub.events import Event, Joined, Position, Publication
from longwire.hub.options import OutboxOptions
from longwire.hub.queue import BoundedQueue, Offered

if TYPE_CHECKING:
    from longwire.hub.membership import Membership


class Subscription:
    """What Hub.subscribe() returns: an async context manager, and an async iterator of events.

    Begins with a Joined. `dropped` counts what its policy gave up because nobody read; with the
    policy DISCONNECT the iteration then ends with HubError.
    """

    def __init__(
        self,
        membership: Membership,
        room: str,
        since: Position | str | None,
        options: OutboxOptions,
    ) -> None:
        self._membership = membership
        self._room = room
        self._since = since
        self._queue: BoundedQueue[Event] = BoundedQueue(options)
        self._missed: deque[Event] = deque()  # a Joined, and the history that was asked for
        self._wakeup: asyncio.Future[None] | None = None
        self._is_over = False
        self._is_too_slow = False

    @property
    def dropped(self) -> int:
        """Events that were given up."""
        return self._queue.dropped

    async def __aenter__(self) -> Self:
        """Begin. Raises InvalidPosition, HubClosed, BrokerError."""
        await self._membership.subscribe(self, self._room, self._since)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._membership.unsubscribe(self, self._room)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; StopAsyncIteration once the hub is closed, HubError once it was
        not read fast enough.
        """
        if self._missed:
            return self._missed.popleft()
        while not self._queue:
            if self._is_too_slow:
                raise HubError(f"a subscription of room {self._room!r} was not read fast enough")
            if self._is_over:
                raise StopAsyncIteration
            self._wakeup = asyncio.get_running_loop().create_future()
            await self._wakeup
        return self._queue.get()

    def take(self, event: Event) -> None:
        """Take an event, in order. Never waits."""
        if self._is_over:
            return
        if isinstance(event, Joined):
            self._missed.append(event)
            return
        size, key = 0, None
        if isinstance(event, Publication):
            size, key = len(event.data), event.key
        dropped = self._queue.dropped
        if self._queue.put(event, size, key) is Offered.TOO_MUCH:
            self._queue.dropped += 1
            self._is_too_slow = True
            self.stop()
        self._membership.counters.count_dropped(
            self._queue.options.overflow, self.dropped - dropped
        )
        self._wake()

    async def take_missed(self, events: list[Event]) -> None:
        """Take events of the past; they are in memory anyway, and come first."""
        self._missed.extend(events)

    def stop(self) -> None:
        """End the iteration behind what waits."""
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)
