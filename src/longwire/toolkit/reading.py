"""What is received, and not yet taken by the application: kept here, in order, for its next call.

- A receive that was cancelled: KeptReceive, where the server itself would lose the message.
- The end of a connection, noticed while nobody receives: ReadAhead. ASGI tells the end behind the
  messages, so whoever waits for the end alone needs somebody to take the messages before it.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from types import BuiltinMethodType

from longwire.asgi import Message, Receive

AHEAD = 32
"""Messages kept for later: the server's own default bound. Behind that many unread messages the
end is not noticed; a client that floods must not fill the memory instead (policy: stop reading)."""


def cancel_safe(receive: Receive) -> Receive:
    """Return a receive() that loses no message when it is cancelled.

    Servers in Python wait on an asyncio.Queue, or on what keeps a message as that does. One in
    another language hands out futures of its own, and what such a future has taken may go with it:
    granian's takes the next message even after it was cancelled.
    """
    return KeptReceive(receive) if isinstance(receive, BuiltinMethodType) else receive


class KeptReceive:
    """A receive() whose server is asked once for each message, however often the wait is given up.

    It costs a task for each message.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pending: asyncio.Task[Message] | None = None

    async def __call__(self) -> Message:
        while True:
            pending = self._pending
            if pending is None:
                pending = self._pending = asyncio.create_task(_ask(self._receive))
            if not pending.done():  # wait() would take another turn of the loop, and its deadline
                await asyncio.wait([pending])
            if self._pending is pending:  # nobody else has taken it meanwhile
                self._pending = None
                return pending.result()

    def __del__(self) -> None:
        if self._pending is not None:
            self._pending.cancel()  # the connection is gone: nobody can take it any more


async def _ask(receive: Receive) -> Message:
    return await receive()


class ReadAhead:
    """Takes messages from `receive` as they come; `on_end` hears of the disconnect event.

    `on_end` is a method of whoever reads ahead, and does not keep it alive.
    """

    def __init__(self, receive: Receive, on_end: Callable[[Message], None]) -> None:
        self._receive = receive
        self._on_end = weakref.WeakMethod(on_end)
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
                    self._tell_end(message)
                    return
        except Exception as error:
            self._error = error
            self._tell_end({"type": "websocket.disconnect", "code": 1006, "reason": ""})
        finally:
            self._is_reading = False
            self._changed.set()

    def _tell_end(self, message: Message) -> None:
        on_end = self._on_end()
        if on_end is not None:
            on_end(message)

    def stop(self) -> None:
        """Read no further; what was read can still be taken. Idempotent, and from any thread."""
        loop = self._task.get_loop()
        if self._is_reading and not loop.is_closed():
            loop.call_soon_threadsafe(self._task.cancel)

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
