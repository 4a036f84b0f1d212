"""A message that comes in several reads or frames, or compressed: put together as it arrives.

- Its limits, in bytes and in fragments, hold before anything is kept.
- Text is checked as far as it has come, so that the first wrong byte ends it.
- It lives in one growing buffer, and only until the message is whole.
"""

from __future__ import annotations

from longwire.engine.codes import INVALID_PAYLOAD, MESSAGE_TOO_BIG
from longwire.engine.deflate import Deflate
from longwire.engine.frames import FIN, OPCODE, RSV1, TEXT
from longwire.engine.limits import max_deflated, max_fragments
from longwire.engine.masking import append_unmasked, mask
from longwire.engine.utf8 import checked_until
from longwire.errors import RemoteProtocolError


class Assembly:
    """One message, from its first frame's header to its last frame's last byte.

    Its methods raise RemoteProtocolError, with the close code, for what has to end the connection.
    """

    __slots__ = (
        "_buffer",
        "_checked",
        "_deflate",
        "_fragments",
        "_is_compressed",
        "_is_final",
        "_key",
        "_max_size",
        "_offset",
        "_opcode",
        "_wire_size",
        "missing",
    )

    def __init__(self, first: int, max_size: int, deflate: Deflate | None) -> None:
        """`first` is the first byte of its first frame; `max_size`, in bytes, is 0 for no limit."""
        self._opcode = first & OPCODE
        self._is_compressed = first & RSV1 != 0
        self._max_size = max_size
        self._deflate = deflate
        self._buffer = bytearray()
        self._checked = 0  # bytes of text already found to be UTF-8
        self._fragments = 0
        self._wire_size = 0  # bytes of payload in the frames so far, as they were sent
        # The frame we are in
        self.missing = 0  # bytes of its payload that have yet to come
        self._key = 0
        self._offset = 0  # bytes of its payload that were here, modulo four
        self._is_final = False

    def start_frame(self, first: int, length: int, key: int) -> None:
        """Take a frame's header."""
        self._fragments += 1
        if self._fragments > max_fragments(self._wire_size):
            raise RemoteProtocolError(
                MESSAGE_TOO_BIG, f"{self._fragments} fragments with {self._wire_size} bytes"
            )
        if self._max_size:
            limit = max_deflated(self._max_size) if self._is_compressed else self._max_size
            if length > limit - self._wire_size:
                raise too_big(self._max_size)
        self._wire_size += length
        self.missing = length
        self._key = key
        self._offset = 0
        self._is_final = first & FIN != 0

    def read(self, data: bytes, position: int) -> int:
        """Take what there is of the frame's payload; return the position behind it."""
        size = min(self.missing, len(data) - position)
        if size:
            self._take(data, position, position + size)
            self._offset = (self._offset + size) & 3
            self.missing -= size
        return position + size

    def _take(self, data: bytes, start: int, end: int) -> None:
        """Add payload, inflated if need be, and check it as far as it goes."""
        buffer = self._buffer
        if self._is_compressed:
            assert self._deflate is not None
            chunk = mask(data, start, end, self._key, self._offset)
            self._deflate.inflate(chunk, buffer, self._max_size)
        else:
            size = len(buffer)
            left = self.missing - (end - start)
            is_ascii = append_unmasked(buffer, data, start, end, self._key, self._offset, left)
            if is_ascii and self._checked == size:
                self._checked = len(buffer)
                return
        if self._opcode == TEXT:
            try:
                self._checked = checked_until(buffer, self._checked)
            except UnicodeDecodeError:
                raise not_utf8() from None

    def end(self) -> bool:
        """Return whether the message ends with this frame, all of which is here."""
        if self._is_final and self._is_compressed:
            assert self._deflate is not None
            self._deflate.end_inflating(self._buffer, self._max_size)
        return self._is_final

    def message(self) -> str | bytes:
        """Return the whole message."""
        if self._opcode != TEXT:
            return bytes(self._buffer)
        try:
            return self._buffer.decode()
        except UnicodeDecodeError:
            raise not_utf8() from None


def not_utf8() -> RemoteProtocolError:
    """Return the error of text that is no UTF-8 (RFC 6455 section 8.1)."""
    # No more detail: what the decoder says depends on how the bytes were cut into reads.
    return RemoteProtocolError(INVALID_PAYLOAD, "text is not UTF-8")


def too_big(limit: int) -> RemoteProtocolError:
    """Return the error of a message over the limit, in bytes (RFC 6455 section 7.4.1)."""
    return RemoteProtocolError(MESSAGE_TOO_BIG, f"message over the limit of {limit} bytes")
