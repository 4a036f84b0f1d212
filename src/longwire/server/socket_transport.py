"""A plain TCP or unix connection on a poller: what leaves leaves at once, and what ends ends soon.

A transport of the event loop's costs a handshake more than everything else that it takes; this one
has what the server needs, and nothing else. TLS stays with the loop's.
"""

from __future__ import annotations

import socket
from typing import Any

from longwire.server.direct import RECEIVE_BYTES, receive_now, send_now
from longwire.server.poller import READ, WRITE, Pollable, Poller
from longwire.server.stream import StreamProtocol

READS = 4
"""Full buffers that one connection may read in its turn: 1 MiB, then the others have theirs."""

HIGH_WATER = 64 * 1024
"""Bytes that may wait until the protocol is told, if nobody says another number."""

LOW_WATER_SHARE = 4
"""The protocol is told again once a quarter of that waits."""


class SocketTransport(Pollable):
    """A `Transport`; see there, and asyncio.Transport, for what its methods do.

    A peer that ends its side is gone: whatever `eof_received()` returns, the transport closes.
    Protocols are called by the poller, never from inside a call of theirs; but `write()` may call
    `pause_writing()`, as asyncio's does.
    """

    __slots__ = (
        "_descriptor",
        "_error",
        "_events",
        "_high_water",
        "_is_closing",
        "_is_eof_due",
        "_is_lost",
        "_is_reading",
        "_is_writing_paused",
        "_peername",
        "_poller",
        "_protocol",
        "_socket",
        "_unsent",
    )

    def __init__(
        self,
        poller: Poller,
        sock: socket.socket,
        peername: object,
        protocol: StreamProtocol,
    ) -> None:
        """`sock` does not block, and is the transport's from here on."""
        self._poller = poller
        self._socket = sock
        self._descriptor = sock.fileno()
        self._peername = peername
        self._protocol = protocol
        self._unsent: bytearray | None = None
        self._high_water = HIGH_WATER
        self._events = 0  # what the poller waits for
        self._is_reading = True
        self._is_writing_paused = False
        self._is_eof_due = False  # our side ends behind what is unsent
        self._is_closing = False  # both sides do
        self._is_lost = False  # it is over; the protocol is about to be told, or was
        self._error: Exception | None = None

    def open(self) -> None:
        """Introduce the protocol to its transport, and read."""
        try:
            self._protocol.connection_made(self)
            if self._is_reading:
                self._wait_for(self._events | READ)
        except Exception as error:
            self.on_error(error)

    # ---- what the poller says ---------------------------------------------------------------

    def on_events(self, events: int) -> None:
        # First what has come: a write that meets a reset would end the connection without it.
        if events & ~WRITE:
            if self._is_reading:
                self._read()
            elif self._events & READ:
                self._wait_for(self._events & ~READ)  # paused since; most pauses end before this
            else:
                self._write_on()  # a hang-up, and writing is all that is left: it meets the error
        if events & WRITE:
            self._write_on()

    def _read(self) -> None:
        count = 0
        while True:
            try:
                data = receive_now(self._descriptor)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(error)
                return
            if not data:
                self._protocol.eof_received()
                self.close()
                return
            protocol = self._protocol  # it may hand over, and is needed until it has returned
            protocol.data_received(data)
            count += 1
            if len(data) < RECEIVE_BYTES or count == READS or not self._is_reading:
                return

    def _write_on(self) -> None:
        """Write what waits, as far as the kernel takes it."""
        unsent = self._unsent
        if unsent is None:
            return
        try:
            sent = send_now(self._descriptor, unsent)
        except OSError as error:
            self._lose(error)
            return
        del unsent[:sent]
        if not unsent:
            self._unsent = None
            self._wait_for(self._events & ~WRITE)
        if self._is_writing_paused and len(unsent) * LOW_WATER_SHARE <= self._high_water:
            self._is_writing_paused = False
            self._protocol.resume_writing()
        if self._unsent is None:
            self._end_what_is_due()

    def _end_what_is_due(self) -> None:
        if self._is_closing:
            self._lose(None)
        elif self._is_eof_due:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._lose(error)

    def _wait_for(self, events: int) -> None:
        if events == self._events:
            return
        self._events = events
        if events:
            self._poller.watch(self._descriptor, self, events)
        else:
            self._poller.forget(self._descriptor)

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = self._is_closing = True
            self._is_reading = False
            self._error = error
            self._unsent = None
            self._wait_for(0)
            self._poller.end(self)

    def on_error(self, error: Exception) -> None:
        """The protocol failed: say so, as asyncio does, and cut the connection."""
        self._poller.loop.call_exception_handler(
            {
                "message": "Fatal error: a call of the protocol's failed",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self._lose(error)

    def on_end(self) -> None:
        protocol, self._protocol = self._protocol, None  # type: ignore[assignment]
        error, self._error = self._error, None
        try:
            protocol.connection_lost(error)
        finally:
            self._socket.close()

    # ---- Transport --------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "socket":
            return self._socket
        if name == "peername":
            return self._peername
        if name == "sockname":
            return self._socket.getsockname()
        return default

    def set_protocol(self, protocol: StreamProtocol) -> None:
        self._protocol = protocol

    def is_reading(self) -> bool:
        return self._is_reading

    def pause_reading(self) -> None:
        self._is_reading = False

    def resume_reading(self) -> None:
        if not self._is_closing:
            self._is_reading = True
            self._wait_for(self._events | READ)

    def set_write_buffer_limits(self, high: int | None = None) -> None:
        self._high_water = HIGH_WATER if high is None else high

    def get_write_buffer_size(self) -> int:
        return 0 if self._unsent is None else len(self._unsent)

    def write(self, data: bytes | bytearray) -> None:
        if self._is_closing or self._is_eof_due:
            return
        if self._unsent is None:
            try:
                sent = send_now(self._descriptor, data)
            except OSError as error:
                self._lose(error)
                return
            if sent == len(data):
                return
            self._unsent = bytearray(memoryview(data)[sent:])
            self._wait_for(self._events | WRITE)
        else:
            self._unsent += data
        if len(self._unsent) > self._high_water and not self._is_writing_paused:
            self._is_writing_paused = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._is_eof_due:
            self._is_eof_due = True
            if self._unsent is None and not self._is_closing:
                self._end_what_is_due()

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._is_reading = False
            if self._unsent is None:
                self._lose(None)

    def abort(self) -> None:
        self._lose(None)
