"""What leaves the connection: the engine's bytes, written as seldom and as soon as is right.

    most of the time   once an iteration of the loop (flow.Flusher): what one read, or one task,
                       produced leaves in one write, and the peers of all reads are woken together
    peer does not read bytes stay with the engine; send() waits (policy: wait), and pongs do not
                       pile up, for the engine bounds them

The bounds: FLUSH_BYTES here before the flush, `ws_send_buffer` bytes in the transport.
"""

from __future__ import annotations

from typing import Any

from longwire.engine.engine import Engine
from longwire.server.awaitable import PENDING, Awaitable
from longwire.server.flow import FLUSH_BYTES, Flushable, Flusher
from longwire.server.transport import Transport


class Outbox(Flushable):
    """The outgoing half of one connection."""

    __slots__ = (
        "_engine",
        "_flusher",
        "_is_dirty",
        "_is_paused",
        "_parked",
        "_transport",
        "_unsent",
        "size_sent",
    )

    def __init__(self, transport: Transport, flusher: Flusher) -> None:
        self._transport: Transport | None = transport
        self._flusher = flusher
        self._engine: Engine | None = None  # until the handshake is accepted
        self._unsent = 0  # bytes of payload queued since the last write
        self._is_dirty = False
        self._is_paused = False
        self._parked: list[Awaitable] | None = None
        self.size_sent = 0

    @property
    def size_taken(self) -> int:
        """Bytes the kernel has taken from us: while we are paused, what the peer has read."""
        return self.size_sent - self._size_buffered()

    @property
    def size_waiting(self) -> int:
        """Bytes that the kernel has not taken: the transport's, and messages yet to be written."""
        return self._unsent + self._size_buffered()

    def _size_buffered(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def is_paused(self) -> bool:
        """Whether the peer has not read for `ws_send_buffer` bytes."""
        return self._is_paused

    def open(self, engine: Engine, answer: bytes) -> None:
        """Write the answer to the handshake; behind it the engine says what to write.

        At once, not with the iteration: a client that waits for it does nothing else meanwhile.
        """
        self._engine = engine
        if self._transport is not None:
            self._transport.write(answer)

    def lose(self) -> None:
        """The transport is gone: write nothing more, and let nobody wait."""
        self._transport = None
        self._is_paused = False
        self._unsent = 0
        self.wake()

    def is_full(self) -> bool:
        """Return whether send() has to wait."""
        return self._is_paused or self._unsent > FLUSH_BYTES

    def add(self, size: int) -> None:
        """Note that the engine has queued a frame of `size` bytes of payload; it leaves soon."""
        self._unsent += size
        if not self._is_dirty:
            self._is_dirty = True
            self._flusher.add(self)

    def flush(self) -> None:
        """Write what the engine has queued; while the peer does not read, it stays there."""
        self._is_dirty = False
        if not self._is_paused:
            self.write()
            if self._parked is not None and not self._is_paused:
                self.wake()

    def write(self) -> None:
        """Write everything, even if the peer does not read: the end needs it."""
        if self._engine is None or self._transport is None:
            return
        data = self._engine.data_to_send()
        if data:
            self._unsent = 0
            self.size_sent += len(data)
            self._transport.write(data)

    def pause(self) -> None:
        """The transport's buffer is over its bound."""
        self._is_paused = True

    def resume(self) -> None:
        """The transport's buffer has room again."""
        self._is_paused = False
        self.flush()

    def park(self, send: Awaitable) -> Any:
        """Keep a send that has to wait until there is room; it is asked again then, in order."""
        if self._parked is None:
            self._parked = [send]
        else:
            self._parked.append(send)
        return PENDING

    def forget(self, send: Awaitable) -> None:
        """Drop a send that is cancelled; harmless if it is not parked."""
        if self._parked is not None and send in self._parked:
            self._parked.remove(send)

    def wake(self) -> None:
        """Ask the parked sends again, each in its task."""
        parked, self._parked = self._parked, None
        for send in parked or ():
            send.wake(False)
