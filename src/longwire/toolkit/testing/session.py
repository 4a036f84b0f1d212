"""A test's WebSocket: starlette's test session by its API, asynchronous and not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from types import TracebackType
from typing import Any, Self

from starlette.websockets import WebSocketState

from longwire.asgi import Header, Message, Scope
from longwire.lifecycle import message_data
from longwire.toolkit.codecs import STANDARD
from longwire.toolkit.disconnect import WebSocketDisconnect
from longwire.toolkit.messages import unexpected
from longwire.toolkit.testing.conversation import Conversation, Data, ReceiveTimeout
from longwire.toolkit.testing.loop import Loop
from longwire.toolkit.websocket import STATES

NewConversation = Callable[[], Awaitable[Conversation]]


class AsyncWebSocketSession:
    """`async with client.websocket_connect(...) as websocket`; times are in seconds."""

    def __init__(self, new_conversation: NewConversation, timeout: float) -> None:
        self._new_conversation = new_conversation
        self._conversation: Conversation | None = None
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        self._conversation = await self._new_conversation()
        try:
            await self._conversation.open(self._timeout)
        except BaseException:
            await self._conversation.lose()
            await self._conversation.finish(self._timeout)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        conversation = self._opened
        await conversation.close(1000, "")
        if error is None:
            await conversation.finish(self._timeout)
            return
        with suppress(Exception):  # what the test itself raised tells more
            await conversation.finish(self._timeout)

    @property
    def _opened(self) -> Conversation:
        if self._conversation is None:
            raise RuntimeError(
                "enter the session first: `async with client.websocket_connect(...)`"
            )
        return self._conversation

    # ---- what is known of it ----------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        """The ASGI scope the application got, or would have got."""
        return self._opened.scope

    @property
    def accepted_subprotocol(self) -> str | None:
        """The subprotocol the application accepted with, or None."""
        return self._opened.subprotocol

    @property
    def extra_headers(self) -> Sequence[Header]:
        """The headers the application accepted with; over a wire, all of the response's."""
        return self._opened.headers

    @property
    def client_state(self) -> WebSocketState:
        """What this client has said and noticed: DISCONNECTED once it closed, or saw the end."""
        return STATES[self._opened.client_state]

    @property
    def application_state(self) -> WebSocketState:
        """What the application has said."""
        return STATES[self._opened.application_state]

    # ---- messages ---------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Send what the application hears as this ASGI message."""
        if message["type"] == "websocket.disconnect":
            await self.close(message.get("code", 1000), message.get("reason"))
        else:
            await self._opened.send(message_data(message))

    async def send_text(self, data: str) -> None:
        """Send a text message; WebSocketDisconnect once the connection has ended."""
        await self._opened.send(data)

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message; WebSocketDisconnect once the connection has ended."""
        await self._opened.send(data)

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """Send a value as JSON, as a text message or with mode="binary" a binary one."""
        text = STANDARD.encode(data)
        await self._opened.send(text if mode == "text" else text.encode())

    async def receive(self, timeout: float | None = None) -> Message:
        """Return the application's next ASGI message, `websocket.send` or `websocket.close`."""
        try:
            data = await self._receive(timeout)
        except WebSocketDisconnect as error:
            return {"type": "websocket.close", "code": error.code, "reason": error.reason}
        return {"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data}

    async def receive_text(self, timeout: float | None = None) -> str:
        """Return the next message, a text. Raises WebSocketDisconnect at the end, ReceiveTimeout,
        UnexpectedMessage, or what the application raised.
        """
        data = await self._receive(timeout)
        if isinstance(data, str):
            return data
        raise unexpected("text", data, "receive_bytes()")

    async def receive_bytes(self, timeout: float | None = None) -> bytes:
        """Return the next message, a binary one; raises as receive_text() does."""
        data = await self._receive(timeout)
        if isinstance(data, bytes):
            return data
        raise unexpected("binary", data, "receive_text()")

    async def receive_json(self, mode: str = "text", timeout: float | None = None) -> Any:
        """Return the next message's JSON value; InvalidJSON beside what receive_text() raises."""
        receive = self.receive_text if mode == "text" else self.receive_bytes
        return STANDARD.decode(await receive(timeout))

    async def _receive(self, timeout: float | None) -> Data:
        return await self._opened.receive(self._timeout if timeout is None else timeout)

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close as a client does; the application hears this code. Idempotent."""
        await self._opened.close(code, reason or "")

    # ---- faults -----------------------------------------------------------------------------

    async def lose(self) -> None:
        """Lose the connection without a close frame: the application hears 1006."""
        await self._opened.lose()

    async def stop_reading(self) -> None:
        """Read nothing more: the application's send() waits when the buffers are full."""
        await self._opened.stop_reading()

    async def resume_reading(self) -> None:
        """Read again."""
        await self._opened.resume_reading()

    async def lose_pongs(self) -> None:
        """Answer no ping any more: the server closes with 1011, the application hears 1006."""
        await self._opened.lose_pongs()

    async def go_away(self) -> None:
        """Let the server begin to go away: the application's `going_away` comes. In process."""
        await self._in_process("go_away")()

    async def drain(self) -> None:
        """Let the server go away: the application is told, and the socket closed. In process."""
        await self._in_process("drain")()

    def _in_process(self, name: str) -> Callable[[], Awaitable[None]]:
        method: Callable[[], Awaitable[None]] | None = getattr(self._opened, name, None)
        if method is None:
            raise RuntimeError("a live server goes away by its own signal; send it SIGTERM")
        return method


class WebSocketSession:
    """The same, for tests that are no coroutines: each call runs in the application's loop."""

    def __init__(
        self,
        session: AsyncWebSocketSession,
        new_loop: Callable[[], AbstractContextManager[Loop]],
    ) -> None:
        self._session = session
        self._new_loop = new_loop
        self._timeout = session._timeout
        self._stack = ExitStack()
        self._loop: Loop | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._loop = stack.enter_context(self._new_loop())
            self._call(self._session.__aenter__)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.push(self._leave)
        self._stack.__exit__(kind, error, trace)

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._call(self._session.__aexit__, kind, error, trace)
        except ReceiveTimeout:
            if error is None:  # what the test itself raised tells more
                raise

    def _call(
        self,
        function: Callable[..., Awaitable[Any]],
        *arguments: Any,
        timeout: float | None = None,
    ) -> Any:
        if self._loop is None:
            raise RuntimeError("enter the session first: `with websocket_connect(...)`")
        timeout = self._timeout if timeout is None else timeout
        return self._loop.call(function, *arguments, timeout=timeout)

    @property
    def scope(self) -> Scope:
        """The ASGI scope the application got, or would have got."""
        return self._session.scope

    @property
    def accepted_subprotocol(self) -> str | None:
        """The subprotocol the application accepted with, or None."""
        return self._session.accepted_subprotocol

    @property
    def extra_headers(self) -> Sequence[Header]:
        """The headers the application accepted with; over a wire, all of the response's."""
        return self._session.extra_headers

    @property
    def client_state(self) -> WebSocketState:
        """What this client has said and noticed: DISCONNECTED once it closed, or saw the end."""
        return self._session.client_state

    @property
    def application_state(self) -> WebSocketState:
        """What the application has said."""
        return self._session.application_state

    def send(self, message: Message) -> None:
        """Send what the application hears as this ASGI message."""
        self._call(self._session.send, message)

    def send_text(self, data: str) -> None:
        """Send a text message; WebSocketDisconnect once the connection has ended."""
        self._call(self._session.send_text, data)

    def send_bytes(self, data: bytes) -> None:
        """Send a binary message; WebSocketDisconnect once the connection has ended."""
        self._call(self._session.send_bytes, data)

    def send_json(self, data: Any, mode: str = "text") -> None:
        """Send a value as JSON, as a text message or with mode="binary" a binary one."""
        self._call(self._session.send_json, data, mode)

    def receive(self, timeout: float | None = None) -> Message:
        """Return the application's next ASGI message, `websocket.send` or `websocket.close`."""
        message: Message = self._call(self._session.receive, timeout, timeout=timeout)
        return message

    def receive_text(self, timeout: float | None = None) -> str:
        """Return the next message, a text. Raises WebSocketDisconnect at the end, ReceiveTimeout,
        UnexpectedMessage, or what the application raised.
        """
        text: str = self._call(self._session.receive_text, timeout, timeout=timeout)
        return text

    def receive_bytes(self, timeout: float | None = None) -> bytes:
        """Return the next message, a binary one; raises as receive_text() does."""
        data: bytes = self._call(self._session.receive_bytes, timeout, timeout=timeout)
        return data

    def receive_json(self, mode: str = "text", timeout: float | None = None) -> Any:
        """Return the next message's JSON value; InvalidJSON beside what receive_text() raises."""
        return self._call(self._session.receive_json, mode, timeout, timeout=timeout)

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close as a client does; the application hears this code. Idempotent."""
        self._call(self._session.close, code, reason)

    def lose(self) -> None:
        """Lose the connection without a close frame: the application hears 1006."""
        self._call(self._session.lose)

    def stop_reading(self) -> None:
        """Read nothing more: the application's send() waits when the buffers are full."""
        self._call(self._session.stop_reading)

    def resume_reading(self) -> None:
        """Read again."""
        self._call(self._session.resume_reading)

    def lose_pongs(self) -> None:
        """Answer no ping any more: the server closes with 1011, the application hears 1006."""
        self._call(self._session.lose_pongs)

    def go_away(self) -> None:
        """Let the server begin to go away: the application's `going_away` comes. In process."""
        self._call(self._session.go_away)

    def drain(self) -> None:
        """Let the server go away: the application is told, and the socket closed. In process."""
        self._call(self._session.drain)
