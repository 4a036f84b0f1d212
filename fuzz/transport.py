"""A transport without a socket: what is written is kept, and a loop that turns a bounded time."""

from __future__ import annotations

import asyncio
from typing import Any

TURNS = 12
"""Iterations after each read: the application's longest way to an answer here takes fewer."""


class NoSocket:
    """Stands where the transport's socket is asked how much of ours has not reached the peer."""

    def fileno(self) -> int:
        raise OSError("there is none")


class FakeTransport(asyncio.Transport):
    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any) -> None:
        super().__init__({"socket": NoSocket(), "peername": ("test", 1), "sockname": ("test", 2)})
        self.loop = loop
        self.protocol = protocol
        self.written = bytearray()
        self.has_ended = False  # our side
        self.is_paused = False
        self.is_lost = False
        self.unread = b""

    def write(self, data: Any) -> None:
        assert isinstance(data, bytes | bytearray | memoryview)
        assert not self.has_ended or self.is_lost, "written behind the end"
        if not self.is_lost:
            self.written += data

    def write_eof(self) -> None:
        self.has_ended = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.loop.call_soon(self._lose)

    def _lose(self) -> None:
        self.protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return self.is_lost

    def is_reading(self) -> bool:
        return not self.is_paused and not self.is_lost

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def read(self, data: bytes) -> None:
        """Hand over what was not taken while reading was paused, and then this."""
        self.unread += data
        if self.is_reading() and self.unread:
            data, self.unread = self.unread, b""
            self.protocol.data_received(data)

    def end(self) -> None:
        """The peer is gone."""
        if not self.is_lost and not self.protocol.eof_received():
            self.abort()


async def turn(count: int = TURNS) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
