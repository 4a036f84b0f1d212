"""The WebSocket of an application: starlette's class by its API, on any ASGI server.

    CONNECTING --accept()--> CONNECTED --close(), or the end--> DISCONNECTED
               --close(), the end----------------------------->
               --send_denial_response()--> RESPONSE ---------->

- The order of calls is lifecycle's table; whoever breaks it is told what was expected.
- The end is one family of exceptions (disconnect.py), whichever way it is noticed.
- A receive or send that is cancelled loses, and half sends, nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar, overload

from starlette import websockets as starlette
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocketState

from longwire.asgi import Header, Message, Receive, Scope, Send
from longwire.errors import LifecycleError
from longwire.lifecycle import (
    Cause,
    State,
    acceptance,
    after_receive,
    after_send,
    closing,
    message_data,
)
from longwire.toolkit.closed import Closed
from longwire.toolkit.codecs import STANDARD, JSONCodec
from longwire.toolkit.disconnect import (
    ClosedBy,
    Closure,
    WebSocketDisconnect,
    WebSocketDisconnected,
)
from longwire.toolkit.extensions import can_deny
from longwire.toolkit.messages import unexpected
from longwire.toolkit.notice import GoingAway
from longwire.toolkit.options import Compression, options_of
from longwire.toolkit.reading import ReadAhead, cancel_safe

T = TypeVar("T")

OPEN = State.OPEN
CLOSED = State.CLOSED

STATES = {
    State.CONNECTING: WebSocketState.CONNECTING,
    State.DENYING: WebSocketState.RESPONSE,
    State.OPEN: WebSocketState.CONNECTED,
    State.CLOSED: WebSocketState.DISCONNECTED,
}

ACCEPTED_BY_GUARD = "longwire.accepted"
"""In the scope from a guard's accept() to the handler's, which then does nothing."""


class WebSocket(starlette.WebSocket):
    """One WebSocket connection (ASGI 3, spec 2.5), with the handshake's request around it.

    A starlette WebSocket to whoever asks isinstance(); all of its WebSocket side is our own.

    `codec` reads and writes JSON for the class; a route's own codec goes before it.
    """

    codec: JSONCodec = STANDARD

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise TypeError(f"a WebSocket is made of a websocket scope; got {scope['type']!r}")
        HTTPConnection.__init__(self, scope)
        self._receive = cancel_safe(receive)
        self._send = send
        self._hears = State.CONNECTING  # what may be received
        self._says = State.CONNECTING  # what may be sent
        self.accepted_subprotocol: str | None = None  # what accept() answered with
        self._closure: Closure | None = None  # once the end has been noticed
        self._ended: asyncio.Event | None = None  # once somebody waits for the end
        self._ahead: ReadAhead | None = None  # from then on
        self._is_receiving = False

    def __del__(self) -> None:
        ahead = self.__dict__.get("_ahead")
        if ahead is not None:
            ahead.stop()

    # ---- what is known of it ----------------------------------------------------------------

    @property
    def client_state(self) -> WebSocketState:  # type: ignore[override]
        """What the application has heard from the client: connect, then the end."""
        return STATES[self._hears]

    @property
    def application_state(self) -> WebSocketState:  # type: ignore[override]
        """What the application has said: accept, a denial, close."""
        return STATES[self._says]

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols the client offers, in its order (RFC 6455 section 4.1)."""
        return list(self.scope.get("subprotocols") or ())

    @property
    def closed(self) -> Closed:
        """Await it for the Closure: code, reason and who closed."""
        return Closed(lambda: self._closure, self._wait_for_end)

    @property
    def going_away(self) -> GoingAway:
        """Await it to hear that the server begins to go away, while the socket is still open."""
        return GoingAway(self.scope)

    # ---- the handshake ----------------------------------------------------------------------

    async def accept(
        self,
        subprotocol: str | None = None,
        headers: Iterable[Header] | None = None,
        *,
        compress: Compression = True,
    ) -> None:
        """Accept the connection; the 101 response gets `headers` on top.

        Without `subprotocol` the route's own are negotiated, in the client's order. `compress`
        False declines permessage-deflate, or a mapping says how to, on servers with the
        `longwire.compression` extension.
        Raises WebSocketDisconnect if the client has left, LifecycleError (a RuntimeError) if the
        handshake has been answered, or the client did not offer the subprotocol; ValueError for a
        header that cannot stand in a handshake's response.
        """
        if ACCEPTED_BY_GUARD in self.scope:
            self._take_over(self.scope.pop(ACCEPTED_BY_GUARD), subprotocol, headers)
            return
        if self._hears is State.CONNECTING:
            self._raise_on_disconnect(await self.receive())
        options = options_of(self.scope)
        if subprotocol is None:
            subprotocol = self.negotiate(options.subprotocols)
        elif subprotocol not in self.subprotocols:
            raise LifecycleError(
                f"the client did not offer the subprotocol {subprotocol!r}; "
                f"it offered {self.subprotocols or 'none'}"
            )
        message: Message = {
            "type": "websocket.accept",
            "subprotocol": subprotocol,
            "headers": list(headers or ()),
        }
        acceptance(message, self.subprotocols)
        compress = options.compression if compress is True else compress
        if compress is not True:
            message["compress"] = compress
        if options.max_size is not None:
            message["max_size"] = options.max_size
        await self.send(message)
        self.accepted_subprotocol = subprotocol

    def _take_over(
        self, accepted: str | None, subprotocol: str | None, headers: Iterable[Header] | None
    ) -> None:
        """Go on from a guard's accept(), if it said what this one would have."""
        if headers or subprotocol not in (None, accepted):
            raise LifecycleError(
                f"a guard that waits for the first message has accepted already, with the "
                f"subprotocol {accepted!r}: another one, and headers, come too late"
            )
        self._hears = self._says = OPEN

    def negotiate(self, supported: Iterable[str]) -> str | None:
        """Return the first subprotocol of the client's that is supported, or None."""
        known = frozenset(supported)
        return next((name for name in self.subprotocols if name in known), None)

    async def send_denial_response(self, response: Response) -> None:
        """Answer the handshake with an HTTP response instead of accepting it.

        LifecycleError (a RuntimeError) on servers without `websocket.http.response`: there,
        close() refuses with a 403.
        """
        if not can_deny(self.scope):
            raise LifecycleError(
                "this server cannot send a denial response; close() refuses with HTTP 403"
            )
        await response(self.scope, self.receive, self.send)

    # ---- receiving --------------------------------------------------------------------------

    async def receive(self) -> Message:
        """Receive one ASGI message; the first is `websocket.connect`.

        Returns the `websocket.disconnect` once, and raises WebSocketDisconnected after it.
        """
        if self._hears is CLOSED:
            raise self._after_the_end()
        message = await self._take()
        self._hear(message)
        return message

    async def _take(self) -> Message:
        """Take the next message from where it is. A server is never asked for two at once."""
        if self._ahead is not None:
            return await self._ahead.take()
        self._is_receiving = True
        try:
            return await self._receive()
        finally:
            self._is_receiving = False
            self._read_ahead_if_awaited()

    async def _receive_data(self) -> str | bytes:
        """Receive one message's data: text as str, binary as bytes."""
        if self._says is not OPEN or self._hears is not OPEN:
            raise self._not_open("receive")
        return self._data_of(await self._take())

    def _data_of(self, message: Message) -> str | bytes:
        if message["type"] == "websocket.receive":
            return message_data(message)
        self._hear(message)
        raise self._disconnect(message)

    async def receive_text(self) -> str:
        """Receive a text message.

        Raises WebSocketDisconnect at the end of the connection, and UnexpectedMessage (a
        RuntimeError and a KeyError) if the message is binary; LifecycleError (a RuntimeError)
        before accept().
        """
        # _receive_data() in line for the most frequent of all calls: two coroutines less.
        if self._ahead is None and self._says is OPEN and self._hears is OPEN:
            self._is_receiving = True
            try:
                message = await self._receive()
            finally:
                self._is_receiving = False
                if self._ended is not None:
                    self._read_ahead_if_awaited()
            data = message.get("text")
            if data is None:
                data = self._data_of(message)
        else:
            data = await self._receive_data()
        if isinstance(data, str):
            return data
        raise unexpected("text", data, "receive_bytes()")

    async def receive_bytes(self) -> bytes:
        """Receive a binary message; raises as receive_text() does, for a text message here."""
        data = await self._receive_data()
        if isinstance(data, bytes):
            return data
        raise unexpected("binary", data, "receive_text()")

    @overload
    async def receive_json(self, mode: str = "text") -> Any: ...

    @overload
    async def receive_json(self, mode: str = "text", *, type: type[T]) -> T: ...

    async def receive_json(self, mode: str = "text", *, type: Any = Any) -> Any:
        """Receive a JSON value from a text message, or from a binary one with mode="binary".

        A codec that validates (MsgspecCodec) takes the `type` that the value must have. Raises
        as receive_text() does; InvalidJSON (a ValueError) if it is no JSON, InvalidMessage (a
        ValueError) if it is not of the type. The connection stays open after both.
        """
        _check_mode(mode)
        data = await (self.receive_text() if mode == "text" else self.receive_bytes())
        return self._codec.decode(data, type)

    async def iter_text(self) -> AsyncIterator[str]:
        """Yield text messages until the connection ends."""
        try:
            while True:
                yield await self.receive_text()
        except WebSocketDisconnect:
            return

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Yield binary messages until the connection ends."""
        try:
            while True:
                yield await self.receive_bytes()
        except WebSocketDisconnect:
            return

    @overload
    def iter_json(self, mode: str = "text") -> AsyncIterator[Any]: ...

    @overload
    def iter_json(self, mode: str = "text", *, type: type[T]) -> AsyncIterator[T]: ...

    async def iter_json(self, mode: str = "text", *, type: Any = Any) -> AsyncIterator[Any]:
        """Yield JSON values until the connection ends; raises what receive_json() raises else."""
        try:
            while True:
                yield await self.receive_json(mode, type=type)
        except WebSocketDisconnect:
            return

    # ---- sending ----------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Send one ASGI message.

        Raises WebSocketDisconnect if the connection is lost, WebSocketDisconnected if that has
        been told or the application has closed, LifecycleError if the message is out of order.
        """
        if self._says is CLOSED or self._closure is not None:
            raise self._after_the_end()
        following = after_send(self._says, message)
        if message["type"] == "websocket.close":
            code, reason = closing(message)  # for servers that would send anything, or break
            message = {**message, "code": code, "reason": reason}
        try:
            await self._send(message)
        except OSError as error:
            raise self._lost(error) from error
        if following is CLOSED:
            self._on_closed(message)
        self._says = following

    async def send_text(self, data: str) -> None:
        """Send a text message; waits while the client reads too slowly.

        Raises as send() does; TypeError unless `data` is a str.
        """
        if not isinstance(data, str):
            raise TypeError(f"send_text() sends a str; got {_kind(data)}: use send_bytes()?")
        if self._says is not OPEN or self._closure is not None:
            raise self._not_open("send")
        try:
            await self._send({"type": "websocket.send", "text": data})
        except OSError as error:
            raise self._lost(error) from error

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message; raises as send_text() does, for what is not bytes-like."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"send_bytes() sends bytes; got {_kind(data)}: use send_text()?")
        if self._says is not OPEN or self._closure is not None:
            raise self._not_open("send")
        try:
            await self._send({"type": "websocket.send", "bytes": bytes(data)})
        except OSError as error:
            raise self._lost(error) from error

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """Send a value as JSON in a text message, or in a binary one with mode="binary".

        Raises as send_text() does; TypeError or ValueError if the value has no JSON form.
        """
        _check_mode(mode)
        text = self._codec.encode(data)
        await (self.send_text(text) if mode == "text" else self.send_bytes(text.encode()))

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the connection; before accept(), refuse it: the client sees HTTP 403 and no code.

        `code` is 1000 to 1003, 1007 to 1009, 1011 to 1014 or 3000 to 4999 (RFC 6455 section 7.4);
        others are a ValueError. A `reason` over 123 bytes is cut. Closing what has ended does
        nothing.
        """
        if not isinstance(code, int) or isinstance(code, bool):
            raise TypeError(f"a close code is an int; got {_kind(code)}")
        if reason is not None and not isinstance(reason, str):
            raise TypeError(f"a close reason is a str; got {_kind(reason)}")
        if self._says is CLOSED or self._closure is not None:
            return
        try:
            await self.send({"type": "websocket.close", "code": code, "reason": reason or ""})
        except WebSocketDisconnect:
            return  # it has ended before: that is what was wanted

    # ---- the end ----------------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        self._hears = after_receive(self._hears, message)
        if self._hears is CLOSED:
            self._on_disconnect(message)

    def _on_disconnect(self, message: Message) -> None:
        code = message.get("code") or 1005
        told = message.get("by")
        if told is not None:
            by = ClosedBy(told)
        elif code == 1006:
            by = ClosedBy.NOBODY
        else:
            by = ClosedBy.CLIENT
        self._end(Closure(code, message.get("reason") or "", by))

    def _on_closed(self, message: Message) -> None:
        if self._says is OPEN:
            code, reason = message.get("code", 1000), message.get("reason") or ""
            self._end(Closure(code, reason, ClosedBy.APPLICATION))
        else:
            self._end(Closure(1006, Cause.REFUSED, ClosedBy.APPLICATION))

    def _lost(self, error: OSError) -> WebSocketDisconnect:
        """Note that the server could not send, and return what to raise."""
        code, reason = getattr(error, "code", None), getattr(error, "reason", None)
        self._says = CLOSED
        self._end(Closure(code or 1006, reason or "", ClosedBy.NOBODY))
        assert self._closure is not None
        return WebSocketDisconnect(self._closure.code, self._closure.reason)

    def _end(self, closure: Closure) -> None:
        """Fix how the connection ended; the first ending is the one."""
        if self._closure is None:
            self._closure = closure
            if self._ended is not None:
                self._ended.set()
            if self._ahead is not None:
                self._ahead.stop()

    async def _wait_for_end(self) -> Closure:
        if self._ended is None:
            self._ended = asyncio.Event()
        if not self._is_receiving:  # else whoever receives sees to it
            self._read_ahead_if_awaited()
        if self._closure is None:
            await self._ended.wait()
        assert self._closure is not None
        return self._closure

    def _read_ahead_if_awaited(self) -> None:
        if self._ended is not None and self._ahead is None and self._closure is None:
            self._ahead = ReadAhead(self._receive, self._on_disconnect)

    # ---- errors -----------------------------------------------------------------------------

    def _raise_on_disconnect(self, message: Message) -> None:
        if message["type"] == "websocket.disconnect":
            raise self._disconnect(message)

    def _disconnect(self, message: Message) -> WebSocketDisconnect:
        return WebSocketDisconnect(message.get("code") or 1005, message.get("reason") or "")

    def _after_the_end(self) -> WebSocketDisconnected:
        closure = self._closure
        if closure is None:
            return WebSocketDisconnected(1006, Cause.REFUSED)
        return WebSocketDisconnected(closure.code, closure.reason)

    def _not_open(self, call: str) -> Exception:
        if self._says is CLOSED or self._closure is not None:
            return self._after_the_end()
        return LifecycleError(f"{call} before accept(): `await websocket.accept()` comes first")

    @property
    def _codec(self) -> JSONCodec:
        return options_of(self.scope).codec or self.codec


def _check_mode(mode: str) -> None:
    if mode not in ("text", "binary"):
        raise LifecycleError(f'mode is "text" or "binary"; got {mode!r}')


def _kind(value: object) -> str:
    return type(value).__name__
