"""The hub of one process: its members, its rooms, and the broker to the other nodes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from longwire.asgi import Send
from longwire.errors import HubError
from longwire.hub.broker import Broker
from longwire.hub.counters import Counters, Metrics, collect
from longwire.hub.encoding import Encoding
from longwire.hub.environment import find_broker
from longwire.hub.events import Client, Disconnect, Draft, History, Position
from longwire.hub.member import Member
from longwire.hub.membership import Membership
from longwire.hub.message import Format, as_published
from longwire.hub.names import (
    USER_PREFIX,
    as_reason,
    check_close_code,
    check_key,
    check_room,
    room_of_user,
)
from longwire.hub.options import KIB, OutboxOptions, Overflow, RoomOptions
from longwire.hub.rooms import Rooms
from longwire.hub.subscription import Subscription

MAX_MESSAGE_SIZE = 256 * KIB
"""Bytes of a message: what goes to many is paid for many times."""

OUTBOX = OutboxOptions()
ROOM = RoomOptions()
READER = OutboxOptions(overflow=Overflow.DROP_OLDEST)
"""A subscription of the application: what it does not read in time is old."""

logger = logging.getLogger("longwire.hub")


@dataclass(frozen=True, slots=True)
class Counts:
    """What this node holds at the moment."""

    members: int
    users: int
    rooms: int


class Hub:
    """Rooms, and who is in them. One for each process; all of it belongs to one event loop.

    `broker` is an address or a Broker; without one it is what LONGWIRE_BROKER says, or this
    process alone. `rooms` has the RoomOptions by the part of a room's name before the first colon,
    `room` those of the rest. `format` makes of events what members are sent, unless connect() names
    another, and `encode` a str or bytes of a message that is neither.

    The hub opens when it is first used; `async with hub:` in a lifespan opens it at the start, so
    that a broker that does not answer stops the start-up, and closes it at the end. What is closed
    raises HubClosed until it is opened again, as by the next lifespan of a test.

    Raises BrokerError for an address that is none, and for one whose package is not installed.
    """

    def __init__(
        self,
        broker: Broker | str | None = None,
        *,
        outbox: OutboxOptions = OUTBOX,
        room: RoomOptions = ROOM,
        rooms: Mapping[str, RoomOptions] | None = None,
        max_message_size: int = MAX_MESSAGE_SIZE,
        format: Format = as_published,
        encode: Callable[[Any], str | bytes] | None = None,
    ) -> None:
        self.counters = Counters()
        self._outbox = outbox
        self._format = format
        self._encoding = Encoding(encode, max_message_size)
        self._rooms = Rooms(find_broker(broker), room, rooms or {}, self.counters)
        self._membership = Membership(self._rooms, self._encoding, self.counters)

    async def open(self) -> None:
        """Connect to the broker, also once more after close(). Raises BrokerError if it does not
        answer, HubClosed if it is closed meanwhile.
        """
        self._rooms.allow()
        await self._rooms.open()

    async def close(self) -> None:
        """Let all members and subscriptions go, and the broker. Idempotent.

        The connections themselves stay open; closing those is the server's.
        """
        self._rooms.refuse()
        await self._membership.end()
        await self._rooms.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- members ----------------------------------------------------------------------------

    def connect(
        self,
        connection: Any,
        *,
        user: str | None = None,
        format: Format | None = None,
        outbox: OutboxOptions | None = None,
        scope: Mapping[str, Any] | None = None,
    ) -> Member:
        """Return the member for a connection: `async with hub.connect(websocket) as member:`.

        `connection` is a WebSocket with a send() for ASGI messages (starlette's, FastAPI's,
        Litestar's, ours) or that send() itself; then `scope` says whether the server has more.
        Raises InvalidRoom for a user that can be none, TypeError for what has no send().
        """
        if user is not None:
            room_of_user(user)
        send: Send = getattr(connection, "send", connection)
        if not callable(send):
            raise TypeError(f"a connection is a WebSocket or its send(); got {connection!r}")
        if scope is None:
            scope = getattr(connection, "scope", None)
        self._register_metrics(scope)
        return Member(
            self._membership, send, scope, user, format or self._format, outbox or self._outbox
        )

    # ---- messages ---------------------------------------------------------------------------

    async def publish(
        self,
        room: str,
        message: Any,
        *,
        exclude: Member | None = None,
        sender: Member | None = None,
        key: str | None = None,
    ) -> Position | None:
        """Send a message to all in the room, on all nodes, but for one member if need be.

        `message` is a str (a text message), bytes (a binary one), or a value for JSON. `sender` is
        told to formats, with the info that it joined with. `key` names what the message is the
        latest value of (OutboxOptions, KEEP_LATEST). Returns its position in the history, None
        without history. Never waits for a member: only for the broker to take it.

        Raises InvalidRoom, MessageTooLarge, TypeError or ValueError for what is no JSON, no text or
        no key, HubClosed, and BrokerError: then it is not known to have been sent.
        """
        check_room(room)
        client = None if sender is None else self._membership.client_of(sender, room)
        exclude_id = None if exclude is None else exclude.id
        draft = Draft(self._encoding.encode(message), client, check_key(key), exclude_id)
        return await self._publish(room, draft)

    async def send_to_user(self, user: str, message: Any, *, key: str | None = None) -> None:
        """Send a message to all connections of a user, on all nodes. Raises as publish() does."""
        await self._publish(
            room_of_user(user), Draft(self._encoding.encode(message), None, check_key(key))
        )

    async def disconnect_user(self, user: str, code: int = 1008, reason: str = "") -> None:
        """Close all connections of a user, on all nodes. A reason over 123 bytes is cut.

        Raises InvalidRoom, HubClosed, BrokerError, and ValueError for a code that cannot be sent
        (RFC 6455 section 7.4), or a reason that is no text.
        """
        check_close_code(code)
        signal = Disconnect(room_of_user(user), code, as_reason(reason))
        await self._rooms.open()
        await self._rooms.broker.signal(signal)

    async def _publish(self, room: str, draft: Draft) -> Position | None:
        if not self._rooms.is_open:
            await self._rooms.open()
        window = self._rooms.options_of(room).window
        position = await self._rooms.broker.publish(room, draft, window)
        self.counters.published += 1
        await self._membership.let_writers_begin()
        return position

    def encode(self, message: Any) -> str | bytes:
        """Return a message as it is sent. Raises MessageTooLarge, ValueError (UnicodeEncodeError)
        for a lone surrogate, and what `encode` raises: TypeError or ValueError for what is no JSON.
        """
        return self._encoding.encode(message)

    # ---- questions --------------------------------------------------------------------------

    def members(self, room: str) -> list[Member]:
        """Return the members in the room that are connected to this process. Raises InvalidRoom."""
        known = self._rooms.find(check_room(room))
        return [] if known is None else list(known.clients)

    async def presence(self, room: str) -> list[Client]:
        """Return who is in the room, on all nodes, in no order.

        Raises InvalidRoom, HubClosed, BrokerError, and HubError if the broker cannot tell.
        """
        check_room(room)
        await self._rooms.open()
        return await self._rooms.presence.present(room)

    async def history(
        self, room: str, *, since: Position | str | None = None, limit: int | None = None
    ) -> History:
        """Return what was published in the room: after `since` the oldest `limit`, else the latest.

        `is_whole` is False if something after `since` is no longer there. Raises HubError for a
        room without history, InvalidRoom, InvalidPosition, ValueError for a negative limit,
        HubClosed, BrokerError.
        """
        window = self._rooms.options_of(check_room(room)).window
        if not window.size:
            raise HubError(f"room {room!r} keeps no history")
        if limit is not None and limit < 0:
            raise ValueError(f"a limit is 0 or more; got {limit}")
        since = Position.of(since)
        await self._rooms.open()
        return await self._rooms.broker.history(room, window, since, limit)

    def subscribe(
        self,
        room: str,
        *,
        since: Position | str | None = None,
        options: OutboxOptions = READER,
    ) -> Subscription:
        """Return what happens in a room, for the application: `async with hub.subscribe(room) as
        events:`, then `async for event in events:`. Raises InvalidRoom; entering the block raises
        InvalidPosition, HubClosed, BrokerError.
        """
        return Subscription(self._membership, check_room(room), since, options)

    def counts(self) -> Counts:
        """Return how much this node holds."""
        rooms = [room.name.startswith(USER_PREFIX) for room in self._rooms]
        return Counts(len(self._membership), sum(rooms), len(rooms) - sum(rooms))

    def metrics(self) -> Metrics:
        """Return the hub's figures: (kind, name, help, [(labels, value), ...]) for each metric.

        On our server they are in its metrics by themselves (`longwire.metrics` in the scope).
        """
        counts = self.counts()
        return collect(self.counters, counts.members, counts.users, counts.rooms)

    def _register_metrics(self, scope: Mapping[str, Any] | None) -> None:
        metrics = ((scope or {}).get("extensions") or {}).get("longwire.metrics")
        if metrics:  # each time: the hub may be opened again under another server
            try:
                metrics["register"](self.metrics)
            except ValueError as error:
                logger.warning("the hub's metrics are not in the server's: %s", error)
