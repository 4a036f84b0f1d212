"""One connection to Redis that many tasks share: commands go out in batches, answers come in order.

    ask() --> the commands of one iteration of the event loop --one write--> Redis
    its future <-- the next answer; messages of subscriptions in between <-- one reader

So a publish of each of a hundred tasks costs one write and one read, and what one task asks after
the other is done in that order: a pool of connections could promise neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

logger = logging.getLogger("longwire.hub")

OnMessage = Callable[[bytes, bytes], None]
"""Takes a channel and what was published there."""


MESSAGE = [b"message"]
"""Begins what is no answer."""


class LineLost(Exception):
    """There will be no answer. `was_sent` is False if Redis cannot have seen the command."""

    def __init__(self, reason: str, was_sent: bool) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


class Line:
    """A connection with its reader and its writer. Without `on_message` it cannot subscribe."""

    def __init__(self, connection: AbstractConnection, on_message: OnMessage | None = None) -> None:
        self._connection = connection
        self._on_message = on_message
        self._waiting: list[tuple[list[bytes], asyncio.Future[Any]]] = []  # to be written
        self._asked: deque[asyncio.Future[Any]] = deque()  # written, in order
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.answers = 0
        """How many answers and messages have come: a line where it grows is alive."""
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the line ended, once it has."""

    async def open(self) -> None:
        """Connect, authenticate, and begin to read; RedisError or OSError if that fails."""
        await self._connection.connect()  # type: ignore[no-untyped-call]
        self._tasks = [
            asyncio.create_task(self._guard(self._read())),
            asyncio.create_task(self._guard(self._write())),
        ]

    def ask(self, *command: str | bytes | int | float) -> asyncio.Future[Any]:
        """Send a command; the future has its answer.

        It raises ResponseError if Redis refuses, LineLost if the line ends before. A future that
        is cancelled before its command is written takes the command back.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.ended.done():
            future.set_exception(LineLost(self.ended.result(), was_sent=False))
        else:
            self._waiting.append((self._connection.pack_command(*command), future))
            self._wake.set()
        return future

    def end(self, reason: str) -> None:
        """End the line: nothing more is sent, and whoever waits is told. Idempotent."""
        if self.ended.done():
            return
        self.ended.set_result(reason)
        for task in self._tasks:
            task.cancel()
        asked, waiting = list(self._asked), [future for _, future in self._waiting]
        self._asked.clear()
        self._waiting.clear()
        for futures, was_sent in ((asked, True), (waiting, False)):
            for future in futures:
                if not future.done():
                    future.set_exception(LineLost(reason, was_sent))
                    future.exception()  # nobody may be there to ask for it

    async def close(self) -> None:
        """End the line if that has not happened, and let go of the socket."""
        self.end("closed")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):  # it is gone, which is what was wanted
            await self._connection.disconnect(nowait=True)

    async def _guard(self, work: Any) -> None:
        """Run the reader or the writer: if it fails, the line has ended, whatever the reason."""
        try:
            await work
        except (RedisError, OSError) as error:
            self.end(str(error) or type(error).__name__)
        except Exception as error:
            logger.exception("a connection to Redis is given up and opened again")
            self.end(f"{type(error).__name__}: {error}")

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            chunks: list[bytes] = []
            for packed, future in waiting:
                if not future.done():
                    chunks += packed
                    self._asked.append(future)
            if chunks:
                # Returns when the peer keeps up: until then what is asked for waits in one batch.
                await self._connection.send_packed_command(chunks, check_health=False)

    async def _read(self) -> None:
        connection, on_message, asked = self._connection, self._on_message, self._asked
        while True:
            try:
                answer = await connection.read_response(
                    disable_decoding=True, disconnect_on_error=False
                )
            except ResponseError as error:
                answer = error
            self.answers += 1
            if on_message is not None and type(answer) is list and answer[:1] == MESSAGE:
                on_message(answer[1], answer[2])
                continue
            future = asked.popleft()  # an answer that nobody asked for ends the line: IndexError
            if future.done():
                continue  # who asked has given up
            if isinstance(answer, ResponseError):
                future.set_exception(answer)
                future.exception()
            else:
                future.set_result(answer)
