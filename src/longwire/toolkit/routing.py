"""Routes to WebSocket handlers: starlette's, with guards and options, same origin by default."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from starlette import routing as starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketState

from longwire.asgi import ASGIApp, Message, Receive, Scope, Send
from longwire.toolkit.codecs import JSONCodec
from longwire.toolkit.disconnect import is_only_the_end
from longwire.toolkit.extensions import can_deny
from longwire.toolkit.guards.limits import MaxSize
from longwire.toolkit.guards.origins import AllowedOrigins
from longwire.toolkit.guards.refusal import Guard, Refusal, answer
from longwire.toolkit.guards.tokens import Token
from longwire.toolkit.options import KEY, Compression, RouteOptions
from longwire.toolkit.subprotocols import Subprotocols
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
        compression: Compression = True,
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
    compression: Compression = True,
    max_size: int | None = None,
    codec: JSONCodec | None = None,
) -> ASGIApp:
    """Return the ASGI application that a handler, an endpoint class or an ASGI app makes.

    For every framework that mounts ASGI applications; the options are WebSocketRoute's.
    """
    spoken = tuple(subprotocols) or _spoken(endpoint)
    options = RouteOptions(compression, spoken, codec, max_size)
    asked: list[Guard] = [
        origins if isinstance(origins, AllowedOrigins) else AllowedOrigins(origins)
    ]
    if max_size is not None:  # before a guard that receives
        asked.append(MaxSize(max_size))
    asked += guards
    tokens = [guard for guard in asked if isinstance(guard, Token)]
    run: Handler = endpoint if _is_handler(endpoint) else partial(_run_asgi, endpoint)  # type: ignore[assignment, arg-type]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await _refuse_others(scope, receive, send)
            return
        scope[KEY] = options
        websocket = WebSocket(scope, receive, send)
        for token in tokens:
            token.hide(websocket)  # a guard before it may refuse, and that is logged too
        try:
            for guard in asked:
                await guard(websocket)
            await run(websocket)
        except (HTTPException, WebSocketException) as error:
            if _is_left_to_others(websocket, error):
                raise
            await answer(websocket, error)
        except Exception as error:
            # Whoever does not catch it wants nothing more when its own client has left.
            if not (websocket.closed.is_set() and is_only_the_end(error)):
                raise

    return app


def _spoken(endpoint: Endpoint) -> Collection[str]:
    """Return the subprotocols that the endpoint itself has handlers for, now or later."""
    owner = getattr(endpoint, "__self__", None)
    return owner.names if isinstance(owner, Subprotocols) else ()


async def _refuse_others(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer plain HTTP with 426; there is no lifespan here."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # as servers expect it of who knows no lifespan
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}  # RFC 9110 section 15.5.22
    await PlainTextResponse("a WebSocket is here", 426, headers)(scope, receive, send)


async def _run_asgi(endpoint: ASGIApp, websocket: WebSocket) -> None:
    """Run an ASGI application behind the guards; one of them may have accepted already."""
    is_accepted = ACCEPTED_BY_GUARD in websocket.scope
    websocket.scope.pop(ACCEPTED_BY_GUARD, None)
    receive, send = websocket._receive, websocket._send
    if is_accepted:
        receive, send = _told_again(receive), _without_accept(send)
    has_ended = False

    async def watched_receive() -> Message:
        nonlocal has_ended
        message = await receive()
        has_ended = has_ended or message["type"] == "websocket.disconnect"
        return message

    async def watched_send(message: Message) -> None:
        nonlocal has_ended
        try:
            await send(message)
        except OSError:
            has_ended = True
            raise

    try:
        await endpoint(websocket.scope, watched_receive, watched_send)
    except Exception as error:
        if not (has_ended and is_only_the_end(error)):
            raise


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

    An HTTP status after accept is a mistake, unless a guard behind one that accepts refuses. And
    Starlette around us has its own handlers, which need a server that can deny.
    """
    if isinstance(error, HTTPException):
        if websocket.application_state is not WebSocketState.CONNECTING:
            return not isinstance(error, Refusal)
        if not can_deny(websocket.scope):
            return False
    return "starlette.exception_handlers" in websocket.scope


def _is_handler(endpoint: Any) -> bool:
    """Return whether it takes a WebSocket, as functions do; classes and their objects are ASGI."""
    while isinstance(endpoint, partial):
        endpoint = endpoint.func
    return inspect.isfunction(endpoint) or inspect.ismethod(endpoint)
