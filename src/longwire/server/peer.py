"""The two ends of a connection, as ASGI's scopes have them, proxies in between seen through."""

from __future__ import annotations

from typing import Any

from longwire.asgi import Address
from longwire.server.forwarded import forwarded
from longwire.server.transport import Transport
from longwire.server.trusted import TrustedProxies

ServerAddress = tuple[str, int | None]
"""Host and port, or a unix socket's path and None."""


class Peer:
    """Who is connected, where, and whether its word on whom it forwards is taken."""

    __slots__ = ("_proxies", "client", "is_tls", "server")

    def __init__(self, transport: Transport) -> None:
        self.client, self.server = addresses(transport)
        self.is_tls = transport.get_extra_info("sslcontext") is not None
        self._proxies: TrustedProxies | None = None  # if the client is one of them

    def believe_if_among(self, trusted: TrustedProxies) -> None:
        """Take the client's word on whom it forwards, if it is one of the proxies."""
        if trusted.trusts_peer(self.client):
            self._proxies = trusted

    def describe(self, scope: dict[str, Any]) -> None:
        """Set the scope's client, server and scheme."""
        client, is_secure = self.client, self.is_tls
        if self._proxies is not None:
            told_client, told_secure = forwarded(scope["headers"], self._proxies)
            client = client if told_client is None else told_client
            is_secure = is_secure if told_secure is None else told_secure
        scope["client"] = client
        scope["server"] = self.server
        scheme = "ws" if scope["type"] == "websocket" else "http"
        scope["scheme"] = scheme + "s" if is_secure else scheme


def addresses(transport: Transport) -> tuple[Address | None, ServerAddress | None]:
    """Return the client's and the server's address; a unix socket has only a path."""
    peer = transport.get_extra_info("peername")
    own = transport.get_extra_info("sockname")
    client = (peer[0], peer[1]) if isinstance(peer, tuple) and len(peer) >= 2 else None
    if isinstance(own, tuple) and len(own) >= 2:
        return client, (own[0], own[1])
    return client, (str(own), None) if own else None
