"""The rooms of this node: subscribed while somebody here is in them, and restored after an outage.

This is what the broker sees of a hub (broker.Node), and the only part that talks to it about rooms.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from longwire.errors import BrokerError, HubClosed, HubError
from longwire.hub.broker import Broker, Presence
from longwire.hub.counters import Counters
from longwire.hub.events import Client, History, Position, RoomEvent
from longwire.hub.member import Member
from longwire.hub.names import USER_PREFIX
from longwire.hub.options import USER_ROOM, RoomOptions
from longwire.hub.room import FIRST_DELAY, LAST_DELAY, Room

RESTORED_AT_ONCE = 64
"""Clients entered again at a time, after the broker was away."""

MAX_OWED = 100_000
"""Departures to be said again that are kept while the broker is away; the oldest go, and stay in
the rooms' presence until this node ends."""

logger = logging.getLogger("longwire.hub")


class Rooms:
    """`options` are the rooms' by the part of their name before the first colon."""

    def __init__(
        self,
        broker: Broker,
        default: RoomOptions,
        options: Mapping[str, RoomOptions],
        counters: Counters,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.broker = broker
        self.is_open = False
        self.is_closed = False
        self._default = default
        self._options = dict(options)
        self._counters = counters
        self._rooms: dict[str, Room] = {}
        self._owed: dict[tuple[str, str], Client] = {}  # exits that the broker has not heard of
        self._presence = broker if isinstance(broker, Presence) else None
        self._was_opened = False
        self._opening: asyncio.Task[None] | None = None
        self._is_forgotten = False  # whether the broker may not know who is here
        self._settling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def __iter__(self) -> Iterator[Room]:
        return iter(self._rooms.values())

    def find(self, name: str) -> Room | None:
        """Return the room if somebody here is in it."""
        return self._rooms.get(name)

    def options_of(self, name: str) -> RoomOptions:
        """Return how a room behaves."""
        if name.startswith(USER_PREFIX):
            return USER_ROOM
        if not self._options:
            return self._default
        return self._options.get(name.partition(":")[0], self._default)

    # ---- from start to end ------------------------------------------------------------------

    async def open(self) -> None:
        """Connect to the broker, once. Raises BrokerError if it does not answer, HubClosed."""
        if self.is_closed:
            raise HubClosed("the hub is closed")
        if not self.is_open:
            if self._opening is None:
                self._opening = self.start(self._open())
            opening = self._opening
            await asyncio.wait([opening])
            if self.is_closed or opening.cancelled():
                raise HubClosed("the hub was closed meanwhile")
            opening.result()

    async def _open(self) -> None:
        self._was_opened = True
        try:
            await self.broker.open(self)
            self.is_open = True
        finally:
            self._opening = None

    def allow(self) -> None:
        """Be opened, also after a close: as another node, for this one has taken its leave."""
        if self.is_closed and not self._was_opened:
            self.is_closed = False
            self.id = secrets.token_hex(8)

    def refuse(self) -> None:
        """Open no more."""
        self.is_closed = True

    async def close(self) -> None:
        """Let go of all rooms, and of the broker."""
        self.refuse()
        for room in self._rooms.values():
            task = room.stop()
            if task is not None:
                self._keep(task)
        while self._tasks:  # some begin others at their end
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            # Since 3.12 gather() does not yield for tasks that are done, whose callbacks have
            # yet to take them out of the set.
            await asyncio.sleep(0)
        self._opening = self._settling = None  # cancelled, maybe before their first step
        self._rooms.clear()
        self._owed.clear()
        self.is_open = False
        if self._was_opened:
            await self.broker.close()
            self._was_opened = False

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that nobody may cancel but the hub's end."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._keep(task)
        return task

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- subscribed while needed ------------------------------------------------------------

    async def hold(self, name: str) -> Room:
        """Return the room, subscribed, and staying so until it is released. Raises BrokerError."""
        await self.open()
        room = self._rooms.get(name)
        if room is None:
            options = self.options_of(name)
            room = self._rooms[name] = Room(name, options, self._counters, self._reader_of(name))
        room.holds += 1
        try:
            if not room.is_subscribed:
                await self._subscribe(room)
        except BaseException:
            self.release(room)
            raise
        return room

    async def _subscribe(self, room: Room) -> None:
        async with room.lock:
            self.check_current(room)
            if not room.is_subscribed:
                room.subscribing()
                position = await self.broker.subscribe(room.name, room.options.window)
                self.check_current(room)
                room.subscribed(position)

    def check_current(self, room: Room) -> None:
        """Raise HubClosed if the hub was closed since the room was found.

        It may be open again by now, and have another room of this name.
        """
        if self.is_closed or not self._knows(room):
            raise HubClosed("the hub was closed meanwhile")

    def _knows(self, room: Room) -> bool:
        return self._rooms.get(room.name) is room

    def release(self, room: Room) -> asyncio.Task[None] | None:
        """Let go of the room; if nobody is left, return what ends its subscription."""
        room.holds -= 1
        if room.is_empty and self._knows(room):
            return self.start(self._unsubscribe(room))
        return None

    async def _unsubscribe(self, room: Room) -> None:
        async with room.lock:
            if not room.is_empty:
                return
            room.stop()
            if room.is_asked_for:  # who waited for the answer may have been cancelled
                room.is_asked_for = room.is_subscribed = False
                try:
                    await self.broker.unsubscribe(room.name)
                except BrokerError as error:
                    logger.warning("unsubscribing from room %r: %s", room.name, error)
            # It stays in the table until now, so that whoever joins meanwhile waits for the lock.
            if room.is_empty and self._knows(room):
                del self._rooms[room.name]

    def _reader_of(self, name: str) -> Callable[[Position | None], Coroutine[Any, Any, History]]:
        window = self.options_of(name).window
        return lambda since: self.broker.history(name, window, since)

    # ---- who is in them ---------------------------------------------------------------------

    @property
    def presence(self) -> Presence:
        """The broker as what tells who is where; HubError if it cannot."""
        if self._presence is not None:
            return self._presence
        raise HubError("this broker cannot tell who is present: use RoomOptions(presence=False)")

    async def enter(self, room: Room, client: Client) -> None:
        """Tell the others that a client of this node is in the room. Raises BrokerError."""
        if room.options.presence:
            self._owed.pop((room.name, client.id), None)
            await self.presence.enter(room.name, client)

    async def exit(self, room: Room, client: Client) -> None:
        """Tell the others that it is not; if the broker does not answer, again until it does."""
        if room.options.presence and self._presence is not None:
            try:
                await self._presence.exit(room.name, client)
            except BrokerError as error:
                # Else a node that lives would keep a ghost.
                logger.warning("leaving room %r is to be said again: %s", room.name, error)
                self._owe(room.name, client)

    def _owe(self, name: str, client: Client) -> None:
        if len(self._owed) == MAX_OWED:
            del self._owed[next(iter(self._owed))]
        self._owed[name, client.id] = client
        if self._settling is None:
            self._settling = self.start(self._settle(FIRST_DELAY))

    # ---- what the broker says ---------------------------------------------------------------

    def on_event(self, event: RoomEvent) -> None:
        """Take an event from the broker."""
        room = self._rooms.get(event.room)
        if room is not None:
            room.take(event)

    def on_lost(self, error: str) -> None:
        """The broker does not answer."""
        logger.warning("the broker does not answer, and is tried again: %s", error)

    def on_restored(self) -> None:
        """The broker answers again: catch up, and say who is here."""
        if self.is_closed:
            return
        logger.warning("the broker answers again; rooms read what they have missed")
        for room in self._rooms.values():
            room.catch_up()
        self._is_forgotten = True
        if self._settling is not None:
            self._settling.cancel()  # it may be waiting for its next attempt
        self._settling = self.start(self._settle(0.0))

    async def _settle(self, delay: float) -> None:
        """Say again who has left, and who is here, until the broker has heard it."""
        try:
            while True:
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                try:
                    await self._exit_again()
                    if self._is_forgotten:
                        await self._enter_again()
                        self._is_forgotten = False
                    if not self._owed:
                        return
                except BrokerError as error:
                    logger.warning("who is where could not be said again: %s", error)
                delay = min(max(2 * delay, FIRST_DELAY), LAST_DELAY)
        finally:
            if self._settling is asyncio.current_task():
                self._settling = None

    async def _exit_again(self) -> None:
        for key, client in list(self._owed.items()):
            if self._owed.get(key) is client:  # else it has joined again
                await self.presence.exit(key[0], client)
                if self._owed.get(key) is client:
                    del self._owed[key]

    async def _enter_again(self) -> None:
        entries = [
            (room, member)
            for room in self._rooms.values()
            if room.options.presence
            for member in room.clients
        ]
        for start in range(0, len(entries), RESTORED_AT_ONCE):
            part = entries[start : start + RESTORED_AT_ONCE]
            await asyncio.gather(*(self._enter_if_here(*entry) for entry in part))

    async def _enter_if_here(self, room: Room, member: Member) -> None:
        client = room.clients.get(member)
        if client is not None:
            await self.presence.enter(room.name, client)
