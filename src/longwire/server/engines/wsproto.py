"""The package wsproto as an engine.

What it cannot do, and our own engine can: send a message uncompressed where compression was agreed,
answer messages that came in one read with the close behind them, and stop inflating at the limit
(it inflates a whole piece of input; the pieces are kept small here, so that a bomb stays small).
"""

from __future__ import annotations

from collections import deque

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.events import Event as PackageEvent
from wsproto.events import Ping as PingEvent
from wsproto.events import Pong as PongEvent
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError as PackageError

from longwire.engine import Closed, Deflate, Engine, Event, Failed, Limits, Ping, Pong, Prepared
from longwire.engine.codes import (
    MESSAGE_TOO_BIG,
    NO_STATUS_RECEIVED,
    check_sendable,
    cut_reason,
)
from longwire.engine.connection import MAX_PONGS
from longwire.engine.limits import max_fragments

PIECE = 4096
"""Bytes handed over at a time: deflate makes a thousand of one at most, so 4 MiB of these."""

OURS = (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)


class WsprotoEngine(Engine):
    """One connection."""

    def __init__(self, limits: Limits, deflate: Deflate | None) -> None:
        extensions: list[Extension] = [] if deflate is None else [_extension(deflate)]
        self._connection = Connection(ConnectionType.SERVER, extensions)
        self._max_size = limits.max_message_size
        self._parts: list[str] | list[bytes] = []
        self._size = 0
        self._fragments = 0
        self._out: list[bytes] = []
        self._pongs: deque[bytes] = deque(maxlen=MAX_PONGS)
        self._farewell: CloseConnection | None = None
        self._is_over = False

    def receive_data(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        for start in range(0, len(data), PIECE):
            if self._is_over:
                break
            self._connection.receive_data(data[start : start + PIECE])
            for event in self._connection.events():
                self._on_event(event, events)
                if self._is_over:
                    break
        return events

    def _on_event(self, event: object, events: list[Event]) -> None:
        if isinstance(event, (TextMessage, BytesMessage)):
            if self._connection.state is ConnectionState.OPEN:  # else we have closed: drop it
                self._on_part(event, events)
        elif isinstance(event, PingEvent):
            payload = bytes(event.payload)
            self._pongs.append(payload)
            events.append(Ping(payload))
        elif isinstance(event, PongEvent):
            events.append(Pong(bytes(event.payload)))
        elif isinstance(event, CloseConnection):
            self._on_close(event, events)

    def _on_part(self, event: TextMessage | BytesMessage, events: list[Event]) -> None:
        self._parts.append(event.data)  # type: ignore[arg-type]
        self._size += len(event.data.encode() if isinstance(event.data, str) else event.data)
        self._fragments += event.frame_finished
        if self._max_size and self._size > self._max_size:
            self._fail(MESSAGE_TOO_BIG, f"message over {self._max_size} bytes", events)
        elif self._fragments > max_fragments(self._size):
            self._fail(MESSAGE_TOO_BIG, "too many fragments", events)
        elif event.message_finished:
            if isinstance(event, TextMessage):
                events.append("".join(self._parts))  # type: ignore[arg-type]
            else:
                events.append(b"".join(self._parts))  # type: ignore[arg-type]
            self._parts = []
            self._size = self._fragments = 0

    def _on_close(self, event: CloseConnection, events: list[Event]) -> None:
        if self._connection.state in OURS:  # no close frame: the package tells a fault so
            self._fail(int(event.code), event.reason or "", events)
            return
        self._is_over = True
        if self._connection.state is ConnectionState.REMOTE_CLOSING:
            self._farewell = event.response()
        events.append(Closed(int(event.code or NO_STATUS_RECEIVED), event.reason or ""))

    def _fail(self, code: int, reason: str, events: list[Event]) -> None:
        self._is_over = True
        if self._connection.state is ConnectionState.OPEN:
            self._farewell = CloseConnection(code=code, reason=reason)
        events.append(Failed(code, reason))

    def receive_eof(self) -> None:
        self._is_over = True

    def send(self, data: str | bytes, compress: bool = True) -> None:
        if not self._is_over or self._farewell is not None:  # what leaves last
            self._send(TextMessage(data) if isinstance(data, str) else BytesMessage(data))

    def send_prepared(self, message: Prepared) -> None:
        self.send(message.data)

    def ping(self, payload: bytes = b"") -> None:
        if not self._is_over:
            self._send(PingEvent(payload=payload))

    def close(self, code: int | None = None, reason: str = "") -> None:
        if code is not None:
            check_sendable(code, is_client=False)
        if self._is_over:
            return  # the answer to the peer's own close, or fault, is on its way
        cut = cut_reason(reason).decode()
        # The package knows this one by identity: an equal number would become 1000.
        sent = CloseReason.NO_STATUS_RCVD if code is None else code
        self._send(CloseConnection(code=sent, reason=cut or None))

    def data_to_send(self) -> bytes:
        out, self._out = self._out, []
        try:
            pongs = [self._connection.send(PongEvent(payload=pong)) for pong in self._pongs]
        except PackageError:
            pongs = []  # it sends none once a close frame has gone or come
        self._pongs.clear()
        if self._farewell is not None:
            out.append(self._connection.send(self._farewell))
            self._farewell = None
        return b"".join((*pongs, *out))

    def _send(self, event: PackageEvent) -> None:
        try:
            self._out.append(self._connection.send(event))
        except PackageError:
            return  # the peer's close has come; the session hears of it


def _extension(deflate: Deflate) -> PerMessageDeflate:
    extension = PerMessageDeflate()
    parameters = [
        PerMessageDeflate.name,
        f"server_max_window_bits={deflate.compress_bits}",
        f"client_max_window_bits={deflate.inflate_bits}",
    ]
    if deflate.is_compressor_fresh:
        parameters.append("server_no_context_takeover")
    if deflate.is_decompressor_fresh:
        parameters.append("client_no_context_takeover")
    extension.finalize("; ".join(parameters))
    return extension


def new_engine(limits: Limits, deflate: Deflate | None) -> WsprotoEngine:
    """Return the engine of a connection."""
    return WsprotoEngine(limits, deflate)
