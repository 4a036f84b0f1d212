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

TRY_AGAIN_LATER = 1013
"""Try again later: the registered code for what a client can mend by coming back."""

CLOSE_TIMEOUT = 5.0
"""Seconds for a close to be taken before the member has left: servers other than ours may wait for
the peer to read. It is sent all the same, whenever that is."""

CLOSE_AT_END = 1.0
"""Seconds that the end of a member waits for its close to be taken."""

ACCEPT_POLL = 0.05
ACCEPT_SECONDS = 60.0
"""Seconds between two attempts to send to a connection that is not yet accepted, and for all of
them: servers say so by a RuntimeError, and tell nobody when it changes. Some say the same of one
that was refused or closed, and some have no timeout for a handler that never accepts."""

FAULTS = (TypeError, AttributeError, LookupError, NameError, AssertionError, ArithmeticError)
"""What no server raises for a connection that has ended."""

logger = logging.getLogger("longwire.hub")


class State(Enum):
    OPEN = "open"
    CLOSING = "closing"  # our close is on its way
    CLOSED = "closed"  # nothing is sent any more


class Owner(Protocol):
    """The member whose outbox it is."""

    def on_writer(self) -> None:
        """Hear that the writer needs a turn of the event loop: to send the first message on our
        server before the application's next one, or as much waits already.
        """

    def on_lost(self) -> None:
        """Hear that the connection has ended, or takes no close. Idempotent."""


class _Nobody:
    """Whom an outbox tells once its member has ended.

    The two refer to each other until then; nothing that only the garbage collector would find is
    to hold on to a connection.
    """

    def on_writer(self) -> None:
        pass

    def on_lost(self) -> None:
        pass


NOBODY = _Nobody()


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
        self._owner: Owner = owner
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
        """Messages in the queue, outdated ones with KEEP_LATEST included."""
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
        if self._write_now(message):
            self._counters.delivered += 1
            return True
        return self._enqueue(message)

    def _write_now(self, message: Message) -> bool:
        """Send the message by the server's own write, if it lends that and nothing waits."""
        if self._write is None or self._task is not None:
            return False
        prepared = message.prepared
        if prepared is None:
            prepared = message.prepare(self._prepare)  # type: ignore[arg-type]
        return self._write(prepared)

    def close(self, code: int, reason: str) -> None:
        """Close the connection; what waits is given up. Idempotent."""
        if self._state is State.OPEN:
            self._state = State.CLOSING
            if self._queue is not None:
                self._queue.clear()
            writer = self._task
            self._task = _start(self._send_close(writer, code, reason))

    async def flush(self, seconds: float) -> None:
        """Wait until nothing waits, a close included, for so long at most."""
        if self._state is not State.OPEN:
            if self._task is not None:
                await asyncio.wait([self._task], timeout=seconds)
        elif self.waiting or self._is_sending:
            if self._drained is None or self._drained.done():
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._drained], timeout=seconds)

    async def end(self) -> None:
        """Send nothing more, but a close that is on its way. Idempotent; raises nothing."""
        if self._state is State.CLOSING:
            await self.flush(CLOSE_AT_END)
        self._state = State.CLOSED
        self._write = None
        self._tell_drained()
        task = self._task
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait([task])
        self._owner = NOBODY

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
            waiting = len(queue)
            queue.dropped += waiting + 1
            self._counters.count_dropped(self._options.overflow, waiting + 1)
            self.close(TRY_AGAIN_LATER, "too slow")
        if offered is not Offered.KEPT:
            return False
        if self._task is None:
            if self._prepare is not None:
                self._owner.on_writer()
            self._task = _start(self._run())
        elif self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)
        if queue.is_half_full:  # by one publisher, perhaps, that never waits for anything
            self._owner.on_writer()
        return True

    def _tell_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def _run(self) -> None:
        """Be the writer."""
        try:
            while True:
                while self._queue:
                    self._is_sending = True
                    await self._deliver(self._queue.get())
                    self._is_sending = False
                    self._counters.delivered += 1
                self._tell_drained()
                if self._write is not None:
                    self._task = None
                    return
                self._wakeup = asyncio.get_running_loop().create_future()
                await self._wakeup
        except Exception as error:  # each server and framework has its own for a lost connection
            _report("a member is gone", error)
            self._lose()

    async def _deliver(self, message: Message) -> None:
        """Send one message; on the first, ask our server for its own write."""
        asgi = message.to_asgi()
        if self._prepare is not None and self._write is None:
            asgi["attach"] = self._attach
        if self._has_sent:
            await self._send(asgi)
        else:
            await self._send_first(asgi)

    async def _send_first(self, asgi: dict[str, Any]) -> None:
        """Send as soon as the connection is accepted; the server's error if that takes too long."""
        now = asyncio.get_running_loop().time
        end = now() + ACCEPT_SECONDS
        while not self._has_sent:
            try:
                await self._send(asgi)
                self._has_sent = True
            except RuntimeError as error:
                if isinstance(error, OSError):
                    raise
                if now() >= end:
                    logger.warning(
                        "nothing could be sent to a member for %g s: %s", ACCEPT_SECONDS, error
                    )
                    raise
                await asyncio.sleep(ACCEPT_POLL)

    def _attach(self, write: Callable[[Any], bool]) -> None:
        self._write = write

    async def _send_close(self, writer: asyncio.Task[None] | None, code: int, reason: str) -> None:
        if writer is not None:
            writer.cancel()
            await asyncio.wait([writer])
        timer = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self._owner.on_lost)
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception as error:  # it ended by itself, or it is beyond reach
            _report("a member was gone before its close", error)
        finally:
            timer.cancel()
        self._lose()

    def _lose(self) -> None:
        self._state = State.CLOSED
        self._write = None
        self._tell_drained()
        self._owner.on_lost()


def post_to_all(outboxes: dict[str, Outbox], message: Message, skipped: Outbox | None) -> int:
    """Post one message to many, but for one of them if need be; return how many are sent by now.

    The writers count the rest.
    """
    sent = 0
    for outbox in outboxes.values():
        if outbox is skipped:
            continue
        if outbox._write_now(message):
            sent += 1
        else:
            outbox._enqueue(message)
    return sent


def _report(what: str, error: Exception) -> None:
    """Log an error that a send raised: most say that the connection has ended, some are faults."""
    if isinstance(error, FAULTS):
        logger.error("%s", what, exc_info=error)
    else:
        logger.debug("%s: %r", what, error)


def _start(coroutine: Any) -> asyncio.Task[None]:
    # Not in the publisher's context: what a request has in its variables is not the writer's.
    return asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())
