"""What a connection may spend on compression: the server's settings, or what its route asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from longwire.engine import DeflateSettings
from longwire.errors import LifecycleError
from longwire.server.config import Config

FIELDS: dict[str, tuple[str, ...]] = {
    "level": ("level",),
    "window_bits": ("server_max_window_bits", "client_max_window_bits"),
    "memory_level": ("memory_level",),
    "threshold": ("threshold",),
    "no_context_takeover": ("server_no_context_takeover", "client_no_context_takeover"),
}
"""The names that `websocket.accept` takes in `compress`, and what each sets."""


def configured(config: Config) -> DeflateSettings | None:
    """Return the server's settings, or None if it compresses nothing."""
    if not config.ws_per_message_deflate:
        return None
    return DeflateSettings(
        server_max_window_bits=config.ws_deflate_window_bits,
        client_max_window_bits=config.ws_deflate_window_bits,
        server_no_context_takeover=config.ws_deflate_no_context_takeover,
        client_no_context_takeover=config.ws_deflate_no_context_takeover,
        level=config.ws_deflate_level,
        memory_level=config.ws_deflate_memory_level,
        threshold=config.ws_deflate_threshold,
    )


def asked_for(settings: DeflateSettings | None, compress: Any) -> DeflateSettings | None:
    """Return the settings of one connection, whose `websocket.accept` has this in `compress`.

    True takes the server's, False none, a mapping changes some of them; where the server compresses
    nothing, nothing is compressed. Raises LifecycleError for a name that is none, and
    LocalProtocolError for a value out of range.
    """
    if settings is None or compress is True:
        return settings
    if not isinstance(compress, Mapping):
        return settings if compress else None
    changes: dict[str, Any] = {}
    for name, value in compress.items():
        if name not in FIELDS:
            raise LifecycleError(f"'compress' has {', '.join(FIELDS)}; got {name!r}")
        if not isinstance(value, int):
            raise LifecycleError(f"'compress' has numbers; got {value!r} for {name!r}")
        changes.update(dict.fromkeys(FIELDS[name], value))
    return replace(settings, **changes)
