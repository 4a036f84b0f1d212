"""What a route decides for its WebSockets; it travels in the scope, so any class finds it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from longwire.asgi import Scope
from longwire.toolkit.codecs import JSONCodec

KEY = "longwire.route"

Compression = bool | Mapping[str, int]
"""Whether to compress, or how: level, window_bits, memory_level, threshold, no_context_takeover."""


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """`subprotocols` are negotiated by accept(); `codec` None leaves the class's own.

    `max_size` is in bytes, and tells a server that can refuse a message before it is here; the
    guard of that name holds on the others.
    """

    compression: Compression = True
    subprotocols: Collection[str] = ()
    codec: JSONCodec | None = None
    max_size: int | None = None


DEFAULTS = RouteOptions()


def options_of(scope: Scope) -> RouteOptions:
    """Return the options of the route that led here."""
    options = scope.get(KEY, DEFAULTS)
    assert isinstance(options, RouteOptions)
    return options
