"""What a test says to an application and hears from it, in process or over a wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from starlette.testclient import WebSocketDenialResponse

from longwire.asgi import Header, Scope
from longwire.errors import LongwireError
from longwire.lifecycle import State
from longwire.toolkit.disconnect import WebSocketDisconnect

Data = str | bytes


class ReceiveTimeout(LongwireError, TimeoutError):
    """Nothing came in time; the message says what the application was doing."""


class Denied(WebSocketDenialResponse, WebSocketDisconnect):  # type: ignore[misc]
    """The handshake was refused: an HTTP response, with `status_code`, `headers` and `text`.

    As a WebSocketDisconnect its `code` is 1006: a refused client sees no close code, whatever
    the application closed with (RFC 6455 section 4.1).
    """

    def __init__(self, status: int, headers: Sequence[Header], body: bytes, cause: str) -> None:
        WebSocketDenialResponse.__init__(
            self, status_code=status, headers=list(headers), content=body
        )
        self.code = 1006
        self.reason = cause

    def __str__(self) -> str:
        return f"the handshake was refused with HTTP {self.status_code}: {self.reason}"


class Conversation(Protocol):
    """One connection, seen from the client. Every wait is at most `timeout` seconds."""

    scope: Scope
    subprotocol: str | None
    headers: Sequence[Header]
    client_state: State  # what the client has said and noticed
    application_state: State  # what the application has said

    async def open(self, timeout: float) -> None:
        """Shake hands; raises Denied, ReceiveTimeout, or what the application raised."""

    async def send(self, data: Data) -> None:
        """Send a message; WebSocketDisconnect once the connection has ended."""

    async def receive(self, timeout: float) -> Data:
        """Return the next message; raises WebSocketDisconnect with the code of the end,
        ReceiveTimeout, or what the application raised.
        """

    async def close(self, code: int, reason: str) -> None:
        """Close with a handshake. Idempotent."""

    async def lose(self) -> None:
        """Lose the connection: no close frame, the application hears 1006. Idempotent."""

    async def stop_reading(self) -> None:
        """Take nothing more off the wire: the application's send() waits at the bound."""

    async def resume_reading(self) -> None:
        """Read again."""

    async def lose_pongs(self) -> None:
        """Answer no ping any more: the server gives the client up with 1011."""

    async def finish(self, timeout: float) -> None:
        """Wait for the application's end; raises what it raised, unless that was told before."""


def refused(status: int, headers: Sequence[Header], body: bytes, cause: str) -> Any:
    """Return the exception for a refused handshake."""
    return Denied(status, headers, body, cause)
