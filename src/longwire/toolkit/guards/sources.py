"""Where a client puts its token: browsers' WebSocket API can set no header but the subprotocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.websockets import WebSocketState

from longwire.toolkit.websocket import ACCEPTED_BY_GUARD

Source = Callable[[Any], Awaitable[str | None]]
"""Takes the connection, returns the token or None if there is none in this place."""

FIRST_MESSAGE_DEADLINE = 5.0
"""Seconds for the first message: a page has its token at hand when it connects, and an
unauthenticated connection should not cost the server more than that."""

REDACTED = "***"

TAKEN = "_longwire_tokens"
"""Where a connection keeps what was taken out of its scope, which gets around."""


def from_header(name: str = "Authorization", scheme: str | None = "Bearer") -> Source:
    """`Authorization: Bearer TOKEN`, or another header; `scheme` None takes its whole value."""

    async def find(connection: Any) -> str | None:
        values = connection.headers.getlist(name)
        if len(values) != 1:
            return None
        if scheme is None:
            return values[0] or None
        found, _, token = values[0].partition(" ")
        return token.strip() or None if found.lower() == scheme.lower() else None

    return find


def from_cookie(name: str) -> Source:
    """A cookie. Check the origin too: browsers send cookies for every page that connects."""

    async def find(connection: Any) -> str | None:
        return connection.cookies.get(name) or None

    return find


def from_query(name: str = "token") -> Source:
    """`?token=TOKEN`, for clients that can do nothing else: URLs end up in logs and histories.

    Before the handshake is answered the value in the scope becomes "***", so that neither a
    server's access log nor an error report has it; handlers see the same. A framework that hands
    on a copy of the scope keeps the server's own from that: there, guard in front of it.
    """
    return _QueryToken(name)


class _Hidden:
    """A source that can take its token out of the scope before anybody asks for it."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def __call__(self, connection: Any) -> str | None:
        self.hide(connection)
        token: str | None = connection.__dict__[TAKEN][type(self), self._name]
        return token or None

    def hide(self, connection: Any) -> None:
        """Keep the token beside the scope. Once for a connection, whoever asks again."""
        taken = connection.__dict__.setdefault(TAKEN, {})
        key = (type(self), self._name)
        if key not in taken:
            taken[key] = self._take(connection)

    def _take(self, connection: Any) -> str | None:
        """Take the token out of the connection's scope, and return it."""
        raise NotImplementedError


class _QueryToken(_Hidden):
    def _take(self, connection: Any) -> str | None:
        query = connection.scope.get("query_string", b"").decode("latin-1")
        pairs = parse_qsl(query, keep_blank_values=True)
        found = [value for key, value in pairs if key == self._name]
        if found:
            hidden = [(key, REDACTED if key == self._name else value) for key, value in pairs]
            connection.scope["query_string"] = urlencode(hidden, safe="*").encode("ascii")
            for cached in ("_query_params", "_url"):
                connection.__dict__.pop(cached, None)
        return found[0] if len(found) == 1 else None


def from_subprotocol(name: str = "bearer") -> Source:
    """`new WebSocket(url, ["bearer", TOKEN])`: the pair is offered, and only the name accepted.

    The token leaves the scope, its headers as well; the name stays for accept(): list it in the
    route's subprotocols, or pass it to accept(), for browsers fail a connection that answers none
    of what they offer.
    """
    return _SubprotocolToken(name)


class _SubprotocolToken(_Hidden):
    def _take(self, connection: Any) -> str | None:
        scope = connection.scope
        offered = list(scope.get("subprotocols") or ())
        if offered.count(self._name) != 1 or offered[-1] == self._name:
            return None
        token: str = offered.pop(offered.index(self._name) + 1)
        scope["subprotocols"] = offered
        shown = ", ".join(offered).encode("latin-1", "replace")
        scope["headers"] = [
            (key, shown if key == b"sec-websocket-protocol" else value)
            for key, value in scope["headers"]
        ]
        connection.__dict__.pop("_headers", None)
        return token


def from_first_message(deadline: float = FIRST_MESSAGE_DEADLINE) -> Source:
    """The first message, a text, within `deadline` seconds; the connection is accepted for it.

    The guard accepts with what the route's subprotocols have in common with the client's, and our
    own WebSocket's accept() then does nothing when the handler calls it; a handler with starlette's
    class (FastAPI's) leaves it out. A refusal is a close, with 1008 or `close_code`.
    """

    async def find(connection: Any) -> str | None:
        if connection.application_state is WebSocketState.CONNECTING:
            await connection.accept()
            accepted = getattr(connection, "accepted_subprotocol", None)  # ours has it
            connection.scope[ACCEPTED_BY_GUARD] = accepted
        try:
            async with asyncio.timeout(deadline):
                token: str = await connection.receive_text()
        except (TimeoutError, RuntimeError, KeyError):  # late, or binary
            return None
        return token or None

    return find
