"""The server of one process: start up, serve, drain, shut down.

lifespan startup -> listen -> (signal) -> stop listening -> drain -> lifespan shutdown
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from longwire import __version__
from longwire.errors import BindError, ConfigError
from longwire.server import session
from longwire.server.acceptor import Accepting, Acceptor
from longwire.server.application import load_application
from longwire.server.config import Config
from longwire.server.drain import CANCEL_TIMEOUT, drain
from longwire.server.http import HttpProtocol
from longwire.server.lifespan import Lifespan
from longwire.server.listener import address, bind, close_all, close_listeners
from longwire.server.logs import configure_logging
from longwire.server.metrics import collect, read
from longwire.server.metrics_listener import MetricsListener
from longwire.server.poller import IS_AVAILABLE, Poller
from longwire.server.proxied import ProxiedConnection
from longwire.server.proxied_tls import ProxiedTLSConnection
from longwire.server.state import ServerState

GC_THRESHOLD = 10_000
"""Allocations before the collector looks at the youngest objects. At Python's 700, a burst of
handshakes walks all of them again and again; what outlives start-up is frozen out of its sight."""

MIN_SHUTDOWN_TIMEOUT = 2.0
"""Seconds that the application's shutdown has at least, however short the drain: it closes files
and pools."""

M_TRIM_THRESHOLD = -1  # glibc's malloc.h
M_MMAP_THRESHOLD = -3
KEPT_BYTES = 32 * 1024 * 1024
"""Free memory kept for the next messages: two of the largest that --ws-max-size lets in."""


class Server:
    """Serves one application on one event loop until it is told to stop."""

    def __init__(self, config: Config, sockets: list[socket.socket] | None = None) -> None:
        """Bind the configured address, or serve on `sockets`, which somebody else has bound."""
        self.config = config
        self.sockets: list[socket.socket] = []
        self._given_sockets = sockets
        self._accepting: list[Accepting] = []
        self._poller: Poller | None = None
        self._stopping = asyncio.Event()
        self._forced = asyncio.Event()
        self._state: ServerState | None = None
        self._lifespan: Lifespan | None = None
        self._metrics: MetricsListener | None = None

    @property
    def state(self) -> ServerState:
        """What the connections share; RuntimeError before start()."""
        if self._state is None:
            raise RuntimeError("the server has not been started")
        return self._state

    @property
    def metrics_addresses(self) -> list[str]:
        """Where the metrics are; nowhere, unless they were asked for."""
        return [] if self._metrics is None else self._metrics.addresses

    @property
    def addresses(self) -> list[str]:
        """The listening addresses, as a person would type them."""
        return [address(sock, self.config.is_tls) for sock in self.sockets]

    def run(self, beside: Callable[[], Coroutine[Any, Any, None]] | None = None) -> int:
        """Serve until a signal comes; return the exit status. `beside` runs once it serves."""
        configure_logging(self.config)
        with asyncio.Runner(loop_factory=_loop_factory(self.config)) as runner:
            return runner.run(self.serve(beside))

    async def serve(self, beside: Callable[[], Coroutine[Any, Any, None]] | None = None) -> int:
        """Start, serve until SIGTERM, SIGINT, SIGHUP or stop(), drain; return the exit status."""
        with self._signals():
            if not await self._start_unless_stopped():
                logging.getLogger("longwire.error").info("stopped before the start-up was done")
                return 0
            _settle_garbage_collector()
            _keep_freed_memory()
            task = None if beside is None else asyncio.ensure_future(beside())
            if task is None:
                self._greet()
            await self.stopped()
            self.state.logger.info("going away: %d connections open", len(self.state.connections))
            try:
                return await self.finish()
            finally:
                if task is not None:
                    task.cancel()

    async def _start_unless_stopped(self) -> bool:
        """Run start(); return False if the server was told to stop before it was done."""
        starting = asyncio.ensure_future(self.start())
        stopping = asyncio.ensure_future(self._stopping.wait())
        forced = asyncio.ensure_future(self._forced.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                return True
            starting.cancel()
            await asyncio.wait({starting, forced}, return_when=asyncio.FIRST_COMPLETED)
            return False
        finally:
            for waiting in (starting, stopping, forced):
                waiting.cancel()

    async def start(self) -> None:
        """Bind, run the application's start-up, and accept connections.

        Raises ConfigError before anything is bound, BindError, StartupError.
        """
        config = self.config
        loop = asyncio.get_running_loop()
        app = load_application(config)
        tls = config.ssl_context() if config.is_tls else None
        metrics = MetricsListener(config) if config.metrics is not None else None
        self.sockets = bind(config) if self._given_sockets is None else self._given_sockets
        try:
            if metrics is not None:
                metrics.bind()
            self._lifespan = Lifespan(app, config.lifespan)
            await self._lifespan.startup()
            self._state = state = ServerState(app, config, loop, self._lifespan.state)
            state.on_enough_requests = self._stopping.set
            state.websocket_extensions["longwire.metrics"]["read"] = partial(read, state)
            if metrics is not None:
                await metrics.start(partial(collect, state))
            self._metrics = metrics
            if IS_AVAILABLE and tls is None:
                self._poller = Poller(loop, state.flusher)
            for sock in self.sockets:
                _listen(sock, config)
                self._accepting.append(await _accept_on(sock, state, self._poller, tls))
        except BaseException:
            self.stop_accepting()
            self._close_poller()
            if metrics is not None:
                await metrics.close()
            if self._lifespan is not None:
                await self._lifespan.shutdown(MIN_SHUTDOWN_TIMEOUT)
            raise

    def stop(self) -> None:
        """Begin to go away; a second call does not wait for anybody."""
        if self._stopping.is_set():
            self._forced.set()
        self._stopping.set()

    async def stopped(self) -> None:
        """Return when the server has been told to go away."""
        await self._stopping.wait()

    async def finish(self) -> int:
        """Stop accepting, drain, run the application's shutdown; return the exit status.

        Idempotent.
        """
        self.stop_accepting()
        await drain(self.state, self._forced)
        self._close_poller()
        self.state.timers.close()
        assert self._lifespan is not None
        timeout = self.config.timeout_graceful_shutdown
        if timeout is not None:
            timeout = max(timeout, MIN_SHUTDOWN_TIMEOUT)
        is_well = await self._lifespan.shutdown(timeout)
        if self._metrics is not None:
            await self._metrics.close()  # last: whoever watches the drain sees its end
        return 0 if is_well else 1

    def stop_accepting(self) -> None:
        """Close the listening sockets; who is connected stays so. Idempotent."""
        for accepting in self._accepting:
            accepting.close()
        self._accepting.clear()
        self._close_listeners()

    def _close_poller(self) -> None:
        if self._poller is not None:
            self._poller.close()

    def _close_listeners(self) -> None:
        sockets, self.sockets = self.sockets, []
        if self._given_sockets is not None:
            close_all(sockets)  # a unix socket's file is their owner's
        elif sockets:  # the file that is there later may be another server's
            close_listeners(sockets, self.config)

    def _greet(self) -> None:
        kind = "compiled" if session.__file__.endswith(".so") else "interpreted"
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        self.state.logger.info(
            "Longwire %s on %s (%s, %s); Ctrl+C to stop",
            __version__,
            ", ".join(self.addresses),
            kind,
            loop,
        )
        if self._metrics is not None:
            self.state.logger.info("metrics on %s", ", ".join(self._metrics.addresses))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        caught = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        for number in caught:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)


async def _accept_on(
    sock: socket.socket, state: ServerState, poller: Poller | None, tls: ssl.SSLContext | None
) -> Accepting:
    """Accept connections; a PROXY header comes before TLS, whoever begins that.

    Without a poller they are on the loop's transports.
    """
    config, loop = state.config, state.loop
    protocol: Callable[[], asyncio.BaseProtocol] = partial(HttpProtocol, state)  # type: ignore[assignment]
    if config.proxy_protocol:
        protocol = partial(ProxiedConnection, state)
        if tls is not None:
            protocol, tls = partial(ProxiedTLSConnection, state, tls), None
    if poller is not None:
        return Acceptor(poller, sock, protocol)
    return await loop.create_server(
        protocol,
        sock=sock,
        ssl=tls,
        backlog=config.backlog,
        ssl_handshake_timeout=(config.timeout_headers or None) if tls else None,
    )


def longest_end(config: Config) -> float | None:
    """Return the seconds that finish() may take, or None if nothing bounds it."""
    graceful = config.timeout_graceful_shutdown
    if graceful is None:
        return None
    return graceful + CANCEL_TIMEOUT + max(graceful, MIN_SHUTDOWN_TIMEOUT)


def _listen(sock: socket.socket, config: Config) -> None:
    """Have the kernel take connections; BindError if somebody else has come to listen there.

    Two sockets that are only bound may share an address. uvloop, left to listen, would keep quiet.
    """
    try:
        sock.listen(config.backlog)
    except OSError as error:
        where = address(sock, config.is_tls)
        raise BindError(f"{where} cannot be listened on: {error.strerror}") from None


def _loop_factory(config: Config) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop that the option names; auto takes uvloop where it is."""
    if config.loop == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        if config.loop == "uvloop":
            raise ConfigError("--loop uvloop: the package uvloop is not installed") from None
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _settle_garbage_collector() -> None:
    """What start-up made stays: a full collection then costs what the connections cost, no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])


def _keep_freed_memory() -> None:
    """Have glibc keep what a large message leaves behind, for the next one.

    By default it gives a megabyte back to the kernel as soon as it is freed and fetches it again,
    page by page, for the next message: most of the cost of a large one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another libc
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
