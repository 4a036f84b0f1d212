"""The shapes of ASGI 3 (specification 2.5): scopes, messages and the three callables.

An application is `async def app(scope, receive, send)`. Frameworks type scopes and messages as
plain mutable mappings, and so do the callables here; the TypedDicts say what is inside them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Literal, NotRequired, TypedDict

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

Header = tuple[bytes, bytes]
Address = tuple[str, int]

SPEC_VERSION = "2.5"

SENDABLE_CODES = ((1000, 1003), (1007, 1009), (1011, 1014), (3000, 4999))
"""Close codes that an application may send, from the first to the last of each pair."""


class Versions(TypedDict):
    version: Literal["3.0"]
    spec_version: str


class ConnectionScope(TypedDict):
    """What the scopes of HTTP and WebSocket connections share."""

    asgi: Versions
    http_version: Literal["1.0", "1.1"]
    scheme: str
    path: str  # percent-decoded
    raw_path: bytes  # as it came, without the query string
    query_string: bytes
    root_path: str
    headers: list[Header]  # names in lower case, in the order they came
    client: Address | None
    server: tuple[str, int | None] | None
    state: NotRequired[dict[str, Any]]  # a copy per connection of what lifespan left
    extensions: dict[str, Any]


class HTTPScope(ConnectionScope):
    type: Literal["http"]
    method: str  # upper case


class WebSocketScope(ConnectionScope):
    type: Literal["websocket"]
    subprotocols: list[str]  # offered by the client, in its order of preference


class LifespanScope(TypedDict):
    type: Literal["lifespan"]
    asgi: Versions
    state: dict[str, Any]


class WebSocketConnect(TypedDict):
    type: Literal["websocket.connect"]


class WebSocketReceive(TypedDict):
    """Exactly one of `bytes` and `text` is there: reading the other is an error, not a None."""

    type: Literal["websocket.receive"]
    bytes: NotRequired[bytes]
    text: NotRequired[str]


class WebSocketDisconnect(TypedDict):
    type: Literal["websocket.disconnect"]
    code: int
    reason: str
    by: NotRequired[Literal["client", "application", "server", "nobody"]]  # Longwire's own


class WebSocketAccept(TypedDict):
    type: Literal["websocket.accept"]
    subprotocol: NotRequired[str | None]
    headers: NotRequired[Iterable[Header]]


class WebSocketSend(TypedDict):
    """Exactly one of `bytes` and `text` is not None."""

    type: Literal["websocket.send"]
    bytes: NotRequired[bytes | None]
    text: NotRequired[str | None]


class WebSocketClose(TypedDict):
    type: Literal["websocket.close"]
    code: NotRequired[int]  # 1000
    reason: NotRequired[str | None]  # ""


class DenialStart(TypedDict):
    type: Literal["websocket.http.response.start"]
    status: int
    headers: NotRequired[Iterable[Header]]


class DenialBody(TypedDict):
    type: Literal["websocket.http.response.body"]
    body: NotRequired[bytes]
    more_body: NotRequired[bool]


def is_sendable_code(code: object) -> bool:
    """Return whether an application may close with this code (RFC 6455 section 7.4)."""
    if not isinstance(code, int) or isinstance(code, bool):
        return False
    return any(first <= code <= last for first, last in SENDABLE_CODES)
