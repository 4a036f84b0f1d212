"""How a handshake is refused: an HTTP status the client can act on, or by name a close code.

before accept, the server can deny     the status and its headers; the default
before accept, it cannot               the server's own 403
close_code=44xx was chosen             accept, then close with it: browsers hide HTTP statuses
                                       from pages, and show close codes
after accept (a first message)         close with the code that was chosen, else 1008
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from typing import Any, NoReturn, Protocol

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketState

from longwire.errors import LongwireError
from longwire.toolkit.extensions import can_deny

POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1

logger = logging.getLogger("longwire.guards")


class Guard(Protocol):
    """What stands before a handler; raises Refusal, or a WebSocketException, to refuse."""

    def __call__(self, connection: HTTPConnection, /) -> Awaitable[Any]: ...


class Refusal(LongwireError, HTTPException):
    """The handshake is refused with an HTTP status.

    A starlette HTTPException, so that Starlette's and FastAPI's own handlers answer it too.
    """

    def __init__(
        self, status_code: int, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        HTTPException.__init__(self, status_code, detail, headers)


async def refuse(
    connection: Any,
    status: int,
    reason: str,
    *,
    close_code: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> NoReturn:
    """Refuse the connection.

    Raises Refusal; WebSocketException where a close frame is what the client can see: with
    `close_code`, which accepts first, and after the connection was accepted.
    """
    logger.info("refused %r: %s", connection.scope.get("path", ""), reason)
    if connection.scope["type"] == "websocket":
        is_accepted = connection.application_state is WebSocketState.CONNECTED
        if close_code is not None and not is_accepted:
            await connection.accept()
            is_accepted = True
        if is_accepted:
            raise WebSocketException(close_code or POLICY_VIOLATION, reason)
    raise Refusal(status, reason, headers)


async def answer(websocket: Any, error: HTTPException | WebSocketException) -> None:
    """Tell the client what a guard has raised, where no framework around us does."""
    if isinstance(error, WebSocketException):
        await websocket.close(error.code, error.reason)
    elif websocket.application_state is WebSocketState.CONNECTED:
        await websocket.close(POLICY_VIOLATION, error.detail)
    elif can_deny(websocket.scope):
        response = PlainTextResponse(error.detail, error.status_code, error.headers)
        await websocket.send_denial_response(response)
    else:
        await websocket.close(POLICY_VIOLATION, error.detail)  # goes out as HTTP 403
