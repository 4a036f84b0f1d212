"""The ways to speak RFC 6455 behind one server: our own engine, or a package's.

After the handshake all of them look the same to the session, which knows this protocol only. The
adapters translate names and nothing else: timers, queues, flow control and ASGI are the session's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from longwire.engine import Connection, Deflate, Event, Limits, Prepared, Role
from longwire.errors import ConfigError

PACKAGES = {"wsproto": "wsproto", "websockets": "websockets", "websockets-sansio": "websockets"}
"""The engines that are a package's, by the option's name."""


class Engine(Protocol):
    """One connection after its handshake, without I/O. It never raises for what a peer sends."""

    @property
    def payload_missing(self) -> int:
        """Bytes of the present data frame's payload that have yet to come; 0 if not known."""

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes cut anywhere; return what they complete. Closed or Failed comes last."""

    def receive_eof(self) -> object:
        """Note that the peer sends nothing more."""

    def send(self, data: str | bytes, compress: bool = True) -> None:
        """Queue a message."""

    def send_prepared(self, message: Prepared) -> None:
        """Queue a message that goes to many connections."""

    def ping(self, payload: bytes = b"") -> None:
        """Queue a ping of at most 125 bytes."""

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Queue a close frame; LocalProtocolError for a code that may not be sent."""

    def data_to_send(self) -> bytes | bytearray:
        """Return what is queued, answers to pings and to the peer's close among it."""


NewEngine = Callable[[Limits, Deflate | None], Engine]


def native(limits: Limits, deflate: Deflate | None) -> Engine:
    """Return our own engine for a connection."""
    return Connection(Role.SERVER, limits, deflate)


def new_engine(name: str) -> NewEngine:
    """Return what makes the engines of that name; ConfigError if its package is missing."""
    package = PACKAGES.get(name)
    if package is None:
        return native
    try:
        module = import_module(f"longwire.server.engines.{package}")
    except ImportError:
        raise ConfigError(
            f"--ws {name} needs the package {package}: pip install 'longwire[engines]'"
        ) from None
    factory: NewEngine = module.new_engine
    return factory
