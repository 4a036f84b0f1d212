"""The other side is gone: one family of exceptions for receive and send alike.

starlette.websockets.WebSocketDisconnect, longwire.ConnectionClosed (an OSError)
└── WebSocketDisconnect         the connection has ended
    └── WebSocketDisconnected   a call after the end; also a RuntimeError, as in starlette

So `except WebSocketDisconnect`, imported from here, from starlette or from fastapi, catches both.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from starlette import websockets as starlette

from longwire.errors import ConnectionClosed, LifecycleError


class WebSocketDisconnect(starlette.WebSocketDisconnect, ConnectionClosed):
    """The connection has ended.

    `code` is the close code (RFC 6455 section 7.4): 1005 if the close frame had none, 1006 if
    there was no close frame; `reason` is at most 123 bytes of UTF-8, often empty.
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        ConnectionClosed.__init__(self, code, reason or "")


class WebSocketDisconnected(WebSocketDisconnect, starlette.WebSocketDisconnected, LifecycleError):
    """receive or send was called when the end of the connection had been told already."""


class ClosedBy(Enum):
    """Who ended the connection."""

    CLIENT = "client"
    APPLICATION = "application"
    SERVER = "server"  # it drained, or gave the client up
    NOBODY = "nobody"  # TCP was lost without a close frame


@dataclass(frozen=True, slots=True)
class Closure:
    """How a connection ended: `code` and `reason` as in WebSocketDisconnect, and `by` whom."""

    code: int
    reason: str
    by: ClosedBy


def is_only_the_end(error: BaseException) -> bool:
    """Return whether the error, or each of a group, says only that the other side is gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_only_the_end, error.exceptions))
    return isinstance(error, (starlette.WebSocketDisconnect, ConnectionClosed))
