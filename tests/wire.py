"""A WebSocket client that does only what it is told, on a real socket: right, wrong, or slow."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATIENCE = 5.0


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x01\x02\x03\x04",
    form: int | None = None,
    length: int | None = None,
) -> bytes:
    """Return a frame; `form` forces a length field of 0, 2 or 8 bytes, `length` another length."""
    size = len(payload) if length is None else length
    if form is None:
        form = 0 if size < 126 else 2 if size < 65536 else 8
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mask_bit = 0 if mask is None else 0x80
    if form == 0:
        head = bytes((first, mask_bit | size))
    elif form == 2:
        head = bytes((first, mask_bit | 126)) + struct.pack("!H", size)
    else:
        head = bytes((first, mask_bit | 127)) + struct.pack("!Q", size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def text(message: str) -> bytes:
    return frame(TEXT, message.encode())


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def request(
    path: str = "/",
    *,
    method: str = "GET",
    version: str = "1.1",
    headers: dict[str, str | None] | None = None,
    more: bytes = b"",
) -> bytes:
    """Return an upgrade request; `headers` replaces headers by name, None leaves one out."""
    fields: dict[str, str | None] = {
        "Host": "test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY.decode(),
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    lines = [f"{method} {path} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n" + more + b"\r\n"


@dataclass(frozen=True)
class Response:
    """The head of an HTTP response, and as much of its body as its length says."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Frame:
    fin: bool
    rsv: int
    opcode: int
    payload: bytes


@dataclass(frozen=True)
class Ended:
    """How the server ended the connection: its close frame, or (None, "") for none."""

    code: int | None
    reason: str = ""


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def socket(self) -> socket.socket:
        return self.writer.get_extra_info("socket")  # type: ignore[no-any-return]

    async def send(self, data: bytes, bytewise: bool = False) -> None:
        """Send the bytes at once, or each in a segment of its own."""
        for part in [data[i : i + 1] for i in range(len(data))] if bytewise else [data]:
            self.writer.write(part)
            await self.writer.drain()
            if bytewise:
                await asyncio.sleep(0)

    async def response(self) -> Response:
        """Read one HTTP response."""
        head = await self._within(self.reader.readuntil(b"\r\n\r\n"))
        lines = head.decode("latin-1").split("\r\n")[:-2]
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
        }
        status = int(lines[0].split(" ")[1])
        body = b""
        if "content-length" in headers:
            body = await self._within(self.reader.readexactly(int(headers["content-length"])))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int((await self._within(self.reader.readline())).strip(), 16):
                body += (await self._within(self.reader.readexactly(size + 2)))[:-2]
            await self._within(self.reader.readline())
        return Response(status, headers, body)

    async def frame(self) -> Frame:
        """Read one frame."""
        first, second = await self._within(self.reader.readexactly(2))
        assert not second & 0x80, "a server does not mask"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self._within(self.reader.readexactly(2)))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._within(self.reader.readexactly(8)))
        payload = await self._within(self.reader.readexactly(size))
        return Frame(bool(first & 0x80), first >> 4 & 7, first & 15, payload)

    async def message(self) -> str | bytes:
        """Read one unfragmented data message; pings and pongs in between are passed over."""
        while (received := await self.frame()).opcode in (PING, PONG):
            pass
        assert received.fin
        assert received.opcode in (TEXT, BINARY), received
        return received.payload.decode() if received.opcode == TEXT else received.payload

    async def ended(self) -> Ended:
        """Read to the end of the connection, past all messages; return how the server ended it."""
        result = Ended(None)
        try:
            while True:
                received = await self.frame()
                if received.opcode == CLOSE:
                    assert result.code is None, "one close frame, and nothing behind it"
                    result = parse_close(received)
                else:
                    assert result.code is None, "no frame behind the close frame"
        except (asyncio.IncompleteReadError, ConnectionError):
            return result

    async def close_frame(self) -> Ended:
        """Read up to the server's close frame, and not to the end of TCP."""
        while (received := await self.frame()).opcode != CLOSE:
            pass
        return parse_close(received)

    async def eof(self) -> bytes:
        """Read to the end of the connection; return everything."""
        data: bytes = await self._within(self.reader.read(-1))
        return data

    def reset(self) -> None:
        """Lose the connection: TCP reset, no close frame."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    @staticmethod
    async def _within(awaitable: Any) -> Any:
        return await asyncio.wait_for(awaitable, PATIENCE)


def parse_close(received: Frame) -> Ended:
    if not received.payload:
        return Ended(1005)
    return Ended(int.from_bytes(received.payload[:2], "big"), received.payload[2:].decode())


@contextlib.asynccontextmanager
async def connect(server: Any, *, receive_buffer: int = 0) -> AsyncIterator[Wire]:
    """Open a TCP connection to a served application."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (server.host, server.port))
    except OSError:
        sock.close()
        raise
    reader, writer = await asyncio.open_connection(
        sock=sock, limit=4096 if receive_buffer else 2**16
    )
    try:
        yield Wire(reader, writer)
    finally:
        if writer.transport.get_write_buffer_size():
            writer.transport.abort()  # nobody reads it any more
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def websocket(
    server: Any,
    path: str = "/",
    *,
    headers: dict[str, str | None] | None = None,
    receive_buffer: int = 0,
) -> AsyncIterator[Wire]:
    """Open a WebSocket: the handshake is done."""
    async with connect(server, receive_buffer=receive_buffer) as wire:
        await wire.send(request(path, headers=headers))
        response = await wire.response()
        assert response.status == 101, response
        assert response.headers["sec-websocket-accept"] == ACCEPT.decode()
        yield wire
