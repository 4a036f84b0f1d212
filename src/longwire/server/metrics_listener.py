"""The address of its own at which the metrics are read (--metrics): up until the drain is over.

The server's own HTTP serves it, on the same loop, with connections, limits and timers apart from
the application's: neither do scrapes count as requests, nor does the drain end them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib import import_module

from longwire.asgi import Header, Receive, Scope, Send
from longwire.errors import BindError, ConfigError
from longwire.server.config import Config, split_address
from longwire.server.drain import drain
from longwire.server.families import Family
from longwire.server.http import HttpProtocol
from longwire.server.listener import address, bind_tcp, close_all
from longwire.server.state import ServerState

PATH = "/metrics"

MAX_CONNECTIONS = 32
"""Who scrapes is a handful of programs; anybody else is not to fill the process."""

CLOSE_TIMEOUT = 1.0
"""Seconds that a scrape which is under way at the very end has."""

Collect = Callable[[], Awaitable[list[Family]]]


class MetricsListener:
    """Serves GET /metrics from start() to close()."""

    def __init__(self, config: Config) -> None:
        """Raise ConfigError if the package is missing; nothing is bound yet."""
        try:
            module = import_module("longwire.server.exposition")
        except ImportError:
            raise ConfigError(
                "--metrics needs the package prometheus-client: pip install 'longwire[metrics]'"
            ) from None
        self._exposition: Callable[[list[Family]], bytes] = module.exposition
        self._content_type: bytes = module.CONTENT_TYPE
        self._config = config
        self.addresses: list[str] = []  # where the metrics are, as a person would type it
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._collect: Collect | None = None
        self._own: ServerState | None = None

    def bind(self) -> None:
        """Take the address; BindError if it cannot be had."""
        assert self._config.metrics is not None
        host, port = split_address(self._config.metrics)
        self._sockets = bind_tcp(host, port, host_option="--metrics", port_option="--metrics")
        try:
            for sock in self._sockets:
                sock.listen()  # two that are only bound could have the same port
        except OSError as error:
            close_all(self._sockets)
            raise BindError(f"--metrics {self._config.metrics}: {error.strerror}") from None
        self.addresses = [address(sock, is_tls=False) + PATH for sock in self._sockets]

    async def start(self, collect: Collect) -> None:
        """Answer from now on, with what `collect` returns."""
        loop = asyncio.get_running_loop()
        config = replace(
            self._config,
            app=self._application,
            workers=1,
            reload=False,
            ws="none",
            root_path="",
            headers=(),
            access_log=False,
            limit_concurrency=MAX_CONNECTIONS,
            limit_connections_per_address=None,
            limit_max_requests=None,
            proxy_protocol=False,
            timeout_graceful_shutdown=CLOSE_TIMEOUT,
        )
        self._collect = collect
        self._own = own = ServerState(self._application, config, loop)
        for sock in self._sockets:
            server = await loop.create_server(
                lambda: HttpProtocol(own),  # type: ignore[arg-type,return-value]
                sock=sock,
            )
            self._servers.append(server)

    async def close(self) -> None:
        """Stop listening, and end what is open. Idempotent."""
        for server in self._servers:
            server.close()
        close_all(self._sockets)
        if self._own is not None:
            await drain(self._own, asyncio.Event())
            self._own.timers.close()

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[Header] = []
        if scope["path"] != PATH:
            status, body = 404, b"the metrics are at /metrics\n"
        elif scope["method"] not in ("GET", "HEAD"):
            status, body = 405, b""
            headers.append((b"allow", b"GET, HEAD"))
        else:
            assert self._collect is not None
            status, body = 200, self._exposition(await self._collect())
            headers.append((b"content-type", self._content_type))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
