"""A connection to a live server: the package websockets speaks the protocol, faults are ours."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from longwire.asgi import Header, Scope
from longwire.lifecycle import Cause, State
from longwire.toolkit.disconnect import WebSocketDisconnect
from longwire.toolkit.testing.conversation import Data, ReceiveTimeout, refused

READ_BYTES = 64 * 1024

# The library makes these itself, for this handshake.
ITS_OWN = frozenset(
    (b"host", b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version",
     b"sec-websocket-protocol")
)  # fmt: skip


class _Protocol(ClientProtocol):
    """The library's protocol, which can keep its pongs to itself."""

    loses_pongs = False

    def send_frame(self, frame: Frame) -> None:
        if not (self.loses_pongs and frame.opcode is Opcode.PONG):
            super().send_frame(frame)


class LiveConversation:
    """One connection over TCP."""

    def __init__(self, url: str, scope: Scope) -> None:
        self.scope = scope
        self.subprotocol: str | None = None
        self.headers: Sequence[Header] = ()
        self.client_state = State.CONNECTING
        self.application_state = State.CONNECTING
        self._url = url
        self._timeout = 0.0  # of the session, known from open() on
        self._protocol = _Protocol(
            parse_uri(url), subprotocols=scope["subprotocols"] or None, max_size=None
        )
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._reads = asyncio.Event()
        self._reads.set()
        self._changed = asyncio.Condition()
        self._response: Response | None = None
        self._messages: deque[Data] = deque()
        self._fragments: list[Frame] = []
        self._end: WebSocketDisconnect | None = None

    async def open(self, timeout: float) -> None:
        self._timeout = timeout
        reader = await self._connect()
        request = self._protocol.connect()
        for name, value in self.scope["headers"]:
            if name not in ITS_OWN:
                request.headers[name.decode()] = value.decode("latin-1")
        self._protocol.send_request(request)
        self._flush()
        self._task = asyncio.create_task(self._read(reader))
        await self._wait_until(
            lambda: self._response is not None or self._end is not None, "handshake", timeout
        )
        self._on_response()

    async def _connect(self) -> asyncio.StreamReader:
        host, port = self.scope["server"]
        tls = ssl.create_default_context() if self.scope["scheme"] == "wss" else None
        try:
            async with asyncio.timeout(self._timeout):
                reader, self._writer = await asyncio.open_connection(host, port, ssl=tls)
        except TimeoutError:
            raise ReceiveTimeout(
                f"no connection to {self._url} came about within {self._timeout:g} s"
            ) from None
        return reader

    def _on_response(self) -> None:
        response, error = self._response, self._protocol.handshake_exc
        if isinstance(error, InvalidStatus):
            response = error.response
        if response is None or (error is not None and not isinstance(error, InvalidStatus)):
            self.client_state = State.CLOSED
            raise self._end or WebSocketDisconnect(1006, str(error or "no answer"))
        headers = [
            (name.lower().encode(), value.encode()) for name, value in response.headers.raw_items()
        ]
        if error is not None:
            self.client_state = self.application_state = State.CLOSED
            body = bytes(response.body or b"")
            raise refused(response.status_code, headers, body, "the server's answer")
        self.headers = headers
        self.subprotocol = self._protocol.subprotocol
        self.client_state = self.application_state = State.OPEN

    async def send(self, data: Data) -> None:
        if self.client_state is not State.OPEN or self._end is not None:
            raise self._end or WebSocketDisconnect(1006, "")
        if isinstance(data, str):
            self._protocol.send_text(data.encode())
        else:
            self._protocol.send_binary(data)
        self._flush()
        assert self._writer is not None
        try:
            async with asyncio.timeout(self._timeout):
                await self._writer.drain()
        except ConnectionError:
            pass  # the next receive tells how it ended
        except TimeoutError:
            raise ReceiveTimeout(
                f"{self._url} did not read what was sent within {self._timeout:g} s"
            ) from None

    async def receive(self, timeout: float) -> Data:
        await self._wait_until(
            lambda: bool(self._messages) or self._end is not None, "message", timeout
        )
        if self._messages:
            return self._messages.popleft()
        self.client_state = self.application_state = State.CLOSED
        assert self._end is not None
        raise self._end

    async def close(self, code: int, reason: str) -> None:
        if self.client_state is State.OPEN and self._end is None:
            self._protocol.send_close(code, reason)
            self._flush()
        self.client_state = State.CLOSED

    async def lose(self) -> None:
        self.client_state = State.CLOSED
        if self._writer is not None:
            sock = self._writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()

    async def stop_reading(self) -> None:
        self._reads.clear()
        assert self._writer is not None
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def resume_reading(self) -> None:
        self._reads.set()
        assert self._writer is not None
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]

    async def lose_pongs(self) -> None:
        self._protocol.loses_pongs = True

    async def finish(self, timeout: float) -> None:
        """Wait for the server to close TCP; whether its application ended well is not seen."""
        if self._task is None or self._writer is None:
            return
        await self.resume_reading()  # or its end would not be seen
        await asyncio.wait({self._task}, timeout=timeout)
        if not self._task.done():
            self._task.cancel()
            # A close would wait for what the server does not read.
            self._writer.transport.abort()
        self._writer.close()
        with contextlib.suppress(OSError):  # TimeoutError too: it has been cut then
            async with asyncio.timeout(timeout):
                await self._writer.wait_closed()
        self._writer.transport.abort()

    # ---- the wire ---------------------------------------------------------------------------

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await self._reads.wait()
                self._protocol.receive_data(data)
                await self._on_events()
        self._protocol.receive_eof()
        await self._on_events()
        if self._end is None:
            self._end = WebSocketDisconnect(1006, Cause.LOST)
        async with self._changed:
            self._changed.notify_all()

    async def _on_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._response = event
            elif isinstance(event, Frame):
                self._on_frame(event)
        self._flush()
        async with self._changed:
            self._changed.notify_all()

    def _on_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            received = self._protocol.close_rcvd
            code, reason = (received.code, received.reason) if received else (1005, "")
            self._end = WebSocketDisconnect(code, reason)
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._fragments.append(frame)
            if frame.fin:
                data = b"".join(bytes(part.data) for part in self._fragments)
                is_text = self._fragments[0].opcode is Opcode.TEXT
                self._messages.append(data.decode() if is_text else data)
                self._fragments.clear()

    def _flush(self) -> None:
        assert self._writer is not None
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof():
                with contextlib.suppress(OSError):
                    self._writer.write_eof()

    async def _wait_until(self, predicate: Any, what: str, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(predicate)
        except TimeoutError:
            raise ReceiveTimeout(
                f"no {what} came within {timeout:g} s from {self._url}; what its application was "
                "doing is not visible from here"
            ) from None
