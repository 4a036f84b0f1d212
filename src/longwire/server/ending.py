"""How a WebSocket ended, and the two lines the log has of it: when it opens and when it ends."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum

from longwire.asgi import Scope
from longwire.errors import ConnectionClosed
from longwire.server.scope import client_name, path_name


class Initiator(Enum):
    """Who closed the connection first."""

    CLIENT = "the client"
    APPLICATION = "the application"
    SERVER = "the server"
    NOBODY = "nobody"  # TCP was lost without a close frame


@dataclass(frozen=True, slots=True)
class Ending:
    """The close code that went, or would have gone, over the wire first; its cause; its author."""

    code: int
    cause: str
    by: Initiator


@dataclass(frozen=True, slots=True)
class Traffic:
    """Whole messages, and bytes on the wire behind the handshake, one way."""

    messages: int
    size: int

    def __str__(self) -> str:
        plural = "" if self.messages == 1 else "s"
        return f"{self.messages} message{plural} {self.size} B"


def log_opened(logger: logging.Logger, scope: Scope) -> None:
    logger.info('%s - "WebSocket %s" opened', client_name(scope), path_name(scope))


def log_refused(logger: logging.Logger, scope: Scope, status: int) -> None:
    logger.info('%s - "WebSocket %s" refused %d', client_name(scope), path_name(scope), status)


def log_closed(
    logger: logging.Logger,
    scope: Scope,
    ending: Ending,
    seconds: float,
    received: Traffic,
    sent: Traffic,
) -> None:
    logger.info(
        '%s - "WebSocket %s" closed %d by %s%s after %.1f s, received %s, sent %s',
        client_name(scope),
        path_name(scope),
        ending.code,
        ending.by.value,
        f" ({ending.cause!r})" if ending.cause else "",
        seconds,
        received,
        sent,
    )


def is_caused_by_closing(error: BaseException) -> bool:
    """Return whether the application ended for no other reason than that its peer is gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_caused_by_closing, error.exceptions))
    if isinstance(error, (ConnectionClosed, asyncio.CancelledError)):
        return True
    # Frameworks turn it into an exception of their own, which carries the close code.
    origin = error.__cause__ or error.__context__
    return isinstance(origin, ConnectionClosed) and isinstance(getattr(error, "code", None), int)
