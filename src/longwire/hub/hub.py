"""The hub of one process: its members, its rooms, and the broker to the other nodes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from longwire.asgi import Send
from longwire.errors import (
    ConnectionClosed,
    HubClosed,
    HubError,
    InvalidPosition,
    MessageTooLarge,
)
from longwire.hub.broker import Broker
from longwire.hub.brokers import broker_at
from longwire.hub.brokers.memory import MemoryBroker
from longwire.hub.counters import Counters, Metrics, collect
from longwire.hub.events import (
    Client,
    Disconnect,
    Draft,
    History,
    Joined,
    Position,
)
from longwire.hub.info import check_info, to_json
from longwire.hub.member import Member
from longwire.hub.message import Format, as_published, size_of
from longwire.hub.names import USER_PREFIX, as_reason, check_close_code, check_room, room_of_user
from longwire.hub.options import (
    KIB,
    OutboxOptions,
    Overflow,
    RoomOptions,
)
from longwire.hub.rooms import Rooms
from longwire.hub.subscription import Subscription

BROKER_VARIABLE = "LONGWIRE_BROKER"
"""The address of the broker where the application names none; the server sets it for workers."""

WORKERS_VARIABLE = "LONGWIRE_WORKERS"
"""How many processes run this application, if a supervisor says so."""

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
        self._max_size = max_message_size
        self._format = format
        self._encode = encode or to_json
        self._rooms = Rooms(_find_broker(broker), room, rooms or {}, self.counters)
        self._members: set[Member] = set()
        self._departing: dict[Member, asyncio.Task[None]] = {}
        self._subscriptions: set[Subscription] = set()
        self._has_writers = False

    async def open(self) -> None:
        """Connect to the broker, also once more after close(). Raises BrokerError if it does not
        answer, HubClosed if it is closed meanwhile.
        """
        self._rooms.admit()
        await self._rooms.open()

    async def close(self) -> None:
        """Let all members and subscriptions go, and the broker. Idempotent.

        The connections themselves stay open; closing those is the server's.
        """
        self._rooms.refuse()
        for subscription in self._subscriptions:
            subscription.stop()
        members = list(self._members)
        self._members.clear()
        for member in members:
            member.rooms = ()
            await member.outbox.end()
        await self._rooms.close()  # the broker tells the others, of all members at once

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        return Member(self, send, scope, user, format or self._format, outbox or self._outbox)

    async def enlist(self, member: Member) -> None:
        """Know a member; Member.start() is how it is called."""
        await self._rooms.open()
        self._members.add(member)
        try:
            self._check_connected(member)
            if member.user is not None:
                room = await self._rooms.hold(room_of_user(member.user))
                try:
                    self._check_connected(member)
                    room.add(member, Client(member.id, member.user))
                finally:
                    self._rooms.release(room)
        except BaseException:
            self._members.discard(member)
            raise

    def _check_connected(self, member: Member) -> None:
        if self._rooms.is_closed:
            raise HubClosed("the hub is closed")
        if member not in self._members or member.outbox.is_ended:
            raise ConnectionClosed(1006, "the member is not, or no longer, connected")

    async def discharge(self, member: Member) -> None:
        """Forget a member, and wait until it has left; Member.end() is how it is called."""
        self.forget(member)
        departing = self._departing.get(member)
        await member.outbox.end()
        if departing is not None:
            await asyncio.wait([departing])  # it may be cancelled by the hub's end, but not by ours

    def forget(self, member: Member) -> None:
        """Let a member leave, soon; what closes its connection goes on. Idempotent."""
        if member in self._members:
            self._members.discard(member)
            names = [*member.rooms]
            if member.user is not None:
                names.append(room_of_user(member.user))
            member.rooms = ()
            if names:
                # In a task: the block's end is often a cancellation, and this has to happen.
                task = self._rooms.start(self._depart(member, names))
                task.add_done_callback(lambda _: self._departing.pop(member, None))
                self._departing[member] = task

    async def _depart(self, member: Member, names: list[str]) -> None:
        await asyncio.gather(*(self._remove(member, name) for name in names))

    async def join(
        self, member: Member, name: str, info: Any, since: Position | str | None
    ) -> Joined:
        """Let a member into a room; Member.join() is how it is called."""
        check_room(name)
        check_info(info)
        since = _to_position(since)
        self._check_connected(member)
        client = Client(member.id, member.user, info)
        room = await self._rooms.hold(name)
        try:
            joined = await room.admit(member, client, since)
            if name not in member.rooms:
                member.rooms += (name,)
            await self._rooms.enter(room, client)
            self._check_connected(member)
            self._rooms.check(room)
        except BaseException:
            _forget_room(member, name)
            self._rooms.start(self._remove(member, name, client))
            raise
        finally:
            self._rooms.release(room)
        return joined

    async def leave(self, member: Member, name: str) -> None:
        """Let a member out of a room; Member.leave() is how it is called."""
        check_room(name)
        _forget_room(member, name)
        await _finish(self._rooms.start(self._remove(member, name)))

    async def _remove(self, member: Member, name: str, client: Client | None = None) -> None:
        """Let a member out of a room, but not if it has joined again, as another client."""
        room = self._rooms.find(name)
        here = None if room is None else room.clients.get(member)
        if client is not None and here is not client:
            if here is None and room is not None:  # it ended while it was entered: leave no ghost
                await self._rooms.exit(room, client)
            return
        if room is None or here is None:
            return
        room.remove(member)
        room.holds += 1
        try:
            await self._rooms.exit(room, here)
        finally:
            unsubscribing = self._rooms.release(room)
        if unsubscribing is not None:
            await _finish(unsubscribing)

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
        client = None if sender is None else self._client(sender, room)
        exclude_id = None if exclude is None else exclude.id
        draft = Draft(self.encode(message), client, _check_key(key), exclude_id)
        return await self._publish(room, draft)

    async def send_to_user(self, user: str, message: Any, *, key: str | None = None) -> None:
        """Send a message to all connections of a user, on all nodes. Raises as publish() does."""
        await self._publish(room_of_user(user), Draft(self.encode(message), None, _check_key(key)))

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
        await self.let_writers_begin()
        return position

    def note_writer(self) -> None:
        """Note that a writer begins in the next turn of the loop; Member is how it is called."""
        if not self._has_writers:
            self._has_writers = True
            asyncio.get_running_loop().call_soon(self._forget_writers)

    def _forget_writers(self) -> None:
        self._has_writers = False

    async def let_writers_begin(self) -> None:
        """Have first messages on their way before what the application itself sends behind them."""
        if self._has_writers:
            await asyncio.sleep(0)

    def encode(self, message: Any) -> str | bytes:
        """Return a message as it is sent. Raises MessageTooLarge, ValueError (UnicodeEncodeError)
        for a lone surrogate, and what `encode` raises: TypeError or ValueError for what is no JSON.
        """
        data = message if isinstance(message, (str, bytes)) else self._encode(message)
        if not isinstance(data, (str, bytes)):
            raise TypeError(f"`encode` returns a str or bytes; got {type(data).__name__}")
        size = size_of(data)
        if size > self._max_size:
            raise MessageTooLarge(f"a message has {self._max_size} bytes at most; got {size}")
        return data

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
        since = _to_position(since)
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
        return Subscription(self, check_room(room), since, options)

    def counts(self) -> Counts:
        """Return how much this node holds."""
        rooms = [room.name.startswith(USER_PREFIX) for room in self._rooms]
        return Counts(len(self._members), sum(rooms), len(rooms) - sum(rooms))

    async def enter_subscription(
        self, subscription: Subscription, name: str, since: Position | str | None
    ) -> None:
        """Begin a subscription; its block is how it is called."""
        since = _to_position(since)
        await self._rooms.open()
        room = await self._rooms.hold(name)
        try:
            await room.admit(subscription, Client(self._rooms.id), since)
            self._rooms.check(room)
            self._subscriptions.add(subscription)
        finally:
            self._rooms.release(room)

    async def exit_subscription(self, subscription: Subscription, name: str) -> None:
        """End a subscription; its block is how it is called."""
        self._subscriptions.discard(subscription)
        room = self._rooms.find(name)
        if room is not None:
            room.remove(subscription)
            room.holds += 1
            unsubscribing = self._rooms.release(room)
            if unsubscribing is not None:
                await _finish(unsubscribing)

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

    def _client(self, member: Member, name: str) -> Client:
        room = self._rooms.find(name)
        known = None if room is None else room.clients.get(member)
        return known or Client(member.id, member.user)


def _find_broker(broker: Broker | str | None) -> Broker:
    """Return the broker of a hub, and say so if its rooms end where others begin."""
    if broker is None:
        broker = os.environ.get(BROKER_VARIABLE) or "memory://"
    if isinstance(broker, str):
        broker = broker_at(broker)
    workers = os.environ.get(WORKERS_VARIABLE, "")
    if isinstance(broker, MemoryBroker) and workers.isdigit() and int(workers) > 1:
        logger.warning(
            "this is one of %s workers, and each has rooms of its own: whoever is connected to "
            "another worker hears nothing. Name a broker by --broker or %s; with longwire[nats] "
            "installed, --broker auto starts one",
            workers,
            BROKER_VARIABLE,
        )
    return broker


def _forget_room(member: Member, name: str) -> None:
    member.rooms = tuple(room for room in member.rooms if room != name)


async def _finish(task: asyncio.Task[None]) -> None:
    """Wait for the task; our cancellation is not its, and the other way round."""
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _check_key(key: str | None) -> str | None:
    if key is None:
        return None
    if not (isinstance(key, str) and 0 < len(key) <= 200):
        raise ValueError(f"a key is a str of 1 to 200 characters; got {str(key)[:80]!r}")
    key.encode()  # a lone surrogate is a UnicodeEncodeError here, not on its way to the broker
    return key


def _to_position(since: Position | str | None) -> Position | None:
    """Return the position; InvalidPosition for what is none, of whatever type a client sent it."""
    if since is None or isinstance(since, Position):
        return since
    if isinstance(since, str):
        return Position.parse(since)
    raise InvalidPosition(f"a position is a str, as in 17:k3x9; got {type(since).__name__}")
