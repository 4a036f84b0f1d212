"""Flow control's shared part: what is sent is flushed once per batch of reads or loop iteration.

What is sent while a batch of connections is read, by whomever and to whomever, waits here until all
of them are; what comes from a task of its own, until the end of the iteration. So several messages
to one peer become one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

FLUSH_BYTES = 64 * 1024
"""Bytes that may wait for the flush before send() waits too: a task that sends without end yields
to the others every 64 KiB, and a chunk of that size amortises a system call well."""


class Flushable:
    """Something that is written at the end of the iteration."""

    __slots__ = ()

    def flush(self) -> None:
        """Write what has gathered."""
        raise NotImplementedError


class Flusher:
    """The connections that have something to write at the end of this iteration."""

    __slots__ = ("_is_held", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Flushable] = []
        self._is_held = False  # somebody will call release()

    def add(self, connection: Flushable) -> None:
        """Flush the connection once, soon; the caller adds it at most once until then."""
        if not self._waiting and not self._is_held:
            self._loop.call_soon(self._flush_all)
        self._waiting.append(connection)

    def hold(self) -> None:
        """Begin a batch of reads, to be flushed with release(), without a turn of the loop."""
        self._is_held = True

    def release(self) -> None:
        """End the batch: flush."""
        self._is_held = False
        self._flush_all()

    def _flush_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        remaining = iter(waiting)
        while not self._flush(remaining):
            pass  # one `try` for all of them, resumed behind the one that fails

    def _flush(self, remaining: Iterator[Flushable]) -> bool:
        try:
            for connection in remaining:
                connection.flush()
        except Exception as error:
            self._loop.call_exception_handler(
                {"message": "writing to a connection failed", "exception": error}
            )
            return False
        return True
