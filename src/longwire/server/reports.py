"""The lines that the log has of connections. Each line's figures are fields of its record too.

    %(client)s %(path)s %(event)s ...    what a formatter makes of them: logs.JsonFormatter does

The access log has one line for a request, and two for a WebSocket: when it opens, when it ends.
No line has a query string or a header: that is where tokens and cookies travel.
"""

from __future__ import annotations

import logging
from typing import Any

from longwire.asgi import Scope
from longwire.server.ending import Ending, Traffic
from longwire.server.scope import client_name, path_name

FIELDS = (
    "event",
    "client",
    "method",
    "path",
    "status",
    "code",
    "by",
    "reason",
    "seconds",
    "messages_received",
    "bytes_received",
    "messages_sent",
    "bytes_sent",
)
"""Every attribute that a record can have of a connection, in the order in which they are read."""


def opened(logger: logging.Logger, scope: Scope) -> None:
    fields = _fields(scope, "websocket.opened")
    logger.info('%s - "WebSocket %s" opened', fields["client"], fields["path"], extra=fields)


def refused(logger: logging.Logger, scope: Scope, status: int) -> None:
    fields = _fields(scope, "websocket.refused")
    fields["status"] = status
    logger.info(
        '%s - "WebSocket %s" refused %d', fields["client"], fields["path"], status, extra=fields
    )


def closed(
    logger: logging.Logger, scope: Scope, ending: Ending, seconds: float, traffic: Traffic
) -> None:
    fields = _fields(scope, "websocket.closed")
    fields |= {
        "code": ending.code,
        "by": ending.by.word,
        "reason": ending.cause,
        "seconds": round(seconds, 3),
        "messages_received": traffic.messages_received,
        "bytes_received": traffic.size_received,
        "messages_sent": traffic.messages_sent,
        "bytes_sent": traffic.size_sent,
    }
    logger.info(
        '%s - "WebSocket %s" closed %d by %s%s after %.1f s, received %s, sent %s',
        fields["client"],
        fields["path"],
        ending.code,
        ending.by.phrase,
        f" ({ending.cause!r})" if ending.cause else "",
        seconds,
        _amount(traffic.messages_received, traffic.size_received),
        _amount(traffic.messages_sent, traffic.size_sent),
        extra=fields,
    )


def answered(logger: logging.Logger, scope: Scope, status: int) -> None:
    """Log an HTTP request."""
    fields = _fields(scope, "http.request")
    fields["method"] = scope["method"]
    fields["status"] = status
    logger.info(
        '%s - "%s %s HTTP/%s" %d',
        fields["client"],
        fields["method"],
        fields["path"],
        scope["http_version"],
        status,
        extra=fields,
    )


def raised(logger: logging.Logger, scope: Scope, error: BaseException) -> None:
    """Log what the application raised."""
    fields = _fields(scope, "application.raised")
    logger.error("the application raised on %s", fields["path"], exc_info=error, extra=fields)


def unanswered(logger: logging.Logger, scope: Scope, what: str) -> None:
    """Log that the application owes an answer: `what` it did, up to the path."""
    fields = _fields(scope, "application.unanswered")
    logger.error("the application %s %s", what, fields["path"], extra=fields)


def _fields(scope: Scope, event: str) -> dict[str, Any]:
    client = client_name(scope.get("client"))
    return {"event": event, "client": client, "path": path_name(scope)}


def _amount(messages: int, size: int) -> str:
    return f"{messages} message{'' if messages == 1 else 's'} {size} B"
