"""Taking connections from a listening socket, each to a protocol on a transport."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Protocol

from longwire.server.poller import READ, Pollable, Poller
from longwire.server.socket_transport import SocketTransport

BATCH = 64
"""Connections that are taken at once: then those that are open have their turn."""

PAUSE = 1.0
"""Seconds until the next attempt where there is none: mostly for want of descriptors."""

logger = logging.getLogger("longwire.error")


class Accepting(Protocol):
    """Connections are being taken, ours or the loop's way."""

    def close(self) -> None:
        """Take none any more. Idempotent."""


class Acceptor(Pollable):
    """Accepts on one socket from its making to close(). Linux alone has what it needs."""

    __slots__ = ("_descriptor", "_new_protocol", "_pause", "_poller", "_socket")

    def __init__(
        self,
        poller: Poller,
        sock: socket.socket,
        new_protocol: Callable[[], Any],
    ) -> None:
        """`sock` listens; it stays its owner's, who closes it behind close()."""
        self._poller = poller
        self._socket = sock
        self._descriptor = sock.fileno()
        self._new_protocol = new_protocol
        self._pause: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # What is accepted has it from the socket that listens: a call less for each.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poller.watch(self._descriptor, self, READ)

    def close(self) -> None:
        """Accept nothing any more. Idempotent."""
        if self._pause is not None:
            self._pause.cancel()
        self._poller.forget(self._descriptor)

    def on_events(self, events: int) -> None:
        for _ in range(BATCH):
            try:
                sock, peername = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue  # it has left already
            except OSError as error:
                self._pause_for(error)
                return
            self._begin(sock, peername)

    def _begin(self, sock: socket.socket, peername: object) -> None:
        try:
            sock.setblocking(False)
            protocol = self._new_protocol()
        except BaseException:
            sock.close()
            raise
        SocketTransport(self._poller, sock, peername, protocol).open()

    def _pause_for(self, error: OSError) -> None:
        logger.error("no connection can be taken for %g s: %s", PAUSE, error.strerror)
        self._poller.forget(self._descriptor)
        self._pause = self._poller.loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        try:
            self._poller.watch(self._descriptor, self, READ)
        except OSError as error:  # the kernel has an end of what it watches, too
            self._pause_for(error)

    def on_error(self, error: Exception) -> None:
        """A connection could not be begun: say so, and go on."""
        self._poller.loop.call_exception_handler(
            {"message": "a connection could not be begun", "exception": error}
        )
