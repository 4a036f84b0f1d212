"""A WebSocket handler as a class: one method a moment, starlette's WebSocketEndpoint by its API."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar, Literal

from longwire.asgi import Message, Receive, Scope, Send
from longwire.errors import ConfigError
from longwire.lifecycle import message_data
from longwire.toolkit.disconnect import WebSocketDisconnect
from longwire.toolkit.messages import InvalidJSON, UnexpectedMessage, unexpected
from longwire.toolkit.websocket import WebSocket

UNSUPPORTED_DATA = 1003  # RFC 6455 section 7.4.1
INTERNAL_ERROR = 1011

ENCODINGS = ("text", "bytes", "json", None)


class WebSocketEndpoint:
    """An ASGI application of a class; override on_connect, on_receive and on_disconnect.

    `encoding` is what on_receive gets: "text" a str, "bytes" bytes, "json" a value (of a text or
    a binary message), None whichever came. A message that is something else closes with 1003.
    """

    encoding: ClassVar[Literal["text", "bytes", "json"] | None] = None

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.encoding not in ENCODINGS:
            raise ConfigError(f"encoding is one of {ENCODINGS}; got {self.encoding!r}")
        self.scope = scope
        self.receive = receive
        self.send = send

    def __await__(self) -> Generator[Any, None, None]:
        return self.dispatch().__await__()

    async def dispatch(self) -> None:
        """Run the connection, from its connect to its end."""
        websocket = WebSocket(self.scope, self.receive, self.send)
        await self.on_connect(websocket)
        close_code = INTERNAL_ERROR
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    close_code = message.get("code") or 1005
                    return
                try:
                    data = await self.decode(websocket, message)
                except (UnexpectedMessage, InvalidJSON) as error:
                    close_code = UNSUPPORTED_DATA
                    await websocket.close(close_code, str(error))
                    return
                await self.on_receive(websocket, data)
        except WebSocketDisconnect as error:
            if websocket.closed.is_set():  # else it is another connection's
                close_code = error.code
            raise
        finally:
            await self.on_disconnect(websocket, close_code)

    async def decode(self, websocket: WebSocket, message: Message) -> Any:
        """Return what on_receive gets; UnexpectedMessage or InvalidJSON close with 1003."""
        data = message_data(message)
        if self.encoding == "json":
            return websocket._codec.decode(data, Any)
        if self.encoding == "text" and not isinstance(data, str):
            raise unexpected("text", data, "encoding = 'bytes'")
        if self.encoding == "bytes" and not isinstance(data, bytes):
            raise unexpected("binary", data, "encoding = 'text'")
        return data

    async def on_connect(self, websocket: WebSocket) -> None:
        """Answer the handshake; accepts by default."""
        await websocket.accept()

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        """Handle one message."""

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        """Clean up; called once, however the connection ended: 1011 if a method here raised."""
