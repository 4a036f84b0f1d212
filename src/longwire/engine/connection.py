"""One WebSocket connection after its handshake, without I/O, clock or randomness.

    receive_data(bytes) -> events        send / ping / pong / close -> data_to_send() -> bytes

- OPEN --close()--> CLOSING --peer's close--> CLOSED; a peer's close, a failure, or EOF go to
  CLOSED from anywhere. In CLOSING messages are dropped; in CLOSED nothing is parsed.
- An error of the peer never raises: it becomes a Failed event, the last one.
- The answer to the peer's close, or to its error, is made by data_to_send(): messages that came
  before it in the same read can still be answered first.
- A message is whole when it is reported; what is not whole lives in one growing buffer.
- Pings are answered by data_to_send(); the answers to a peer that does not read cannot pile up.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from longwire.engine.assembly import Assembly, not_utf8, too_big
from longwire.engine.codes import (
    INVALID_PAYLOAD,
    NO_STATUS_RECEIVED,
    NORMAL_CLOSURE,
    PROTOCOL_ERROR,
    check_sendable,
    cut_reason,
    is_receivable,
)
from longwire.engine.deflate import Deflate
from longwire.engine.engine import Engine
from longwire.engine.events import Closed, Event, Failed, Ping, Pong
from longwire.engine.frame_reader import FrameHeader
from longwire.engine.frame_writer import (
    text_frame,
    write_frame,
    write_masked_frame,
    write_text_frame,
)
from longwire.engine.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    CONTROL,
    FIN,
    MAX_CONTROL_PAYLOAD,
    OPCODE,
    PING,
    PONG,
    RSV1,
    RSV23,
    TEXT,
)
from longwire.engine.limits import Limits
from longwire.engine.masking import mask, unmask_text
from longwire.engine.prepared import Prepared
from longwire.errors import LocalProtocolError, RemoteProtocolError

MAX_PONGS = 32
"""Pongs that wait to be written, 4 KiB of them; then the oldest goes (RFC 6455 section 5.5.3 asks
only for the latest)."""

DEFAULT_LIMITS = Limits()


class Role(Enum):
    SERVER = "server"
    CLIENT = "client"


class State(Enum):
    """Where the closing handshake stands (RFC 6455 section 7.1)."""

    OPEN = "open"
    CLOSING = "closing"  # our close frame is queued or sent, the peer's has not come
    CLOSED = "closed"  # both are, or the connection was lost: TCP can be closed


OPEN = State.OPEN
CLOSING = State.CLOSING
CLOSED = State.CLOSED


class Connection(Engine):
    """The protocol of one connection; `masking_key` makes four fresh random bytes (client only)."""

    __slots__ = (
        "_assembly",
        "_deflate",
        "_farewell",
        "_header",
        "_is_client",
        "_masking_key",
        "_max_size",
        "_out",
        "_pongs",
        "_rest",
        "_state",
    )

    def __init__(
        self,
        role: Role,
        limits: Limits = DEFAULT_LIMITS,
        deflate: Deflate | None = None,
        masking_key: Callable[[], bytes] | None = None,
    ) -> None:
        self._is_client = role is Role.CLIENT
        if self._is_client and masking_key is None:
            raise LocalProtocolError("a client masks its frames: pass masking_key=")
        self._masking_key = masking_key if self._is_client else None
        self._max_size = limits.max_message_size
        self._deflate = deflate
        self._state = OPEN
        self._header = FrameHeader()
        # Receiving: a header or control frame that is not all there
        self._rest = b""
        # ... a message that is not all there, or compressed
        self._assembly: Assembly | None = None
        # Sending
        self._out: bytearray | bytes | None = None
        self._pongs: list[bytes] | None = None
        self._farewell: bytes | None = None  # the body of the close frame that answers the peer

    @property
    def state(self) -> State:
        """Where the closing handshake stands."""
        return self._state

    # ---- receiving --------------------------------------------------------------------------

    @property
    def payload_missing(self) -> int:
        """Bytes of the present data frame's payload that have yet to come."""
        return 0 if self._assembly is None else self._assembly.missing

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes from the wire, cut anywhere; return what they complete, in order.

        Never raises for what a peer can send: Closed or Failed is then the last event.
        """
        events: list[Any] = []
        if self._state is CLOSED or self._farewell is not None:
            return events
        if self._rest:
            data = self._rest + data
            self._rest = b""
        try:
            self._parse(data, events)
        except RemoteProtocolError as error:
            self._fail(error.code, error.reason, events)
        return events

    def receive_eof(self) -> list[Event]:
        """Note that the peer sends nothing more; what it left unfinished is dropped."""
        self._state = CLOSED
        self._assembly = None
        self._rest = b""
        return []

    def _parse(self, data: bytes, events: list[Any]) -> None:
        header = self._header
        position = 0
        end = len(data)
        while True:
            assembly = self._assembly  # held: C's calls would let it go if it ended meanwhile
            if assembly is not None and assembly.missing:
                position = assembly.read(data, position)
                if assembly.missing or self._assembly is not assembly:
                    return
                self._end_frame(events)
            if position == end:
                return
            first = data[position]
            self._check_first(first)  # as soon as it is here, so that no split matters
            size = header.read(data, position)
            if size == 0:
                self._rest = data[position:]
                return
            if header.is_masked == self._is_client:
                raise RemoteProtocolError(
                    PROTOCOL_ERROR, "masked frame" if self._is_client else "unmasked frame"
                )
            length = header.length
            start = position + size
            if first & CONTROL:
                if end - start < length:
                    self._rest = data[position:]
                    return
                position = start + length
                self._on_control(first & OPCODE, mask(data, start, position, header.key), events)
                if self._state is CLOSED or self._farewell is not None:
                    return
                continue
            position = start
            if self._assembly is None and first & (FIN | RSV1) == FIN and end - start >= length:
                # The common case by far: a whole message in one frame in one read.
                if self._max_size and length > self._max_size:
                    raise too_big(self._max_size)
                position += length
                if self._state is OPEN:
                    if first & OPCODE == TEXT:
                        try:
                            events.append(unmask_text(data, start, position, header.key))
                        except UnicodeDecodeError:
                            raise not_utf8() from None
                    else:
                        events.append(mask(data, start, position, header.key))
                continue
            if self._assembly is None:
                self._assembly = Assembly(first, self._max_size, self._deflate)
            self._assembly.start_frame(first, length, header.key)
            if length == 0:
                self._end_frame(events)

    def _check_first(self, first: int) -> None:
        """Check FIN, RSV bits and opcode (RFC 6455 section 5.2) against where the message is."""
        opcode = first & OPCODE
        if first & RSV23:
            raise RemoteProtocolError(PROTOCOL_ERROR, "reserved bit 2 or 3 is set")
        if first & RSV1 and (self._deflate is None or opcode == CONTINUATION or opcode & CONTROL):
            # RFC 7692 section 6: only on the first frame of a message, if agreed upon.
            raise RemoteProtocolError(PROTOCOL_ERROR, "reserved bit 1 is set")
        if opcode == CONTINUATION:
            if self._assembly is None:
                raise RemoteProtocolError(PROTOCOL_ERROR, "continuation of no message")
        elif opcode in (TEXT, BINARY):
            if self._assembly is not None:
                raise RemoteProtocolError(PROTOCOL_ERROR, "new message inside another")
        elif not CLOSE <= opcode <= PONG:
            raise RemoteProtocolError(PROTOCOL_ERROR, f"unknown opcode {opcode:#x}")

    def _end_frame(self, events: list[Any]) -> None:
        assembly = self._assembly
        assert assembly is not None
        if assembly.end():
            if self._state is OPEN:
                events.append(assembly.message())
            self._assembly = None

    def _on_control(self, opcode: int, payload: bytes, events: list[Any]) -> None:
        if opcode == PING:
            if self._state is OPEN:
                self._add_pong(payload)
            events.append(Ping(payload))
        elif opcode == PONG:
            events.append(Pong(payload))
        else:
            code, reason = _read_close(payload)
            self._end(payload[:2])  # RFC 6455 section 5.5.1: echo the code
            events.append(Closed(code, reason))

    def _fail(self, code: int, reason: str, events: list[Any]) -> None:
        """Fail the connection (RFC 6455 section 7.1.7)."""
        self._end(code.to_bytes(2, "big") + cut_reason(reason))
        events.append(Failed(code, reason))

    def _end(self, farewell: bytes) -> None:
        """Parse nothing more; a close frame answers the peer if we have not sent ours."""
        self._assembly = None
        if self._state is OPEN:
            self._farewell = farewell
        else:
            self._state = CLOSED

    def _add_pong(self, payload: bytes) -> None:
        if self._pongs is None:
            self._pongs = [payload]
        else:
            if len(self._pongs) == MAX_PONGS:
                del self._pongs[0]
            self._pongs.append(payload)

    # ---- sending ----------------------------------------------------------------------------

    def send(self, data: str | bytes | bytearray | memoryview, compress: bool = True) -> None:
        """Queue a message: text for a str, binary for bytes.

        `compress=False` sends it as it is even where deflate was agreed upon. Raises
        LocalProtocolError once the connection is not open, TypeError for other types,
        UnicodeEncodeError (a ValueError) for lone surrogates.
        """
        if self._state is not OPEN:
            raise LocalProtocolError(f"cannot send a message: connection is {self._state.value}")
        if isinstance(data, str):
            if self._deflate is None and not self._is_client and type(data) is str:
                if self._out is None:
                    self._out = text_frame(FIN | TEXT, data)  # most go alone: no buffer has to grow
                else:
                    write_text_frame(self._buffer(), FIN | TEXT, data)
                return
            first = FIN | TEXT
            payload = data.encode()
        elif isinstance(data, (bytes, bytearray, memoryview)):
            first = FIN | BINARY
            payload = bytes(data)
        else:
            raise TypeError(f"a message is str or bytes; got {type(data).__name__}")
        if self._deflate is not None and compress and len(payload) >= self._deflate.threshold:
            payload = self._deflate.compress(payload)
            first |= RSV1
        self._write_frame(first, payload)

    def send_prepared(self, message: Prepared) -> None:
        """Queue a message whose frames many connections share; raises as send() does."""
        if message is None:  # which C's types let through
            raise TypeError("a prepared message is needed; got None")
        if self._state is not OPEN:
            raise LocalProtocolError(f"cannot send a message: connection is {self._state.value}")
        if self._is_client:
            self.send(message.data)
            return
        frame = message.frame
        if self._deflate is not None and message.size >= self._deflate.threshold:
            frame = message.deflated(self._deflate)
            self._deflate.forget()
        if self._out is None:
            self._out = frame  # as it is, nothing copied, if nothing follows
        else:
            self._buffer().extend(frame)

    def ping(self, payload: bytes = b"") -> None:
        """Queue a ping of at most 125 bytes; LocalProtocolError if it is longer or too late."""
        self._write_control(PING, payload)

    def pong(self, payload: bytes = b"") -> None:
        """Queue a pong nobody asked for; pings are answered without it."""
        self._write_control(PONG, payload)

    def close(self, code: int | None = NORMAL_CLOSURE, reason: str = "") -> None:
        """Queue the close frame; None sends one without a code. Harmless once one was sent.

        A reason over 123 bytes is cut between characters. Raises LocalProtocolError for a code
        that may not be sent (RFC 6455 section 7.4).
        """
        payload = b""
        if code is not None:
            check_sendable(code, self._is_client)
            payload = code.to_bytes(2, "big") + cut_reason(reason)
        if self._state is not OPEN or self._farewell is not None:
            return
        self._write_frame(FIN | CLOSE, payload)
        self._state = CLOSING

    def data_to_send(self) -> bytes | bytearray:
        """Return everything queued, and forget it; b"" if there is nothing."""
        if self._pongs is not None:
            self._write_pongs()
        if self._farewell is not None:
            farewell, self._farewell = self._farewell, None
            self._write_frame(FIN | CLOSE, farewell)
            self._state = CLOSED
        out = self._out
        if out is None:
            return b""
        self._out = None
        return out

    def _write_pongs(self) -> None:
        """Put the pongs before what is queued: the pings came before the replies to their read."""
        pongs, self._pongs = self._pongs, None
        if self._state is OPEN:  # nothing follows our close frame (RFC 6455 section 5.5.1)
            queued, self._out = self._out, None
            for payload in pongs or ():
                self._write_frame(FIN | PONG, payload)
            if queued is not None:
                self._buffer().extend(queued)

    def _write_control(self, opcode: int, payload: bytes) -> None:
        if self._state is not OPEN:
            raise LocalProtocolError(f"cannot send a frame: connection is {self._state.value}")
        if not isinstance(payload, (bytes, bytearray, memoryview)):
            raise TypeError(f"a control frame carries bytes; got {type(payload).__name__}")
        payload = bytes(payload)
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise LocalProtocolError(
                f"a control frame carries at most {MAX_CONTROL_PAYLOAD} bytes; got {len(payload)}"
            )
        self._write_frame(FIN | opcode, payload)

    def _write_frame(self, first: int, payload: bytes) -> None:
        if self._masking_key is None:
            write_frame(self._buffer(), first, payload)
        else:
            key = int.from_bytes(self._masking_key(), "little")  # fresh for every frame (5.3)
            write_masked_frame(self._buffer(), first, payload, key)

    def _buffer(self) -> bytearray:
        out = self._out
        if type(out) is not bytearray:
            out = self._out = bytearray(out or b"")
        return out


def _read_close(payload: bytes) -> tuple[int, str]:
    """Return code and reason of a close frame's body (RFC 6455 section 5.5.1)."""
    if not payload:
        return NO_STATUS_RECEIVED, ""
    if len(payload) == 1:
        raise RemoteProtocolError(PROTOCOL_ERROR, "close frame with half a code")
    code = int.from_bytes(payload[:2], "big")
    if not is_receivable(code):
        raise RemoteProtocolError(PROTOCOL_ERROR, f"close frame with code {code}")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError(INVALID_PAYLOAD, "close reason is not UTF-8") from None
