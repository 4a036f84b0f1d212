"""One handler a subprotocol, chosen in the client's order (RFC 6455 section 4.2.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from longwire.errors import ConfigError
from longwire.toolkit.guards.refusal import Refusal
from longwire.toolkit.websocket import WebSocket

Handler = Callable[[WebSocket], Awaitable[None]]
H = TypeVar("H", bound=Handler)


class Subprotocols:
    """Handlers by subprotocol, and the handler made of them all, for a WebSocketRoute:

        protocols = Subprotocols()

        @protocols("chat")
        async def chat(websocket): ...

        @protocols.default
        async def plain(websocket): ...

        WebSocketRoute("/ws", protocols.handle)

    The connection is accepted with the subprotocol before its handler runs. Without a default, a
    client that offers none of them is refused with 400; with one, it is accepted without.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._default: Handler | None = None

    def __call__(self, *names: str) -> Callable[[H], H]:
        """Decorate the handler of one subprotocol, or of several."""
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError("name the subprotocol: @protocols('chat')")
        taken = self._handlers.keys() & names
        if taken:
            raise ConfigError(f"the subprotocol {min(taken)!r} has a handler already")

        def register(handler: H) -> H:
            self._handlers.update(dict.fromkeys(names, handler))
            return handler

        return register

    def default(self, handler: H) -> H:
        """Decorate the handler of clients that offer none of the others."""
        self._default = handler
        return handler

    @property
    def names(self) -> Collection[str]:
        """The subprotocols that have handlers."""
        return self._handlers.keys()

    async def handle(self, websocket: WebSocket) -> None:
        """Negotiate, accept, and run the handler."""
        name = websocket.negotiate(self._handlers)
        handler = self._default if name is None else self._handlers[name]
        if handler is None:
            raise Refusal(
                400,
                f"no subprotocol in common: {', '.join(self._handlers)} are spoken here, "
                f"{', '.join(websocket.subprotocols) or 'none'} was offered",
            )
        await websocket.accept(name)
        await handler(websocket)
