"""A message that goes to many: encoded, framed and compressed once for each kind of connection.

Servers only: a client masks every frame with a key of its own (RFC 6455 section 5.3).
"""

from __future__ import annotations

from longwire.engine.deflate import Deflate
from longwire.engine.frame_writer import write_frame
from longwire.engine.frames import BINARY, FIN, RSV1, TEXT


class Prepared:
    """A message and its frames; `size` is its payload's in bytes.

    Raises TypeError for what is neither str nor bytes, UnicodeEncodeError for lone surrogates.
    """

    __slots__ = ("_deflated", "_first", "_payload", "data", "frame", "size")

    def __init__(self, data: str | bytes) -> None:
        if isinstance(data, str):
            self._first = FIN | TEXT
            self._payload = data.encode()
        elif isinstance(data, bytes):
            self._first = FIN | BINARY
            self._payload = data
        else:
            raise TypeError(f"a message is str or bytes; got {type(data).__name__}")
        self.data = data
        self.size = len(self._payload)
        self.frame = _frame(self._first, self._payload)
        self._deflated: dict[tuple[int, int, int], bytes] | None = None

    def deflated(self, deflate: Deflate) -> bytes:
        """Return the compressed frame for connections that agreed on what this one did.

        It begins with an empty window, so that any of them can inflate it; what they send
        afterwards has to begin with an empty window, too (Deflate.forget).
        """
        if self._deflated is None:
            self._deflated = {}
        frame = self._deflated.get(deflate.variant)
        if frame is None:
            frame = _frame(self._first | RSV1, deflate.compress_alone(self._payload))
            self._deflated[deflate.variant] = frame
        return frame


def _frame(first: int, payload: bytes) -> bytes:
    out = bytearray()
    write_frame(out, first, payload)
    return bytes(out)
