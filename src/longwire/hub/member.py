"""A connection in the hub: the rooms it is in, and the one way in which it is sent something."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from longwire.asgi import Send
from longwire.hub.events import Event, Joined, Position, Publication
from longwire.hub.message import Format, Message, find_prepare
from longwire.hub.names import as_reason, check_close_code
from longwire.hub.options import OutboxOptions
from longwire.hub.outbox import Outbox

if TYPE_CHECKING:
    from longwire.hub.membership import Membership

FLUSH_SECONDS = 1.0
"""How long the end of a block that went well waits for what is still to be sent."""

CATCH_UP_SECONDS = 10.0
"""How long a member that comes back has to take half an outbox of what it missed; then it is one
that does not keep up."""

logger = logging.getLogger("longwire.hub")


class Member:
    """What Hub.connect() returns: an async context manager, and the member inside of its block.

    However the block ends, the member has left its rooms then. Where a framework has callbacks
    instead of a block: start() when the connection opens, end() when it closes.
    """

    __slots__ = ("_is_started", "_membership", "format", "id", "outbox", "rooms", "user")

    def __init__(
        self,
        membership: Membership,
        send: Send,
        scope: Mapping[str, Any] | None,
        user: str | None,
        format: Format,
        outbox: OutboxOptions,
    ) -> None:
        self._membership = membership
        self._is_started = False
        self.id = secrets.token_hex(8)
        self.user = user
        self.format = format
        self.rooms: tuple[str, ...] = ()  # those it has joined; a set would be 216 bytes
        self.outbox = Outbox(send, find_prepare(scope), outbox, membership.counters, self)

    def __repr__(self) -> str:
        return f"<Member {self.id} user={self.user!r} rooms={self.rooms!r}>"

    @property
    def dropped(self) -> int:
        """Messages that it was not sent because it did not keep up."""
        return self.outbox.dropped

    async def start(self) -> Self:
        """Be connected. Raises HubClosed, BrokerError, and ConnectionClosed if it has ended
        meanwhile.
        """
        if not self._is_started:
            self._is_started = True
            try:
                await self._membership.enlist(self)
            except BaseException:
                self._is_started = False
                raise
        return self

    async def end(self) -> None:
        """Leave all rooms, and send nothing more; the connection stays as it is. Idempotent."""
        await self._membership.discharge(self)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await self.outbox.flush(FLUSH_SECONDS)
        finally:
            await self.end()

    async def join(
        self, room: str, *, info: Any = None, since: Position | str | None = None
    ) -> Joined:
        """Be in the room: from now on, what is published there is sent to this member.

        `info`, any JSON value of up to 4 KiB, is what the others see in the room's presence. With
        `since`, a Position or its str, what was published after it is sent first, all of it in
        order and once; the answer's `is_recovered` is False if that cannot be had any more, and
        then only what comes from now on is sent. Joining again changes the info.

        What cannot be raises InvalidRoom, InvalidPosition, MessageTooLarge for the info, TypeError
        or ValueError if it is no JSON, and changes nothing. HubClosed, ConnectionClosed if the
        member is not, or no longer, connected, BrokerError, and HubError if the room is faster than
        the reader that comes back: after any of these, the member is not in the room.
        """
        return await self._membership.join(self, room, info, since)

    async def leave(self, room: str) -> None:
        """Be in the room no more. Harmless if it is not. Raises InvalidRoom.

        If the broker does not answer, the others are told once it does.
        """
        await self._membership.leave(self, room)

    async def send(self, message: Any) -> bool:
        """Send to this member alone, behind what waits for it: str, bytes, or a value for JSON.

        Never waits for the peer; returns whether the message was taken. Raises MessageTooLarge,
        and TypeError or ValueError for what is no JSON, or no text.
        """
        is_taken = self.outbox.post(Message(self._membership.encoding.encode(message)))
        await self._membership.let_writers_begin()
        return is_taken

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; what waits for it is given up. Does not wait. Idempotent.

        Raises ValueError for a code that cannot be sent (RFC 6455 section 7.4), or a reason that is
        no text. One over 123 bytes is cut.
        """
        check_close_code(code)
        self.close_soon(code, as_reason(reason))

    def close_soon(self, code: int, reason: str) -> None:
        """Close the connection, from a task of its own."""
        self.outbox.close(code, reason)

    def take(self, event: Event) -> None:
        """Send this event to this member alone, in its format, unless it is excluded from it."""
        if isinstance(event, Publication) and event.exclude == self.id:
            return
        try:
            data = self.format(event)
            if data is None:
                return
            message = Message(data, event.key if isinstance(event, Publication) else None)
        except Exception:
            logger.exception("a format failed on %s", type(event).__name__)
            return
        self.outbox.post(message)

    async def take_missed(self, events: list[Event]) -> None:
        """Send events of the past to this member alone, waiting for it now and then."""
        for event in events:
            if self.outbox.is_half_full:
                await self.outbox.flush(CATCH_UP_SECONDS)
            self.take(event)

    def on_writer(self) -> None:
        """Have whoever has sent this wait for its writer, so that order is that of the calls."""
        self._membership.note_writer()

    def on_lost(self) -> None:
        """Leave: the outbox has found that the connection has ended."""
        self._membership.forget(self)
