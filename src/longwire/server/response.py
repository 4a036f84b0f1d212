"""One HTTP/1.1 response as bytes (RFC 9110, RFC 9112), without I/O.

Its length is framed as the application says (Content-Length), else as what it sends allows: one
body is measured, several are chunked, and for HTTP/1.0 the end of the connection is the end.
Nothing that could break a line goes to the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any

from longwire.asgi import Header
from longwire.engine.handshake import check_header
from longwire.errors import LifecycleError, LocalProtocolError

STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in HTTPStatus
}
BODILESS = frozenset((204, 304))


class Framing(Enum):
    """How the receiver finds the end of the body (RFC 9112 section 6.3)."""

    NONE = "none"  # HEAD, 204 and 304
    LENGTH = "content-length"
    CHUNKED = "chunked"
    CLOSE = "close"


class Response:
    """A response being written: start() once, then body() until it is complete."""

    __slots__ = (
        "_default_headers",
        "_framing",
        "_headers",
        "_is_head",
        "_is_old",
        "_left",
        "is_complete",
        "keep_alive",
        "status",
    )

    def __init__(
        self,
        method: str,
        http_version: str,
        keep_alive: bool,
        default_headers: Sequence[Header],
    ) -> None:
        self._is_head = method == "HEAD"
        self._is_old = http_version == "1.0"
        self._default_headers = default_headers
        self._headers: list[Header] | None = None  # until they are written
        self._framing: Framing | None = None
        self._left = 0  # bytes of body that Content-Length still promises
        self.keep_alive = keep_alive
        self.status = 0  # until start()
        self.is_complete = False

    @property
    def is_head_pending(self) -> bool:
        """Whether nothing of the response has been written yet."""
        return not self.status or self._headers is not None

    def start(self, status: Any, headers: Iterable[Header]) -> None:
        """Take status and headers; LifecycleError if they cannot be sent."""
        if type(status) is not int or not 200 <= status <= 599:
            raise LifecycleError(f"a response's status is an int from 200 to 599; got {status!r}")
        checked: list[Header] = []
        for name, value in headers:
            try:
                check_header(name, value)
            except LocalProtocolError as error:
                raise LifecycleError(str(error)) from None
            checked.append((name.lower(), value))
        length = _content_length(checked)
        if any(name == b"connection" and b"close" in value.lower() for name, value in checked):
            self.keep_alive = False
        # Connection and Transfer-Encoding belong to this hop, and so to the server.
        headers = [h for h in checked if h[0] not in (b"connection", b"transfer-encoding")]
        if status in BODILESS or self._is_head:
            self._framing = Framing.NONE
        elif length is not None:
            self._framing = Framing.LENGTH
            self._left = length
        self.status = status
        self._headers = headers

    def body(self, data: bytes, more_body: bool) -> bytes:
        """Return what goes to the wire for a part of the body.

        Raises LifecycleError if it is not what Content-Length announced.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise LifecycleError(f"a response's body is bytes; got {type(data).__name__}")
        if self._framing is Framing.LENGTH:
            self._count(len(data), more_body)
        head = b"" if self._headers is None else self._head(len(data), more_body)
        if not more_body:
            self.is_complete = True
        if self._framing is Framing.NONE:
            return head
        if self._framing is Framing.CHUNKED:
            return head + _chunk(data, more_body)
        return head + data if head else bytes(data)

    def _head(self, length: int, more_body: bool) -> bytes:
        """Return the status line and the headers; the framing is decided now at the latest."""
        headers = self._headers
        assert headers is not None
        self._headers = None
        named = {name for name, _ in headers}
        lines = [status_line(self.status)]
        for name, value in self._default_headers:
            if name not in named:
                lines += (name, b": ", value, b"\r\n")
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
        if self._framing is None:
            if not more_body:
                self._framing = Framing.LENGTH
                lines.append(b"content-length: %d\r\n" % length)
            elif self._is_old:
                self._framing = Framing.CLOSE
                self.keep_alive = False
            else:
                self._framing = Framing.CHUNKED
                lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        elif self._is_old:
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _count(self, length: int, more_body: bool) -> None:
        if length > self._left:
            raise LifecycleError(
                f"the body is longer than its content-length: {length - self._left} bytes too many"
            )
        self._left -= length
        if self._left and not more_body:
            raise LifecycleError(
                f"the body is shorter than its content-length: {self._left} bytes are missing"
            )


def _content_length(headers: list[Header]) -> int | None:
    values = {value for name, value in headers if name == b"content-length"}
    if not values:
        return None
    value = values.pop()
    if values or not value.isdigit():
        raise LifecycleError("content-length is one number")
    return int(value)


def _chunk(data: bytes, more_body: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
    return chunk if more_body else chunk + b"0\r\n\r\n"


def status_line(status: int) -> bytes:
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def plain_response(
    status: int,
    text: str = "",
    headers: Iterable[Header] = (),
    default_headers: Sequence[Header] = (),
    method: str = "GET",
) -> bytes:
    """Return a whole response in plain text, after which the connection is closed."""
    response = Response(method, "1.1", False, default_headers)
    response.start(status, [*headers, (b"content-type", b"text/plain; charset=utf-8")])
    return response.body(text.encode(), False)
