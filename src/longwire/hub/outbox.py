"""What leaves for one member: one bounded queue, one writer, and nobody who waits for either.

    post() --the server's own write, if nothing waits--> the socket
    post() --queue--> the writer's task --send()-------> the socket

- On our server the first message goes through send(), and brings back a function that writes
  prepared messages past it. From then on the writer exists only while the peer does not keep up.
- On other servers the writer lives from the first message to the end.
- The queue is made when something has to wait, so that an idle member pays for none.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from longwire.asgi import Send
from longwire.hub.counters import Counters
from longwire.hub.message import Message, Prepare
from longwire.hub.options import OutboxOptions
from longwire.hub.queue import BoundedQueue, Offered

TOO_SLOW = 1013
"""Try again later: the registered code for what a client can mend by coming back."""

CLOSE_TIMEOUT = 5.0
"""Seconds for a close to be taken; servers other than ours may wait for the peer to read."""

ACCEPT_POLL = 0.05
"""Seconds between two attempts to send to a connection that is not yet accepted: servers say so by
a RuntimeError, and tell nobody when it changes. The handshake timeout bounds it."""

logger = logging.getLogger("longwire.hub")


class State(Enum):
    OPEN = "open"
    CLOSING = "closing"  # our close is on its way
    CLOSED = "closed"  # nothing is sent any more


class Owner(Protocol):
    """The member whose outbox it is."""

    def on_lost(self) -> None:
        """Hear, once, that a send found the connection ended."""


class Outbox:
    """The way to one member."""

    __slots__ = (
        "_counters",
        "_drained",
        "_has_sent",
        "_is_sending",
        "_options",
        "_owner",
        "_prepare",
        "_queue",
        "_send",
        "_state",
        "_task",
        "_wakeup",
        "_write",
    )

    def __init__(
        self,
        send: Send,
        prepare: Prepare | None,
        options: OutboxOptions,
        counters: Counters,
        owner: Owner,
    ) -> None:
        self._send = send
        self._prepare = prepare
        self._options = options
        self._counters = counters
        self._owner = owner
        self._state = State.OPEN
        self._write: Callable[[Any], bool] | None = None
        self._queue: BoundedQueue[Message] | None = None
        self._task: asyncio.Task[None] | None = None
        self._wakeup: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._has_sent = False
        self._is_sending = False

    @property
    def waiting(self) -> int:
        """Messages in the queue."""
        return 0 if self._queue is None else len(self._queue)

    @property
    def is_half_full(self) -> bool:
        """Whether half of what may wait does."""
        return self._queue is not None and self._queue.is_half_full

    @property
    def dropped(self) -> int:
        """Messages that were given up because the member did not keep up."""
        return 0 if self._queue is None else self._queue.dropped

    @property
    def is_ended(self) -> bool:
        """Whether nothing is sent any more."""
        return self._state is State.CLOSED

    def post(self, message: Message) -> bool:
        """Send the message, soon; return whether it was taken. Never waits, never raises."""
        if self._write is not None and self._task is None:
            prepared = message.prepared
            if prepared is None:
                prepared = message.prepare(self._prepare)  # type: ignore[arg-type]
            if self._write(prepared):
                return True
        return self._enqueue(message)

    def close(self, code: int, reason: str) -> None:
        """Close the connection; what waits is given up. Idempotent."""
        if self._state is State.OPEN:
            self._state = State.CLOSING
            writer = self._task
            self._task = _start(self._send_close(writer, code, reason))

    async def flush(self, seconds: float) -> None:
        """Wait until nothing waits, a close included, for so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self._state is State.OPEN:
                    if self.waiting or self._is_sending:
                        self._drained = asyncio.get_running_loop().create_future()
                        await self._drained
                elif self._task is not None:
                    await asyncio.wait([self._task])

    async def end(self) -> None:
        """Send nothing more. Idempotent; raises nothing."""
        self._state = State.CLOSED
        self._write = None
        task = self._task
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait([task])

    def _enqueue(self, message: Message) -> bool:
        if self._state is not State.OPEN:
            return False
        queue = self._queue
        if queue is None:
            queue = self._queue = BoundedQueue(self._options)
        dropped = queue.dropped
        offered = queue.put(message, message.size, message.key)
        if queue.dropped != dropped:
            self._counters.count_dropped(self._options.overflow, queue.dropped - dropped)
        if offered is Offered.TOO_MUCH:
            self._counters.count_dropped(self._options.overflow, len(queue) + 1)
            self.close(TOO_SLOW, "too slow")
        if offered is not Offered.KEPT:
            return False
        if self._task is None:
            self._task = _start(self._run())
        elif self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)
        return True

    async def _run(self) -> None:
        """Be the writer."""
        try:
            while True:
                while self._queue:
                    self._is_sending = True
                    await self._deliver(self._queue.get())
                    self._is_sending = False
                if self._drained is not None and not self._drained.done():
                    self._drained.set_result(None)
                if self._write is not None:
                    self._task = None
                    return
                self._wakeup = asyncio.get_running_loop().create_future()
                await self._wakeup
        except Exception as error:  # each server and framework has its own for a lost connection
            logger.debug("a member is gone: %r", error)
            self._lose()

    async def _deliver(self, message: Message) -> None:
        """Send one message; on the first, ask our server for its own write."""
        asgi = message.to_asgi()
        if self._prepare is not None and self._write is None:
            asgi["attach"] = self._attach
        while not self._has_sent:
            try:
                await self._send(asgi)
                self._has_sent = True
                return
            except RuntimeError as error:
                if isinstance(error, OSError):
                    raise
                await asyncio.sleep(ACCEPT_POLL)
        await self._send(asgi)

    def _attach(self, write: Callable[[Any], bool]) -> None:
        self._write = write

    async def _send_close(self, writer: asyncio.Task[None] | None, code: int, reason: str) -> None:
        if writer is not None:
            writer.cancel()
            await asyncio.wait([writer])
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception as error:  # it ended by itself, or it is beyond reach
            logger.debug("a member was gone before its close: %r", error)
        self._lose()

    def _lose(self) -> None:
        self._state = State.CLOSED
        self._write = None
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._owner.on_lost()


def post_to_all(outboxes: dict[str, Outbox], message: Message, skipped: Outbox | None) -> None:
    """Post one message to many, but for one of them if need be."""
    for outbox in outboxes.values():
        if outbox is not skipped:
            outbox.post(message)


def _start(coroutine: Any) -> asyncio.Task[None]:
    # Not in the publisher's context: what a request has in its variables is not the writer's.
    return asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())
