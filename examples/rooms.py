"""Rooms for the examples: one message to many, and no slow reader holds up the others.

A broadcast that awaits each peer's send() is as slow as the slowest of them, and one that is gone
ends it for all. Here publish() only puts the message into each member's bounded mailbox; a task
per member, its only writer, empties it. A member whose mailbox is full has stopped reading, and is
disconnected (policy: close 1013).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator

from longwire.asgi import Send

MAILBOX = 256
"""Messages that may wait for one member."""

TOO_SLOW = 1013


class Member:
    """One connection: what waits for it, and the task that sends it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._mailbox: asyncio.Queue[str] = asyncio.Queue(MAILBOX)
        self._is_too_slow = False

    def post(self, text: str) -> None:
        """Put a message into the mailbox; never waits."""
        try:
            self._mailbox.put_nowait(text)
        except asyncio.QueueFull:
            self._is_too_slow = True

    async def deliver(self) -> None:
        """Send what is posted until the connection ends. OSError says that it has."""
        with contextlib.suppress(OSError):
            while not self._is_too_slow:
                await self._send({"type": "websocket.send", "text": await self._mailbox.get()})
            await self._send({"type": "websocket.close", "code": TOO_SLOW, "reason": "too slow"})


class Rooms:
    """Who is in which room."""

    def __init__(self) -> None:
        self._members: defaultdict[str, set[Member]] = defaultdict(set)

    def publish(self, room: str, text: str) -> None:
        """Post a message to everyone in the room; never waits for any of them."""
        for member in self._members.get(room, ()):
            member.post(text)

    @contextlib.asynccontextmanager
    async def joined(self, room: str, send: Send) -> AsyncIterator[Member]:
        """Be a member of the room inside the block, however the block ends."""
        member = Member(send)
        self._members[room].add(member)
        writer = asyncio.create_task(member.deliver())
        try:
            yield member
        finally:
            self._members[room].discard(member)
            if not self._members[room]:
                del self._members[room]
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
