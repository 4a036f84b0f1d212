"""Routes to WebSocket handlers: starlette's, with guards and options, same origin by default."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any

from starlette import routing as starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware import Middleware
from starlette.websockets import WebSocketState

from longwire.asgi import ASGIApp, Message, Receive, Scope, Send
from longwire.toolkit.codecs import JSONCodec
from longwire.toolkit.disconnect import WebSocketDisconnect
from longwire.toolkit.guards.limits import MaxSize
from longwire.toolkit.guards.origins import AllowedOrigins
from longwire.toolkit.guards.refusal import Guard, answer
from longwire.toolkit.guards.tokens import Token
from longwire.toolkit.options import KEY, RouteOptions
from longwire.toolkit.websocket import ACCEPTED_BY_GUARD, WebSocket

Handler = Callable[[WebSocket], Awaitable[None]]
Endpoint = Handler | ASGIApp | type[Any]


class WebSocketRoute(starlette.WebSocketRoute):
    """A path with its handler: `async def handler(websocket)`, a WebSocketEndpoint, or an ASGI app.

    Stands in a Starlette's or a Router's `routes`, and is an ASGI application by itself.
    `origins` are those of other sites' pages that may connect; pages of this host always may.
    `guards` are asked in order, after the origin. `subprotocols` are negotiated by accept().
    `max_size` is in bytes. A handler that returns because its client left has ended well.
    """

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        name: str | None = None,
        middleware: Sequence[Middleware] | None = None,
        origins: Iterable[str] | AllowedOrigins = (),
        guards: Iterable[Guard] = (),
        subprotocols: Iterable[str] = (),
        compression: bool = True,
        max_size: int | None = None,
        codec: JSONCodec | None = None,
    ) -> None:
        super().__init__(path, endpoint, name=name)
        self.app = websocket_app(
            endpoint,
            origins=origins,
            guards=guards,
            subprotocols=subprotocols,
            compression=compression,
            max_size=max_size,
            codec=codec,
        )
        for factory, arguments, options in reversed(middleware or ()):
            self.app = factory(self.app, *arguments, **options)


def websocket_app(
    endpoint: Endpoint,
    *,
    origins: Iterable[str] | AllowedOrigins = (),
    guards: Iterable[Guard] = (),
    subprotocols: Iterable[str] = (),
    compression: bool = True,
    max_size: int | None = None,
    codec: JSONCodec | None = None,
) -> ASGIApp:
    """Return the ASGI application that a handler, an endpoint class or an ASGI app makes.

    For every framework that mounts ASGI applications; the options are WebSocketRoute's.
    """
    options = RouteOptions(compression, tuple(subprotocols), codec, max_size)
    asked: list[Guard] = [
        origins if isinstance(origins, AllowedOrigins) else AllowedOrigins(origins),
        *guards,
    ]
    if max_size is not None:
        asked.append(MaxSize(max_size))
    tokens = [guard for guard in asked if isinstance(guard, Token)]
    run: Handler = endpoint if _is_handler(endpoint) else partial(_run_asgi, endpoint)  # type: ignore[assignment, arg-type]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[KEY] = options
        websocket = WebSocket(scope, receive, send)
        for token in tokens:
            token.hide(websocket)  # a guard before it may refuse, and that is logged too
        try:
            for guard in asked:
                await guard(websocket)
            await run(websocket)
        except WebSocketDisconnect:
            # Whoever does not catch it wants nothing more when its own client has left.
            if websocket.client_state is not WebSocketState.DISCONNECTED:
                raise
        except (HTTPException, WebSocketException) as error:
            if _is_left_to_others(websocket, error):
                raise
            await answer(websocket, error)

    return app


async def _run_asgi(endpoint: ASGIApp, websocket: WebSocket) -> None:
    """Run an ASGI application behind the guards; one of them may have accepted already."""
    receive, send = websocket._receive, websocket._send
    if websocket.scope.pop(ACCEPTED_BY_GUARD, False):
        receive, send = _told_again(receive), _without_accept(send)
    await endpoint(websocket.scope, receive, send)


def _told_again(receive: Receive) -> Receive:
    """Return a receive() whose first event is websocket.connect."""
    is_connect_told = False

    async def receive_again() -> Message:
        nonlocal is_connect_told
        if is_connect_told:
            return await receive()
        is_connect_told = True
        return {"type": "websocket.connect"}

    return receive_again


def _without_accept(send: Send) -> Send:
    """Return a send() that drops the application's own accept."""

    async def send_rest(message: Message) -> None:
        if message["type"] != "websocket.accept":
            await send(message)

    return send_rest


def _is_left_to_others(websocket: WebSocket, error: HTTPException | WebSocketException) -> bool:
    """Return whether the error is not ours to answer.

    An HTTP status after accept is a mistake of the application's; and Starlette around us has its
    own handlers, which need a server that can deny if they answer with a response.
    """
    if isinstance(error, HTTPException):
        if websocket.application_state is not WebSocketState.CONNECTING:
            return True
        if "websocket.http.response" not in (websocket.scope.get("extensions") or {}):
            return False
    return "starlette.exception_handlers" in websocket.scope


def _is_handler(endpoint: Any) -> bool:
    """Return whether it takes a WebSocket, as functions do; classes and their objects are ASGI."""
    while isinstance(endpoint, partial):
        endpoint = endpoint.func
    return inspect.isfunction(endpoint) or inspect.ismethod(endpoint)
