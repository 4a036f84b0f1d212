"""Reading ahead, so that the end of a connection is noticed while nobody receives.

ASGI tells the end in order, behind the messages. Whoever waits for the end alone needs somebody to
take the messages before it: they are kept here, in order, for whoever receives later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from longwire.asgi import Message, Receive

AHEAD = 32
"""Messages kept for later: the server's own default bound. Behind that many unread messages the
end is not noticed; a client that floods must not fill the memory instead (policy: stop reading)."""


class ReadAhead:
    """Takes messages from `receive` as they come; `on_end` hears of the disconnect event."""

    def __init__(self, receive: Receive, on_end: Callable[[Message], None]) -> None:
        self._receive = receive
        self._on_end = on_end
        self._messages: deque[Message] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._error: Exception | None = None
        self._is_reading = True
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                while len(self._messages) >= AHEAD:
                    self._room.clear()
                    await self._room.wait()
                message = await self._receive()
                self._messages.append(message)
                self._changed.set()
                if message["type"] == "websocket.disconnect":
                    self._on_end(message)
                    return
        except Exception as error:
            self._error = error
            self._on_end({"type": "websocket.disconnect", "code": 1006, "reason": ""})
        finally:
            self._is_reading = False
            self._changed.set()

    def stop(self) -> None:
        """Read no further; what was read can still be taken. Idempotent."""
        if self._is_reading and asyncio.current_task() is not self._task:
            self._task.cancel()

    async def take(self) -> Message:
        """Return the next message, in the order they came. Cancelling loses none."""
        while not self._messages:
            if self._error is not None:
                raise self._error
            if not self._is_reading:
                return await self._receive()
            self._changed.clear()
            await self._changed.wait()
        self._room.set()
        return self._messages.popleft()
