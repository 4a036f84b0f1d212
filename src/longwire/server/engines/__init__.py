"""The ways to speak RFC 6455 behind one server: our own engine, or a package's.

After the handshake all of them are an Engine to the session, which knows no more of them. The
adapters translate names and nothing else: timers, queues, flow control and ASGI are the session's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from longwire.engine import Connection, Deflate, Engine, Limits, Role
from longwire.errors import ConfigError

PACKAGES = {"wsproto": "wsproto", "websockets": "websockets", "websockets-sansio": "websockets"}
"""The engines that are a package's, by the option's name."""


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
