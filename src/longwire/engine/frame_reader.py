"""A frame's header read (RFC 6455 section 5.2), wherever the bytes are cut."""

from __future__ import annotations

from longwire.engine.codes import PROTOCOL_ERROR
from longwire.engine.frames import CONTROL, FIN, MASKED, MAX_CONTROL_PAYLOAD
from longwire.errors import RemoteProtocolError


class FrameHeader:
    """The header of the frame being received; one instance is read into again and again."""

    __slots__ = ("first", "is_masked", "key", "length")

    def __init__(self) -> None:
        self.first = 0  # FIN, RSV bits and opcode
        self.is_masked = False
        self.length = 0
        self.key = 0  # the masking key as a little-endian integer; 0 without one

    def read(self, data: bytes, position: int) -> int:
        """Read the header at `position`; return its size in bytes, or 0 if it is not all there.

        Raises RemoteProtocolError for a header that no frame may have.
        """
        available = len(data) - position
        if available < 2:
            return 0
        first = data[position]
        second = data[position + 1]
        if first & CONTROL and (second & 0x7F > MAX_CONTROL_PAYLOAD or not first & FIN):
            raise RemoteProtocolError(PROTOCOL_ERROR, _control_fault(first))
        size = 2
        length = second & 0x7F
        if length == 126:
            if available < 4:
                return 0
            length = data[position + 2] << 8 | data[position + 3]
            if length < 126:
                raise RemoteProtocolError(PROTOCOL_ERROR, "frame length not in its shortest form")
            size = 4
        elif length == 127:
            if available < 10:
                return 0
            length = int.from_bytes(data[position + 2 : position + 10], "big")
            if length >= 1 << 63:
                raise RemoteProtocolError(PROTOCOL_ERROR, "frame length with its top bit set")
            if length < 65536:
                raise RemoteProtocolError(PROTOCOL_ERROR, "frame length not in its shortest form")
            size = 10
        if second & MASKED:
            if available < size + 4:
                return 0
            start = position + size
            self.key = (
                data[start] | data[start + 1] << 8 | data[start + 2] << 16 | data[start + 3] << 24
            )
            self.is_masked = True
            size += 4
        else:
            self.key = 0
            self.is_masked = False
        self.first = first
        self.length = length
        return size


def _control_fault(first: int) -> str:
    if not first & FIN:
        return "fragmented control frame"
    return f"control frame longer than {MAX_CONTROL_PAYLOAD} bytes"
