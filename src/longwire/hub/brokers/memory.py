"""The broker inside one process: no I/O, nothing to install, nothing that can be away.

Publishing calls on_event() of the nodes in the room before it returns. A room that nobody is in is
forgotten an hour after its history has expired, or its last member has left; of those in which
nothing was published so many are kept: whoever may name rooms cannot fill the memory.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from longwire.hub.broker import Node, Window
from longwire.hub.events import (
    Client,
    Draft,
    History,
    Join,
    Leave,
    Position,
    Publication,
    RoomEvent,
    Signal,
)

KEEP_SECONDS = 3600.0
"""A room that is empty keeps its epoch for that long beyond its history: whoever comes back with a
position until then is told that nothing was missed."""

LOOKED_AT = 2
"""Old rooms looked at whenever one is made or published in, so that nothing old piles up."""

MAX_QUIET = 10_000
"""Empty rooms in which nothing was ever published that keep their epoch; the oldest go."""


@dataclass(slots=True)
class StoredRoom:
    """What is kept of one room."""

    epoch: str
    offset: int = 0
    history: deque[tuple[float, Publication]] | None = None  # an empty one has 600 bytes
    nodes: list[Node] = field(default_factory=list)  # that have subscribed
    present: dict[Node, dict[str, Client]] = field(default_factory=dict)  # each node's, by id
    expires_at: float = 0.0  # 0 if it never had a history
    seconds: float = 0.0  # of its window

    @property
    def is_empty(self) -> bool:
        return not (self.nodes or self.present)

    def deliver(self, event: RoomEvent) -> None:
        for node in tuple(self.nodes):
            node.on_event(event)

    def trim(self, window: Window, now: float) -> None:
        """Forget what is outside of the window."""
        history = self.history
        while history and (len(history) > window.size or history[0][0] <= now - window.seconds):
            history.popleft()

    def expire(self, now: float) -> None:
        """Forget what is older than the window."""
        history = self.history
        while history and history[0][0] <= now - self.seconds:
            history.popleft()
        if not history:
            self.history = None


class MemoryRooms:
    """The rooms that the hubs of a process share; as a rule there is one hub, and it has its own.

    `clock` counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._rooms: OrderedDict[str, StoredRoom] = OrderedDict()  # least recently looked at first
        self._quiet: OrderedDict[str, None] = OrderedDict()  # empty, and nothing was published

    def __len__(self) -> int:
        return len(self._rooms)

    def find(self, name: str) -> StoredRoom | None:
        """Return the room if there is anything to know of it."""
        return self._rooms.get(name)

    def find_or_make(self, name: str, window: Window) -> StoredRoom:
        """Return the room; keep it for as long as its history, and KEEP_SECONDS."""
        room = self._rooms.get(name)
        now = self.clock()
        if room is None:
            self.look(now)
            room = self._rooms[name] = StoredRoom(secrets.token_hex(4))
        if window.size:
            room.seconds = window.seconds
            room.expires_at = now + window.seconds + KEEP_SECONDS
        return room

    def rest(self, name: str, room: StoredRoom) -> None:
        """Note that somebody has left the room, or asked for it: perhaps nobody is in it."""
        if not room.is_empty:
            return
        if not room.expires_at:
            self._rooms.pop(name, None)  # no position of it was ever told
            return
        room.expires_at = max(room.expires_at, self.clock() + KEEP_SECONDS)
        if not room.offset:
            self._quiet[name] = None
            self._quiet.move_to_end(name)
            while len(self._quiet) > MAX_QUIET:
                oldest, _ = self._quiet.popitem(last=False)
                found = self._rooms.get(oldest)
                if found is not None and found.is_empty and not found.offset:
                    del self._rooms[oldest]

    def look(self, now: float) -> None:
        """Look at some rooms, and forget what is too old."""
        for _ in range(min(LOOKED_AT, len(self._rooms))):
            name, room = self._rooms.popitem(last=False)
            room.expire(now)
            if not room.is_empty or room.expires_at > now:
                self._rooms[name] = room

    def rooms_of(self, node: Node) -> Iterable[tuple[str, StoredRoom]]:
        """Return the rooms in which the node has subscribed, or clients."""
        for name, room in list(self._rooms.items()):
            if node in room.nodes or node in room.present:
                yield name, room


