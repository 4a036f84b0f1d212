"""The package websockets as an engine, through its Sans-I/O API.

What it cannot do, and our own engine can: find bad UTF-8 before its frame is whole, and answer
messages that came in one read with the close behind them.
"""

from __future__ import annotations

import codecs
import logging
from collections import deque

from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from longwire.engine import Closed, Deflate, Engine, Event, Failed, Limits, Ping, Pong, Prepared
from longwire.engine.codes import (
    INVALID_PAYLOAD,
    MESSAGE_TOO_BIG,
    NO_STATUS_RECEIVED,
    PROTOCOL_ERROR,
    check_sendable,
    cut_reason,
)
from longwire.engine.connection import MAX_PONGS
from longwire.engine.limits import max_fragments

logger = logging.getLogger("longwire.websockets")
logger.setLevel(logging.ERROR)  # the session's own lines say how a connection ended

DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

new_decoder = codecs.getincrementaldecoder("utf-8")


class _Protocol(ServerProtocol):
    """The package's protocol; the pongs it makes wait, bounded, until something is written."""

    def __init__(self, max_size: int | None) -> None:
        super().__init__(state=State.OPEN, max_size=max_size, logger=logger)
        self.pongs: deque[Frame] = deque(maxlen=MAX_PONGS)

    def send_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            if self.state is State.OPEN:  # nothing follows our close frame
                self.pongs.append(frame)
        else:
            super().send_frame(frame)

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None  # a close may come between fragments (RFC 6455 section 5.4)
        super().recv_frame(frame)

    def take_pongs(self) -> list[bytes]:
        """Return the pongs' bytes."""
        taken = [pong.serialize(mask=False) for pong in self.pongs]
        self.pongs.clear()
        return taken


class WebsocketsEngine(Engine):
    """One connection."""

    def __init__(self, limits: Limits, deflate: Deflate | None) -> None:
        self._protocol = _Protocol(limits.max_message_size or None)
        self._deflate = None if deflate is None else _extension(deflate)
        self._threshold = 0 if deflate is None else deflate.threshold
        if self._deflate is not None:
            self._protocol.extensions = [self._deflate]
        self._is_text = False
        self._decoder = new_decoder()
        self._parts: list[str] | list[bytes] = []
        self._size = 0
        self._fragments = 0
        self._is_closing = False  # our close frame has gone first
        self._is_over = False

    def receive_data(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        protocol = self._protocol
        if self._is_over:
            return events
        protocol.receive_data(data)
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            self._on_frame(frame, events)
            if self._is_over:
                return events
        if protocol.parser_exc is not None:
            self._is_over = True
            sent = protocol.close_sent
            is_ours = protocol.close_rcvd is None and not self._is_closing
            code, reason = (sent.code, sent.reason) if sent and is_ours else (PROTOCOL_ERROR, "")
            events.append(Failed(code, reason or str(protocol.parser_exc)))
        return events

    def _on_frame(self, frame: Frame, events: list[Event]) -> None:
        if frame.opcode in DATA:
            if not self._is_closing:  # else we have closed: drop it
                self._on_part(frame, events)
        elif frame.opcode is Opcode.PING:
            events.append(Ping(bytes(frame.data)))
        elif frame.opcode is Opcode.PONG:
            events.append(Pong(bytes(frame.data)))
        else:
            self._is_over = True
            received = self._protocol.close_rcvd
            code = NO_STATUS_RECEIVED if received is None else received.code
            events.append(Closed(code, "" if received is None else received.reason))

    def _on_part(self, frame: Frame, events: list[Event]) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._fragments += 1
        self._size += len(frame.data)
        if self._fragments > max_fragments(self._size):
            self._fail(MESSAGE_TOO_BIG, "too many fragments", events)
            return
        if self._is_text:
            try:
                self._parts.append(self._decoder.decode(frame.data, frame.fin))  # type: ignore[arg-type]
            except UnicodeDecodeError:
                self._fail(INVALID_PAYLOAD, "text is not UTF-8", events)
                return
        else:
            self._parts.append(bytes(frame.data))  # type: ignore[arg-type]
        if frame.fin:
            events.append(("" if self._is_text else b"").join(self._parts))  # type: ignore[arg-type]
            self._parts = []
            self._decoder.reset()
            self._size = self._fragments = 0

    def _fail(self, code: int, reason: str, events: list[Event]) -> None:
        self._is_over = True
        self._protocol.fail(code, reason)
        events.append(Failed(code, reason))

    def receive_eof(self) -> None:
        self._is_over = True

    def send(self, data: str | bytes, compress: bool = True) -> None:
        payload = data.encode() if isinstance(data, str) else data
        is_small = len(payload) < self._threshold
        if self._deflate is not None:
            self._protocol.extensions = [] if is_small or not compress else [self._deflate]
        try:
            if isinstance(data, str):
                self._protocol.send_text(payload)
            else:
                self._protocol.send_binary(payload)
        except InvalidState:
            return  # the peer's close has come; the session hears of it
        finally:
            if self._deflate is not None:
                self._protocol.extensions = [self._deflate]

    def send_prepared(self, message: Prepared) -> None:
        self.send(message.data)

    def ping(self, payload: bytes = b"") -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(payload)

    def close(self, code: int | None = None, reason: str = "") -> None:
        if code is not None:
            check_sendable(code, is_client=False)
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, cut_reason(reason).decode())
            self._is_closing = True

    def data_to_send(self) -> bytes:
        # The package asks for TCP's end by an empty write; the session sees to that.
        return b"".join((*self._protocol.take_pongs(), *self._protocol.data_to_send()))


def _extension(deflate: Deflate) -> PerMessageDeflate:
    return PerMessageDeflate(
        remote_no_context_takeover=deflate.is_decompressor_fresh,
        local_no_context_takeover=deflate.is_compressor_fresh,
        remote_max_window_bits=deflate.inflate_bits,
        local_max_window_bits=deflate.compress_bits,
        compress_settings={
            "level": deflate.settings.level,
            "memLevel": deflate.settings.memory_level,
        },
    )


def new_engine(limits: Limits, deflate: Deflate | None) -> WebsocketsEngine:
    """Return the engine of a connection."""
    return WebsocketsEngine(limits, deflate)
