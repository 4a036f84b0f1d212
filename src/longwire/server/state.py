"""What the connections of one process share."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from longwire.asgi import Address, ASGIApp, Receive, Scope, Send
from longwire.engine import Limits, Prepared
from longwire.server.address_limit import AddressLimit
from longwire.server.compression import configured
from longwire.server.config import Config
from longwire.server.counters import Counters, Failure
from longwire.server.default_headers import DefaultHeaders
from longwire.server.drain import DrainNotice
from longwire.server.engines import new_engine
from longwire.server.flow import Flusher
from longwire.server.head import TOO_MANY, UNAVAILABLE, Refused
from longwire.server.registered import Registered
from longwire.server.timers import TimerWheel


class Connection(Protocol):
    """An open connection, as the server sees it."""

    def shutdown(self) -> None:
        """Finish what is under way, then close. Idempotent."""

    def abort(self) -> None:
        """Cut the connection now."""


class ServerState:
    """One per process: the application, its options, and every open connection."""

    def __init__(
        self,
        app: ASGIApp,
        config: Config,
        loop: asyncio.AbstractEventLoop,
        lifespan_state: dict[str, Any] | None = None,
    ) -> None:
        self.application = _coroutine_function(app)
        self.config = config
        self.loop = loop
        self.context = contextvars.copy_context()  # of the server's own callbacks, one for all
        self.lifespan_state = {} if lifespan_state is None else lifespan_state
        self.connections: set[Connection] = set()
        self.idle = asyncio.Event()  # no connection is open and no application runs
        self.idle.set()
        self.tasks: set[asyncio.Task[None]] = set()
        limit = config.limit_connections_per_address
        self.address_limit = None if limit is None else AddressLimit(limit)
        self.counters = Counters()
        self.total_requests = 0
        self.max_requests = _max_requests(config)
        self.on_enough_requests: Callable[[], None] = lambda: None
        self.timers = TimerWheel(loop)
        self.flusher = Flusher(loop)
        self.drain_notice = DrainNotice()
        self.registered = Registered()
        self.logger = logging.getLogger("longwire.error")
        self.access = logging.getLogger("longwire.access")
        self.ping_interval: float = config.ws_ping_interval or 0.0
        self.ping_timeout: float = config.ws_ping_timeout or 0.0
        self.limits = Limits(max_message_size=config.ws_max_size)
        self.deflate = configured(config)
        self.trusted_proxies = config.trusted_proxies()
        self.new_engine = new_engine(config.ws)
        self.http_extensions: dict[str, Any] = {}
        # One dict for all connections: a scope of its own would cost each of them 200 bytes.
        self.websocket_extensions: dict[str, Any] = {
            "websocket.http.response": {},
            "longwire.compression": {},
            "longwire.limits": {},
            "longwire.drain": {"notice": self.drain_notice},
            "longwire.fanout": {"prepare": Prepared},
            "longwire.metrics": {"register": self.registered.register},
        }
        self.default_headers = DefaultHeaders(config)

    @property
    def is_draining(self) -> bool:
        return self.drain_notice.is_set()

    def count_request(self) -> None:
        """Count a request or a WebSocket; `limit_max_requests` of them end the server."""
        self.total_requests += 1
        if self.total_requests == self.max_requests:
            self.on_enough_requests()

    def opened(self, connection: Connection, client: Address | None) -> None:
        """Know the connection until closed() is called with it."""
        self.connections.add(connection)
        self.idle.clear()
        if self.address_limit is not None:
            self.address_limit.take(connection, client)

    def admit(
        self, connection: Connection, client: Address | None, failure: Failure | None = None
    ) -> None:
        """Raise Refused, for `failure`, if too many connections are open for one more request."""
        limit = self.config.limit_concurrency
        if limit is not None and len(self.connections) > limit:
            raise Refused(*UNAVAILABLE, failure=failure)
        if self.address_limit is not None and not self.address_limit.take(connection, client):
            raise Refused(*TOO_MANY, failure=failure)

    def became(self, connection: Connection, successor: Connection) -> None:
        """Know the successor, at the other end of the same transport, in the connection's place."""
        self.connections.add(successor)
        self.connections.discard(connection)
        if self.address_limit is not None:
            self.address_limit.move(connection, successor)

    def closed(self, connection: Connection) -> None:
        """Forget the connection. Idempotent."""
        self.connections.discard(connection)
        if self.address_limit is not None:
            self.address_limit.release(connection)
        self._note_idle()

    def start(self, application: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run an application; the drain knows its task until ended() is called.

        Its context is a copy of the server's: on a connection that goes on, the task that starts
        it may be another application's.
        """
        task = self.loop.create_task(application, context=self.context.copy())
        self.tasks.add(task)
        self.idle.clear()
        return task

    def ended(self, task: asyncio.Task[None]) -> None:
        """Forget the task."""
        self.tasks.discard(task)
        self._note_idle()

    def _note_idle(self) -> None:
        if not self.connections and not self.tasks:
            self.idle.set()


def _coroutine_function(
    app: ASGIApp,
) -> Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]:
    """Return `app` itself if calling it makes a coroutine, as a task wants it; else a wrapper."""
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        return app  # type: ignore[return-value]

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return call


def _max_requests(config: Config) -> int | None:
    """Return after how many requests to end; the jitter keeps workers from ending together."""
    if config.limit_max_requests is None:
        return None
    return config.limit_max_requests + random.randint(0, config.limit_max_requests_jitter)