class MemoryBroker:
    """A Broker, with Presence, for hubs of one process."""

    def __init__(self, rooms: MemoryRooms | None = None) -> None:
        self._rooms = MemoryRooms() if rooms is None else rooms
        self._node: Node | None = None

    async def open(self, node: Node) -> None:
        self._node = node

    async def close(self) -> None:
        node, self._node = self._node, None
        if node is not None:
            for name, room in self._rooms.rooms_of(node):
                self._remove_node(name, room, node)

    def _remove_node(self, name: str, room: StoredRoom, node: Node) -> None:
        if node in room.nodes:
            room.nodes.remove(node)
        for client in room.present.pop(node, {}).values():
            room.deliver(Leave(name, client))
        self._rooms.rest(name, room)

    async def publish(self, room: str, draft: Draft, window: Window) -> Position | None:
        position = None
        previous = 0
        if window.size:
            stored = self._rooms.find_or_make(room, window)
            previous = stored.offset
            stored.offset += 1
            position = Position(stored.offset, stored.epoch)
        else:
            found = self._rooms.find(room)
            if found is None:
                return None
            stored = found
        publication = Publication(
            room, draft.data, draft.sender, draft.key, draft.exclude, position, previous
        )
        if position is not None:
            now = self._rooms.clock()
            if stored.history is None:
                stored.history = deque()
            stored.history.append((now, publication))
            stored.trim(window, now)
            self._rooms.look(now)
        stored.deliver(publication)
        return position

    async def signal(self, event: Signal) -> None:
        stored = self._rooms.find(event.room)
        if stored is not None:
            stored.deliver(event)

    async def subscribe(self, room: str, window: Window) -> Position | None:
        stored = self._rooms.find_or_make(room, window)
        node = self._opened_node()
        if node not in stored.nodes:
            stored.nodes.append(node)
        return Position(stored.offset, stored.epoch) if window.size else None

    async def unsubscribe(self, room: str) -> None:
        stored = self._rooms.find(room)
        if stored is not None and self._node in stored.nodes:
            stored.nodes.remove(self._opened_node())
            self._rooms.rest(room, stored)

    async def history(
        self, room: str, window: Window, since: Position | None = None, limit: int | None = None
    ) -> History:
        stored = self._rooms.find_or_make(room, window)
        stored.trim(window, self._rooms.clock())
        top = Position(stored.offset, stored.epoch)
        self._rooms.rest(room, stored)
        publications = [publication for _, publication in stored.history or ()]
        if since is None:
            return History(_latest(publications, limit), top)
        if since.epoch != top.epoch or since.offset > top.offset:
            return History(publications[:limit], top, is_whole=False)
        oldest = top.offset - len(publications)  # the offset before the first that is left
        missed = publications[max(0, since.offset - oldest) :]
        return History(missed[:limit], top, is_whole=since.offset >= oldest)

    async def enter(self, room: str, client: Client) -> None:
        stored = self._rooms.find_or_make(room, Window(0, 0.0))
        clients = stored.present.setdefault(self._opened_node(), {})
        is_new = client.id not in clients
        clients[client.id] = client
        if is_new:
            stored.deliver(Join(room, client))

    async def exit(self, room: str, client: Client) -> None:
        stored, node = self._rooms.find(room), self._opened_node()
        clients = {} if stored is None else stored.present.get(node, {})
        if stored is not None and clients.pop(client.id, None) is not None:
            if not clients:
                del stored.present[node]
            stored.deliver(Leave(room, client))
            self._rooms.rest(room, stored)

    async def present(self, room: str) -> list[Client]:
        stored = self._rooms.find(room)
        if stored is None:
            return []
        return [client for clients in stored.present.values() for client in clients.values()]

    def _opened_node(self) -> Node:
        assert self._node is not None, "open() comes first"
        return self._node


def _latest(publications: list[Publication], limit: int | None) -> list[Publication]:
    if limit is None:
        return publications
    return publications[-limit:] if limit else []


def broker_at(url: str) -> MemoryBroker:
    """Return a broker of its own for `memory://`."""
    return MemoryBroker()
